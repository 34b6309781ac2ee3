// Emission of one tile: a Store with the unrolled and vector loops directly around it.
//
// The tile's elements are computed as *instances*: one for each combination of the unrolled loops'
// values and each vector's worth of the vector loop. An expression is evaluated once for all the
// instances that agree on the variables it uses, stays scalar as long as it does not vary across
// the lanes, and a reduction keeps the accumulators of all instances in registers.
#pragma once

#include <bitset>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/codegen/loop_nest.h"
#include "compiler/codegen/op_emitter.h"
#include "ir/loop/affine.h"
#include "ir/loop/stmt.h"
#include "ir/support/status.h"

namespace kiln {

/// The value of a loop variable: the counter of a loop (level 0: none) plus an offset.
struct Binding {
  int level = 0;
  int64_t offset = 0;
};

/// What a tile needs of the function around it.
struct FunctionContext {
  OpEmitter& ops;
  LoopNest& nest;
  std::unordered_map<const loop::BufferDecl*, llvm::Value*> buffers;
  std::unordered_map<const loop::Variable*, Binding> variables;
};

class TileEmitter {
 public:
  /// `loops` are the kUnroll loops and, last, perhaps a kVector loop; extents are at least 1.
  TileEmitter(FunctionContext& function, std::vector<const loop::StmtNode*> loops,
              const loop::StmtNode& store);
  Status Emit();

 private:
  static constexpr int kMaxVariables = 128;
  using VariableSet = std::bitset<kMaxVariables>;
  using Code = unsigned __int128;

  /// The vector that lanes of a variable form: base, base + 1, ... in `width` lanes, of which the
  /// first `active` count.
  struct Lanes {
    int variable = -1;
    Binding base;
    int width = 0;  ///< 0: scalar code
    int active = 0;
    bool partial() const { return active < width; }
  };
  struct Instance {
    std::vector<int64_t> unrolled;  ///< values of the unrolled loops
    Lanes lanes;
  };
  struct Info {
    loop::Expr expr;         ///< keeps the node alive: memos know it by its address
    VariableSet variables;   ///< free in the expression
    bool may_fault = false;  ///< holds a load that is not known to be in bounds
    bool reduces = false;    ///< holds a reduction
  };
  /// A condition under which evaluation happens; 0 is "always".
  struct Guard {
    int parent;
    loop::Expr condition;
    bool holds;
    VariableSet variables;  ///< of the parents too
  };
  struct Key {
    const loop::ExprNode* node;
    Code code;
    int guard;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  /// What is known at one loop level, and at those inside it.
  struct Memo {
    std::unordered_map<Key, llvm::Value*, KeyHash> values;
    std::map<std::vector<llvm::Value*>, llvm::Value*> derived;  ///< made of these values
  };
  /// A guard for the present instance.
  struct Condition {
    enum Kind { kAlways, kNever, kUniform, kByLane };
    Kind kind = kAlways;
    llvm::Value* value = nullptr;  ///< i1, or a vector of it when by lane
    int level = 0;                 ///< kUniform: the innermost loop that it depends on
  };
  struct Address {
    llvm::Value* base = nullptr;     ///< of the buffer
    llvm::Value* pointer = nullptr;  ///< of lane 0
    int64_t lane_stride = 0;         ///< elements; 0 also for scalars
    llvm::Value* offsets = nullptr;  ///< when not affine in the lanes: bytes from pointer, a vector
  };
  /// The parts of an affine address, in bytes, and how far each reaches over all iterations.
  struct AddressParts {
    struct Reach {
      int64_t low = 0, high = 0;
      void Add(int64_t stride, int64_t extent);
    };
    int64_t fixed = 0;  ///< the same for all instances
    int64_t of_instance = 0;
    Reach instance_reach;
    std::map<int, int64_t> strides;  ///< by loop level
    std::map<int, Reach> reaches;    ///< by loop level
    int64_t lane_stride = 0;         ///< elements
    llvm::Value* moved = nullptr;    ///< by what is not affine in the loops
    llvm::Value* offsets = nullptr;  ///< and what of that varies across the lanes
  };
  struct Accumulator {
    loop::Expr reduce;
    Instance instance;
    llvm::Value* value;
  };
  /// Reductions over equal extents that share one loop nest.
  struct Reduction {
    std::vector<loop::Expr> members;
    std::vector<int64_t> extents;
    size_t looped = 0;   ///< the variables from here on are unrolled
    int64_t unroll = 1;  ///< iterations of the innermost loop in one step
    std::vector<Accumulator> accumulators;
  };
  /// For each accumulator of a reduction in lanes, the vectors that are combined at its end.
  using Partials = std::vector<std::vector<llvm::Value*>>;

  // tile_codegen.cc: variables, instances, the tile as a whole
  Status NumberVariables();
  void AddVariable(const loop::Variable* variable, bool may_unroll);
  int IdOf(const loop::Variable* variable) const { return ids_.at(variable); }
  bool IsBound(size_t id) const { return bound_[id]; }
  void Bind(int id, const Binding& binding);
  void Unbind(const loop::Variable* variable) { bound_.reset(IdOf(variable)); }
  int NativeLanes(const loop::Expr& value) const;
  void EmitVectors(int width);
  std::vector<Instance> MakeInstances(const std::vector<Lanes>& chunks) const;
  void EmitInstances(std::vector<Instance> instances);
  void StoreInstances();
  void Enter(const Instance& instance);
  bool VariesInTile(const loop::Expr& expr);

  // expr_codegen.cc
  llvm::Value* Eval(const loop::Expr& expr);
  llvm::Value* EvalNode(const loop::Expr& expr);
  llvm::Value* EvalVariable(const loop::Variable* variable);
  llvm::Value* EvalSelect(const loop::ExprNode& node);
  llvm::Value* EvalCondition(const loop::Expr& condition);
  llvm::Value* EvalUnder(const loop::Expr& condition, bool holds, const loop::Expr& expr);
  const Info& InfoOf(const loop::Expr& expr);
  Key KeyOf(const loop::Expr& expr);
  llvm::Value* Remembered(const Key& key) const;
  bool VariesInLanes(const loop::Expr& expr);
  llvm::Value* BindingValue(const Binding& binding);
  /// `expr`, the same node for equal results, with the variables that have constant values replaced
  /// and simplified.
  loop::Expr Specialize(const loop::Expr& expr);
  bool HasConstants(const VariableSet& variables) const;

  // guard_codegen.cc
  int MakeGuard(const loop::Expr& condition, bool holds);
  Condition ConditionOf(int guard);
  int LevelOf(const VariableSet& variables) const;
  /// What `emit` gives, emitted before the loop inside `level`. Straight code only.
  llvm::Value* AtLevel(int level, const std::function<llvm::Value*()>& emit);
  /// The value made of `parts` by `emit`, made once.
  llvm::Value* Derived(const std::vector<llvm::Value*>& parts,
                       const std::function<llvm::Value*()>& emit);
  /// The pointer of the address, or, where the condition is false, one into constants that all are
  /// `otherwise`.
  llvm::Value* GuardedPointer(llvm::Value* base, const AddressParts& parts,
                              const Condition& condition, const loop::ExprNode& otherwise);
  llvm::Value* ConstantPool(const loop::ExprNode& value, int64_t bytes);

  // memory.cc
  static bool IsInBounds(const loop::ExprNode& load);
  static loop::Affine FlatIndex(const loop::Buffer& buffer, const std::vector<loop::Expr>& indices);
  /// FlatIndex for the present instance; `node` is the load, null for the store.
  loop::Affine SpecializedIndex(const loop::Buffer& buffer, const std::vector<loop::Expr>& indices,
                                const loop::ExprNode* node);
  AddressParts PartsOf(const loop::Buffer& buffer, const std::vector<loop::Expr>& indices,
                       const loop::ExprNode* node);
  llvm::Value* PlainPointer(llvm::Value* base, const AddressParts& parts);
  llvm::Value* EvalLoad(const loop::ExprNode& node);
  /// The load where the present guard holds, else `otherwise`, or any value when that is null.
  llvm::Value* EvalLoadOr(const loop::ExprNode& node, const loop::ExprNode* otherwise);
  llvm::Value* LoadFrom(const loop::ExprNode& node, const Address& address, llvm::Value* guard);
  llvm::Value* LoadScalar(ElementType type, llvm::Value* pointer);
  llvm::Value* LoadContiguous(const loop::ExprNode& node, const Address& address,
                              llvm::Value* guard);
  llvm::Value* LoadLanes(const loop::ExprNode& node, const Address& address, llvm::Value* guard);
  llvm::Value* LanePointer(const Address& address, ElementType type, int lane);
  /// `pointer`, or the buffer's first element where the guard is false.
  llvm::Value* SafePointer(llvm::Value* pointer, llvm::Value* base, llvm::Value* guard);
  llvm::Value* ActiveMask() const;
  bool CanMask(ElementType type) const;
  llvm::Value* FromMemory(ElementType type, llvm::Value* value);
  llvm::Value* ToMemory(ElementType type, llvm::Value* value);
  void StoreValue(llvm::Value* value, const Condition& condition);
  void StoreLanes(llvm::Value* value, const Address& address, llvm::Value* guard);
  /// Emits code that runs only where the scalar condition holds (null: always).
  void Under(llvm::Value* condition, const std::function<void()>& emit);

  // reduce_codegen.cc
  llvm::Value* EvalReduce(const loop::Expr& expr);
  /// Evaluates, before the loops over `variables`, the reductions in `body` that need none of them.
  void HoistReductions(const loop::Expr& body, const std::vector<loop::Var>& variables);
  /// The reduction and the others of the store that can share its loops.
  Reduction Gather(const loop::Expr& expr);
  void AddMember(Reduction& reduction, const loop::Expr& reduce);
  void ChooseUnrolling(Reduction& reduction) const;
  void BindReduce(const Reduction& reduction, size_t depth, const Binding& binding);
  void ReduceOver(Reduction& reduction, size_t depth);
  void Accumulate(Reduction& reduction);
  /// The accumulator after one more value of the body.
  llvm::Value* Step(const loop::Expr& reduce, llvm::Value* total);
  /// The lanes with which a reduction to a scalar is vectorised over its last variable; or 0.
  int ReduceLanes(const loop::Expr& reduce);
  void ReduceInLanes(Reduction& reduction, int width);
  void ReduceRows(Reduction& reduction, size_t depth, int width, Partials& partials);
  void ReduceRow(Reduction& reduction, int width, Partials& partials);
  void StepInLanes(Reduction& reduction, const Binding& base, int width, int active,
                   Partials& partials, int64_t part);
  void InLoop(int64_t end, int64_t step, Partials& partials,
              const std::function<void(int level)>& body);

  OpEmitter& ops_;
  LoopNest& nest_;
  FunctionContext& function_;
  std::vector<const loop::StmtNode*> unrolled_;
  const loop::StmtNode* vector_ = nullptr;
  const loop::StmtNode& store_;

  std::unordered_map<const loop::Variable*, int> ids_;
  std::vector<const loop::Variable*> variables_;  ///< by id
  std::vector<Binding> bindings_;                 ///< by id
  VariableSet bound_;                             ///< ids that have a value at present
  std::vector<int> code_shift_;                   ///< by id; -1: offsets are never used
  int code_bits_ = 0;

  std::vector<Instance> instances_;  ///< those being emitted
  Instance present_;
  Lanes lanes_;              ///< of the present instance
  bool reducing_ = false;    ///< inside the loops of a reduction
  std::vector<Memo> memos_;  ///< for the tile, and for each loop of reductions in it
  int tile_level_ = 0;       ///< the level of the innermost loop around the tile
  std::vector<Guard> guards_;
  int guard_ = 0;
  std::unordered_map<const loop::ExprNode*, Info> infos_;
  std::unordered_map<const loop::ExprNode*, loop::Affine> offsets_;  ///< of loads, in elements
  std::vector<loop::Expr> specialized_;                              ///< kept alive for the memos
};

}  // namespace kiln
