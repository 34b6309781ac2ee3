#include "compiler/import/pytorch/pytorch_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/compiler/import/import_test_util.h"
#include "tests/compiler/import/pytorch/program_builder.h"

namespace kiln::pytorch_import {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

StatusOr<std::unique_ptr<Module>> Import(const ProgramBuilder& program,
                                         const ImportOptions& options = {}) {
  return ImportPytorch(program.Build(), options);
}

std::string Error(const ProgramBuilder& program, const ImportOptions& options = {}) {
  return Message(Import(program, options).status());
}

TEST(PytorchImport, ParametersBuffersAndConstantsComeFromTheSignature) {
  ProgramBuilder program;
  program.Weight("parameter", "p_f_weight", "f.weight", Floats({2, 2}, {1, 2, 3, 4}))
      .Weight("buffer", "b_k", "k", Floats({2}, {10, 20}))
      .Weight("tensor_constant", "c_lifted", "lifted_tensor_0", Floats({2}, {100, 200}))
      .Input("x", {1, 2})
      .Node("aten.linear.default", {{"input", "x"}, {"weight", "p_f_weight"}}, {"linear"}, "f")
      .Node("aten.add.Tensor", {{"self", "linear"}, {"other", "b_k"}}, {"add"})
      .Node("aten.add.Tensor", {{"self", "add"}, {"other", "c_lifted"}}, {"add_1"})
      .Output("add_1");
  const auto module = Import(program);
  EXPECT_THAT(Evaluate(module, {Floats({1, 2}, {1, 1})}), ElementsAre(113, 227));
  EXPECT_TRUE((*module)->FindParameter("f.weight")->trainable);
  EXPECT_FALSE((*module)->FindParameter("k")->trainable);
  EXPECT_EQ((*module)->parameters().size(), 2u);
  EXPECT_THAT(OutputNames(**module), ElementsAre("add_1"));
  EXPECT_EQ((*module)->metadata["format"], "pytorch");
}

TEST(PytorchImport, SharedWeightsAreOneParameter) {
  const Tensor shared = Floats({2}, {1, 2});
  ProgramBuilder program;
  program.Weight("parameter", "p_a", "a", shared)
      .Weight("parameter", "p_b", "b", shared)
      .Node("aten.mul.Tensor", {{"self", "p_a"}, {"other", "p_b"}}, {"y"})
      .Output("y");
  const auto module = Import(program);
  EXPECT_THAT(Evaluate(module, {}), ElementsAre(1, 4));
  EXPECT_EQ((*module)->parameters().size(), 1u);
}

TEST(PytorchImport, SeveralResultsAndOutputs) {
  ProgramBuilder program;
  program.Input("x", {2, 2})
      .Node("aten.max.dim", {{"self", "x"}, {"dim", 1}}, {"getitem", "getitem_1"})
      .Output("getitem")
      .OutputSpec({{"user_output", {{"arg", {{"as_none", true}}}}}})
      .Output("getitem_1")
      .Output("getitem");
  const auto module = Import(program);
  const auto outputs = RunOutputs(module, {Floats({2, 2}, {1, 2, 4, 3})});
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_THAT(outputs[0].ToDoubles(), ElementsAre(2, 4));
  EXPECT_THAT(outputs[1].ToInts(), ElementsAre(1, 0));
  EXPECT_THAT(OutputNames(**module), ElementsAre("getitem", "getitem_1", "getitem_2"));
}

ProgramBuilder OpenBatch() {
  ProgramBuilder program;
  program.Input("x", {-1, 4})
      .Input("z", {-1, 2})
      .Node("aten.sym_size.int", {{"self", "x"}, {"dim", 0}}, {"#n"})
      .Node("_operator.mul", {{"a", {{"as_sym_int", {{"as_name", "n"}}}}}, {"b", 2}}, {"#twice"})
      .Node("aten.view.default",
            {{"self", "x"}, {"size", {{{"as_name", "twice"}}, {{"as_int", -1}}}}}, {"view"})
      .Node("aten.cat.default", {{"tensors", {"view", "z"}}}, {"y"})
      .Output("y");
  return program;
}

TEST(PytorchImport, OpenExtentsAreGivenAndComputedWith) {
  EXPECT_THAT(Error(OpenBatch()), HasSubstr("input 'x': dimension 0 of the input's shape is open"));
  ImportOptions options;
  options.batch = 3;
  const auto batch = Import(OpenBatch(), options);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(OutputShape(**batch), (Shape{9, 2}));
  // What one input settles holds for the others.
  ImportOptions shape;
  shape.input_shapes["x"] = {5, 4};
  const auto shaped = Import(OpenBatch(), shape);
  ASSERT_TRUE(shaped.ok()) << shaped.status();
  EXPECT_EQ(OutputShape(**shaped), (Shape{15, 2}));
  shape.input_shapes["z"] = {4, 2};
  EXPECT_THAT(Error(OpenBatch(), shape), HasSubstr("must have 5 in dimension 0"));
  EXPECT_THAT(Error(OpenBatch(), {.input_shapes = {{"q", {1}}}, .batch = 1}),
              HasSubstr("the model has no input 'q'"));
}

TEST(PytorchImport, InPlaceOperatorsChangeWhatTheyWorkOn) {
  ProgramBuilder program;
  program.Input("x", {2})
      .Node("aten.mul.Tensor", {{"self", "x"}, {"other", 2}}, {"mul"})
      .Node("aten.add_.Tensor", {{"self", "mul"}, {"other", 1}}, {"add_"})
      .Node("aten.relu_.default", {{"self", "add_"}}, {"relu_"})
      .Node("aten.add.Tensor", {{"self", "mul"}, {"other", "x"}}, {"y"})
      .Output("y");
  EXPECT_THAT(Evaluate(Import(program), {Floats({2}, {-3, 1})}), ElementsAre(-3, 4));
}

TEST(PytorchImport, ViewsOfWhatIsChangedInPlaceAreRefused) {
  const auto program = [](bool read_later) {
    ProgramBuilder b;
    b.Input("x", {4})
        .Node("aten.exp.default", {{"self", "x"}}, {"exp"})
        .Node("aten.view.default", {{"self", "exp"}, {"size", {2, 2}}}, {"view"})
        .Node("aten.neg_.default", {{"self", "view"}}, {"neg_"})
        .Output(read_later ? "exp" : "neg_");
    return b;
  };
  EXPECT_THAT(Error(program(true)),
              HasSubstr("works in place on memory that 'exp' shares, which is not supported"));
  EXPECT_THAT(Evaluate(Import(program(false)), {Floats({4}, {0, 0, 0, 0})}),
              ElementsAre(-1, -1, -1, -1));
}

TEST(PytorchImport, RegionsWithoutGradientsAreInlined) {
  // The names inside are those outside, for other values.
  ProgramBuilder inner;
  inner.Node("aten.mul.Tensor", {{"self", "x"}, {"other", 2}}, {"y"})
      .Node("aten.add.Tensor", {{"self", "y"}, {"other", "w"}}, {"z"});
  const auto program = [&](const std::string& target, const std::vector<Json>& settings) {
    ProgramBuilder b;
    b.Input("x", {2})
        .Input("w", {2})
        .Region(target, settings, inner, {"w", "x"}, {"x", "w"}, {"z", "x"}, {"y", "v"})
        .Node("aten.sub.Tensor", {{"self", "y"}, {"other", "x"}}, {"z"})
        .Output("z")
        .Output("v");
    return b;
  };
  for (const auto& b :
       {program("higher_order.wrap_with_set_grad_enabled", {false}),
        program("higher_order.wrap_with_autocast", {"'cpu", nullptr, false, true})}) {
    const auto outputs = RunOutputs(Import(b), {Floats({2}, {1, 2}), Floats({2}, {10, 20})});
    ASSERT_EQ(outputs.size(), 2u);
    EXPECT_THAT(outputs[0].ToDoubles(), ElementsAre(20, 40));  // 2 w + x - x
    EXPECT_THAT(outputs[1].ToDoubles(), ElementsAre(10, 20));
  }
  EXPECT_EQ(Error(program("higher_order.wrap_with_autocast", {"'cpu", nullptr, true, true})),
            "region: operator higher_order.wrap_with_autocast is not supported");
  EXPECT_THAT(Error(program("higher_order.wrap_with_set_grad_enabled", {})), HasSubstr("region"));
}

TEST(PytorchImport, TrainingIsRefused) {
  ProgramBuilder counter;
  counter.Weight("buffer", "b_n", "bn.num_batches_tracked", Floats({}, {0}))
      .Node("aten.add_.Tensor", {{"self", "b_n"}, {"other", 1}}, {"add_"})
      .Output("add_");
  EXPECT_THAT(Error(counter), HasSubstr("changes 'bn.num_batches_tracked'"));

  ProgramBuilder mutation;
  mutation.Input("x", {1})
      .Node("aten.relu.default", {{"self", "x"}}, {"y"})
      .OutputSpec({{"buffer_mutation", {{"arg", {{"name", "y"}}}, {"buffer_name", "m"}}}})
      .Output("y");
  EXPECT_THAT(Error(mutation), HasSubstr("the program changes 'm' (buffer_mutation)"));

  ProgramBuilder dropout;
  dropout.Input("x", {1})
      .Node("aten.dropout.default", {{"input", "x"}, {"p", 0.5}, {"train", true}}, {"y"}, "drop")
      .Output("y");
  EXPECT_EQ(Error(dropout), "drop/y: training is not supported; call eval()");
}

TEST(PytorchImport, DropoutWaitsForTraining) {
  ProgramBuilder program;
  program.Input("x", {1})
      .Node("aten.dropout.default", {{"input", "x"}, {"p", 0.25}, {"train", false}}, {"y"})
      .Output("y");
  const auto module = Import(program);
  EXPECT_THAT(Evaluate(module, {Floats({1}, {3})}), ElementsAre(3));
  EXPECT_EQ(CountOps(**module, "dropout"), 1);
}

TEST(PytorchImport, EverythingUnsupportedIsSaidAtOnce) {
  ProgramBuilder program;
  program.Input("x", {1})
      .Node("aten.fft_rfft.default", {{"self", "x"}}, {"a"}, "front")
      .Node("aten.relu.default", {{"self", "a"}, {"strange", 1}}, {"b"}, "layers.0")
      .Node("higher_order.cond", {{"pred", "b"}}, {"c"})
      .Output("c");
  EXPECT_EQ(Error(program),
            "front/a: operator aten.fft_rfft.default is not supported\n"
            "layers.0/b: argument 'strange' of operator aten.relu.default is not supported\n"
            "c: operator higher_order.cond is not supported");
  EXPECT_EQ(Import(program).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(PytorchImport, FailuresDoNotHideOthers) {
  ProgramBuilder program;
  program.Input("x", {2, 3})
      .Node("aten.view.default", {{"self", "x"}, {"size", {4, 2}}}, {"a"}, "one")
      .Node("aten.relu.default", {{"self", "a"}}, {"b"}, "two")
      .Node("aten.mm.default", {{"self", "x"}, {"mat2", "x"}}, {"c"}, "three")
      .Output("b");
  const std::string error = Error(program);
  EXPECT_THAT(error, HasSubstr("one/a: shape [4,2] does not hold 6 elements"));
  EXPECT_THAT(error, HasSubstr("three/c: "));
  EXPECT_EQ(StrSplit(error, '\n').size(), 2u);
}

TEST(PytorchImport, ResultsMustBeWhatTheProgramSays) {
  ProgramBuilder program;
  program.Input("x", {2, 3})
      .Node("aten.relu.default", {{"self", "x"}}, {"y"})
      .Value("y", Meta(ElementType::kF32, {3, 2}))
      .Output("y");
  EXPECT_EQ(Error(program), "y: result 'y' is f32[2,3], but the program says f32[3,2]");
}

TEST(PytorchImport, MalformedProgramsGiveOneLine) {
  const auto error = [](const std::string& text) {
    return Message(ImportPytorch(Archive{{text.begin(), text.end()}, {}, {}}, {}).status());
  };
  EXPECT_EQ(error("{"), "the program is no JSON object");
  EXPECT_EQ(error("{}"), "the program has no graph or no signature");
  const std::string good = ProgramBuilder()
                               .Input("x", {1})
                               .Node("aten.add.Tensor", {{"self", "x"}, {"other", 1.5}}, {"y"})
                               .Output("y")
                               .Text();
  EXPECT_EQ(error(good), "");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    EXPECT_NE(at, text.npos) << from;
    return error(text.replace(at, from.size(), to));
  };
  EXPECT_EQ(with(R"("as_float":1.5)", R"("as_float":[])"),
            "y: argument 'other' is not of the expected kind");
  EXPECT_EQ(with(R"("as_float":1.5)", R"("as_float":{})"),
            "node 0: argument 'other': is no number");
  EXPECT_EQ(with(R"("as_float":1.5)", R"("as_float":-Infinity)"), "");
  EXPECT_THAT(with(R"("as_tensor":{"name":"x"}},"kind")", R"("as_tensor":{"name":"w"}},"kind")"),
              HasSubstr("value 'w' is not defined"));
  EXPECT_THAT(with(R"("dtype":7)", R"("dtype":9)"), HasSubstr("element type is not supported"));
  EXPECT_THAT(with(R"("sizes":[{"as_int":1}])", R"("sizes":[{"as_int":-1}])"), HasSubstr("open"));
  EXPECT_THAT(with(R"("sizes":[{"as_int":1}])", R"("sizes":[{"as_int":99999999999999999}])"),
              HasSubstr("input 'x'"));
  EXPECT_THAT(with(R"("user_output")", R"("token")"), HasSubstr("(token)"));
}

TEST(PytorchImport, WeightsMustBeThereAndOfTheirType) {
  Archive archive = ProgramBuilder()
                        .Weight("parameter", "p_w", "w", Floats({2}, {1, 2}))
                        .Node("aten.relu.default", {{"self", "p_w"}}, {"y"})
                        .Output("y")
                        .Build();
  archive.weights["w"] = Floats({1}, {1});
  EXPECT_EQ(Message(ImportPytorch(archive, {}).status()),
            "'w': result 'p_w' is f32[1], but the program says f32[2]");
  archive.weights.clear();
  EXPECT_EQ(Message(ImportPytorch(archive, {}).status()),
            "'w': the archive has no tensor of this name");
}

}  // namespace
}  // namespace kiln::pytorch_import
