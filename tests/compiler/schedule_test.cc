// Schedules keep what a kernel computes: hand-built kernels run through the loop interpreter before
// and after, on shapes around the vector width.
#include "compiler/schedule/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "ir/loop/interpret.h"

namespace kiln {
namespace {

using loop::Buffer;
using loop::Expr;
using loop::Kernel;
using loop::Var;

Target Avx512() {
  Target target;
  target.vector_bytes = 64;
  target.vector_registers = 32;
  return target;
}

std::vector<float> Run(const Kernel& kernel) {
  std::vector<std::vector<float>> data;
  std::vector<void*> buffers;
  float value = 0.1f;
  for (const auto* list : {&kernel.inputs, &kernel.outputs}) {
    for (const Buffer& buffer : *list) {
      std::vector<float> elements(static_cast<size_t>(ElementCount(buffer->shape)));
      for (float& element : elements) {
        value = std::fmod(value * 1.37f + 0.11f, 2.0f);
        element = value - 1;
      }
      data.push_back(std::move(elements));
    }
  }
  for (auto& elements : data) buffers.push_back(elements.data());
  const Status status = loop::Interpret(kernel, buffers);
  EXPECT_TRUE(status.ok()) << status << "\n" << loop::ToString(kernel);
  return data.back();
}

void ExpectSameResults(const Kernel& kernel) {
  const Kernel scheduled = Schedule(kernel, Avx512());
  ASSERT_TRUE(loop::Verify(scheduled).ok()) << loop::ToString(scheduled);
  const std::vector<float> expected = Run(kernel);
  const std::vector<float> actual = Run(scheduled);
  ASSERT_EQ(expected.size(), actual.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(expected[i], actual[i], 1e-4) << "element " << i << "\n"
                                              << loop::ToString(scheduled);
  }
}

Kernel Matmul(int64_t m, int64_t k, int64_t n, int64_t block) {
  Kernel kernel;
  kernel.name = "matmul";
  const Buffer a = loop::MakeBuffer("a", ElementType::kF32, {m, k});
  const Buffer b =
      block == 0 ? loop::MakeBuffer("b", ElementType::kF32, {k, n})
                 : loop::MakeBuffer("b", ElementType::kF32, {(n + block - 1) / block, k, block});
  const Buffer c = loop::MakeBuffer("c", ElementType::kF32, {m, n});
  const Var i = loop::MakeVar("i", m);
  const Var j = loop::MakeVar("j", n);
  const Var r = loop::MakeVar("r", k);
  std::vector<Expr> b_index = {r, j};
  if (block != 0) b_index = {loop::FloorDiv(j, block), r, loop::FloorMod(j, block)};
  const Expr sum =
      loop::Reduce(loop::ReduceOp::kSum, {r}, loop::Load(a, {i, r}) * loop::Load(b, b_index));
  kernel.inputs = {a, b};
  kernel.outputs = {c};
  kernel.body = loop::For(
      i, loop::For(j, loop::Store(c, {i, j}, loop::Max(sum, loop::Const(ElementType::kF32, 0)))));
  return kernel;
}

TEST(ScheduleTest, MatmulWithEdges) {
  for (const int64_t m : {1, 5, 17}) {
    for (const int64_t n : {1, 15, 16, 17, 40, 57}) ExpectSameResults(Matmul(m, 7, n, 0));
  }
}

TEST(ScheduleTest, MatmulWithPackedColumns) {
  for (const int64_t n : {8, 16, 24, 48, 50}) ExpectSameResults(Matmul(9, 5, n, 16));
}

TEST(ScheduleTest, MatmulTileFillsTheRegisters) {
  const std::string text = loop::ToString(Schedule(Matmul(56, 64, 64, 0), Avx512()));
  EXPECT_THAT(text, testing::HasSubstr("parallel"));
  EXPECT_THAT(text, testing::HasSubstr("unroll"));
  EXPECT_THAT(text, testing::ContainsRegex("vector i[0-9]+:16"));
}

TEST(ScheduleTest, OuterProductIsWrittenRowByRow) {
  // 140 rows of 2048, 1.1 MB: from one piece of work to the next it is 32 columns on.
  const Kernel kernel = Matmul(140, 4, 2048, 0);
  ExpectSameResults(kernel);
  EXPECT_THAT(loop::ToString(Schedule(kernel, Avx512())), testing::HasSubstr("(i0 % 64) * 32"));
  // Rows of 1000 are less than a page, and the result of 100 rows fits into the cache.
  for (const Kernel& other : {Matmul(280, 4, 1000, 0), Matmul(100, 4, 2048, 0)}) {
    EXPECT_THAT(loop::ToString(Schedule(other, Avx512())),
                testing::Not(testing::ContainsRegex("i0 % [0-9]+. [*] 32")));
  }
}

TEST(ScheduleTest, SumOverRowsPagesApartIsCutIntoBlocks) {
  // Rows of 2048, 8 KB, of a matrix that is larger than the L2 cache: 33 steps, 3 times 32 and 32
  // again, in 8 chunks of 256 columns.
  const Kernel kernel = Matmul(3, 161, 2048, 0);
  ExpectSameResults(kernel);
  const std::string text = loop::ToString(Schedule(kernel, Avx512()));
  EXPECT_THAT(text, testing::ContainsRegex("sum<i[0-9]+:33>"));
  EXPECT_THAT(text, testing::ContainsRegex("for i[0-9]+:3 "));
  EXPECT_THAT(text, testing::ContainsRegex("parallel i[0-9]+:8 "));
  // Rows of less than a page, few steps, columns that fill no vectors, a result that is as large.
  for (const Kernel& other : {Matmul(3, 300, 1000, 0), Matmul(3, 100, 2704, 0),
                              Matmul(3, 161, 2051, 0), Matmul(64, 161, 2048, 0)}) {
    const Kernel whole = Schedule(other, Avx512());
    EXPECT_THAT(loop::ToString(whole), testing::Not(testing::HasSubstr("out0[i")));
    EXPECT_THAT(loop::ToString(whole), testing::Not(testing::ContainsRegex("sum<i[0-9]+:3[23]>")));
  }
}

TEST(ScheduleTest, SumIsNotCutWhereTheResultCannotHoldItsParts) {
  Kernel kernel = Matmul(3, 161, 2048, 0);
  const Buffer rounded = loop::MakeBuffer("c", ElementType::kI32, {3, 2048});
  const loop::StmtNode& store = *kernel.body->body[0]->body[0];
  kernel.body = loop::For(
      kernel.body->var,
      loop::For(kernel.body->body[0]->var,
                loop::Store(rounded, store.indices, loop::Cast(ElementType::kI32, store.value))));
  kernel.outputs = {rounded};
  const Kernel scheduled = Schedule(kernel, Avx512());
  EXPECT_TRUE(loop::Verify(scheduled).ok()) << loop::ToString(scheduled);
  EXPECT_THAT(loop::ToString(scheduled), testing::HasSubstr(":161>"));
}

TEST(ScheduleTest, TransposedMatmulIsTiledAsDotProducts) {
  // c[i, j] = sum of a[i, r] * b[j, r]
  const auto transposed = [](int64_t m, int64_t k, int64_t n) {
    Kernel kernel;
    const Buffer a = loop::MakeBuffer("a", ElementType::kF32, {m, k});
    const Buffer b = loop::MakeBuffer("b", ElementType::kF32, {n, k});
    const Buffer c = loop::MakeBuffer("c", ElementType::kF32, {m, n});
    const Var i = loop::MakeVar("i", m), j = loop::MakeVar("j", n), r = loop::MakeVar("r", k);
    kernel.inputs = {a, b};
    kernel.outputs = {c};
    kernel.body = loop::For(
        i, loop::For(j, loop::Store(c, {i, j},
                                    loop::Reduce(loop::ReduceOp::kSum, {r},
                                                 loop::Load(a, {i, r}) * loop::Load(b, {j, r})))));
    return kernel;
  };
  for (const auto& [m, k, n] :
       {std::tuple(12, 64, 40), std::tuple(5, 37, 3), std::tuple(1, 33, 9), std::tuple(9, 16, 1)}) {
    ExpectSameResults(transposed(m, k, n));
  }
  const std::string text = loop::ToString(Schedule(transposed(12, 64, 40), Avx512()));
  EXPECT_THAT(text, testing::ContainsRegex("unroll i[0-9]+:[0-9]+ .\n *unroll i[0-9]+:[0-9]+ "));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("vector")));
  // A sum of fewer steps than lanes.
  EXPECT_THAT(loop::ToString(Schedule(transposed(12, 15, 40), Avx512())),
              testing::Not(testing::HasSubstr("unroll i2:4")));
}

TEST(ScheduleTest, ElementwiseCollapsesToOneLoop) {
  Kernel kernel;
  const Buffer x = loop::MakeBuffer("x", ElementType::kF32, {3, 5, 7});
  const Buffer y = loop::MakeBuffer("y", ElementType::kF32, {3, 5, 7});
  const Var a = loop::MakeVar("a", 3);
  const Var b = loop::MakeVar("b", 5);
  const Var c = loop::MakeVar("c", 7);
  kernel.inputs = {x};
  kernel.outputs = {y};
  kernel.body = loop::For(
      a, loop::For(b, loop::For(c, loop::Store(y, {a, b, c}, -loop::Load(x, {a, b, c})))));
  ExpectSameResults(kernel);
  EXPECT_THAT(loop::ToString(Schedule(kernel, Avx512())), testing::HasSubstr("parallel i0:6"));
}

// y[j / 16][i][j % 16] = x[i][j]
Kernel PackColumns(int64_t rows, int64_t columns) {
  Kernel kernel;
  const Buffer x = loop::MakeBuffer("x", ElementType::kF32, {rows, columns});
  const Buffer y = loop::MakeBuffer("y", ElementType::kF32, {columns / 16, rows, 16});
  const Var panel = loop::MakeVar("panel", columns / 16);
  const Var row = loop::MakeVar("row", rows);
  const Var lane = loop::MakeVar("lane", 16);
  kernel.inputs = {x};
  kernel.outputs = {y};
  kernel.body = loop::For(
      panel, loop::For(row, loop::For(lane, loop::Store(y, {panel, row, lane},
                                                        loop::Load(x, {row, panel * 16 + lane})))));
  return kernel;
}

TEST(ScheduleTest, CopyFromRowsAPageApartTakesSeveralLinesOfEach) {
  for (const int64_t columns : {1024, 1040, 1184}) ExpectSameResults(PackColumns(33, columns));
  EXPECT_THAT(loop::ToString(Schedule(PackColumns(33, 1024), Avx512())),
              testing::ContainsRegex("unroll i[0-9]+:8"));
  EXPECT_THAT(loop::ToString(Schedule(PackColumns(33, 1008), Avx512())),
              testing::Not(testing::HasSubstr("unroll")));
}

TEST(ScheduleTest, BlockedConvolution) {
  // x [1, C/16, 6, 9, 16], w [O/16, C, 3, 3, 16], y [1, O/16, 4, 7, 16]
  const int64_t channels = 32;
  const int64_t results = 48;
  const Buffer x = loop::MakeBuffer("x", ElementType::kF32, {1, channels / 16, 6, 9, 16});
  const Buffer w = loop::MakeBuffer("w", ElementType::kF32, {results / 16, channels, 3, 3, 16});
  const Buffer y = loop::MakeBuffer("y", ElementType::kF32, {1, results / 16, 4, 7, 16});
  const Var n = loop::MakeVar("n", 1);
  const Var oo = loop::MakeVar("oo", results / 16);
  const Var h = loop::MakeVar("h", 4);
  const Var v = loop::MakeVar("v", 7);
  const Var oi = loop::MakeVar("oi", 16);
  const Var c = loop::MakeVar("c", channels);
  const Var kh = loop::MakeVar("kh", 3);
  const Var kw = loop::MakeVar("kw", 3);
  const Expr load_x =
      loop::Load(x, {n, loop::FloorDiv(c, 16), Expr(h) + kh, Expr(v) + kw, loop::FloorMod(c, 16)});
  const Expr load_w = loop::Load(w, {oo, c, kh, kw, oi});
  Kernel kernel;
  kernel.inputs = {x, w};
  kernel.outputs = {y};
  kernel.body = loop::Store(y, {n, oo, h, v, oi},
                            loop::Reduce(loop::ReduceOp::kSum, {c, kh, kw}, load_x * load_w));
  for (const Var& var : {oi, v, h, oo, n}) kernel.body = loop::For(var, kernel.body);
  ExpectSameResults(kernel);
  const std::string text = loop::ToString(Schedule(kernel, Avx512()));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("mod"))) << text;
}

TEST(ScheduleTest, DotProductStaysScalarInItsResult) {
  // y[m] = sum_k a[m, k] * b[k]: lanes along m would gather.
  const Buffer a = loop::MakeBuffer("a", ElementType::kF32, {20, 64});
  const Buffer b = loop::MakeBuffer("b", ElementType::kF32, {64});
  const Buffer y = loop::MakeBuffer("y", ElementType::kF32, {20});
  const Var i = loop::MakeVar("i", 20);
  const Var k = loop::MakeVar("k", 64);
  Kernel kernel;
  kernel.inputs = {a, b};
  kernel.outputs = {y};
  kernel.body = loop::For(i, loop::Store(y, {i},
                                         loop::Reduce(loop::ReduceOp::kSum, {k},
                                                      loop::Load(a, {i, k}) * loop::Load(b, {k}))));
  ExpectSameResults(kernel);
  EXPECT_THAT(loop::ToString(Schedule(kernel, Avx512())),
              testing::Not(testing::HasSubstr("vector")));
}

TEST(ScheduleTest, OrderedNestStaysInOrder) {
  // y[0] = x[0]; y[i+1] = y[i] + x[i+1]
  const Buffer x = loop::MakeBuffer("x", ElementType::kF32, {33});
  const Buffer y = loop::MakeBuffer("y", ElementType::kF32, {33});
  const Var i = loop::MakeVar("i", 32);
  Kernel kernel;
  kernel.inputs = {x};
  kernel.outputs = {y};
  kernel.body = loop::Block(
      {loop::Store(y, {Expr(0)}, loop::Load(x, {Expr(0)})),
       loop::For(i, loop::Store(y, {Expr(i) + 1},
                                loop::Load(y, {Expr(i)}) + loop::Load(x, {Expr(i) + 1})))});
  ExpectSameResults(kernel);
}

}  // namespace
}  // namespace kiln
