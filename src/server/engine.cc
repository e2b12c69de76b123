// engine.cc: opens the parts in their order and takes care that none is left behind.
//
// The file and its lock first, then the I/O threads with a device each, then the pool with its
// store. Thread: main.
#include "server/engine.h"

#include <sys/random.h>

#include <new>
#include <utility>

#include "io/tier_devices.h"
#include "server/cpu_count.h"
#include "vk/log.h"

namespace flash::server {
namespace {

/// Mixed into checksums, so that bytes of an earlier run can never pass.
uint64_t RandomSeed() {
  uint64_t seed = 0;
  FLASH_CHECK(getrandom(&seed, sizeof(seed), 0) == static_cast<ssize_t>(sizeof(seed)));
  return seed;
}

blocks::BlockPool::Options PoolOptions(const Settings& settings) {
  constexpr uint64_t kUnit = 4096;  // As the file rounds.
  blocks::BlockPool::Options options;
  options.cache_bytes = settings.cache_size_bytes;
  options.demotion_batch = settings.demotion_batch;
  options.demotion_inflight_max = settings.demotion_max_inflight;
  options.tiering = false;  // The tier comes later, if at all.
  options.store.capacity_bytes = base::AlignDown(settings.capacity_bytes, kUnit);
  return options;
}

/// No record of an earlier store over the same file may pass for one of this.
blocks::BlockPool::StoreMaker StoreOver(const io::FlashFile& file,
                                        const blocks::BlockPool::StoreMaker& real) {
  return [real, &file](store::RecordStore::Options options, store::RecordOwner* owner) {
    options.hash_seed = RandomSeed();
    auto store = real(options, owner);
    if (store) (*store)->NoteWritten(file.written_before());
    return store;
  };
}

}  // namespace

Engine::Engine() = default;
Engine::~Engine() = default;

Result<void> Engine::Open(const Settings& settings, bool with_tier) {
  FLASH_CHECK(the_engine_ == nullptr);
  // raw new: the engine outlives static destruction, during which the server may still free values.
  auto* const engine = new Engine;
  engine->settings_ = settings;
  if (Result<void> opened = engine->OpenParts(with_tier); !opened) {
    delete engine;
    return opened;
  }
  the_engine_ = engine;
  is_open_ = true;
  return {};
}

Result<void> Engine::OpenParts(bool with_tier) {
  devices_ = std::make_unique<io::TierDevices>(nullptr);
  auto pool = blocks::TieredPool::Open(PoolOptions(settings_), nullptr, &clock_);
  if (!pool) return pool.error();
  pool_ = std::move(pool).Take();
  if (settings_.path == Settings().path) {
    vk::LogWarning("flash.path is not set: using " + settings_.path +
                   ", which is for trying out; choose a file on a local NVMe disk");
  }
  if (!with_tier) return CheckTier();
  auto file = io::FlashFile::Open(FileOptions());
  if (!file) return file.error();
  return OpenTier(std::move(file).Take());
}

io::FlashFile::Options Engine::FileOptions() const {
  return {.path = settings_.path, .capacity_bytes = settings_.capacity_bytes, .direct = true};
}

Result<void> Engine::CheckTier() {
  const auto checked = io::FlashFile::Check(FileOptions());
  if (!checked) return checked.error();
  if (!checked->no_room.empty()) {
    vk::LogWarning("a promotion could not open the tier now: " + checked->no_room);
  }
  if (Result<void> decided = devices_->Decide(settings_.io_backend); !decided) return decided;
  for (const std::string& line : devices_->notes()) vk::LogNotice(line);
  hash_seed_ = checked->hash_seed;
  while (hash_seed_ == 0) hash_seed_ = RandomSeed();
  return {};
}

Result<void> Engine::StartBackend() {
  devices_->SetFile(file_.get());
  io::ThreadedBackend::Options threads;
  threads.threads = settings_.io_threads;
  threads.background_threads = BackgroundThreads(UsableCpus());
  threads.entries = settings_.io_uring_entries;
  threads.owner_reads_max = settings_.main_thread_reads;
  auto backend = devices_->Start(settings_.io_backend, threads, &clock_);
  if (!backend) return backend.error();
  backend_ = std::move(backend).Take();
  return {};
}

Result<void> Engine::OpenTier(std::unique_ptr<io::FlashFile> file) {
  FLASH_CHECK(backend_ == nullptr);
  file_ = std::move(file);
  Result<void> opened = StartBackend();
  if (opened && hash_seed_ != 0) opened = file_->KeepHashSeed(hash_seed_);
  if (opened) {
    const auto real = blocks::BlockPool::RealStore(backend_.get(), &clock_);
    opened = pool_->OpenStore(backend_.get(), StoreOver(*file_, real));
  }
  if (!opened) {
    backend_.reset();
    devices_->SetFile(nullptr);
    file_.reset();
    return opened;
  }
  hash_seed_ = file_->hash_seed();
  ++tiers_opened_;
  ApplySettings();
  for (const std::string& line : file_->warnings()) vk::LogWarning(line);
  for (const std::string& line : devices_->notes()) vk::LogNotice(line);
  return {};
}

void Engine::CloseTier() {
  pool_->CloseStore();
  backend_.reset();
  devices_->SetFile(nullptr);
  file_.reset();
}

void Engine::Close() {
  is_open_ = false;
  // The pool stays as it is: nobody drives it any more, and taking its blocks apart would only
  // delay the exit.
  the_engine_->devices_->Refuse();
  the_engine_->backend_.reset();
  the_engine_->file_.reset();
}

Result<void> Engine::KeepHashSeed(uint64_t seed) {
  hash_seed_ = seed;
  return file_ == nullptr ? Result<void>() : file_->KeepHashSeed(seed);
}

void Engine::ApplySettings() {
  pool_->SetCacheBytes(settings_.cache_size_bytes);
  pool_->SetDemotionLimits(settings_.demotion_batch, settings_.demotion_max_inflight);
  if (!has_tier()) return;
  pool_->store().SetCompression(settings_.compression_lz4 ? store::RecordStore::Compression::kLz4
                                                          : store::RecordStore::Compression::kNone);
  backend_->SetTimeoutMs(settings_.io_timeout_ms);
}

uint64_t Engine::RequestCompaction(uint32_t dead_percent_min) {
  blocks::BlockPool& pool = *pool_;
  // A pass that runs now began too early; the one after it counts.
  const bool one_is_due = pool.passes_done() < pass_requested_;
  pass_seen_ = pool.passes_done();
  pass_requested_ = pass_seen_ + (one_is_due ? 2 : 1);
  pool.RequestCompaction(dead_percent_min);
  return pass_requested_;
}

bool Engine::CompactionDone(uint64_t pass) {
  const uint64_t passes_done = pool_->passes_done();
  // Where there is no tier any more, nothing is left to compact.
  if (passes_done >= pass || !has_tier()) return true;
  if (passes_done != pass_seen_) {
    // The store made one pass of two requests.
    pass_seen_ = passes_done;
    pool_->RequestCompaction(0);
  }
  return false;
}

}  // namespace flash::server
