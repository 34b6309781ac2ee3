#include "runtime/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kiln {

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kTop = 5;

const kiln_function_info* Find(const kiln_library_info& library, const char* name) {
  for (int32_t i = 0; i < library.num_functions; ++i) {
    if (std::strcmp(library.functions[i].name, name) == 0) return &library.functions[i];
  }
  return nullptr;
}

// Items as the function takes them, or flattened.
bool Fits(const std::vector<int64_t>& shape, const std::vector<int64_t>& item) {
  if (shape.empty()) return false;
  const std::vector<int64_t> found(shape.begin() + 1, shape.end());
  return found == item || found == std::vector<int64_t>{CountOf(item)};
}

bool Contains(const char* text, std::string_view part) {
  return std::string_view(text).find(part) != std::string_view::npos;
}

}  // namespace

// A function, its buffers, and which of them is what.
class Trainer::Function {
 public:
  struct Scalar {
    int output;
    const char* name;
  };

  static absl::StatusOr<std::shared_ptr<Function>> Open(const TrainerOptions& options,
                                                        const char* name, const void* block,
                                                        const Dataset& dataset,
                                                        const std::vector<int64_t>& item_shape) {
    const kiln_function_info* const info = Find(*options.library, name);
    if (info == nullptr) return absl::NotFoundError(absl::StrCat("there is no function ", name));
    absl::StatusOr<Session> session = Session::Create(
        info, {.executor = options.executor, .parameters = block, .owner = nullptr});
    if (!session.ok()) return session.status();
    std::shared_ptr<Function> function(new Function(*std::move(session)));
    if (absl::Status status = function->BindInputs(dataset, item_shape); !status.ok()) {
      return status;
    }
    function->BindOutputs(dataset);
    return function;
  }

  int64_t batch() const { return batch_; }
  const std::vector<Scalar>& scalars() const { return scalars_; }
  /// Scores of an item; 0: the function returns none.
  int64_t score_count() const { return scores_ < 0 ? 0 : score_count_; }
  const float* scores() const { return static_cast<const float*>(outputs_[scores_]); }
  double scalar(int output) const { return *static_cast<const float*>(outputs_[output]); }
  double loss() const { return scalar(loss_); }
  bool has_loss() const { return loss_ >= 0; }

  /// "NAME is nan" of the first output with such a number.
  std::string FirstNotFinite() const {
    const kiln_function_info& info = session_.function();
    for (int32_t i = 0; i < info.num_outputs; ++i) {
      if (info.outputs[i].dtype != KILN_F32) continue;
      const auto* const values = static_cast<const float*>(outputs_[static_cast<size_t>(i)]);
      const auto* const end = values + info.outputs[i].bytes / sizeof(float);
      const auto* const bad = std::find_if(values, end, [](float x) { return !std::isfinite(x); });
      if (bad != end) return absl::StrCat(info.outputs[i].name, ": ", *bad);
    }
    return "";
  }

  absl::Status Run(const Batch& batch, double rate, int64_t step, uint64_t seed) {
    inputs_[items_] = batch.items.data();
    if (expected_ >= 0) Expect(batch);
    if (rate_ >= 0) *Input<float>(rate_) = static_cast<float>(rate);
    if (step_ >= 0) *Input<int64_t>(step_) = step;
    if (seed_ >= 0) *Input<int64_t>(seed_) = static_cast<int64_t>(seed);
    return session_.RunUnchecked(inputs_.data(), outputs_.data());
  }

 private:
  explicit Function(Session session) : session_(std::move(session)) {}

  template <typename T>
  T* Input(int position) {
    return reinterpret_cast<T*>(buffers_[static_cast<size_t>(position)].data());
  }

  // The label of each item as a number, or one-hot, or the numbers that are to be met.
  template <typename T>
  void ExpectAs(const Batch& batch) {
    T* const out = Input<T>(expected_);
    if (!batch.targets.empty()) {
      std::copy(batch.targets.begin(), batch.targets.end(), out);
      return;
    }
    if (expected_count_ == 1) {
      std::copy(batch.labels.begin(), batch.labels.end(), out);
      return;
    }
    std::fill_n(out, batch_ * expected_count_, T{0});
    for (int64_t n = 0; n < batch_; ++n) {
      out[n * expected_count_ + batch.labels[static_cast<size_t>(n)]] = T{1};
    }
  }

  void Expect(const Batch& batch) {
    switch (session_.function().inputs[expected_].dtype) {
      case KILN_I64: return ExpectAs<int64_t>(batch);
      case KILN_I32: return ExpectAs<int32_t>(batch);
      default: return ExpectAs<float>(batch);
    }
  }

  static bool IsNumber(const kiln_tensor_info& input) {
    return input.dtype == KILN_F32 || input.dtype == KILN_I64 || input.dtype == KILN_I32;
  }

  absl::Status BindInputs(const Dataset& dataset, const std::vector<int64_t>& item_shape) {
    const kiln_function_info& info = session_.function();
    for (int32_t i = 0; i < info.num_inputs; ++i) {
      const kiln_tensor_info& input = info.inputs[i];
      buffers_.emplace_back(input.bytes);
      const std::string_view name = input.name;
      const std::vector<int64_t> shape = ShapeOf(input);
      const bool named = Contains(input.name, "label") || Contains(input.name, "target");
      if (name == "learning_rate" && input.dtype == KILN_F32 && shape.empty()) {
        rate_ = i;
      } else if (name == "step" && input.dtype == KILN_I64 && shape.empty()) {
        step_ = i;
      } else if (name == "seed" && input.dtype == KILN_I64 && shape.empty()) {
        seed_ = i;
      } else if (items_ < 0 && !named && input.dtype == KILN_F32 && Fits(shape, item_shape)) {
        items_ = i;
        batch_ = shape[0];
      } else if (expected_ < 0 && IsNumber(input) && !shape.empty() &&
                 (named || items_ >= 0 || input.dtype != KILN_F32)) {
        expected_ = i;
      } else {
        return absl::InvalidArgumentError(absl::StrCat(
            "input '", input.name, "': the data set gives ", TypeText(KILN_F32, item_shape),
            " an item, and the model takes ", TypeText(input)));
      }
    }
    if (items_ < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          info.name, " takes no items of ", TypeText(KILN_F32, item_shape),
          info.num_inputs > 0 ? absl::StrCat(", but ", TypeText(info.inputs[0])) : ""));
    }
    for (const std::vector<char>& buffer : buffers_) inputs_.push_back(buffer.data());
    return expected_ < 0 ? absl::OkStatus() : CheckExpected(dataset);
  }

  absl::Status CheckExpected(const Dataset& dataset) {
    const kiln_tensor_info& input = session_.function().inputs[expected_];
    const std::vector<int64_t> shape = ShapeOf(input);
    expected_count_ = CountOf(shape) / std::max<int64_t>(batch_, 1);
    const bool targets = dataset.target_count > 0;
    const bool fits = targets ? expected_count_ == dataset.target_count
                              : expected_count_ == 1 || expected_count_ == dataset.classes;
    if (fits && shape[0] == batch_) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "input '", input.name, "': the data set has ",
        targets ? absl::StrCat(dataset.target_count, " numbers as the target of an item")
                : absl::StrCat("labels of ", dataset.classes, " classes"),
        ", and the model takes ", TypeText(input)));
  }

  void BindOutputs(const Dataset& dataset) {
    const kiln_function_info& info = session_.function();
    for (int32_t i = 0; i < info.num_outputs; ++i) {
      const kiln_tensor_info& output = info.outputs[i];
      results_.emplace_back(output.bytes);
      if (output.dtype != KILN_F32) continue;
      const std::vector<int64_t> shape = ShapeOf(output);
      if (CountOf(shape) == 1 && shape.size() <= 1) {
        scalars_.push_back({i, output.name});
        if (loss_ < 0 && std::strcmp(output.name, "loss") == 0) loss_ = i;
        continue;
      }
      const int64_t count = shape.empty() ? 0 : CountOf(shape) / std::max<int64_t>(batch_, 1);
      const bool names_class = count == dataset.classes || (count == 1 && dataset.classes == 2);
      if (scores_ < 0 && names_class && shape[0] == batch_ && dataset.target_count == 0) {
        scores_ = i;
        score_count_ = count;
      }
    }
    for (std::vector<char>& result : results_) outputs_.push_back(result.data());
  }

  Session session_;
  std::vector<std::vector<char>> buffers_, results_;  // of operator new, so aligned
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
  int items_ = -1, expected_ = -1, rate_ = -1, step_ = -1, seed_ = -1;
  int loss_ = -1, scores_ = -1;  // among the outputs
  std::vector<Scalar> scalars_;
  int64_t batch_ = 1;
  int64_t expected_count_ = 0;
  int64_t score_count_ = 0;
};

// Sums over the batches of a test.
class Trainer::Tally {
 public:
  Tally(Function& function, const Dataset& dataset, float yes)
      : function_(function), dataset_(dataset), yes_(yes), sums_(function.scalars().size(), 0.0) {
    if (function.score_count() == 0) return;
    confusion_.assign(static_cast<size_t>(dataset.classes * dataset.classes), 0);
  }

  // The results of the function for a batch whose first items are item, item + 1, ...
  void Add(int64_t item, int64_t count) {
    for (int64_t n = 0; n < count && !confusion_.empty(); ++n) AddScores(item + n, n);
    AddScalars(static_cast<double>(function_.batch()));
    count_ += count;
  }

  // Takes off what `times` items contribute of which the last batch consisted altogether.
  void TakeOff(int64_t times) { AddScalars(-static_cast<double>(times)); }

  Evaluation Result() const {
    const auto count = static_cast<double>(std::max<int64_t>(count_, 1));
    Evaluation result{.loss = kNone, .accuracy = kNone, .top5 = kNone, .confusion = confusion_};
    if (!confusion_.empty()) {
      result.accuracy = static_cast<double>(right_) / count;
      result.top5 = static_cast<double>(among_top_) / count;
    }
    for (size_t i = 0; i < sums_.size(); ++i) {
      const char* const name = function_.scalars()[i].name;
      const double mean = sums_[i] / count;
      if (std::strcmp(name, "loss") == 0 && std::isnan(result.loss)) result.loss = mean;
      if (!confusion_.empty()) continue;
      // What a net that tests itself calls them.
      if (Contains(name, "accuracy") || Contains(name, "top-1")) result.accuracy = mean;
      if (Contains(name, "top-5")) result.top5 = mean;
    }
    return result;
  }

 private:
  void AddScores(int64_t item, int64_t place) {
    const int64_t count = function_.score_count();
    const float* const scores = function_.scores() + place * count;
    const int64_t label = dataset_.labels[static_cast<size_t>(item)];
    int64_t named =
        count == 1 ? scores[0] >= yes_ : std::max_element(scores, scores + count) - scores;
    int64_t higher = count == 1 ? 0 : std::count_if(scores, scores + count, [&](float score) {
      return score > scores[label];
    });
    right_ += named == label;
    among_top_ += higher < kTop;
    ++confusion_[static_cast<size_t>(label * dataset_.classes + named)];
  }

  void AddScalars(double weight) {
    for (size_t i = 0; i < sums_.size(); ++i) {
      sums_[i] += weight * function_.scalar(function_.scalars()[i].output);
    }
  }

  Function& function_;
  const Dataset& dataset_;
  float yes_;
  std::vector<double> sums_;
  std::vector<int64_t> confusion_;
  int64_t right_ = 0, among_top_ = 0, count_ = 0;
};

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const TrainerOptions& options,
                                                         const Dataset& dataset,
                                                         const Transform& transform) {
  if (absl::Status status = transform.Check(dataset); !status.ok()) return status;
  std::unique_ptr<Trainer> trainer(new Trainer(options));
  const uint64_t bytes = options.library->parameters_bytes;
  trainer->block_.reset(static_cast<char*>(::operator new[](
      std::max<uint64_t>(bytes, 1), std::align_val_t{KILN_PARAMETERS_ALIGNMENT}, std::nothrow)));
  if (trainer->block_ == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " parameter bytes"));
  }
  std::memcpy(trainer->block_.get(), options.parameters, bytes);
  const std::vector<int64_t> shape = transform.OutputShape(dataset);
  const auto open = [&](const char* name, std::shared_ptr<Function>& slot) -> absl::Status {
    auto function = Function::Open(options, name, trainer->block_.get(), dataset, shape);
    if (!function.ok()) return function.status();
    if (std::strcmp(name, options.test.c_str()) != 0 && !(*function)->has_loss()) {
      return absl::InvalidArgumentError(absl::StrCat(name, " must return 'loss' (f32)"));
    }
    slot = *std::move(function);
    return absl::OkStatus();
  };
  absl::Status status = open("train_step", trainer->step_);
  if (status.ok()) status = open(options.test.c_str(), trainer->test_);
  if (status.ok() && options.iter_size > 1) status = open("accumulate", trainer->accumulate_);
  if (!status.ok()) return status;
  return trainer;
}

int64_t Trainer::batch() const { return step_->batch(); }

absl::StatusOr<double> Trainer::Step(BatchLoader& loader) {
  double sum = 0;
  for (int i = 0; i < options_.iter_size; ++i) {
    const absl::StatusOr<const Batch*> batch = loader.Next();
    if (!batch.ok()) return batch.status();
    const bool last = i + 1 == options_.iter_size;
    Function& function = last ? *step_ : *accumulate_;
    // Batches that are only accumulated draw other random numbers than the step itself.
    constexpr int kStepBits = 40;
    const int64_t key = steps_ + (last ? 0 : int64_t{i + 1} << kStepBits);
    if (absl::Status status = function.Run(**batch, rate(), key, options_.seed); !status.ok()) {
      return status;
    }
    sum += function.loss();
  }
  ++steps_;
  return sum / options_.iter_size;
}

absl::StatusOr<Evaluation> Trainer::Evaluate(const Dataset& dataset, const Transform& transform,
                                             int64_t max_batches) {
  Function& function = *test_;
  const int64_t batch = function.batch(), size = dataset.size();
  Tally tally(function, dataset, options_.yes);
  const int64_t whole = size / batch;
  const int64_t batches = max_batches > 0 ? std::min(whole, max_batches) : whole;
  {
    BatchLoader loader(dataset,
                       {.transform = transform,
                        .batch = batch,
                        .shuffle = false,
                        .training = false,
                        .ahead = batches > 1 ? 8 : 0},
                       0);
    for (int64_t i = 0; i < batches; ++i) {
      const absl::StatusOr<const Batch*> next = loader.Next();
      if (!next.ok()) return next.status();
      if (absl::Status status = function.Run(**next, 0, 0, 0); !status.ok()) return status;
      tally.Add(i * batch, batch);
    }
  }
  const int64_t rest = size % batch;
  if (rest == 0 || batches < whole) return tally.Result();
  // The last batch is filled up with the first item; a batch of nothing else says what that adds.
  std::vector<int64_t> items(static_cast<size_t>(batch), 0);
  for (int64_t i = 0; i < rest; ++i) items[static_cast<size_t>(i)] = whole * batch + i;
  Batch last;
  for (const bool filler : {false, true}) {
    if (filler) std::fill(items.begin(), items.end(), 0);
    if (absl::Status status = FillBatch(dataset, transform, items, last); !status.ok()) {
      return status;
    }
    if (absl::Status status = function.Run(last, 0, 0, 0); !status.ok()) return status;
    if (filler) tally.TakeOff(batch - rest);
    if (!filler) tally.Add(whole * batch, rest);
  }
  return tally.Result();
}

std::span<char> Trainer::parameters() const {
  return {block_.get(), options_.library->parameters_bytes};
}

absl::StatusOr<std::string> FirstNotFinite(const TrainerOptions& options, const char* function,
                                           const Dataset& dataset, const Transform& transform,
                                           const Batch& batch, int64_t step) {
  const auto opened = Trainer::Function::Open(options, function, options.parameters, dataset,
                                              transform.OutputShape(dataset));
  if (!opened.ok()) return opened.status();
  const double rate = Rate(options.rate, step);
  if (absl::Status status = (*opened)->Run(batch, rate, step, options.seed); !status.ok()) {
    return status;
  }
  return (*opened)->FirstNotFinite();
}

void Trainer::FreeBlock::operator()(char* block) const {
  ::operator delete[](block, std::align_val_t{KILN_PARAMETERS_ALIGNMENT});
}

}  // namespace kiln
