// fake_record_store.cc: see fake_record_store.h.
//
// Thread: one.
#include "tests/support/fake_record_store.h"

#include <algorithm>
#include <utility>

#include "base/memory.h"

namespace flash::testing {

FakeRecordStore::~FakeRecordStore() { FLASH_CHECK(reads_.empty()); }

store::Place FakeRecordStore::NewPlace(size_t bytes) {
  const auto units =
      static_cast<uint32_t>((bytes + 16 + store::kUnitBytes - 1) / store::kUnitBytes);
  const store::Place place(next_unit_, units);
  next_unit_ += units;
  return place;
}

Result<void> FakeRecordStore::Put(BlockId id, uint32_t ticket, Bytes payload) {
  if (refuse_puts) return *refuse_puts;
  if (!HasRoomFor(payload.size())) return Code::kNoSpace;
  live_bytes_ += payload.size();
  puts_.push_back({id, ticket, {payload.begin(), payload.end()}});
  return {};
}

void FakeRecordStore::FinishPuts(size_t count) {
  for (; count > 0 && !puts_.empty(); --count) {
    PendingPut put = std::move(puts_.front());
    puts_.pop_front();
    const store::Place place = NewPlace(put.bytes.size());
    const auto added = records_.emplace(place.bits(), Record{put.id, std::move(put.bytes)}).first;
    if (!owner_.OnPut(put.id, put.ticket, place)) {
      live_bytes_ -= added->second.bytes.size();
      records_.erase(added);
    }
  }
}

void FakeRecordStore::FailPuts(Code code) {
  for (const PendingPut& put : std::exchange(puts_, {})) {
    live_bytes_ -= put.bytes.size();
    owner_.OnPutFailed(put.id, put.ticket, code);
  }
}

store::ReadBuffer FakeRecordStore::BufferOf(const std::vector<std::byte>& bytes) const {
  const uint32_t prefix = options_.read_prefix_bytes;
  auto* memory = static_cast<std::byte*>(base::Allocate(prefix + bytes.size()));
  std::copy(bytes.begin(), bytes.end(), memory + prefix);
  return {memory, static_cast<uint32_t>(bytes.size())};
}

void FakeRecordStore::Answer(const PendingRead& read) {
  if (fail_reads) {
    read.request->read_done(*read.request, *fail_reads);
  } else {
    read.request->read_done(*read.request, BufferOf(read.bytes));
  }
}

Result<void> FakeRecordStore::Read(store::ReadRequest* request) {
  if (refuse_reads) return *refuse_reads;
  ++reads_started;
  const Record& record = records_.at(request->place.bits());
  FLASH_CHECK(record.id == request->id);
  PendingRead read{request, record.bytes};
  if (answer_reads_at_once) {
    Answer(read);
  } else {
    reads_.push_back(std::move(read));
  }
  return {};
}

void FakeRecordStore::FinishReads() {
  for (const PendingRead& read : std::exchange(reads_, {})) Answer(read);
}

void FakeRecordStore::Free(store::Place place) {
  const auto found = records_.find(place.bits());
  FLASH_CHECK(found != records_.end());
  live_bytes_ -= found->second.bytes.size();
  records_.erase(found);
}

void FakeRecordStore::Tick(uint64_t /*budget_us*/) {
  if (!hold_puts) FinishPuts();
  if (!hold_reads) FinishReads();
}

bool FakeRecordStore::Compact(store::Place place) {
  const Record record = records_.at(place.bits());
  if (!owner_.IsLive(record.id, place) || owner_.GiveUp(record.id, place)) return false;
  const store::Place to = NewPlace(record.bytes.size());
  records_.emplace(to.bits(), record);
  if (!owner_.OnMoved(record.id, place, to)) {
    records_.erase(to.bits());
    return false;
  }
  records_.erase(place.bits());
  return true;
}

store::Place FakeRecordStore::PlaceOf(BlockId id) const {
  for (const auto& [bits, record] : records_) {
    if (record.id == id) return store::Place::FromBits(bits);
  }
  FLASH_CHECK(false);
  return {};
}

Result<store::ReadBuffer> FakeRecordStore::ReadInChild(BlockId id, store::Place place,
                                                       store::SnapshotSource& /*source*/) const {
  const auto found = records_.find(place.bits());
  if (found == records_.end() || found->second.id != id) return Code::kCorrupt;
  return BufferOf(found->second.bytes);
}

void FakeRecordStore::ReadManyInChild(std::span<const store::RecordRef> records,
                                      store::SnapshotSource& /*source*/,
                                      const VisitRecord& visit) const {
  for (size_t i = 0; i < records.size(); ++i) {
    const auto found = records_.find(records[i].place.bits());
    if (found == records_.end() || found->second.id != records[i].id) {
      visit(i, Code::kCorrupt);
    } else {
      visit(i, Bytes(found->second.bytes));
    }
  }
}

}  // namespace flash::testing
