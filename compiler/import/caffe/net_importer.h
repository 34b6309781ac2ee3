// NetImporter: turns the layers of a Caffe net into ops of a Kiln graph, in order, each by its
// type's handler. A layer that fails does not stop the import: its tops become poisoned, what
// depends on them is passed over, and all failures are reported together.
#pragma once

#include <map>
#include <set>
#include <string>

#include "compiler/import/caffe/net.h"
#include "compiler/import/foreign/values.h"
#include "proto/caffe.pb.h"

namespace kiln::caffe_import {

/// Everything in the net that is not supported, at once.
Status Preflight(const caffe::NetParameter& net, const std::vector<std::string>& unknown);

class NetImporter {
 public:
  NetImporter(Graph* graph, const ImportOptions& options, Weights weights)
      : values_(graph, options), weights_(std::move(weights)) {}

  Status Import(const caffe::NetParameter& net);

  foreign::Values& values() { return values_; }
  const ImportOptions& options() const { return values_.options(); }
  const Weights& weights() const { return weights_; }

  /// A new parameter, called `name` or, if that is taken, `name` with a number.
  StatusOr<Op*> Parameter(const std::string& name, const StatusOr<Tensor>& value, bool trainable);
  /// The op of the shared parameter `name`; nullptr when there is none yet.
  Op* FindShared(const std::string& name) const;
  void AddShared(const std::string& name, Op* op) { shared_[name] = op; }
  /// Keeps the multipliers of rate and decay that a layer gives its parameter, if they are not 1.
  void AddMultipliers(const Op& parameter, const caffe::ParamSpec& spec);
  /// Remembers an input of the graph.
  void AddInput(const std::string& name) { inputs_.insert(name); }

 private:
  Status ImportLayer(const caffe::LayerParameter& proto);
  /// The blobs that nobody reads are the net's outputs, in the order they were made.
  Status MakeOutputs();
  /// What training needs to know beside the graph: "loss_weights", "rate_multipliers" and
  /// "decay_multipliers", each "NAME=NUMBER,..."; "statistics_momentum", of BatchNorm; and, of the
  /// data layer, "transform": "scale=NUMBER,mirror=1,crop=NUMBER,mean=NUMBER+NUMBER+NUMBER" and
  /// "mean_file", as far as they are given.
  void SetTrainingMetadata(const caffe::NetParameter& net);

  foreign::Values values_;
  Weights weights_;
  foreign::ProblemList problems_;
  std::map<std::string, Op*> shared_;
  std::set<std::string> inputs_;
  std::vector<std::string> rate_multipliers_, decay_multipliers_;  // "NAME=2.0"
  std::vector<std::string> unread_;                                // blobs, the oldest first
};

}  // namespace kiln::caffe_import
