#include "compiler/import/caffe/layer.h"

#include "compiler/import/caffe/filler.h"
#include "compiler/import/caffe/net_importer.h"

namespace kiln::caffe_import {

namespace {

Shape WithoutLeadingOnes(Shape shape) {
  size_t ones = 0;
  while (ones < shape.size() && shape[ones] == 1) ++ones;
  shape.erase(shape.begin(), shape.begin() + static_cast<int64_t>(ones));
  return shape;
}

}  // namespace

Builder& Layer::builder() { return importer_->values().builder(); }

bool Layer::training() const { return importer_->options().training; }

const std::optional<Shape>& Layer::item_shape() const { return importer_->options().item_shape; }

StatusOr<Op*> Layer::bottom(int i) {
  if (i >= num_bottoms()) return InvalidInput("bottom ", i, " is missing");
  return importer_->values().Get(proto_.bottom(i));
}

StatusOr<std::vector<Op*>> Layer::bottoms() {
  std::vector<Op*> ops;
  for (int i = 0; i < num_bottoms(); ++i) {
    KILN_ASSIGN_OR_RETURN(Op* const op, bottom(i));
    ops.push_back(op);
  }
  return ops;
}

const Tensor* Layer::FileBlob(int i) const {
  const auto it = importer_->weights().find(proto_.name());
  if (it == importer_->weights().end()) return nullptr;
  return i < static_cast<int>(it->second.size()) ? &it->second[i] : nullptr;
}

StatusOr<Op*> Layer::Blob(int i, const std::string& name, const Shape& shape,
                          const caffe::FillerParameter& filler) {
  const TensorType type{ElementType::kF32, shape, {}};
  KILN_RETURN_IF_ERROR(CheckedByteSize(type).status());
  const std::string shared = i < proto_.param_size() ? proto_.param(i).name() : "";
  if (Op* const op = shared.empty() ? nullptr : importer_->FindShared(shared)) {
    if (op->shape() == shape) return op;
    const bool permissive = proto_.param(i).share_mode() == caffe::ParamSpec::PERMISSIVE;
    if (permissive && op->type().count() == ElementCount(shape)) {
      return builder().Reshape(op, shape);
    }
    return InvalidInput("the shared blob '", Printable(shared), "' is ", FormatInts(op->shape()),
                        ", here it must be ", FormatInts(shape));
  }
  const std::string full_name = shared.empty() ? StrCat(proto_.name(), ".", name) : shared;
  const auto value = [&]() -> StatusOr<Tensor> {
    if (const Tensor* const tensor = FileBlob(i)) {
      // Older files have four dimensions always, leading ones filled up.
      if (WithoutLeadingOnes(tensor->shape()) == WithoutLeadingOnes(shape)) {
        return tensor->Reshaped(shape);
      }
      return InvalidInput("blob ", i, " ('", name, "') of the weights is ",
                          FormatInts(tensor->shape()), ", expected ", FormatInts(shape));
    }
    KILN_RETURN_IF_ERROR(CheckFiller(filler));
    const auto seed = importer_->options().param_seed;
    if (seed) return Fill(filler, shape, *seed, full_name);
    return Tensor::Unknown(type, ContentHash(full_name));
  };
  const bool trainable = i >= proto_.param_size() || proto_.param(i).lr_mult() != 0;
  KILN_ASSIGN_OR_RETURN(Op* const op, importer_->Parameter(full_name, value(), trainable));
  if (!shared.empty()) importer_->AddShared(shared, op);
  if (i < proto_.param_size()) importer_->AddMultipliers(*op, proto_.param(i));
  return op;
}

StatusOr<Op*> Layer::Statistic(const std::string& name, Tensor value) {
  return importer_->Parameter(StrCat(proto_.name(), ".", name), std::move(value), false);
}

Status Layer::Top(int i, const StatusOr<Op*>& value) {
  KILN_RETURN_IF_ERROR(value.status());
  if (i < num_tops()) importer_->values().Set(proto_.top(i), *value);
  return OkStatus();
}

StatusOr<Op*> Layer::Output(int i) { return importer_->values().Get(proto_.top(i)); }

Status Layer::InputTop(int i, const std::optional<Shape>& declared) {
  const std::string& name = proto_.top(i);
  importer_->AddInput(name);
  // Caffe reshapes its inputs at will: what the file says is a default.
  const ImportOptions& options = importer_->options();
  std::optional<Shape> shape = declared;
  if (options.input_shapes.contains(name)) {
    shape.reset();
  } else if (shape && !shape->empty() && options.batch) {
    shape->front() = *options.batch;
  }
  KILN_ASSIGN_OR_RETURN(const Shape closed, InputShape(name, shape, options));
  return importer_->values().SetInput(name, {ElementType::kF32, closed, {}});
}

}  // namespace kiln::caffe_import
