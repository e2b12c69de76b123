// put_stage_test.cc: payloads leave the stage as they came, in order, compressed where it pays, and
// never more than its batches hold. Thread: one (InlineBackend).
//
#include "store/put_stage.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/random.h"
#include "io/inline_backend.h"
#include "io/memory_device.h"

namespace flash::store {
namespace {

class PutStageTest : public testing::Test {
 protected:
  PutStageTest()
      : backend_(std::make_unique<io::MemoryDevice>(std::make_shared<io::MemoryFile>(kMiB),
                                                    io::MemoryDevice::Options{}),
                 &clock_, TwoTasks()) {}

  static io::InlineBackend::Options TwoTasks() {
    io::InlineBackend::Options options;
    options.background_max = 2;
    return options;
  }
  static std::vector<std::byte> Payload(size_t bytes, int value) {
    return std::vector<std::byte>(bytes, static_cast<std::byte>(value));
  }

  /// A read of somebody's, to its end, and no more than that needs.
  void Read() {
    struct Task : io::Task {
      bool ended = false;
    } read;
    read.kind = io::Task::Kind::kRead;
    read.bytes = 512;
    read.done = [](io::Task& task) noexcept { static_cast<Task&>(task).ended = true; };
    EXPECT_TRUE(backend_.Submit(&read));
    for (int i = 0; i < 100 && !read.ended; ++i) backend_.Reap(1);
    EXPECT_TRUE(read.ended);
  }

  base::ManualClock clock_;
  io::InlineBackend backend_;
};

TEST_F(PutStageTest, NothingIsReadyBeforeItWasShippedAndCompressed) {
  PutStage stage({}, &backend_);
  ASSERT_TRUE(stage.Add(1, 10, Payload(500, 1)));
  EXPECT_EQ(stage.Front(), nullptr);
  EXPECT_TRUE(stage.HasUnshipped());
  EXPECT_TRUE(stage.Ship());
  EXPECT_EQ(stage.Front(), nullptr);
  EXPECT_EQ(stage.tasks_inflight(), 1u);
  backend_.Reap(10);
  const PutStage::Staged* front = stage.Front();
  ASSERT_NE(front, nullptr);
  EXPECT_EQ(front->ticket, 10u);
  EXPECT_TRUE(front->header.compressed());
  stage.Pop();
  EXPECT_EQ(stage.Front(), nullptr);
  EXPECT_EQ(stage.pending_bytes(), 0u);
  EXPECT_EQ(stage.added(), stage.popped());
}

TEST_F(PutStageTest, WithoutCompressionNoTaskIsNeeded) {
  PutStage stage({.compress = false}, &backend_);
  const auto payload = Payload(500, 1);
  ASSERT_TRUE(stage.Add(1, 10, payload));
  EXPECT_FALSE(stage.Ship());
  const PutStage::Staged* front = stage.Front();
  ASSERT_NE(front, nullptr);
  EXPECT_FALSE(front->header.compressed());
  EXPECT_TRUE(std::equal(payload.begin(), payload.end(), front->stored));
  stage.Pop();
}

TEST_F(PutStageTest, RecordsLeaveInTheOrderTheyCame) {
  PutStage stage({.batches = 4, .ship_records = 3}, &backend_);
  for (uint32_t ticket = 1; ticket <= 10; ++ticket) {
    ASSERT_TRUE(stage.Add(ticket, ticket, Payload(100, static_cast<int>(ticket))));
  }
  uint32_t expected = 1;
  for (int turn = 0; turn < 10; ++turn) {
    (void)stage.Ship();  // The backend takes two tasks at a time.
    backend_.Reap(1);
    for (; const PutStage::Staged* front = stage.Front(); stage.Pop()) {
      EXPECT_EQ(front->ticket, expected++);
    }
  }
  EXPECT_EQ(expected, 11u);
}

TEST_F(PutStageTest, FullIsBusyUntilABatchComesBack) {
  PutStage stage({.batches = 2, .ship_records = 2}, &backend_);
  for (uint32_t ticket = 1; ticket <= 4; ++ticket) {
    ASSERT_TRUE(stage.Add(ticket, ticket, Payload(100, 1)));
  }
  EXPECT_EQ(stage.Add(5, 5, Payload(100, 1)).code(), Code::kBusy);
  backend_.Reap(10);
  stage.Pop();
  EXPECT_EQ(stage.Add(5, 5, Payload(100, 1)).code(), Code::kBusy);
  stage.Pop();
  EXPECT_TRUE(stage.Add(5, 5, Payload(100, 1)));
}

TEST_F(PutStageTest, ALargePayloadGetsABatchOfItsOwn) {
  PutStage stage({.batches = 2, .ship_bytes = 1000, .payload_bytes_max = 102'400}, &backend_);
  ASSERT_TRUE(stage.Add(1, 1, Payload(500, 1)));
  ASSERT_TRUE(stage.Add(2, 2, Payload(102'400, 2)));
  EXPECT_EQ(stage.tasks_inflight(), 2u);
  while (stage.tasks_inflight() > 0) backend_.Reap(10);
  EXPECT_EQ(stage.Front()->header.raw_bytes, 500u);
  stage.Pop();
  EXPECT_EQ(stage.Front()->header.raw_bytes, 102'400u);
}

// The clock stands still here, so only the size of its pieces ends a batch's turn.
TEST_F(PutStageTest, ReadsAreServedBetweenPiecesOfABatch) {
  for (const size_t payload_bytes : {1000, 40'000, 65'536, 262'144}) {
    PutStage stage({}, &backend_);
    size_t bytes = 0;
    for (uint32_t ticket = 1; bytes + payload_bytes <= 256 * kKiB; ++ticket) {
      ASSERT_TRUE(stage.Add(ticket, ticket, Payload(payload_bytes, 1)));
      bytes += payload_bytes;
    }
    (void)stage.Ship();
    ASSERT_EQ(stage.tasks_inflight(), 1u);
    const size_t pieces_min = base::AlignUp(bytes, PutStage::kPieceBytes) / PutStage::kPieceBytes;
    size_t pieces = 0;
    for (; stage.tasks_inflight() > 0; ++pieces) {
      Read();
      ASSERT_LT(pieces, 2 * pieces_min);
    }
    EXPECT_GE(pieces, pieces_min) << "payloads of " << payload_bytes;
    for (; stage.Front() != nullptr; stage.Pop()) EXPECT_TRUE(stage.Front()->header.compressed());
    EXPECT_EQ(stage.popped(), stage.added());
  }
}

TEST_F(PutStageTest, ABatchThatIsUsedAgainBeginsAnew) {
  PutStage stage({.batches = 1}, &backend_);
  for (int round = 1; round <= 3; ++round) {
    const auto small = Payload(500, round);
    const auto large = Payload(200'000, 10 + round);
    ASSERT_TRUE(stage.Add(1, 1, small));
    ASSERT_TRUE(stage.Add(2, 2, large));
    (void)stage.Ship();
    while (stage.tasks_inflight() > 0) backend_.Reap(1);
    for (const auto* payload : {&small, &large}) {
      const PutStage::Staged* front = stage.Front();
      ASSERT_NE(front, nullptr);
      ASSERT_TRUE(front->header.compressed());
      std::vector<std::byte> raw(payload->size());
      ASSERT_TRUE(UnpackPayload(front->header, front->stored, raw.data()));
      EXPECT_EQ(raw, *payload);
      stage.Pop();
    }
  }
}

/// Where what is late goes, and when it was said to be there.
struct LateTarget {
  explicit LateTarget(size_t bytes) : memory(bytes) {}
  PutStage::Options Options() {
    return {.copied = [this](const LatePayload& late) { ended.push_back(late.to); }};
  }
  /// Takes out the front, to be copied to the next bytes of the memory.
  void PopLate(PutStage& stage) {
    const PutStage::Staged* front = stage.Front();
    ASSERT_NE(front, nullptr);
    std::byte* const to = memory.data() + used;
    used += front->header.stored_bytes;
    places.push_back(to);
    stage.PopLate({.from = front->stored, .to = to, .bytes = front->header.stored_bytes});
  }
  std::vector<std::byte> memory;
  size_t used = 0;
  std::vector<std::byte*> places, ended;
};

std::vector<std::byte> Noise(base::Random& random, size_t bytes) {
  std::vector<std::byte> noise(bytes);
  for (auto& byte : noise) byte = static_cast<std::byte>(random.Next());
  return noise;
}

TEST_F(PutStageTest, WhatIsLateIsCopiedByATaskWhenTheBatchIsOut) {
  base::Random random(3);
  const std::vector<std::byte> first = Noise(random, 200'000);
  const std::vector<std::byte> second = Noise(random, 800'000);
  LateTarget target(kMiB);
  PutStage stage(target.Options(), &backend_);
  ASSERT_TRUE(stage.Add(1, 1, first));
  ASSERT_TRUE(stage.Add(2, 2, second));
  while (stage.tasks_inflight() > 0) backend_.Reap(10);
  target.PopLate(stage);
  EXPECT_FALSE(stage.TakeSubmitted()) << "another record is to come";
  target.PopLate(stage);
  EXPECT_TRUE(stage.TakeSubmitted());
  EXPECT_EQ(stage.copies_inflight(), 1u);
  Read();
  EXPECT_TRUE(target.ended.empty()) << "a read goes before the rest";
  while (stage.tasks_inflight() > 0) backend_.Reap(10);
  EXPECT_EQ(target.ended, target.places);
  EXPECT_EQ(std::memcmp(target.memory.data(), first.data(), first.size()), 0);
  EXPECT_EQ(std::memcmp(target.memory.data() + first.size(), second.data(), second.size()), 0);
  EXPECT_EQ(stage.copies_inflight(), 0u);
}

TEST_F(PutStageTest, LittleThatIsLateIsCopiedAtOnce) {
  base::Random random(4);
  const std::vector<std::byte> payload = Noise(random, 20'000);
  LateTarget target(kMiB);
  PutStage stage(target.Options(), &backend_);
  ASSERT_TRUE(stage.Add(1, 1, payload));
  stage.Ship();
  backend_.Reap(10);
  target.PopLate(stage);
  EXPECT_EQ(stage.tasks_inflight(), 0u);
  EXPECT_FALSE(stage.TakeSubmitted());
  EXPECT_EQ(target.ended, target.places);
  EXPECT_EQ(std::memcmp(target.memory.data(), payload.data(), payload.size()), 0);
}

TEST_F(PutStageTest, WhoCannotGoOnHasItCopiedNow) {
  base::Random random(5);
  const std::vector<std::byte> payload = Noise(random, 100'000);
  LateTarget target(kMiB);
  PutStage stage(target.Options(), &backend_);
  for (BlockId id = 1; id <= 2; ++id) ASSERT_TRUE(stage.Add(id, 1, payload));
  stage.Ship();
  while (stage.tasks_inflight() > 0) backend_.Reap(10);
  target.PopLate(stage);
  EXPECT_TRUE(target.ended.empty());
  stage.CopyNow();
  EXPECT_EQ(target.ended, target.places);
  EXPECT_EQ(std::memcmp(target.memory.data(), payload.data(), payload.size()), 0);
  target.PopLate(stage);  // The last: what is left is a task's.
  EXPECT_EQ(stage.copies_inflight(), 1u);
  while (stage.tasks_inflight() > 0) backend_.Reap(10);
  EXPECT_EQ(target.ended, target.places);
}

}  // namespace
}  // namespace flash::store
