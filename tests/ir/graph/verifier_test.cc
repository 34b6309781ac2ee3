// Every invariant of verifier.h that code outside the builder can break is broken here, and named.
#include "ir/graph/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/graph/builder.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class VerifierTest : public testing::Test {
 protected:
  VerifierTest() : graph_(module_.AddFunction("f")), builder_(graph_) {
    x_ = *builder_.Input("x", TensorType{ElementType::kF32, {2}, {}});
    y_ = *builder_.Input("y", TensorType{ElementType::kF32, {3}, {}});
    a_ = *builder_.Make("neg", {x_});
    b_ = *builder_.Make("exp", {a_});
    graph_->AddOutput("b", b_);
  }

  std::string Error() const { return Message(Verify(module_)); }

  Module module_;
  Graph* graph_;
  Builder builder_;
  Op *x_, *y_, *a_, *b_;
};

TEST_F(VerifierTest, AcceptsWhatTheBuilderMakes) { EXPECT_EQ(Error(), ""); }

TEST_F(VerifierTest, FunctionNamesDiffer) {
  module_.AddFunction("f");
  EXPECT_EQ(Error(), "invariant 1 is broken: there are two functions @f");
}

TEST_F(VerifierTest, TensorsHaveTheBytesOfTheirType) {
  module_.SetParameter({"p", Tensor(TensorType{ElementType::kF32, {2}, {}}, {1, 2, 3})});
  EXPECT_EQ(Error(), "parameter 'p': invariant 2 is broken: a tensor of type f32[2] has 3 bytes");
}

TEST_F(VerifierTest, OperandsStandBeforeTheirUsers) {
  a_->SetOperand(0, b_);
  EXPECT_THAT(Error(), StartsWith("@f: %neg: invariant 4 is broken: operand 0"));
}

TEST_F(VerifierTest, OperandsAreInTheSameGraph) {
  Graph* const other = module_.AddFunction("g");
  b_->SetOperand(0, *Builder(other).Input("z", x_->type()));
  EXPECT_THAT(Error(), StartsWith("@f: %exp: invariant 4 is broken"));
}

TEST_F(VerifierTest, OutputsAreOpsOfTheGraphWithNamesThatDiffer) {
  graph_->AddOutput("b", a_);
  EXPECT_EQ(Error(), "@f: invariant 7 is broken: there are two outputs 'b'");
  Graph* const other = module_.AddFunction("g");
  other->AddOutput("z", a_);
  EXPECT_THAT(Message(Verify(*other)), HasSubstr("invariant 7 is broken"));
}

TEST_F(VerifierTest, InputsHavePublicNamesThatDiffer) {
  ASSERT_TRUE(builder_.Input("x", {}).ok());
  EXPECT_THAT(Error(), StartsWith("@f: invariant 6 is broken: the public name of %x_1"));
}

TEST_F(VerifierTest, TypesAreWhatIsInferred) {
  a_->SetOperand(0, y_);
  EXPECT_EQ(Error(), "@f: %neg: invariant 10 is broken: the type is f32[2], inferred is f32[3]");
}

TEST_F(VerifierTest, ParametersThatOpsReadStay) {
  module_.SetParameter({"p", Tensor::FromInts(ElementType::kI32, {1}, {1})});
  ASSERT_TRUE(builder_.Parameter("p").ok());
  EXPECT_EQ(Error(), "");
  module_.EraseParameter("p");
  EXPECT_THAT(Error(), HasSubstr("invariant 10 is broken: parameter: the module has no"));
}

TEST_F(VerifierTest, BodiesAreVerifiedToo) {
  auto body = std::make_unique<Graph>(&module_, "body");
  Builder inner(body.get());
  Op* const p = *inner.Input("p", x_->type());
  Op* const relu = *inner.Make("relu", {p});
  Op* const neg = *inner.Make("neg", {relu});
  body->AddOutput("result", neg);
  Op* const fusion = *builder_.MakeRegion("fusion", {x_}, std::move(body));
  EXPECT_EQ(Error(), "");
  fusion->body()->AddOutput("second", relu);
  EXPECT_THAT(Error(),
              StartsWith("@f: %fusion: invariant 11 is broken: the body has 1 inputs and 2"));
}

TEST_F(VerifierTest, OpsInsideBodiesKeepTheInvariants) {
  auto body = std::make_unique<Graph>(&module_, "body");
  Builder inner(body.get());
  Op* const p = *inner.Input("p", x_->type());
  Op* const relu = *inner.Make("relu", {p});
  body->AddOutput("result", relu);
  ASSERT_TRUE(builder_.MakeRegion("fusion", {x_}, std::move(body)).ok());
  relu->SetOperand(0, x_);
  EXPECT_THAT(Error(), StartsWith("@f: %fusion: %relu: invariant 4 is broken"));
}

}  // namespace
}  // namespace kiln
