// record_store_threads_test.cc: the store with real I/O threads. What ThreadSanitizer is for:
// checksums are filled in and payloads compressed on other threads while the owner reads the same
// buffers. Over memory and over a file by each real device; with faults too.
// Thread: the test's is the owner; the backend has two more.
#include <gtest/gtest.h>

#include <deque>

#include "io/faulty_device.h"
#include "io/threaded_backend.h"
#include "store/record_store.h"
#include "store/store_test_support.h"
#include "tests/support/test_disk.h"

namespace flash::store {
namespace {

class RecordStoreThreads : public ::testing::TestWithParam<testing::DiskKind> {
 protected:
  void SetUp() override {
    disk_ = testing::TestDisk::Make(GetParam(), kCapacityBytes);
    if (disk_ == nullptr) GTEST_SKIP() << "no io_uring on this machine";
    faults_ = std::make_unique<io::FaultyDeviceFactory>(disk_->factory(), injector_);
    Open(disk_->factory());
  }
  void Open(io::DeviceFactory* factory) {
    store_.reset();
    owner_ = ModelOwner();
    io::ThreadedBackend::Options backend_options;
    backend_options.threads = 2;
    auto backend = io::ThreadedBackend::Start(backend_options, factory, &clock_);
    ASSERT_TRUE(backend.ok());
    backend_ = std::move(backend).Take();
    RecordStore::Options options;
    options.capacity_bytes = kCapacityBytes;
    options.segment_bytes = 256 * kKiB;
    options.read_prefix_bytes = CheckedRead::kPrefixBytes;
    auto store = RecordStore::Open(options, backend_.get(), &clock_, &owner_);
    ASSERT_TRUE(store.ok());
    store_ = std::move(store).Take();
    owner_.store = store_.get();
  }

  void Turn() {
    backend_->Reap(1000);
    store_->Tick(500);
  }

  static constexpr uint64_t kCapacityBytes = 16 * kMiB;
  base::SystemClock clock_;
  std::unique_ptr<testing::TestDisk> disk_;
  std::shared_ptr<io::FaultInjector> injector_ =
      std::make_shared<io::FaultInjector>(io::FaultPlan{.file_bytes = kCapacityBytes}
                                              .Rate(io::Fault::kError, 5000)
                                              .Rate(io::Fault::kShort, 50'000)
                                              .Rate(io::Fault::kReordered, 50'000)
                                              .Rate(io::Fault::kTorn, 20'000)
                                              .Rate(io::Fault::kLost, 20'000)
                                              .Rate(io::Fault::kMisdirected, 20'000)
                                              .Rate(io::Fault::kFlip, 5000));
  std::unique_ptr<io::FaultyDeviceFactory> faults_;
  ModelOwner owner_;
  std::unique_ptr<io::ThreadedBackend> backend_;
  std::unique_ptr<RecordStore> store_;
};

TEST_P(RecordStoreThreads, PutsReadsAndCompactionSideBySide) {
  base::Random random(1);
  std::deque<std::unique_ptr<CheckedRead>> reads;
  uint64_t right = 0;
  for (int i = 0; i < 30'000; ++i) {
    const BlockId id = 1 + random.Below(6000);
    if (random.Chance(2, 3)) {
      if (!owner_.Put(id, MakePayload(random, 1 + random.Below(3000)))) {
        store_->Flush();
        backend_->Wait(1000);
        Turn();
      }
    } else if (const auto block = owner_.blocks.find(id);
               block != owner_.blocks.end() && block->second.stored) {
      reads.push_back(std::make_unique<CheckedRead>(owner_, id));
      if (!store_->Read(reads.back().get())) reads.pop_back();
    }
    if (i % 16 == 0) {
      backend_->Kick();
      Turn();
    }
    if (i == 15'000) store_->Freeze();
    if (i == 18'000) store_->Thaw();
    for (; !reads.empty() && reads.front()->ended; reads.pop_front()) {
      ASSERT_TRUE(reads.front()->right);
      ++right;
    }
  }
  while (owner_.PutsOnTheWay() > 0 || backend_->inflight() > 0 || store_->WantsTick()) {
    backend_->Kick();
    backend_->Wait(1000);
    Turn();
  }
  for (const auto& read : reads) EXPECT_TRUE(read->right);
  EXPECT_GT(right, 1000u);
  EXPECT_GT(store_->stats().compaction_runs, 0u);
  store_->CheckInvariants();
  EXPECT_EQ(store_->stats().used_bytes, owner_.LiveBytes());
  EXPECT_EQ(store_->stats().checksum_errors, 0u);
}

INSTANTIATE_TEST_SUITE_P(Disks, RecordStoreThreads, ::testing::ValuesIn(testing::kAllDisks),
                         ::testing::PrintToStringParamName());

TEST_P(RecordStoreThreads, DestructionWithEverythingInFlight) {
  base::Random random(2);
  for (BlockId id = 1; id < 2000; ++id) {
    if (!owner_.Put(id, MakePayload(random, 2000))) break;
    if (id % 100 == 0) Turn();
  }
  store_->Flush();
  store_.reset();
  EXPECT_EQ(backend_->inflight(), 0u);
}

TEST_P(RecordStoreThreads, ADiskThatErrsAndLiesGivesRightBytesOrAnError) {
  Open(faults_.get());
  base::Random random(3);
  std::deque<std::unique_ptr<CheckedRead>> reads;
  uint64_t right = 0;
  uint64_t failed = 0;
  const auto judge = [&](const CheckedRead& read) {
    const bool told = read.code == Code::kIo || read.code == Code::kCorrupt;
    EXPECT_TRUE(read.right || told) << "wrong bytes, or error " << static_cast<int>(read.code);
    ++(read.right ? right : failed);
  };
  for (int i = 0; i < 20'000; ++i) {
    const BlockId id = 1 + random.Below(3000);
    if (random.Chance(1, 2)) {
      if (!owner_.Put(id, MakePayload(random, 1 + random.Below(3000)))) {
        store_->Flush();
        backend_->Wait(1000);
        Turn();
      }
    } else if (const auto block = owner_.blocks.find(id);
               block != owner_.blocks.end() && block->second.stored) {
      reads.push_back(std::make_unique<CheckedRead>(owner_, id));
      if (!store_->Read(reads.back().get())) reads.pop_back();
    }
    if (i % 16 == 0) {
      backend_->Kick();
      Turn();
    }
    for (; !reads.empty() && reads.front()->ended; reads.pop_front()) judge(*reads.front());
  }
  while (!reads.empty()) {
    backend_->Kick();
    backend_->Wait(1000);
    Turn();
    for (; !reads.empty() && reads.front()->ended; reads.pop_front()) judge(*reads.front());
  }
  EXPECT_GT(right, 1000u);
  EXPECT_GT(failed, 10u);
  store_->CheckInvariants();
}

}  // namespace
}  // namespace flash::store
