/* Trains a library compiled with --functions forward,train_step on Fashion-MNIST or MNIST, whose
 * four idx files lie unpacked in FOLDER, and tests it: train_library ./LIBRARY.so FOLDER STEPS RATE
 * The program owns the parameters and the solver's state; the library brings their first values.
 * Build: cc -std=c99 -I ROOT examples/train_library.c -ldl   (ROOT holds runtime/abi/kiln.h) */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/abi/kiln.h"

static unsigned char images[16 + 60000 * 784], labels[8 + 60000]; /* files, headers and all */
static float image[1 << 20], result[1 << 16], rate;
static int64_t label[1 << 10], step, seed = 1;
static char *parameters, *workspace;

static void check(int good, const char* what, const char* why) {
  if (!good) exit((fprintf(stderr, "train_library: %s: %s\n", what, why), 1));
}

static void load(const char* folder, const char* name, unsigned char* data, size_t bytes) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE* file = fopen(path, "rb");
  check(file && fread(data, 1, bytes, file) == bytes, path, "cannot be read, or is too short");
}

static char* aligned(uint64_t bytes, uint64_t alignment) {
  char* block = malloc(bytes + alignment);
  return block + (alignment - (uintptr_t)block % alignment);
}

/* Calls `f` on the batch that starts at item `at`; its first output goes to `result`. */
static void call(const kiln_function_info* f, int64_t at) {
  const int64_t batch = f->inputs[0].shape[0], size = f->inputs[0].bytes / 4 / batch;
  for (int64_t i = 0; i < batch * size; ++i) image[i] = images[16 + at * size + i] / 255.f;
  for (int64_t i = 0; i < batch; ++i) label[i] = labels[8 + at + i];
  const char* names[] = {"labels", "learning_rate", "step", "seed"};
  const void *values[] = {label, &rate, &step, &seed}, *in[8] = {image};
  for (int i = 1; i < f->num_inputs; ++i)
    for (int k = 0; k < 4; ++k)
      if (strcmp(f->inputs[i].name, names[k]) == 0) in[i] = values[k];
  void* out[] = {result};
  const kiln_call now = {in, out, parameters, workspace, NULL};
  check(f->run(&now) == 0, f->name, "failed");
}

int main(int argc, char** argv) {
  check(argc == 5, "usage", "train_library ./LIBRARY.so FOLDER STEPS RATE");
  void* handle = dlopen(argv[1], RTLD_NOW);
  const kiln_library_info* (*entry)(void) = NULL;
  if (handle) *(void**)&entry = dlsym(handle, "kiln_library");
  check(entry && entry()->num_functions == 2, argv[1], "not a library of forward and train_step");
  const kiln_function_info *test = entry()->functions, *train = test + 1;
  if (strcmp(test->name, "forward") != 0) test = train--;
  parameters = aligned(entry()->parameters_bytes, KILN_PARAMETERS_ALIGNMENT);
  memcpy(parameters, entry()->parameters_data, entry()->parameters_bytes);
  load(argv[2], "train-images-idx3-ubyte", images, 16 + 60000 * 784);
  load(argv[2], "train-labels-idx1-ubyte", labels, 8 + 60000);
  workspace = aligned(train->workspace_bytes, train->workspace_alignment);
  const int64_t batch = train->inputs[0].shape[0], steps = atol(argv[3]);
  for (rate = (float)atof(argv[4]); step < steps; ++step) {
    call(train, step * batch % (60000 - batch));
    if (step % 100 == 0) printf("step %ld loss %.4f\n", (long)step, result[0]);
  }
  load(argv[2], "t10k-images-idx3-ubyte", images, 16 + 10000 * 784);
  load(argv[2], "t10k-labels-idx1-ubyte", labels, 8 + 10000);
  workspace = aligned(test->workspace_bytes, test->workspace_alignment);
  int64_t right = 0, seen = 0, classes = test->outputs[0].bytes / 4 / batch;
  for (; seen + batch <= 10000; seen += batch) {
    call(test, seen);
    for (int64_t n = 0, best = 0; n < batch; right += best == label[n++], best = 0)
      for (int64_t c = 1; c < classes; ++c)
        if (result[n * classes + c] > result[n * classes + best]) best = c;
  }
  printf("test accuracy %.4f\n", (double)right / seen);
  return 0;
}
