// store_test_support.h: a model owner and a store over a disk in memory, for the tests of this
// folder.
//
// ModelOwner is the simplest block table that can judge the store: it remembers every block's bytes
// and place and notes each answer that contradicts them. Thread: one.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "base/random.h"
#include "io/fault_injector.h"
#include "io/faulty_device.h"
#include "io/inline_backend.h"
#include "io/memory_device.h"
#include "store/record_store.h"

namespace flash::store {

using Payload = std::vector<std::byte>;

inline Payload MakePayload(base::Random& random, size_t bytes) {
  Payload payload(bytes);
  const bool text = random.Chance(1, 2);
  for (auto& byte : payload) {
    byte = static_cast<std::byte>(text ? 'a' + random.Below(3) : random.Next());
  }
  return payload;
}

class ModelOwner final : public RecordOwner {
 public:
  struct Block {
    Payload payload;
    Place place;  // Valid while stored.
    bool stored = false;
    uint32_t put = 0;  // Ticket of the put on its way; 0: none.
  };

  [[nodiscard]] bool OnPut(BlockId id, uint32_t ticket, Place place) override {
    ++answered;
    auto block = blocks.find(id);
    if (block == blocks.end() || block->second.put != ticket) return false;
    EXPECT_FALSE(block->second.stored);
    block->second.put = 0;
    block->second.stored = true;
    block->second.place = place;
    return true;
  }
  void OnPutFailed(BlockId id, uint32_t ticket, Code code) override {
    ++answered;
    ++puts_failed;
    EXPECT_EQ(code, Code::kNoSpace);
    auto block = blocks.find(id);
    if (block != blocks.end() && block->second.put == ticket) block->second.put = 0;
  }
  [[nodiscard]] bool IsLive(BlockId id, Place place) const override {
    const auto block = blocks.find(id);
    return block != blocks.end() && block->second.stored && block->second.place == place;
  }
  [[nodiscard]] bool GiveUp(BlockId id, Place place) override {
    if (keep_in_ram_random == nullptr || !keep_in_ram_random->Chance(1, 20)) return false;
    blocks.at(id).stored = false;
    store->Free(place);
    return true;
  }
  [[nodiscard]] bool OnMoved(BlockId id, Place from, Place to) override {
    auto block = blocks.find(id);
    if (block == blocks.end() || !block->second.stored || block->second.place != from) {
      return false;
    }
    block->second.place = to;
    return true;
  }

  /// Puts new bytes for a block, new or old; the old record is freed first. False: kBusy or
  /// kNoSpace.
  bool Put(BlockId id, Payload payload) {
    if (const auto put = store->Put(id, next_ticket, payload); !put) {
      last_refusal = put.code();
      return false;
    }
    Forget(id);
    Block& block = blocks[id];
    block.payload = std::move(payload);
    block.put = next_ticket++;
    ++accepted;
    return true;
  }
  void Forget(BlockId id) {
    auto block = blocks.find(id);
    if (block == blocks.end()) return;
    if (block->second.stored) store->Free(block->second.place);
    blocks.erase(block);
  }
  [[nodiscard]] uint64_t LiveBytes() const {
    uint64_t bytes = 0;
    for (const auto& [id, block] : blocks) bytes += block.stored ? block.place.bytes() : 0;
    return bytes;
  }
  [[nodiscard]] uint64_t PutsOnTheWay() const { return accepted - answered; }

  std::map<BlockId, Block> blocks;
  RecordStore* store = nullptr;
  base::Random* keep_in_ram_random =
      nullptr;  // Set: some victims' records are kept in RAM instead.
  uint32_t next_ticket = 1;
  uint64_t accepted = 0, answered = 0, puts_failed = 0;
  Code last_refusal = Code::kInvalid;
};

inline uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}
/// Seeds of a random test: FLASH_STORE_SEEDS of them from FLASH_STORE_FIRST_SEED on.
inline std::vector<uint64_t> Seeds(uint64_t count) {
  const uint64_t first = FromEnvironment("FLASH_STORE_FIRST_SEED", 1);
  std::vector<uint64_t> seeds(FromEnvironment("FLASH_STORE_SEEDS", count));
  for (size_t i = 0; i < seeds.size(); ++i) seeds[i] = first + i;
  return seeds;
}

/// A read and what it must bring.
struct CheckedRead : ReadRequest {
  Payload expected;
  bool ended = false;
  bool right = false;
  Code code = Code::kInvalid;  // If it failed.

  explicit CheckedRead(const ModelOwner& owner, BlockId block_id) {
    const ModelOwner::Block& block = owner.blocks.at(block_id);
    id = block_id;
    place = block.place;
    expected = block.payload;
    read_done = [](ReadRequest& request, Result<ReadBuffer> outcome) noexcept {
      auto& self = static_cast<CheckedRead&>(request);
      self.ended = true;
      if (!outcome) {
        self.code = outcome.code();
        return;
      }
      self.right = Matches(*outcome, self.expected);
      base::Release(outcome->memory);
    };
  }

  static constexpr uint32_t kPrefixBytes = 16;
  static bool Matches(const ReadBuffer& buffer, const Payload& expected) {
    return buffer.payload_bytes == expected.size() &&
           std::memcmp(buffer.memory + kPrefixBytes, expected.data(), expected.size()) == 0;
  }
};

/// A forked child's way to the file, over a disk in memory.
class MemorySource final : public SnapshotSource {
 public:
  explicit MemorySource(std::shared_ptr<io::MemoryFile> file) : file_(std::move(file)) {}
  [[nodiscard]] Result<void> ReadAt(uint64_t offset, MutableBytes into) override {
    if (file_->ReadAt(offset, into) != into.size()) return Code::kIo;
    return {};
  }

 private:
  std::shared_ptr<io::MemoryFile> file_;
};

/// A store over an InlineBackend, a FaultyDevice and a MemoryFile.
struct Bench {
  struct Options {
    uint64_t capacity_bytes = 16 * kMiB;
    uint32_t segment_bytes = 64 * kKiB;
    RecordStore::Compression compression = RecordStore::Compression::kLz4;
    std::optional<uint64_t> backend_seed = std::nullopt;
    io::FaultPlan faults = {};
    uint32_t write_buffers = 4;
    uint32_t late_copy_bytes_min = 4096;
    uint32_t alignment = 512;
  };

  explicit Bench(const Options& options) {
    file = std::make_shared<io::MemoryFile>(options.capacity_bytes);
    injector = std::make_shared<io::FaultInjector>(options.faults);
    io::MemoryDevice::Options device_options;
    device_options.alignment = options.alignment;
    auto device = std::make_unique<io::FaultyDevice>(
        std::make_unique<io::MemoryDevice>(file, device_options), injector);
    io::InlineBackend::Options backend_options;
    backend_options.seed = options.backend_seed;
    backend_options.on_idle = [this](uint64_t wait_us) { clock.Advance(wait_us); };
    backend = std::make_unique<io::InlineBackend>(std::move(device), &clock, backend_options);
    RecordStore::Options store_options;
    store_options.capacity_bytes = options.capacity_bytes;
    store_options.segment_bytes = options.segment_bytes;
    store_options.compression = options.compression;
    store_options.read_prefix_bytes = CheckedRead::kPrefixBytes;
    store_options.write_buffers_per_stream = options.write_buffers;
    store_options.late_copy_bytes_min = options.late_copy_bytes_min;
    store_options.hash_seed = 4711;
    auto opened = RecordStore::Open(store_options, backend.get(), &clock, &owner);
    FLASH_CHECK(opened.ok());
    store = std::move(opened).Take();
    owner.store = store.get();
  }

  /// One turn of an event loop.
  void Turn() {
    backend->Reap(1000);
    store->Tick(1000);
    clock.Advance(100);
  }
  /// Turns until every accepted put was answered; false: that never happens.
  bool Settle() {
    for (int i = 0; i < 20'000; ++i) {
      if (owner.PutsOnTheWay() == 0 && backend->inflight() == 0 && !store->WantsTick()) return true;
      Turn();
    }
    return false;
  }
  /// Puts, turning while the store is busy.
  bool PutSoon(BlockId id, const Payload& payload) {
    for (int i = 0; i < 20'000; ++i) {
      if (owner.Put(id, payload)) return true;
      if (owner.last_refusal != Code::kBusy) return false;
      Turn();
    }
    return false;
  }
  /// Reads a stored block to its end.
  std::unique_ptr<CheckedRead> ReadNow(BlockId id) {
    auto read = std::make_unique<CheckedRead>(owner, id);
    while (!store->Read(read.get())) Turn();
    while (!read->ended) Turn();
    return read;
  }
  /// Reads every stored block; returns how many were not right.
  size_t CountWrong() {
    size_t wrong = 0;
    std::vector<BlockId> ids;
    for (const auto& [id, block] : owner.blocks) {
      if (block.stored) ids.push_back(id);
    }
    for (const BlockId id : ids) wrong += ReadNow(id)->right ? 0 : 1;
    return wrong;
  }
  void CheckAccounts() {
    store->CheckInvariants();
    ASSERT_EQ(store->stats().used_bytes, owner.LiveBytes());
  }

  base::ManualClock clock;
  std::shared_ptr<io::MemoryFile> file;
  std::shared_ptr<io::FaultInjector> injector;
  ModelOwner owner;
  std::unique_ptr<io::InlineBackend> backend;
  std::unique_ptr<RecordStore> store;
};

}  // namespace flash::store
