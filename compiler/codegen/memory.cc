// TileEmitter: addresses, loads and stores.
#include "compiler/codegen/tile_emitter.h"

namespace kiln {

using loop::Expr;
using loop::ExprKind;
using loop::ExprNode;

bool TileEmitter::IsInBounds(const ExprNode& load) {
  for (size_t d = 0; d < load.args.size(); ++d) {
    const loop::Range range = loop::RangeOf(load.args[d]);
    if (range.min < 0 || range.max >= load.buffer->shape[d]) return false;
  }
  return true;
}

loop::Affine TileEmitter::FlatIndex(const loop::Buffer& buffer, const std::vector<Expr>& indices) {
  const std::vector<int64_t> strides = RowMajorStrides(buffer->shape);
  loop::Affine flat;
  for (size_t d = 0; d < indices.size(); ++d) flat.Add(loop::ToAffine(indices[d]), strides[d]);
  return flat;
}

loop::Affine TileEmitter::SpecializedIndex(const loop::Buffer& buffer,
                                           const std::vector<Expr>& indices, const ExprNode* node) {
  auto found = offsets_.find(node);
  if (found == offsets_.end()) found = offsets_.emplace(node, FlatIndex(buffer, indices)).first;
  for (const loop::Affine::Term& term : found->second.terms) {
    if (term.atom->kind == ExprKind::kVar || !HasConstants(InfoOf(term.atom).variables)) continue;
    std::vector<Expr> specialized;
    for (const Expr& index : indices) specialized.push_back(Specialize(index));
    return FlatIndex(buffer, specialized);
  }
  return found->second;
}

TileEmitter::Address TileEmitter::AddressOf(const loop::Buffer& buffer,
                                            const std::vector<Expr>& indices,
                                            const ExprNode* node) {
  auto& b = ops_.builder();
  const int64_t bytes = ByteSize(buffer->element);
  const loop::Affine flat = SpecializedIndex(buffer, indices, node);
  Address address;
  address.base = function_.buffers.at(buffer.get());
  int64_t constant = flat.constant * bytes;
  std::map<int, int64_t> strides;
  llvm::Value* moved = nullptr;  // bytes, by what is not affine in the loops
  const auto add = [&](llvm::Value* sum, llvm::Value* value, int64_t scale) {
    const auto scaled =
        ops_.Binary(loop::BinaryOp::kMul, ElementType::kI64, value, ops_.ConstantInt(scale));
    return sum == nullptr ? scaled
                          : ops_.Binary(loop::BinaryOp::kAdd, ElementType::kI64, sum, scaled);
  };
  for (const auto& [atom, coefficient] : flat.terms) {
    const int64_t stride = coefficient * bytes;
    if (atom->kind == ExprKind::kVar) {
      const int id = IdOf(atom->var.get());
      constant += stride * bindings_[id].offset;
      if (bindings_[id].level > 0) strides[bindings_[id].level] += stride;
      if (lanes_.width > 0 && lanes_.variable == id) address.lane_stride += coefficient;
    } else if (VariesInLanes(atom)) {
      address.offsets = add(address.offsets, Eval(atom), stride);
    } else {
      moved = add(moved, Eval(atom), stride);
    }
  }
  std::erase_if(strides, [](const auto& entry) { return entry.second == 0; });
  address.pointer = nest_.Pointer(address.base, LoopNest::Strides(strides.begin(), strides.end()));
  if (moved != nullptr) address.pointer = b.CreatePtrAdd(address.pointer, moved);
  if (constant != 0) address.pointer = b.CreatePtrAdd(address.pointer, ops_.ConstantInt(constant));
  return address;
}

llvm::Value* TileEmitter::ActiveMask() const {
  llvm::SmallVector<llvm::Constant*, 64> mask;
  for (int lane = 0; lane < lanes_.width; ++lane) {
    mask.push_back(ops_.builder().getInt1(lane < lanes_.active));
  }
  return llvm::ConstantVector::get(mask);
}

bool TileEmitter::CanMask(ElementType type) const {
  const InstructionSet& isa = ops_.isa();
  return isa.has_masked_memory && (ByteSize(type) >= 4 || isa.vector_bytes >= 64);
}

llvm::Value* TileEmitter::FromMemory(ElementType type, llvm::Value* value) {
  if (type != ElementType::kBool) return value;
  return ops_.builder().CreateICmpNE(value, llvm::Constant::getNullValue(value->getType()));
}

llvm::Value* TileEmitter::ToMemory(ElementType type, llvm::Value* value) {
  if (type != ElementType::kBool) return value;
  return ops_.builder().CreateZExt(value, ops_.MemoryType(type, LanesOf(value)));
}

llvm::Value* TileEmitter::EvalLoad(const Expr& expr) {
  const ExprNode& node = *expr;
  llvm::Constant* const zero = llvm::Constant::getNullValue(ops_.RegisterType(node.type));
  if (ElementCount(node.buffer->shape) == 0) return zero;  // only where the guard is false
  llvm::Value* guard = IsInBounds(node) ? nullptr : GuardValue(guard_);
  if (const auto* known = llvm::dyn_cast_or_null<llvm::Constant>(guard)) {
    if (known->isNullValue()) return zero;
    if (known->isAllOnesValue()) guard = nullptr;
  }
  const Address address = AddressOf(node.buffer, node.args, &node);
  if (address.offsets != nullptr) return LoadLanes(node, address, guard);
  if (lanes_.width > 0 && address.lane_stride == 1) return LoadContiguous(node, address, guard);
  if (address.lane_stride != 0) return LoadLanes(node, address, guard);
  if (guard != nullptr && LanesOf(guard) > 0) {
    // In bounds when it is for any of the lanes.
    guard = ops_.builder().CreateOrReduce(ops_.builder().CreateAnd(guard, ActiveMask()));
  }
  return LoadScalar(node.type, SafePointer(address.pointer, address.base, guard));
}

llvm::Value* TileEmitter::SafePointer(llvm::Value* pointer, llvm::Value* base, llvm::Value* guard) {
  return guard == nullptr ? pointer : ops_.builder().CreateSelect(guard, pointer, base);
}

llvm::Value* TileEmitter::LoadScalar(ElementType type, llvm::Value* pointer) {
  const llvm::Align align(ByteSize(type));
  return FromMemory(type, ops_.builder().CreateAlignedLoad(ops_.MemoryType(type), pointer, align));
}

llvm::Value* TileEmitter::LanePointer(const Address& address, ElementType type, int lane) {
  auto& b = ops_.builder();
  llvm::Value* pointer = address.pointer;
  if (address.offsets != nullptr) {
    pointer = b.CreatePtrAdd(pointer, b.CreateExtractElement(address.offsets, lane));
  }
  const int64_t offset = address.lane_stride * lane * ByteSize(type);
  return offset == 0 ? pointer : b.CreatePtrAdd(pointer, ops_.ConstantInt(offset));
}

llvm::Value* TileEmitter::LoadLanes(const ExprNode& node, const Address& address,
                                    llvm::Value* guard) {
  auto& b = ops_.builder();
  llvm::Type* const type = ops_.MemoryType(node.type, lanes_.width);
  llvm::Value* result = llvm::Constant::getNullValue(type);
  for (int lane = 0; lane < lanes_.active; ++lane) {
    llvm::Value* const lane_guard =
        guard != nullptr && LanesOf(guard) > 0 ? b.CreateExtractElement(guard, lane) : guard;
    llvm::Value* const pointer =
        SafePointer(LanePointer(address, node.type, lane), address.base, lane_guard);
    llvm::Value* const value =
        b.CreateAlignedLoad(type->getScalarType(), pointer, llvm::Align(ByteSize(node.type)));
    result = b.CreateInsertElement(result, value, lane);
  }
  return FromMemory(node.type, result);
}

llvm::Value* TileEmitter::LoadContiguous(const ExprNode& node, const Address& address,
                                         llvm::Value* guard) {
  auto& b = ops_.builder();
  const ElementType type = node.type;
  const int width = lanes_.width;
  const llvm::Align align(ByteSize(type));
  llvm::Value* pointer = address.pointer;
  llvm::Value* mask = lanes_.partial() ? ActiveMask() : nullptr;
  if (guard != nullptr && LanesOf(guard) == 0 && ElementCount(node.buffer->shape) >= width) {
    pointer = SafePointer(pointer, address.base, guard);
  } else if (guard != nullptr) {
    if (!CanMask(type)) return LoadLanes(node, address, guard);
    guard = ops_.Splat(guard, width);
    mask = mask == nullptr ? guard : b.CreateAnd(mask, guard);
  }
  llvm::Type* const vector = ops_.MemoryType(type, width);
  if (mask == nullptr) return FromMemory(type, b.CreateAlignedLoad(vector, pointer, align));
  return FromMemory(
      type, b.CreateMaskedLoad(vector, pointer, align, mask, llvm::Constant::getNullValue(vector)));
}

void TileEmitter::StoreScalar(llvm::Value* value, llvm::Value* pointer, llvm::Value* guard) {
  auto& b = ops_.builder();
  const llvm::Align align(ByteSize(store_.buffer->element));
  Under(guard, [&] { b.CreateAlignedStore(value, pointer, align); });
}

void TileEmitter::StoreValue(llvm::Value* value, llvm::Value* guard) {
  auto& b = ops_.builder();
  if (const auto* known = llvm::dyn_cast_or_null<llvm::Constant>(guard)) {
    if (known->isNullValue()) return;
    if (known->isAllOnesValue()) guard = nullptr;
  }
  const ElementType type = store_.buffer->element;
  const Address address = AddressOf(store_.buffer, store_.indices, nullptr);
  value = ToMemory(type, ops_.Splat(value, lanes_.width));
  if (lanes_.width == 0) return StoreScalar(value, address.pointer, guard);
  const bool lane_guard = guard != nullptr && LanesOf(guard) > 0;
  if (address.offsets != nullptr || address.lane_stride != 1) {
    for (int lane = 0; lane < lanes_.active; ++lane) {
      StoreScalar(b.CreateExtractElement(value, lane), LanePointer(address, type, lane),
                  lane_guard ? b.CreateExtractElement(guard, lane) : guard);
    }
    return;
  }
  const llvm::Align align(ByteSize(type));
  llvm::Value* mask = lanes_.partial() ? ActiveMask() : nullptr;
  if (lane_guard) mask = mask == nullptr ? guard : b.CreateAnd(mask, guard);
  Under(lane_guard ? nullptr : guard, [&] {
    if (mask == nullptr) {
      b.CreateAlignedStore(value, address.pointer, align);
    } else {
      b.CreateMaskedStore(value, address.pointer, align, mask);
    }
  });
}

void TileEmitter::Under(llvm::Value* condition, const std::function<void()>& emit) {
  if (condition == nullptr) return emit();
  auto& b = ops_.builder();
  llvm::Function* const function = b.GetInsertBlock()->getParent();
  auto* const then = llvm::BasicBlock::Create(b.getContext(), "then", function);
  auto* const after = llvm::BasicBlock::Create(b.getContext(), "after", function);
  b.CreateCondBr(condition, then, after);
  b.SetInsertPoint(then);
  emit();
  b.CreateBr(after);
  b.SetInsertPoint(after);
}

}  // namespace kiln
