// log.cc: opening, reading and looking; the rest of Log is in log_begin, log_write and log_keep.
// Everything verified here is verified before anything may be written.
// Thread: as log.h says.
#include "log/log.h"

#include <sys/random.h>

#include <algorithm>

namespace flash::log {

LogId Storage::NewId() {
  LogId id{};
  while (getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
  }
  return id;
}

Result<std::unique_ptr<Log>> Log::Open(std::unique_ptr<Storage> storage, const Options& options,
                                       const base::Clock* clock) {
  // raw new: private constructor
  std::unique_ptr<Log> log(new Log(std::move(storage), options, clock));
  auto device = log->storage_->MakeDevice();
  if (!device) return device.error();
  log->own_ = std::make_unique<Transfers>(std::move(device).Take(), clock);
  if (auto read = log->ReadAll(); !read) return read.error();
  if (options.thread) {
    if (auto started = log->StartThread(); !started) return started.error();
  }
  return log;
}

Log::Log(std::unique_ptr<Storage> storage, const Options& options, const base::Clock* clock)
    : storage_(std::move(storage)),
      options_(options),
      clock_(clock),
      segment_bytes_(options.segment_bytes) {
  FLASH_CHECK(options.segment_bytes >= kSegmentBytesMin);
  FLASH_CHECK(options.segment_bytes <= kSegmentBytesMax);
  FLASH_CHECK((options.segment_bytes & (options.segment_bytes - 1)) == 0);
  options_.segments_ahead = std::max(options.segments_ahead, 2U);
}

Log::~Log() {
  {
    const Lock lock(mutex_);
    stop_ = true;
    wanted_.notify_all();
    watched_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  if (watch_.joinable()) watch_.join();
  // A device that never answered may still read the buffers.
  if (stage_ != nullptr && (!thread_idle_ || !own_->idle())) stage_->Leak();
}

Result<void> Log::ReadAll() {
  auto device = storage_->MakeDevice();
  if (!device) return device.error();
  PageSource source(std::move(device).Take(), storage_->bytes(), options_.io_timeout_us, clock_);
  auto superblock = ReadSuperblocks(&source, storage_->name());
  if (!superblock) return superblock.error();
  if (!*superblock) return {};
  superblock_ = **superblock;
  has_superblock_ = true;
  segment_bytes_ = superblock_.segment_bytes;
  for (const Chain* chain : {&superblock_.current, &superblock_.previous}) {
    if (chain->none()) continue;
    auto scanned = ScanChain(&source, superblock_, *chain, storage_->name());
    if (!scanned) return scanned.error();
    const bool is_current = chain == &superblock_.current;
    found_.push_back({.id = chain->id,
                      .cut_lsn = chain->cut_lsn,
                      .last_lsn = scanned->last_lsn,
                      .units = scanned->units,
                      .bytes = scanned->bytes,
                      .torn_bytes = scanned->torn_bytes,
                      .closed = is_current && superblock_.state == FileState::kClosed,
                      .awaited_base = is_current && !superblock_.previous.none()});
    scanned_.push_back(std::move(scanned).Take());
  }
  return {};
}

const Scanned* Log::ScannedOf(const LogId& id) const {
  for (const Scanned& one : scanned_) {
    if (one.chain.id == id) return &one;
  }
  return nullptr;
}

Result<std::unique_ptr<LogReader>> Log::Read(const LogId& id, Lsn after) {
  const Scanned* scanned = ScannedOf(id);
  if (scanned == nullptr) {
    return Error{Code::kGone, "log " + storage_->name() + ": the snapshot belongs to another log"};
  }
  if (after < scanned->chain.cut_lsn) {
    return Error{Code::kCorrupt, "log " + storage_->name() + ": begins behind LSN " +
                                     std::to_string(scanned->chain.cut_lsn) +
                                     ", the snapshot ends at " + std::to_string(after)};
  }
  auto device = storage_->MakeDevice();
  if (!device) return device.error();
  auto source = std::make_unique<PageSource>(std::move(device).Take(), storage_->bytes(),
                                             options_.io_timeout_us, clock_);
  return std::make_unique<LogReader>(std::move(source), *scanned, segment_bytes_, after);
}

bool Log::awaits_base() const {
  const Lock lock(mutex_);
  return awaits_base_;
}

State Log::state() const {
  const Lock lock(mutex_);
  return state_;
}

Error Log::failure() const {
  const Lock lock(mutex_);
  return failure_;
}

Lsn Log::appended_lsn() const {
  const Lock lock(mutex_);
  return appended_.lsn;
}

Lsn Log::durable_lsn() const {
  const Lock lock(mutex_);
  return durable_.lsn;
}

Lsn Log::cut_lsn() const {
  const Lock lock(mutex_);
  return superblock_.current.cut_lsn;
}

uint64_t Log::used_bytes() const {
  const Lock lock(mutex_);
  return uint64_t{slots_.count() - slots_.free()} * segment_bytes_;
}

std::string Log::room_error() const {
  const Lock lock(mutex_);
  return room_error_;
}

Counters Log::counters() const {
  const Lock lock(mutex_);
  return counters_;
}

}  // namespace flash::log
