// Target: what schedules and code generation know about the CPU they compile for. No LLVM here;
// codegen/target_info.h fills one in from LLVM's tables (or the host).
#pragma once

#include <cstdint>
#include <string>

namespace kiln {

struct Target {
  std::string triple;         ///< e.g. "x86_64-pc-linux-gnu"
  std::string cpu;            ///< LLVM's name: "znver4", "x86-64-v3", "cortex-a72", ...
  std::string features;       ///< LLVM's "+avx512f,-sse4a" form; empty: the cpu's own
  int vector_bytes = 16;      ///< the widest vector that is fast: 64 AVX-512, 32 AVX2, 16 SSE/NEON
  int vector_registers = 16;  ///< 32 for AVX-512 and NEON, 16 for AVX2 and SSE
  bool has_fma = false;
  bool has_masked_memory = false;  ///< cheap masked loads and stores (AVX2, AVX-512)
  int64_t l1_bytes = 32 << 10;
  int64_t l2_bytes = 1 << 20;
  int64_t l3_bytes = 16 << 20;

  /// Lanes of a vector of elements of `bytes` bytes.
  int Lanes(int64_t bytes) const { return static_cast<int>(vector_bytes / bytes); }
  /// Everything that the generated code depends on, for cache keys.
  std::string Key() const { return triple + "/" + cpu + "/" + features; }
};

}  // namespace kiln
