// libFuzzer harness of the index of TensorFlow's checkpoints. No file may crash it or make it eat
// memory.
#include "compiler/import/tensorflow/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)kiln::tensorflow_import::ReadSortedTable({reinterpret_cast<const char*>(data), size});
  return 0;
}
