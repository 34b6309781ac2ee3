/* Preloaded into a program under test: counts its calls of write, fsync, rename and unlink that
 * concern files with ".snapshot" in their names, and at one of them
 *   KILL_AT=N      ends the process by SIGKILL in the middle: of a write, half has been done
 *   FULL_FROM=N    lets this and all later writes fail with ENOSPC, whatever the file in FOLDER
 * COUNT_FILE names a file that gets the number of calls at the end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long calls = 0;

static long setting(const char* name) {
  const char* const text = getenv(name);
  return text == NULL ? -1 : atol(text);
}

static int concerns(const char* path) { return strstr(path, ".snapshot") != NULL; }

static void path_of(int fd, char* path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, size - 1);
  path[length < 0 ? 0 : length] = '\0';
}

static void count(void) {
  ++calls;
  const char* const file = getenv("COUNT_FILE");
  if (file != NULL) {
    FILE* const out = fopen(file, "w");
    if (out != NULL) {
      fprintf(out, "%ld", calls);
      fclose(out);
    }
  }
}

static int is_time_to_die(void) { return calls == setting("KILL_AT"); }

ssize_t write(int fd, const void* data, size_t size) {
  static ssize_t (*real)(int, const void*, size_t);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "write");
  char path[4096];
  path_of(fd, path, sizeof path);
  const char* const folder = getenv("FOLDER");
  const int inside = folder != NULL && strstr(path, folder) != NULL;
  if (concerns(path)) {
    count();
    if (is_time_to_die()) {
      real(fd, data, size / 2);
      kill(getpid(), SIGKILL);
    }
  }
  if (inside && setting("FULL_FROM") >= 0 && calls >= setting("FULL_FROM")) {
    errno = ENOSPC;
    return -1;
  }
  return real(fd, data, size);
}

int fsync(int fd) {
  static int (*real)(int);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "fsync");
  char path[4096];
  path_of(fd, path, sizeof path);
  if (concerns(path)) {
    count();
    if (is_time_to_die()) kill(getpid(), SIGKILL);
  }
  return real(fd);
}

int rename(const char* from, const char* to) {
  static int (*real)(const char*, const char*);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "rename");
  if (concerns(to)) {
    count();
    if (is_time_to_die()) kill(getpid(), SIGKILL);
  }
  return real(from, to);
}

int unlink(const char* path) {
  static int (*real)(const char*);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "unlink");
  if (concerns(path)) {
    count();
    if (is_time_to_die()) kill(getpid(), SIGKILL);
  }
  return real(path);
}
