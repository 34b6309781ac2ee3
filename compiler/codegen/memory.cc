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

void TileEmitter::AddressParts::Reach::Add(int64_t stride, int64_t extent) {
  (stride < 0 ? low : high) += stride * (extent - 1);
}

TileEmitter::AddressParts TileEmitter::PartsOf(const loop::Buffer& buffer,
                                               const std::vector<Expr>& indices,
                                               const ExprNode* node) {
  const int64_t bytes = ByteSize(buffer->element);
  const loop::Affine flat = SpecializedIndex(buffer, indices, node);
  AddressParts parts;
  parts.fixed = flat.constant * bytes;
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
      const Binding& binding = bindings_[id];
      parts.of_instance += stride * binding.offset;
      if (binding.level > 0) {
        parts.strides[binding.level] += stride;
        parts.reaches[binding.level].Add(stride, atom->var->extent);
      } else {
        parts.instance_reach.Add(stride, atom->var->extent);
      }
      if (lanes_.width > 0 && lanes_.variable == id) parts.lane_stride += coefficient;
    } else if (VariesInLanes(atom)) {
      parts.offsets = add(parts.offsets, Eval(atom), stride);
    } else {
      parts.moved = add(parts.moved, Eval(atom), stride);
    }
  }
  std::erase_if(parts.strides, [](const auto& entry) { return entry.second == 0; });
  return parts;
}

llvm::Value* TileEmitter::PlainPointer(llvm::Value* base, const AddressParts& parts) {
  auto& b = ops_.builder();
  const LoopNest::Strides strides(parts.strides.begin(), parts.strides.end());
  llvm::Value* pointer = nest_.Pointer(base, strides);
  if (parts.moved != nullptr) pointer = b.CreatePtrAdd(pointer, parts.moved);
  const int64_t constant = parts.fixed + parts.of_instance;
  return constant == 0 ? pointer : b.CreatePtrAdd(pointer, ops_.ConstantInt(constant));
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

llvm::Value* TileEmitter::EvalLoad(const ExprNode& node) { return EvalLoadOr(node, nullptr); }

llvm::Value* TileEmitter::EvalLoadOr(const ExprNode& node, const ExprNode* otherwise) {
  const ExprNode zero{.kind = ExprKind::kConst, .type = node.type};
  const bool any_value = otherwise == nullptr;
  if (any_value) otherwise = &zero;
  const Condition condition = IsInBounds(node) ? Condition{} : ConditionOf(guard_);
  // A buffer without elements is only loaded from where the guard is false.
  if (condition.kind == Condition::kNever || ElementCount(node.buffer->shape) == 0) {
    return ops_.Constant(*otherwise);
  }
  llvm::Value* const base = function_.buffers.at(node.buffer.get());
  const AddressParts parts = PartsOf(node.buffer, node.args, &node);
  const bool uniform = condition.kind == Condition::kUniform;
  Address address{base, nullptr, parts.lane_stride, parts.offsets};
  if (uniform && parts.offsets == nullptr) {
    address.pointer = GuardedPointer(base, parts, condition, *otherwise);
    return LoadFrom(node, address, nullptr);
  }
  address.pointer = PlainPointer(base, parts);
  llvm::Value* const value = LoadFrom(node, address, condition.value);
  // A guard around this load's own may vary by lane, and masked lanes read as zero.
  const bool choose = uniform || (condition.kind == Condition::kByLane && !any_value);
  return choose ? ops_.Select(condition.value, value, ops_.Constant(*otherwise)) : value;
}

llvm::Value* TileEmitter::LoadFrom(const ExprNode& node, const Address& address,
                                   llvm::Value* guard) {
  if (address.offsets != nullptr) return LoadLanes(node, address, guard);
  if (lanes_.width > 0 && address.lane_stride == 1) return LoadContiguous(node, address, guard);
  if (lanes_.width > 0 && address.lane_stride != 0) return LoadLanes(node, address, guard);
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
  const llvm::Align align(ByteSize(type));
  if (guard != nullptr && !CanMask(type)) return LoadLanes(node, address, guard);
  llvm::Value* mask = lanes_.partial() ? ActiveMask() : nullptr;
  if (guard != nullptr) mask = mask == nullptr ? guard : b.CreateAnd(mask, guard);
  llvm::Type* const vector = ops_.MemoryType(type, lanes_.width);
  if (mask == nullptr) return FromMemory(type, b.CreateAlignedLoad(vector, address.pointer, align));
  return FromMemory(type, b.CreateMaskedLoad(vector, address.pointer, align, mask,
                                             llvm::Constant::getNullValue(vector)));
}

void TileEmitter::StoreValue(llvm::Value* value, const Condition& condition) {
  if (condition.kind == Condition::kNever) return;
  const ElementType type = store_.buffer->element;
  llvm::Value* const base = function_.buffers.at(store_.buffer.get());
  const AddressParts parts = PartsOf(store_.buffer, store_.indices, nullptr);
  const Address address{base, PlainPointer(base, parts), parts.lane_stride, parts.offsets};
  value = ToMemory(type, ops_.Splat(value, lanes_.width));
  if (condition.kind != Condition::kUniform) return StoreLanes(value, address, condition.value);
  Under(condition.value, [&] { StoreLanes(value, address, nullptr); });
}

void TileEmitter::StoreLanes(llvm::Value* value, const Address& address, llvm::Value* guard) {
  auto& b = ops_.builder();
  const ElementType type = store_.buffer->element;
  const llvm::Align align(ByteSize(type));
  if (lanes_.width == 0) {
    b.CreateAlignedStore(value, address.pointer, align);
    return;
  }
  if (address.offsets != nullptr || address.lane_stride != 1) {
    for (int lane = 0; lane < lanes_.active; ++lane) {
      llvm::Value* const scalar = b.CreateExtractElement(value, lane);
      llvm::Value* const pointer = LanePointer(address, type, lane);
      Under(guard == nullptr ? nullptr : b.CreateExtractElement(guard, lane),
            [&] { b.CreateAlignedStore(scalar, pointer, align); });
    }
    return;
  }
  llvm::Value* mask = lanes_.partial() ? ActiveMask() : nullptr;
  if (guard != nullptr) mask = mask == nullptr ? guard : b.CreateAnd(mask, guard);
  if (mask == nullptr) {
    b.CreateAlignedStore(value, address.pointer, align);
  } else {
    b.CreateMaskedStore(value, address.pointer, align, mask);
  }
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
