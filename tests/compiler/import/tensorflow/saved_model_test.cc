// SavedModels and their checkpoints, written by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "compiler/import/import.h"
#include "compiler/import/tensorflow/checkpoint.h"
#include "proto/tensorflow.pb.h"
#include "tests/compiler/import/import_test_util.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void PutVarint(std::string* to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) to->push_back(static_cast<char>(value | 0x80));
  to->push_back(static_cast<char>(value));
}

void PutFixed(std::string* to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to->push_back(static_cast<char>(value >> (8 * i)));
}

using Row = std::pair<std::string, std::string>;

// A block of a sorted table, keys sharing prefixes with those before them.
std::string Block(const std::vector<Row>& rows) {
  std::string block, last;
  for (const auto& [key, value] : rows) {
    size_t shared = 0;
    while (shared < last.size() && shared < key.size() && last[shared] == key[shared]) ++shared;
    PutVarint(&block, shared);
    PutVarint(&block, key.size() - shared);
    PutVarint(&block, value.size());
    block += key.substr(shared) + value;
    last = key;
  }
  PutFixed(&block, 0, 4);  // the restart point
  PutFixed(&block, 1, 4);
  return block;
}

std::string Handle(size_t offset, size_t size) {
  std::string handle;
  PutVarint(&handle, offset);
  PutVarint(&handle, size);
  return handle;
}

std::string Table(const std::vector<Row>& rows) {
  std::string file;
  const auto add = [&file](const std::string& block) {
    const std::string handle = Handle(file.size(), block.size());
    file += block + std::string(5, '\0');  // no compression; a checksum
    return handle;
  };
  const std::string data = add(Block(rows));
  const std::string meta = add(Block({}));
  const std::string index = add(Block({{rows.back().first, data}}));
  std::string footer = meta + index;
  footer.resize(40);
  PutFixed(&footer, 0xdb4775248b80fb57, 8);
  return file + footer;
}

std::string Entry(const Shape& shape, int64_t offset, int64_t size) {
  tensorflow::BundleEntry entry;
  entry.set_dtype(tensorflow::DT_FLOAT);
  for (const int64_t extent : shape) entry.mutable_shape()->add_dim()->set_size(extent);
  entry.set_offset(offset);
  entry.set_size(size);
  return entry.SerializeAsString();
}

std::string Header() {
  tensorflow::BundleHeader header;
  header.set_num_shards(1);
  return header.SerializeAsString();
}

// y = a read variable times x, behind a function that is called with the variable.
tensorflow::SavedModel Model() {
  tensorflow::SavedModel model;
  model.set_saved_model_schema_version(1);
  auto* const meta = model.add_meta_graphs();
  meta->mutable_meta_info_def()->add_tags("serve");
  auto* const graph = meta->mutable_graph_def();
  graph->mutable_versions()->set_producer(24);
  auto* const x = graph->add_node();
  x->set_name("serving_default_input");
  x->set_op("Placeholder");
  (*x->mutable_attr())["dtype"].set_type(tensorflow::DT_FLOAT);
  (*x->mutable_attr())["shape"].mutable_shape()->add_dim()->set_size(-1);
  auto* const variable = graph->add_node();
  variable->set_name("handle");
  variable->set_op("VarHandleOp");
  (*variable->mutable_attr())["shared_name"].set_s("layer/scale");
  auto* const call = graph->add_node();
  call->set_name("call");
  call->set_op("StatefulPartitionedCall");
  call->add_input("serving_default_input");
  call->add_input("handle");
  (*call->mutable_attr())["f"].mutable_func()->set_name("f");
  auto* const function = graph->mutable_library()->add_function();
  function->mutable_signature()->set_name("f");
  function->mutable_signature()->add_input_arg()->set_name("a");
  function->mutable_signature()->add_input_arg()->set_name("v");
  function->mutable_signature()->add_output_arg()->set_name("r");
  auto* const read = function->add_node_def();
  read->set_name("read");
  read->set_op("ReadVariableOp");
  read->add_input("v");
  auto* const product = function->add_node_def();
  product->set_name("product");
  product->set_op("Mul");
  product->add_input("a");
  product->add_input("read:value:0");
  (*function->mutable_ret())["r"] = "product:z:0";
  auto& signature = (*meta->mutable_signature_def())["serving_default"];
  (*signature.mutable_inputs())["input"].set_name("serving_default_input:0");
  (*signature.mutable_outputs())["scaled"].set_name("call:0");
  return model;
}

// The folder of a SavedModel whose variable is 5.
void WriteModel(const TemporaryFolder& folder, const std::string& key,
                const std::string& object_graph) {
  folder.Write("saved_model.pb", Model().SerializeAsString());
  std::filesystem::create_directory(folder / "variables");
  const Tensor value = Floats({1}, {5});
  std::string data(value.bytes().data(), value.bytes().size());
  std::vector<Row> rows = {{"", Header()}};
  if (!object_graph.empty()) {
    const auto offset = static_cast<int64_t>(data.size());
    PutVarint(&data, object_graph.size());
    data += std::string(4, '\0') + object_graph;
    rows.emplace_back("_CHECKPOINTABLE_OBJECT_GRAPH",
                      Entry({}, offset, static_cast<int64_t>(data.size()) - offset));
  }
  rows.emplace_back(key, Entry({1}, 0, 4));
  folder.Write("variables/variables.index", Table(rows));
  folder.Write("variables/variables.data-00000-of-00001", data);
}

TEST(SavedModel, VariablesComeFromTheCheckpoint) {
  const TemporaryFolder folder;
  WriteModel(folder, "layer/scale", "");
  ImportOptions options;
  options.batch = 2;
  for (const std::string& path : {folder.path(), folder / "saved_model.pb"}) {
    const auto module = ImportModel({path}, options);
    EXPECT_THAT(Evaluate(module, {Floats({2}, {1, 3})}), ElementsAre(5, 15));
    EXPECT_THAT(OutputNames(**module), ElementsAre("scaled"));
    EXPECT_EQ((*module)->FindFunction("forward")->inputs()[0]->sources()[0], "input");
    EXPECT_EQ((*module)->parameters().size(), 1u);
  }
}

TEST(SavedModel, TheObjectGraphNamesVariables) {
  tensorflow::TrackableObjectGraph graph;
  auto* const attribute = graph.add_nodes()->add_attributes();
  attribute->set_full_name("layer/scale");
  attribute->set_checkpoint_key("variables/0/.ATTRIBUTES/VARIABLE_VALUE");
  const TemporaryFolder folder;
  WriteModel(folder, "variables/0/.ATTRIBUTES/VARIABLE_VALUE", graph.SerializeAsString());
  ImportOptions options;
  options.batch = 1;
  EXPECT_THAT(Evaluate(ImportModel({folder.path()}, options), {Floats({1}, {2})}), ElementsAre(10));
}

TEST(SavedModel, AMissingVariableIsNamed) {
  const TemporaryFolder folder;
  folder.Write("saved_model.pb", Model().SerializeAsString());
  ImportOptions options;
  options.batch = 1;
  EXPECT_THAT(Message(ImportModel({folder.path()}, options).status()),
              HasSubstr("handle: variable 'layer/scale' has no value"));
}

TEST(SavedModel, TablesAreCheckedToTheLastByte) {
  std::vector<Row> rows;
  for (int i = 0; i < 50; ++i) rows.emplace_back(StrCat("key", 100 + i), StrCat("value", i));
  const std::string table = Table(rows);
  const auto read = tensorflow_import::ReadSortedTable(Bytes(table));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size(), 50u);
  EXPECT_EQ(read->at("key117"), "value17");
  for (size_t size = 0; size < table.size(); ++size) {
    EXPECT_FALSE(tensorflow_import::ReadSortedTable(Bytes(table.substr(0, size))).ok());
  }
  for (size_t i = 0; i < table.size(); ++i) {  // no byte may make it read outside
    for (const char bad : {'\x00', '\x7f', '\xff'}) {
      std::string changed = table;
      changed[i] = bad;
      (void)tensorflow_import::ReadSortedTable(Bytes(changed));
    }
  }
}

}  // namespace
}  // namespace kiln
