#include "compiler/import/caffe/upgrade.h"

#include "compiler/import/foreign/problems.h"

namespace kiln::caffe_import {

namespace {

using caffe::LayerParameter;
using caffe::V1LayerParameter;

const char* TypeName(V1LayerParameter::LayerType type) {
  struct Row {
    V1LayerParameter::LayerType type;
    const char* name;
  };
  static constexpr Row kRows[] = {
      {V1LayerParameter::ABSVAL, "AbsVal"},
      {V1LayerParameter::ACCURACY, "Accuracy"},
      {V1LayerParameter::ARGMAX, "ArgMax"},
      {V1LayerParameter::BNLL, "BNLL"},
      {V1LayerParameter::CONCAT, "Concat"},
      {V1LayerParameter::CONTRASTIVE_LOSS, "ContrastiveLoss"},
      {V1LayerParameter::CONVOLUTION, "Convolution"},
      {V1LayerParameter::DATA, "Data"},
      {V1LayerParameter::DECONVOLUTION, "Deconvolution"},
      {V1LayerParameter::DROPOUT, "Dropout"},
      {V1LayerParameter::DUMMY_DATA, "DummyData"},
      {V1LayerParameter::ELTWISE, "Eltwise"},
      {V1LayerParameter::EUCLIDEAN_LOSS, "EuclideanLoss"},
      {V1LayerParameter::EXP, "Exp"},
      {V1LayerParameter::FLATTEN, "Flatten"},
      {V1LayerParameter::HDF5_DATA, "HDF5Data"},
      {V1LayerParameter::HDF5_OUTPUT, "HDF5Output"},
      {V1LayerParameter::HINGE_LOSS, "HingeLoss"},
      {V1LayerParameter::IM2COL, "Im2col"},
      {V1LayerParameter::IMAGE_DATA, "ImageData"},
      {V1LayerParameter::INFOGAIN_LOSS, "InfogainLoss"},
      {V1LayerParameter::INNER_PRODUCT, "InnerProduct"},
      {V1LayerParameter::LRN, "LRN"},
      {V1LayerParameter::MEMORY_DATA, "MemoryData"},
      {V1LayerParameter::MULTINOMIAL_LOGISTIC_LOSS, "MultinomialLogisticLoss"},
      {V1LayerParameter::MVN, "MVN"},
      {V1LayerParameter::POOLING, "Pooling"},
      {V1LayerParameter::POWER, "Power"},
      {V1LayerParameter::RELU, "ReLU"},
      {V1LayerParameter::SIGMOID, "Sigmoid"},
      {V1LayerParameter::SIGMOID_CROSS_ENTROPY_LOSS, "SigmoidCrossEntropyLoss"},
      {V1LayerParameter::SILENCE, "Silence"},
      {V1LayerParameter::SLICE, "Slice"},
      {V1LayerParameter::SOFTMAX, "Softmax"},
      {V1LayerParameter::SOFTMAX_LOSS, "SoftmaxWithLoss"},
      {V1LayerParameter::SPLIT, "Split"},
      {V1LayerParameter::TANH, "TanH"},
      {V1LayerParameter::THRESHOLD, "Threshold"},
      {V1LayerParameter::WINDOW_DATA, "WindowData"},
  };
  for (const Row& row : kRows) {
    if (row.type == type) return row.name;
  }
  return "None";
}

caffe::ParamSpec* Param(LayerParameter* layer, int i) {
  while (layer->param_size() <= i) layer->add_param();
  return layer->mutable_param(i);
}

// What data layers said of their pictures themselves.
template <typename Data>
void UpgradeTransform(const Data& data, LayerParameter* layer) {
  caffe::TransformationParameter* const transform = layer->mutable_transform_param();
  if (data.has_scale()) transform->set_scale(data.scale());
  if (data.has_mean_file()) transform->set_mean_file(data.mean_file());
  if (data.has_crop_size()) transform->set_crop_size(data.crop_size());
  if (data.has_mirror()) transform->set_mirror(data.mirror());
}

void UpgradeParameters(V1LayerParameter* old, LayerParameter* layer) {
#define KILN_MOVE(field) \
  if (old->has_##field()) *layer->mutable_##field() = std::move(*old->mutable_##field())
  KILN_MOVE(accuracy_param);
  KILN_MOVE(argmax_param);
  KILN_MOVE(concat_param);
  KILN_MOVE(contrastive_loss_param);
  KILN_MOVE(convolution_param);
  KILN_MOVE(data_param);
  KILN_MOVE(dropout_param);
  KILN_MOVE(dummy_data_param);
  KILN_MOVE(eltwise_param);
  KILN_MOVE(exp_param);
  KILN_MOVE(hdf5_data_param);
  KILN_MOVE(hdf5_output_param);
  KILN_MOVE(hinge_loss_param);
  KILN_MOVE(image_data_param);
  KILN_MOVE(infogain_loss_param);
  KILN_MOVE(inner_product_param);
  KILN_MOVE(lrn_param);
  KILN_MOVE(memory_data_param);
  KILN_MOVE(mvn_param);
  KILN_MOVE(pooling_param);
  KILN_MOVE(power_param);
  KILN_MOVE(relu_param);
  KILN_MOVE(sigmoid_param);
  KILN_MOVE(softmax_param);
  KILN_MOVE(slice_param);
  KILN_MOVE(tanh_param);
  KILN_MOVE(threshold_param);
  KILN_MOVE(window_data_param);
  KILN_MOVE(transform_param);
  KILN_MOVE(loss_param);
#undef KILN_MOVE
  if (layer->has_data_param()) UpgradeTransform(layer->data_param(), layer);
  if (layer->has_image_data_param()) UpgradeTransform(layer->image_data_param(), layer);
  if (layer->has_window_data_param()) UpgradeTransform(layer->window_data_param(), layer);
}

void UpgradeLayer(V1LayerParameter* old, LayerParameter* layer) {
  layer->set_name(old->name());
  layer->set_type(TypeName(old->type()));
  layer->mutable_bottom()->Swap(old->mutable_bottom());
  layer->mutable_top()->Swap(old->mutable_top());
  layer->mutable_include()->Swap(old->mutable_include());
  layer->mutable_exclude()->Swap(old->mutable_exclude());
  layer->mutable_blobs()->Swap(old->mutable_blobs());
  layer->mutable_loss_weight()->Swap(old->mutable_loss_weight());
  for (int i = 0; i < old->param_size(); ++i) Param(layer, i)->set_name(old->param(i));
  for (int i = 0; i < old->blobs_lr_size(); ++i) {
    Param(layer, i)->set_lr_mult(old->blobs_lr(i));
  }
  for (int i = 0; i < old->weight_decay_size(); ++i) {
    Param(layer, i)->set_decay_mult(old->weight_decay(i));
  }
  UpgradeParameters(old, layer);
}

}  // namespace

Status UpgradeLayers(caffe::NetParameter* net) {
  for (V1LayerParameter& old : *net->mutable_layers()) {
    if (old.has_layer()) {
      return Unsupported(
          "layers of the V0 schema (of 2013) are not supported; Caffe's "
          "upgrade_net_proto_text brings them up to date");
    }
    UpgradeLayer(&old, net->add_layer());
  }
  net->clear_layers();
  return OkStatus();
}

}  // namespace kiln::caffe_import
