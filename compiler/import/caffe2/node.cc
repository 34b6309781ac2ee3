#include "compiler/import/caffe2/node.h"

#include "compiler/import/foreign/build.h"

namespace kiln::caffe2_import {

StatusOr<Op*> Node::input(int i) {
  if (!Has(i)) return InvalidInput("input ", i, " is missing");
  return values_.Get(proto_.input(i));
}

StatusOr<std::vector<Op*>> Node::inputs() {
  std::vector<Op*> ops;
  for (int i = 0; i < num_inputs(); ++i) {
    KILN_ASSIGN_OR_RETURN(Op* const op, input(i));
    ops.push_back(op);
  }
  return ops;
}

StatusOr<std::vector<int64_t>> Node::KnownInts(int i) {
  constexpr int64_t kMaxInts = 4096;
  if (!Has(i)) return InvalidInput("input ", i, " is missing");
  auto value = values_.Known(proto_.input(i));
  if (!value.ok()) {
    return Unsupported("input '", Printable(proto_.input(i)), "' must be known when compiling; it ",
                       Message(value.status()));
  }
  if (value->type().rank() > 1 || value->type().count() > kMaxInts) {
    return InvalidInput("input '", Printable(proto_.input(i)),
                        "' must be a list of integers, found ", value->type().ToString());
  }
  return value->ToInts();
}

const caffe2::Argument* Node::Find(const std::string& name) const {
  for (const caffe2::Argument& argument : proto_.arg()) {
    if (argument.name() == name) return &argument;
  }
  return nullptr;
}

int64_t Node::Int(const std::string& name, int64_t otherwise) const {
  const caffe2::Argument* const argument = Find(name);
  return argument == nullptr ? otherwise : argument->i();
}

double Node::Float(const std::string& name, double otherwise) const {
  const caffe2::Argument* const argument = Find(name);
  return argument == nullptr ? otherwise : argument->f();
}

std::string Node::String(const std::string& name, const std::string& otherwise) const {
  const caffe2::Argument* const argument = Find(name);
  return argument == nullptr ? otherwise : argument->s();
}

std::vector<int64_t> Node::Ints(const std::string& name) const {
  const caffe2::Argument* const argument = Find(name);
  if (argument == nullptr) return {};
  return {argument->ints().begin(), argument->ints().end()};
}

Status Node::Output(int i, const StatusOr<Op*>& value) {
  KILN_RETURN_IF_ERROR(value.status());
  if (Wants(i)) values_.Set(proto_.output(i), *value);
  return OkStatus();
}

}  // namespace kiln::caffe2_import
