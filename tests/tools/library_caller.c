/* Calls every function of an emitted library in every way that the C ABI promises to work:
 *   library_caller LIBRARY FOLDER [INPUT.bin]...
 * The first function reads its inputs from the files, what has no file is filled with a pattern.
 * Writes output O of function F to FOLDER/F.O.bin and prints "F.O DTYPE". Exit status 1, and a line
 * why, where two ways give different bits. */
#define _POSIX_C_SOURCE 200112L
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/abi/kiln.h"

enum { kGuard = 64, kThreads = 4, kRuns = 10 };

typedef struct {
  const kiln_function_info* function;
  const void** inputs;
  void** outputs;
  char* workspace;
  const void* parameters;
  const kiln_executor* executor;
} caller;

static void fail(const char* what, const char* why) {
  fprintf(stderr, "library_caller: %s: %s\n", what, why);
  exit(1);
}

/* `bytes` of garbage, with a guard behind them. */
static char* new_buffer(uint64_t bytes, uint64_t alignment) {
  void* buffer = NULL;
  if (posix_memalign(&buffer, alignment < 16 ? 16 : alignment, bytes + kGuard) != 0) exit(3);
  memset(buffer, 0xa5, bytes + kGuard);
  return buffer;
}

static void check_guard(const char* what, const char* buffer, uint64_t bytes) {
  for (int i = 0; i < kGuard; ++i)
    if ((unsigned char)buffer[bytes + i] != 0xa5) fail(what, "was written past its end");
}

static uint64_t element_size(int32_t dtype) {
  switch (dtype) {
    case KILN_BOOL:
    case KILN_I8:
    case KILN_U8: return 1;
    case KILN_I16:
    case KILN_U16:
    case KILN_F16:
    case KILN_BF16: return 2;
    case KILN_I64:
    case KILN_U64:
    case KILN_F64: return 8;
    default: return 4;
  }
}

static void fill(const kiln_tensor_info* tensor, char* data, const char* path) {
  FILE* file = path ? fopen(path, "rb") : NULL;
  if (path && (!file || fread(data, 1, tensor->bytes, file) != tensor->bytes))
    fail(path, "cannot be read, or is shorter than the input");
  if (file) fclose(file);
  if (path) return;
  const uint64_t size = element_size(tensor->dtype);
  memset(data, 0, tensor->bytes);
  for (uint64_t i = 0; i < tensor->bytes / size; ++i) {
    const double value = (double)((i * 37 + 11) % 97) / 97 - 0.25;
    if (tensor->dtype == KILN_F32) ((float*)(void*)data)[i] = (float)value;
    if (tensor->dtype == KILN_F64) ((double*)(void*)data)[i] = value;
    /* Small f16 and bf16 numbers are wide integers whose high byte is 0x3a; the rest are 0, 1 or 2.
     */
    if (tensor->dtype == KILN_F16 || tensor->dtype == KILN_BF16)
      ((uint16_t*)(void*)data)[i] = (uint16_t)(0x3a00 + i * 37 % 256);
    if (tensor->dtype < KILN_F16) data[i * size] = (char)(i % (tensor->dtype == KILN_BOOL ? 2 : 3));
  }
}

static caller new_caller(const kiln_function_info* function, const void** inputs) {
  caller made = {function, inputs, NULL, NULL, NULL, NULL};
  made.outputs = calloc((size_t)function->num_outputs + 1, sizeof(void*));
  for (int i = 0; i < function->num_outputs; ++i)
    made.outputs[i] = new_buffer(function->outputs[i].bytes, 16);
  made.workspace = new_buffer(function->workspace_bytes, function->workspace_alignment);
  return made;
}

static void run(const caller* c) {
  kiln_call call = {c->inputs, c->outputs, c->parameters, c->workspace, c->executor};
  for (int i = 0; i < c->function->num_outputs; ++i)
    memset(c->outputs[i], 0xff, c->function->outputs[i].bytes);
  if (c->function->run(&call) != 0) fail(c->function->name, "returned a failure");
}

static void check_guards(const caller* c) {
  check_guard("workspace", c->workspace, c->function->workspace_bytes);
  for (int i = 0; i < c->function->num_outputs; ++i)
    check_guard(c->function->outputs[i].name, c->outputs[i], c->function->outputs[i].bytes);
}

static int same(const caller* a, const caller* b) {
  for (int i = 0; i < a->function->num_outputs; ++i)
    if (memcmp(a->outputs[i], b->outputs[i], a->function->outputs[i].bytes) != 0) return 0;
  return 1;
}

/* An executor that does the items one by one, the last first. */
static int64_t sections;
static void backwards(void* context, int64_t count, kiln_task task, void* argument) {
  (void)context;
  ++sections;
  for (int64_t i = count - 1; i >= 0; --i) task(argument, i, i + 1);
}

static void check_executors(const kiln_function_info* function, const caller* expected) {
  const kiln_executor executor = {NULL, 3, backwards};
  caller c = new_caller(function, expected->inputs);
  c.executor = &executor;
  sections = 0;
  run(&c);
  if (sections != function->num_steps) fail(function->name, "sections and steps differ");
  if (!same(&c, expected)) fail(function->name, "items one by one give other bits");
  check_guards(&c);
}

static void* run_often(void* argument) {
  for (int i = 0; i < kRuns; ++i) run(argument);
  return NULL;
}

static void check_reentrance(const kiln_function_info* function, const caller* expected) {
  caller callers[kThreads];
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    callers[i] = new_caller(function, expected->inputs);
    if (pthread_create(&threads[i], NULL, run_often, &callers[i]) != 0) fail("pthread", "failed");
  }
  for (int i = 0; i < kThreads; ++i) {
    pthread_join(threads[i], NULL);
    if (!same(&callers[i], expected)) fail(function->name, "calls at once give other bits");
    check_guards(&callers[i]);
  }
}

static void check_parameters(const kiln_library_info* library, const kiln_function_info* function,
                             const caller* expected) {
  if (library->parameters_bytes == 0) return;
  if (!library->parameters_data) fail("parameters", "are not in the library");
  char* block = new_buffer(library->parameters_bytes, KILN_PARAMETERS_ALIGNMENT);
  memcpy(block, library->parameters_data, library->parameters_bytes);
  caller c = new_caller(function, expected->inputs);
  c.parameters = block;
  run(&c);
  if (!same(&c, expected)) fail(function->name, "a copy of the parameters gives other bits");
  check_guards(&c);
  free(block);
}

static void write_outputs(const caller* c, const char* folder, int index) {
  for (int i = 0; i < c->function->num_outputs; ++i) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%d.%d.bin", folder, index, i);
    FILE* file = fopen(path, "wb");
    const uint64_t bytes = c->function->outputs[i].bytes;
    printf("%d.%d %d\n", index, i, (int)c->function->outputs[i].dtype);
    if (!file || fwrite(c->outputs[i], 1, bytes, file) != bytes || fclose(file) != 0)
      fail(path, "cannot be written");
  }
}

static void check_function(const kiln_library_info* library, int index, const char* folder,
                           int files, char** paths) {
  const kiln_function_info* function = &library->functions[index];
  const void** inputs = calloc((size_t)function->num_inputs + 1, sizeof(void*));
  for (int i = 0; i < function->num_inputs; ++i) {
    char* data = new_buffer(function->inputs[i].bytes, 16);
    fill(&function->inputs[i], data, index == 0 && i < files ? paths[i] : NULL);
    inputs[i] = data;
  }
  const caller first = new_caller(function, inputs);
  run(&first);
  check_guards(&first);
  write_outputs(&first, folder, index);
  check_executors(function, &first);
  check_reentrance(function, &first);
  check_parameters(library, function, &first);
}

int main(int argc, char** argv) {
  if (argc < 3) fail("usage", "library_caller LIBRARY FOLDER [INPUT.bin]...");
  void* handle = dlopen(argv[1], RTLD_NOW);
  if (!handle) fail(argv[1], dlerror());
  const kiln_library_info* (*entry)(void);
  *(void**)&entry = dlsym(handle, "kiln_library");
  if (!entry || entry()->abi_version != KILN_ABI_VERSION) fail(argv[1], "not of this ABI version");
  for (int i = 0; i < entry()->num_functions; ++i)
    check_function(entry(), i, argv[2], argc - 3, argv + 3);
  return 0;
}
