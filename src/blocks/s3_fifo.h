// s3_fifo.h: which hot block leaves RAM next: S3-FIFO, three queues and a use count of two bits.
//
// Decides only; it neither frees memory nor writes. Lists are linked by id through the headers of
// the hot blocks; the ghost is a fixed array of fingerprints, so nothing is allocated per block.
// Source: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP
// 2023. Thread: main. Decision: docs/adr/0005.
#pragma once

#include <array>
#include <cstdint>

#include "blocks/block_table.h"
#include "blocks/ghost.h"
#include "blocks/hot_block.h"

namespace flash::blocks {

class S3Fifo {
 public:
  /// `table` outlives this and finds the header of each hot block.
  explicit S3Fifo(const BlockTable* table) : table_(table) {}

  /// Sizes the ghost for a cache of this many bytes.
  void SetCacheBytes(uint64_t bytes);

  /// A hot block without a queue enters one: a new one small, a promoted one main if the ghost
  /// knows it.
  void InsertNew(BlockId id) { PushHead(id, Queue::kSmall); }
  void InsertPromoted(BlockId id);

  /// Back into the queue it left for a put that came to nothing.
  void Return(BlockId id, Queue queue) { PushHead(id, queue); }

  /// Out of its queue, which is returned.
  Queue Remove(BlockId id);

  /// The size of a queued block changed from a charge of `before` to the one its header now gives.
  void Resized(BlockId id, uint64_t before);

  /// How many victims could not leave, of each queue: of one where none can, the other has its
  /// turn.
  struct Passed {
    uint64_t small = 0;
    uint64_t main = 0;
  };

  /// The block that should leave next; it stays queued until Remove. Blocks that earned another
  /// round get it on the way, at most `*steps` of them (counted down). kNoBlock: none that was not
  /// passed over, or no steps left.
  [[nodiscard]] BlockId Victim(uint32_t* steps, const Passed& passed);

  /// The victim cannot leave now (pinned, or its put was refused): to the head of its queue.
  void Skip(BlockId id, Passed* passed);

  /// The ghost learns that `id` left RAM from the small queue, or that its past no longer counts.
  void Remember(BlockId id) { ghost_.Insert(id); }
  void Forget(BlockId id) { ghost_.Erase(id); }

  [[nodiscard]] uint64_t count() const { return small_.count + main_.count; }
  [[nodiscard]] uint64_t bytes() const { return small_.bytes + main_.bytes; }
  [[nodiscard]] uint64_t small_bytes() const { return small_.bytes; }
  [[nodiscard]] uint64_t ghost_bytes() const { return ghost_.bytes(); }

 private:
  struct List {
    BlockId head = kNoBlock;
    BlockId tail = kNoBlock;
    uint64_t count = 0;
    uint64_t bytes = 0;
  };

  [[nodiscard]] List& ListOf(Queue queue) { return queue == Queue::kSmall ? small_ : main_; }
  void PushHead(BlockId id, Queue queue);
  void MoveToMain(BlockId id, uint32_t uses);
  void PrefetchBefore(BlockId id) const;

  const BlockTable* table_;
  List small_;
  List main_;
  Ghost ghost_;
};

}  // namespace flash::blocks
