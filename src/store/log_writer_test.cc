// log_writer_test.cc: where records and chunks go, and what becomes of a chunk whose write fails.
// Thread: one (InlineBackend).
//
#include "store/log_writer.h"

#include <gtest/gtest.h>

#include "io/fault_injector.h"
#include "io/faulty_device.h"
#include "store/store_test_support.h"
#include "tests/support/memory_map.h"

namespace flash::store {
namespace {

class LogWriterTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kSegmentBytes = 64 * kKiB;
  static constexpr uint32_t kBufferBytes = 16 * kKiB;

  LogWriterTest()
      : injector_(std::make_shared<io::FaultInjector>(io::FaultPlan{})),
        backend_(std::make_unique<io::FaultyDevice>(
                     std::make_unique<io::MemoryDevice>(
                         std::make_shared<io::MemoryFile>(16 * kSegmentBytes),
                         io::MemoryDevice::Options{}),
                     injector_),
                 &clock_, {}),
        table_({.capacity_bytes = 16 * kSegmentBytes, .segment_bytes = kSegmentBytes}),
        writer_({.buffers_per_stream = 2, .buffer_bytes = kBufferBytes}, &table_, &backend_,
                &clock_, &owner_) {}

  AppendStatus Append(BlockId id, uint32_t payload_bytes, Place* place,
                      StreamKind kind = StreamKind::kFresh) {
    const Payload payload(payload_bytes, static_cast<std::byte>(id));
    const AppendStatus status = writer_.stream(kind).Append(
        MakeHeader(id, false, payload_bytes, payload_bytes), payload.data(), place);
    if (status == AppendStatus::kOk) {
      owner_.blocks[id] = {.payload = payload, .place = *place, .stored = true};
    }
    return status;
  }

  std::shared_ptr<io::FaultInjector> injector_;
  base::ManualClock clock_;
  ModelOwner owner_;
  io::InlineBackend backend_;
  SegmentTable table_;
  LogWriter writer_;
};

TEST_F(LogWriterTest, RecordsOfAChunkLieBackToBackBehindTheSuperblock) {
  Place first, second;
  ASSERT_EQ(Append(1, 100, &first), AppendStatus::kOk);
  ASSERT_EQ(Append(2, 100, &second), AppendStatus::kOk);
  EXPECT_EQ(first.offset(), 4096u);
  EXPECT_EQ(first.bytes(), 128u);
  EXPECT_EQ(second.offset(), 4096u + 128u);
}

TEST_F(LogWriterTest, TheNextChunkBeginsAtTheAlignment) {
  Place first, second;
  ASSERT_EQ(Append(1, 100, &first), AppendStatus::kOk);
  writer_.stream(StreamKind::kFresh).CloseFilling();
  ASSERT_EQ(Append(2, 100, &second), AppendStatus::kOk);
  EXPECT_EQ(second.offset(), 4096u + 512u);
  writer_.Pump();
  backend_.Reap(10);
  EXPECT_EQ(writer_.Find(first), nullptr);
  EXPECT_NE(writer_.Find(second), nullptr);
  EXPECT_EQ(writer_.counters().bytes_submitted, 512u);
  writer_.CheckInvariants();
}

TEST_F(LogWriterTest, BuffersOfAStreamLieSideBySideInHugePagesThatAChildGets) {
  const LogWriter writer({.buffers_per_stream = 4, .buffer_bytes = kRecordBytesMax}, &table_,
                         &backend_, &clock_, &owner_);
  EXPECT_EQ(writer.buffer_bytes(), 8 * uint64_t{kRecordBytesMax});
  for (const StreamKind kind : {StreamKind::kFresh, StreamKind::kSurvivor}) {
    const auto& buffers = writer.stream(kind).buffers();
    for (size_t i = 0; i < buffers.size(); ++i) {
      EXPECT_EQ(buffers[i]->data, buffers[0]->data + i * kRecordBytesMax);
    }
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffers[0]->data) % base::kHugePageBytes, 0U);
    const auto facts = testing::FactsOf(buffers[3]->data);
    EXPECT_FALSE(facts.Has("dc"));
    EXPECT_EQ(facts.Has("hg"), testing::HaveHugePages());
  }
}

TEST_F(LogWriterTest, AChunkIsNotWrittenBeforeWhatIsLateIsInIt) {
  WriteStream& fresh = writer_.stream(StreamKind::kFresh);
  const Payload first(100, std::byte{1}), second(5000, std::byte{2}), third(5000, std::byte{3});
  const auto header = [](BlockId id, const Payload& payload) {
    const auto bytes = static_cast<uint32_t>(payload.size());
    return MakeHeader(id, false, bytes, bytes);
  };
  Place place, late_place, gone;
  LatePayload late, rolled_back;
  ASSERT_EQ(fresh.Append(header(1, first), first.data(), &place), AppendStatus::kOk);
  ASSERT_EQ(fresh.AppendLate(header(2, second), second.data(), &late_place, &late),
            AppendStatus::kOk);
  ASSERT_EQ(fresh.AppendLate(header(3, third), third.data(), &gone, &rolled_back),
            AppendStatus::kOk);
  fresh.RollBack(gone);
  const WriteBuffer* buffer = writer_.Find(late_place);
  ASSERT_NE(buffer, nullptr);
  EXPECT_EQ(buffer->PayloadAt(late_place.offset()), second.data());
  EXPECT_NE(buffer->PayloadAt(place.offset()), first.data());
  EXPECT_EQ(ReadHeader(buffer->HeaderAt(late_place.offset()))->id(), 2u);
  fresh.CloseFilling();
  EXPECT_FALSE(writer_.WantsPump());
  writer_.Pump();
  EXPECT_EQ(backend_.inflight(), 0u);
  EXPECT_TRUE(writer_.CanProgress());
  writer_.CheckInvariants();
  std::memcpy(late.to, late.from, late.bytes);
  fresh.EndLate(late);
  EXPECT_EQ(buffer->PayloadAt(late_place.offset()), late.to);
  EXPECT_TRUE(writer_.WantsPump());
  writer_.Pump();
  EXPECT_EQ(backend_.inflight(), 1u);
  backend_.Reap(10);
  EXPECT_EQ(writer_.Find(late_place), nullptr);
  writer_.CheckInvariants();
}

TEST_F(LogWriterTest, StreamsUseSegmentsOfTheirOwn) {
  Place fresh, survivor;
  ASSERT_EQ(Append(1, 100, &fresh), AppendStatus::kOk);
  ASSERT_EQ(Append(2, 100, &survivor, StreamKind::kSurvivor), AppendStatus::kOk);
  EXPECT_NE(table_.SegmentOf(fresh.offset()), table_.SegmentOf(survivor.offset()));
}

TEST_F(LogWriterTest, ARolledBackRecordLeavesNoTrace) {
  Place first, second, third;
  ASSERT_EQ(Append(1, 100, &first), AppendStatus::kOk);
  ASSERT_EQ(Append(2, 1000, &second), AppendStatus::kOk);
  writer_.stream(StreamKind::kFresh).RollBack(second);
  ASSERT_EQ(Append(3, 50, &third), AppendStatus::kOk);
  EXPECT_EQ(third.offset(), second.offset());
  EXPECT_EQ(table_.totals().live * kUnitBytes, first.bytes() + third.bytes());
}

TEST_F(LogWriterTest, WithAllBuffersOnTheirWayThereIsNone) {
  Place place;
  BlockId id = 1;
  while (Append(id, 4000, &place) == AppendStatus::kOk) ++id;
  EXPECT_EQ(id - 1, 2 * (kBufferBytes / 4032));
  EXPECT_EQ(Append(id, 4000, &place), AppendStatus::kNoBuffer);
  writer_.Pump();
  backend_.Reap(10);
  EXPECT_EQ(Append(id, 4000, &place), AppendStatus::kOk);
}

TEST_F(LogWriterTest, FreshRecordsLeaveTheReserveToSurvivors) {
  Place place;
  BlockId id = 1;
  AppendStatus status = AppendStatus::kOk;
  while (status != AppendStatus::kNoSegment) {
    status = Append(id, 8000, &place);
    if (status == AppendStatus::kOk) ++id;
    writer_.Pump();
    backend_.Reap(10);
  }
  EXPECT_EQ(table_.free_count(), table_.reserve());
  EXPECT_EQ(Append(id, 8000, &place, StreamKind::kSurvivor), AppendStatus::kOk);
}

TEST_F(LogWriterTest, AFailedChunkMovesToAnotherSegmentAsAWhole) {
  injector_->Script({.op = io::Op::kWrite, .times = 1});
  Place dead, live;
  ASSERT_EQ(Append(1, 100, &dead), AppendStatus::kOk);
  ASSERT_EQ(Append(2, 300, &live), AppendStatus::kOk);
  table_.Free(table_.SegmentOf(dead.offset()), dead.units());
  owner_.blocks.erase(1);
  writer_.stream(StreamKind::kFresh).CloseFilling();
  writer_.Pump();
  backend_.Reap(10);
  EXPECT_TRUE(writer_.failing());
  EXPECT_NE(writer_.Find(live), nullptr);  // Still readable.
  EXPECT_FALSE(writer_.WantsPump());       // Not before the back-off.
  clock_.Advance(200'000);
  EXPECT_TRUE(writer_.WantsPump());
  writer_.Pump();
  const Place moved = owner_.blocks[2].place;
  EXPECT_NE(table_.SegmentOf(moved.offset()), table_.SegmentOf(live.offset()));
  EXPECT_EQ(table_.state(table_.SegmentOf(live.offset())), SegmentState::kFree);
  EXPECT_EQ(table_.totals().live, live.units());
  backend_.Reap(10);
  EXPECT_FALSE(writer_.failing());
  EXPECT_EQ(writer_.Find(moved), nullptr);
  writer_.CheckInvariants();
  table_.CheckInvariants();
}

TEST_F(LogWriterTest, AFailedChunkThatNobodyWantsIsDropped) {
  injector_->Script({.op = io::Op::kWrite, .times = 1});
  Place place;
  ASSERT_EQ(Append(1, 100, &place), AppendStatus::kOk);
  writer_.stream(StreamKind::kFresh).CloseFilling();
  writer_.Pump();
  backend_.Reap(10);
  table_.Free(table_.SegmentOf(place.offset()), place.units());
  owner_.blocks.erase(1);
  const uint64_t written = writer_.counters().bytes_submitted;
  clock_.Advance(200'000);
  writer_.Pump();
  EXPECT_EQ(writer_.counters().bytes_submitted, written);
  EXPECT_EQ(writer_.buffered_records_bytes(), 0u);
  EXPECT_EQ(table_.free_count(), table_.count());
}

TEST_F(LogWriterTest, ProbesComeFurtherAndFurtherApart) {
  injector_->Script({.op = io::Op::kWrite, .times = ~uint64_t{0}});
  Place place;
  ASSERT_EQ(Append(1, 100, &place), AppendStatus::kOk);
  writer_.stream(StreamKind::kFresh).CloseFilling();
  for (int tenth = 0; tenth < 600; ++tenth) {
    writer_.Pump();
    backend_.Reap(10);
    clock_.Advance(100'000);
  }
  // A minute: after 0.1, 0.2, 0.4, ... 3.2 seconds, then every five.
  EXPECT_GE(writer_.counters().errors, 12u);
  EXPECT_LE(writer_.counters().errors, 20u);
  EXPECT_TRUE(owner_.blocks[1].stored);
  writer_.CheckInvariants();
}

}  // namespace
}  // namespace flash::store
