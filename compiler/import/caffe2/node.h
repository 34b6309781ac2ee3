// Node: what an operator's handler sees of one Caffe2 operator: inputs, arguments, outputs.
#pragma once

#include <string>
#include <vector>

#include "compiler/import/caffe2/op_table.h"
#include "compiler/import/foreign/values.h"
#include "ir/graph/builder.h"
#include "proto/caffe2.pb.h"

namespace kiln::caffe2_import {

class Node {
 public:
  Node(Values* values, const caffe2::OperatorDef& proto, const Caffe2Op& op)
      : values_(*values), proto_(proto), op_(op) {}

  const Caffe2Op& op() const { return op_; }
  Values& values() { return values_; }
  Builder& builder() { return values_.builder(); }

  int num_inputs() const { return proto_.input_size(); }
  bool Has(int i) const { return i < proto_.input_size(); }
  StatusOr<Op*> input(int i);
  StatusOr<std::vector<Op*>> inputs();
  /// The integers in input `i`, which must be known when compiling.
  StatusOr<std::vector<int64_t>> KnownInts(int i);
  /// Input `i` is a statistic and not trained.
  void Freeze(int i) { values_.Freeze(proto_.input(i)); }

  bool HasArgument(const std::string& name) const { return Find(name) != nullptr; }
  int64_t Int(const std::string& name, int64_t otherwise = 0) const;
  double Float(const std::string& name, double otherwise = 0) const;
  std::string String(const std::string& name, const std::string& otherwise = "") const;
  std::vector<int64_t> Ints(const std::string& name) const;
  const caffe2::Argument* Find(const std::string& name) const;
  /// Channels come last.
  bool IsNhwc() const { return String("order", "NCHW") == "NHWC"; }

  int num_outputs() const { return proto_.output_size(); }
  const std::string& output_name(int i) const { return proto_.output(i); }
  bool Wants(int i) const { return i < proto_.output_size(); }
  Status Output(int i, const StatusOr<Op*>& value);
  Status Output(const StatusOr<Op*>& value) { return Output(0, value); }

  StatusOr<Op*> Make(std::string_view kind, const std::vector<StatusOr<Op*>>& operands,
                     AttributeMap attributes = {}) {
    return builder().Make(kind, operands, std::move(attributes));
  }

 private:
  Values& values_;
  const caffe2::OperatorDef& proto_;
  const Caffe2Op& op_;
};

}  // namespace kiln::caffe2_import
