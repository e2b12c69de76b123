// write_stream.cc: see write_stream.h. Invariant: while a buffer is filling, the open segment's
// written end is that buffer's offset plus its used bytes; otherwise it is a multiple of the
// alignment. Thread: one owner; SealBuffer on an I/O thread.
#include "store/write_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/leave_behind.h"

namespace flash::store {
namespace {

/// Task::work of a write: zeros behind the last record, checksums in all. The owner thread reads
/// records of the buffer meanwhile, but neither their checksums nor the bytes behind them.
void SealBuffer(io::Task& task, MutableBytes io_bytes) noexcept {
  auto& buffer = static_cast<WriteBuffer&>(task);
  std::memset(io_bytes.data() + buffer.used, 0, io_bytes.size() - buffer.used);
  SealRecords(io_bytes.first(buffer.used), buffer.offset, buffer.context);
}

/// The one that goes to `to`.
auto FindLate(auto& late, const std::byte* to) {
  const auto found = std::lower_bound(
      late.begin(), late.end(), to,
      [](const LatePayload& payload, const std::byte* wanted) { return payload.to < wanted; });
  return found != late.end() && found->to == to ? found : late.end();
}

}  // namespace

WriteStream::WriteStream(const Options& options, SegmentTable* table, ClosedBuffers* closed)
    : options_(options),
      buffer_step_(base::AlignUp(options.buffer_bytes, options.alignment)),
      table_(table),
      closed_(closed) {
  memory_ = PageMemory(options.buffers * buffer_step_, base::PageKind::kHuge);
  for (uint32_t i = 0; i < options.buffers; ++i) {
    auto buffer = std::make_unique<WriteBuffer>();
    buffer->kind = io::Task::Kind::kWrite;
    buffer->work = &SealBuffer;
    buffer->data = memory_.data() + i * buffer_step_;
    buffer->stream = options.kind;
    buffer->context.hash_seed = options.hash_seed;
    buffers_.push_back(std::move(buffer));
  }
}

const std::byte* WriteBuffer::PayloadAt(uint64_t at) const {
  const std::byte* const payload = data + (at - offset) + kRecordHeaderBytes;
  const auto found = FindLate(late, payload);
  return found != late.end() ? found->from : payload;
}

void WriteStream::LeakInflight() {
  for (auto& buffer : buffers_) {
    if (buffer->state != WriteBuffer::State::kWriting) continue;
    buffer->done = nullptr;  // Read by the owner thread alone, when it reaps.
    base::LeaveBehind(std::move(buffer));
    memory_.Leak();
  }
}

uint64_t WriteStream::RemainingBytes() const {
  if (!open_) return 0;
  const uint64_t end = table_->WrittenEnd(*open_);
  // As if the filling buffer had to be closed first.
  return table_->EndOf(*open_) - base::AlignUp(end, options_.alignment);
}

AppendStatus WriteStream::Append(const RecordHeader& header, const std::byte* stored,
                                 Place* place) {
  const AppendStatus status = MakeRoom(header.record_bytes());
  if (status == AppendStatus::kOk) WriteRecord(header, stored, Take(header, place));
  return status;
}

AppendStatus WriteStream::AppendLate(const RecordHeader& header, const std::byte* stored,
                                     Place* place, LatePayload* late) {
  const AppendStatus status = MakeRoom(header.record_bytes());
  if (status != AppendStatus::kOk) return status;
  std::byte* const to = Take(header, place);
  WriteRecordFrame(header, to);
  *late = {.from = stored, .to = to + kRecordHeaderBytes, .bytes = header.stored_bytes};
  filling_->late.push_back(*late);
  return status;
}

void WriteStream::EndLate(const LatePayload& payload) {
  const auto index = static_cast<size_t>(payload.to - memory_.data()) / buffer_step_;
  std::vector<LatePayload>& late = buffers_[index]->late;
  const auto found = FindLate(late, payload.to);
  FLASH_CHECK(found != late.end());
  late.erase(found);
}

AppendStatus WriteStream::MakeRoom(uint32_t bytes) {
  if (filling_ != nullptr) {
    const uint64_t room =
        std::min<uint64_t>(options_.buffer_bytes, table_->EndOf(*open_) - filling_->offset);
    if (filling_->used + bytes <= room) return AppendStatus::kOk;
  }
  if (RemainingBytes() >= bytes) {
    CloseFilling();
  } else if (!OpenNext(options_.kind == StreamKind::kSurvivor)) {
    return AppendStatus::kNoSegment;
  }
  WriteBuffer* next = TakeIdle();
  if (next == nullptr) return AppendStatus::kNoBuffer;
  Bind(*next);
  return AppendStatus::kOk;
}

WriteBuffer* WriteStream::TakeIdle() {
  for (auto& buffer : buffers_) {
    if (buffer->state == WriteBuffer::State::kIdle) return buffer.get();
  }
  return nullptr;
}

bool WriteStream::OpenNext(bool from_reserve) {
  const auto next = table_->Open(from_reserve);
  if (!next) return false;
  SealOpen();
  open_ = next;
  return true;
}

void WriteStream::Bind(WriteBuffer& buffer) {
  FLASH_CHECK(filling_ == nullptr && open_);
  buffer.state = WriteBuffer::State::kFilling;
  buffer.segment = *open_;
  buffer.offset = table_->WrittenEnd(*open_);
  buffer.used = 0;
  buffer.context.sequence = table_->sequence(*open_);
  FLASH_CHECK(buffer.offset % options_.alignment == 0);
  table_->AddWriter(*open_);
  filling_ = &buffer;
}

std::byte* WriteStream::Take(const RecordHeader& header, Place* place) {
  WriteBuffer& buffer = *filling_;
  const uint32_t units = header.record_bytes() / static_cast<uint32_t>(kUnitBytes);
  std::byte* const to = buffer.data + buffer.used;
  *place = Place((buffer.offset + buffer.used) / kUnitBytes, units);
  buffer.used += header.record_bytes();
  table_->AppendLive(buffer.segment, units);
  return to;
}

void WriteStream::RollBack(Place place) {
  FLASH_CHECK(filling_ != nullptr &&
              place.offset() + place.bytes() == filling_->offset + filling_->used);
  filling_->used -= place.bytes();
  auto& late = filling_->late;
  if (!late.empty() && late.back().to >= filling_->data + filling_->used) late.pop_back();
  table_->RollBack(filling_->segment, place.units());
}

void WriteStream::CloseFilling() {
  if (filling_ == nullptr) return;
  WriteBuffer& buffer = *std::exchange(filling_, nullptr);
  if (buffer.used == 0) {
    Release(buffer);
    return;
  }
  buffer.bytes = static_cast<uint32_t>(base::AlignUp(buffer.used, options_.alignment));
  table_->AppendPadding(buffer.segment,
                        (buffer.bytes - buffer.used) / static_cast<uint32_t>(kUnitBytes));
  buffer.state = WriteBuffer::State::kClosed;
  closed_->push_back(&buffer);
}

void WriteStream::SealOpen() {
  CloseFilling();
  if (open_) table_->Seal(*open_);
  open_.reset();
}

void WriteStream::GiveUp(SegmentIndex segment) {
  if (open_ != segment) return;
  SealOpen();
}

void WriteStream::Release(WriteBuffer& buffer) {
  FLASH_CHECK(buffer.late.empty());
  buffer.state = WriteBuffer::State::kIdle;
  table_->DropWriter(buffer.segment);
}

bool WriteStream::Retarget(WriteBuffer& buffer, RecordOwner& owner) {
  FLASH_CHECK(buffer.state == WriteBuffer::State::kFailed);
  if (RemainingBytes() < buffer.bytes) {
    if (!OpenNext(true)) return false;
  } else {
    CloseFilling();
  }
  const SegmentIndex old_segment = buffer.segment;
  const uint64_t old_offset = buffer.offset;
  buffer.segment = *open_;
  buffer.offset = table_->WrittenEnd(*open_);
  buffer.context.sequence = table_->sequence(*open_);
  table_->AddWriter(buffer.segment);
  for (uint32_t at = 0; at < buffer.used;) {
    const auto header = ReadHeader({buffer.data + at, buffer.used - at});
    FLASH_CHECK(header);
    const uint32_t units = header->record_bytes() / static_cast<uint32_t>(kUnitBytes);
    const Place from((old_offset + at) / kUnitBytes, units);
    const Place to((buffer.offset + at) / kUnitBytes, units);
    // Live at the new place before the owner hears of it: the owner may free it within the call.
    table_->AppendLive(buffer.segment, units);
    table_->Free(owner.OnMoved(header->id(), from, to) ? old_segment : buffer.segment, units);
    at += header->record_bytes();
  }
  table_->AppendPadding(buffer.segment,
                        (buffer.bytes - buffer.used) / static_cast<uint32_t>(kUnitBytes));
  table_->DropWriter(old_segment);
  buffer.state = WriteBuffer::State::kClosed;
  return true;
}

}  // namespace flash::store
