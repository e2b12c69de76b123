// put_stage.cc: see put_stage.h. A batch belongs to exactly one of: idle, filling, full, the
// backend, ready, the backend once more. Thread: one owner; CompressPiece and CopyPiece on an I/O
// thread.
//
#include "store/put_stage.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/leave_behind.h"

namespace flash::store {
namespace {

/// Below this LZ4 cannot gain enough to matter after padding to a unit.
constexpr uint32_t kCompressBytesMin = 32;
/// What LZ4 takes to begin with a record, in bytes that it compresses meanwhile.
constexpr uint32_t kRecordCharge = 256;
/// Copied between two looks at the reads.
constexpr uint32_t kCopyPieceBytes = 256 * kKiB;

}  // namespace

PutStage::PutStage(const Options& options, io::Backend* backend)
    : options_(options), backend_(backend) {
  const size_t bytes = std::max(options.ship_bytes, options.payload_bytes_max);
  for (uint32_t i = 0; i < options.batches; ++i) {
    auto batch = std::make_unique<Batch>();
    batch->stage = this;
    batch->kind = io::Task::Kind::kCompute;
    batch->raw = PageMemory(bytes);
    batch->packed = PageMemory(bytes);
    batch->records.reserve(options.ship_records);
    idle_.push_back(batch.get());
    batches_.push_back(std::move(batch));
  }
}

PutStage::~PutStage() { FLASH_CHECK(inflight_ == 0); }

void PutStage::LeakInflight() {
  for (auto& batch : batches_) {
    if (!batch->inflight) continue;
    batch->done = nullptr;  // Read by the owner thread alone, when it reaps.
    base::LeaveBehind(std::move(batch));
  }
  inflight_ = 0;
}

Result<void> PutStage::Add(BlockId id, uint32_t ticket, Bytes payload) {
  const auto bytes = static_cast<uint32_t>(payload.size());
  if (filling_ != nullptr && filling_->raw_used + bytes > filling_->raw.size()) CloseFilling();
  if (filling_ == nullptr) {
    if (idle_.empty()) return Code::kBusy;
    filling_ = idle_.back();
    idle_.pop_back();
  }
  std::byte* copy = filling_->raw.data() + filling_->raw_used;
  std::memcpy(copy, payload.data(), bytes);
  filling_->raw_used += bytes;
  filling_->records.push_back(
      {.ticket = ticket, .header = MakeHeader(id, false, bytes, bytes), .stored = copy});
  filling_->has_large |= bytes > kPieceBytes;
  ++added_;
  pending_bytes_ += RecordBytes(bytes);
  if (filling_->raw_used >= options_.ship_bytes ||
      filling_->records.size() >= options_.ship_records) {
    CloseFilling();
  }
  return {};
}

void PutStage::CloseFilling() {
  full_.push_back(std::exchange(filling_, nullptr));
  if (full_.size() == 1 && Ship()) backend_->Kick();
}

bool PutStage::Ship() {
  if (filling_ != nullptr) full_.push_back(std::exchange(filling_, nullptr));
  bool submitted = false;
  while (!full_.empty()) {
    Batch* batch = full_.front();
    if (!options_.compress) {
      batch->ready = true;
    } else {
      if (batch->has_large && batch->packer == nullptr) {
        batch->packer = std::make_unique<PiecePacker>();
      }
      batch->work = &CompressPiece;
      batch->done = &OnCompressed;
      if (!backend_->Submit(batch)) break;  // kBusy: again at the next Ship.
      batch->inflight = true;
      ++inflight_;
      submitted = true;
    }
    full_.pop_front();
    shipped_.push_back(batch);
  }
  return submitted;
}

/// Task::work of a batch: kPieceBytes of it.
void PutStage::CompressPiece(io::Task& task, MutableBytes /*io_bytes*/) noexcept {
  auto& batch = static_cast<Batch&>(task);
  uint32_t done = 0;
  for (; batch.compressed < batch.records.size(); ++batch.compressed) {
    const Staged& record = batch.records[batch.compressed];
    const uint32_t raw = record.header.raw_bytes;
    if (raw < kCompressBytesMin) continue;
    task.more = done > 0 && done + raw > kPieceBytes;
    if (task.more) return;
    if (raw > kPieceBytes) {
      task.more = !PackPiece(batch);
      if (task.more) return;
      done = kPieceBytes;
    } else {
      KeepPacked(batch, PackPayload({record.stored, raw},
                                    batch.packed.bytes().subspan(batch.packed_used)));
      done += raw + kRecordCharge;
    }
  }
}

/// A piece of the record that is next, larger than one. True: that was its last.
bool PutStage::PackPiece(Batch& batch) {
  const Staged& record = batch.records[batch.compressed];
  if (!batch.packing) {
    batch.packer->Begin({record.stored, record.header.raw_bytes},
                        batch.packed.bytes().subspan(batch.packed_used));
  }
  batch.packing = !batch.packer->Step();
  if (batch.packing) return false;
  KeepPacked(batch, batch.packer->packed_bytes());
  return true;
}

/// The record that is next now lies behind those packed before it; 0: stays as it is.
void PutStage::KeepPacked(Batch& batch, uint32_t packed) {
  if (packed == 0) return;
  Staged& record = batch.records[batch.compressed];
  record.header = MakeHeader(record.header.id(), true, record.header.raw_bytes, packed);
  record.stored = batch.packed.data() + batch.packed_used;
  batch.packed_used += packed;
}

void PutStage::OnCompressed(io::Task& task) noexcept {
  auto& batch = static_cast<Batch&>(task);
  batch.inflight = false;
  batch.ready = true;
  --batch.stage->inflight_;
}

const PutStage::Staged* PutStage::Front() {
  if (!HasReady()) return nullptr;
  const Batch* batch = shipped_.front();
  return &batch->records[batch->next];
}

void PutStage::Pop() {
  Batch* batch = shipped_.front();
  pending_bytes_ -= RecordBytes(batch->records[batch->next].header.raw_bytes);
  ++popped_;
  if (++batch->next < batch->records.size()) return;
  shipped_.pop_front();
  Finish(batch);
}

void PutStage::PopLate(const LatePayload& late) {
  Batch* batch = shipped_.front();
  batch->late.push_back(late);
  batch->late_bytes += late.bytes;
  Pop();
}

void PutStage::CopyNow() {
  if (!shipped_.empty()) CopyHere(*shipped_.front());
}

void PutStage::Finish(Batch* batch) {
  batch->work = &CopyPiece;
  batch->done = &OnCopied;
  if (!batch->late.empty() && batch->late_bytes >= options_.copy_task_bytes_min &&
      backend_->Submit(batch)) {
    batch->inflight = true;
    ++inflight_;
    ++copies_inflight_;
    submitted_ = true;
    return;
  }
  CopyHere(*batch);
  Recycle(batch);
}

/// Task::work of a batch whose records are out: kCopyPieceBytes of what is late.
void PutStage::CopyPiece(io::Task& task, MutableBytes /*io_bytes*/) noexcept {
  auto& batch = static_cast<Batch&>(task);
  uint32_t room = kCopyPieceBytes;
  while (batch.late_done < batch.late.size() && room > 0) {
    const LatePayload& late = batch.late[batch.late_done];
    const uint32_t bytes = std::min(room, late.bytes - batch.late_used);
    std::memcpy(late.to + batch.late_used, late.from + batch.late_used, bytes);
    room -= bytes;
    batch.late_used += bytes;
    if (batch.late_used < late.bytes) break;
    ++batch.late_done;
    batch.late_used = 0;
  }
  task.more = batch.late_done < batch.late.size();
}

void PutStage::OnCopied(io::Task& task) noexcept {
  auto& batch = static_cast<Batch&>(task);
  PutStage& stage = *batch.stage;
  batch.inflight = false;
  --stage.inflight_;
  --stage.copies_inflight_;
  stage.EndCopies(batch);
  stage.Recycle(&batch);
}

void PutStage::CopyHere(Batch& batch) {
  for (const LatePayload& late : batch.late) std::memcpy(late.to, late.from, late.bytes);
  EndCopies(batch);
}

void PutStage::EndCopies(Batch& batch) {
  for (const LatePayload& late : batch.late) options_.copied(late);
  batch.late.clear();
  batch.late_bytes = batch.late_used = 0;
  batch.late_done = 0;
}

void PutStage::Recycle(Batch* batch) {
  batch->records.clear();
  batch->raw_used = 0;
  batch->next = 0;
  batch->compressed = 0;
  batch->packed_used = 0;
  batch->has_large = false;
  batch->ready = false;
  idle_.push_back(batch);
}

uint64_t PutStage::buffer_bytes() const {
  uint64_t bytes = 0;
  for (const auto& batch : batches_) {
    bytes += batch->raw.size() + batch->packed.size();
    if (batch->packer != nullptr) bytes += PiecePacker::memory_bytes();
  }
  return bytes;
}

}  // namespace flash::store
