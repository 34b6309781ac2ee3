#include "ir/eval/elementwise.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "ir/eval/scalar.h"
#include "ir/graph/op_def.h"
#include "ir/graph/recipe.h"
#include "ir/ops/shape_util.h"
#include "ir/support/parallel.h"

namespace kiln {

namespace {

// The strides of an operand along the dimensions of the result it broadcasts to: 0 where it
// repeats.
std::vector<int64_t> BroadcastStrides(const Shape& operand, size_t rank) {
  const std::vector<int64_t> own = RowMajorStrides(operand);
  std::vector<int64_t> strides(rank, 0);
  for (size_t d = 0; d < operand.size(); ++d) {
    if (operand[d] != 1) strides[rank - operand.size() + d] = own[d];
  }
  return strides;
}

// The result of an elementwise op in runs along which each operand either advances with the result
// or stays where it is.
class Runs {
 public:
  Runs(const Shape& shape, const std::vector<const Shape*>& operands)
      : outer_(shape), steps_(operands.size(), 0) {
    for (const Shape* const operand : operands) {
      strides_.push_back(BroadcastStrides(*operand, shape.size()));
    }
    while (!outer_.empty() && Joins(outer_.size() - 1)) outer_.pop_back();
  }

  int64_t count() const { return ElementCount(outer_); }
  // The extent of the result's outermost dimension, where no run goes beyond one of its positions;
  // otherwise 0.
  int64_t rows() const { return outer_.empty() ? 0 : outer_[0]; }

  // visit(offset in the result, offset in each operand, number of elements), for some of the runs.
  template <typename Visit>
  void ForEach(int64_t begin, int64_t end, const Visit& visit) const {
    std::vector<int64_t> offsets(strides_.size());
    for (int64_t run = begin; run < end; ++run) {
      std::fill(offsets.begin(), offsets.end(), 0);
      int64_t rest = run;
      for (size_t d = outer_.size(); d-- > 0; rest /= outer_[d]) {
        for (size_t k = 0; k < offsets.size(); ++k) offsets[k] += rest % outer_[d] * strides_[k][d];
      }
      visit(run * length_, offsets, length_);
    }
  }
  // 1 where operand k advances, 0 where it stays.
  int64_t step(size_t k) const { return steps_[k]; }

 private:
  // Whether dimension `d`, the one before those in the run, can join it; it then has.
  bool Joins(size_t d) {
    if (outer_[d] == 1) return true;
    for (size_t k = 0; k < strides_.size(); ++k) {
      const int64_t step = strides_[k][d] == 0 ? 0 : 1;
      if (step == 1 && strides_[k][d] != length_) return false;
      if (length_ != 1 && step != steps_[k]) return false;
    }
    if (length_ == 1) {
      for (size_t k = 0; k < strides_.size(); ++k) steps_[k] = strides_[k][d] == 0 ? 0 : 1;
    }
    length_ *= outer_[d];
    return true;
  }

  Shape outer_;  // the dimensions outside of a run
  int64_t length_ = 1;
  std::vector<int64_t> steps_;
  std::vector<std::vector<int64_t>> strides_;
};

// Computes elements of `op` without a tree walk for each.
class Evaluator {
 public:
  static StatusOr<Evaluator> Make(const Op& op) {
    std::vector<loop::Buffer> inputs;
    std::vector<const Shape*> shapes;
    for (const Op* const operand : op.operands()) {
      inputs.push_back(loop::MakeBuffer("x", ComputeType(operand->element()), {}));
      shapes.push_back(&operand->shape());
    }
    const Reader read = [&](size_t k, const std::vector<loop::Expr>&) {
      return loop::Load(inputs[k], {});
    };
    const std::vector<loop::Expr> anywhere(op.shape().size(), loop::Expr(int64_t{0}));
    KILN_ASSIGN_OR_RETURN(ScalarProgram program,
                          ScalarProgram::Compile(op.def().element(op, read, anywhere), inputs));
    return Evaluator(std::move(program), Runs(op.shape(), shapes));
  }

  const Runs& runs() const { return runs_; }

  // Computes runs [begin, end). load(k, offset, count, out) reads elements of operand k, and
  // store(offset, count, values) takes elements of the result.
  template <typename Load, typename Store>
  void Compute(int64_t begin, int64_t end, const Load& load, const Store& store) const {
    ScalarProgram program = program_;
    runs_.ForEach(begin, end, [&](int64_t to, const std::vector<int64_t>& from, int64_t length) {
      for (int64_t done = 0; done < length; done += ScalarProgram::kBlock) {
        const int64_t count = std::min(length - done, ScalarProgram::kBlock);
        for (size_t k = 0; k < from.size(); ++k) {
          Scalar* const values = program.input(k);
          if (runs_.step(k) == 1) {
            load(k, from[k] + done, count, values);
          } else {
            load(k, from[k], 1, values);
            std::fill_n(values + 1, count - 1, values[0]);
          }
        }
        store(to + done, count, program.Run(count));
      }
    });
  }

 private:
  Evaluator(ScalarProgram program, Runs runs)
      : program_(std::move(program)), runs_(std::move(runs)) {}

  ScalarProgram program_;
  Runs runs_;
};

void LoadScalars(ElementType element, const char* from, int64_t count, Scalar* out) {
  if (element == ElementType::kF32) {
    for (int64_t j = 0; j < count; ++j) {
      float value;
      std::memcpy(&value, from + j * sizeof(float), sizeof(float));
      out[j].f = value;
    }
    return;
  }
  const int64_t size = ByteSize(element);
  for (int64_t j = 0; j < count; ++j) {
    out[j] = IsFloat(element) ? Scalar{.f = LoadDouble(element, from + j * size)}
                              : Scalar{.i = LoadInt(element, from + j * size)};
  }
}

void StoreScalars(ElementType element, const Scalar* values, int64_t count, char* to) {
  if (element == ElementType::kF32) {
    for (int64_t j = 0; j < count; ++j) {
      const auto value = static_cast<float>(values[j].f);
      std::memcpy(to + j * sizeof(float), &value, sizeof(float));
    }
    return;
  }
  const int64_t size = ByteSize(element);
  for (int64_t j = 0; j < count; ++j) {
    if (IsFloat(element)) {
      StoreDouble(element, to + j * size, values[j].f);
    } else {
      StoreInt(element, to + j * size, values[j].i);
    }
  }
}

class ElementwiseRecipe : public TensorRecipe {
 public:
  ElementwiseRecipe(Evaluator evaluator, TensorType type, std::vector<Tensor> operands)
      : evaluator_(std::move(evaluator)), type_(std::move(type)), operands_(std::move(operands)) {}

  void Write(char* to) const override {
    ParallelFor(evaluator_.runs().count(), type_.bytes(),
                [&](int64_t begin, int64_t end) { WriteRuns(begin, end, 0, to); });
  }

  int64_t rows() const override { return evaluator_.runs().rows(); }

  void WriteRows(int64_t begin, int64_t end, char* to) const override {
    const int64_t runs = evaluator_.runs().count() / rows();
    WriteRuns(begin * runs, end * runs, begin * (type_.count() / rows()), to);
  }

 private:
  // Element number `first` goes to `to`.
  void WriteRuns(int64_t begin, int64_t end, int64_t first, char* to) const {
    evaluator_.Compute(
        begin, end,
        [&](size_t k, int64_t offset, int64_t count, Scalar* out) {
          const ElementType element = operands_[k].type().element;
          LoadScalars(element, operands_[k].bytes().data() + offset * ByteSize(element), count,
                      out);
        },
        [&](int64_t offset, int64_t count, const Scalar* values) {
          StoreScalars(type_.element, values, count,
                       to + (offset - first) * ByteSize(type_.element));
        });
  }

  const Evaluator evaluator_;
  const TensorType type_;
  const std::vector<Tensor> operands_;
};

}  // namespace

Status EvaluateElementwise(const Op& op, std::span<const Array* const> operands, Array& result) {
  KILN_ASSIGN_OR_RETURN(const Evaluator evaluator, Evaluator::Make(op));
  evaluator.Compute(
      0, evaluator.runs().count(),
      [&](size_t k, int64_t offset, int64_t count, Scalar* out) {
        for (int64_t j = 0; j < count; ++j) out[j] = GetElement(*operands[k], offset + j);
      },
      [&](int64_t offset, int64_t count, const Scalar* values) {
        for (int64_t j = 0; j < count; ++j) SetElement(result, offset + j, values[j]);
      });
  return OkStatus();
}

StatusOr<Tensor> EvaluateElementwise(const Op& op, std::span<const Tensor* const> operands) {
  KILN_ASSIGN_OR_RETURN(Evaluator evaluator, Evaluator::Make(op));
  std::vector<Tensor> copies;
  for (const Tensor* const operand : operands) copies.push_back(*operand);
  return Tensor::Deferred(op.type(), std::make_shared<ElementwiseRecipe>(
                                         std::move(evaluator), op.type(), std::move(copies)));
}

}  // namespace kiln
