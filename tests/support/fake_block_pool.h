// fake_block_pool.h: blocks in memory that become cold when a test says so: the part of BlockPool
// that values use (values/leaf_store.h).
//
// For tests of what lies above the pool: touching a cold block, a freed one, or the bytes of one
// that moved is caught; what was changed without Write or Resize is lost when the block goes cold.
// No I/O, no eviction of its own, no limits. Thread: one.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/random.h"
#include "blocks/block_pool.h"

namespace flash::testing {

class FakeBlockPool {
 public:
  struct FakeOptions {
    uint32_t block_bytes_max = 1024 * 1024 - 64;
    bool move_on_resize = true;  ///< Every Resize gives other addresses, to catch stale views.
  };
  FakeBlockPool() : FakeBlockPool(FakeOptions{}) {}
  explicit FakeBlockPool(FakeOptions options);
  ~FakeBlockPool();
  FakeBlockPool(const FakeBlockPool&) = delete;
  FakeBlockPool& operator=(const FakeBlockPool&) = delete;

  // --- For tests
  // ----------------------------------------------------------------------------------
  void Chill(BlockId id);
  /// Makes each hot block cold with the probability numerator / denominator.
  void ChillSome(base::Random* random, uint64_t numerator, uint64_t denominator);
  void ChillAll();
  /// Makes blocks hot: what a fetch does. Each cold one counts as one read.
  void Heat(std::span<const BlockId> ids);
  [[nodiscard]] uint64_t reads() const { return reads_; }
  [[nodiscard]] uint64_t read_bytes() const { return read_bytes_; }
  [[nodiscard]] uint64_t live_blocks() const { return live_; }
  [[nodiscard]] uint64_t live_bytes() const { return live_bytes_; }
  [[nodiscard]] uint64_t cold_blocks() const;
  [[nodiscard]] uint64_t shared_blocks() const;
  [[nodiscard]] std::vector<BlockId> LiveIds() const;
  [[nodiscard]] uint64_t writes() const { return writes_; }

  // --- BlockPool
  // ----------------------------------------------------------------------------------
  [[nodiscard]] uint32_t block_bytes_max() const { return options_.block_bytes_max; }
  [[nodiscard]] BlockId Create(uint32_t bytes, MutableBytes* to_fill,
                               blocks::BlockOwner* owner = nullptr);
  [[nodiscard]] Result<BlockId> CreateCold(Bytes payload, blocks::BlockOwner* owner = nullptr);
  [[nodiscard]] bool IsHot(BlockId id) const { return Live(id).hot != nullptr; }
  [[nodiscard]] Bytes Read(BlockId id) const { return Hot(id); }
  [[nodiscard]] Bytes Touch(BlockId id) { return Hot(id); }
  [[nodiscard]] MutableBytes Write(BlockId id);
  [[nodiscard]] MutableBytes Resize(BlockId id, uint32_t bytes);
  void Share(BlockId id) { ++Live(id).holders; }
  [[nodiscard]] bool IsShared(BlockId id) const { return Live(id).holders > 1; }
  void Free(BlockId id);
  void SetOwner(BlockId id, blocks::BlockOwner* owner);
  [[nodiscard]] uint64_t FootprintOf(BlockId id) const { return Live(id).size; }

  [[nodiscard]] Result<blocks::Fetch> FetchNow(std::span<const BlockId> ids,
                                               blocks::WaitCause cause);
  [[nodiscard]] Result<void> AwaitRoomFor(uint64_t bytes, blocks::WaitCause cause,
                                          const blocks::BlockPool::Attempt& attempt);

 private:
  struct Block {
    std::byte* hot = nullptr;
    std::vector<std::byte> flash;  // As last demoted.
    blocks::BlockOwner* owner = nullptr;
    uint32_t size = 0;
    uint32_t holders = 0;  // 0: freed. Ids are not used twice.
    bool dirty = false;
  };

  [[nodiscard]] Block& Live(BlockId id);
  [[nodiscard]] const Block& Live(BlockId id) const;
  [[nodiscard]] Bytes Hot(BlockId id) const;

  FakeOptions options_;
  std::vector<Block> blocks_{1};
  uint64_t live_ = 0;
  uint64_t live_bytes_ = 0;
  uint64_t reads_ = 0;
  uint64_t read_bytes_ = 0;
  uint64_t writes_ = 0;
};

}  // namespace flash::testing
