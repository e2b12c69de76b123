// engine.cc: opens the parts in their order and takes care that none is left behind.
//
// The file and its lock first, then the I/O threads with a device each, then the pool with its
// store. Thread: main.
#include "server/engine.h"

#include <sys/random.h>

#include <new>
#include <utility>

#include "io/flash_file.h"
#include "io/tier_devices.h"
#include "vk/log.h"

namespace flash::server {
namespace {

constinit Engine* the_engine = nullptr;
constinit bool is_open = false;

/// Mixed into checksums, so that bytes of an earlier run can never pass.
uint64_t RandomSeed() {
  uint64_t seed = 0;
  FLASH_CHECK(getrandom(&seed, sizeof(seed), 0) == static_cast<ssize_t>(sizeof(seed)));
  return seed;
}

blocks::BlockPool::Options PoolOptions(const Settings& settings, uint64_t capacity_bytes) {
  blocks::BlockPool::Options options;
  options.cache_bytes = settings.cache_size_bytes;
  options.demotion_batch = settings.demotion_batch;
  options.demotion_inflight_max = settings.demotion_max_inflight;
  options.store.capacity_bytes = capacity_bytes;
  options.store.hash_seed = RandomSeed();
  options.store.compression = settings.compression_lz4 ? store::RecordStore::Compression::kLz4
                                                       : store::RecordStore::Compression::kNone;
  return options;
}

}  // namespace

Engine::Engine() = default;
Engine::~Engine() = default;

Engine& Engine::Get() {
  FLASH_DCHECK(the_engine != nullptr);
  return *the_engine;
}

bool Engine::IsOpen() { return is_open; }

Result<void> Engine::Open(const Settings& settings) {
  FLASH_CHECK(the_engine == nullptr);
  // raw new: the engine outlives static destruction, during which the server may still free values.
  auto* const engine = new Engine;
  engine->settings_ = settings;
  if (Result<void> opened = engine->OpenParts(); !opened) {
    delete engine;
    return opened;
  }
  the_engine = engine;
  is_open = true;
  return {};
}

Result<void> Engine::OpenParts() {
  auto file = io::FlashFile::Open(
      {.path = settings_.path, .capacity_bytes = settings_.capacity_bytes, .direct = true});
  if (!file) return file.error();
  file_ = std::move(file).Take();

  devices_ = std::make_unique<io::TierDevices>(file_.get());
  io::ThreadedBackend::Options threads;
  threads.threads = settings_.io_threads;
  threads.entries = settings_.io_uring_entries;
  auto backend = devices_->Start(settings_.io_backend, threads, &clock_);
  if (!backend) return backend.error();
  backend_ = std::move(backend).Take();
  backend_->SetTimeoutMs(settings_.io_timeout_ms);

  auto pool = blocks::BlockPool::Open(PoolOptions(settings_, file_->capacity_bytes()),
                                      backend_.get(), &clock_);
  if (!pool) return pool.error();
  pool_ = std::move(pool).Take();

  if (settings_.path == Settings().path) {
    vk::LogWarning("flash.path is not set: using " + settings_.path +
                   ", which is for trying out; choose a file on a local NVMe disk");
  }
  for (const std::string& line : file_->warnings()) vk::LogWarning(line);
  for (const std::string& line : devices_->notes()) vk::LogNotice(line);
  return {};
}

void Engine::Close() {
  is_open = false;
  // The pool stays as it is: nobody drives it any more, and taking its blocks apart would only
  // delay the exit.
  the_engine->devices_->Refuse();
  the_engine->backend_.reset();
  the_engine->file_.reset();
}

Result<void> Engine::KeepHashSeed(uint64_t seed) { return file_->KeepHashSeed(seed); }

void Engine::ApplySettings() {
  pool_->SetCacheBytes(settings_.cache_size_bytes);
  pool_->SetDemotionLimits(settings_.demotion_batch, settings_.demotion_max_inflight);
  pool_->store().SetCompression(settings_.compression_lz4 ? store::RecordStore::Compression::kLz4
                                                          : store::RecordStore::Compression::kNone);
  backend_->SetTimeoutMs(settings_.io_timeout_ms);
}

uint64_t Engine::RequestCompaction(uint32_t dead_percent_min) {
  store::RecordStore& store = pool_->store();
  // A pass that runs now began too early; the one after it counts.
  const bool one_is_due = store.passes_done() < pass_requested_;
  pass_seen_ = store.passes_done();
  pass_requested_ = pass_seen_ + (one_is_due ? 2 : 1);
  store.RequestCompaction(dead_percent_min);
  return pass_requested_;
}

bool Engine::CompactionDone(uint64_t pass) {
  store::RecordStore& store = pool_->store();
  const uint64_t passes_done = store.passes_done();
  if (passes_done >= pass) return true;
  if (passes_done != pass_seen_) {
    // The store made one pass of two requests.
    pass_seen_ = passes_done;
    store.RequestCompaction();
  }
  return false;
}

}  // namespace flash::server
