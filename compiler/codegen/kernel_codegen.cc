// CompileKernel: functions, sections and the loops around tiles.
#include <unordered_map>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/emit.h"
#include "compiler/codegen/llvm_target.h"
#include "compiler/codegen/tile_emitter.h"
#include "ir/loop/affine.h"
#include "ir/support/strings.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

namespace kiln {

namespace {

using loop::LoopKind;
using loop::Stmt;
using loop::StmtKind;
using loop::StmtNode;

/// Tiles with more elements than this (counted in vectors) run their outer loops as loops.
constexpr int64_t kMaxUnrolled = 256;

const std::vector<Stmt>& SectionsOf(const Stmt& body, std::vector<Stmt>& single) {
  if (body->kind == StmtKind::kBlock) return body->body;
  single = {body};
  return single;
}

bool IsParallel(const StmtNode& section) {
  return section.kind == StmtKind::kFor && section.loop == LoopKind::kParallel;
}

/// Emits the function of one section.
class SectionEmitter {
 public:
  SectionEmitter(llvm::Module& module, const Target& target, const InstructionSet& isa)
      : module_(module),
        target_(target),
        builder_(module.getContext()),
        ops_(builder_, isa),
        nest_(builder_),
        context_{ops_, nest_, {}, {}} {}

  Status Emit(const loop::Kernel& kernel, const std::string& name, const StmtNode& section) {
    llvm::Function* const function = MakeFunction(name);
    builder_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", function));
    LoadBuffers(kernel, function->getArg(0));
    KILN_RETURN_IF_ERROR(IsParallel(section) ? EmitRange(section, function) : EmitStmt(section));
    builder_.CreateRetVoid();
    return OkStatus();
  }

 private:
  llvm::Function* MakeFunction(const std::string& name) {
    llvm::Type* const i64 = builder_.getInt64Ty();
    auto* const type =
        llvm::FunctionType::get(builder_.getVoidTy(), {builder_.getPtrTy(), i64, i64}, false);
    auto* const function =
        llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, name, module_);
    function->setDoesNotThrow();
    function->addFnAttr("target-cpu", target_.cpu);
    if (!target_.features.empty()) function->addFnAttr("target-features", target_.features);
    // x86: without these LLVM splits 512-bit vectors on CPUs that it thinks slow at them.
    const std::string bits = StrCat(8 * target_.vector_bytes);
    function->addFnAttr("prefer-vector-width", bits);
    function->addFnAttr("min-legal-vector-width", bits);
    return function;
  }

  void LoadBuffers(const loop::Kernel& kernel, llvm::Value* buffers) {
    uint64_t i = 0;
    for (const auto* list : {&kernel.inputs, &kernel.outputs}) {
      for (const loop::Buffer& buffer : *list) {
        llvm::Value* const slot = builder_.CreateConstGEP1_64(builder_.getPtrTy(), buffers, i++);
        context_.buffers[buffer.get()] = builder_.CreateLoad(builder_.getPtrTy(), slot);
      }
    }
  }

  /// The section's parallel loop over [begin, end), the function's arguments.
  Status EmitRange(const StmtNode& section, llvm::Function* function) {
    if (section.var->extent == 0) return OkStatus();
    llvm::Value* const begin = function->getArg(1);
    llvm::Value* const end = function->getArg(2);
    auto* const work = llvm::BasicBlock::Create(module_.getContext(), "work", function);
    auto* const done = llvm::BasicBlock::Create(module_.getContext(), "done", function);
    builder_.CreateCondBr(builder_.CreateICmpSLT(begin, end), work, done);
    builder_.SetInsertPoint(work);
    context_.variables[section.var.get()] = {nest_.Open(begin, end, 1, false), 0};
    KILN_RETURN_IF_ERROR(EmitStmt(*section.body[0]));
    nest_.Close();
    builder_.CreateBr(done);
    builder_.SetInsertPoint(done);
    return OkStatus();
  }

  Status EmitStmt(const StmtNode& stmt) {
    switch (stmt.kind) {
      case StmtKind::kStore: return TileEmitter(context_, {}, stmt).Emit();
      case StmtKind::kBlock:
        for (const Stmt& part : stmt.body) KILN_RETURN_IF_ERROR(EmitStmt(*part));
        return OkStatus();
      case StmtKind::kAlloc: return EmitAlloc(stmt);
      case StmtKind::kFor:
        if (stmt.var->extent == 0) return OkStatus();
        if (stmt.loop == LoopKind::kUnroll || stmt.loop == LoopKind::kVector) {
          return EmitTile(stmt);
        }
        return EmitLoop(stmt);
    }
    return OkStatus();
  }

  Status EmitLoop(const StmtNode& stmt) {
    if (stmt.var->extent == 1) {
      context_.variables[stmt.var.get()] = {};
      return EmitStmt(*stmt.body[0]);
    }
    context_.variables[stmt.var.get()] = {nest_.Open(stmt.var->extent, 1, false), 0};
    KILN_RETURN_IF_ERROR(EmitStmt(*stmt.body[0]));
    nest_.Close();
    return OkStatus();
  }

  Status EmitTile(const StmtNode& stmt) {
    std::vector<const StmtNode*> loops;
    int64_t unrolled = 1;
    const StmtNode* inner = &stmt;
    for (; inner->kind == StmtKind::kFor; inner = inner->body[0].get()) {
      if (inner->var->extent == 0) return OkStatus();
      loops.push_back(inner);
      if (inner->loop == LoopKind::kUnroll && unrolled <= kMaxUnrolled) {
        unrolled *= inner->var->extent;
      }
    }
    if (stmt.loop == LoopKind::kUnroll && unrolled > kMaxUnrolled) return EmitLoop(stmt);
    return TileEmitter(context_, std::move(loops), *inner).Emit();
  }

  Status EmitAlloc(const StmtNode& stmt) {
    const int64_t bytes = ElementCount(stmt.buffer->shape) * ByteSize(stmt.buffer->element);
    llvm::BasicBlock& entry = builder_.GetInsertBlock()->getParent()->getEntryBlock();
    llvm::IRBuilder<> at_entry(&entry, entry.begin());
    llvm::AllocaInst* const local =
        at_entry.CreateAlloca(llvm::ArrayType::get(builder_.getInt8Ty(), bytes));
    local->setAlignment(llvm::Align(64));
    context_.buffers[stmt.buffer.get()] = local;
    return EmitStmt(*stmt.body[0]);
  }

  llvm::Module& module_;
  const Target& target_;
  llvm::IRBuilder<> builder_;
  OpEmitter ops_;
  LoopNest nest_;
  FunctionContext context_;
};

}  // namespace

StatusOr<std::string> CompileKernel(const loop::Kernel& kernel, const std::string& symbol,
                                    const Target& target, CodeForm form) {
  KILN_RETURN_IF_ERROR(loop::Verify(kernel));
  KILN_ASSIGN_OR_RETURN(const auto machine, MakeTargetMachine(target));
  const InstructionSet isa = DescribeInstructionSet(target, *machine);
  llvm::LLVMContext context;
  llvm::Module module(symbol, context);
  module.setTargetTriple(target.triple);
  module.setDataLayout(machine->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  const Stmt body = loop::MapExprs(kernel.body, loop::Simplify);
  std::vector<Stmt> single;
  const std::vector<Stmt>& sections = SectionsOf(body, single);
  for (size_t i = 0; i < sections.size(); ++i) {
    SectionEmitter emitter(module, target, isa);
    KILN_RETURN_IF_ERROR(emitter.Emit(kernel, StrCat(symbol, "_s", i), *sections[i]));
  }
  return OptimizeAndWrite(module, *machine, form);
}

std::vector<int64_t> SectionExtents(const loop::Kernel& kernel) {
  std::vector<Stmt> single;
  std::vector<int64_t> extents;
  for (const Stmt& section : SectionsOf(kernel.body, single)) {
    extents.push_back(IsParallel(*section) ? section->var->extent : 1);
  }
  return extents;
}

}  // namespace kiln
