/* Runs the first function of a library that Kiln emitted: run_library ./LIBRARY.so [INPUT.bin]...
 * An f32 input without a file holds a pattern. Prints the first output, f32, and its largest value.
 * Build: cc -std=c99 -I ROOT examples/run_library.c -ldl   (ROOT holds runtime/abi/kiln.h) */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/abi/kiln.h"

static void check(int good, const char* what, const char* why) {
  if (!good) exit((fprintf(stderr, "run_library: %s: %s\n", what, why), 1));
}

int main(int argc, char** argv) {
  void *handle = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL, *in[64], *out[64];
  check(handle != NULL, "usage: run_library ./LIBRARY.so [INPUT]...", argc > 1 ? dlerror() : "");
  const kiln_library_info* (*entry)(void);
  *(void**)&entry = dlsym(handle, "kiln_library");
  check(entry && entry()->abi_version == KILN_ABI_VERSION, argv[1], "not of this ABI version");
  const kiln_function_info* f = entry()->functions;
  check(f->num_inputs <= 64 && f->num_outputs <= 64, f->name, "has more than 64 tensors");
  for (int i = 0; i < f->num_inputs; ++i) {
    const uint64_t bytes = f->inputs[i].bytes,
                   floats = f->inputs[i].dtype == KILN_F32 ? bytes / 4 : 0;
    float* data = in[i] = calloc(bytes + 1, 1);
    for (uint64_t k = 0; k < floats; ++k) data[k] = k % 97 / 97.f;
    FILE* file = i + 2 < argc ? fopen(argv[i + 2], "rb") : NULL;
    check(i + 2 >= argc || (file && fread(data, 1, bytes, file) == bytes), argv[i + 2],
          "unreadable");
  }
  for (int i = 0; i < f->num_outputs; ++i) out[i] = calloc(f->outputs[i].bytes + 1, 1);
  char* space = malloc(f->workspace_bytes + f->workspace_alignment);
  space += f->workspace_alignment - (uintptr_t)space % f->workspace_alignment;
  const kiln_call call = {(const void* const*)in, out, NULL, space, NULL};
  check(f->run(&call) == 0, f->name, "failed");
  const float* y = f->outputs[0].dtype == KILN_F32 ? out[0] : NULL;
  check(y != NULL, f->outputs[0].name, "is not an f32 output");
  uint64_t best = 0, count = f->outputs[0].bytes / 4;
  printf("%s:", f->outputs[0].name);
  for (uint64_t k = 0; k < count && k < 10; ++k) printf(" %g", y[k]);
  for (uint64_t k = 1; k < count; ++k) best = y[k] > y[best] ? k : best;
  return printf("\nargmax %llu\n", (unsigned long long)best) < 0;
}
