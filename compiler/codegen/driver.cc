#include "compiler/codegen/driver.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>

#include <algorithm>

#include "compiler/codegen/emit.h"
#include "compiler/codegen/llvm_target.h"
#include "ir/support/parallel.h"
#include "runtime/abi/kiln.h"

namespace kiln {

namespace {

// Handing a section to a thread that is awake takes about a microsecond, waking one that sleeps
// some thirty. So a step stays on the caller when it takes less than the one, estimated, and all
// steps do when the whole function takes not much more than the other.
constexpr double kSerialStepSeconds = 5e-6;
constexpr double kSerialFunctionSeconds = 100e-6;
constexpr double kFlopsPerSecond = 5e10;
constexpr double kBytesPerSecond = 1e10;

// LLVM takes time that grows with the square of the calls in a function.
constexpr size_t kStepsOfAPart = 200;

double EstimatedSeconds(const Step& step) {
  return step.flops / kFlopsPerSecond + step.bytes / kBytesPerSecond;
}

bool WorthThreads(const FunctionProgram& function) {
  double seconds = 0;
  for (const Step& step : function.steps) seconds += EstimatedSeconds(step);
  return seconds > kSerialFunctionSeconds;
}

class DriverEmitter {
 public:
  DriverEmitter(const Program& program, const DriverOptions& options, llvm::Module& module)
      : program_(program),
        options_(options),
        module_(module),
        context_(module.getContext()),
        builder_(context_),
        ptr_(llvm::PointerType::getUnqual(context_)),
        i32_(builder_.getInt32Ty()),
        i64_(builder_.getInt64Ty()),
        f64_(builder_.getDoubleTy()) {}

  Status Emit() {
    if (options_.own_parameters) DeclareParameters();
    EmitCallSection();
    std::vector<llvm::Constant*> functions;
    for (const FunctionProgram& function : program_.functions) {
      functions.push_back(EmitFunction(function));
    }
    EmitLibrary(functions);
    return OkStatus();
  }

 private:
  // --- constants -------------------------------------------------------------------------------

  llvm::Constant* Int32(int64_t value) { return llvm::ConstantInt::get(i32_, value); }
  llvm::Constant* Int64(int64_t value) { return llvm::ConstantInt::get(i64_, value); }
  llvm::Constant* Null() { return llvm::ConstantPointerNull::get(ptr_); }

  /// An internal constant global; a pointer to it.
  llvm::Constant* Global(llvm::Constant* value, const std::string& name) {
    return new llvm::GlobalVariable(module_, value->getType(), /*isConstant=*/true,
                                    llvm::GlobalValue::PrivateLinkage, value, name);
  }

  llvm::Constant* String(const std::string& text) {
    return Global(llvm::ConstantDataArray::getString(context_, text), "str");
  }

  llvm::Constant* Struct(llvm::ArrayRef<llvm::Constant*> fields) {
    return llvm::ConstantStruct::getAnon(context_, fields);
  }

  /// A table of equal structs; null when it is empty.
  llvm::Constant* Table(const std::vector<llvm::Constant*>& rows, const std::string& name) {
    if (rows.empty()) return Null();
    auto* const type = llvm::ArrayType::get(rows[0]->getType(), rows.size());
    return Global(llvm::ConstantArray::get(type, rows), name);
  }

  llvm::Constant* TensorInfo(const std::string& name, const TensorType& type) {
    std::vector<llvm::Constant*> extents;
    for (const int64_t extent : type.shape) extents.push_back(Int64(extent));
    return Struct({String(name), Int32(static_cast<int>(type.element)), Int32(type.rank()),
                   Table(extents, "shape"), Int64(type.bytes())});
  }

  llvm::Constant* TensorTable(const std::vector<TensorSpec>& tensors) {
    std::vector<llvm::Constant*> rows;
    for (const TensorSpec& tensor : tensors) rows.push_back(TensorInfo(tensor.name, tensor.type));
    return Table(rows, "tensors");
  }

  void DeclareParameters() {
    auto* const global = new llvm::GlobalVariable(
        module_, builder_.getInt8Ty(), /*isConstant=*/true, llvm::GlobalValue::ExternalLinkage,
        /*Initializer=*/nullptr, kParametersSymbol);
    global->setVisibility(llvm::GlobalValue::HiddenVisibility);
    global->setDSOLocal(true);
    global->setAlignment(llvm::Align(KILN_PARAMETERS_ALIGNMENT));
    parameters_ = global;
  }

  // --- code ------------------------------------------------------------------------------------

  llvm::FunctionType* TaskType() {
    return llvm::FunctionType::get(builder_.getVoidTy(), {ptr_, i64_, i64_}, false);
  }

  /// void call_section(executor, count, task, buffers): on the executor, or here without one.
  void EmitCallSection() {
    auto* const type =
        llvm::FunctionType::get(builder_.getVoidTy(), {ptr_, i64_, ptr_, ptr_}, false);
    call_section_ =
        llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, "call_section", module_);
    auto* const entry = llvm::BasicBlock::Create(context_, "entry", call_section_);
    auto* const here = llvm::BasicBlock::Create(context_, "here", call_section_);
    auto* const there = llvm::BasicBlock::Create(context_, "there", call_section_);
    llvm::Value* const executor = call_section_->getArg(0);
    llvm::Value* const count = call_section_->getArg(1);
    llvm::Value* const task = call_section_->getArg(2);
    llvm::Value* const buffers = call_section_->getArg(3);
    builder_.SetInsertPoint(entry);
    builder_.CreateCondBr(builder_.CreateIsNull(executor), here, there);
    builder_.SetInsertPoint(here);
    builder_.CreateCall(TaskType(), task, {buffers, Int64(0), count});
    builder_.CreateRetVoid();
    builder_.SetInsertPoint(there);
    auto* const executor_type = llvm::StructType::get(ptr_, i32_, ptr_);
    llvm::Value* const context_field =
        builder_.CreateLoad(ptr_, builder_.CreateStructGEP(executor_type, executor, 0));
    llvm::Value* const parallel_for =
        builder_.CreateLoad(ptr_, builder_.CreateStructGEP(executor_type, executor, 2));
    auto* const parallel_type =
        llvm::FunctionType::get(builder_.getVoidTy(), {ptr_, i64_, ptr_, ptr_}, false);
    builder_.CreateCall(parallel_type, parallel_for, {context_field, count, task, buffers});
    builder_.CreateRetVoid();
  }

  llvm::Function* Section(const std::string& symbol) {
    if (auto* const existing = module_.getFunction(symbol)) return existing;
    auto* const function =
        llvm::Function::Create(TaskType(), llvm::GlobalValue::ExternalLinkage, symbol, module_);
    function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    function->setDSOLocal(true);
    return function;
  }

  /// A task of one item that runs all `extent` items of `section`.
  llvm::Function* WholeSection(llvm::Function* section, int64_t extent) {
    const std::string name = section->getName().str() + "_whole";
    if (auto* const existing = module_.getFunction(name)) return existing;
    auto* const function =
        llvm::Function::Create(TaskType(), llvm::GlobalValue::InternalLinkage, name, module_);
    llvm::IRBuilder<> body(llvm::BasicBlock::Create(context_, "entry", function));
    body.CreateCall(section, {function->getArg(0), Int64(0), Int64(extent)});
    body.CreateRetVoid();
    return function;
  }

  llvm::Value* LoadField(llvm::Value* call, int64_t field) {
    return builder_.CreateLoad(ptr_, builder_.CreateConstGEP1_64(ptr_, call, field));
  }

  llvm::Value* Address(const BufferRef& ref) {
    switch (ref.region) {
      case BufferRef::Region::kInput: return LoadField(inputs_, ref.position);
      case BufferRef::Region::kOutput: return LoadField(outputs_, ref.position);
      case BufferRef::Region::kWorkspace:
        return builder_.CreateConstGEP1_64(builder_.getInt8Ty(), workspace_, ref.position);
      case BufferRef::Region::kParameters:
        return builder_.CreateConstGEP1_64(builder_.getInt8Ty(), block_, ref.position);
    }
    return nullptr;
  }

  /// The code of a function, in parts that are called one after the other.
  llvm::Function* EmitRun(const FunctionProgram& function,
                          std::vector<llvm::Constant*>& step_table) {
    split_ = WorthThreads(function);
    const std::string name = function.name + "_run";
    std::vector<llvm::Function*> parts;
    for (std::span<const Step> rest = function.steps; !rest.empty();) {
      const auto steps = rest.first(std::min(rest.size(), kStepsOfAPart));
      parts.push_back(
          EmitPart(StrCat(name, "_part", static_cast<int64_t>(parts.size())), steps, step_table));
      rest = rest.subspan(steps.size());
    }
    auto* const type = llvm::FunctionType::get(i32_, {ptr_}, false);
    auto* const run =
        llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, name, module_);
    builder_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", run));
    llvm::Value* const call = run->getArg(0);
    llvm::Value* block = LoadField(call, 2);
    if (function.updates_parameters) {
      RequireBlock(run, block);
    } else if (parameters_ != nullptr) {
      block = builder_.CreateSelect(builder_.CreateIsNull(block), parameters_, block);
    }
    for (llvm::Function* const part : parts) builder_.CreateCall(part, {call, block});
    builder_.CreateRet(Int32(0));
    return run;
  }

  /// void part(call, block): runs `steps`.
  llvm::Function* EmitPart(const std::string& name, std::span<const Step> steps,
                           std::vector<llvm::Constant*>& step_table) {
    auto* const type = llvm::FunctionType::get(builder_.getVoidTy(), {ptr_, ptr_}, false);
    auto* const part =
        llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, name, module_);
    part->addFnAttr(llvm::Attribute::NoInline);
    builder_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", part));
    size_t most = 1;
    for (const Step& step : steps) most = std::max(most, step.buffers.size());
    llvm::Value* const buffers = builder_.CreateAlloca(llvm::ArrayType::get(ptr_, most));
    llvm::Value* const call = part->getArg(0);
    block_ = part->getArg(1);
    inputs_ = LoadField(call, 0);
    outputs_ = LoadField(call, 1);
    workspace_ = LoadField(call, 3);
    llvm::Value* const executor = LoadField(call, 4);
    for (const Step& step : steps) {
      for (size_t i = 0; i < step.buffers.size(); ++i) {
        builder_.CreateStore(Address(step.buffers[i]),
                             builder_.CreateConstGEP1_64(ptr_, buffers, static_cast<int64_t>(i)));
      }
      EmitStep(step, executor, buffers, step_table);
    }
    builder_.CreateRetVoid();
    return part;
  }

  /// A function that writes to the block returns 1 when the caller passes none: the library's own
  /// is constant.
  void RequireBlock(llvm::Function* run, llvm::Value* block) {
    auto* const none = llvm::BasicBlock::Create(context_, "none", run);
    auto* const some = llvm::BasicBlock::Create(context_, "some", run);
    builder_.CreateCondBr(builder_.CreateIsNull(block), none, some);
    builder_.SetInsertPoint(none);
    builder_.CreateRet(Int32(1));
    builder_.SetInsertPoint(some);
  }

  void EmitStep(const Step& step, llvm::Value* executor, llvm::Value* buffers,
                std::vector<llvm::Constant*>& step_table) {
    const loop::Kernel& kernel = program_.kernels[step.kernel];
    const std::vector<int64_t> extents = SectionExtents(kernel);
    for (size_t s = 0; s < extents.size(); ++s) {
      llvm::Function* task =
          Section(StrCat(options_.kernel_symbols[step.kernel], "_s", static_cast<int64_t>(s)));
      int64_t count = extents[s];
      if (count != 1 && (!split_ || EstimatedSeconds(step) < kSerialStepSeconds)) {
        task = WholeSection(task, count);
        count = 1;
      }
      builder_.CreateCall(call_section_, {executor, Int64(count), task, buffers});
      // A step's work is told with its first section; the edges count as nothing.
      const double share = s == 0 ? 1 : 0;
      step_table.push_back(Struct({String(kernel.name), String(StrJoin(step.sources, ",")),
                                   llvm::ConstantFP::get(f64_, step.flops * share),
                                   llvm::ConstantFP::get(f64_, step.bytes * share)}));
    }
  }

  llvm::Constant* EmitFunction(const FunctionProgram& function) {
    std::vector<llvm::Constant*> steps;
    llvm::Function* const run = EmitRun(function, steps);
    return Struct(
        {String(function.name), Int32(static_cast<int64_t>(function.inputs.size())),
         TensorTable(function.inputs), Int32(static_cast<int64_t>(function.outputs.size())),
         TensorTable(function.outputs), Int64(function.workspace_bytes), Int64(kBufferAlignment),
         run, Int32(static_cast<int64_t>(steps.size())), Table(steps, "steps")});
  }

  void EmitLibrary(const std::vector<llvm::Constant*>& functions) {
    std::vector<llvm::Constant*> tensors;
    std::vector<llvm::Constant*> offsets;
    for (const ParameterSlot& slot : program_.parameters) {
      if (slot.name.empty()) continue;
      tensors.push_back(TensorInfo(slot.name, slot.value.type()));
      offsets.push_back(Int64(slot.offset));
    }
    llvm::Constant* const library = Global(
        Struct({Int32(KILN_ABI_VERSION), String("kiln " KILN_VERSION), String(program_.model),
                Int32(static_cast<int64_t>(functions.size())), Table(functions, "functions"),
                Int32(static_cast<int64_t>(tensors.size())), Table(tensors, "parameters"),
                Table(offsets, "parameter_offsets"), Int64(program_.parameters_bytes),
                parameters_ != nullptr ? parameters_ : Null()}),
        "library");
    auto* const function =
        llvm::Function::Create(llvm::FunctionType::get(ptr_, {}, false),
                               llvm::GlobalValue::ExternalLinkage, "kiln_library", module_);
    builder_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function));
    builder_.CreateRet(library);
  }

  const Program& program_;
  const DriverOptions& options_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> builder_;
  llvm::PointerType* ptr_;
  llvm::IntegerType* i32_;
  llvm::IntegerType* i64_;
  llvm::Type* f64_;
  llvm::Function* call_section_ = nullptr;
  llvm::Constant* parameters_ = nullptr;
  // The fields of the kiln_call of the part being emitted.
  llvm::Value* inputs_ = nullptr;
  llvm::Value* outputs_ = nullptr;
  llvm::Value* block_ = nullptr;
  llvm::Value* workspace_ = nullptr;
  bool split_ = false;  // whether any of its steps may go to several threads
};

}  // namespace

StatusOr<std::string> CompileDriver(const Program& program, const DriverOptions& options,
                                    const Target& target, CodeForm form) {
  llvm::LLVMContext context;
  llvm::Module module("driver", context);
  KILN_ASSIGN_OR_RETURN(const auto machine, MakeTargetMachine(target));
  module.setTargetTriple(target.triple);
  module.setDataLayout(machine->createDataLayout());
  KILN_RETURN_IF_ERROR(DriverEmitter(program, options, module).Emit());
  return OptimizeAndWrite(module, *machine, form);
}

Status CheckParametersKnown(const Program& program) {
  for (const ParameterSlot& slot : program.parameters) {
    if (slot.value.known()) continue;
    return InvalidInput(slot.name.empty() ? "a constant" : "parameter '" + slot.name + "'", " (",
                        slot.value.type().ToString(),
                        ") has no value: the file that holds it is missing, and no seed to fill it "
                        "is given");
  }
  return OkStatus();
}

StatusOr<Pages> TakeParameterBlock(Program& program) {
  KILN_RETURN_IF_ERROR(CheckParametersKnown(program));
  KILN_ASSIGN_OR_RETURN(
      Pages block, Pages::Map(static_cast<uint64_t>(std::max<int64_t>(program.parameters_bytes, 1)),
                              kBufferAlignment));
  // Large values are made by all threads together, one after the other, small ones side by side.
  constexpr int64_t kLarge = int64_t{8} << 20;
  std::vector<ParameterSlot*> small;
  const auto place = [&](ParameterSlot& slot) {
    slot.value.CopyTo(block.data() + slot.offset);
    slot.value = Tensor::Unknown(slot.value.type(), "");
  };
  for (ParameterSlot& slot : program.parameters) {
    if (slot.value.type().bytes() < kLarge) {
      small.push_back(&slot);
    } else {
      place(slot);
    }
  }
  ParallelTasks(static_cast<int64_t>(small.size()), ProcessorCount(),
                [&](int64_t i) { place(*small[static_cast<size_t>(i)]); });
  return block;
}

}  // namespace kiln
