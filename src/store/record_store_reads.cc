// record_store_reads.cc: reads of the record store, from write buffers and from flash.
//
// Thread: one owner; ReadWork and UnpackWork on an I/O thread, or on the owner's where it hands
// reads to the device itself.
#include <cerrno>
#include <thread>
#include <utility>

#include "store/record_reader.h"
#include "store/record_store_impl.h"

namespace flash::store {
namespace {

// Of what is longer unpacked, unpacking is the I/O threads' work.
constexpr uint32_t kUnpackedHereMax = 16 * 1024;

bool IsLong(const RecordHeader& header) {
  return header.compressed() && header.raw_bytes > kUnpackedHereMax;
}

}  // namespace

ChecksumContext RecordStoreImpl::ContextOf(Place place) const {
  return {.hash_seed = options_.hash_seed,
          .sequence = table_.sequence(table_.SegmentOf(place.offset()))};
}

Result<ReadBuffer> RecordStoreImpl::ReadFromMemory(BlockId id, Place place,
                                                   const WriteBuffer& buffer) const {
  return UnpackTrusted(id, place, buffer.HeaderAt(place.offset()), buffer.PayloadAt(place.offset()),
                       options_.read_prefix_bytes);
}

Result<void> RecordStoreImpl::Read(ReadRequest* request) {
  CheckThread();
  const WriteBuffer* const buffer = writer_.Find(request->place);
  if (buffer == nullptr) return ReadFromFlash(request);
  const auto header = ReadHeader(buffer->HeaderAt(request->place.offset()));
  if (header && IsLong(*header)) {
    return UnpackElsewhere(request, *header, *buffer);
  }
  auto result = ReadFromMemory(request->id, request->place, *buffer);
  if (!result) ++stats_.checksum_errors;
  request->read_done(*request, std::move(result));
  return {};
}

bool RecordStoreImpl::IsReadingEnough(uint32_t bytes) const {
  return reads_inflight_ > 0 && inflight_read_bytes_ + bytes > options_.inflight_read_bytes_max;
}

/// The copy costs the owner a fraction of the unpacking, which is then an I/O thread's.
Result<void> RecordStoreImpl::UnpackElsewhere(ReadRequest* request, const RecordHeader& header,
                                              const WriteBuffer& buffer) {
  if (IsReadingEnough(request->place.bytes())) return Code::kBusy;
  request->kind = io::Task::Kind::kCompute;
  request->urgent = true;  // A reader waits; compression does not hurry.
  request->offset = 0;
  request->bytes = static_cast<uint32_t>(base::AlignUp(request->place.bytes(), alignment_));
  request->work = &UnpackWork;
  // Without the checksum, which a write task may be filling in.
  request->record.resize(header.record_bytes());
  WriteRecord(header, buffer.PayloadAt(request->place.offset()), request->record.data());
  Result<void> submitted = SubmitRead(request);
  // Offered again it may be a read from flash, whose record, if it has one, is what that found.
  if (!submitted) request->record = {};
  return submitted;
}

Result<void> RecordStoreImpl::ReadFromFlash(ReadRequest* request) {
  const Extent extent = ExtentOf(request->place, alignment_);
  if (IsReadingEnough(extent.bytes)) return Code::kBusy;
  request->kind = io::Task::Kind::kRead;
  request->offset = extent.offset;
  request->bytes = extent.bytes;
  request->work = &ReadWork;
  return SubmitRead(request);
}

Result<void> RecordStoreImpl::SubmitRead(ReadRequest* request) {
  request->done = &OnRead;
  request->store = this;
  request->sequence = ContextOf(request->place).sequence;
  request->buffer = {};
  request->failed = true;  // Until the work has run and found nothing wrong.
  request->failure = Code::kIo;
  if (auto submitted = backend_->Submit(request); !submitted) return submitted;
  table_.AddReader(table_.SegmentOf(request->place.offset()));
  ++reads_inflight_;
  inflight_read_bytes_ += request->bytes;
  return {};
}

void RecordStoreImpl::KeepResult(ReadRequest& request, const Result<ReadBuffer>& result) {
  request.failed = !result.ok();
  if (result) {
    request.buffer = *result;
  } else {
    request.failure = result.code();
  }
}

void RecordStoreImpl::UnpackWork(io::Task& task, MutableBytes /*io_bytes*/) noexcept {
  auto& request = static_cast<ReadRequest&>(task);
  const Options& options = static_cast<const RecordStoreImpl*>(request.store)->options_;
  KeepResult(request,
             UnpackTrusted(request.id, request.place, request.record,
                           request.record.data() + kRecordHeaderBytes, options.read_prefix_bytes));
}

void RecordStoreImpl::ReadWork(io::Task& task, MutableBytes io_bytes) noexcept {
  auto& request = static_cast<ReadRequest&>(task);
  // Constant while the store lives, so this is no access to shared state.
  const auto& store = static_cast<const RecordStoreImpl&>(*request.store);
  const RecordExpectation expected = {
      .id = request.id,
      .place = request.place,
      .context = {.hash_seed = store.options_.hash_seed, .sequence = request.sequence}};
  const Result<Bytes> record = FindRecord(expected, io_bytes, request.offset);
  if (!record) return KeepResult(request, record.error());
  if (std::this_thread::get_id() == store.thread_ && IsLong(*ReadHeader(*record))) {
    request.record.assign(record->begin(), record->end());
    return;
  }
  KeepResult(request,
             UnpackTrusted(request.id, request.place, *record, record->data() + kRecordHeaderBytes,
                           store.options_.read_prefix_bytes));
}

void RecordStoreImpl::OnRead(io::Task& task) noexcept {
  auto& request = static_cast<ReadRequest&>(task);
  static_cast<RecordStoreImpl*>(request.store)->FinishRead(request);
}

bool RecordStoreImpl::UnpackFound(ReadRequest* request) {
  if (request->kind != io::Task::Kind::kRead || request->record.empty()) return false;
  request->kind = io::Task::Kind::kCompute;
  request->urgent = true;
  request->work = &UnpackWork;
  if (backend_->Submit(request)) return true;
  UnpackWork(*request, {});  // Their queue is full: rather here than never.
  return false;
}

void RecordStoreImpl::FinishRead(ReadRequest& request) {
  if (UnpackFound(&request)) return;
  --reads_inflight_;
  inflight_read_bytes_ -= request.bytes;
  table_.DropReader(table_.SegmentOf(request.place.offset()));
  request.record = {};
  if (request.result == 0 && !request.failed) {
    request.read_done(request, request.buffer);
    return;
  }
  const Code code = request.result == -ETIMEDOUT ? Code::kTimeout
                    : request.result != 0        ? Code::kIo
                                                 : request.failure;
  ++(code == Code::kCorrupt   ? stats_.checksum_errors
     : code == Code::kTimeout ? stats_.read_timeouts
                              : stats_.read_errors);
  request.read_done(request, code);
}

}  // namespace flash::store
