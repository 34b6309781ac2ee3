#include "tests/support/child_process.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ir/support/strings.h"

namespace kiln {

namespace {

constexpr int kNothingWrong = 0;
constexpr int kSomethingWrong = 1;

[[noreturn]] void RunChild(const Check& check, int seconds, int pipe) {
  const rlimit limit{static_cast<rlim_t>(seconds), static_cast<rlim_t>(seconds)};
  setrlimit(RLIMIT_CPU, &limit);
  const std::optional<std::string> wrong = check();
  std::string_view rest = wrong ? *wrong : std::string_view();
  while (!rest.empty()) {
    const ssize_t written = write(pipe, rest.data(), rest.size());
    if (written <= 0) break;
    rest.remove_prefix(static_cast<size_t>(written));
  }
  _exit(wrong ? kSomethingWrong : kNothingWrong);
}

std::string ReadAll(int pipe) {
  std::string text;
  char buffer[4096];
  for (ssize_t count; (count = read(pipe, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(count));
  }
  return text;
}

}  // namespace

std::optional<std::string> CheckInChild(const Check& check, int seconds) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) RunChild(check, seconds, ends[1]);
  close(ends[1]);
  std::string text = child > 0 ? ReadAll(ends[0]) : "no child process";
  close(ends[0]);
  if (child < 0) return text;
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return StrCat("killed by signal: ", strsignal(WTERMSIG(status)));
  if (WEXITSTATUS(status) == kNothingWrong) return std::nullopt;
  return text.empty() ? StrCat("exit status ", WEXITSTATUS(status)) : text;
}

}  // namespace kiln
