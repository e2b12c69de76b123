// leaf_store.h: the blocks that collections are made of: BlockPool as they see it, and the seam at
// which a test puts another one in its place.
//
// With the module's own pool every call on a hot block is the pool's inline function behind one
// branch that is always predicted. Meaning, errors and lifetimes are those of blocks/block_pool.h.
// Thread: main.
#pragma once

#include <functional>
#include <span>

#include "blocks/tiered_pool.h"

namespace flash::values {

class LeafStore {
 public:
  LeafStore() = default;
  LeafStore(blocks::TieredPool* pool)  // NOLINT(google-explicit-constructor)
      : pool_(pool) {}

  /// Any class with the pool's functions of these names.
  template <typename Pool>
  LeafStore(Pool* other)  // NOLINT(google-explicit-constructor)
      : other_(other), calls_(&kCallsOf<Pool>) {}

  [[nodiscard]] bool IsHot(BlockId id) const {
    return pool_ != nullptr ? pool_->IsHot(id) : calls_->is_hot(other_, id);
  }
  [[nodiscard]] Bytes Read(BlockId id) const {
    return pool_ != nullptr ? pool_->Read(id) : calls_->read(other_, id);
  }
  [[nodiscard]] Bytes Touch(BlockId id) const {
    return pool_ != nullptr ? pool_->Touch(id) : calls_->touch(other_, id);
  }
  /// Asks the processor for what tells where a block is; see BlockPool.
  void PrefetchEntry(BlockId id) const {
    if (pool_ != nullptr) pool_->PrefetchEntry(id);
  }
  /// Asks the processor for the beginning of a block, if it is hot.
  void Prefetch(BlockId id) const {
    if (pool_ != nullptr) pool_->Prefetch(id);
  }
  [[nodiscard]] MutableBytes Write(BlockId id) const {
    return pool_ != nullptr ? pool_->Write(id) : calls_->write(other_, id);
  }
  [[nodiscard]] MutableBytes Resize(BlockId id, uint32_t bytes) const {
    return pool_ != nullptr ? pool_->Resize(id, bytes) : calls_->resize(other_, id, bytes);
  }
  [[nodiscard]] BlockId Create(uint32_t bytes, MutableBytes* to_fill,
                               blocks::BlockOwner* owner) const {
    return pool_ != nullptr ? pool_->Create(bytes, to_fill, owner)
                            : calls_->create(other_, bytes, to_fill, owner);
  }
  [[nodiscard]] Result<BlockId> CreateCold(Bytes payload, blocks::BlockOwner* owner) const {
    return pool_ != nullptr ? pool_->CreateCold(payload, owner)
                            : calls_->create_cold(other_, payload, owner);
  }
  void SetOwner(BlockId id, blocks::BlockOwner* owner) const {
    pool_ != nullptr ? pool_->SetOwner(id, owner) : calls_->set_owner(other_, id, owner);
  }
  void Share(BlockId id) const { pool_ != nullptr ? pool_->Share(id) : calls_->share(other_, id); }
  [[nodiscard]] bool IsShared(BlockId id) const {
    return pool_ != nullptr ? pool_->IsShared(id) : calls_->is_shared(other_, id);
  }
  void Free(BlockId id) const { pool_ != nullptr ? pool_->Free(id) : calls_->free(other_, id); }
  [[nodiscard]] uint64_t FootprintOf(BlockId id) const {
    return pool_ != nullptr ? pool_->FootprintOf(id) : calls_->footprint_of(other_, id);
  }
  [[nodiscard]] uint32_t block_bytes_max() const {
    return pool_ != nullptr ? pool_->block_bytes_max() : calls_->block_bytes_max(other_);
  }
  /// Waits on this thread until all are hot, and pins them. Errors: of reads.
  [[nodiscard]] Result<blocks::Fetch> FetchNow(std::span<const BlockId> ids,
                                               blocks::WaitCause cause) const {
    if (pool_ == nullptr) return calls_->fetch_now(other_, ids, cause);
    blocks::Fetch fetch = pool_->FetchNow(ids, cause);
    if (Result<void> read = fetch.outcome(); !read) return read.error();
    return fetch;
  }
  [[nodiscard]] Result<void> AwaitRoomFor(uint64_t bytes, blocks::WaitCause cause,
                                          const blocks::BlockPool::Attempt& attempt) const {
    return pool_ != nullptr ? pool_->AwaitRoomFor(bytes, cause, attempt, 0)
                            : calls_->await_room_for(other_, bytes, cause, attempt);
  }

 private:
  struct Calls {
    bool (*is_hot)(void*, BlockId);
    Bytes (*read)(void*, BlockId);
    Bytes (*touch)(void*, BlockId);
    MutableBytes (*write)(void*, BlockId);
    MutableBytes (*resize)(void*, BlockId, uint32_t);
    BlockId (*create)(void*, uint32_t, MutableBytes*, blocks::BlockOwner*);
    Result<BlockId> (*create_cold)(void*, Bytes, blocks::BlockOwner*);
    void (*set_owner)(void*, BlockId, blocks::BlockOwner*);
    void (*share)(void*, BlockId);
    bool (*is_shared)(void*, BlockId);
    void (*free)(void*, BlockId);
    uint64_t (*footprint_of)(void*, BlockId);
    uint32_t (*block_bytes_max)(void*);
    Result<blocks::Fetch> (*fetch_now)(void*, std::span<const BlockId>, blocks::WaitCause);
    Result<void> (*await_room_for)(void*, uint64_t, blocks::WaitCause,
                                   const blocks::BlockPool::Attempt&);
  };

  template <typename Pool>
  static Pool* As(void* pool) {
    return static_cast<Pool*>(pool);
  }
  template <typename Pool>
  static constexpr Calls kCallsOf{
      [](void* p, BlockId id) { return As<Pool>(p)->IsHot(id); },
      [](void* p, BlockId id) { return As<Pool>(p)->Read(id); },
      [](void* p, BlockId id) { return As<Pool>(p)->Touch(id); },
      [](void* p, BlockId id) { return As<Pool>(p)->Write(id); },
      [](void* p, BlockId id, uint32_t bytes) { return As<Pool>(p)->Resize(id, bytes); },
      [](void* p, uint32_t bytes, MutableBytes* to_fill, blocks::BlockOwner* owner) {
        return As<Pool>(p)->Create(bytes, to_fill, owner);
      },
      [](void* p, Bytes payload, blocks::BlockOwner* owner) {
        return As<Pool>(p)->CreateCold(payload, owner);
      },
      [](void* p, BlockId id, blocks::BlockOwner* owner) { As<Pool>(p)->SetOwner(id, owner); },
      [](void* p, BlockId id) { As<Pool>(p)->Share(id); },
      [](void* p, BlockId id) { return As<Pool>(p)->IsShared(id); },
      [](void* p, BlockId id) { As<Pool>(p)->Free(id); },
      [](void* p, BlockId id) { return As<Pool>(p)->FootprintOf(id); },
      [](void* p) { return As<Pool>(p)->block_bytes_max(); },
      [](void* p, std::span<const BlockId> ids, blocks::WaitCause cause) {
        return As<Pool>(p)->FetchNow(ids, cause);
      },
      [](void* p, uint64_t bytes, blocks::WaitCause cause,
         const blocks::BlockPool::Attempt& attempt) {
        return As<Pool>(p)->AwaitRoomFor(bytes, cause, attempt);
      },
  };

  blocks::TieredPool* pool_ = nullptr;
  void* other_ = nullptr;
  const Calls* calls_ = nullptr;
};

}  // namespace flash::values
