#include "compiler/import/kiln/native.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/graph/equal.h"
#include "ir/graph/parser.h"
#include "ir/graph/verifier.h"
#include "proto/kiln.pb.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr char kModule[] = R"(module "net" {
  metadata "producer" = "test"
  parameter "mean" : f32[3] = dense([0.5,-0.0,nan]) frozen
  parameter "w" : f32[9,9]{1,0} = file("2cf24dba5fb0a30e26e83b2ac5b9e29e")
  func @forward(%x: f32[2,3]{|1:4}, %in_2: i64[] loc("in:2", "b")) -> ("y": %f, "z": %in_2) {
    %m = parameter() {name="mean"} : f32[3] loc("conv/w")
    %k = constant() {value=bool[2] dense([true,false])} : bool[2]
    %i = cast(%m) {to=i32} : i32[3]
    %c = clip(%m) {max=inf, min=-0.5} : f32[3]
    %f = fusion(%m, %c) : f32[3] loc("add1") {
      (%p0: f32[3], %p1: f32[3])
      %sum = add(%p0, %p1) : f32[3]
      -> %sum
    }
    %l = relu(%x) : f32[2,3]{|1:4}
    %r = relayout(%l) {layout={1,0}} : f32[2,3]{1,0}
    %n = neg(%r) : f32[2,3]{1,0|0:8}
  }
}
)";

std::unique_ptr<Module> TestModule() {
  auto module = ParseModule(kModule);
  EXPECT_TRUE(module.ok()) << Message(module.status());
  // A large tensor whose values are known.
  (*module)->SetParameter({"big", Tensor::Splat(TensorType{ElementType::kF16, {100}, {}}, 0.5)});
  return std::move(*module);
}

StatusOr<std::unique_ptr<Module>> Parse(const std::string& bytes, NativeForm form) {
  return ParseNative({bytes.data(), bytes.size()}, form);
}

TEST(NativeTest, BothFormsKeepTheModule) {
  const auto module = TestModule();
  for (const NativeForm form : {NativeForm::kBinary, NativeForm::kText}) {
    const auto bytes = SerializeNative(*module, {.form = form});
    ASSERT_TRUE(bytes.ok());
    NativeForm detected;
    ASSERT_TRUE(DetectNative({bytes->data(), bytes->size()}, &detected));
    EXPECT_EQ(detected, form);
    const auto parsed = Parse(*bytes, form);
    ASSERT_TRUE(parsed.ok()) << Message(parsed.status());
    std::string difference;
    EXPECT_TRUE(Equal(*module, **parsed, &difference)) << difference;
    EXPECT_TRUE(Verify(**parsed).ok());
    EXPECT_EQ(*SerializeNative(**parsed, {.form = form}), *bytes);
  }
}

TEST(NativeTest, FilesWithAndWithoutASideFile) {
  const TemporaryFolder folder;
  const auto module = TestModule();
  for (const bool side_file : {false, true}) {
    const std::string path = folder / (side_file ? "a.kiln" : "b.kiln");
    ASSERT_TRUE(SaveNative(*module, path, {.side_file = side_file}).ok());
    const auto loaded = LoadNative(path);
    ASSERT_TRUE(loaded.ok()) << Message(loaded.status());
    EXPECT_TRUE(Equal(*module, **loaded));
    EXPECT_TRUE((*loaded)->FindParameter("big")->value.known());
  }
  EXPECT_EQ(folder.Count(), 3);
}

TEST(NativeTest, EveryTruncationIsAnErrorOrAShorterModel) {
  const auto module = TestModule();
  for (const NativeForm form : {NativeForm::kBinary, NativeForm::kText}) {
    const std::string bytes = *SerializeNative(*module, {.form = form});
    for (size_t size = 0; size + 1 < bytes.size(); ++size) {
      const auto parsed = Parse(bytes.substr(0, size), form);
      EXPECT_FALSE(parsed.ok() && Equal(*module, **parsed)) << size;
    }
  }
}

TEST(NativeTest, SurvivesFlippedBytes) {
  const std::string bytes = *SerializeNative(*TestModule(), {});
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {1, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      const auto parsed = Parse(damaged, NativeForm::kBinary);
      if (parsed.ok()) {
        EXPECT_TRUE(Verify(**parsed).ok()) << at;
      }
    }
  }
}

// The model with one change, and what the reader says of it.
template <typename Change>
std::string ErrorAfter(const Change& change) {
  native::Model model;
  EXPECT_TRUE(model.ParseFromString(*SerializeNative(*TestModule(), {})));
  change(model);
  const auto parsed = Parse(model.SerializeAsString(), NativeForm::kBinary);
  return parsed.ok() ? "no error" : Message(parsed.status());
}

TEST(NativeTest, SaysWhatIsWrong) {
  using native::Model;
  const auto op = [](Model& m, int i) { return m.mutable_functions(0)->mutable_ops(i); };
  EXPECT_EQ(ErrorAfter([](Model&) {}), "no error");
  EXPECT_EQ(ErrorAfter([](Model& m) { m.set_format("x"); }), "the file is no native Kiln model");
  EXPECT_EQ(ErrorAfter([](Model& m) { m.set_format_version(2); }),
            "the file has format version 2, expected 1");
  EXPECT_EQ(ErrorAfter([&](Model& m) { op(m, 2)->set_kind("nonsense"); }),
            "@forward: %i: there is no op 'nonsense'");
  EXPECT_EQ(ErrorAfter([&](Model& m) { op(m, 2)->set_operands(0, "f"); }),
            "@forward: %i: expected an earlier value, found %f");
  EXPECT_EQ(ErrorAfter([&](Model& m) { op(m, 2)->set_name("a b"); }),
            "@forward: %a b: the name is taken or has forbidden characters");
  EXPECT_EQ(ErrorAfter([&](Model& m) { op(m, 2)->set_name("k"); }),
            "@forward: %k: the name is taken or has forbidden characters");
  EXPECT_EQ(ErrorAfter([&](Model& m) { op(m, 2)->mutable_type()->set_shape(0, 4); }),
            "@forward: %i: expected i32[3] (the inferred type), found i32[4]");
  EXPECT_EQ(ErrorAfter([&](Model& m) { op(m, 2)->mutable_attributes(0)->clear_value(); }),
            "@forward: %i: the attribute \"to\" has no value");
  EXPECT_THAT(ErrorAfter([&](Model& m) { op(m, 2)->mutable_attributes(0)->set_int_value(1); }),
              HasSubstr("attribute 'to' must be of kind type, found int"));
  EXPECT_EQ(ErrorAfter([&](Model& m) { op(m, 4)->clear_body(); }),
            "@forward: %f: fusion: a body is missing");
  EXPECT_EQ(ErrorAfter([](Model& m) {
              m.mutable_parameters(1)->mutable_value()->mutable_type()->set_shape(0, -3);
            }),
            "parameter \"mean\": shape [-3] has a negative dimension");
  EXPECT_EQ(
      ErrorAfter([](Model& m) { m.mutable_parameters(1)->mutable_value()->set_inline_("a"); }),
      "parameter \"mean\": expected 12 bytes for f32[3], found 1");
  EXPECT_THAT(ErrorAfter([](Model& m) { m.mutable_parameters(2)->mutable_value()->set_hash("x"); }),
              HasSubstr("a content hash is 32 lower-case hex digits, found \"x\""));
  EXPECT_EQ(ErrorAfter([](Model& m) { *m.add_functions() = m.functions(0); }),
            "there are two functions @forward");
}

// A length-delimited field on the wire.
std::string Field(int number, const std::string& payload) {
  std::string bytes(1, static_cast<char>(number << 3 | 2));
  for (size_t size = payload.size(); true; size >>= 7) {
    bytes += static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0));
    if (size <= 0x7f) return bytes + payload;
  }
}

TEST(NativeTest, BoundsTheNestingOfBodies) {
  for (const int depth : {kMaxRegionDepth + 1, 2000}) {
    std::string text = "format: \"kiln.model\" format_version: 1 functions {";
    std::string body;
    for (int i = 0; i < depth; ++i) text += "ops { body {";
    for (int i = 0; i < depth; ++i) text += "}}";
    for (int i = 0; i < depth; ++i) body = Field(3, Field(7, body));
    native::Model model;
    model.set_format("kiln.model");
    model.set_format_version(1);
    const std::string binary = model.SerializeAsString() + Field(6, body);
    for (const Status& status : {Parse(text + "}", NativeForm::kText).status(),
                                 Parse(binary, NativeForm::kBinary).status()}) {
      EXPECT_FALSE(status.ok());
      if (depth == kMaxRegionDepth + 1) {
        EXPECT_THAT(Message(status), HasSubstr("nest more than 32 deep"));
      }
    }
  }
}

TEST(NativeTest, RefusesOtherFiles) {
  const TemporaryFolder folder;
  EXPECT_THAT(Message(LoadNative(folder.Write("a", "")).status()),
              HasSubstr("a: is no native Kiln model"));
  EXPECT_THAT(Message(LoadNative(folder.path()).status()), HasSubstr("is a directory"));
  EXPECT_THAT(Message(Parse("format: \"kiln.model\"\nwhat: 1", NativeForm::kText).status()),
              HasSubstr("2:5: "));
}

}  // namespace
}  // namespace kiln
