#include "runtime/train/trainer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kiln {

namespace {

const kiln_function_info* Find(const kiln_library_info& library, const char* name) {
  for (int32_t i = 0; i < library.num_functions; ++i) {
    if (std::strcmp(library.functions[i].name, name) == 0) return &library.functions[i];
  }
  return nullptr;
}

// Images as the function takes them, or flattened.
bool Fits(const std::vector<int64_t>& shape, const Dataset& dataset) {
  if (shape.empty()) return false;
  const std::vector<int64_t> item(shape.begin() + 1, shape.end());
  return item == dataset.item_shape || item == std::vector<int64_t>{dataset.ItemBytes()};
}

}  // namespace

// A function, its buffers, and which of them is what.
struct Trainer::Function {
  explicit Function(Session opened) : session(std::move(opened)) {}

  absl::Status Run() { return session.RunUnchecked(inputs.data(), outputs.data()); }

  template <typename T>
  T* Input(int position) {
    return position < 0 ? nullptr : reinterpret_cast<T*>(buffers[position].data());
  }

  Session session;
  std::vector<std::vector<char>> buffers;  // inputs, then outputs; of operator new, so aligned
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  int images = -1, labels = -1, rate = -1, step = -1, seed = -1;
  int loss = -1, scores = -1;  // among the outputs
  int64_t score_count = 0;     // classes
};

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const TrainerOptions& options,
                                                         const Dataset& dataset) {
  std::unique_ptr<Trainer> trainer(new Trainer(options));
  const uint64_t bytes = options.library->parameters_bytes;
  trainer->block_.reset(static_cast<char*>(::operator new[](
      std::max<uint64_t>(bytes, 1), std::align_val_t{KILN_PARAMETERS_ALIGNMENT}, std::nothrow)));
  if (trainer->block_ == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " parameter bytes"));
  }
  std::memcpy(trainer->block_.get(), options.parameters, bytes);
  for (const auto& [name, slot] :
       {std::pair("train_step", &trainer->step_), std::pair("loss", &trainer->loss_)}) {
    absl::StatusOr<std::unique_ptr<Function>> function = trainer->Open(name, dataset);
    if (!function.ok()) return function.status();
    *slot = *std::move(function);
  }
  if (trainer->step_->loss < 0 || trainer->loss_->loss < 0 || trainer->loss_->scores < 0) {
    return absl::InvalidArgumentError("the functions must return 'loss' (f32) and scores");
  }
  return trainer;
}

absl::StatusOr<std::unique_ptr<Trainer::Function>> Trainer::Open(const char* name,
                                                                 const Dataset& dataset) {
  const kiln_function_info* const info = Find(*options_.library, name);
  if (info == nullptr) return absl::NotFoundError(absl::StrCat("there is no function ", name));
  absl::StatusOr<Session> session = Session::Create(
      info, {.executor = options_.executor, .parameters = block_.get(), .owner = nullptr});
  if (!session.ok()) return session.status();
  auto function = std::make_unique<Function>(*std::move(session));
  for (int32_t i = 0; i < info->num_inputs; ++i) {
    const kiln_tensor_info& input = info->inputs[i];
    function->buffers.emplace_back(input.bytes);
    const std::string_view input_name = input.name;
    const std::vector<int64_t> shape = ShapeOf(input);
    if (input_name == "learning_rate" && input.dtype == KILN_F32) {
      function->rate = i;
    } else if (input_name == "step" && input.dtype == KILN_I64) {
      function->step = i;
    } else if (input_name == "seed" && input.dtype == KILN_I64) {
      function->seed = i;
    } else if (input_name == "labels" && input.dtype == KILN_I64 && shape.size() == 1) {
      function->labels = i;
    } else if (input.dtype == KILN_F32 && function->images < 0 && Fits(shape, dataset)) {
      function->images = i;
      batch_ = shape[0];
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("input '", input.name, "': expected images of ",
                       TypeText(KILN_U8, dataset.item_shape), ", found ", TypeText(input)));
    }
  }
  if (function->images < 0 || function->labels < 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must take images and 'labels'"));
  }
  for (int32_t i = 0; i < info->num_outputs; ++i) {
    const kiln_tensor_info& output = info->outputs[i];
    function->buffers.emplace_back(output.bytes);
    const std::vector<int64_t> shape = ShapeOf(output);
    if (std::string_view(output.name) == "loss" && output.dtype == KILN_F32) {
      function->loss = i;
    } else if (output.dtype == KILN_F32 && function->scores < 0 && shape.size() >= 2 &&
               shape[0] == batch_) {
      function->scores = i;
      function->score_count = static_cast<int64_t>(output.bytes / sizeof(float)) / batch_;
    }
  }
  for (int32_t i = 0; i < info->num_inputs; ++i) {
    function->inputs.push_back(function->buffers[i].data());
  }
  for (int32_t i = 0; i < info->num_outputs; ++i) {
    function->outputs.push_back(function->buffers[info->num_inputs + i].data());
  }
  return function;
}

void Trainer::Fill(Function& function, const Dataset& dataset, std::span<const int64_t> items) {
  float* image = function.Input<float>(function.images);
  auto* const labels = function.Input<int64_t>(function.labels);
  const int64_t pixels = dataset.ItemBytes();
  const auto mean = static_cast<float>(options_.mean), scale = static_cast<float>(options_.scale);
  for (int64_t n = 0; n < batch_; ++n) {
    const bool counts = n < static_cast<int64_t>(items.size());
    const int64_t item = counts ? items[n] : 0;
    const uint8_t* const source = dataset.images.data() + item * pixels;
    for (int64_t i = 0; i < pixels; ++i) image[i] = (static_cast<float>(source[i]) - mean) * scale;
    image += pixels;
    labels[n] = counts ? dataset.labels[item] : kNoLabel;
  }
}

absl::StatusOr<double> Trainer::Step(const Dataset& dataset, std::span<const int64_t> items) {
  Function& function = *step_;
  Fill(function, dataset, items);
  if (function.rate >= 0) *function.Input<float>(function.rate) = static_cast<float>(rate());
  if (function.step >= 0) *function.Input<int64_t>(function.step) = steps_;
  if (function.seed >= 0) {
    *function.Input<int64_t>(function.seed) = static_cast<int64_t>(options_.seed);
  }
  if (absl::Status status = function.Run(); !status.ok()) return status;
  ++steps_;
  return *static_cast<const float*>(function.outputs[function.loss]);
}

absl::StatusOr<Evaluation> Trainer::Evaluate(const Dataset& dataset) {
  Function& function = *loss_;
  Evaluation result;
  int64_t right = 0;
  std::vector<int64_t> items;
  for (int64_t start = 0; start < dataset.size(); start += batch_) {
    items.clear();
    for (int64_t i = start; i < std::min(start + batch_, dataset.size()); ++i) items.push_back(i);
    Fill(function, dataset, items);
    if (absl::Status status = function.Run(); !status.ok()) return status;
    const double loss = *static_cast<const float*>(function.outputs[function.loss]);
    result.loss += loss * static_cast<double>(items.size());
    const auto* scores = static_cast<const float*>(function.outputs[function.scores]);
    for (const int64_t item : items) {
      right +=
          std::max_element(scores, scores + function.score_count) - scores == dataset.labels[item];
      scores += function.score_count;
    }
  }
  const auto count = static_cast<double>(std::max<int64_t>(dataset.size(), 1));
  result.loss /= count;
  result.accuracy = static_cast<double>(right) / count;
  return result;
}

std::span<const char> Trainer::parameters() const {
  return {block_.get(), options_.library->parameters_bytes};
}

void Trainer::FreeBlock::operator()(char* block) const {
  ::operator delete[](block, std::align_val_t{KILN_PARAMETERS_ALIGNMENT});
}

}  // namespace kiln
