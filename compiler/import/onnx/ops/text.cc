// TfIdfVectorizer: counts of n-grams of integers, weighted.
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

/// The n-grams of one length in the attribute 'pool_int64s'.
struct Grams {
  int64_t length;
  std::vector<int64_t> pool;  // one after another
  int64_t count() const { return static_cast<int64_t>(pool.size()) / length; }
};

StatusOr<std::vector<Grams>> ReadPool(Node& n) {
  const std::vector<int64_t> pool = n.Ints("pool_int64s"), starts = n.Ints("ngram_counts");
  std::vector<Grams> all;
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto length = static_cast<int64_t>(i) + 1;
    const int64_t end = i + 1 < starts.size() ? starts[i + 1] : static_cast<int64_t>(pool.size());
    if (starts[i] < 0 || end < starts[i] || end > static_cast<int64_t>(pool.size()) ||
        (end - starts[i]) % length != 0) {
      return InvalidInput("attribute 'ngram_counts' does not divide the pool into n-grams");
    }
    all.push_back({length, {pool.begin() + starts[i], pool.begin() + end}});
  }
  return all;
}

// How often each n-gram occurs in the rows of x [batch, C], its items `step` apart: [batch, grams].
StatusOr<Op*> Count(Node& n, Op* x, const Grams& grams, int64_t step) {
  Builder& b = n.builder();
  const int64_t batch = x->shape()[0];
  const int64_t places = x->shape()[1] - (grams.length - 1) * step;
  if (places < 1) return b.Broadcast(b.Scalar(ElementType::kF32, 0), {batch, grams.count()});
  StatusOr<Op*> equal = nullptr;
  for (int64_t item = 0; item < grams.length; ++item) {
    std::vector<int64_t> column;
    for (int64_t g = 0; g < grams.count(); ++g) {
      column.push_back(grams.pool[g * grams.length + item]);
    }
    const StatusOr<Op*> found = n.Make(
        "equal", {b.Reshape(SliceAxis(b, x, 1, item * step, places), {batch, places, 1}),
                  b.Constant(Tensor::FromInts(ElementType::kI64, {1, 1, grams.count()}, column))});
    equal = item == 0 ? found : n.Make("and", {equal, found});
  }
  return Reduce(b, "reduce_sum", b.Cast(equal, ElementType::kF32), {1}, false);
}

// The counts of all n-grams in the pool's order, [batch, grams].
StatusOr<Op*> CountAll(Node& n, Op* x, const std::vector<Grams>& pool) {
  constexpr int64_t kMaxSkips = 64;
  const int64_t shortest = n.Int("min_gram_length"), longest = n.Int("max_gram_length");
  const int64_t skips = n.Int("max_skip_count");
  if (skips < 0 || skips > kMaxSkips) {
    return Unsupported("a max_skip_count of ", skips, " is not supported, only 0 to ", kMaxSkips);
  }
  std::vector<StatusOr<Op*>> parts;
  for (const Grams& grams : pool) {
    if (grams.count() == 0) continue;
    StatusOr<Op*> sum = n.builder().Broadcast(n.builder().Scalar(ElementType::kF32, 0),
                                              {x->shape()[0], grams.count()});
    const bool wanted = grams.length >= shortest && grams.length <= longest;
    // Single items have nothing to skip.
    for (int64_t skip = 0; wanted && skip <= (grams.length == 1 ? 0 : skips); ++skip) {
      sum = n.builder().Add(sum, Count(n, x, grams, skip + 1));
    }
    parts.push_back(sum);
  }
  if (parts.empty()) return InvalidInput("the pool has no n-grams");
  return n.Make("concat", parts, {{"axis", int64_t{1}}});
}

Status TfIdfVectorizer(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op * x, n.operand(0));
  if (Rank(x) != 1 && Rank(x) != 2) return InvalidInput("X is ", x->type().ToString());
  const bool single = Rank(x) == 1;
  KILN_ASSIGN_OR_RETURN(x, b.Cast(x, ElementType::kI64));
  if (single) {
    KILN_ASSIGN_OR_RETURN(x, b.Reshape(x, {1, x->shape()[0]}));
  }
  KILN_ASSIGN_OR_RETURN(const auto pool, ReadPool(n));
  KILN_ASSIGN_OR_RETURN(Op* const counts, CountAll(n, x, pool));
  const int64_t grams = counts->shape()[1];
  const std::vector<int64_t> columns = n.Ints("ngram_indexes");
  if (static_cast<int64_t>(columns.size()) != grams) {
    return InvalidInput("attribute 'ngram_indexes' has ", static_cast<int64_t>(columns.size()),
                        " entries for ", grams, " n-grams");
  }
  const int64_t width = *std::max_element(columns.begin(), columns.end()) + 1;
  if (*std::min_element(columns.begin(), columns.end()) < 0 || width > 1024 + 16 * grams) {
    return InvalidInput("attribute 'ngram_indexes' is out of range");
  }
  // The n-gram that each column counts; a column of none reads behind the last one, a zero.
  std::vector<int64_t> sources(width, grams);
  for (int64_t g = 0; g < grams; ++g) sources[columns[g]] = g;
  std::vector<double> weights = n.Floats("weights");
  if (!weights.empty() && static_cast<int64_t>(weights.size()) != grams) {
    return InvalidInput("attribute 'weights' needs ", grams, " entries");
  }
  const std::string mode = n.String("mode");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") {
    return InvalidInput("attribute 'mode' is ", Quote(mode));
  }
  StatusOr<Op*> y = counts;
  if (mode == "IDF") y = n.Make("clip", {y}, {{"min", 0.0}, {"max", 1.0}});
  if (mode != "TF" && !weights.empty()) {
    y = b.Mul(y, b.Constant(Tensor::FromDoubles(ElementType::kF32, {grams}, weights)));
  }
  const std::vector<int64_t> low = {0, 0}, high = {0, 1};
  y = n.Make("pad", {y}, {{"low", low}, {"high", high}});
  y = n.Make("gather", {y, b.Constant(Tensor::FromInts(ElementType::kI64, {width}, sources))},
             {{"axis", int64_t{1}}});
  return n.Result(single ? b.Reshape(y, {width}) : y);
}

}  // namespace

std::vector<OnnxOp> TextOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "TfIdfVectorizer",
                 .handler = TfIdfVectorizer,
                 .attributes = {Required(Int("max_gram_length")), Required(Int("max_skip_count")),
                                Required(Int("min_gram_length")), Required(String("mode")),
                                Required(Ints("ngram_counts")), Required(Ints("ngram_indexes")),
                                Required(Ints("pool_int64s")), Floats("weights")},
                 .limits = "integers only"});
  return ops;
}

}  // namespace kiln::onnx_import
