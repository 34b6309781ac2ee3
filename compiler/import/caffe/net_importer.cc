#include "compiler/import/caffe/net_importer.h"

#include <algorithm>

#include "compiler/import/caffe/layer.h"
#include "compiler/import/caffe/layer_table.h"

namespace kiln::caffe_import {

namespace {

using caffe::LayerParameter;
using caffe::NetParameter;

constexpr int kMaxLayers = 100'000;

std::string Label(const LayerParameter& layer) {
  if (!layer.name().empty()) return layer.name();
  return layer.top_size() > 0 ? layer.top(0) : layer.type();
}

Status CheckLayer(const LayerParameter& layer) {
  const CaffeLayer* const spec = FindCaffeLayer(layer.type());
  if (spec == nullptr) {
    return Unsupported("layer type ", Printable(layer.type()), " is not supported");
  }
  if (spec->handler == nullptr) {
    return Unsupported("layer type ", spec->name, " is not supported: ", spec->limits);
  }
  KILN_RETURN_IF_ERROR(CheckCount("bottoms", layer.bottom_size(), spec->bottoms));
  return CheckCount("tops", layer.top_size(), spec->tops);
}

std::vector<std::string> Transform(const caffe::TransformationParameter& param) {
  std::vector<std::string> entries = {StrCat("scale=", FormatDouble(param.scale()))};
  if (param.mirror()) entries.emplace_back("mirror=1");
  if (param.crop_size() > 0) entries.push_back(StrCat("crop=", param.crop_size()));
  std::vector<std::string> means;
  for (const float mean : param.mean_value()) means.push_back(FormatDouble(mean));
  if (!means.empty()) entries.push_back("mean=" + StrJoin(means, "+"));
  return entries;
}

// Fields that only say where data come from mean nothing to the graph.
bool Harmless(const std::string& unknown_field) {
  return unknown_field.find("Data") != std::string::npos ||
         unknown_field.find("data_param") != std::string::npos ||
         unknown_field.find("TransformationParameter") != std::string::npos;
}

}  // namespace

Status Preflight(const NetParameter& net, const std::vector<std::string>& unknown) {
  ProblemList problems;
  if (net.layer_size() > kMaxLayers) {
    return Unsupported("the net has more than ", kMaxLayers, " layers");
  }
  if (net.layer_size() == 0) return InvalidInput("the net has no layers in this phase");
  for (const LayerParameter& layer : net.layer()) {
    if (const Status status = CheckLayer(layer); !status.ok()) {
      problems.Add(Printable(Label(layer)), status);
    }
  }
  for (const std::string& field : unknown) {
    if (!Harmless(field)) problems.Add("", Unsupported(Printable(field)));
  }
  return problems.ToStatus();
}

StatusOr<Op*> NetImporter::Parameter(const std::string& name, const StatusOr<Tensor>& value,
                                     bool trainable) {
  KILN_RETURN_IF_ERROR(value.status());
  Module* const module = values_.builder().graph()->module();
  const std::string unique = UniqueParameterName(*module, name);
  module->SetParameter({unique, *value, trainable});
  KILN_ASSIGN_OR_RETURN(Op* const op, values_.builder().Parameter(unique));
  values_.builder().Rename(op, SsaName(unique));
  return op;
}

Op* NetImporter::FindShared(const std::string& name) const {
  const auto it = shared_.find(name);
  return it == shared_.end() ? nullptr : it->second;
}

Status NetImporter::ImportLayer(const LayerParameter& proto) {
  bool poisoned = false;
  for (const std::string& name : proto.bottom()) {
    if (!values_.Has(name)) {
      return InvalidInput("bottom '", Printable(name), "' is not defined");
    }
    poisoned |= values_.IsPoisoned(name);
  }
  for (const std::string& name : proto.bottom()) std::erase(unread_, name);
  for (const std::string& name : proto.top()) {
    if (values_.Has(name) && std::ranges::count(proto.bottom(), name) == 0) {
      return InvalidInput("top '", Printable(name), "' is made by an earlier layer");
    }
    if (std::ranges::count(proto.top(), name) > 1) {
      return InvalidInput("top '", Printable(name), "' is made twice");
    }
  }
  for (const std::string& name : proto.top()) unread_.push_back(name);
  if (poisoned) {
    for (const std::string& name : proto.top()) values_.Poison(name);
    return OkStatus();
  }
  KILN_RETURN_IF_ERROR(values_.CheckSize());
  const CaffeLayer& spec = *FindCaffeLayer(proto.type());
  values_.BeginNode(Label(proto), proto.top_size() > 0 ? proto.top(0) : Label(proto));
  Layer layer(this, proto, spec);
  return spec.handler(layer);
}

Status NetImporter::MakeOutputs() {
  Graph* const graph = values_.builder().graph();
  const auto is_input = [this](const std::string& name) { return inputs_.contains(name); };
  // An input that nobody reads is an output only of a net that computes nothing.
  if (!std::ranges::all_of(unread_, is_input)) std::erase_if(unread_, is_input);
  std::set<std::string> done;
  for (const std::string& name : unread_) {
    if (values_.IsPoisoned(name) || !done.insert(name).second) continue;
    KILN_ASSIGN_OR_RETURN(Op* const op, values_.Get(name));
    graph->AddOutput(name, op);
  }
  if (graph->outputs().empty() && problems_.empty()) {
    return InvalidInput("the net has no outputs");
  }
  return OkStatus();
}

void NetImporter::AddMultipliers(const Op& parameter, const caffe::ParamSpec& spec) {
  const std::string& name = parameter.String("name");
  const auto add = [&](std::vector<std::string>& list, float multiplier) {
    if (multiplier != 1) list.push_back(StrCat(name, "=", FormatDouble(multiplier)));
  };
  add(rate_multipliers_, spec.lr_mult());
  add(decay_multipliers_, spec.decay_mult());
}

void NetImporter::SetTrainingMetadata(const NetParameter& net) {
  std::vector<std::string> losses, transform;
  auto& metadata = values_.builder().graph()->module()->metadata;
  for (const LayerParameter& layer : net.layer()) {
    if (layer.type() == "BatchNorm") {
      metadata.emplace("statistics_momentum",
                       FormatDouble(layer.batch_norm_param().moving_average_fraction()));
    }
    if (transform.empty() && layer.has_transform_param()) {
      transform = Transform(layer.transform_param());
      if (layer.transform_param().has_mean_file()) {
        metadata.emplace("mean_file", layer.transform_param().mean_file());
      }
    }
    const bool is_loss = layer.type().ends_with("Loss");
    for (int i = 0; i < layer.top_size(); ++i) {
      const bool given = i < layer.loss_weight_size();
      const float weight = given ? layer.loss_weight(i) : is_loss && i == 0 ? 1.0f : 0.0f;
      if (weight != 0) losses.push_back(StrCat(layer.top(i), "=", FormatDouble(weight)));
    }
  }
  const auto set = [&](const char* key, const std::vector<std::string>& entries) {
    if (!entries.empty()) metadata[key] = StrJoin(entries, ",");
  };
  set("loss_weights", losses);
  set("rate_multipliers", rate_multipliers_);
  set("decay_multipliers", decay_multipliers_);
  set("transform", transform);
}

Status NetImporter::Import(const NetParameter& net) {
  for (const LayerParameter& layer : net.layer()) {
    const Status status = ImportLayer(layer);
    if (status.ok()) continue;
    problems_.Add(Printable(Label(layer)), status);
    for (const std::string& name : layer.top()) values_.Poison(name);
  }
  for (const auto& [name, shape] : options().input_shapes) {
    if (!inputs_.contains(name)) {
      problems_.Add("", InvalidInput("the model has no input '", name, "'"));
    }
  }
  if (const Status status = MakeOutputs(); !status.ok()) problems_.Add("", status);
  SetTrainingMetadata(net);
  return problems_.ToStatus();
}

}  // namespace kiln::caffe_import
