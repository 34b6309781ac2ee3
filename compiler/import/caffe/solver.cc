#include "compiler/import/caffe/solver.h"

#include <algorithm>
#include <cctype>

#include "compiler/import/foreign/problems.h"
#include "compiler/import/protobuf.h"
#include "ir/support/file.h"
#include "proto/caffe.pb.h"

namespace kiln {

namespace {

using caffe::SolverParameter;

// Caffe knows solvers by the names of their classes, and older files by numbers.
StatusOr<SolverKind> KindOf(const SolverParameter& proto) {
  if (proto.has_solver_type()) {
    if (proto.has_type()) return InvalidInput("has both type and solver_type");
    static constexpr SolverKind kKinds[] = {SolverKind::kSgd,      SolverKind::kNesterov,
                                            SolverKind::kAdaGrad,  SolverKind::kRmsProp,
                                            SolverKind::kAdaDelta, SolverKind::kAdam};
    return kKinds[proto.solver_type()];
  }
  std::string name = proto.type();
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::optional<SolverKind> kind = ParseSolverKind(name);
  if (!kind) return InvalidInput("type: there is no solver ", foreign::Printable(proto.type()));
  return *kind;
}

Status SetSolver(const SolverParameter& proto, SolverOptions& options) {
  KILN_ASSIGN_OR_RETURN(options.kind, KindOf(proto));
  options.momentum = proto.momentum();
  options.momentum2 = proto.momentum2();
  options.rms_decay = proto.rms_decay();
  options.delta = proto.delta();
  options.weight_decay = proto.weight_decay();
  options.clip_norm = std::max(proto.clip_gradients(), 0.0f);
  options.iter_size = proto.iter_size();
  if (proto.regularization_type() == "L1") {
    options.regularization = Regularization::kL1;
  } else if (proto.regularization_type() != "L2") {
    return InvalidInput("regularization_type: expected L1 or L2, found ",
                        foreign::Printable(proto.regularization_type()));
  }
  return Check(options);
}

Status SetRate(const SolverParameter& proto, RatePolicy& rate) {
  if (!proto.has_base_lr()) return InvalidInput("base_lr is missing");
  const std::optional<RateKind> kind =
      proto.has_lr_policy() ? ParseRateKind(proto.lr_policy()) : RateKind::kFixed;
  if (!kind) {
    return InvalidInput("lr_policy: there is no policy ", foreign::Printable(proto.lr_policy()));
  }
  rate.kind = *kind;
  rate.base = proto.base_lr();
  rate.gamma = proto.gamma();
  rate.power = proto.power();
  rate.step_size = proto.stepsize();
  rate.step_values.assign(proto.stepvalue().begin(), proto.stepvalue().end());
  rate.max_iterations = proto.max_iter();
  return Check(rate);
}

Status CheckCounts(const SolverParameter& proto) {
  for (const auto& [name, value] :
       {std::pair("max_iter", proto.max_iter()), std::pair("test_interval", proto.test_interval()),
        std::pair("display", proto.display()), std::pair("snapshot", proto.snapshot())}) {
    if (value < 0) return InvalidInput(name, " must be at least 0, found ", value);
  }
  if (proto.average_loss() < 1) {
    return InvalidInput("average_loss must be at least 1, found ", proto.average_loss());
  }
  for (const int32_t count : proto.test_iter()) {
    if (count < 1) return InvalidInput("test_iter must be at least 1, found ", count);
  }
  return OkStatus();
}

Status CheckNets(const SolverParameter& proto) {
  if (proto.has_net_param() || proto.has_train_net_param() || proto.test_net_param_size() > 0) {
    return Unsupported("a net inside of the solver is not supported, only one in a file");
  }
  if (proto.has_net() && proto.has_train_net()) return InvalidInput("has both net and train_net");
  if (proto.test_iter_size() > 1 || proto.test_net_size() > 1) {
    return Unsupported("more than one net to test with is not supported");
  }
  const auto plain = [](const caffe::NetState& state) {
    return state.stage_size() == 0 && state.level() == 0;
  };
  if (!plain(proto.train_state()) || !std::ranges::all_of(proto.test_state(), plain)) {
    return Unsupported("train_state and test_state with stages or levels are not supported");
  }
  return OkStatus();
}

}  // namespace

StatusOr<CaffeSolver> ParseCaffeSolver(std::span<const char> bytes) {
  SolverParameter proto;
  std::vector<std::string> unknown;
  KILN_RETURN_IF_ERROR(ParseProtobufText(bytes, &proto, &unknown));
  if (!unknown.empty()) return InvalidInput(foreign::Printable(unknown[0]));
  KILN_RETURN_IF_ERROR(CheckNets(proto));
  KILN_RETURN_IF_ERROR(CheckCounts(proto));
  CaffeSolver solver;
  KILN_RETURN_IF_ERROR(SetSolver(proto, solver.solver));
  KILN_RETURN_IF_ERROR(SetRate(proto, solver.rate));
  solver.net = proto.has_net() ? proto.net() : proto.train_net();
  if (proto.test_net_size() > 0) solver.test_net = proto.test_net(0);
  for (const std::string& list : proto.weights()) {
    for (const std::string& file : StrSplit(list, ',')) solver.weights.push_back(file);
  }
  solver.max_iterations = proto.max_iter();
  if (proto.test_iter_size() > 0) solver.test_iterations = proto.test_iter(0);
  solver.test_interval = proto.test_interval();
  solver.test_initialization = proto.test_initialization();
  solver.display = proto.display();
  solver.average_loss = proto.average_loss();
  solver.snapshot = proto.snapshot();
  if (proto.random_seed() >= 0) solver.seed = static_cast<uint64_t>(proto.random_seed());
  return solver;
}

StatusOr<CaffeSolver> ReadCaffeSolver(const std::string& path) {
  KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  auto solver = ParseCaffeSolver(file->bytes());
  if (solver.ok()) return solver;
  return Annotate(solver.status(), path);
}

StatusOr<std::vector<float>> ReadCaffeMean(const std::string& path) {
  KILN_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  caffe::BlobProto blob;
  KILN_RETURN_IF_ERROR(Annotate(ParseProtobuf(file->bytes(), &blob), path));
  if (blob.data_size() == 0) return InvalidInput(path, ": holds no numbers");
  return std::vector<float>(blob.data().begin(), blob.data().end());
}

}  // namespace kiln
