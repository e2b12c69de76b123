// contents.h: all blocks of one value, read past the cache and held in memory of their own.
//
// For what takes a value as a whole and elsewhere: turning it into a native one. The value is
// frozen (a share of it is taken), so the key may change or go meanwhile; whoever uses the contents
// asks whether they are still those of the key. Beside the event loop, with a bounded number of
// reads in flight, or at once on this thread. Knows no key. Thread: main.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/result.h"
#include "blocks/block_pool.h"
#include "server/background.h"
#include "types/type_registry.h"

namespace flash::types {

class Contents final : public server::BackgroundJob, public std::enable_shared_from_this<Contents> {
 public:
  using Buffer = std::vector<std::byte, base::CountedAllocator<std::byte>>;

  /// Freezes `value` of `type`. `done` runs once, from Step, unless cancelled before.
  Contents(const FlashType& type, const void* value, std::function<void()> done);
  ~Contents() override;
  Contents(const Contents&) = delete;
  Contents& operator=(const Contents&) = delete;

  [[nodiscard]] Progress Step(uint64_t deadline_us) override;
  /// Everything at once, waiting for the disk on this thread. Errors: kIo, kCorrupt, kTimeout.
  [[nodiscard]] Result<void> RunNow();
  void Cancel() { cancelled_ = true; }

  /// Has it finished, one way or the other?
  [[nodiscard]] bool ended() const { return complete_ || failed_; }
  /// Of a finished job. Errors: as RunNow.
  [[nodiscard]] Result<void> outcome() const;
  [[nodiscard]] const FlashType& type() const { return type_; }
  /// Is it all here, and has `value` of `type` still this content?
  [[nodiscard]] bool Holds(const FlashType& type, const void* value) const {
    return complete_ && &type == &type_ && type_.same(frozen_, value);
  }
  /// Blocks of the elements, in order.
  [[nodiscard]] size_t size() const { return blocks_.size(); }
  /// The bytes of one of them; no more after Release.
  [[nodiscard]] Bytes At(size_t index) const { return blocks_[index]; }
  void Release(size_t index) { blocks_[index] = Buffer(); }
  /// The bytes of a block of a large element.
  [[nodiscard]] Bytes Large(BlockId id) const { return large_.at(id); }
  /// All bytes held.
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  /// One block to read, and where to.
  struct Wanted {
    BlockId id;
    Buffer* into;
  };
  void ListLarge();
  Result<void> ReadAll();
  [[nodiscard]] bool Start(const Wanted& wanted);
  void Fail(Code code) { failed_ = true, failure_ = code; }

  const FlashType& type_;
  void* frozen_;
  std::function<void()> done_;
  std::vector<Buffer> blocks_;
  std::unordered_map<BlockId, Buffer> large_;
  std::vector<Wanted> wanted_;
  size_t next_ = 0;  // Into wanted_.
  uint64_t bytes_ = 0;
  uint32_t inflight_ = 0;
  bool large_listed_ = false;
  bool complete_ = false;
  bool cancelled_ = false;
  bool failed_ = false;
  Code failure_ = Code::kIo;
};

}  // namespace flash::types
