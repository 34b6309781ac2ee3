#include "compiler/aot/parameter_object.h"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <span>

#include "compiler/codegen/driver.h"
#include "runtime/file.h"

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

/// The section of the block. In a library it is writable for the linker, so that it comes last.
struct BlockSection {
  std::string name;
  uint64_t flags;
  uint64_t size;
};

/// What stands behind the block, and where its section headers begin in the file.
std::string Tables(const BlockSection& section, uint64_t* headers_offset) {
  NameTable sections, symbols;
  const Elf64_Sym none{};
  Elf64_Sym block{};
  block.st_name = symbols.Add(kParametersSymbol);
  block.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  block.st_other = STV_HIDDEN;
  block.st_shndx = 1;
  block.st_size = section.size;

  std::string tables;
  const uint64_t start = kBlockOffset + section.size;
  std::vector<Elf64_Shdr> headers(1);
  const auto add = [&](const std::string& bytes, Elf64_Shdr header) {
    header.sh_offset = start + tables.size();
    header.sh_size = bytes.size();
    headers.push_back(header);
    tables += bytes + std::string((8 - bytes.size() % 8) % 8, '\0');
  };
  headers.push_back({.sh_name = sections.Add(section.name),
                     .sh_type = SHT_PROGBITS,
                     .sh_flags = section.flags,
                     .sh_offset = kBlockOffset,
                     .sh_size = section.size,
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

/// The header of `elf`; fails where it is not of a kind that is written here.
StatusOr<Elf64_Ehdr> HeaderOf(std::span<const char> elf) {
  Elf64_Ehdr header;
  const bool readable = elf.size() >= sizeof(header);
  if (readable) std::memcpy(&header, elf.data(), sizeof(header));
  if (!readable || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      std::endian::native != std::endian::little) {
    return Unsupported("libraries are for 64-bit little-endian ELF targets only");
  }
  return header;
}

/// The header of an object with `tables`, made from that of its sibling, up to the block.
std::string ObjectStart(Elf64_Ehdr header, uint64_t headers_offset) {
  header.e_shoff = headers_offset;
  header.e_shnum = 5;
  header.e_shstrndx = 4;
  std::string start = Bytes(header);
  start.resize(kBlockOffset, '\0');
  return start;
}

void WriteZeros(std::ofstream& file, uint64_t count) {
  const std::string zeros(count, '\0');
  file.write(zeros.data(), static_cast<std::streamsize>(count));
}

// --- a library's placeholder
// -----------------------------------------------------------------------

constexpr char kPlaceholder[] = ".kiln_parameters";
constexpr uint64_t kPlaceholderSize = kBufferAlignment;

/// `count` records of an ELF file from `offset` on.
template <typename T>
StatusOr<std::vector<T>> ReadRecords(std::span<const char> file, uint64_t offset, uint64_t count) {
  if (offset > file.size() || count > (file.size() - offset) / sizeof(T)) {
    return InternalError("the linked library is cut short");
  }
  std::vector<T> records(count);
  std::memcpy(records.data(), file.data() + offset, count * sizeof(T));
  return records;
}

/// The tables of a linked library that tell where things lie.
struct LibraryTables {
  Elf64_Ehdr header;
  std::vector<Elf64_Phdr> segments;
  std::vector<Elf64_Shdr> sections;
};

StatusOr<LibraryTables> ReadTables(std::span<const char> file) {
  LibraryTables tables;
  KILN_ASSIGN_OR_RETURN(tables.header, HeaderOf(file));
  const Elf64_Ehdr& header = tables.header;
  KILN_ASSIGN_OR_RETURN(tables.segments,
                        ReadRecords<Elf64_Phdr>(file, header.e_phoff, header.e_phnum));
  KILN_ASSIGN_OR_RETURN(tables.sections,
                        ReadRecords<Elf64_Shdr>(file, header.e_shoff, header.e_shnum));
  return tables;
}

/// Which section is the placeholder.
StatusOr<size_t> FindPlaceholder(const LibraryTables& tables, std::span<const char> file) {
  const uint64_t names = tables.sections.at(tables.header.e_shstrndx).sh_offset;
  for (size_t i = 1; i < tables.sections.size(); ++i) {
    const uint64_t at = names + tables.sections[i].sh_name;
    if (at + sizeof(kPlaceholder) <= file.size() &&
        std::memcmp(file.data() + at, kPlaceholder, sizeof(kPlaceholder)) == 0) {
      return i;
    }
  }
  return InternalError("the linked library has no ", kPlaceholder);
}

/// Makes room for `size` bytes where the placeholder is. It must be alone in the last segment.
Status GrowPlaceholder(LibraryTables& tables, size_t placeholder, uint64_t size) {
  const Elf64_Shdr old = tables.sections[placeholder];
  const uint64_t growth = size - old.sh_size;
  for (Elf64_Shdr& section : tables.sections) {
    const bool is_mapped = (section.sh_flags & SHF_ALLOC) != 0;
    if (is_mapped && section.sh_addr > old.sh_addr) {
      return InternalError(kPlaceholder, " is not the last section of the linked library");
    }
    if (!is_mapped && section.sh_offset > old.sh_offset) section.sh_offset += growth;
  }
  tables.sections[placeholder].sh_size = size;
  tables.sections[placeholder].sh_flags = SHF_ALLOC;
  tables.header.e_shoff += growth;
  for (Elf64_Phdr& segment : tables.segments) {
    const bool is_own = segment.p_type == PT_LOAD && segment.p_offset == old.sh_offset &&
                        segment.p_filesz == old.sh_size;
    if (!is_own) continue;
    segment.p_filesz = segment.p_memsz = size;
    segment.p_flags = PF_R;
    return OkStatus();
  }
  return InternalError(kPlaceholder, " has no segment of its own in the linked library");
}

}  // namespace

Status WriteParameterObject(Program& program, const std::string& sibling, const std::string& path) {
  KILN_RETURN_IF_ERROR(CheckParametersKnown(program));
  KILN_ASSIGN_OR_RETURN(const Elf64_Ehdr header, HeaderOf(sibling));
  // A multiple of 8, for the tables; never empty, so that the symbol has a place.
  const uint64_t size = (static_cast<uint64_t>(program.parameters_bytes) + 8) / 8 * 8;
  uint64_t headers_offset = 0;
  const std::string tables = Tables({".rodata.kiln_parameters", SHF_ALLOC, size}, &headers_offset);

  std::ofstream file(path, std::ios::binary);
  file << ObjectStart(header, headers_offset);
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

StatusOr<std::string> PlaceholderObject(const std::string& sibling) {
  KILN_ASSIGN_OR_RETURN(const Elf64_Ehdr header, HeaderOf(sibling));
  uint64_t headers_offset = 0;
  const std::string tables =
      Tables({kPlaceholder, SHF_ALLOC | SHF_WRITE, kPlaceholderSize}, &headers_offset);
  return ObjectStart(header, headers_offset) + std::string(kPlaceholderSize, '\0') + tables;
}

Status WriteLibraryWithParameters(const Program& program, std::span<const char> library,
                                  const std::string& output) {
  KILN_RETURN_IF_ERROR(CheckParametersKnown(program));
  KILN_ASSIGN_OR_RETURN(LibraryTables tables, ReadTables(library));
  KILN_ASSIGN_OR_RETURN(const size_t placeholder, FindPlaceholder(tables, library));
  const Elf64_Shdr old = tables.sections[placeholder];
  const uint64_t size = std::max<uint64_t>(
      kPlaceholderSize, (static_cast<uint64_t>(program.parameters_bytes) + kBufferAlignment - 1) /
                            kBufferAlignment * kBufferAlignment);
  std::string head(library.data(), old.sh_offset);
  std::string tail(library.begin() + static_cast<ptrdiff_t>(old.sh_offset + old.sh_size),
                   library.begin() + static_cast<ptrdiff_t>(tables.header.e_shoff));
  KILN_RETURN_IF_ERROR(GrowPlaceholder(tables, placeholder, size));
  std::memcpy(head.data(), &tables.header, sizeof(tables.header));
  std::memcpy(head.data() + tables.header.e_phoff, tables.segments.data(),
              tables.segments.size() * sizeof(Elf64_Phdr));
  for (const Elf64_Shdr& section : tables.sections) tail += Bytes(section);

  const std::string zeros(kBufferAlignment, '\0');  // between two parameters there are fewer
  std::vector<std::span<const char>> pieces = {head};
  uint64_t at = 0;
  const auto skip_to = [&](uint64_t offset) {
    for (; at < offset; at += pieces.back().size()) {
      pieces.push_back(std::span(zeros).first(std::min<uint64_t>(zeros.size(), offset - at)));
    }
  };
  for (const ParameterSlot& slot : program.parameters) {  // by rising offset
    skip_to(slot.offset);
    pieces.push_back(slot.value.bytes());
    at += slot.value.bytes().size();
  }
  skip_to(size);
  pieces.push_back(tail);
  return WriteFile(output, pieces);
}

}  // namespace kiln
