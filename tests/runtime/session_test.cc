#include "runtime/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "runtime/library.h"
#include "runtime/profile.h"
#include "runtime/threads/thread_pool.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

HostTensor Floats(std::vector<int64_t> shape, const std::vector<float>& values) {
  HostTensor tensor{KILN_F32, std::move(shape), std::vector<char>(values.size() * 4)};
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

std::vector<float> Values(const HostTensor& tensor) {
  const float* data = tensor.data<float>();
  return std::vector<float>(data, data + tensor.bytes.size() / 4);
}

// A function made by hand: y[i] = x[i] + 1, by way of the workspace, which must be aligned.
constexpr int64_t kShape[] = {4};
constexpr kiln_tensor_info kX = {"x", KILN_F32, 1, kShape, 16};
constexpr kiln_tensor_info kY = {"y", KILN_F32, 1, kShape, 16};

int32_t AddOne(const kiln_call* call) {
  if (reinterpret_cast<uintptr_t>(call->workspace) % 4096 != 0) return 7;
  float* scratch = static_cast<float*>(call->workspace);
  for (int i = 0; i < 4; ++i) scratch[i] = static_cast<const float*>(call->inputs[0])[i] + 1;
  std::memcpy(call->outputs[0], scratch, 16);
  return 0;
}

kiln_function_info AddOneInfo() {
  return {"add_one", 1, &kX, 1, &kY, 16, 4096, AddOne, 0, nullptr};
}

class LibrarySession : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::shared_ptr<const Library>> library = Library::Open(KILN_TEST_LIBRARY);
    ASSERT_TRUE(library.ok()) << library.status();
    library_ = *library;
    function_ = *library_->Function("forward");
  }

  Session MakeSession(SessionOptions options = {}) {
    options.owner = library_;
    return *Session::Create(function_, options);
  }

  std::shared_ptr<const Library> library_;
  const kiln_function_info* function_ = nullptr;
  const std::vector<HostTensor> inputs_ = {Floats({2, 3}, {1, 2, 3, 4, 5, 6}), Floats({}, {0.5})};
};

TEST_F(LibrarySession, Runs) {
  Session session = MakeSession();
  for (int round = 0; round < 2; ++round) {
    const absl::StatusOr<std::vector<HostTensor>> outputs = session.Run(inputs_);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    ASSERT_EQ(outputs->size(), 1u);
    EXPECT_EQ(outputs->front().dtype, KILN_F32);
    EXPECT_THAT(outputs->front().shape, ElementsAre(2, 3));
    EXPECT_THAT(Values(outputs->front()), ElementsAre(12.5, 14.5, 16.5, 18.5, 20.5, 22.5));
  }
}

TEST_F(LibrarySession, OutlivesTheCallersHandle) {
  Session session = MakeSession();
  library_.reset();
  EXPECT_TRUE(session.Run(inputs_).ok());
}

TEST_F(LibrarySession, TakesOtherParameters) {
  alignas(64) const float parameter = 100;
  Session session = MakeSession({.executor = nullptr, .parameters = &parameter, .owner = nullptr});
  EXPECT_EQ(Values(session.Run(inputs_)->front()).front(), 102.5f);
}

TEST_F(LibrarySession, SessionsOnSeveralThreadsShareAPool) {
  ThreadPool pool(2);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      Session session = MakeSession({.executor = pool.executor()});
      for (int round = 0; round < 100; ++round) {
        const absl::StatusOr<std::vector<HostTensor>> outputs = session.Run(inputs_);
        ASSERT_TRUE(outputs.ok());
        ASSERT_EQ(Values(outputs->front()).back(), 22.5f);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(LibrarySession, ProfilesByStep) {
  ThreadPool pool(2);
  for (const kiln_executor* inner : {pool.executor(), static_cast<const kiln_executor*>(nullptr)}) {
    ProfilingExecutor profile(inner);
    EXPECT_EQ(profile.executor()->threads, inner == nullptr ? 1 : 2);
    Session session = MakeSession({.executor = profile.executor()});
    for (int round = 0; round < 3; ++round) {
      profile.StartRun();
      ASSERT_TRUE(session.Run(inputs_).ok());
    }
    ASSERT_EQ(profile.runs().size(), 3u);
    EXPECT_EQ(profile.runs()[2].size(), 2u);
    const std::vector<StepTime> steps = StepTimes(*function_, profile);
    ASSERT_EQ(steps.size(), 2u);
    EXPECT_EQ(steps[0].kernel, "double");
    EXPECT_EQ(steps[1].sources, "bias,p");
    EXPECT_EQ(steps[1].flops, 12);
    EXPECT_GT(steps[0].ns, 0);
  }
}

TEST_F(LibrarySession, NamesTheWrongInput) {
  Session session = MakeSession();
  const auto message = [&](const std::vector<HostTensor>& inputs) {
    return std::string(session.Run(inputs).status().message());
  };
  EXPECT_EQ(message({inputs_[0]}), "expected 2 inputs ('x' f32[2,3], 'bias' f32[]), found 1");
  EXPECT_EQ(message({Floats({3, 2}, {1, 2, 3, 4, 5, 6}), inputs_[1]}),
            "input 'x': expected f32[2,3], found f32[3,2]");
  HostTensor ints = inputs_[1];
  ints.dtype = KILN_I32;
  EXPECT_EQ(message({inputs_[0], ints}), "input 'bias': expected f32[], found i32[]");
  HostTensor cut = inputs_[0];
  cut.bytes.resize(20);
  EXPECT_EQ(message({cut, inputs_[1]}), "input 'x': f32[2,3] takes 24 bytes, found 20");
}

TEST(SessionTest, RunsAFunctionMadeByHand) {
  const kiln_function_info info = AddOneInfo();
  absl::StatusOr<Session> session = Session::Create(&info);
  ASSERT_TRUE(session.ok()) << session.status();
  const std::vector<HostTensor> inputs = {Floats({4}, {1, 2, 3, 4})};
  const absl::StatusOr<std::vector<HostTensor>> outputs = session->Run(inputs);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(Values(outputs->front()), ElementsAre(2, 3, 4, 5));
}

TEST(SessionTest, ReportsAFailingFunction) {
  kiln_function_info info = AddOneInfo();
  info.run = [](const kiln_call*) { return int32_t{7}; };
  absl::StatusOr<Session> session = Session::Create(&info);
  const std::vector<HostTensor> inputs = {Floats({4}, {1, 2, 3, 4})};
  EXPECT_EQ(session->Run(inputs).status().message(), "function 'add_one' failed with code 7");
}

TEST(SessionTest, LargeWorkspacesAreAligned) {
  kiln_function_info info = AddOneInfo();
  info.workspace_bytes = uint64_t{5} << 20;
  info.run = [](const kiln_call* call) {
    const bool aligned = reinterpret_cast<uintptr_t>(call->workspace) % (1 << 21) == 0;
    std::memset(call->workspace, 1, 5 << 20);
    return aligned ? 0 : 1;
  };
  absl::StatusOr<Session> session = Session::Create(&info);
  const std::vector<HostTensor> inputs = {Floats({4}, {1, 2, 3, 4})};
  EXPECT_TRUE(session->Run(inputs).ok());
}

TEST(SessionTest, ImpossibleWorkspacesAreRefused) {
  kiln_function_info info = AddOneInfo();
  for (const uint64_t bytes : {uint64_t{1} << 60, ~uint64_t{0}}) {
    info.workspace_bytes = bytes;
    const absl::Status status = Session::Create(&info).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("no memory for a workspace of"));
  }
}

TEST(SessionTest, ChecksTheTables) {
  const auto message = [](const kiln_function_info& info) {
    return std::string(Session::Create(&info).status().message());
  };
  kiln_function_info info = AddOneInfo();
  info.workspace_alignment = 48;
  EXPECT_EQ(message(info), "function 'add_one': bad workspace alignment 48");
  info = AddOneInfo();
  info.run = nullptr;
  EXPECT_EQ(message(info), "function 'add_one' has no code");
  info = AddOneInfo();
  info.inputs = nullptr;
  EXPECT_EQ(message(info), "function 'add_one': table of inputs is missing");
  info = AddOneInfo();
  kiln_tensor_info wrong = kX;
  wrong.bytes = 17;
  info.inputs = &wrong;
  EXPECT_EQ(message(info), "function 'add_one': input 0: size and shape differ");
  wrong = kX;
  wrong.dtype = 13;
  EXPECT_EQ(message(info), "function 'add_one': input 0: no such dtype: 13");
  wrong = kX;
  wrong.shape = nullptr;
  EXPECT_EQ(message(info), "function 'add_one': input 0 has no shape");
}

}  // namespace
}  // namespace kiln
