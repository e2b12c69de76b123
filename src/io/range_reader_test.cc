// range_reader_test.cc: batches come back whole and in order over a device that errs, and one that
// hangs is given up.
// Thread: one.
#include "io/range_reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>

#include "base/random.h"
#include "io/faulty_device.h"
#include "io/memory_device.h"

namespace flash::io {
namespace {

constexpr uint32_t kAlignment = 512;
constexpr uint64_t kFileBytes = 4 * kMiB;

/// Moves with every look, so that waiting ends.
class WalkingClock final : public base::Clock {
 public:
  [[nodiscard]] uint64_t NowUs() const override { return now_us_ += 1000; }

 private:
  mutable uint64_t now_us_ = 0;
};

class RangeReaderTest : public ::testing::Test {
 protected:
  void Open(const FaultPlan& plan, uint32_t entries = 8) {
    base::Random random(1);
    content_.resize(kFileBytes);
    for (std::byte& byte : content_) byte = static_cast<std::byte>(random.Next());
    file_ = std::make_shared<MemoryFile>(kFileBytes);
    ASSERT_EQ(file_->WriteAt(0, content_), kFileBytes);
    injector_ = std::make_shared<FaultInjector>(plan);
    auto device = std::make_unique<FaultyDevice>(
        std::make_unique<MemoryDevice>(
            file_, MemoryDevice::Options{.entries = entries, .alignment = kAlignment}),
        injector_);
    reader_ = std::make_unique<RangeReader>(RangeReader::Options{.timeout_us = 50'000},
                                            std::move(device), &clock_);
  }
  struct Started {
    uint64_t offset = 0;
    std::vector<std::byte> memory;
    MutableBytes bytes;  // The aligned part of it.
  };
  /// Starts `count` reads of a few blocks each, `stride` blocks apart.
  void Start(size_t count, uint64_t first, uint64_t stride) {
    auto& batch = started_.emplace_back(count);
    std::vector<RangeReader::Range> ranges;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t bytes = kAlignment * (1 + i % 5);
      batch[i].offset = (first + i * stride) * kAlignment;
      batch[i].memory.resize(bytes + kAlignment);
      const auto address = reinterpret_cast<uintptr_t>(batch[i].memory.data());
      batch[i].bytes = MutableBytes(batch[i].memory)
                           .subspan(base::AlignUp(address, kAlignment) - address, bytes);
      ranges.push_back({batch[i].offset, batch[i].bytes});
    }
    reader_->Start(ranges);
  }
  void FinishAndCompare() {
    ASSERT_TRUE(reader_->Finish());
    for (const Started& read : started_.front()) {
      ASSERT_EQ(std::memcmp(read.bytes.data(), content_.data() + read.offset, read.bytes.size()), 0)
          << read.offset;
    }
    started_.pop_front();
  }

  std::vector<std::byte> content_;
  std::shared_ptr<MemoryFile> file_;
  std::shared_ptr<FaultInjector> injector_;
  WalkingClock clock_;
  std::deque<std::vector<Started>> started_;
  std::unique_ptr<RangeReader> reader_;
};

TEST_F(RangeReaderTest, TwoBatchesLargerThanTheQueue) {
  Open({});
  Start(50, 0, 7);
  Start(40, 100, 11);
  FinishAndCompare();
  Start(3, 1000, 1);
  FinishAndCompare();
  FinishAndCompare();
  EXPECT_EQ(reader_->batches(), 0u);
}

TEST_F(RangeReaderTest, AnEmptyBatchIsFinished) {
  Open({});
  reader_->Start({});
  EXPECT_TRUE(reader_->Finish());
}

TEST_F(RangeReaderTest, ShortSlowAndReorderedReadsAreCompleted) {
  FaultPlan plan;
  plan.Rate(Fault::kShort, 300'000).Rate(Fault::kSlow, 300'000).Rate(Fault::kReordered, 200'000);
  Open(plan);
  for (int round = 0; round < 5; ++round) {
    Start(30, static_cast<uint64_t>(round) * 3, 13);
    Start(30, static_cast<uint64_t>(round) * 5, 17);
    FinishAndCompare();
    FinishAndCompare();
  }
  EXPECT_GT(injector_->count(Fault::kShort), 0u);
}

TEST_F(RangeReaderTest, AnErrorFailsItsBatchAlone) {
  Open({});
  injector_->Script(
      {.fault = Fault::kError, .offset_from = 20 * kAlignment, .offset_to = 21 * kAlignment});
  Start(5, 18, 1);
  Start(5, 500, 1);
  const Result<void> failed = reader_->Finish();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.code(), Code::kIo);
  started_.pop_front();
  FinishAndCompare();
}

TEST_F(RangeReaderTest, TheEndOfTheFileIsAnError) {
  Open({});
  Start(2, kFileBytes / kAlignment - 1, 1);
  EXPECT_EQ(reader_->Finish().code(), Code::kIo);
}

TEST_F(RangeReaderTest, ADeviceThatHangsIsGivenUp) {
  Open({});
  injector_->HangAll();
  Start(4, 0, 1);
  EXPECT_EQ(reader_->Finish().code(), Code::kTimeout);
  EXPECT_TRUE(reader_->hung());
  Start(4, 50, 1);
  EXPECT_EQ(reader_->Finish().code(), Code::kTimeout);
  injector_->Release();
}

}  // namespace
}  // namespace flash::io
