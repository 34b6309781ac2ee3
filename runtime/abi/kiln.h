/* The C ABI of compiled Kiln code: how a program finds, inspects and calls a library that Kiln
 * emitted. Valid C99 and C++; needs nothing but this file.
 *
 * A Kiln library exports one symbol, kiln_library(), which returns a constant descriptor of all it
 * holds. The library is re-entrant: it has no mutable globals, starts no threads and allocates
 * nothing. The caller passes every buffer and, if it wants several cores, an executor.
 *
 * Layout: every struct lies as the platform's C ABI lays out the fields in the order written, with
 * natural alignment; the comment at each struct gives the field offsets on a 64-bit target and the
 * equal LLVM type. A change of any of them, or of what a field means, raises KILN_ABI_VERSION.
 * Strings are UTF-8, end in NUL and are never NULL. A table whose count is 0 may be NULL. */
#ifndef KILN_RUNTIME_ABI_KILN_H_
#define KILN_RUNTIME_ABI_KILN_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KILN_ABI_VERSION 1u

/* Alignment in bytes of a parameter block's base that the caller passes. */
#define KILN_PARAMETERS_ALIGNMENT 64u

/* Element types; f16 is IEEE binary16, a bool is one byte, 0 or 1. Stored as int32_t. */
typedef enum kiln_dtype {
  KILN_BOOL = 0,
  KILN_I8 = 1,
  KILN_I16 = 2,
  KILN_I32 = 3,
  KILN_I64 = 4,
  KILN_U8 = 5,
  KILN_U16 = 6,
  KILN_U32 = 7,
  KILN_U64 = 8,
  KILN_F16 = 9,
  KILN_BF16 = 10,
  KILN_F32 = 11,
  KILN_F64 = 12
} kiln_dtype;

/* A dense row-major tensor. { ptr, i32, i32, ptr, i64 }: 0, 8, 12, 16, 24; 32 bytes. */
typedef struct kiln_tensor_info {
  const char* name;
  int32_t dtype; /* a kiln_dtype */
  int32_t rank;
  const int64_t* shape; /* rank extents, each >= 0; may be NULL for rank 0 */
  uint64_t bytes;       /* size of the whole tensor */
} kiln_tensor_info;

/* Does the items [begin, end) of a parallel section. Ranges that are disjoint may run at once. */
typedef void (*kiln_task)(void* argument, int64_t begin, int64_t end);

/* A way to run a section on several threads, supplied by the caller.
 * { ptr, i32, ptr }: 0, 8, 16; 24 bytes. */
typedef struct kiln_executor {
  void* context;   /* handed to parallel_for */
  int32_t threads; /* how many ranges it can run at once, >= 1 */
  /* Calls task(argument, begin, end) on disjoint ranges that together cover [0, count), and returns
   * when all have returned, their writes visible to the caller. A count <= 0 calls nothing. */
  void (*parallel_for)(void* context, int64_t count, kiln_task task, void* argument);
} kiln_executor;

/* One call of a function. Tensors are in the order of kiln_function_info; each must be aligned to
 * its element size, and one of 0 bytes may be NULL. Outputs and workspace overlap nothing else.
 * { ptr, ptr, ptr, ptr, ptr }: 0, 8, 16, 24, 32; 40 bytes. */
typedef struct kiln_call {
  const void* const* inputs;
  void* const* outputs;
  const void* parameters;        /* base of the parameter block; NULL: the library's own. A function
                                    that updates parameters (train_step) writes to it, and returns 1
                                    when it is NULL. Its calls must not overlap others on one block. */
  void* workspace;               /* workspace_bytes, contents arbitrary; NULL if that is 0 */
  const kiln_executor* executor; /* NULL: everything runs on the calling thread */
} kiln_call;

/* One kernel section of a function, for profiles. With an executor, run() makes exactly one call of
 * parallel_for for each step, in the order of the table (count 1 for work too small to split); all
 * its work happens inside those calls.
 * { ptr, ptr, double, double }: 0, 8, 16, 24; 32 bytes. */
typedef struct kiln_step_info {
  const char* kernel;  /* name of the kernel */
  const char* sources; /* names of the model's nodes it computes, joined by commas */
  double flops;        /* floating-point operations, a multiply-add counted as two */
  double bytes;        /* bytes read and written, each tensor counted once */
} kiln_step_info;

/* { ptr, i32, ptr, i32, ptr, i64, i64, ptr, i32, ptr }:
 * 0, 8, 16, 24, 32, 40, 48, 56, 64, 72; 80 bytes. */
typedef struct kiln_function_info {
  const char* name; /* "forward", "train_step", ... */
  int32_t num_inputs;
  const kiln_tensor_info* inputs;
  int32_t num_outputs;
  const kiln_tensor_info* outputs;
  uint64_t workspace_bytes;
  uint64_t workspace_alignment;          /* a power of two */
  int32_t (*run)(const kiln_call* call); /* 0: done; 1: it needs the caller's parameter block; other
                                            values are reserved for failures */
  int32_t num_steps;
  const kiln_step_info* steps;
} kiln_function_info;

/* { i32, ptr, ptr, i32, ptr, i32, ptr, ptr, i64, ptr }:
 * 0, 8, 16, 24, 32, 40, 48, 56, 64, 72; 80 bytes.
 * abi_version stays the first field in every version. */
typedef struct kiln_library_info {
  uint32_t abi_version;
  const char* producer; /* "kiln 0.1.0" */
  const char* model;    /* name of the model it was compiled from */
  int32_t num_functions;
  const kiln_function_info* functions;
  int32_t num_parameters;
  const kiln_tensor_info* parameters;
  const uint64_t* parameter_offsets; /* of each parameter, in bytes from the block's base */
  uint64_t parameters_bytes;         /* size of the whole block */
  const void* parameters_data;       /* the library's own block; NULL: each call must pass one */
} kiln_library_info;

/* The descriptor; valid for as long as the library is loaded. */
const kiln_library_info* kiln_library(void);

#ifdef __cplusplus
}
#endif

#endif /* KILN_RUNTIME_ABI_KILN_H_ */
