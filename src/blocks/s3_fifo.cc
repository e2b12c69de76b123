// s3_fifo.cc: the queues of S3-FIFO over the headers of hot blocks; see s3_fifo.h.
//
// Small has its turn while it holds a tenth of the queued bytes or more. Uses count from the
// insertion on; more than one in the small queue earns the main queue, any use in main earns
// another round. Thread: main.
#include "blocks/s3_fifo.h"

#include <algorithm>

namespace flash::blocks {
namespace {

constexpr uint64_t kSmallShare = 10;  // One in ten bytes.
constexpr uint32_t kUsesForMain = 2;
constexpr uint64_t kGhostSlotBytes = 512;  // Of cache: an average block is taken to be this large.
constexpr uint64_t kGhostSlotsMin = 1024;
constexpr uint64_t kGhostSlotsMax = 4u << 20;

}  // namespace

void S3Fifo::SetCacheBytes(uint64_t bytes) {
  ghost_.Resize(std::clamp(bytes / kGhostSlotBytes, kGhostSlotsMin, kGhostSlotsMax));
}

void S3Fifo::InsertPromoted(BlockId id) {
  const bool known = ghost_.Contains(id, std::max(count(), kGhostSlotsMin));
  if (known) ghost_.Erase(id);
  PushHead(id, known ? Queue::kMain : Queue::kSmall);
}

void S3Fifo::PushHead(BlockId id, Queue queue) {
  FLASH_DCHECK(queue != Queue::kNone);
  HotBlock* hot = table_->HotOf(id);
  FLASH_DCHECK(hot->queue() == Queue::kNone);
  List& list = ListOf(queue);
  hot->set_queue(queue);
  hot->set_prev(kNoBlock);
  hot->set_next(list.head);
  if (list.head != kNoBlock) {
    table_->HotOf(list.head)->set_prev(id);
  } else {
    list.tail = id;
  }
  list.head = id;
  ++list.count;
  list.bytes += hot->charge();
}

/// Victims lie far apart in memory, and Remove touches the one that comes next: asked for now, it
/// is there by then. Its entry in the table was asked for when its neighbour was removed.
void S3Fifo::PrefetchBefore(BlockId id) const {
  const BlockId prev = table_->HotOf(id)->prev();
  if (prev != kNoBlock) __builtin_prefetch(table_->HotOf(prev));
}

Queue S3Fifo::Remove(BlockId id) {
  HotBlock* hot = table_->HotOf(id);
  const Queue queue = hot->queue();
  if (queue == Queue::kNone) return queue;
  List& list = ListOf(queue);
  const BlockId next = hot->next();
  const BlockId prev = hot->prev();
  if (prev != kNoBlock) {
    HotBlock* const before = table_->HotOf(prev);
    before->set_next(next);
    if (before->prev() != kNoBlock) table_->Prefetch(before->prev());
  } else {
    list.head = next;
  }
  (next != kNoBlock) ? table_->HotOf(next)->set_prev(prev) : static_cast<void>(list.tail = prev);
  --list.count;
  list.bytes -= hot->charge();
  hot->set_queue(Queue::kNone);
  return queue;
}

void S3Fifo::Resized(BlockId id, uint64_t before) {
  const HotBlock* hot = table_->HotOf(id);
  if (hot->queue() == Queue::kNone) return;
  List& list = ListOf(hot->queue());
  list.bytes = list.bytes - before + hot->charge();
}

void S3Fifo::MoveToMain(BlockId id, uint32_t uses) {
  Remove(id);
  table_->HotOf(id)->set_uses(uses);
  PushHead(id, Queue::kMain);
}

BlockId S3Fifo::Victim(uint32_t* steps, const Passed& passed) {
  for (; *steps > 0; --*steps) {
    const bool small_left = small_.count > passed.small;
    const bool main_left = main_.count > passed.main;
    if (!small_left && !main_left) return kNoBlock;
    const bool from_small = !main_left || (small_left && small_.bytes * kSmallShare >= bytes());
    const BlockId id = from_small ? small_.tail : main_.tail;
    const uint32_t uses = table_->HotOf(id)->uses();
    if (from_small && uses >= kUsesForMain) {
      MoveToMain(id, 0);
    } else if (!from_small && uses > 0) {
      MoveToMain(id, uses - 1);
    } else {
      PrefetchBefore(id);
      return id;
    }
  }
  return kNoBlock;
}

void S3Fifo::Skip(BlockId id, Passed* passed) {
  const Queue queue = Remove(id);
  ++(queue == Queue::kSmall ? passed->small : passed->main);
  PushHead(id, queue);
}

}  // namespace flash::blocks
