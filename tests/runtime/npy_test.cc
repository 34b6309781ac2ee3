#include "runtime/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <cstring>

#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Npy(const std::string& dict, const std::string& data, int version = 1) {
  std::string file = "\x93NUMPY";
  file += {static_cast<char>(version), '\0', static_cast<char>(dict.size() & 0xff),
           static_cast<char>(dict.size() >> 8)};
  if (version > 1) file += std::string(2, '\0');
  return file + dict + data;
}

std::string Dict(const std::string& descr, const std::string& shape,
                 const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

class NpyTest : public ::testing::Test {
 protected:
  absl::StatusOr<HostTensor> Read(const std::string& contents) {
    return ReadNpy(folder_.Write("a.npy", contents));
  }
  // The reason for which the file is refused.
  std::string Error(const std::string& contents) {
    const absl::StatusOr<HostTensor> tensor = Read(contents);
    EXPECT_FALSE(tensor.ok());
    const std::string message(tensor.status().message()), path = folder_ / "a.npy";
    EXPECT_THAT(message, StartsWith(path + ": "));
    return message.substr(std::min(message.size(), path.size() + 2));
  }

  const TemporaryFolder folder_;
};

TEST_F(NpyTest, ReadsAllVersionsAndDtypes) {
  const std::pair<const char*, kiln_dtype> dtypes[] = {
      {"|b1", KILN_BOOL}, {"|i1", KILN_I8},  {"<i2", KILN_I16}, {"<i4", KILN_I32},
      {"<i8", KILN_I64},  {"|u1", KILN_U8},  {"<u2", KILN_U16}, {"<u4", KILN_U32},
      {"<u8", KILN_U64},  {"<f2", KILN_F16}, {"<f4", KILN_F32}, {"=f8", KILN_F64}};
  for (const auto& [descr, dtype] : dtypes) {
    for (int version = 1; version <= 3; ++version) {
      const std::string data(3 * DtypeSize(dtype), '\1');
      const absl::StatusOr<HostTensor> tensor = Read(Npy(Dict(descr, "(3,)"), data, version));
      ASSERT_TRUE(tensor.ok()) << tensor.status();
      EXPECT_EQ(tensor->dtype, dtype);
      EXPECT_THAT(tensor->shape, ElementsAre(3));
      EXPECT_EQ(std::string(tensor->bytes.begin(), tensor->bytes.end()), data);
    }
  }
}

TEST_F(NpyTest, ReadsHeadersOfOtherWriters) {
  const absl::StatusOr<HostTensor> tensor =
      Read(Npy("  {\"shape\" :(2L , 1) ,\"descr\":\"|u1\", 'fortran_order':False}\n", "ab"));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->shape, ElementsAre(2, 1));
  EXPECT_TRUE(Read(Npy(Dict("<f4", "()"), "abcd"))->shape.empty());
  EXPECT_THAT(Read(Npy(Dict("<f4", "(0, 9223372036854775807)"), ""))->bytes, ElementsAre());
}

TEST_F(NpyTest, TransposesFortranOrder) {
  // [[[a,b],[c,d],[e,f]]] of shape (1,3,2): first index fastest.
  const absl::StatusOr<HostTensor> tensor = Read(Npy(Dict("|u1", "(1, 3, 2)", "True"), "acebdf"));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->shape, ElementsAre(1, 3, 2));
  EXPECT_THAT(tensor->bytes, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  EXPECT_TRUE(Read(Npy(Dict("<f4", "()", "True"), "abcd")).ok());
  EXPECT_TRUE(Read(Npy(Dict("<f4", "(0, 3)", "True"), "")).ok());
}

TEST_F(NpyTest, BoolsAreZeroOrOne) {
  EXPECT_THAT(Read(Npy(Dict("|b1", "(3,)"), std::string("\0\1\xff", 3)))->bytes,
              ElementsAre(0, 1, 1));
}

TEST_F(NpyTest, RefusesWhatItCannotRead) {
  EXPECT_EQ(Error(Npy(Dict(">f4", "(1,)"), "abcd")), "big-endian dtype '>f4' is not supported");
  EXPECT_EQ(Error(Npy(Dict("|O", "(1,)"), "abcd")), "dtype '|O' is not supported");
  EXPECT_EQ(Error(Npy(Dict("<c8", "(1,)"), "abcdefgh")), "dtype '<c8' is not supported");
  EXPECT_EQ(Error(Npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "")),
            "structured dtypes are not supported");
  EXPECT_EQ(Error(Npy(Dict("<f4", "(1,)"), "abcd", 4)), ".npy version 4 is not supported");
}

TEST_F(NpyTest, RefusesSizesThatDoNotMatch) {
  EXPECT_EQ(Error(Npy(Dict("<f4", "(2,)"), "abcdefg")),
            "array f32[2] takes 8 bytes, the file holds 7");
  EXPECT_EQ(Error(Npy(Dict("<f4", "(2,)"), "abcdefghi")),
            "array f32[2] takes 8 bytes, the file holds 9");
  EXPECT_THAT(Error(Npy(Dict("<f4", "(99999999999999,)"), "")), HasSubstr("too large"));
  EXPECT_THAT(Error(Npy(Dict("<f8", "(4294967296, 4294967296, 4294967296)"), "")),
              HasSubstr("too large"));
  EXPECT_THAT(Error(Npy(Dict("|u1", "(1099511627776,)"), "")), HasSubstr("the file holds 0"));
}

TEST_F(NpyTest, RefusesMalformedHeaders) {
  EXPECT_EQ(Error(""), "not a .npy file");
  EXPECT_EQ(Error("PK\x03\x04 something else"), "not a .npy file");
  for (const char* dict :
       {"", "{", "{'descr'", "{'descr': }", "{'descr': '<f4'", "{'descr': '<f4}", "[]", "{,}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False}", "{'shape': (1,), 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()} and more"}) {
    EXPECT_THAT(Error(Npy(dict, "abcd")), StartsWith("malformed .npy header: ")) << dict;
  }
  std::string deep = "(";
  for (int i = 0; i < 65; ++i) deep += "1,";
  EXPECT_THAT(Error(Npy(Dict("<f4", deep + ")"), "abcd")), HasSubstr("more than 64 dimensions"));
  std::string long_header = Npy(Dict("<f4", "(1,)"), "abcd", 2);
  long_header[11] = '\x7f';
  EXPECT_THAT(Error(long_header), HasSubstr("longer than 65536 bytes"));
}

TEST_F(NpyTest, RefusesEveryTruncation) {
  const std::string whole = Npy(Dict("<f4", "(2, 2)"), std::string(16, 'x'), 2);
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_NE(Error(whole.substr(0, size)), "");
}

TEST_F(NpyTest, SurvivesEveryChangedByte) {
  const std::string whole = Npy(Dict("<f4", "(2, 2)", "True"), std::string(16, 'x'));
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const char c : {'\0', '\xff', '\'', '(', ')', '{', '}', ',', '9'}) {
      std::string changed = whole;
      changed[i] = c;
      const absl::StatusOr<HostTensor> tensor = Read(changed);
      if (tensor.ok()) {
        EXPECT_EQ(*TensorBytes(tensor->dtype, tensor->shape),
                  static_cast<int64_t>(tensor->bytes.size()));
      }
    }
  }
}

TEST_F(NpyTest, RefusesWhatIsNoFile) {
  EXPECT_THAT(std::string(ReadNpy(folder_ / "no.npy").status().message()), HasSubstr("No such"));
  EXPECT_EQ(ReadNpy(folder_.path()).status().message(), folder_.path() + ": is a directory");
  const std::string pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(ReadNpy(pipe).status().message(), pipe + ": is not a regular file");
}

TEST_F(NpyTest, WritesWhatItReads) {
  const std::vector<std::vector<int64_t>> shapes = {{}, {3}, {2, 0}, {2, 3, 4}, {1, 1, 1, 1, 1}};
  for (int dtype = KILN_BOOL; dtype <= KILN_F64; ++dtype) {
    if (dtype == KILN_BF16) continue;
    for (const std::vector<int64_t>& shape : shapes) {
      const HostTensor tensor{static_cast<kiln_dtype>(dtype), shape,
                              std::vector<char>(*TensorBytes(dtype, shape), 1)};
      ASSERT_TRUE(WriteNpy(folder_ / "b.npy", tensor).ok());
      const absl::StatusOr<HostTensor> read = ReadNpy(folder_ / "b.npy");
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(read->dtype, tensor.dtype);
      EXPECT_EQ(read->shape, tensor.shape);
      EXPECT_EQ(read->bytes, tensor.bytes);
    }
  }
  EXPECT_EQ(folder_.Count(), 1);
}

TEST_F(NpyTest, WritesTheFormOfNumpy) {
  ASSERT_TRUE(WriteNpy(folder_ / "c.npy", {KILN_I16, {1}, {5, 0}}).ok());
  const absl::StatusOr<std::vector<char>> file = ReadFile(folder_ / "c.npy", 1000);
  std::string expected = "{'descr': '<i2', 'fortran_order': False, 'shape': (1,), }";
  expected.resize(117, ' ');
  EXPECT_EQ(std::string(file->begin(), file->end()),
            std::string("\x93NUMPY\1\0\x76\0", 10) + expected + "\n" + std::string("\5\0", 2));
}

TEST_F(NpyTest, WidensBFloat16) {
  const std::vector<uint16_t> halves = {0x3f80, 0xc000};  // 1, -2
  HostTensor tensor{KILN_BF16, {2}, std::vector<char>(4)};
  std::memcpy(tensor.bytes.data(), halves.data(), 4);
  ASSERT_TRUE(WriteNpy(folder_ / "d.npy", tensor).ok());
  const absl::StatusOr<HostTensor> read = ReadNpy(folder_ / "d.npy");
  ASSERT_EQ(read->dtype, KILN_F32);
  EXPECT_EQ(read->data<float>()[0], 1.0f);
  EXPECT_EQ(read->data<float>()[1], -2.0f);
}

TEST_F(NpyTest, RefusesToWriteWhatContradictsItself) {
  EXPECT_EQ(WriteNpy("x.npy", {KILN_F32, {2}, {1, 2, 3}}).message(),
            "x.npy: a tensor f32[2] of 3 bytes cannot be written");
  EXPECT_FALSE(WriteNpy("x.npy", {KILN_F32, {-2}, {}}).ok());
}

}  // namespace
}  // namespace kiln
