// The text form: printer.h and parser.h against each other, and what the parser says of bad text.
#include <gtest/gtest.h>

#include <limits>

#include "ir/graph/builder.h"
#include "ir/graph/equal.h"
#include "ir/graph/parser.h"
#include "ir/graph/printer.h"
#include "ir/graph/verifier.h"

namespace kiln {
namespace {

// Parses what `module` prints and expects the same module, and the same text from it.
void ExpectRoundTrip(const Module& module) {
  const std::string text = Print(module);
  const auto parsed = ParseModule(text);
  ASSERT_TRUE(parsed.ok()) << Message(parsed.status()) << "\n" << text;
  std::string difference;
  EXPECT_TRUE(Equal(module, **parsed, &difference)) << difference << "\n" << text;
  EXPECT_EQ(Print(**parsed), text);
  const Status verified = Verify(**parsed);
  EXPECT_TRUE(verified.ok()) << Message(verified);
}

std::string ParseError(const std::string& text) {
  const auto parsed = ParseModule(text);
  return parsed.ok() ? "no error" : Message(parsed.status());
}

std::unique_ptr<Module> MustParse(const std::string& text) {
  auto parsed = ParseModule(text);
  EXPECT_TRUE(parsed.ok()) << Message(parsed.status()) << "\n" << text;
  return parsed.ok() ? std::move(*parsed) : nullptr;
}

// A function around lines of ops over %x: f32[2,3].
std::string WithOps(const std::string& ops, const std::string& output = "%x") {
  return "module \"m\" {\nfunc @forward(%x: f32[2,3]) -> (\"y\": " + output + ") {\n" + ops +
         "\n}\n}\n";
}

TEST(Text, PrintsAsDocumented) {
  const std::string text =
      "module \"net\" {\n"
      "  metadata \"producer\" = \"a \\\"b\\\"\\n\"\n"
      "  parameter \"mean\" : f32[3] = dense([0.5,-0.0,nan]) frozen\n"
      "  parameter \"w\" : f32[64,3,7,7] = file(\"2cf24dba5fb0a30e26e83b2ac5b9e29e\")\n"
      "  func @forward(%x: f32[3], %in_2: i64[] loc(\"in:2\")) -> (\"y\": %m, \"z\": %f) {\n"
      "    %m = parameter() {name=\"mean\"} : f32[3]\n"
      "    %w = parameter() {name=\"w\"} : f32[64,3,7,7] loc(\"conv/w\", \"b\")\n"
      "    %f = fusion(%m, %x) : f32[3] loc(\"add1\") {\n"
      "      (%p0: f32[3], %p1: f32[3])\n"
      "      -> %p1\n"
      "    }\n"
      "  }\n"
      "}\n";
  const auto module = MustParse(text);
  ASSERT_NE(module, nullptr);
  EXPECT_EQ(Print(*module), text);
  ExpectRoundTrip(*module);
}

TEST(Text, AcceptsCommentsAndAnySpacing) {
  const auto module = MustParse(
      "// a net\nmodule\"m\"{func@f(%x:f32[2]{0})->(\"y\":%c){%c=constant(){value=i32[2]"
      "dense([1,-2])}:i32[2]loc(\"c\")// done\n}}  ");
  ASSERT_NE(module, nullptr);
  ExpectRoundTrip(*module);
}

TEST(Text, KeepsEveryBitPatternOfSmallElements) {
  for (const ElementType element :
       {ElementType::kBool, ElementType::kI8, ElementType::kU8, ElementType::kF16,
        ElementType::kBF16, ElementType::kI16, ElementType::kU16}) {
    const int64_t size = ByteSize(element);
    const int patterns = size == 1 ? 256 : 65536;
    for (int first = 0; first < patterns; first += 64) {
      std::vector<char> bytes(static_cast<size_t>(64 * size));
      for (int i = 0; i < 64; ++i) {
        const int pattern = first + i;
        std::memcpy(&bytes[i * size], &pattern, static_cast<size_t>(size));
      }
      Module module;
      module.SetParameter({"p", Tensor(TensorType{element, {64}, {}}, bytes)});
      const auto parsed = MustParse(Print(module));
      ASSERT_NE(parsed, nullptr);
      ASSERT_TRUE(Equal(module, *parsed)) << Print(module);
    }
  }
}

TEST(Text, KeepsExtremeElements) {
  const double inf = std::numeric_limits<double>::infinity();
  Module module;
  module.SetParameter({"f64", Tensor::FromDoubles(ElementType::kF64, {7},
                                                  {inf, -inf, -0.0, 1e-310, 0.1, 1e300, 3.0})});
  module.SetParameter(
      {"f32", Tensor::FromDoubles(ElementType::kF32, {6},
                                  {inf, 1e-45, 3.4028234663852886e38, 0.1, -1, 2})});
  module.SetParameter({"u64", Tensor::FromInts(ElementType::kU64, {2}, {-1, 0})});
  module.SetParameter({"i64", Tensor::FromInts(ElementType::kI64, {2}, {INT64_MIN, INT64_MAX})});
  module.SetParameter({"nan", Tensor(TensorType{ElementType::kF32, {2}, {}},
                                     {1, 0, '\xc0', '\x7f', 1, 0, '\x80', '\xff'})});
  module.SetParameter({"empty", Tensor::FromInts(ElementType::kI32, {3, 0}, {})});
  module.SetParameter({"scalar", Tensor::FromInts(ElementType::kBool, {}, {1})});
  ExpectRoundTrip(module);
}

TEST(Text, KeepsLayouts) {
  const Layout nchw4c = {{}, {{1, 4}}};
  const Layout transposed = {{1, 0}, {}};
  Module module;
  module.SetParameter({"a", Tensor::Splat(TensorType{ElementType::kF32, {1, 6}, nchw4c}, 1.5)});
  module.SetParameter({"b", Tensor::Splat(TensorType{ElementType::kF32, {3, 2}, transposed}, 2)});
  module.SetParameter(
      {"c", Tensor::Splat(TensorType{ElementType::kI8, {3, 2}, {{1, 0}, {{0, 2}, {1, 2}}}}, 3)});
  module.SetParameter(
      {"d",
       Tensor::Splat(TensorType{ElementType::kF32, {1, 6, 2}, {{}, {{1, 4}}, {{2, 1, 0}}}}, 4)});
  module.SetParameter(
      {"e", Tensor::Splat(TensorType{ElementType::kF32, {3, 2}, {{}, {}, {{0, 1, 2}}}}, 5)});
  ExpectRoundTrip(module);
}

TEST(Text, NamesLargeTensorsByTheirHash) {
  Module module;
  const Tensor tensor = Tensor::Splat(TensorType{ElementType::kF32, {65}, {}}, 1);
  module.SetParameter({"w", tensor});
  EXPECT_NE(Print(module).find("file(\"" + tensor.hash() + "\")"), std::string::npos);
  const auto parsed = MustParse(Print(module));
  ASSERT_NE(parsed, nullptr);
  EXPECT_FALSE(parsed->FindParameter("w")->value.known());
  EXPECT_TRUE(Equal(module, *parsed));
}

TEST(Text, KeepsStrangeNames) {
  Module module;
  module.name = std::string("a\0\x7f\xff\"\\\n", 7);
  module.metadata[""] = "\t";
  Graph* const graph = module.AddFunction("my function");
  Builder builder(graph);
  Op* const a = *builder.Input("in put:0", {});
  Op* const b = *builder.Input("in:put 0", {});
  a->AddSources({"relu"});
  graph->AddOutput("out put", a);
  graph->AddOutput("", b);
  ExpectRoundTrip(module);
}

TEST(Text, SaysWhereAndWhatIsWrong) {
  EXPECT_EQ(ParseError(""), "1:1: expected 'module', found the end of the text");
  EXPECT_EQ(ParseError("module \"m\" {"),
            "1:13: expected 'metadata', 'parameter', 'func' or '}', found the end of the text");
  EXPECT_EQ(ParseError("module \"m\" {} x"), "1:15: expected the end of the text, found 'x'");
  EXPECT_EQ(ParseError("module \"m"),
            "1:8: expected a string, found a string without its closing '\"'");
  EXPECT_EQ(ParseError(WithOps("%a = nonsense(%x) : f32[1]")),
            "3:6: expected an op, found 'nonsense'");
  EXPECT_EQ(ParseError(WithOps("%x = constant() {value=f32[] dense([1])} : f32[]")),
            "3:1: there is a value of this name already");
  EXPECT_EQ(ParseError(WithOps("", "%q")), "2:38: expected a value defined above, found '%q'");
  EXPECT_EQ(ParseError(WithOps("%a = constant() {value=f32[2] dense([1])} : f32[2]")),
            "3:37: expected 2 elements, found 1");
  EXPECT_EQ(ParseError(WithOps("%a = constant() {value=i8[1] dense([1,2])} : i8[1]")),
            "3:39: expected ']' after 1 elements, found '2'");
  EXPECT_EQ(ParseError(WithOps("%a = constant() {value=i8[1] dense([128])} : i8[1]")),
            "3:37: expected an element of type i8, found '128'");
  EXPECT_EQ(ParseError(WithOps("%a = constant() {value=i8[1] dense([1])} : i8[2]")),
            "3:44: expected i8[1] (the inferred type), found i8[2]");
  EXPECT_EQ(ParseError(WithOps("%a = constant() : i8[2]")),
            "3:6: constant: attribute 'value' is missing");
  EXPECT_EQ(ParseError(WithOps("%a = constant() {val=1} : i8[2]")),
            "3:18: expected an attribute of constant, found 'val'");
  EXPECT_EQ(ParseError(WithOps("%a = input() : i8[2]")),
            "3:6: input: is made by Builder::Input only");
  EXPECT_EQ(ParseError(WithOps("%a = fusion(%x) : f32[2,3]")), "3:6: fusion: a body is missing");
  EXPECT_EQ(ParseError(WithOps("%a = parameter() {name=\"w\"} : i8[2]")),
            "3:6: parameter: the module has no parameter 'w'");
}

TEST(Text, RefusesImpossibleTypes) {
  const auto error = [](const std::string& type) {
    return ParseError("module \"m\" { func @f(%x: " + type + ") -> () {} }");
  };
  EXPECT_EQ(error("f32[2,3]"), "no error");
  EXPECT_EQ(error("f33[2]"), "1:26: expected an element type, found 'f33'");
  EXPECT_EQ(error("f32[-1]"), "1:26: shape [-1] has a negative dimension");
  EXPECT_NE(error("f32[1000000000,1000000000]").find("is too large"), std::string::npos);
  EXPECT_NE(error("f32[0,9223372036854775807]").find("is too large"), std::string::npos);
  EXPECT_NE(error("f32[9223372036854775808]").find("expected an integer"), std::string::npos);
  EXPECT_NE(error("f32[2,3]{0}").find("does not fit"), std::string::npos);
  EXPECT_NE(error("f32[2,3]{1,1}").find("does not fit"), std::string::npos);
  EXPECT_NE(error("f32[2,3]{|2:4}").find("does not fit"), std::string::npos);
  EXPECT_NE(error("f32[2,3]{|1:0}").find("does not fit"), std::string::npos);
  EXPECT_NE(error("f32[2,3]{|1:99999999999}").find("does not fit"), std::string::npos);
  std::string deep = "f32[1";
  for (int i = 0; i < kMaxRank; ++i) deep += ",1";
  EXPECT_NE(error(deep + "]").find("at most 32 dimensions"), std::string::npos);
}

TEST(Text, BoundsTheNestingOfBodies) {
  const auto nested = [](int depth) {
    std::string open, close;
    for (int i = 0; i < depth; ++i) {
      open += "%a = fusion(%x) : f32[2,3] { (%x: f32[2,3]) ";
      close += " -> " + std::string(i == 0 ? "%x" : "%a") + " }";
    }
    return WithOps(open + close);
  };
  const auto module = MustParse(nested(kMaxRegionDepth));
  ASSERT_NE(module, nullptr);
  ExpectRoundTrip(*module);
  EXPECT_NE(ParseError(nested(kMaxRegionDepth + 1)).find("nest more than 32 deep"),
            std::string::npos);
  EXPECT_NE(ParseError(nested(100000)).find("nest more than 32 deep"), std::string::npos);
}

TEST(Text, SurvivesEveryTruncation) {
  const std::string text =
      "module \"net\" {\n  parameter \"p\" : f32[2]{|0:2} = dense([0.5,1e-3]) frozen\n"
      "  func @f(%x: f32[2] loc(\"q\", \"r\")) -> (\"y\": %f) {\n"
      "    %f = fusion(%x) {} : f32[2] loc(\"a\") { (%p0: f32[2]) -> %p0 }\n  }\n}";
  ASSERT_NE(MustParse(text), nullptr);
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_NE(ParseError(text.substr(0, size)), "no error") << size;
  }
}

TEST(Equal, NamesTheDifference) {
  const auto a = MustParse(WithOps("%a = constant() {value=f32[1] dense([1])} : f32[1]", "%a"));
  const auto b = MustParse(WithOps("%a = constant() {value=f32[1] dense([2])} : f32[1]", "%a"));
  const auto c = MustParse(WithOps("%a = constant() {value=f32[1] dense([1])} : f32[1]", "%x"));
  std::string difference;
  EXPECT_TRUE(Equal(*a, *a->Clone()));
  EXPECT_FALSE(Equal(*a, *b, &difference));
  EXPECT_EQ(difference,
            "@forward %a: values of 'value' differ: f32[1] dense([1.0]) and f32[1] dense([2.0])");
  EXPECT_FALSE(Equal(*a, *c, &difference));
  EXPECT_EQ(difference, "@forward: outputs differ: a and x");
}

}  // namespace
}  // namespace kiln
