#include "ir/graph/tensor.h"

#include <xxhash.h>

#include <bit>
#include <cmath>
#include <limits>
#include <mutex>

#include "ir/graph/recipe.h"
#include "ir/support/bytes.h"
#include "ir/support/parallel.h"

namespace kiln {

namespace {

template <typename T>
T Load(const char* address) {
  T value;
  std::memcpy(&value, address, sizeof(T));
  return value;
}

template <typename T>
void Store(char* address, T value) {
  std::memcpy(address, &value, sizeof(T));
}

// Float to integer as the compiled code does it: truncation, saturating where the value does not
// fit, NaN to 0, so that no conversion is undefined.
int64_t SaturatingInt(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 9223372036854775808.0) return std::numeric_limits<int64_t>::max();
  if (value <= -9223372036854775808.0) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

}  // namespace

float HalfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 31;
  const uint32_t mantissa = bits & 0x3ff;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // rounds to 65536 or more
  if (magnitude < 0x38800000) {                       // subnormal half or zero
    const float scaled = std::bit_cast<float>(magnitude) * 16777216.0f;
    return sign | static_cast<uint16_t>(std::nearbyint(scaled));
  }
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return sign | static_cast<uint16_t>((rounded - 0x38000000) >> 13);
}

float BFloat16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t FloatToBFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

double RoundTo(ElementType type, double value) {
  switch (type) {
    case ElementType::kF16: return HalfToFloat(FloatToHalf(static_cast<float>(value)));
    case ElementType::kBF16: return BFloat16ToFloat(FloatToBFloat16(static_cast<float>(value)));
    case ElementType::kF32: return static_cast<float>(value);
    default: return value;
  }
}

double LoadDouble(ElementType type, const char* address) {
  switch (type) {
    case ElementType::kF16: return HalfToFloat(Load<uint16_t>(address));
    case ElementType::kBF16: return BFloat16ToFloat(Load<uint16_t>(address));
    case ElementType::kF32: return Load<float>(address);
    case ElementType::kF64: return Load<double>(address);
    case ElementType::kU64: return static_cast<double>(Load<uint64_t>(address));
    default: return static_cast<double>(LoadInt(type, address));
  }
}

int64_t LoadInt(ElementType type, const char* address) {
  switch (type) {
    case ElementType::kBool: return *address != 0;
    case ElementType::kI8: return Load<int8_t>(address);
    case ElementType::kU8: return Load<uint8_t>(address);
    case ElementType::kI16: return Load<int16_t>(address);
    case ElementType::kU16: return Load<uint16_t>(address);
    case ElementType::kI32: return Load<int32_t>(address);
    case ElementType::kU32: return Load<uint32_t>(address);
    case ElementType::kI64:
    case ElementType::kU64: return Load<int64_t>(address);
    default: return SaturatingInt(LoadDouble(type, address));
  }
}

void StoreDouble(ElementType type, char* address, double value) {
  switch (type) {
    case ElementType::kF16: return Store(address, FloatToHalf(static_cast<float>(value)));
    case ElementType::kBF16: return Store(address, FloatToBFloat16(static_cast<float>(value)));
    case ElementType::kF32: return Store(address, static_cast<float>(value));
    case ElementType::kF64: return Store(address, value);
    case ElementType::kBool: return Store<uint8_t>(address, value != 0);
    case ElementType::kU64:
      if (value >= 9223372036854775808.0) {
        return Store(address, value >= 18446744073709551616.0 ? std::numeric_limits<uint64_t>::max()
                                                              : static_cast<uint64_t>(value));
      }
      return StoreInt(type, address, SaturatingInt(value));
    default: return StoreInt(type, address, SaturatingInt(value));
  }
}

void StoreInt(ElementType type, char* address, int64_t value) {
  switch (type) {
    case ElementType::kBool: return Store<uint8_t>(address, value != 0);
    case ElementType::kI8:
    case ElementType::kU8: return Store(address, static_cast<uint8_t>(value));
    case ElementType::kI16:
    case ElementType::kU16: return Store(address, static_cast<uint16_t>(value));
    case ElementType::kI32:
    case ElementType::kU32: return Store(address, static_cast<uint32_t>(value));
    case ElementType::kI64:
    case ElementType::kU64: return Store(address, value);
    default: return StoreDouble(type, address, static_cast<double>(value));
  }
}

Tensor::Tensor(TensorType type, std::vector<char> bytes) : type_(std::move(type)) {
  auto owner = std::make_shared<const std::vector<char>>(std::move(bytes));
  bytes_ = *owner;
  owner_ = std::move(owner);
}

Tensor::Tensor(TensorType type, std::shared_ptr<const void> owner, std::span<const char> bytes)
    : type_(std::move(type)), owner_(std::move(owner)), bytes_(bytes) {}

/// The bytes of a deferred tensor, shared by its copies.
struct Tensor::Computation {
  std::once_flag once;
  std::shared_ptr<char> bytes;  // set under `once`
  size_t size = 0;
  std::mutex mutex;  // of what follows
  std::shared_ptr<const TensorRecipe> recipe;
};

Tensor Tensor::Deferred(TensorType type, std::shared_ptr<const TensorRecipe> recipe) {
  constexpr int64_t kComputedAtOnce = int64_t{1} << 16;
  Tensor tensor;
  tensor.type_ = std::move(type);
  tensor.deferred_ = std::make_shared<Computation>();
  tensor.deferred_->size = static_cast<size_t>(tensor.type_.bytes());
  tensor.deferred_->recipe = std::move(recipe);
  if (tensor.type_.bytes() > kComputedAtOnce) return tensor;
  const std::span<const char> bytes = tensor.bytes();
  return Tensor(tensor.type_, tensor.deferred_->bytes, bytes);
}

std::span<const char> Tensor::ComputedBytes() const {
  Computation& computation = *deferred_;
  std::call_once(computation.once, [&] {
    computation.bytes = AllocateBytes(computation.size);
    recipe()->Write(computation.bytes.get());
    const std::lock_guard lock(computation.mutex);
    computation.recipe = nullptr;  // and with it what the bytes were made of
  });
  return {computation.bytes.get(), computation.size};
}

std::shared_ptr<const TensorRecipe> Tensor::recipe() const {
  if (deferred_ == nullptr) return nullptr;
  const std::lock_guard lock(deferred_->mutex);
  return deferred_->recipe;
}

void Tensor::CopyTo(char* to) const {
  if (const auto how = recipe()) return how->Write(to);
  const std::span<const char> from = bytes();
  const auto size = static_cast<int64_t>(from.size());
  ParallelFor(size, size, [&](int64_t begin, int64_t end) {
    if (begin < end) std::memcpy(to + begin, &from[begin], static_cast<size_t>(end - begin));
  });
}

const void* Tensor::identity() const {
  return deferred_ == nullptr ? static_cast<const void*>(bytes_.data()) : deferred_.get();
}

Tensor Tensor::Unknown(TensorType type, std::string hash) {
  Tensor tensor;
  tensor.type_ = std::move(type);
  tensor.hash_ = std::move(hash);
  return tensor;
}

Tensor Tensor::Splat(TensorType type, double value) {
  const int64_t size = ByteSize(type.element);
  std::vector<char> bytes(static_cast<size_t>(type.bytes()));
  for (size_t at = 0; at < bytes.size(); at += size) StoreDouble(type.element, &bytes[at], value);
  return Tensor(std::move(type), std::move(bytes));
}

Tensor Tensor::FromInts(ElementType element, Shape shape, const std::vector<int64_t>& values) {
  const int64_t size = ByteSize(element);
  std::vector<char> bytes(values.size() * size);
  for (size_t i = 0; i < values.size(); ++i) StoreInt(element, &bytes[i * size], values[i]);
  return Tensor(TensorType{element, std::move(shape), {}}, std::move(bytes));
}

Tensor Tensor::FromDoubles(ElementType element, Shape shape, const std::vector<double>& values) {
  const int64_t size = ByteSize(element);
  std::vector<char> bytes(values.size() * size);
  for (size_t i = 0; i < values.size(); ++i) StoreDouble(element, &bytes[i * size], values[i]);
  return Tensor(TensorType{element, std::move(shape), {}}, std::move(bytes));
}

double Tensor::GetDouble(int64_t i) const {
  return LoadDouble(type_.element, bytes().data() + i * ByteSize(type_.element));
}

int64_t Tensor::GetInt(int64_t i) const {
  return LoadInt(type_.element, bytes().data() + i * ByteSize(type_.element));
}

std::vector<int64_t> Tensor::ToInts() const {
  std::vector<int64_t> values(static_cast<size_t>(type_.count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = GetInt(static_cast<int64_t>(i));
  return values;
}

std::vector<double> Tensor::ToDoubles() const {
  std::vector<double> values(static_cast<size_t>(type_.count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = GetDouble(static_cast<int64_t>(i));
  return values;
}

Tensor Tensor::Reshaped(Shape shape) const {
  Tensor tensor = *this;
  tensor.type_.shape = std::move(shape);
  return tensor;
}

Tensor Tensor::Retyped(TensorType type) const {
  Tensor tensor = *this;
  tensor.type_ = std::move(type);
  return tensor;
}

std::string ContentHash(std::span<const char> bytes) {
  const XXH128_hash_t digest = XXH3_128bits(bytes.data(), bytes.size());
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const uint64_t half : {digest.high64, digest.low64}) {
    for (int shift = 60; shift >= 0; shift -= 4) text += kHex[(half >> shift) & 15];
  }
  return text;
}

const std::string& Tensor::hash() const {
  if (hash_.empty()) hash_ = ContentHash(bytes());
  return hash_;
}

bool Tensor::operator==(const Tensor& other) const {
  if (type_ != other.type_) return false;
  if (identity() == other.identity() && identity() != nullptr) return true;
  if (known() && other.known()) {
    const std::span<const char> own = bytes(), others = other.bytes();
    return own.size() == others.size() &&
           (own.empty() || std::memcmp(own.data(), others.data(), own.size()) == 0);
  }
  return hash() == other.hash();
}

}  // namespace kiln
