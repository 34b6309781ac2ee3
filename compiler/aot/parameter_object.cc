#include "compiler/aot/parameter_object.h"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <span>

#include "compiler/codegen/driver.h"

namespace kiln {

namespace {

// The file is its header, the block, and then the tables that describe it.
constexpr uint64_t kBlockOffset = 64;
static_assert(sizeof(Elf64_Ehdr) <= kBlockOffset && kBlockOffset % kBufferAlignment == 0);

/// The names of sections or symbols, each ending in NUL; the first is empty.
class NameTable {
 public:
  uint32_t Add(const std::string& name) {
    const auto at = static_cast<uint32_t>(bytes_.size());
    bytes_ += name + '\0';
    return at;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_ = std::string(1, '\0');
};

template <typename T>
std::string Bytes(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

/// What stands behind the block of `size` bytes, and where its section headers begin in the file.
std::string Tables(uint64_t size, uint64_t* headers_offset) {
  NameTable sections, symbols;
  const Elf64_Sym none{};
  Elf64_Sym block{};
  block.st_name = symbols.Add(kParametersSymbol);
  block.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  block.st_other = STV_HIDDEN;
  block.st_shndx = 1;
  block.st_size = size;

  std::string tables;
  const uint64_t start = kBlockOffset + size;
  std::vector<Elf64_Shdr> headers(1);
  const auto add = [&](const std::string& bytes, Elf64_Shdr header) {
    header.sh_offset = start + tables.size();
    header.sh_size = bytes.size();
    headers.push_back(header);
    tables += bytes + std::string((8 - bytes.size() % 8) % 8, '\0');
  };
  headers.push_back({.sh_name = sections.Add(".rodata.kiln_parameters"),
                     .sh_type = SHT_PROGBITS,
                     .sh_flags = SHF_ALLOC,
                     .sh_offset = kBlockOffset,
                     .sh_size = size,
                     .sh_addralign = kBufferAlignment});
  add(Bytes(none) + Bytes(block), {.sh_name = sections.Add(".symtab"),
                                   .sh_type = SHT_SYMTAB,
                                   .sh_link = 3,
                                   .sh_info = 1,  // the first symbol that is not local
                                   .sh_addralign = 8,
                                   .sh_entsize = sizeof(Elf64_Sym)});
  add(symbols.bytes(),
      {.sh_name = sections.Add(".strtab"), .sh_type = SHT_STRTAB, .sh_addralign = 1});
  const uint32_t own_name = sections.Add(".shstrtab");
  add(sections.bytes(), {.sh_name = own_name, .sh_type = SHT_STRTAB, .sh_addralign = 1});
  *headers_offset = start + tables.size();
  for (const Elf64_Shdr& header : headers) tables += Bytes(header);
  return tables;
}

void WriteZeros(std::ofstream& file, uint64_t count) {
  const std::string zeros(count, '\0');
  file.write(zeros.data(), static_cast<std::streamsize>(count));
}

}  // namespace

Status WriteParameterObject(Program& program, const std::string& sibling, const std::string& path) {
  KILN_RETURN_IF_ERROR(CheckParametersKnown(program));
  Elf64_Ehdr header;
  const bool readable = sibling.size() >= sizeof(header);
  if (readable) std::memcpy(&header, sibling.data(), sizeof(header));
  if (!readable || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      std::endian::native != std::endian::little) {
    return Unsupported("libraries are for 64-bit little-endian ELF targets only");
  }
  // A multiple of 8, for the tables; never empty, so that the symbol has a place.
  const uint64_t size = (static_cast<uint64_t>(program.parameters_bytes) + 8) / 8 * 8;
  const std::string tables = Tables(size, &header.e_shoff);
  header.e_shnum = 5;
  header.e_shstrndx = 4;

  std::ofstream file(path, std::ios::binary);
  file << Bytes(header);
  WriteZeros(file, kBlockOffset - sizeof(header));
  uint64_t at = 0;
  for (ParameterSlot& slot : program.parameters) {  // by rising offset
    WriteZeros(file, slot.offset - at);
    const std::span<const char> bytes = slot.value.bytes();
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    at = slot.offset + bytes.size();
    slot.value = Tensor::Unknown(slot.value.type(), "");
  }
  WriteZeros(file, size - at);
  file << tables;
  file.close();
  if (!file) return InvalidInput("cannot write ", path, ": is the disk full?");
  return OkStatus();
}

}  // namespace kiln
