#include "compiler/lower/in_place.h"

#include <gtest/gtest.h>

#include <functional>

#include "compiler/lower/lower.h"
#include "ir/graph/builder.h"
namespace kiln {
namespace {

using loop::Expr;
using loop::Load;
using loop::MakeBuffer;
using loop::MakeVar;
using loop::Var;

const loop::Buffer kX = MakeBuffer("x", ElementType::kF32, {4, 8});
const loop::Buffer kOther = MakeBuffer("w", ElementType::kF32, {4, 8});
const loop::Buffer kY = MakeBuffer("y", ElementType::kF32, {4, 8});

loop::Kernel KernelOf(loop::Stmt body) { return {"test", {kX, kOther}, {kY}, std::move(body)}; }

/// for i, j: y[i, j] = value(i, j)
loop::Stmt Nest(const std::function<Expr(const Var& i, const Var& j)>& value) {
  const Var i = MakeVar("i", 4), j = MakeVar("j", 8);
  return loop::For(i, loop::LoopKind::kParallel,
                   loop::For(j, loop::LoopKind::kVector, loop::Store(kY, {i, j}, value(i, j))));
}

TEST(InPlaceTest, AnElementReadOnlyForItselfMayBeOverwritten) {
  const loop::Kernel kernel = KernelOf(Nest([](const Var& i, const Var& j) {
    return Load(kX, {i, j}) * Load(kX, {i, j}) + Load(kOther, {i, j});
  }));
  EXPECT_TRUE(MayWriteOver(kernel, 0));
  EXPECT_TRUE(MayWriteOver(kernel, 1));
}

// The epilogue of a contraction: the residual may be overwritten, what is summed may not.
TEST(InPlaceTest, TheResidualOfAContractionButNotItsOperand) {
  const loop::Kernel kernel = KernelOf(Nest([](const Var& i, const Var& j) {
    const Var k = MakeVar("k", 8);
    return loop::Reduce(loop::ReduceOp::kSum, {k}, Load(kX, {i, k})) + Load(kOther, {i, j});
  }));
  EXPECT_FALSE(MayWriteOver(kernel, 0));
  EXPECT_TRUE(MayWriteOver(kernel, 1));
}

TEST(InPlaceTest, ANeighbourMayNotBeOverwritten) {
  EXPECT_FALSE(MayWriteOver(
      KernelOf(Nest([](const Var& i, const Var& j) { return Load(kX, {i, Expr(7) - Expr(j)}); })),
      0));
}

TEST(InPlaceTest, PartialSumsInTheOutputForbidIt) {
  EXPECT_FALSE(MayWriteOver(KernelOf(Nest([](const Var& i, const Var& j) {
                              return Load(kY, {i, j}) + Load(kX, {i, j});
                            })),
                            0));
}

TEST(InPlaceTest, EveryElementMustBeWrittenOnce) {
  const auto copy = [](const Var& i, const Var& j) { return Load(kX, {i, j}); };
  EXPECT_FALSE(MayWriteOver(KernelOf(loop::Block({Nest(copy), Nest(copy)})), 0));
  const Var j = MakeVar("j", 8);
  EXPECT_FALSE(MayWriteOver(
      KernelOf(loop::For(j, loop::Store(kY, {Expr(0), j}, Load(kX, {Expr(0), j})))), 0));
  const Var i = MakeVar("i", 4), k = MakeVar("k", 8);
  EXPECT_FALSE(MayWriteOver(
      KernelOf(loop::For(
          i, loop::For(k, loop::Store(kY, {i, k}, Load(kX, {i, k}), loop::Lt(k, Expr(5)))))),
      0));
}

TEST(InPlaceTest, ReadsOfASectionThatWritesElsewhereForbidIt) {
  const loop::Buffer local = MakeBuffer("t", ElementType::kF32, {8});
  const Var j = MakeVar("j", 8);
  const loop::Stmt fill = loop::For(j, loop::Store(local, {j}, Load(kX, {Expr(0), j})));
  EXPECT_FALSE(MayWriteOver(
      KernelOf(loop::Alloc(local, loop::Block({fill, Nest([&](const Var& i, const Var& k) {
                                                 return Load(kX, {i, k}) + Load(local, {k});
                                               })}))),
      0));
}

TEST(InPlaceTest, ShapesAndElementSizesMustAgree) {
  const Var i = MakeVar("i", 32);
  const loop::Buffer flat = MakeBuffer("x", ElementType::kF32, {32});
  const loop::Buffer wide = MakeBuffer("y", ElementType::kF64, {32});
  const loop::Stmt body =
      loop::For(i, loop::Store(wide, {i}, loop::Cast(ElementType::kF64, Load(flat, {i}))));
  EXPECT_FALSE(MayWriteOver({"cast", {flat}, {wide}, body}, 0));
}

/// The arena of a function of 1024 floats whose ops are each a kernel.
int64_t ArenaOf(const std::function<StatusOr<Op*>(Builder& b, Op* x)>& build) {
  Module module;
  Graph* const graph = module.AddFunction("forward");
  Builder b(graph);
  const auto y = build(b, *b.Input("x", {ElementType::kF32, {1024}, {}}));
  EXPECT_TRUE(y.ok()) << y.status();
  graph->AddOutput("y", *y);
  const auto program = LowerModule(module, {});
  EXPECT_TRUE(program.ok()) << program.status();
  return program->functions[0].workspace_bytes;
}

TEST(InPlaceTest, AChainOfElementwiseOpsNeedsOneBuffer) {
  EXPECT_EQ(ArenaOf([](Builder& b, Op* x) {
              return b.Make("exp", {b.Make("sqrt", {b.Make("abs", {x})})});
            }),
            4096);
}

TEST(InPlaceTest, AnOperandThatIsReadLaterKeepsItsBuffer) {
  EXPECT_EQ(ArenaOf([](Builder& b, Op* x) {
              const auto a = b.Make("abs", {x});
              return b.Make("exp", {b.Add(b.Make("sqrt", {a}), a)});
            }),
            2 * 4096);
}

// x^2 written over x must not be read as x again by the other operand.
TEST(InPlaceTest, TwoViewsOfOneBufferAreNotOverwritten) {
  EXPECT_EQ(ArenaOf([](Builder& b, Op* x) {
              const auto a = b.Make("abs", {x});
              const auto flipped = b.Reshape(b.Reshape(a, {2, 512}), {1024});
              return b.Make("exp", {b.Mul(a, flipped)});
            }),
            2 * 4096);
}

}  // namespace
}  // namespace kiln
