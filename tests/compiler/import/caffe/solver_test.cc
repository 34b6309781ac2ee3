#include "compiler/import/caffe/solver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

StatusOr<CaffeSolver> Parsed(const std::string& text) {
  return ParseCaffeSolver({text.data(), text.size()});
}

TEST(CaffeSolver, HasTheDefaultsOfCaffe) {
  const auto solver = Parsed("base_lr: 0.5");
  ASSERT_TRUE(solver.ok()) << solver.status();
  EXPECT_EQ(solver->solver.kind, SolverKind::kSgd);
  EXPECT_EQ(solver->solver.momentum, 0);
  EXPECT_EQ(solver->solver.iter_size, 1);
  EXPECT_EQ(solver->solver.clip_norm, 0);
  EXPECT_EQ(solver->solver.regularization, Regularization::kL2);
  EXPECT_EQ(solver->rate.kind, RateKind::kFixed);
  EXPECT_EQ(solver->rate.base, 0.5);
  EXPECT_TRUE(solver->test_initialization);
  EXPECT_EQ(solver->average_loss, 1);
  EXPECT_FALSE(solver->seed);
}

TEST(CaffeSolver, ReadsEveryField) {
  const auto solver = Parsed(R"(
    net: "a.prototxt" test_iter: 100 test_interval: 500 test_initialization: false
    base_lr: 0.25 lr_policy: "poly" power: 0.5 gamma: 0.125 stepsize: 7 max_iter: 1000
    momentum: 0.5 momentum2: 0.75 rms_decay: 0.25 delta: 0.5 weight_decay: 0.125
    regularization_type: "L1" clip_gradients: 10 iter_size: 4 type: "AdaDelta"
    display: 20 average_loss: 40 snapshot: 5000 snapshot_prefix: "p" random_seed: 3
    weights: "a.caffemodel,b.caffemodel" solver_mode: CPU device_id: 2 debug_info: true
    snapshot_format: HDF5 snapshot_after_train: false)");
  ASSERT_TRUE(solver.ok()) << solver.status();
  EXPECT_EQ(solver->net, "a.prototxt");
  EXPECT_EQ(solver->test_iterations, 100);
  EXPECT_EQ(solver->test_interval, 500);
  EXPECT_FALSE(solver->test_initialization);
  EXPECT_EQ(solver->rate.kind, RateKind::kPoly);
  EXPECT_EQ(solver->rate.power, 0.5);
  EXPECT_EQ(solver->rate.max_iterations, 1000);
  EXPECT_EQ(solver->solver.kind, SolverKind::kAdaDelta);
  EXPECT_EQ(solver->solver.momentum, 0.5);
  EXPECT_EQ(solver->solver.momentum2, 0.75);
  EXPECT_EQ(solver->solver.rms_decay, 0.25);
  EXPECT_EQ(solver->solver.delta, 0.5);
  EXPECT_EQ(solver->solver.weight_decay, 0.125);
  EXPECT_EQ(solver->solver.regularization, Regularization::kL1);
  EXPECT_EQ(solver->solver.clip_norm, 10);
  EXPECT_EQ(solver->solver.iter_size, 4);
  EXPECT_EQ(solver->display, 20);
  EXPECT_EQ(solver->average_loss, 40);
  EXPECT_EQ(solver->snapshot, 5000);
  EXPECT_EQ(solver->seed, 3u);
  EXPECT_THAT(solver->weights, ElementsAre("a.caffemodel", "b.caffemodel"));
  const auto steps = Parsed(
      "base_lr: 1 lr_policy: \"multistep\" stepvalue: 10 stepvalue: 20 solver_type: NESTEROV");
  ASSERT_TRUE(steps.ok()) << steps.status();
  EXPECT_THAT(steps->rate.step_values, ElementsAre(10, 20));
  EXPECT_EQ(steps->solver.kind, SolverKind::kNesterov);
}

TEST(CaffeSolver, RefusesWhatItCannotDo) {
  const auto message = [](const std::string& text) { return Message(Parsed(text).status()); };
  EXPECT_THAT(message("base_lr: 1 net_param { name: \"x\" }"), HasSubstr("a net inside"));
  EXPECT_THAT(message("base_lr: 1 test_iter: 1 test_iter: 2"), HasSubstr("more than one net"));
  EXPECT_THAT(message("base_lr: 1 max_iter: -1"), HasSubstr("max_iter must be at least 0"));
  EXPECT_THAT(message("base_lr: 1 test_iter: 0"), HasSubstr("test_iter must be at least 1"));
  EXPECT_THAT(message("base_lr: 1 train_state { stage: \"s\" }"), HasSubstr("stages or levels"));
  EXPECT_THAT(message("base_lr: 1 type: \"SGD\" solver_type: ADAM"), HasSubstr("both type and"));
  EXPECT_THAT(message("base_lr: 1 stepvalue: 5 stepvalue: 3"), HasSubstr("must increase"));
}

}  // namespace
}  // namespace kiln
