#include "compiler/codegen/target_info.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "compiler/codegen/llvm_target.h"
#include "ir/support/strings.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

namespace kiln {

namespace {

void InitializeTargetsOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmParsers();
    llvm::InitializeAllAsmPrinters();
  });
}

StatusOr<const llvm::Target*> LookUp(const std::string& triple) {
  InitializeTargetsOnce();
  std::string error;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (found == nullptr) return InvalidInput("unknown target '", triple, "': ", error);
  return found;
}

void DescribeX86(const llvm::MCSubtargetInfo& cpu, Target& target) {
  const bool avx512 = cpu.checkFeatures("+avx512f,+avx512vl,+avx512bw,+avx512dq");
  const bool avx2 = cpu.checkFeatures("+avx2");
  target.vector_bytes = avx512 ? 64 : avx2 ? 32 : 16;
  target.vector_registers = avx512 ? 32 : 16;
  target.has_fma = cpu.checkFeatures("+fma");
  target.has_masked_memory = avx2;
}

/// The vector unit, from LLVM's feature tables.
Status DescribeVectors(Target& target) {
  KILN_ASSIGN_OR_RETURN(const auto machine, MakeTargetMachine(target));
  const llvm::Triple triple(target.triple);
  const llvm::MCSubtargetInfo& cpu = *machine->getMCSubtargetInfo();
  if (triple.isX86()) {
    DescribeX86(cpu, target);
  } else if (triple.isAArch64()) {
    target.vector_registers = 32;
    target.has_fma = true;
  }
  return OkStatus();
}

/// A sysconf value, or `fallback` where the system does not know.
int64_t SystemValue(int name, int64_t fallback) {
  const int64_t value = sysconf(name);
  return value > 0 ? value : fallback;
}

std::string HostFeatures() {
  std::vector<std::string> features;
  for (const auto& feature : llvm::sys::getHostCPUFeatures()) {
    features.push_back(StrCat(feature.second ? "+" : "-", feature.first().str()));
  }
  std::sort(features.begin(), features.end());
  return StrJoin(features, ",");
}

std::string GenericCpu(const llvm::Triple& triple) {
  return triple.getArch() == llvm::Triple::x86_64 ? "x86-64" : "generic";
}

}  // namespace

StatusOr<Target> HostTarget() {
  Target target;
  target.triple = llvm::Triple::normalize(llvm::sys::getProcessTriple());
  target.cpu = llvm::sys::getHostCPUName().str();
  target.features = HostFeatures();
  target.l1_bytes = SystemValue(_SC_LEVEL1_DCACHE_SIZE, target.l1_bytes);
  target.l2_bytes = SystemValue(_SC_LEVEL2_CACHE_SIZE, target.l2_bytes);
  // Some systems report the sum over all clusters of cores; a core has its cluster's only.
  constexpr int64_t kLargestL3 = 32 << 20;
  target.l3_bytes = std::min(SystemValue(_SC_LEVEL3_CACHE_SIZE, target.l3_bytes), kLargestL3);
  KILN_RETURN_IF_ERROR(DescribeVectors(target));
  return target;
}

StatusOr<Target> MakeTarget(const std::string& triple, const std::string& cpu) {
  if (triple.empty() && cpu.empty()) return HostTarget();
  Target target;
  target.triple = llvm::Triple::normalize(triple.empty() ? llvm::sys::getProcessTriple() : triple);
  target.cpu = cpu.empty() ? GenericCpu(llvm::Triple(target.triple)) : cpu;
  KILN_ASSIGN_OR_RETURN(const llvm::Target* const llvm_target, LookUp(target.triple));
  const std::unique_ptr<llvm::MCSubtargetInfo> known(
      llvm_target->createMCSubtargetInfo(target.triple, "", ""));
  if (!known->isCPUStringValid(target.cpu)) {
    return InvalidInput("unknown CPU '", target.cpu, "' for target '", target.triple, "'");
  }
  KILN_RETURN_IF_ERROR(DescribeVectors(target));
  return target;
}

std::string LlvmVersion() { return LLVM_VERSION_STRING; }

StatusOr<std::unique_ptr<llvm::TargetMachine>> MakeTargetMachine(const Target& target) {
  KILN_ASSIGN_OR_RETURN(const llvm::Target* const llvm_target, LookUp(target.triple));
  std::unique_ptr<llvm::TargetMachine> machine(llvm_target->createTargetMachine(
      target.triple, target.cpu, target.features, llvm::TargetOptions(), llvm::Reloc::PIC_));
  if (machine == nullptr) {
    return Unsupported("LLVM cannot generate code for target '", target.triple, "'");
  }
  return machine;
}

InstructionSet DescribeInstructionSet(const Target& target, const llvm::TargetMachine& machine) {
  const bool aarch64 = machine.getTargetTriple().isAArch64();
  const bool f16c =
      machine.getTargetTriple().isX86() && machine.getMCSubtargetInfo()->checkFeatures("+f16c");
  return {.vector_bytes = target.vector_bytes,
          .has_fma = target.has_fma,
          .has_masked_memory = target.has_masked_memory,
          .has_half_conversion = aarch64 || f16c,
          .has_nan_passing_min = aarch64};
}

}  // namespace kiln
