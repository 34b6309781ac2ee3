// Generated code against the loop interpreter, for every x86 vector width, on buffers that end at
// an inaccessible page. Kernels are built by hand, as a scheduler would.
#include "compiler/codegen/codegen.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "ir/loop/interpret.h"
#include "tests/compiler/codegen/jit.h"

namespace kiln {
namespace {

using namespace loop;

constexpr ElementType F32 = ElementType::kF32;

/// Bytes that end right before a page that must not be touched.
class GuardedBytes {
 public:
  explicit GuardedBytes(int64_t bytes) : bytes_(bytes) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    mapped_ = (bytes + page - 1) / page * page + page;
    base_ = static_cast<char*>(
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + mapped_ - page, page, PROT_NONE);
    data_ = base_ + mapped_ - page - bytes;
  }
  GuardedBytes(GuardedBytes&& other) noexcept { *this = std::move(other); }
  GuardedBytes& operator=(GuardedBytes&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(mapped_, other.mapped_);
    return *this;
  }
  ~GuardedBytes() {
    if (base_ != nullptr) munmap(base_, mapped_);
  }
  char* data() const { return data_; }
  int64_t size() const { return bytes_; }

 private:
  char* base_ = nullptr;
  char* data_ = nullptr;
  int64_t bytes_ = 0;
  int64_t mapped_ = 0;
};

template <typename T>
void FillWith(GuardedBytes& bytes, const std::function<T()>& next) {
  for (int64_t i = 0; i < bytes.size() / static_cast<int64_t>(sizeof(T)); ++i) {
    const T value = next();
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
}

/// Small numbers, so that integer arithmetic stays interesting and floats do not cancel.
void Fill(const BufferDecl& buffer, GuardedBytes& bytes, std::mt19937& random) {
  const auto number = [&] { return static_cast<float>(random() % 4001) / 1000.0f - 2; };
  switch (buffer.element) {
    case ElementType::kF32: return FillWith<float>(bytes, number);
    case ElementType::kF64: return FillWith<double>(bytes, number);
    case ElementType::kBF16:
      return FillWith<uint16_t>(bytes, [&] { return std::bit_cast<uint32_t>(number()) >> 16; });
    case ElementType::kF16: return FillWith<uint16_t>(bytes, [&] { return random() % 0x7c00; });
    case ElementType::kBool: return FillWith<uint8_t>(bytes, [&] { return random() % 2; });
    case ElementType::kU8: return FillWith<uint8_t>(bytes, [&] { return random() % 251; });
    case ElementType::kI8: return FillWith<int8_t>(bytes, [&] { return random() % 256; });
    case ElementType::kI64: return FillWith<int64_t>(bytes, [&] { return random() % 21 - 10; });
    case ElementType::kU64: return FillWith<uint64_t>(bytes, [&] { return random() % 21; });
    case ElementType::kU16: return FillWith<uint16_t>(bytes, [&] { return random(); });
    case ElementType::kI16: return FillWith<int16_t>(bytes, [&] { return random(); });
    case ElementType::kU32: return FillWith<uint32_t>(bytes, [&] { return random(); });
    case ElementType::kI32:
      return FillWith<int32_t>(bytes, [&] { return static_cast<int32_t>(random() % 21) - 10; });
  }
}

int64_t Bytes(const BufferDecl& buffer) {
  return ElementCount(buffer.shape) * ByteSize(buffer.element);
}

double FloatAt(ElementType type, const char* bytes, int64_t i) {
  if (type == ElementType::kF64) {
    double value;
    std::memcpy(&value, bytes + 8 * i, 8);
    return value;
  }
  float value;
  std::memcpy(&value, bytes + 4 * i, 4);
  return value;
}

void ExpectEqualBytes(const BufferDecl& buffer, const char* actual, const char* expected,
                      double tolerance) {
  if (buffer.element != F32 && buffer.element != ElementType::kF64) {
    for (int64_t i = 0; i < Bytes(buffer); ++i) {
      ASSERT_EQ(int{actual[i]}, int{expected[i]}) << buffer.name << " byte " << i;
    }
    return;
  }
  for (int64_t i = 0; i < ElementCount(buffer.shape); ++i) {
    const double a = FloatAt(buffer.element, actual, i), e = FloatAt(buffer.element, expected, i);
    if (std::isnan(e) || std::isinf(e)) {
      ASSERT_TRUE(std::isnan(e) ? std::isnan(a) : a == e) << buffer.name << " " << i << ": " << a;
    } else {
      ASSERT_NEAR(a, e, tolerance * std::max(1.0, std::abs(e))) << buffer.name << " element " << i;
    }
  }
}

class Codegen : public ::testing::TestWithParam<const char*> {
 protected:
  Target GetTarget() const {
    StatusOr<Target> target =
        std::string(GetParam()) == "host" ? HostTarget() : MakeTarget("", GetParam());
    EXPECT_TRUE(target.ok()) << target.status();
    return *target;
  }

  /// Runs the kernel compiled and interpreted on the same random buffers.
  void Check(const Kernel& kernel, double tolerance = 1e-5) {
    const Status verified = Verify(kernel);
    ASSERT_TRUE(verified.ok()) << verified << "\n" << ToString(kernel);
    const auto compiled = CompiledKernel::Make(kernel, GetTarget());
    ASSERT_TRUE(compiled.ok()) << compiled.status() << "\n" << ToString(kernel);
    std::mt19937 random(1);
    std::vector<GuardedBytes> actual, expected;
    std::vector<void*> actual_pointers, expected_pointers;
    for (const auto* list : {&kernel.inputs, &kernel.outputs}) {
      for (const Buffer& buffer : *list) {
        actual.emplace_back(Bytes(*buffer));
        Fill(*buffer, actual.back(), random);
        expected.emplace_back(Bytes(*buffer));
        std::memcpy(expected.back().data(), actual.back().data(), Bytes(*buffer));
        actual_pointers.push_back(actual.back().data());
        expected_pointers.push_back(expected.back().data());
      }
    }
    compiled->Run(actual_pointers);
    const Status status = Interpret(kernel, expected_pointers);
    ASSERT_TRUE(status.ok()) << status;
    const size_t inputs = kernel.inputs.size();
    for (size_t i = 0; i < kernel.outputs.size(); ++i) {
      ExpectEqualBytes(*kernel.outputs[i], actual[inputs + i].data(), expected[inputs + i].data(),
                       tolerance);
    }
    if (HasFailure()) ADD_FAILURE() << ToString(kernel);
  }
};

Expr F(double value) { return Const(F32, value); }

/// y[i] = f(x[i], w[i]) over n elements in one vector loop.
Kernel Elementwise(ElementType in, ElementType out, int64_t n,
                   const std::function<Expr(Expr, Expr)>& f) {
  const Buffer x = MakeBuffer("x", in, {n}), w = MakeBuffer("w", in, {n});
  const Buffer y = MakeBuffer("y", out, {n});
  const Var i = MakeVar("i", n);
  return {"elementwise",
          {x, w},
          {y},
          For(i, LoopKind::kVector, Store(y, {i}, f(Load(x, {i}), Load(w, {i}))))};
}

TEST_P(Codegen, ElementwiseOfEveryLength) {
  for (const int64_t n : {0, 1, 2, 3, 7, 8, 13, 16, 17, 31, 33, 64, 100, 1000}) {
    Check(Elementwise(F32, F32, n, [](Expr a, Expr b) { return Max(a * b + a, F(0)); }));
  }
}

TEST_P(Codegen, IntegerOperators) {
  for (int t = 0; t < kNumElementTypes; ++t) {
    const auto type = static_cast<ElementType>(t);
    if (!IsInteger(type)) continue;
    for (const BinaryOp op :
         {BinaryOp::kAdd, BinaryOp::kSub, BinaryOp::kMul, BinaryOp::kDiv, BinaryOp::kRem,
          BinaryOp::kFloorDiv, BinaryOp::kFloorMod, BinaryOp::kMin, BinaryOp::kMax, BinaryOp::kPow,
          BinaryOp::kAnd, BinaryOp::kOr, BinaryOp::kXor, BinaryOp::kShl, BinaryOp::kShr}) {
      Check(Elementwise(type, type, 37, [&](Expr a, Expr b) { return Binary(op, a, b); }));
    }
    for (const UnaryOp op : {UnaryOp::kNeg, UnaryOp::kBitNot, UnaryOp::kAbs, UnaryOp::kSign}) {
      Check(Elementwise(type, type, 37, [&](Expr a, Expr) { return Unary(op, a); }));
    }
    for (const BinaryOp op : {BinaryOp::kEq, BinaryOp::kNe, BinaryOp::kLt, BinaryOp::kLe,
                              BinaryOp::kGt, BinaryOp::kGe}) {
      Check(Elementwise(type, ElementType::kBool, 37,
                        [&](Expr a, Expr b) { return Binary(op, a, b); }));
    }
  }
}

TEST_P(Codegen, FloatOperators) {
  for (const ElementType type : {F32, ElementType::kF64}) {
    for (const BinaryOp op :
         {BinaryOp::kDiv, BinaryOp::kRem, BinaryOp::kFloorMod, BinaryOp::kMin, BinaryOp::kMax}) {
      Check(Elementwise(type, type, 19, [&](Expr a, Expr b) { return Binary(op, a, b); }));
    }
    for (const UnaryOp op : {UnaryOp::kNeg, UnaryOp::kAbs, UnaryOp::kSign, UnaryOp::kFloor,
                             UnaryOp::kCeil, UnaryOp::kRound, UnaryOp::kTrunc, UnaryOp::kSqrt}) {
      Check(Elementwise(type, type, 19, [&](Expr a, Expr) { return Unary(op, a); }));
    }
  }
}

TEST_P(Codegen, MinAndMaxPassNanOn) {
  const double nan = std::nan("");
  for (const BinaryOp op : {BinaryOp::kMin, BinaryOp::kMax}) {
    const auto choose = [&](Expr a, Expr b) { return Select(Lt(a, F(0)), F(nan), b); };
    Check(Elementwise(F32, F32, 40, [&](Expr a, Expr b) { return Binary(op, choose(a, b), b); }));
    Check(Elementwise(F32, F32, 40, [&](Expr a, Expr b) { return Binary(op, b, choose(a, b)); }));
    Check(
        Elementwise(F32, F32, 40, [&](Expr a, Expr b) { return Binary(op, choose(a, b), F(0)); }));
    Check(
        Elementwise(F32, F32, 40, [&](Expr a, Expr b) { return Binary(op, F(0), choose(a, b)); }));
  }
}

TEST_P(Codegen, CastsBetweenAllTypes) {
  for (int from = 0; from < kNumElementTypes; ++from) {
    for (int to = 0; to < kNumElementTypes; ++to) {
      const auto source = static_cast<ElementType>(from), target = static_cast<ElementType>(to);
      if (source == target) continue;
      const bool half = source == ElementType::kF16 || source == ElementType::kBF16;
      Check(Elementwise(source, target, 21,
                        [&](Expr a, Expr) { return Cast(target, half ? Cast(F32, a) : a); }));
    }
  }
}

TEST_P(Codegen, FloatToIntSaturates) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const ElementType to : {ElementType::kI8, ElementType::kU8, ElementType::kI32,
                               ElementType::kU32, ElementType::kI64, ElementType::kU64}) {
    for (const double scale : {1e3, 1e10, 1e30, inf, std::nan("")}) {
      Check(Elementwise(F32, to, 21, [&](Expr a, Expr) { return Cast(to, a * F(scale)); }));
    }
  }
}

/// Every f16 (bf16) bit pattern to f32 and back, and f32 values around rounding boundaries.
TEST_P(Codegen, HalfConversionsAreExact) {
  for (const ElementType type : {ElementType::kF16, ElementType::kBF16}) {
    const Buffer half = MakeBuffer("h", type, {65536}), back = MakeBuffer("b", type, {65536});
    const Buffer wide = MakeBuffer("w", F32, {65536});
    const Buffer noisy = MakeBuffer("n", F32, {65536}), rounded = MakeBuffer("r", type, {65536});
    const Var i = MakeVar("i", 65536), j = MakeVar("j", 65536), k = MakeVar("k", 65536);
    const Kernel kernel{
        "half",
        {half, noisy},
        {wide, back, rounded},
        Block({For(i, LoopKind::kVector, Store(wide, {i}, Cast(F32, Load(half, {i})))),
               For(j, LoopKind::kVector, Store(back, {j}, Cast(type, Load(wide, {j})))),
               For(k, LoopKind::kVector, Store(rounded, {k}, Cast(type, Load(noisy, {k}))))})};
    const auto compiled = CompiledKernel::Make(kernel, GetTarget());
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    std::vector<uint16_t> h(65536), b(65536), r(65536), r_expected(65536);
    std::vector<float> w(65536), w_expected(65536), n(65536);
    std::mt19937 random(3);
    for (int bits = 0; bits < 65536; ++bits) {
      h[bits] = static_cast<uint16_t>(bits);
      n[bits] = std::bit_cast<float>(static_cast<uint32_t>(random()));
      if (bits % 2)
        n[bits] = std::ldexp(static_cast<float>(random() % 65536) / 4096, bits % 40 - 25);
    }
    compiled->Run({h.data(), n.data(), w.data(), b.data(), r.data()});
    std::vector<uint16_t> scratch(65536);
    ASSERT_TRUE(Interpret(kernel, {h.data(), n.data(), w_expected.data(), scratch.data(),
                                   r_expected.data()})
                    .ok());
    for (int bits = 0; bits < 65536; ++bits) {
      if (std::isnan(w_expected[bits])) {
        ASSERT_TRUE(std::isnan(w[bits])) << bits;
      } else {
        ASSERT_EQ(w[bits], w_expected[bits]) << bits;
        ASSERT_EQ(b[bits], bits);
      }
      if (!std::isnan(n[bits])) {
        ASSERT_EQ(r[bits], r_expected[bits]) << n[bits];
      }
    }
  }
}

TEST_P(Codegen, RowReductions) {
  for (const int64_t n : {0, 1, 3, 7, 16, 40, 64, 100, 1000}) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kProd, ReduceOp::kMin, ReduceOp::kMax}) {
      for (const ElementType type : {F32, ElementType::kI32, ElementType::kU8}) {
        const Buffer x = MakeBuffer("x", type, {5, n}), y = MakeBuffer("y", type, {5});
        const Var row = MakeVar("row", 5), k = MakeVar("k", n);
        Check({"row",
               {x},
               {y},
               For(row, LoopKind::kParallel, Store(y, {row}, Reduce(op, {k}, Load(x, {row, k}))))});
      }
    }
  }
}

TEST_P(Codegen, ColumnAndPlaneReductions) {
  const Buffer x = MakeBuffer("x", F32, {9, 11, 37});
  const Buffer column = MakeBuffer("c", F32, {37}), plane = MakeBuffer("p", F32, {9});
  const Var c = MakeVar("c", 37), a = MakeVar("a", 9), b = MakeVar("b", 11);
  const Var p = MakeVar("p", 9), u = MakeVar("u", 11), v = MakeVar("v", 37);
  Check({"planes",
         {x},
         {column, plane},
         Block({For(c, LoopKind::kVector,
                    Store(column, {c}, Reduce(ReduceOp::kSum, {a, b}, Load(x, {a, b, c})))),
                For(p, LoopKind::kUnroll,
                    Store(plane, {p},
                          Reduce(ReduceOp::kMax, {u, v}, Load(x, {p, u, v}) * F(2)) + F(1)))})});
}

TEST_P(Codegen, SoftmaxWithLocalRow) {
  const int64_t n = 37;
  const Buffer x = MakeBuffer("x", F32, {4, n}), y = MakeBuffer("y", F32, {4, n});
  const Buffer top = MakeBuffer("top", F32, {1}), row_exp = MakeBuffer("e", F32, {n});
  const Buffer total = MakeBuffer("total", F32, {1});
  const Var row = MakeVar("row", 4), i = MakeVar("i", n), j = MakeVar("j", n);
  const Var k = MakeVar("k", n), l = MakeVar("l", n);
  const Expr shifted = Load(x, {row, i}) - Load(top, {Expr(0)});
  const Stmt body = Block({
      Store(top, {Expr(0)}, Reduce(ReduceOp::kMax, {k}, Load(x, {row, k}))),
      For(i, LoopKind::kVector, Store(row_exp, {i}, Unary(UnaryOp::kExp, shifted))),
      Store(total, {Expr(0)}, Reduce(ReduceOp::kSum, {l}, Load(row_exp, {l}))),
      For(j, LoopKind::kVector, Store(y, {row, j}, Load(row_exp, {j}) / Load(total, {Expr(0)}))),
  });
  Check({"softmax",
         {x},
         {y},
         For(row, LoopKind::kParallel, Alloc(top, Alloc(row_exp, Alloc(total, body))))});
}

TEST_P(Codegen, NestedReductionsInOneExpression) {
  const int64_t n = 29;
  const Buffer x = MakeBuffer("x", F32, {6, n}), y = MakeBuffer("y", F32, {6, n});
  const Var row = MakeVar("row", 6), i = MakeVar("i", n);
  const Var k = MakeVar("k", n), l = MakeVar("l", n), m = MakeVar("m", n);
  const Expr mean = Reduce(ReduceOp::kSum, {k}, Load(x, {row, k})) * F(1.0 / n);
  const Expr difference = Load(x, {row, l}) - mean;
  const Expr variance = Reduce(ReduceOp::kSum, {l}, difference * difference) * F(1.0 / n);
  const Expr top = Reduce(ReduceOp::kMax, {m}, Load(x, {row, m}));
  const Expr value = (Load(x, {row, i}) - mean) / Unary(UnaryOp::kSqrt, variance + F(1e-5)) + top;
  Check({"norm",
         {x},
         {y},
         For(row, LoopKind::kUnroll, For(i, LoopKind::kVector, Store(y, {row, i}, value)))});
}

/// c[m,n] = relu(sum_k a[m,k] * b[k,n] + bias[n]) in tiles of tm x tn, edges by predicates.
Kernel Matmul(int64_t m, int64_t n, int64_t k, int64_t tm, int64_t tn) {
  const Buffer a = MakeBuffer("a", F32, {m, k}), b = MakeBuffer("b", F32, {k, n});
  const Buffer bias = MakeBuffer("bias", F32, {n}), c = MakeBuffer("c", F32, {m, n});
  const Var mo = MakeVar("mo", (m + tm - 1) / tm), no = MakeVar("no", (n + tn - 1) / tn);
  const Var mi = MakeVar("mi", tm), ni = MakeVar("ni", tn), kk = MakeVar("k", k);
  const Expr row = Expr(mo) * tm + mi, column = Expr(no) * tn + ni;
  const Expr inside = And(Lt(row, m), Lt(column, n));
  const Expr product = Load(a, {row, kk}) * Load(b, {kk, column});
  const Expr value = Max(Reduce(ReduceOp::kSum, {kk}, product) + Load(bias, {column}), F(0));
  return {"matmul",
          {a, b, bias},
          {c},
          For(mo, LoopKind::kParallel,
              For(no, For(mi, LoopKind::kUnroll,
                          For(ni, LoopKind::kVector, Store(c, {row, column}, value, inside)))))};
}

TEST_P(Codegen, MatmulTilesWithEdges) {
  Check(Matmul(28, 64, 33, 14, 32));
  Check(Matmul(17, 37, 5, 6, 32));
  Check(Matmul(1, 100, 64, 1, 64));
  Check(Matmul(5, 3, 100, 4, 16));
  Check(Matmul(13, 1, 7, 4, 16));
}

/// A convolution over channel blocks with padding: taps outside the image read as zero.
TEST_P(Codegen, PaddedConvolution) {
  const int64_t h = 6, w = 9, channels = 3, block = 16;
  const Buffer x = MakeBuffer("x", F32, {channels, h, w});
  const Buffer weights = MakeBuffer("w", F32, {channels, 3, 3, block});
  const Buffer y = MakeBuffer("y", F32, {h, w, block});
  const Var row = MakeVar("row", h), column = MakeVar("column", w / 3), pixel = MakeVar("p", 3);
  const Var lane = MakeVar("lane", block);
  const Var c = MakeVar("c", channels), kh = MakeVar("kh", 3), kw = MakeVar("kw", 3);
  const Expr in_row = Expr(row) + kh - 1, out_column = Expr(column) * 3 + pixel;
  const Expr in_column = out_column + kw - 1;
  const Expr inside =
      And(And(Ge(in_row, 0), Lt(in_row, h)), And(Ge(in_column, 0), Lt(in_column, w)));
  const Expr tap = Select(inside, Load(x, {c, in_row, in_column}), F(0));
  const Expr value = Reduce(ReduceOp::kSum, {c, kh, kw}, tap * Load(weights, {c, kh, kw, lane}));
  Check({"conv",
         {x, weights},
         {y},
         For(row, LoopKind::kParallel,
             For(column,
                 For(pixel, LoopKind::kUnroll,
                     For(lane, LoopKind::kVector, Store(y, {row, out_column, lane}, value)))))});
}

/// A sum over guarded taps that decides between itself and something else, as in leaky_relu.
TEST_P(Codegen, ConditionOnAPaddedSum) {
  const int64_t w = 40;
  const Buffer x = MakeBuffer("x", F32, {w}), weights = MakeBuffer("w", F32, {4, 3});
  const Buffer y = MakeBuffer("y", F32, {4, w});
  const Var row = MakeVar("row", 4), column = MakeVar("column", w), k = MakeVar("k", 3);
  const Expr from = Expr(column) + k - 1, inside = And(Ge(from, 0), Lt(from, w));
  const Expr tap = Select(inside, Load(x, {from}), F(0));
  const Expr sum = Reduce(ReduceOp::kSum, {k}, tap * Load(weights, {row, k}));
  const Expr value = Select(Gt(sum, F(0.25)), sum, sum * F(0.5));
  for (const LoopKind kind : {LoopKind::kSerial, LoopKind::kUnroll}) {
    Check({"leaky",
           {x, weights},
           {y},
           For(row, kind, For(column, LoopKind::kVector, Store(y, {row, column}, value)))});
  }
}

/// Pads whose condition varies across the lanes.
TEST_P(Codegen, PaddedRowsAndPooling) {
  for (const ElementType type : {F32, ElementType::kU8, ElementType::kF64}) {
    const int64_t n = 45;
    const Buffer x = MakeBuffer("x", type, {n}), y = MakeBuffer("y", type, {n + 10});
    const Buffer pooled = MakeBuffer("z", type, {n});
    const Var i = MakeVar("i", n + 10), j = MakeVar("j", n), k = MakeVar("k", 5);
    const Expr from = Expr(i) - 5, window = Expr(j) + k - 2;
    const Expr inside = And(Ge(from, 0), Lt(from, n));
    const Expr in_window = And(Ge(window, 0), Lt(window, n));
    const Expr lowest = NeutralElement(ReduceOp::kMax, type);
    Check({"pad",
           {x},
           {y, pooled},
           Block({For(i, LoopKind::kVector,
                      Store(y, {i}, Select(inside, Load(x, {from}), Const(type, 7)))),
                  For(j, LoopKind::kVector,
                      Store(pooled, {j},
                            Reduce(ReduceOp::kMax, {k},
                                   Select(in_window, Load(x, {window}), lowest))))})});
  }
}

/// The values that stand in for what a guard keeps out are bits for the types that are only stored.
TEST_P(Codegen, GuardedLoadsOfStorageTypes) {
  for (const ElementType type : {ElementType::kF16, ElementType::kBF16}) {
    const Buffer x = MakeBuffer("x", type, {21}), y = MakeBuffer("y", type, {25});
    const Var i = MakeVar("i", 25);
    const Expr from = Expr(i) - 2, inside = And(Ge(from, 0), Lt(from, 21));
    const Expr value = Select(inside, Cast(F32, Load(x, {from})), F(1.5));
    for (const LoopKind kind : {LoopKind::kSerial, LoopKind::kVector}) {
      Check({"half", {x}, {y}, For(i, kind, Store(y, {i}, Cast(type, value)))});
    }
  }
}

/// Rows that are pooled with padding, in a block of lanes that the channels do not fill.
TEST_P(Codegen, PaddedPoolInPartialBlock) {
  const Buffer x = MakeBuffer("x", F32, {6, 5}), y = MakeBuffer("y", F32, {6, 8});
  const Var row = MakeVar("row", 6), lane = MakeVar("lane", 8), k = MakeVar("k", 3);
  const Expr from = Expr(row) + k - 1, inside = And(Ge(from, 0), Lt(from, 6));
  const Expr tap = Select(inside, Load(x, {from, lane}), NeutralElement(ReduceOp::kMax, F32));
  const Expr value = Select(Lt(lane, 5), Reduce(ReduceOp::kMax, {k}, tap), F(0));
  for (const LoopKind kind : {LoopKind::kSerial, LoopKind::kUnroll}) {
    Check({"pool",
           {x},
           {y},
           For(row, kind, For(lane, LoopKind::kVector, Store(y, {row, lane}, value)))});
  }
}

TEST_P(Codegen, GathersStridesAndScatters) {
  const Buffer x = MakeBuffer("x", F32, {40, 6}), index = MakeBuffer("i", ElementType::kI32, {25});
  const Buffer y = MakeBuffer("y", F32, {25}), t = MakeBuffer("t", F32, {6, 40});
  const Buffer r = MakeBuffer("r", F32, {40});
  const Var i = MakeVar("i", 25), a = MakeVar("a", 6), b = MakeVar("b", 40), c = MakeVar("c", 40);
  // The index is clamped, as a lowering of gather does.
  const Expr position = Cast(ElementType::kI64, Load(index, {i}));
  const Expr clamped = Min(Max(position + 10, 0), 39);
  Check({"gather",
         {x, index},
         {y, t, r},
         Block({For(i, LoopKind::kVector, Store(y, {i}, Load(x, {clamped, FloorMod(i, 6)}))),
                For(a, LoopKind::kUnroll,
                    For(b, LoopKind::kVector, Store(t, {a, b}, Load(x, {b, a})))),
                For(c, LoopKind::kVector, Store(r, {Expr(39) - c}, Load(t, {Expr(3), c})))})});
}

TEST_P(Codegen, PredicatedStores) {
  const int64_t n = 50;
  const Buffer x = MakeBuffer("x", F32, {n}), y = MakeBuffer("y", F32, {n});
  const Buffer z = MakeBuffer("z", F32, {n}), s = MakeBuffer("s", F32, {n});
  const Var i = MakeVar("i", n), row = MakeVar("row", 5), j = MakeVar("j", 10);
  const Var k = MakeVar("k", n);
  const Expr flat = Expr(row) * 10 + j;
  Check(
      {"predicates",
       {x},
       {y, z, s},
       Block({For(i, LoopKind::kVector, Store(y, {i}, Load(x, {i}) + F(1), Gt(Load(x, {i}), F(0)))),
              For(row, For(j, LoopKind::kVector,
                           Store(z, {flat}, Load(x, {flat}), Eq(FloorMod(row, 2), 1)))),
              For(k, Store(s, {k}, Load(x, {Expr(k) + 3}), Lt(Expr(k) + 3, n)))})});
}

TEST_P(Codegen, IndexValuesAndBool) {
  const Buffer y = MakeBuffer("y", ElementType::kI64, {37}), f = MakeBuffer("f", F32, {37});
  const Buffer m = MakeBuffer("m", ElementType::kBool, {37});
  const Var i = MakeVar("i", 37), j = MakeVar("j", 37), k = MakeVar("k", 37);
  Check({"iota",
         {},
         {y, f, m},
         Block({For(i, LoopKind::kVector, Store(y, {i}, FloorDiv(Expr(i) * 3 - 20, 7))),
                For(j, LoopKind::kVector, Store(f, {j}, Cast(F32, j) * F(0.5))),
                For(k, LoopKind::kVector,
                    Store(m, {k}, Or(Lt(k, 5), Unary(UnaryOp::kNot, Lt(k, 30)))))})});
}

TEST_P(Codegen, EmptyBuffersAreNeverTouched) {
  const Buffer none = MakeBuffer("none", F32, {0}), y = MakeBuffer("y", F32, {20});
  const Var i = MakeVar("i", 20), k = MakeVar("k", 0);
  const Expr sum = Reduce(ReduceOp::kSum, {k}, Load(none, {k}));
  const Expr value = Select(Lt(i, 0), Load(none, {i}), sum + F(3));
  Check({"empty", {none}, {y}, For(i, LoopKind::kVector, Store(y, {i}, value))});
}

INSTANTIATE_TEST_SUITE_P(Targets, Codegen,
                         ::testing::Values("host", "x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(CodegenText, IsDeterministicAndCrosses) {
  const Kernel kernel = Matmul(28, 64, 33, 14, 32);
  for (const char* triple : {"x86_64-linux-gnu", "aarch64-linux-gnu"}) {
    const auto target = MakeTarget(triple, "");
    ASSERT_TRUE(target.ok()) << target.status();
    for (const CodeForm form : {CodeForm::kLlvmIr, CodeForm::kAssembly, CodeForm::kObject}) {
      const auto once = CompileKernel(kernel, "k", *target, form);
      const auto again = CompileKernel(kernel, "k", *target, form);
      ASSERT_TRUE(once.ok()) << once.status();
      EXPECT_EQ(*once, *again);
    }
  }
}

TEST(CodegenTarget, UnknownNamesAreErrors) {
  EXPECT_THAT(Message(MakeTarget("pdp11-unix", "").status()),
              ::testing::HasSubstr("unknown target"));
  EXPECT_THAT(Message(MakeTarget("", "z80").status()), ::testing::HasSubstr("unknown CPU 'z80'"));
}

TEST(CodegenTarget, KnowsVectorWidths) {
  EXPECT_EQ(MakeTarget("x86_64-linux-gnu", "znver4")->vector_bytes, 64);
  EXPECT_EQ(MakeTarget("x86_64-linux-gnu", "x86-64-v3")->vector_bytes, 32);
  EXPECT_EQ(MakeTarget("x86_64-linux-gnu", "x86-64-v2")->vector_bytes, 16);
  EXPECT_EQ(MakeTarget("aarch64-linux-gnu", "cortex-a72")->vector_registers, 32);
  EXPECT_FALSE(MakeTarget("x86_64-linux-gnu", "x86-64-v2")->has_fma);
}

TEST(CodegenSections, ExtentsAreOfTheParallelLoops) {
  const Buffer y = MakeBuffer("y", F32, {8});
  const Var i = MakeVar("i", 8), j = MakeVar("j", 8);
  const Kernel kernel{"k",
                      {},
                      {y},
                      Block({For(i, LoopKind::kParallel, Store(y, {i}, F(1))),
                             For(j, Store(y, {j}, Load(y, {j}) + F(1)))})};
  EXPECT_THAT(SectionExtents(kernel), ::testing::ElementsAre(8, 1));
}

}  // namespace
}  // namespace kiln
