// save_source.cc: see save_source.h.
//
// Thread: main, or the only one of a forked child.
#include "types/save_source.h"

#include <unistd.h>

#include <utility>

#include "io/tier_devices.h"
#include "server/engine.h"

namespace flash::types {
namespace {

constexpr uint32_t kEntries = 64;

struct Current {
  SaveSource* source = nullptr;
  pid_t pid = 0;
  uint64_t tier = 0;  // Engine::tiers_opened then.
};
constinit Current current;

}  // namespace

std::unique_ptr<io::RangeReader> SaveSource::OpenReader() {
  server::Engine& engine = server::Engine::Get();
  if (!engine.has_tier()) return nullptr;
  auto device = engine.devices().MakeForWaiting(kEntries);
  if (!device) return nullptr;
  const uint64_t timeout_us = uint64_t{engine.settings().io_timeout_ms} * 1000;
  return std::make_unique<io::RangeReader>(io::RangeReader::Options{.timeout_us = timeout_us},
                                           std::move(device).Take(), &engine.clock());
}

bool SaveSource::hung() const {
  return (batches_ != nullptr && batches_->hung()) || (single_ != nullptr && single_->hung());
}

SaveSource* SaveSource::Get(bool in_child) {
  // A parent's source means nothing here: neither its ring nor its threads are in a child. One that
  // hangs is left to itself, as its transfers may still end.
  const uint64_t tier = server::Engine::Get().tiers_opened();
  const bool own = current.pid == getpid() && !current.source->hung();
  if (own && current.tier == tier) return current.source;
  if (own) delete std::exchange(current, {}).source;  // Over a file that was closed.
  // raw new: not destroyed while its device may still answer.
  auto* const source = new SaveSource;
  source->batches_ = OpenReader();
  if (source->batches_ == nullptr && !in_child) {
    delete source;
    return nullptr;
  }
  current = {source, getpid(), tier};
  return source;
}

Result<void> SaveSource::ReadAt(uint64_t offset, MutableBytes into) {
  if (batches_ != nullptr) {
    if (single_ == nullptr) single_ = OpenReader();
    if (single_ != nullptr) {
      const io::RangeReader::Range range{offset, into};
      single_->Start({&range, 1});
      return single_->Finish();
    }
  }
  if (file_ == nullptr) {
    if (!server::Engine::Get().has_tier()) return Code::kIo;
    Result<std::unique_ptr<io::ChildFile>> opened =
        io::ChildFile::Open(server::Engine::Get().file());
    if (!opened) return opened.error();
    file_ = std::move(opened).Take();
  }
  return file_->ReadAt(offset, into);
}

void SaveSource::Start(std::span<const Range> ranges) {
  if (batches_ == nullptr) return SnapshotSource::Start(ranges);
  ranges_.clear();
  for (const Range& range : ranges) ranges_.push_back({range.offset, range.into});
  batches_->Start(ranges_);
}

Result<void> SaveSource::Finish() {
  return batches_ == nullptr ? SnapshotSource::Finish() : batches_->Finish();
}

}  // namespace flash::types
