/* A library as Kiln would emit it, by hand: one function, scale(x, bias) -> y = 2 x + bias + p,
 * where p is its one parameter; its workspace holds the products. The tests build it three times:
 * as it is, with another ABI version, and without the entry point. */
#include "runtime/abi/kiln.h"

#ifndef TEST_ABI_VERSION
#define TEST_ABI_VERSION KILN_ABI_VERSION
#endif

/* The field offsets that kiln.h promises, on a 64-bit target. */
#include <stddef.h>
#define EXPECT_OFFSET(type, field, offset) \
  typedef char type##_##field##_offset[offsetof(type, field) == (offset) ? 1 : -1]
#define EXPECT_SIZE(type, size) typedef char type##_size[sizeof(type) == (size) ? 1 : -1]

EXPECT_OFFSET(kiln_tensor_info, name, 0);
EXPECT_OFFSET(kiln_tensor_info, dtype, 8);
EXPECT_OFFSET(kiln_tensor_info, rank, 12);
EXPECT_OFFSET(kiln_tensor_info, shape, 16);
EXPECT_OFFSET(kiln_tensor_info, bytes, 24);
EXPECT_SIZE(kiln_tensor_info, 32);
EXPECT_OFFSET(kiln_executor, context, 0);
EXPECT_OFFSET(kiln_executor, threads, 8);
EXPECT_OFFSET(kiln_executor, parallel_for, 16);
EXPECT_SIZE(kiln_executor, 24);
EXPECT_OFFSET(kiln_call, inputs, 0);
EXPECT_OFFSET(kiln_call, outputs, 8);
EXPECT_OFFSET(kiln_call, parameters, 16);
EXPECT_OFFSET(kiln_call, workspace, 24);
EXPECT_OFFSET(kiln_call, executor, 32);
EXPECT_SIZE(kiln_call, 40);
EXPECT_OFFSET(kiln_step_info, kernel, 0);
EXPECT_OFFSET(kiln_step_info, sources, 8);
EXPECT_OFFSET(kiln_step_info, flops, 16);
EXPECT_OFFSET(kiln_step_info, bytes, 24);
EXPECT_SIZE(kiln_step_info, 32);
EXPECT_OFFSET(kiln_function_info, name, 0);
EXPECT_OFFSET(kiln_function_info, num_inputs, 8);
EXPECT_OFFSET(kiln_function_info, inputs, 16);
EXPECT_OFFSET(kiln_function_info, num_outputs, 24);
EXPECT_OFFSET(kiln_function_info, outputs, 32);
EXPECT_OFFSET(kiln_function_info, workspace_bytes, 40);
EXPECT_OFFSET(kiln_function_info, workspace_alignment, 48);
EXPECT_OFFSET(kiln_function_info, run, 56);
EXPECT_OFFSET(kiln_function_info, num_steps, 64);
EXPECT_OFFSET(kiln_function_info, steps, 72);
EXPECT_SIZE(kiln_function_info, 80);
EXPECT_OFFSET(kiln_library_info, abi_version, 0);
EXPECT_OFFSET(kiln_library_info, producer, 8);
EXPECT_OFFSET(kiln_library_info, model, 16);
EXPECT_OFFSET(kiln_library_info, num_functions, 24);
EXPECT_OFFSET(kiln_library_info, functions, 32);
EXPECT_OFFSET(kiln_library_info, num_parameters, 40);
EXPECT_OFFSET(kiln_library_info, parameters, 48);
EXPECT_OFFSET(kiln_library_info, parameter_offsets, 56);
EXPECT_OFFSET(kiln_library_info, parameters_bytes, 64);
EXPECT_OFFSET(kiln_library_info, parameters_data, 72);
EXPECT_SIZE(kiln_library_info, 80);

enum { COUNT = 6 };

static const float parameter[1] = {10};

static void double_items(void* argument, int64_t begin, int64_t end) {
  const kiln_call* call = (const kiln_call*)argument;
  const float* x = (const float*)call->inputs[0];
  float* product = (float*)call->workspace;
  for (int64_t i = begin; i < end; ++i) product[i] = 2 * x[i];
}

static void add_items(void* argument, int64_t begin, int64_t end) {
  const kiln_call* call = (const kiln_call*)argument;
  const float* product = (const float*)call->workspace;
  const float* bias = (const float*)call->inputs[1];
  const float* p = call->parameters ? (const float*)call->parameters : parameter;
  float* y = (float*)call->outputs[0];
  for (int64_t i = begin; i < end; ++i) y[i] = product[i] + *bias + *p;
}

static void section(const kiln_call* call, kiln_task task, int64_t count) {
  if (call->executor) {
    call->executor->parallel_for(call->executor->context, count, task, (void*)call);
  } else {
    task((void*)call, 0, count);
  }
}

static int32_t run(const kiln_call* call) {
  section(call, double_items, COUNT);
  section(call, add_items, COUNT);
  return 0;
}

static const int64_t shape[2] = {2, 3};
static const kiln_tensor_info inputs[2] = {{"x", KILN_F32, 2, shape, 24},
                                           {"bias", KILN_F32, 0, 0, 4}};
static const kiln_tensor_info outputs[1] = {{"y", KILN_F32, 2, shape, 24}};
static const kiln_step_info steps[2] = {{"double", "mul", COUNT, 48}, {"add", "bias,p", 12, 56}};
static const kiln_function_info functions[1] = {
    {"forward", 2, inputs, 1, outputs, 24, 64, run, 2, steps}};
static const kiln_tensor_info parameters[1] = {{"p", KILN_F32, 0, 0, 4}};
static const uint64_t offsets[1] = {0};
static const kiln_library_info library = {
    TEST_ABI_VERSION, "test", "scale", 1, functions, 1, parameters, offsets, 4, parameter};

#ifdef TEST_NO_ENTRY
const kiln_library_info* another_name(void);
const kiln_library_info* another_name(void) { return &library; }
#else
const kiln_library_info* kiln_library(void) { return &library; }
#endif
