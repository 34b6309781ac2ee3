#include "compiler/import/caffe/net.h"

#include <algorithm>
#include <set>

#include "compiler/import/caffe/upgrade.h"
#include "compiler/import/foreign/problems.h"
#include "compiler/import/protobuf.h"

namespace kiln::caffe_import {

namespace {

using caffe::LayerParameter;
using caffe::NetParameter;

bool HasAny(const std::set<std::string>& names, std::initializer_list<const char*> wanted) {
  return std::ranges::any_of(wanted, [&](const char* name) { return names.contains(name); });
}

bool IsText(std::span<const char> bytes) { return !TopFieldsOfText(bytes).empty(); }

// Input layers for the net-level `input` fields, in front of all others.
Status AddInputLayers(NetParameter* net) {
  if (net->input_size() == 0) return OkStatus();
  if (net->input_dim_size() > 0 && net->input_dim_size() != 4 * net->input_size()) {
    return InvalidInput("the net has ", net->input_size(), " inputs and ", net->input_dim_size(),
                        " input_dim, expected 4 for each");
  }
  if (net->input_shape_size() > 0 && net->input_shape_size() != net->input_size()) {
    return InvalidInput("the net has ", net->input_size(), " inputs and ", net->input_shape_size(),
                        " input_shape");
  }
  LayerParameter layer;
  layer.set_name("input");
  layer.set_type("Input");
  for (int i = 0; i < net->input_size(); ++i) {
    layer.add_top(net->input(i));
    if (net->input_shape_size() > 0) {
      *layer.mutable_input_param()->add_shape() = net->input_shape(i);
    } else if (net->input_dim_size() > 0) {
      caffe::BlobShape* const shape = layer.mutable_input_param()->add_shape();
      for (int d = 0; d < 4; ++d) shape->add_dim(net->input_dim(4 * i + d));
    }
  }
  *net->add_layer() = std::move(layer);
  auto* const layers = net->mutable_layer();
  std::rotate(layers->pointer_begin(), layers->pointer_end() - 1, layers->pointer_end());
  net->clear_input();
  net->clear_input_dim();
  net->clear_input_shape();
  return OkStatus();
}

bool Meets(const caffe::NetState& state, const caffe::NetStateRule& rule) {
  const auto has_stage = [&](const std::string& stage) {
    return std::ranges::count(state.stage(), stage) > 0;
  };
  if (rule.has_phase() && rule.phase() != state.phase()) return false;
  if (rule.has_min_level() && state.level() < rule.min_level()) return false;
  if (rule.has_max_level() && state.level() > rule.max_level()) return false;
  return std::ranges::all_of(rule.stage(), has_stage) &&
         std::ranges::none_of(rule.not_stage(), has_stage);
}

bool Included(const caffe::NetState& state, const LayerParameter& layer) {
  const auto meets = [&](const caffe::NetStateRule& rule) { return Meets(state, rule); };
  if (layer.include_size() > 0) return std::ranges::any_of(layer.include(), meets);
  return std::ranges::none_of(layer.exclude(), meets);
}

Shape BlobDims(const caffe::BlobProto& blob) {
  if (blob.has_shape()) return {blob.shape().dim().begin(), blob.shape().dim().end()};
  if (!blob.has_num() && !blob.has_channels() && !blob.has_height() && !blob.has_width()) {
    return {std::max(blob.data_size(), blob.double_data_size())};
  }
  return {blob.num(), blob.channels(), blob.height(), blob.width()};
}

StatusOr<Tensor> ToTensor(const caffe::BlobProto& blob) {
  const Shape shape = BlobDims(blob);
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kF32, shape).status());
  const int64_t count = ElementCount(shape);
  const bool doubles = blob.double_data_size() > 0;
  const int64_t found = doubles ? blob.double_data_size() : blob.data_size();
  if (found != count) {
    return InvalidInput("a blob of shape ", FormatInts(shape), " has ", found, " values");
  }
  if (doubles) {
    return Tensor::FromDoubles(ElementType::kF32, shape,
                               {blob.double_data().begin(), blob.double_data().end()});
  }
  const auto* const data = reinterpret_cast<const char*>(blob.data().data());
  return Tensor({ElementType::kF32, shape, {}},
                std::vector<char>(data, data + count * static_cast<int64_t>(sizeof(float))));
}

}  // namespace

bool LooksLikeSolver(std::span<const char> bytes) {
  return HasAny(TopFieldsOfText(bytes), {"base_lr", "lr_policy", "max_iter", "solver_type",
                                         "train_net", "net_param", "snapshot_prefix"});
}

bool LooksLikeNet(std::span<const char> bytes) {
  const std::set<std::string> names = TopFieldsOfText(bytes);
  if (!names.empty()) {
    return HasAny(names, {"layer", "layers", "input_dim", "input_shape", "force_backward"}) ||
           (HasAny(names, {"input"}) && !HasAny(names, {"op", "node"}));
  }
  return LooksLike(NetParameter::descriptor(), bytes);
}

StatusOr<NetParameter> ReadNet(std::span<const char> bytes, std::vector<std::string>* unknown) {
  NetParameter net;
  if (IsText(bytes)) {
    KILN_RETURN_IF_ERROR(ParseProtobufText(bytes, &net, unknown));
  } else {
    KILN_RETURN_IF_ERROR(ParseProtobuf(bytes, &net));
  }
  if (net.layers_size() > 0) {
    if (net.layer_size() > 0) {
      return InvalidInput("the net has layers of both schemas, 'layer' and 'layers'");
    }
    KILN_RETURN_IF_ERROR(UpgradeLayers(&net));
  }
  KILN_RETURN_IF_ERROR(AddInputLayers(&net));
  return net;
}

void FilterByPhase(NetParameter* net, caffe::Phase phase) {
  caffe::NetState state = net->state();
  state.set_phase(phase);
  auto* const layers = net->mutable_layer();
  int kept = 0;
  for (int i = 0; i < layers->size(); ++i) {
    if (Included(state, layers->Get(i))) layers->SwapElements(kept++, i);
  }
  layers->DeleteSubrange(kept, layers->size() - kept);
}

StatusOr<Weights> TakeWeights(NetParameter* net) {
  Weights weights;
  for (LayerParameter& layer : *net->mutable_layer()) {
    if (layer.blobs_size() == 0) continue;
    std::vector<Tensor> blobs;
    for (const caffe::BlobProto& blob : layer.blobs()) {
      auto tensor = ToTensor(blob);
      if (!tensor.ok()) return Annotate(tensor.status(), foreign::Printable(layer.name()));
      blobs.push_back(*std::move(tensor));
    }
    layer.clear_blobs();
    weights.emplace(layer.name(), std::move(blobs));  // of two layers of one name, the first
  }
  return weights;
}

}  // namespace kiln::caffe_import
