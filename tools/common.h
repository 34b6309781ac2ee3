// What all subcommands share: the global options, how errors and progress are printed, the list of
// subcommands.
//
// Results go to stdout; errors and progress go to stderr. Exit status: 0 success, 1 the work
// failed, 2 usage.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ir/support/status.h"

namespace kiln {

using Json = nlohmann::ordered_json;

struct Globals {
  bool quiet = false;    ///< no progress
  bool verbose = false;  ///< more of it
  bool json = false;     ///< a machine-readable result
  int threads = 0;       ///< 0: all cores

  /// The number of threads to use, at least 1.
  int Threads() const;
};

/// What the command line asks for; run when it has been read to its end.
using Action = std::function<Status()>;

// The subcommands: each declares its options and sets `action` when it is called.
void AddRunCommand(CLI::App& app, const Globals& globals, Action& action);
void AddCompileCommand(CLI::App& app, const Globals& globals, Action& action);
void AddDumpCommand(CLI::App& app, const Globals& globals, Action& action);
void AddConvertCommand(CLI::App& app, const Globals& globals, Action& action);
void AddDiffCommand(CLI::App& app, const Globals& globals, Action& action);
void AddOptCommand(CLI::App& app, const Globals& globals, Action& action);
void AddCheckCommand(CLI::App& app, const Globals& globals, Action& action);
void AddBenchCommand(CLI::App& app, const Globals& globals, Action& action);
void AddTrainCommand(CLI::App& app, const Globals& globals, Action& action);
void AddOpsCommand(CLI::App& app, const Globals& globals, Action& action);

/// Prints `kiln: error: LINE` to stderr for every line of the message. Bytes that could steer a
/// terminal are written as \xNN: names come from untrusted files.
void PrintError(const Status& status);

/// `status` with "path: " before every line of its message that does not start with the path.
Status InFile(const std::string& path, const Status& status);
template <typename T>
StatusOr<T> InFile(const std::string& path, StatusOr<T> value) {
  if (value.ok()) return value;
  return InFile(path, value.status());
}

/// Writes to stdout; a failure shows up in FlushOutput.
void PrintOut(std::string_view text);
void PrintJson(const Json& json);
/// An error when anything written to stdout got lost (a full disk, a closed pipe).
Status FlushOutput();

/// Writes `text` to a file, atomically. `first`, if any, runs when the text is safely on disk;
/// where it fails the file stays as it was.
Status WriteText(const std::string& path, std::string_view text,
                 const std::function<Status()>& first = nullptr);

/// A line of progress, `kiln: TEXT`, on stderr unless --quiet.
void Note(const Globals& globals, std::string_view text);

/// Progress through many items: on a terminal a bar with the time left, elsewhere a line for every
/// tenth part.
class Progress {
 public:
  Progress(const Globals& globals, std::string what, int64_t total);
  ~Progress() { Hide(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// One item is done.
  void Advance();
  /// `items` were done before.
  void Skip(int64_t items) { skipped_ = done_ = items; }
  /// What to show beside the count from now on.
  void SetDetail(std::string detail) { detail_ = std::move(detail); }
  /// Takes the bar off the screen, so that other text can be printed.
  void Hide();

 private:
  std::string TimeLeft() const;

  bool shown_;
  bool terminal_;
  bool drawn_ = false;
  std::string what_;
  std::string detail_;
  int64_t total_;
  int64_t done_ = 0;
  int64_t skipped_ = 0;
  double last_drawn_ = 0;  ///< milliseconds from the start
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Milliseconds since `start`.
double MillisecondsSince(std::chrono::steady_clock::time_point start);
/// "12.3 MiB".
std::string FormatBytes(double bytes);
/// `value` as printf's `format` (of one double) says.
std::string Format(const char* format, double value);
/// `text` with blanks behind it, or before it when `width` is negative, up to |width| columns.
std::string Pad(std::string_view text, int width);

}  // namespace kiln
