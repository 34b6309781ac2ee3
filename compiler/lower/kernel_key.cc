#include "compiler/lower/kernel_key.h"

#include <algorithm>
#include <unordered_map>

#include "ir/graph/op_def.h"
#include "ir/graph/printer.h"

namespace kiln {

namespace {

class KeyWriter {
 public:
  explicit KeyWriter(const Locations& locations) : locations_(locations) {}

  KernelKey Write(Op& op) && {
    AddOp(op);
    key_.text += '@';
    AddPlace(op);
    for (Op* const operand : op.operands()) {
      key_.text += locations_.IsPart(operand) ? " part " : " ";
      AddPlace(*operand);
      AddType(*operand);
    }
    for (const Op* const owner : key_.values) {
      key_.text += " of ";
      AddType(*owner);
    }
    if (op.body() != nullptr) AddBody(*op.body());
    return std::move(key_);
  }

 private:
  void AddType(const Op& op) { key_.text += op.type().ToString(); }

  void AddOp(const Op& op) {
    key_.text += op.kind();
    for (const auto& [name, value] : op.attributes()) {
      key_.text += StrCat(" ", name, "=", Print(value));
    }
    AddType(op);
  }

  // The number of the buffer in which the value lies, and where in it.
  void AddPlace(Op& op) {
    const Location location = locations_.Of(&op);
    const auto it = std::find(key_.values.begin(), key_.values.end(), location.owner);
    key_.text += StrCat(it - key_.values.begin(), FormatInts(location.offset));
    if (it == key_.values.end()) key_.values.push_back(location.owner);
  }

  void AddBody(const Graph& body) {
    std::unordered_map<const Op*, size_t> numbers;
    for (const Op* const input : body.inputs()) {
      key_.text += StrCat("\n", numbers.size(), ": input ");
      AddType(*input);
      numbers.emplace(input, numbers.size());
    }
    for (const auto& op : body.ops()) {
      key_.values.push_back(op.get());
      if (op->Is("input")) continue;
      key_.text += StrCat("\n", numbers.size(), ": ");
      numbers.emplace(op.get(), numbers.size());
      // A single number stands in the kernel itself.
      if (op->Is("constant") && op->type().count() != 1) {
        key_.text += "constant ";
        AddType(*op);
        continue;
      }
      AddOp(*op);
      for (const Op* const operand : op->operands()) {
        key_.text += StrCat(" ", numbers.at(operand));
      }
      if (op->body() != nullptr) AddBody(*op->body());
    }
    key_.text += StrCat("\n-> ", numbers.at(body.outputs()[0].value), "\n");
  }

  const Locations& locations_;
  KernelKey key_;
};

}  // namespace

KernelKey KeyOf(Op& op, const Locations& locations) { return KeyWriter(locations).Write(op); }

}  // namespace kiln
