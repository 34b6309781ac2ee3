#include "compiler/export/caffe/caffemodel.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "compiler/import/foreign/problems.h"
#include "proto/caffe.pb.h"

namespace kiln {

namespace {

// The blobs that layers have, in the order in which they stand: no layer has two of one line.
constexpr const char* kBlobs[][6] = {
    {"weight", "input_weight", "slope", "scale", "value", "mean"},
    {"bias", "variance"},
    {"static_weight"},
    {"hidden_weight"},
    {"output_weight"},
    {"output_bias"},
};

/// Where a blob of this name stands; the number of places when layers have none such.
size_t Place(const std::string& blob) {
  const auto has = [&](const auto& names) {
    return std::ranges::any_of(names, [&](const char* name) { return name && blob == name; });
  };
  return static_cast<size_t>(std::ranges::find_if(kBlobs, has) - std::begin(kBlobs));
}

Status CheckBlob(const Parameter& parameter, const std::string& blob) {
  const TensorType& type = parameter.value.type();
  if (Place(blob) == std::size(kBlobs)) {
    return Unsupported("the parameter is no blob of a Caffe layer");
  }
  if (type.element != ElementType::kF32 || !type.layout.IsRowMajor()) {
    return Unsupported("a blob cannot be ", type.ToString());
  }
  if (!parameter.value.known()) return InvalidInput("the parameter has no value");
  return OkStatus();
}

void WriteBlob(const Tensor& tensor, caffe::BlobProto* blob) {
  for (const int64_t extent : tensor.shape()) blob->mutable_shape()->add_dim(extent);
  const auto* const data = tensor.data<float>();
  blob->mutable_data()->Add(data, data + tensor.type().count());
}

}  // namespace

StatusOr<std::string> SerializeCaffeModel(const Module& module) {
  const auto format = module.metadata.find("format");
  if (format == module.metadata.end() || format->second != "caffe") {
    return Unsupported("only a net that was read from Caffe's files has weights that go with one");
  }
  // By layer, and by place in the layer.
  std::map<std::string, std::map<size_t, const Parameter*>> layers;
  foreign::ProblemList problems;
  for (const auto& [name, parameter] : module.parameters()) {
    const size_t dot = std::min(name.rfind('.'), name.size());
    const std::string blob = dot < name.size() ? name.substr(dot + 1) : "";
    if (const Status status = CheckBlob(parameter, blob); !status.ok()) {
      problems.Add(foreign::Printable(name), status);
    } else {
      layers[name.substr(0, dot)][Place(blob)] = &parameter;
    }
  }
  KILN_RETURN_IF_ERROR(problems.ToStatus());
  caffe::NetParameter net;
  net.set_name(module.name);
  for (const auto& [name, blobs] : layers) {
    caffe::LayerParameter& layer = *net.add_layer();
    layer.set_name(name);
    for (const auto& [place, parameter] : blobs) WriteBlob(parameter->value, layer.add_blobs());
    if (!blobs.begin()->second->name.ends_with(".mean")) continue;
    WriteBlob(Tensor::FromDoubles(ElementType::kF32, {1}, {1}), layer.add_blobs());
  }
  std::string bytes;
  if (!net.SerializeToString(&bytes)) {
    return Unsupported("the weights take more than the 2 GiB that a .caffemodel can hold");
  }
  return bytes;
}

}  // namespace kiln
