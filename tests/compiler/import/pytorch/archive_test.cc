#include "compiler/import/pytorch/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/import/pytorch/pickle.h"
#include "compiler/import/pytorch/pytorch_import.h"
#include "tests/compiler/import/import_test_util.h"
#include "tests/compiler/import/pytorch/program_builder.h"

namespace kiln::pytorch_import {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Members = std::map<std::string, std::string>;

ProgramBuilder Scale() {
  ProgramBuilder program;
  program.Weight("parameter", "p_w", "w", Floats({2}, {3, 5}))
      .Weight("tensor_constant", "c_c", "c", Floats({2}, {1, 2}))
      .Input("x", {2})
      .Node("aten.mul.Tensor", {{"self", "x"}, {"other", "p_w"}}, {"mul"})
      .Node("aten.add.Tensor", {{"self", "mul"}, {"other", "c_c"}}, {"y"})
      .Output("y");
  return program;
}

std::vector<double> RunScale(const Members& members) {
  return Evaluate(ImportPytorch(Bytes(Zip(members)), {}), {Floats({2}, {1, 1})});
}

std::string Error(const Members& members, bool compress = false) {
  return Message(ReadArchive(Bytes(Zip(members, compress))).status());
}

// What torch.save writes of {"w": tensor}: protocol 2, the storage being that of key "0".
std::string Pickle(const std::string& name, const std::string& storage = "FloatStorage",
                   const std::string& function = "torch._utils\n_rebuild_tensor_v2\n") {
  const auto text = [](const std::string& value) {
    return std::string("X") + static_cast<char>(value.size()) + std::string(3, '\0') + value;
  };
  return std::string("\x80\x02}q\0(", 6) + text(name) + "c" + function + "((" + text("storage") +
         "ctorch\n" + storage + "\n" + text("0") + text("cpu") + "K\x02tQ" +
         std::string("K\0K\x02\x85K\x01\x85\x89", 9) + "ccollections\nOrderedDict\n)Rt" + "Ru.";
}

std::string SavedTensors(const std::string& pickle, const Tensor& tensor) {
  return Zip({{"archive/data.pkl", pickle},
              {"archive/byteorder", "little"},
              {"archive/data/0", {tensor.bytes().data(), tensor.bytes().size()}}});
}

TEST(PytorchArchive, LayoutSince29) { EXPECT_THAT(RunScale(Scale().Members()), ElementsAre(4, 7)); }

TEST(PytorchArchive, LayoutOf28) {
  Members members = Scale().Members();
  std::erase_if(
      members, [](const auto& member) { return member.first.find("/data/") != std::string::npos; });
  members["net/data/weights/model.pt"] = SavedTensors(Pickle("w"), Floats({2}, {3, 5}));
  members["net/data/constants/model.pt"] = SavedTensors(Pickle("c"), Floats({2}, {1, 2}));
  EXPECT_THAT(RunScale(members), ElementsAre(4, 7));
}

TEST(PytorchArchive, LayoutBefore28) {
  const Members members = {
      {"serialized_exported_program.json", Scale().Text()},
      {"serialized_state_dict.pt", SavedTensors(Pickle("w"), Floats({2}, {3, 5}))},
      {"serialized_constants.pt", SavedTensors(Pickle("c"), Floats({2}, {1, 2}))},
      {"version", "7.3"}};
  EXPECT_THAT(RunScale(members), ElementsAre(4, 7));
}

TEST(PytorchArchive, TensorsMayBeAnyBoxOfTheirStorage) {
  Members members = Scale().Members();
  const auto describe = [&](const Json& sizes, const Json& strides, int offset) {
    members["net/data/weights/model_weights_config.json"] = Json{
        {"config",
         {{"w",
           {{"path_name", "weight_0"},
            {"use_pickle", false},
            {"tensor_meta",
             {{"dtype", 7},
              {"sizes", Sizes(sizes)},
              {"strides", Sizes(strides)},
              {"storage_offset", {{"as_int", offset}}}}}}}}}}.dump();
    return members;
  };
  const Tensor six = Ramp({6});
  members["net/data/weights/weight_0"] = {six.bytes().data(), six.bytes().size()};
  const auto read = [&](const Json& sizes, const Json& strides, int offset) {
    const auto archive = ReadArchive(Bytes(Zip(describe(sizes, strides, offset))));
    EXPECT_TRUE(archive.ok()) << archive.status();
    return archive.ok() ? archive->weights.at("w").ToDoubles() : std::vector<double>();
  };
  EXPECT_THAT(read({2, 2}, {2, 1}, 2), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(read({2, 2}, {1, 3}, 1), ElementsAre(1, 4, 2, 5));
  EXPECT_THAT(read({3}, {0}, 5), ElementsAre(5, 5, 5));
  EXPECT_THAT(read({0, 4}, {4, 1}, 0), ElementsAre());
  const auto error = [&](const Json& sizes, const Json& strides, int offset) {
    return Error(describe(sizes, strides, offset));
  };
  EXPECT_THAT(error({7}, {1}, 0), HasSubstr("passes the end of 6 elements"));
  EXPECT_THAT(error({2}, {5}, 1), HasSubstr("passes the end of 6 elements"));
  EXPECT_THAT(error({2}, {1}, -1), HasSubstr("passes the end of 6 elements"));
  EXPECT_THAT(error({int64_t{1} << 40}, {0}, 0), HasSubstr("which is too large"));
  EXPECT_THAT(error({int64_t{1} << 40, int64_t{1} << 40}, {0, 0}, 0), HasSubstr("w"));
}

TEST(PytorchArchive, WhatIsMissingOrDamagedIsNamed) {
  const Members good = Scale().Members();
  for (const char* const name :
       {"net/data/weights/weight_0", "net/data/weights/model_weights_config.json",
        "net/data/constants/model_constants_config.json"}) {
    Members members = good;
    members.erase(name);
    EXPECT_EQ(Error(members), (std::string(name).ends_with("weight_0")
                                   ? "net/data/weights/model_weights_config.json: 'w': "
                                   : "") +
                                  StrCat(name, ": is not in the archive"));
  }
  Members members = good;
  members.erase("net/models/model.json");
  EXPECT_EQ(Error(members), "the archive holds no program of torch.export");
  members["net/data.pkl"] = "";
  EXPECT_THAT(Error(members), HasSubstr("but what torch.save or torch.jit.save writes"));
  members = good;
  members["net/models/other.json"] = "{}";
  EXPECT_EQ(Error(members), "the archive holds 2 programs, expected one: model, other");
  members = good;
  members["net/byteorder"] = "big";
  EXPECT_THAT(Error(members), HasSubstr("big-endian"));

  const std::string bytes = Zip(good);
  EXPECT_THAT(Message(ReadArchive(Bytes(bytes.substr(0, bytes.size() / 2))).status()),
              HasSubstr("the archive cannot be read: "));
  std::string flipped = bytes;
  flipped[bytes.find(std::string(Floats({2}, {3, 5}).bytes().data(), 8))] ^= 1;
  EXPECT_THAT(Message(ReadArchive(Bytes(flipped)).status()), HasSubstr("weight_0: is damaged"));
}

TEST(PytorchArchive, BombsAreRefused) {
  Members members = Scale().Members();
  members["net/data/weights/weight_0"] = std::string(50'000'000, '\0');
  EXPECT_THAT(Error(members, /*compress=*/true), HasSubstr("weight_0: is too large"));
}

TEST(PytorchArchive, PicklesAreNeverRun) {
  const auto error = [](const std::string& pickle) {
    return Message(ReadPickle(Bytes(pickle)).status());
  };
  EXPECT_EQ(error(Pickle("w")), "");
  // A parameter: (tensor, requires_grad, hooks).
  const std::string tensor = Pickle("w");
  const size_t at = tensor.find("ctorch._utils"), end = tensor.size() - 2;
  for (const char* const function : {"_rebuild_parameter\n", "_rebuild_parameter_with_state\n"}) {
    EXPECT_EQ(error(tensor.substr(0, at) + "ctorch._utils\n" + function +
                    tensor.substr(at, end - at) + "\x88N\x87Ru."),
              "");
  }
  EXPECT_EQ(error(Pickle("w", "FloatStorage", "os\nsystem\n")),
            "holds os system, which is not supported");
  EXPECT_EQ(error(Pickle("w", "ComplexFloatStorage")),
            "has storages of torch ComplexFloatStorage, which are not supported");
  EXPECT_THAT(error("\x80\x02i"), HasSubstr("instruction 105"));
  EXPECT_EQ(error("\x80\x02}"), "the pickle is cut short");
  EXPECT_EQ(error("\x80\x02u."), "the pickle is malformed");
  EXPECT_EQ(error(std::string("\x80\x02K\0.", 5)), "is no dictionary of tensors");
  const std::string whole = Pickle("w");
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ReadPickle(Bytes(whole.substr(0, size))).ok());
  }
  EXPECT_THAT(Message(ReadSavedTensors(Bytes(SavedTensors(whole, Floats({1}, {1})))).status()),
              HasSubstr("w: is f32[2] with strides [1] from 0 on, which passes the end"));
}

}  // namespace
}  // namespace kiln::pytorch_import
