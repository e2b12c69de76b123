// fake_block_pool.cc: see fake_block_pool.h.
//
// Thread: one.
#include "tests/support/fake_block_pool.h"

#include <algorithm>
#include <cstring>

#include "base/memory.h"

namespace flash::testing {

FakeBlockPool::FakeBlockPool(FakeOptions options) : options_(options) {}

FakeBlockPool::~FakeBlockPool() {
  for (Block& block : blocks_) base::Release(block.hot);
}

FakeBlockPool::Block& FakeBlockPool::Live(BlockId id) {
  FLASH_CHECK(id != kNoBlock && id < blocks_.size() && blocks_[id].holders > 0);
  return blocks_[id];
}
const FakeBlockPool::Block& FakeBlockPool::Live(BlockId id) const {
  FLASH_CHECK(id != kNoBlock && id < blocks_.size() && blocks_[id].holders > 0);
  return blocks_[id];
}

Bytes FakeBlockPool::Hot(BlockId id) const {
  const Block& block = Live(id);
  FLASH_CHECK(block.hot != nullptr);  // Cold: no plan named it.
  return {block.hot, block.size};
}

void FakeBlockPool::Chill(BlockId id) {
  Block& block = Live(id);
  if (block.hot == nullptr) return;
  if (block.dirty) block.flash.assign(block.hot, block.hot + block.size);
  FLASH_CHECK(block.flash.size() == block.size);
  base::Release(block.hot);
  block.hot = nullptr;
  block.dirty = false;
  if (block.owner != nullptr) block.owner->OnTemperature(id, true);
}

void FakeBlockPool::ChillSome(base::Random* random, uint64_t numerator, uint64_t denominator) {
  for (BlockId id = 1; id < blocks_.size(); ++id) {
    if (blocks_[id].holders > 0 && random->Chance(numerator, denominator)) Chill(id);
  }
}

void FakeBlockPool::ChillAll() {
  for (const BlockId id : LiveIds()) Chill(id);
}

void FakeBlockPool::Heat(std::span<const BlockId> ids) {
  for (const BlockId id : ids) {
    Block& block = Live(id);
    if (block.hot != nullptr) continue;
    block.hot = static_cast<std::byte*>(base::Allocate(block.size));
    std::memcpy(block.hot, block.flash.data(), block.size);
    ++reads_;
    read_bytes_ += block.size;
    if (block.owner != nullptr) block.owner->OnTemperature(id, false);
  }
}

uint64_t FakeBlockPool::cold_blocks() const {
  return static_cast<uint64_t>(std::count_if(blocks_.begin(), blocks_.end(), [](const Block& b) {
    return b.holders > 0 && b.hot == nullptr;
  }));
}

uint64_t FakeBlockPool::shared_blocks() const {
  return static_cast<uint64_t>(
      std::count_if(blocks_.begin(), blocks_.end(), [](const Block& b) { return b.holders > 1; }));
}

std::vector<BlockId> FakeBlockPool::LiveIds() const {
  std::vector<BlockId> ids;
  for (BlockId id = 1; id < blocks_.size(); ++id) {
    if (blocks_[id].holders > 0) ids.push_back(id);
  }
  return ids;
}

BlockId FakeBlockPool::Create(uint32_t bytes, MutableBytes* to_fill, blocks::BlockOwner* owner) {
  FLASH_CHECK(bytes >= 1 && bytes <= options_.block_bytes_max);
  Block block;
  block.hot = static_cast<std::byte*>(base::Allocate(bytes));
  block.owner = owner;
  block.size = bytes;
  block.holders = 1;
  block.dirty = true;
  *to_fill = {block.hot, bytes};
  blocks_.push_back(std::move(block));
  ++live_;
  live_bytes_ += bytes;
  return blocks_.size() - 1;
}

Result<BlockId> FakeBlockPool::CreateCold(Bytes payload, blocks::BlockOwner* owner) {
  MutableBytes to_fill;
  const BlockId id = Create(static_cast<uint32_t>(payload.size()), &to_fill, owner);
  std::memcpy(to_fill.data(), payload.data(), payload.size());
  Chill(id);
  return id;
}

MutableBytes FakeBlockPool::Write(BlockId id) {
  Block& block = Live(id);
  FLASH_CHECK(block.hot != nullptr && block.holders == 1);
  block.dirty = true;
  ++writes_;
  return {block.hot, block.size};
}

MutableBytes FakeBlockPool::Resize(BlockId id, uint32_t bytes) {
  FLASH_CHECK(bytes >= 1 && bytes <= options_.block_bytes_max);
  Block& block = Live(id);
  FLASH_CHECK(block.hot != nullptr && block.holders == 1);
  live_bytes_ += bytes;
  live_bytes_ -= block.size;
  if (options_.move_on_resize || bytes > base::UsableSize(block.hot)) {
    auto* moved = static_cast<std::byte*>(base::Allocate(bytes));
    std::memcpy(moved, block.hot, std::min(bytes, block.size));
    base::Release(block.hot);
    block.hot = moved;
  }
  block.size = bytes;
  block.dirty = true;
  ++writes_;
  return {block.hot, bytes};
}

void FakeBlockPool::Free(BlockId id) {
  Block& block = Live(id);
  if (--block.holders > 0) return;
  live_bytes_ -= block.size;
  --live_;
  base::Release(block.hot);
  block = Block();
}

void FakeBlockPool::SetOwner(BlockId id, blocks::BlockOwner* owner) {
  Block& block = Live(id);
  FLASH_CHECK(block.hot != nullptr && block.holders == 1);
  (void)Resize(id, block.size);  // The real one moves it as well.
  block.owner = owner;
}

Result<blocks::Fetch> FakeBlockPool::FetchNow(std::span<const BlockId> ids,
                                              blocks::WaitCause /*cause*/) {
  Heat(ids);
  return blocks::Fetch();
}

Result<void> FakeBlockPool::AwaitRoomFor(uint64_t /*bytes*/, blocks::WaitCause /*cause*/,
                                         const blocks::BlockPool::Attempt& attempt) {
  return attempt();
}

}  // namespace flash::testing
