// What the outside asks of a running training: SIGINT and SIGTERM to stop, SIGHUP to write a
// snapshot.
//
// While a RunSignals lives, these signals only leave a note. A second SIGINT or SIGTERM ends the
// process at once. At most one may live at a time.
#pragma once

#include <csignal>

namespace kiln {

class RunSignals {
 public:
  RunSignals();
  /// The handlers of before are back.
  ~RunSignals();
  RunSignals(const RunSignals&) = delete;
  RunSignals& operator=(const RunSignals&) = delete;

  /// The signal that asks to stop; 0: none.
  static int StopRequested();
  /// Whether a snapshot has been asked for since the last call.
  static bool TakeSnapshotRequest();

 private:
  struct sigaction interrupt_, terminate_, hangup_;
};

}  // namespace kiln
