#include "tools/common.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/file.h"
#include "runtime/threads/thread_pool.h"

namespace kiln {

namespace {

void PrintToStderr(const std::string& text) { std::fputs(text.c_str(), stderr); }

/// Control bytes as \xNN.
std::string Harmless(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 32 && byte != 127) {
      out += c;
    } else {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned>(byte));
      out += escape;
    }
  }
  return out;
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::string& line : StrSplit(text, '\n')) {
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

int Globals::Threads() const { return threads > 0 ? threads : AvailableCores(); }

void PrintError(const Status& status) {
  for (const std::string& line : Lines(Message(status))) {
    PrintToStderr(StrCat("kiln: error: ", Harmless(line), "\n"));
  }
}

Status InFile(const std::string& path, const Status& status) {
  if (status.ok()) return status;
  std::vector<std::string> lines = Lines(Message(status));
  if (lines.empty()) lines.push_back(status.ToString());
  for (std::string& line : lines) {
    if (!line.starts_with(path + ":")) line = StrCat(path, ": ", line);
  }
  return Status(status.code(), StrJoin(lines, "\n"));
}

void PrintOut(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void PrintJson(const Json& json) {
  // Names come from foreign files and need not be UTF-8.
  PrintOut(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Status FlushOutput() {
  const bool lost_before = std::ferror(stdout) != 0;
  if (std::fflush(stdout) == 0 && !lost_before) return OkStatus();
  return InvalidInput("stdout: cannot write: ", lost_before ? "output lost" : std::strerror(errno));
}

Status WriteText(const std::string& path, std::string_view text,
                 const std::function<Status()>& first) {
  return WriteFile(path, {std::span<const char>(text.data(), text.size())}, first);
}

void Note(const Globals& globals, std::string_view text) {
  if (!globals.quiet) PrintToStderr(StrCat("kiln: ", Harmless(text), "\n"));
}

Progress::Progress(const Globals& globals, std::string what, int64_t total)
    : shown_(!globals.quiet),
      terminal_(isatty(STDERR_FILENO) != 0),
      what_(std::move(what)),
      total_(std::max<int64_t>(total, 1)) {}

std::string Progress::TimeLeft() const {
  if (done_ <= skipped_) return "";
  const double left = MillisecondsSince(start_) / 1e3 * static_cast<double>(total_ - done_) /
                      static_cast<double>(done_ - skipped_);
  const auto seconds = static_cast<int64_t>(left);
  return StrCat(", ", seconds / 60, ":", seconds % 60 < 10 ? "0" : "", seconds % 60, " left");
}

void Progress::Advance() {
  ++done_;
  if (!shown_) return;
  if (terminal_) {
    constexpr int64_t kWidth = 30;
    constexpr double kFrame = 50;  // milliseconds
    const double now = MillisecondsSince(start_);
    if (drawn_ && done_ < total_ && now - last_drawn_ < kFrame) return;
    last_drawn_ = now;
    const int64_t filled = std::min(kWidth, kWidth * done_ / total_);
    PrintToStderr(StrCat("\r\x1b[K", what_, " [", std::string(filled, '#'),
                         std::string(kWidth - filled, '.'), "] ", done_, "/", total_, detail_,
                         TimeLeft()));
    drawn_ = true;
  } else if (done_ * 10 / total_ != (done_ - 1) * 10 / total_) {
    PrintToStderr(StrCat("kiln: ", what_, ": ", done_, " of ", total_, detail_, TimeLeft(), "\n"));
  }
}

void Progress::Hide() {
  if (drawn_) PrintToStderr("\r\x1b[K");
  drawn_ = false;
}

double MillisecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

std::string FormatBytes(double bytes) {
  if (bytes < 1024) return Format("%.0f B", bytes);
  if (bytes < 1024 * 1024) return Format("%.1f KiB", bytes / 1024);
  if (bytes < 1024 * 1024 * 1024) return Format("%.1f MiB", bytes / (1024 * 1024));
  return Format("%.1f GiB", bytes / (1024 * 1024 * 1024));
}

std::string Format(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string Pad(std::string_view text, int width) {
  const size_t columns = static_cast<size_t>(std::abs(width));
  const std::string blanks(columns > text.size() ? columns - text.size() : 0, ' ');
  return width < 0 ? StrCat(blanks, text) : StrCat(text, blanks);
}

}  // namespace kiln
