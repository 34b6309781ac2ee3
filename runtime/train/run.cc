#include "runtime/train/run.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/train/run_log.h"
#include "runtime/train/signals.h"
#include "runtime/train/snapshot.h"

namespace kiln {

namespace {

using Clock = std::chrono::steady_clock;

// Steps between the copies from which a bad step is repeated.
constexpr int64_t kCopyInterval = 64;
// What a step's loss weighs in the smoothed one.
constexpr double kSmoothing = 0.05;

double Now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Run {
 public:
  Run(Trainer& trainer, const DatasetSplit& data, const RunOptions& options, RunObserver& observer)
      : trainer_(trainer), data_(data), options_(options), observer_(observer) {
    options_.loader.batch = trainer.batch();
    options_.loader.seed = options.seed;
  }

  absl::StatusOr<RunResult> Go() {
    const RunSignals signals;  // before there is anything to be seen of the run
    if (absl::Status status = Start(); !status.ok()) return status;
    RunResult::End end = RunResult::End::kFinished;
    MakeLoader();
    start_ = row_start_ = Clock::now();
    seconds_before_ = state_.seconds;
    if (options_.test_first && state_.step == 0) {
      if (absl::Status status = AddRow(trainer_.rate(), /*test=*/true); !status.ok()) return status;
    }
    while (state_.step < options_.max_steps) {
      if (EarlyStopDue()) {
        end = RunResult::End::kStoppedEarly;
        break;
      }
      if (absl::Status status = OneStep(); !status.ok()) return status;
      if (RunSignals::StopRequested() != 0 && state_.step < options_.max_steps) {
        end = RunResult::End::kInterrupted;
        break;
      }
    }
    loader_.reset();
    return Finish(end);
  }

 private:
  absl::Status Start() {
    state_.seed = options_.seed;
    state_.step_items = trainer_.step_items();
    state_.train_size = data_.train.size();
    state_.started = Now();
    if (options_.folder.empty()) return absl::OkStatus();
    absl::StatusOr<SnapshotFolder> folder = SnapshotFolder::Open(options_.folder, options_.keep);
    if (!folder.ok()) return folder.status();
    folder_.emplace(*std::move(folder));
    log_.emplace(options_.folder);
    if (options_.resume) {
      if (absl::Status status = Resume(); !status.ok()) return status;
    } else if (!folder_->Steps().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(options_.folder,
                       ": holds snapshots of an earlier run; --resume goes on "
                       "from them"));
    }
    return log_->Rewrite(state_);
  }

  absl::Status Resume() {
    std::vector<std::string> torn;
    RunState read;
    const absl::StatusOr<bool> loaded =
        folder_->Load(trainer_.library(), read, trainer_.parameters().data(), &torn);
    for (const std::string& file : torn) {
      observer_.OnWarning(absl::StrCat(file, ": is not whole and is passed over"));
    }
    if (!loaded.ok()) return loaded.status();
    if (!*loaded) return absl::OkStatus();
    const auto check = [&](const char* what, uint64_t expected, uint64_t found) -> absl::Status {
      if (expected == found) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat(folder_->FileOf(read.step), ": the run had ",
                                                     what, " ", expected, ", now it is ", found));
    };
    absl::Status status = check("seed", read.seed, state_.seed);
    if (status.ok()) {
      status = check("items to a step:", static_cast<uint64_t>(read.step_items),
                     static_cast<uint64_t>(state_.step_items));
    }
    if (status.ok()) {
      status = check("items to train with:", static_cast<uint64_t>(read.train_size),
                     static_cast<uint64_t>(state_.train_size));
    }
    if (!status.ok()) return status;
    state_ = std::move(read);
    trainer_.set_steps(state_.step);
    stored_step_ = state_.step;
    observer_.OnResume(state_);
    if (options_.keep_best && state_.best_step >= 0) return LoadBest();
    return absl::OkStatus();
  }

  absl::Status LoadBest() {
    RunState of_best;
    best_.resize(trainer_.parameters().size());
    std::memcpy(best_.data(), trainer_.parameters().data(), best_.size());
    return ReadSnapshot(folder_->FileOf(state_.best_step), trainer_.library(), of_best,
                        best_.data());
  }

  void MakeLoader() {
    loader_ = std::make_unique<BatchLoader>(data_.train, options_.loader, state_.position);
  }

  bool EarlyStopDue() const {
    return options_.early_stop > 0 && state_.tests_since_best >= options_.early_stop;
  }

  absl::Status OneStep() {
    KeepCopy();
    const double rate = trainer_.rate();
    const absl::StatusOr<double> loss = trainer_.Step(*loader_);
    if (!loss.ok()) return loss.status();
    if (!std::isfinite(*loss)) return NotFinite(*loss);
    const int64_t epoch_before = state_.position / data_.train.size();
    ++state_.step;
    state_.position += state_.step_items;
    state_.loss_sum += *loss;
    ++state_.loss_count;
    Smooth(*loss);
    state_.seconds = seconds_before_ + SecondsSince(start_);
    observer_.OnStep(state_, rate);
    const bool last = state_.step == options_.max_steps;
    const bool epoch_ends = state_.position / data_.train.size() != epoch_before;
    const bool test =
        last ||
        (options_.test_interval > 0 ? state_.step % options_.test_interval == 0 : epoch_ends);
    if (test || state_.step % options_.log_interval == 0) {
      if (absl::Status status = AddRow(rate, test); !status.ok()) return status;
    }
    const bool due = options_.snapshot_interval > 0
                         ? state_.step % options_.snapshot_interval == 0 || last ||
                               (options_.keep_best && test && state_.best_step == state_.step)
                         : test;
    const bool asked = RunSignals::TakeSnapshotRequest();
    if (due || asked) StoreSnapshot();
    return absl::OkStatus();
  }

  void Smooth(double loss) {
    if (options_.average_loss == 0) {
      const double before = std::isnan(state_.smoothed_loss) ? loss : state_.smoothed_loss;
      state_.smoothed_loss = before + kSmoothing * (loss - before);
      return;
    }
    recent_.push_back(loss);
    if (static_cast<int64_t>(recent_.size()) > options_.average_loss) recent_.pop_front();
    state_.smoothed_loss =
        std::accumulate(recent_.begin(), recent_.end(), 0.0) / static_cast<double>(recent_.size());
  }

  // A copy of the parameters from which the steps up to a bad one can be repeated.
  void KeepCopy() {
    if (!copy_.empty() && state_.step % kCopyInterval != 0) return;
    const std::span<const char> parameters = trainer_.parameters();
    copy_.assign(parameters.begin(), parameters.end());
    copy_step_ = state_.step;
    copy_position_ = state_.position;
  }

  absl::Status NotFinite(double loss) {
    std::memcpy(trainer_.parameters().data(), copy_.data(), copy_.size());
    trainer_.set_steps(copy_step_);
    LoaderOptions repeat = options_.loader;
    repeat.ahead = 0;
    BatchLoader loader(data_.train, repeat, copy_position_);
    while (trainer_.steps() < state_.step) {
      if (const auto again = trainer_.Step(loader); !again.ok()) return again.status();
    }
    std::string where;
    const int64_t batches = state_.step_items / options_.loader.batch;
    for (int64_t i = 0; i < batches && where.empty(); ++i) {
      const absl::StatusOr<const Batch*> batch = loader.Next();
      if (!batch.ok()) return batch.status();
      where = observer_.Diagnose(trainer_.parameters().data(), **batch, state_.step);
    }
    if (!where.empty()) where = absl::StrCat("; the first tensor that is not finite is ", where);
    return absl::InvalidArgumentError(
        absl::StrCat("the loss is ", loss, " at step ", state_.step + 1, where));
  }

  absl::Status AddRow(double rate, bool test) {
    HistoryRow row;
    row.step = state_.step;
    row.epoch = static_cast<double>(state_.position) / static_cast<double>(data_.train.size());
    row.rate = rate;
    if (state_.loss_count > 0) {
      row.loss = state_.loss_sum / static_cast<double>(state_.loss_count);
    }
    const double seconds = SecondsSince(row_start_);
    if (state_.loss_count > 0)
      row.items_per_second =
          static_cast<double>(state_.loss_count * state_.step_items) / std::max(seconds, 1e-9);
    state_.loss_sum = 0;
    state_.loss_count = 0;
    if (test) {
      absl::StatusOr<Evaluation> found =
          trainer_.Evaluate(data_.test, options_.loader.transform, options_.test_batches);
      if (!found.ok()) return found.status();
      test_ = *std::move(found);
      tested_step_ = state_.step;
      row.test_loss = test_.loss;
      row.test_accuracy = test_.accuracy;
      row.test_top5 = test_.top5;
      Judge();
    }
    state_.seconds = row.seconds = seconds_before_ + SecondsSince(start_);
    row.wall_time = Now();
    row_start_ = Clock::now();
    state_.history.push_back(row);
    observer_.OnRow(state_, test ? &test_ : nullptr);
    if (log_) Tolerate(log_->Append(state_), log_status_);
    return absl::OkStatus();
  }

  // Whether the test just made is the best so far.
  void Judge() {
    const double score = std::isnan(test_.accuracy) ? -test_.loss : test_.accuracy;
    ++state_.tests_since_best;
    if (!std::isnan(state_.best_score) && !(score > state_.best_score)) return;
    state_.best_score = score;
    state_.best_step = state_.step;
    state_.tests_since_best = 0;
    if (!options_.keep_best) return;
    const std::span<const char> parameters = trainer_.parameters();
    best_.assign(parameters.begin(), parameters.end());
  }

  void StoreSnapshot() {
    if (!folder_) return;
    const absl::Status status =
        folder_->Store(state_, trainer_.library(), trainer_.parameters().data());
    Tolerate(status, snapshot_status_);
    if (!status.ok()) return;
    stored_step_ = state_.step;
    observer_.OnSnapshot(state_);
  }

  // A file that cannot be written now may be later: the run goes on. It fails in the end if that
  // does not change.
  void Tolerate(const absl::Status& status, absl::Status& kept) {
    if (!status.ok() && kept.ok()) {
      observer_.OnWarning(absl::StrCat(std::string(status.message()), "; the run goes on"));
    }
    kept = status;
  }

  absl::StatusOr<RunResult> Finish(RunResult::End end) {
    if (stored_step_ != state_.step) StoreSnapshot();
    if (log_ && !log_status_.ok()) log_status_ = log_->Rewrite(state_);
    if (!snapshot_status_.ok()) return snapshot_status_;
    if (!log_status_.ok()) return log_status_;
    RunResult result;
    result.end = end;
    result.signal = end == RunResult::End::kInterrupted ? RunSignals::StopRequested() : 0;
    if (end != RunResult::End::kInterrupted && options_.keep_best && !best_.empty()) {
      std::memcpy(trainer_.parameters().data(), best_.data(), best_.size());
      if (state_.best_step != state_.step) tested_step_ = -1;
    }
    if (end != RunResult::End::kInterrupted && tested_step_ != state_.step) {
      absl::StatusOr<Evaluation> found =
          trainer_.Evaluate(data_.test, options_.loader.transform, options_.test_batches);
      if (!found.ok()) return found.status();
      test_ = *std::move(found);
    }
    result.test = std::move(test_);
    result.state = std::move(state_);
    return result;
  }

  Trainer& trainer_;
  const DatasetSplit& data_;
  RunOptions options_;
  RunObserver& observer_;
  RunState state_;
  std::optional<SnapshotFolder> folder_;
  std::optional<RunLog> log_;
  absl::Status snapshot_status_, log_status_;
  std::unique_ptr<BatchLoader> loader_;
  Evaluation test_;
  int64_t tested_step_ = -1;
  int64_t stored_step_ = -1;
  std::deque<double> recent_;  // losses, where the smoothed one is a mean
  std::vector<char> best_;     // the parameters of the best test
  std::vector<char> copy_;     // those of some steps ago
  int64_t copy_step_ = 0, copy_position_ = 0;
  double seconds_before_ = 0;
  Clock::time_point start_, row_start_;
};

}  // namespace

absl::StatusOr<RunResult> RunTraining(Trainer& trainer, const DatasetSplit& data,
                                      const RunOptions& options, RunObserver& observer) {
  return Run(trainer, data, options, observer).Go();
}

}  // namespace kiln
