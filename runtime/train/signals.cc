#include "runtime/train/signals.h"

namespace kiln {

namespace {

volatile std::sig_atomic_t stop_signal = 0;
volatile std::sig_atomic_t snapshot_requested = 0;

void OnStop(int signal) { stop_signal = signal; }
void OnSnapshot(int) { snapshot_requested = 1; }

void Install(int signal, void (*handler)(int), unsigned flags, struct sigaction& before) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(SA_RESTART | flags);
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, &before);
}

}  // namespace

RunSignals::RunSignals() {
  stop_signal = 0;
  snapshot_requested = 0;
  Install(SIGINT, OnStop, SA_RESETHAND, interrupt_);
  Install(SIGTERM, OnStop, SA_RESETHAND, terminate_);
  Install(SIGHUP, OnSnapshot, 0, hangup_);
}

RunSignals::~RunSignals() {
  sigaction(SIGINT, &interrupt_, nullptr);
  sigaction(SIGTERM, &terminate_, nullptr);
  sigaction(SIGHUP, &hangup_, nullptr);
}

int RunSignals::StopRequested() { return stop_signal; }

bool RunSignals::TakeSnapshotRequest() {
  if (snapshot_requested == 0) return false;
  snapshot_requested = 0;
  return true;
}

}  // namespace kiln
