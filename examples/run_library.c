/* Runs the first function of any library that Kiln emitted: run_library LIBRARY [INPUT.bin]...
 * An input without a file is filled with a pattern. Prints the first output and its largest value.
 * Build: cc -std=c99 -I ROOT examples/run_library.c -ldl   (ROOT holds runtime/abi/kiln.h) */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/abi/kiln.h"

static void fail(const char* what, const char* why) {
  fprintf(stderr, "run_library: %s: %s\n", what, why);
  exit(1);
}

static void fill(const kiln_tensor_info* tensor, void* data, const char* path) {
  FILE* file = path ? fopen(path, "rb") : NULL;
  if (path && (!file || fread(data, 1, tensor->bytes, file) != tensor->bytes))
    fail(path, "cannot be read, or is shorter than the input");
  if (file) fclose(file);
  if (!path && tensor->dtype == KILN_F32) /* anything else stays 0 */
    for (uint64_t i = 0; i < tensor->bytes / 4; ++i) ((float*)data)[i] = (float)(i % 97) / 97;
}

static void print(const kiln_tensor_info* tensor, const float* data) {
  uint64_t count = tensor->bytes / 4, best = 0;
  if (tensor->dtype != KILN_F32 || count == 0) fail(tensor->name, "is not an f32 output");
  for (uint64_t i = 1; i < count; ++i) best = data[i] > data[best] ? i : best;
  printf("%s:", tensor->name);
  for (uint64_t i = 0; i < count && i < 10; ++i) printf(" %g", data[i]);
  printf("\nargmax %llu\n", (unsigned long long)best);
}

int main(int argc, char** argv) {
  void* handle = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (!handle) fail("usage: run_library ./LIBRARY.so [INPUT.bin]...", argc > 1 ? dlerror() : "");
  const kiln_library_info* (*entry)(void);
  *(void**)&entry = dlsym(handle, "kiln_library");
  if (!entry || entry()->abi_version != KILN_ABI_VERSION) fail(argv[1], "not of this ABI version");
  const kiln_function_info* function = entry()->functions;
  void** buffers = calloc(function->num_inputs + function->num_outputs + 1, sizeof(void*));
  void** outputs = buffers + function->num_inputs;
  for (int i = 0; i < function->num_inputs; ++i) {
    buffers[i] = calloc(function->inputs[i].bytes + 1, 1);
    fill(&function->inputs[i], buffers[i], i + 2 < argc ? argv[i + 2] : NULL);
  }
  for (int i = 0; i < function->num_outputs; ++i)
    outputs[i] = calloc(function->outputs[i].bytes + 1, 1);
  char* workspace = malloc(function->workspace_bytes + function->workspace_alignment);
  workspace += function->workspace_alignment - (uintptr_t)workspace % function->workspace_alignment;
  kiln_call call = {(const void* const*)buffers, outputs, NULL, workspace, NULL};
  if (function->run(&call) != 0) fail(function->name, "failed");
  print(&function->outputs[0], outputs[0]);
  return 0;
}
