// Layers that bring in data: inputs of the graph, whatever they would be read from.
#include "compiler/import/caffe/filler.h"
#include "compiler/import/caffe/layer.h"
#include "compiler/import/caffe/net_importer.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe_import {

namespace {

Status Input(Layer& n) {
  const auto& shapes = n.proto().input_param().shape();
  if (shapes.size() > 1 && shapes.size() != n.num_tops()) {
    return InvalidInput("has ", shapes.size(), " shapes for ", n.num_tops(), " tops");
  }
  for (int i = 0; i < n.num_tops(); ++i) {
    std::optional<Shape> shape;
    if (!shapes.empty()) {
      const auto& dims = shapes.Get(shapes.size() == 1 ? 0 : i).dim();
      shape.emplace(dims.begin(), dims.end());
    }
    KILN_RETURN_IF_ERROR(n.InputTop(i, shape));
  }
  return OkStatus();
}

// Pictures and labels: top 0 is [batch, channels, height, width], the others [batch].
Status Pictures(Layer& n, int64_t batch, std::optional<Shape> plane) {
  std::optional<Shape> shape;
  if (plane && plane->size() == 3) {
    shape = Shape{batch, (*plane)[0], (*plane)[1], (*plane)[2]};
  }
  KILN_RETURN_IF_ERROR(n.InputTop(0, shape));
  if (n.num_tops() == 1) return OkStatus();
  // A batch that the data's shape was given with holds for the labels too.
  KILN_ASSIGN_OR_RETURN(Op* const data, n.Output(0));
  if (Rank(data) > 0) batch = data->shape()[0];
  for (int i = 1; i < n.num_tops(); ++i) KILN_RETURN_IF_ERROR(n.InputTop(i, Shape{batch}));
  return OkStatus();
}

// The file does not say how many channels a database has: those that the mean has, or, where
// pictures are cropped, those of a colour picture.
std::optional<Shape> CroppedPlane(const caffe::TransformationParameter& transform, bool color) {
  const int64_t crop = transform.crop_size();
  if (crop == 0) return std::nullopt;
  int64_t channels = color && !transform.force_gray() ? 3 : 1;
  if (transform.mean_value_size() > 1) channels = transform.mean_value_size();
  return Shape{channels, crop, crop};
}

Status Data(Layer& n) {
  std::optional<Shape> plane = CroppedPlane(n.proto().transform_param(), true);
  if (!plane) plane = n.item_shape();
  return Pictures(n, n.proto().data_param().batch_size(), plane);
}

Status ImageData(Layer& n) {
  const caffe::ImageDataParameter& data = n.proto().image_data_param();
  std::optional<Shape> plane = CroppedPlane(n.proto().transform_param(), data.is_color());
  if (!plane && data.new_height() > 0 && data.new_width() > 0) {
    plane = Shape{data.is_color() ? 3 : 1, data.new_height(), data.new_width()};
  }
  if (!plane) plane = n.item_shape();
  return Pictures(n, data.batch_size(), plane);
}

Status WindowData(Layer& n) {
  return Pictures(n, n.proto().window_data_param().batch_size(),
                  CroppedPlane(n.proto().transform_param(), true));
}

Status MemoryData(Layer& n) {
  const caffe::MemoryDataParameter& data = n.proto().memory_data_param();
  return Pictures(n, data.batch_size(), Shape{data.channels(), data.height(), data.width()});
}

// The shapes stand in the file that it reads.
Status OpenData(Layer& n) {
  for (int i = 0; i < n.num_tops(); ++i) KILN_RETURN_IF_ERROR(n.InputTop(i, std::nullopt));
  return OkStatus();
}

StatusOr<Shape> DummyShape(const caffe::DummyDataParameter& data, int i) {
  const auto pick = [i](const auto& list) { return list.Get(list.size() == 1 ? 0 : i); };
  const auto fits = [i](const auto& list) { return list.size() == 1 || i < list.size(); };
  if (data.shape_size() > 0) {
    if (!fits(data.shape())) return InvalidInput("has no shape for top ", i);
    const caffe::BlobShape shape = pick(data.shape());
    return Shape(shape.dim().begin(), shape.dim().end());
  }
  if (!fits(data.num()) || !fits(data.channels()) || !fits(data.height()) || !fits(data.width())) {
    return InvalidInput("has no shape for top ", i);
  }
  return Shape{pick(data.num()), pick(data.channels()), pick(data.height()), pick(data.width())};
}

// A constant filler makes a constant; anything random is an input.
Status DummyData(Layer& n) {
  const caffe::DummyDataParameter& data = n.proto().dummy_data_param();
  for (int i = 0; i < n.num_tops(); ++i) {
    KILN_ASSIGN_OR_RETURN(const Shape shape, DummyShape(data, i));
    const int fillers = data.data_filler_size();
    if (fillers > 1 && i >= fillers) return InvalidInput("has no filler for top ", i);
    const auto filler =
        fillers == 0 ? caffe::FillerParameter() : data.data_filler(fillers == 1 ? 0 : i);
    KILN_RETURN_IF_ERROR(CheckFiller(filler));
    if (filler.type() != "constant") {
      KILN_RETURN_IF_ERROR(n.InputTop(i, shape));
      continue;
    }
    KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kF32, shape).status());
    KILN_RETURN_IF_ERROR(n.Top(i, n.builder().Broadcast(n.Scalar(filler.value()), shape)));
  }
  return OkStatus();
}

// A learned blob that is a layer of its own.
Status Parameter(Layer& n) {
  const auto& dims = n.proto().parameter_param().shape().dim();
  return n.Top(n.Blob(0, "value", Shape(dims.begin(), dims.end()), {}));
}

}  // namespace

std::vector<CaffeLayer> DataLayers() {
  const std::string open = "its shape is given with --shape";
  std::vector<CaffeLayer> layers;
  layers.push_back({.name = "Input", .handler = Input, .bottoms = {0, 0}, .tops = {1, kAny}});
  layers.push_back({.name = "Data",
                    .handler = Data,
                    .bottoms = {0, 0},
                    .tops = {1, 2},
                    .limits = "an input; " + open + " where it is not cropped"});
  layers.push_back({.name = "ImageData",
                    .handler = ImageData,
                    .bottoms = {0, 0},
                    .tops = {1, 2},
                    .limits = "an input; " + open + " where it is neither cropped nor resized"});
  layers.push_back({.name = "WindowData",
                    .handler = WindowData,
                    .bottoms = {0, 0},
                    .tops = {1, 2},
                    .limits = "an input; " + open + " where it is not cropped"});
  layers.push_back({.name = "MemoryData",
                    .handler = MemoryData,
                    .bottoms = {0, 0},
                    .tops = {1, 2},
                    .limits = "an input"});
  layers.push_back({.name = "HDF5Data",
                    .handler = OpenData,
                    .bottoms = {0, 0},
                    .tops = {1, kAny},
                    .limits = "an input; " + open});
  layers.push_back(
      {.name = "DummyData", .handler = DummyData, .bottoms = {0, 0}, .tops = {1, kAny}});
  layers.push_back({.name = "Parameter", .handler = Parameter, .bottoms = {0, 0}});
  layers.push_back(
      {.name = "Python", .bottoms = {0, kAny}, .tops = {0, kAny}, .limits = "it runs a program"});
  return layers;
}

}  // namespace kiln::caffe_import
