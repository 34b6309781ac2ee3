// Layer: what a handler sees of one Caffe layer: bottoms, learned blobs, tops.
#pragma once

#include <string>
#include <vector>

#include "compiler/import/caffe/layer_table.h"
#include "compiler/import/foreign/values.h"
#include "ir/graph/builder.h"
#include "proto/caffe.pb.h"

namespace kiln::caffe_import {

class NetImporter;

class Layer {
 public:
  Layer(NetImporter* importer, const caffe::LayerParameter& proto, const CaffeLayer& spec)
      : importer_(importer), proto_(proto), spec_(spec) {}

  const caffe::LayerParameter& proto() const { return proto_; }
  const CaffeLayer& spec() const { return spec_; }
  Builder& builder();
  /// The graph is imported to be trained (Caffe's phase TRAIN).
  bool training() const;
  /// That of ImportOptions.
  const std::optional<Shape>& item_shape() const;

  int num_bottoms() const { return proto_.bottom_size(); }
  StatusOr<Op*> bottom(int i);
  StatusOr<std::vector<Op*>> bottoms();

  /// Learned blob `i`, called `name` ("weight") within the layer, of `shape`: from the weights'
  /// file; where it lacks the layer, from `filler` if a seed is given, else unknown. Blobs that
  /// share a name are one parameter.
  StatusOr<Op*> Blob(int i, const std::string& name, const Shape& shape,
                     const caffe::FillerParameter& filler);
  /// The value of blob `i` in the weights' file; nullptr when it is not there.
  const Tensor* FileBlob(int i) const;
  /// A parameter of this layer with a value of its own.
  StatusOr<Op*> Statistic(const std::string& name, Tensor value);

  int num_tops() const { return proto_.top_size(); }
  Status Top(int i, const StatusOr<Op*>& value);
  /// What top `i` has been set to.
  StatusOr<Op*> Output(int i);
  Status Top(const StatusOr<Op*>& value) { return Top(0, value); }
  /// A graph input as top `i`, of the declared shape (nullopt: open).
  Status InputTop(int i, const std::optional<Shape>& declared);

  /// An op of this layer; shorthand for builder().Make.
  StatusOr<Op*> Make(std::string_view kind, const std::vector<StatusOr<Op*>>& operands,
                     AttributeMap attributes = {}) {
    return builder().Make(kind, operands, std::move(attributes));
  }
  StatusOr<Op*> Scalar(double value) { return builder().Scalar(ElementType::kF32, value); }

 private:
  NetImporter* importer_;
  const caffe::LayerParameter& proto_;
  const CaffeLayer& spec_;
};

}  // namespace kiln::caffe_import
