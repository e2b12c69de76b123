// log_writer.cc: see log_writer.h. A buffer is in `closed_` exactly while kClosed and in `failed_`
// exactly while kFailed. Thread: one owner.
//
#include "store/log_writer.h"

#include <algorithm>

namespace flash::store {
namespace {

WriteStream::Options StreamOptions(const LogWriter::Options& options, StreamKind kind,
                                   uint32_t alignment) {
  return {.kind = kind,
          .buffers = options.buffers_per_stream,
          .buffer_bytes = options.buffer_bytes,
          .alignment = alignment,
          .hash_seed = options.hash_seed};
}

}  // namespace

LogWriter::LogWriter(const Options& options, SegmentTable* table, io::Backend* backend,
                     const base::Clock* clock, RecordOwner* owner)
    : options_(options),
      table_(table),
      backend_(backend),
      clock_(clock),
      owner_(owner),
      streams_{WriteStream(StreamOptions(options, StreamKind::kFresh, backend->alignment()), table,
                           &closed_),
               WriteStream(StreamOptions(options, StreamKind::kSurvivor, backend->alignment()),
                           table, &closed_)} {
  for (WriteStream& stream : streams_) {
    for (auto& buffer : stream.buffers()) {
      buffer->done = &OnWritten;
      buffer->writer = this;
    }
  }
}

LogWriter::~LogWriter() { FLASH_CHECK(inflight_ == 0); }

void LogWriter::Pump() {
  if (failing_) {
    Probe();
    return;
  }
  RetargetFailed(failed_.size());
  while (HasWhole() && Submit(*closed_.front())) closed_.pop_front();
}

void LogWriter::Probe() {
  if (probe_ != nullptr || clock_->NowUs() < retry_at_us_) return;
  RetargetFailed(1);
  if (!HasWhole() || !Submit(*closed_.front())) return;
  probe_ = closed_.front();
  closed_.pop_front();
}

void LogWriter::RetargetFailed(size_t count) {
  for (; count > 0 && !failed_.empty(); --count) {
    WriteBuffer* buffer = failed_.front();
    WriteStream& stream = streams_[static_cast<size_t>(buffer->stream)];
    const bool wanted = AnyKept(*buffer);
    if (wanted && !stream.Retarget(*buffer, *owner_)) {
      stuck_at_freed_ = table_->totals().freed;
      return;
    }
    stuck_at_freed_.reset();
    failed_.pop_front();
    if (wanted) {
      closed_.push_front(buffer);
    } else {
      stream.Release(*buffer);
    }
  }
}

bool LogWriter::AnyKept(const WriteBuffer& buffer) {
  if (table_->live(buffer.segment) == 0) return false;
  for (uint32_t at = 0; at < buffer.used;) {
    const auto header = ReadHeader({buffer.data + at, buffer.used - at});
    FLASH_CHECK(header);
    const uint32_t bytes = header->record_bytes();
    const Place place((buffer.offset + at) / kUnitBytes, bytes / static_cast<uint32_t>(kUnitBytes));
    const BlockId id = header->id();
    if (owner_->IsLive(id, place) && !owner_->GiveUp(id, place)) return true;
    at += bytes;
  }
  return false;
}

bool LogWriter::IsStuck() const { return stuck_at_freed_ == table_->totals().freed; }

bool LogWriter::CanProgress() const {
  return inflight_ > 0 || !closed_.empty() || (!failed_.empty() && !IsStuck());
}

bool LogWriter::Submit(WriteBuffer& buffer) {
  if (!backend_->Submit(&buffer)) return false;
  buffer.state = WriteBuffer::State::kWriting;
  ++inflight_;
  submitted_ = true;
  counters_.bytes_submitted += buffer.bytes;
  return true;
}

void LogWriter::OnWritten(io::Task& task) noexcept {
  auto& buffer = static_cast<WriteBuffer&>(task);
  LogWriter& writer = *buffer.writer;
  --writer.inflight_;
  const bool was_probe = writer.probe_ == &buffer;
  if (was_probe) writer.probe_ = nullptr;
  if (buffer.result == 0) {
    writer.OnSuccess(buffer);
  } else {
    writer.OnFailure(buffer, was_probe);
  }
}

void LogWriter::OnSuccess(WriteBuffer& buffer) {
  failing_ = false;
  backoff_us_ = 0;
  const uint64_t end = buffer.offset + buffer.bytes;
  table_->NotePrepared(buffer.segment,
                       static_cast<uint32_t>((end - table_->BeginOf(buffer.segment)) / kUnitBytes));
  streams_[static_cast<size_t>(buffer.stream)].Release(buffer);
}

void LogWriter::OnFailure(WriteBuffer& buffer, bool was_probe) {
  ++counters_.errors;
  // While the whole device fails, the segments that happen to be tried are not to blame.
  if (!failing_) table_->NoteWriteFailure(buffer.segment);
  if (!failing_ || was_probe) {
    backoff_us_ = std::clamp(backoff_us_ * 2, kBackoffUsMin,
                             std::max(kBackoffUsMin, options_.retry_backoff_us_max));
    retry_at_us_ = clock_->NowUs() + backoff_us_;
  }
  failing_ = true;
  buffer.state = WriteBuffer::State::kFailed;
  failed_.push_back(&buffer);
  for (WriteStream& stream : streams_) stream.GiveUp(buffer.segment);
}

bool LogWriter::WantsPump() const {
  // A failed buffer for which no segment was free waits until one is.
  if (!HasWhole() && (failed_.empty() || IsStuck())) return false;
  return !failing_ || (probe_ == nullptr && clock_->NowUs() >= retry_at_us_);
}

const WriteBuffer* LogWriter::Find(Place place) const {
  for (const WriteStream& stream : streams_) {
    for (const auto& buffer : stream.buffers()) {
      if (buffer->Holds(place.offset())) return buffer.get();
    }
  }
  return nullptr;
}

uint64_t LogWriter::buffer_bytes() const {
  uint64_t bytes = 0;
  for (const WriteStream& stream : streams_) bytes += stream.memory_bytes();
  return bytes;
}

uint64_t LogWriter::buffered_records_bytes() const {
  uint64_t bytes = 0;
  for (const WriteStream& stream : streams_) {
    for (const auto& buffer : stream.buffers()) {
      if (buffer->state != WriteBuffer::State::kIdle) bytes += buffer->used;
    }
  }
  return bytes;
}

void LogWriter::LeakInflight() {
  for (WriteStream& stream : streams_) stream.LeakInflight();
  inflight_ = 0;
}

void LogWriter::CheckInvariants() const {
  using State = WriteBuffer::State;
  uint32_t writing = 0;
  for (const WriteStream& stream : streams_) {
    uint32_t filling = 0;
    for (const auto& buffer : stream.buffers()) {
      writing += buffer->state == State::kWriting ? 1 : 0;
      filling += buffer->state == State::kFilling ? 1 : 0;
      FLASH_CHECK(buffer->late.empty() || buffer->state == State::kFilling ||
                  buffer->state == State::kClosed);
      if (buffer->state == State::kIdle) continue;
      FLASH_CHECK(table_->state(buffer->segment) != SegmentState::kFree);
      FLASH_CHECK(buffer->context.sequence == table_->sequence(buffer->segment));
      FLASH_CHECK(buffer->offset >= table_->BeginOf(buffer->segment));
      FLASH_CHECK(buffer->offset + buffer->used <= table_->WrittenEnd(buffer->segment));
    }
    FLASH_CHECK(filling <= 1);
  }
  FLASH_CHECK(writing == inflight_);
  for (const WriteBuffer* buffer : closed_) FLASH_CHECK(buffer->state == State::kClosed);
  for (const WriteBuffer* buffer : failed_) FLASH_CHECK(buffer->state == State::kFailed);
}

}  // namespace flash::store
