// room_queue.cc: the line of writers at the hard mark; see room_queue.h.
//
// A forgotten waiter's entry stays where it is, without a waiter, and ends when its turn comes.
// Thread: main.
#include "blocks/room_queue.h"

#include <memory>
#include <utility>

namespace flash::blocks {

struct RoomQueue::Entry final : Delivery {
  RoomQueue* queue = nullptr;
  RoomWaiter* waiter = nullptr;
  uint64_t bytes = 0;
  uint64_t since_us = 0;
  uint64_t number = 0;
  Result<RoomGrant> outcome = Code::kBusy;

  void Deliver() override {
    const std::unique_ptr<Entry> self(this);
    if (waiter == nullptr) return;  // And the grant is let go.
    queue->entries_.erase(waiter);
    waiter->OnRoom(std::move(outcome));
  }
  void Discard() override { delete this; }
};

RoomQueue::~RoomQueue() {
  for (Entry* entry : line_) delete entry;
}

void RoomQueue::Add(RoomWaiter* waiter, uint64_t bytes, uint64_t now_us) {
  auto entry = std::make_unique<Entry>();
  entry->queue = this;
  entry->waiter = waiter;
  entry->bytes = bytes;
  entry->since_us = now_us;
  entry->number = ++last_number_;
  const bool added = entries_.emplace(waiter, entry.get()).second;
  FLASH_CHECK(added);  // One wait at a time.
  line_.push_back(entry.release());
}

void RoomQueue::Forget(RoomWaiter* waiter) {
  const auto found = entries_.find(waiter);
  if (found == entries_.end()) return;
  found->second->waiter = nullptr;
  entries_.erase(found);
}

RoomQueue::Head RoomQueue::head() {
  while (!line_.empty() && line_.front()->waiter == nullptr) {
    delete line_.front();
    line_.pop_front();
  }
  if (line_.empty()) return {};
  const Entry& first = *line_.front();
  return {first.bytes, first.since_us, first.number};
}

void RoomQueue::AnswerHead(const Result<void>& outcome) {
  Entry* entry = line_.front();
  line_.pop_front();
  if (outcome) {
    entry->outcome = RoomGrant(promised_bytes_, entry->bytes);
  } else {
    entry->outcome = outcome.error();
  }
  deliveries_.Add(entry);
}

}  // namespace flash::blocks
