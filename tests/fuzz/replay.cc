// Runs a libFuzzer harness without libFuzzer, so that every build tries it:
//
//   X_fuzz_replay CHANGES SEED...
//
// feeds it each seed file, each beginning of one, and CHANGES random variants of each: bytes
// replaced, removed, doubled, or moved. The same seeds give the same variants.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

size_t Position(kiln::Random& random, const std::string& text) {
  return random.Next() % (text.size() + 1);
}

void Change(kiln::Random& random, std::string& text) {
  const size_t at = Position(random, text);
  const size_t length = std::min<size_t>(random.Next() % 16, text.size() - at);
  const std::string part = text.substr(at, length);
  switch (random.Int(0, 4)) {
    case 0: text.erase(at, length); break;
    case 1: text.insert(at, part); break;
    case 2: text.replace(at, length, std::string(length, static_cast<char>(random.Next()))); break;
    case 3: text.insert(Position(random, text), part); break;
    default:
      for (size_t i = at; i < at + length; ++i) text[i] ^= static_cast<char>(1 << random.Int(0, 7));
  }
}

void RunSeed(const std::string& seed, int64_t changes) {
  for (size_t length = 0; length <= seed.size(); ++length) Run(seed.substr(0, length));
  kiln::Random random(seed.size());
  for (int64_t i = 0; i < changes; ++i) {
    std::string text = seed;
    for (int64_t steps = random.Int(1, 4); steps > 0; --steps) Change(random, text);
    Run(text);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s CHANGES SEED...\n", argv[0]);
    return 2;
  }
  const int64_t changes = std::strtoll(argv[1], nullptr, 10);
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string seed((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    if (seed.empty()) {
      std::fprintf(stderr, "%s: cannot be read, or is empty\n", argv[i]);
      return 1;
    }
    RunSeed(seed, changes);
  }
  std::printf("%d seeds\n", argc - 2);
  return 0;
}
