#include "compiler/lower/lower.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "compiler/lower/kernel_builder.h"
#include "compiler/lower/kernel_table.h"
#include "compiler/lower/location.h"
#include "compiler/lower/parameter_updates.h"
#include "ir/graph/op_def.h"
#include "ir/graph/relayout.h"
#include "passes/memory/plan_memory.h"

namespace kiln {

namespace {

using Region = BufferRef::Region;

int64_t AlignUp(int64_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

/// Views and nests of an op's own go by the order of the bytes: neither what they read nor what
/// they make may lie otherwise.
Status CheckPlain(const Op& op) {
  const bool plain = op.HasTrait(kView) || (op.def().nest && op.body() == nullptr);
  bool row_major = op.type().layout.IsRowMajor();
  for (const Op* const operand : op.operands()) row_major &= operand->type().layout.IsRowMajor();
  if (!plain || row_major) return OkStatus();
  return InvalidInput(op.kind(), ": its operands and its result must be row-major");
}

/// Equal keys: equal constants. Large ones, which take long to hash, are told apart by where they
/// lie: the passes have made equal ones the same.
std::string ConstantKey(const Tensor& value) {
  constexpr int64_t kHashedBytes = 1 << 16;
  const std::string type = value.type().ToString();
  if (!value.known() || value.type().bytes() <= kHashedBytes) {
    return StrCat("c:", type, value.hash());
  }
  return StrCat("m:", type, reinterpret_cast<uint64_t>(value.identity()));
}

/// What all functions of a program share: kernels (each once) and the parameter block.
class ProgramBuilder {
 public:
  ProgramBuilder(const Module& module, const LowerOptions& options)
      : module_(module), kernels_(options) {
    program_.model = module.name;
  }

  KernelTable& kernels() { return kernels_; }

  /// The place of a constant's or parameter's value in the parameter block.
  BufferRef ParameterRef(const Op& op) {
    if (op.Is("parameter")) return ParameterRef(op.String("name"));
    const Tensor& value = op.Constant("value");
    return SlotFor(ConstantKey(value), "", value);
  }
  BufferRef ParameterRef(const std::string& parameter) {
    return SlotFor("p:" + parameter, parameter, module_.FindParameter(parameter)->value);
  }

  void AddFunction(FunctionProgram function) { program_.functions.push_back(std::move(function)); }
  Program Finish() && {
    program_.kernels = kernels_.TakeKernels();
    return std::move(program_);
  }

 private:
  BufferRef SlotFor(const std::string& key, const std::string& name, const Tensor& value) {
    const auto [it, inserted] = parameters_.emplace(key, program_.parameters_bytes);
    if (inserted) {
      program_.parameters.push_back({name, program_.parameters_bytes, value});
      program_.parameters_bytes += AlignUp(std::max<int64_t>(value.type().bytes(), 1));
    }
    return {Region::kParameters, it->second};
  }

  const Module& module_;
  KernelTable kernels_;
  Program program_;
  std::unordered_map<std::string, int64_t> parameters_;
};

/// Lowers one function: a step for every op that computes, a place for every value.
class FunctionLowering {
 public:
  FunctionLowering(const Graph& graph, ProgramBuilder& builder)
      : graph_(graph), shared_(builder), locations_(graph), updates_(graph, locations_) {
    function_.name = graph.name();
  }

  StatusOr<FunctionProgram> Run() {
    DeclareInterface();
    std::vector<Op*> computed;
    for (const auto& op : graph_.ops()) {
      KILN_RETURN_IF_ERROR(Annotate(CheckPlain(*op), OpLabel(*op)));
      const bool sliced = op->Is("slice") && locations_.IsPart(op.get());
      if (op->HasTrait(kLeaf) || IsSameBytes(*op) || sliced) continue;
      if (op->type().count() == 0) {
        PlaceOfResult(*op);  // nothing to compute
      } else {
        computed.push_back(op.get());
      }
    }
    KILN_ASSIGN_OR_RETURN(const std::vector<KernelTable::Use> uses,
                          shared_.kernels().Add(computed, locations_));
    for (size_t i = 0; i < computed.size(); ++i) {
      KILN_RETURN_IF_ERROR(Annotate(AddStep(*computed[i], uses[i]), OpLabel(*computed[i])));
    }
    KILN_RETURN_IF_ERROR(CopyIndirectOutputs());
    return PlaceWorkspace();
  }

 private:
  void DeclareInterface() {
    for (size_t i = 0; i < graph_.inputs().size(); ++i) {
      Op* const input = graph_.inputs()[i];
      function_.inputs.push_back(
          {input->sources().empty() ? input->name() : input->sources()[0], input->type()});
      places_[input] = {Region::kInput, static_cast<int64_t>(i)};
    }
    for (const Graph::Output& output : graph_.outputs()) {
      if (output.update) continue;
      const auto position = static_cast<int64_t>(function_.outputs.size());
      function_.outputs.push_back({output.name, output.value->type()});
      // The first output that shows a computed value is where that value is computed.
      Op* const root = ViewRoot(output.value);
      if (!root->HasTrait(kLeaf)) places_.try_emplace(root, BufferRef{Region::kOutput, position});
    }
    function_.updates_parameters = updates_.Any();
  }

  Status AddStep(Op& op, const KernelTable::Use& use) {
    if (use.kernel < 0) return OkStatus();  // computed where it lies
    Step step;
    step.kernel = use.kernel;
    step.name = op.name();
    step.sources = op.sources();
    step.flops = use.flops;
    const auto may_write_over = [&](size_t input) {
      return shared_.kernels().MayWriteOver(use.kernel, input);
    };
    if (const auto parameter = updates_.InPlace(op, use.inputs, may_write_over)) {
      places_.try_emplace(&op, shared_.ParameterRef(*parameter));
    }
    for (Op* const input : use.inputs) {
      KILN_ASSIGN_OR_RETURN(const BufferRef ref, PlaceOfOperand(input));
      step.buffers.push_back(ref);
      step.bytes += static_cast<double>(input->type().bytes());
    }
    step.buffers.push_back(PlaceOfResult(op));
    for (const loop::Buffer& buffer : use.scratch) {
      step.buffers.push_back(PlaceOfScratch(op, *buffer));
    }
    step.bytes += static_cast<double>(op.type().bytes());
    NoteInPlace(step, use.inputs.size());
    function_.steps.push_back(std::move(step));
    return OkStatus();
  }

  /// Notes the operands whose places the step's result, buffer `result`, may take over if they die
  /// here.
  void NoteInPlace(const Step& step, size_t result) {
    const BufferRef to = step.buffers[result];
    if (to.region != Region::kWorkspace) return;
    for (size_t i = 0; i < result; ++i) {
      const BufferRef from = step.buffers[i];
      if (from.region != Region::kWorkspace || from == to) continue;
      if (std::ranges::count(step.buffers, from) == 1 &&
          shared_.kernels().MayWriteOver(step.kernel, i)) {
        in_place_[to.position].push_back(from.position);
      }
    }
  }

  int CurrentStep() const { return static_cast<int>(function_.steps.size()); }

  StatusOr<BufferRef> PlaceOfOperand(Op* operand) {
    Op* const root = ViewRoot(operand);
    if (root->Is("constant") || root->Is("parameter")) return shared_.ParameterRef(*root);
    const auto it = places_.find(root);
    if (it == places_.end()) {
      return InternalError("'", root->name(), "' (", root->kind(), ") has no place in memory");
    }
    if (it->second.region == Region::kWorkspace) {
      function_.slots[it->second.position].last = CurrentStep();
    }
    return it->second;
  }

  BufferRef PlaceOfResult(Op& result) {
    const Op& op = *locations_.Of(&result).owner;
    const auto it = places_.find(&op);
    if (it != places_.end()) {
      if (it->second.region == Region::kWorkspace) {
        function_.slots[it->second.position].last = CurrentStep();
      }
      return it->second;
    }
    // Until PlaceWorkspace, a workspace position is the index of a slot.
    const BufferRef ref{Region::kWorkspace, static_cast<int64_t>(function_.slots.size())};
    function_.slots.push_back({op.name(), 0, op.type().bytes(), CurrentStep(), CurrentStep()});
    places_[&op] = ref;
    return ref;
  }

  /// Memory that only this step uses.
  BufferRef PlaceOfScratch(const Op& op, const loop::BufferDecl& buffer) {
    const BufferRef ref{Region::kWorkspace, static_cast<int64_t>(function_.slots.size())};
    const int64_t bytes = ElementCount(buffer.shape) * ByteSize(buffer.element);
    function_.slots.push_back(
        {StrCat(op.name(), ".", buffer.name), 0, bytes, CurrentStep(), CurrentStep()});
    return ref;
  }

  /// Outputs that show an input, a constant, or a value that another output holds already; then the
  /// updates whose values were not computed in place.
  Status CopyIndirectOutputs() {
    int64_t position = 0;
    for (const Graph::Output& output : graph_.outputs()) {
      if (output.update) continue;
      KILN_RETURN_IF_ERROR(CopyTo({Region::kOutput, position++}, output));
    }
    for (const Graph::Output& output : graph_.outputs()) {
      if (!output.update) continue;
      KILN_RETURN_IF_ERROR(updates_.CheckSource(output));
      KILN_RETURN_IF_ERROR(CopyTo(shared_.ParameterRef(output.name), output));
    }
    return OkStatus();
  }

  Status CopyTo(const BufferRef& target, const Graph::Output& output) {
    KILN_ASSIGN_OR_RETURN(const BufferRef source, PlaceOfOperand(output.value));
    if (source == target || output.value->type().count() == 0) return OkStatus();
    Step step;
    KILN_ASSIGN_OR_RETURN(step.kernel, shared_.kernels().AddCopy(output.value->type()));
    step.name = output.name;
    step.sources = output.value->sources();
    step.buffers = {source, target};
    step.bytes = 2.0 * static_cast<double>(output.value->type().bytes());
    function_.steps.push_back(std::move(step));
    return OkStatus();
  }

  StatusOr<FunctionProgram> PlaceWorkspace() {
    std::vector<BufferLifetime> lifetimes;
    for (const WorkspaceSlot& slot : function_.slots) {
      lifetimes.push_back({.size = slot.bytes, .first_step = slot.first, .last_step = slot.last});
    }
    for (const auto& [to, operands] : in_place_) {
      for (const int64_t from : operands) {
        if (function_.slots[from].last != function_.slots[to].first) continue;
        lifetimes[to].in_place_of = static_cast<int>(from);
        break;
      }
    }
    KILN_ASSIGN_OR_RETURN(const MemoryPlan plan, PlanMemory(lifetimes));
    for (size_t i = 0; i < function_.slots.size(); ++i) {
      function_.slots[i].offset = plan.offsets[i];
    }
    function_.workspace_bytes = plan.arena_size;
    for (Step& step : function_.steps) {
      for (BufferRef& ref : step.buffers) {
        if (ref.region == Region::kWorkspace) ref.position = plan.offsets[ref.position];
      }
    }
    return std::move(function_);
  }

  const Graph& graph_;
  ProgramBuilder& shared_;
  const Locations locations_;
  const ParameterUpdates updates_;
  FunctionProgram function_;
  std::map<const Op*, BufferRef> places_;
  std::map<int64_t, std::vector<int64_t>> in_place_;  // slot of a result -> slots it may take over
};

}  // namespace

StatusOr<Program> LowerModule(const Module& module, const LowerOptions& options) {
  ProgramBuilder builder(module, options);
  for (const auto& function : module.functions()) {
    KILN_ASSIGN_OR_RETURN(FunctionProgram lowered, FunctionLowering(*function, builder).Run());
    builder.AddFunction(std::move(lowered));
  }
  return std::move(builder).Finish();
}

}  // namespace kiln
