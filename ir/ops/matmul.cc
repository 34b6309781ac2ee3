// Matrix product with numpy's batch broadcasting.
#include "ir/ops/gradient.h"
#include "ir/ops/op_table.h"
#include "ir/ops/shape_util.h"

namespace kiln {

using loop::Expr;

namespace {

/// The shape before the last two dimensions.
Shape BatchShape(const Shape& shape) { return {shape.begin(), shape.end() - 2}; }

/// Extents of operand `k` as the product sees it, transposition undone.
struct Matrix {
  int64_t rows;
  int64_t columns;
};

bool Transposed(const Op& op, size_t k) { return op.Bool(k == 0 ? "transpose_a" : "transpose_b"); }

Matrix MatrixOf(const Op& op, size_t k) {
  const Shape& shape = op.operand(k)->shape();
  const int64_t last = shape.back(), before = shape[shape.size() - 2];
  return Transposed(op, k) ? Matrix{last, before} : Matrix{before, last};
}

StatusOr<TensorType> InferMatmul(const Op& op) {
  KILN_RETURN_IF_ERROR(CheckSameElement(op));
  KILN_RETURN_IF_ERROR(CheckNumeric(op));
  const Shape &a = op.operand(0)->shape(), &b = op.operand(1)->shape();
  if (a.size() < 2 || b.size() < 2) return OpError(op, "both operands must have rank 2 or more");
  const Matrix left = MatrixOf(op, 0), right = MatrixOf(op, 1);
  if (left.columns != right.rows) {
    return OpError(op, "the columns of a must be the rows of b, found ", left.columns, " and ",
                   right.rows);
  }
  auto batch = BroadcastShapes(BatchShape(a), BatchShape(b));
  if (!batch.ok()) return OpError(op, "batch ", Message(batch.status()));
  Shape shape = *std::move(batch);
  shape.push_back(left.rows);
  shape.push_back(right.columns);
  return TensorType{op.operand(0)->element(), std::move(shape)};
}

/// Where the matrix of operand `k` starts for the batch at `index`, and its steps in elements.
struct MatrixView {
  int64_t start;
  int64_t row_step;
  int64_t column_step;
};

MatrixView ViewOf(const Op& op, size_t k, const std::vector<int64_t>& batch) {
  const Matrix matrix = MatrixOf(op, k);
  const int64_t start =
      BroadcastOffset(BatchShape(op.operand(k)->shape()), batch) * matrix.rows * matrix.columns;
  return Transposed(op, k) ? MatrixView{start, 1, matrix.rows}
                           : MatrixView{start, matrix.columns, 1};
}

// T is double, or uint64_t for integers (which wrap).
template <typename T, typename Stored>
T Dot(const std::vector<Stored>& a, int64_t a_start, int64_t a_step, const std::vector<Stored>& b,
      int64_t b_start, int64_t b_step, int64_t count) {
  T sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += static_cast<T>(a[a_start + i * a_step]) * static_cast<T>(b[b_start + i * b_step]);
  }
  return sum;
}

Status EvaluateMatmul(const Op& op, std::span<const Array* const> in, Array& result) {
  const int64_t depth = MatrixOf(op, 0).columns;
  for (Index y(op.shape()); y.valid(); y.Next()) {
    const std::vector<int64_t> batch(y.values().begin(), y.values().end() - 2);
    const int64_t row = y.values()[batch.size()], column = y.values().back();
    const MatrixView a = ViewOf(op, 0, batch), b = ViewOf(op, 1, batch);
    const int64_t a_start = a.start + row * a.row_step, b_start = b.start + column * b.column_step;
    if (result.is_float()) {
      result.floats[y.linear()] = Dot<double>(in[0]->floats, a_start, a.column_step, in[1]->floats,
                                              b_start, b.row_step, depth);
    } else {
      const auto sum = Dot<uint64_t>(in[0]->ints, a_start, a.column_step, in[1]->ints, b_start,
                                     b.row_step, depth);
      result.ints[y.linear()] = WrapInt(result.element, static_cast<int64_t>(sum));
    }
  }
  return OkStatus();
}

/// Operand `k` at batch index `index` (the last two entries are replaced), row and column.
Expr ReadMatrix(const Op& op, const Reader& read, size_t k, std::vector<Expr> index,
                const Expr& row, const Expr& column) {
  index.resize(index.size() - 2);
  const Shape& shape = op.operand(k)->shape();
  std::vector<Expr> own;
  const size_t batch_rank = shape.size() - 2, skip = index.size() - batch_rank;
  for (size_t d = 0; d < batch_rank; ++d) {
    own.push_back(shape[d] == 1 ? Expr(0) : index[skip + d]);
  }
  own.push_back(Transposed(op, k) ? column : row);
  own.push_back(Transposed(op, k) ? row : column);
  return read(k, own);
}

Expr MatmulElement(const Op& op, const Reader& read, const std::vector<Expr>& index) {
  const int64_t depth = MatrixOf(op, 0).columns;
  std::vector<loop::Var> vars;
  Expr k = 0;
  if (depth != 1) {
    vars.push_back(loop::MakeVar("k", depth));
    k = vars.back();
  }
  const Expr a = ReadMatrix(op, read, 0, index, index[index.size() - 2], k);
  const Expr b = ReadMatrix(op, read, 1, index, k, index.back());
  return Reduce(loop::ReduceOp::kSum, vars, Binary(loop::BinaryOp::kMul, a, b));
}

Term Product(const Term& a, const Term& b, bool transpose_a, bool transpose_b) {
  if (!a.has_value() || !b.has_value()) return a.has_value() ? b : a;
  return {a.b(), a.b().Make("matmul", {a.op(), b.op()},
                            {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}})};
}

/// `x` [batch.., i, j] as [batch * i, j].
Term AsRows(const Term& x) {
  if (!x.has_value()) return x;
  const int64_t columns = x.shape().back();
  return x.Reshape({ElementCount({x.shape().begin(), x.shape().end() - 1}), columns});
}

// For y = A B, with what is transposed undone: dA = dy B^T, dB = A^T dy; operands that are stored
// transposed get the transposed gradient. What was broadcast over batches is summed; one matrix b
// for all batches of a is one product of all rows.
StatusOr<Op*> MatmulGradient(Builder& b, Op& op, size_t k, Op* dy_op) {
  const GradientSite at{b, op, k, dy_op};
  const bool ta = op.Bool("transpose_a"), tb = op.Bool("transpose_b");
  if (k == 0) {
    const Term da =
        ta ? Product(at.x(1), at.dy(), tb, true) : Product(at.dy(), at.x(1), false, !tb);
    return SumTo(da, at.x(0).shape()).op();
  }
  Term a = at.x(0), dy = at.dy();
  if (!ta && at.x(1).shape().size() == 2) {
    a = AsRows(a);
    dy = AsRows(dy);
  }
  const Term db = tb ? Product(dy, a, true, ta) : Product(a, dy, !ta, false);
  return SumTo(db, at.x(1).shape()).op();
}

}  // namespace

std::vector<OpDef> MatmulOps() {
  std::vector<OpDef> ops;
  ops.push_back({.name = "matmul",
                 .doc = "Matrix product over the last two dimensions: y[..,i,j] = sum over k of "
                        "a[..,i,k] * b[..,k,j]; the leading dimensions broadcast as numpy's do. "
                        "Integers wrap in their own type.",
                 .operands = {{"a"}, {"b"}},
                 .attributes = {{"transpose_a", Attribute::Kind::kBool, Attribute(false),
                                 "a holds [.., k, i]"},
                                {"transpose_b", Attribute::Kind::kBool, Attribute(false),
                                 "b holds [.., j, k]"}},
                 .traits = kContraction,
                 .infer = InferMatmul,
                 .evaluate = EvaluateMatmul,
                 .element = MatmulElement,
                 .gradient = MatmulGradient});
  return ops;
}

}  // namespace kiln
