// tiered_pool.cc: each call checks what block_pool.h demands and goes to the part that does it.
//
// Drive and waiting are in tiered_pool_drive.cc. Thread: main.
#include "blocks/tiered_pool.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/memory.h"

namespace flash::blocks {
namespace {

store::RecordStore::Options StoreOptions(store::RecordStore::Options options) {
  options.read_prefix_bytes = kHotHeaderBytes;
  return options;
}

}  // namespace

Result<std::unique_ptr<TieredPool>> TieredPool::Open(const Options& options, io::Backend* backend,
                                                     const base::Clock* clock) {
  return OpenWith(options, backend, clock, RealStore(backend, clock));
}

BlockPool::StoreMaker BlockPool::RealStore(io::Backend* backend, const base::Clock* clock) {
  return [=](const store::RecordStore::Options& options, store::RecordOwner* owner) {
    return store::RecordStore::Open(options, backend, clock, owner);
  };
}

Result<std::unique_ptr<TieredPool>> TieredPool::OpenWith(const Options& options,
                                                         io::Backend* backend,
                                                         const base::Clock* clock,
                                                         const StoreMaker& maker) {
  auto pool = std::make_unique<TieredPool>(options, clock);
  if (options.tiering) {
    if (const Result<void> opened = pool->OpenStore(backend, maker); !opened) {
      return opened.error();
    }
  }
  return pool;
}

TieredPool::TieredPool(const Options& options, const base::Clock* clock)
    : clock_(*clock),
      core_(&table_),
      bound_(options.cache_bytes),
      health_({.room_wait_us_max = options.room_wait_us_max,
               .slow_device_wait_us_max = options.slow_device_wait_us_max},
              &core_, clock),
      gate_({.bound = &bound_,
             .core = &core_,
             .health = &health_,
             .deliveries = &deliveries_,
             .clock = clock}),
      demoter_(
          {.batch = options.demotion_batch,
           .inflight_max = options.demotion_inflight_max,
           .tick_us = options.tick_us},
          {.bound = &bound_, .core = &core_, .health = &health_, .gate = &gate_, .clock = clock}),
      promoter_(&core_, &bound_, &demoter_, &deliveries_, clock),
      store_options_(StoreOptions(options.store)),
      block_bytes_max_(store::RecordStore::PayloadBytesMax(store_options_) - kOwnerBytes),
      tick_us_(options.tick_us) {
  core_.fifo().SetCacheBytes(options.cache_bytes);
  core_.Connect(nullptr, &promoter_);
}

// --- Blocks ---

uint32_t TieredPool::block_bytes_max() const { return block_bytes_max_; }

BlockId TieredPool::Create(uint32_t bytes, MutableBytes* to_fill, BlockOwner* owner) {
  CheckThread();
  FLASH_CHECK(bytes >= 1 && bytes <= block_bytes_max());
  const BlockId id = core_.Create(bytes, owner);
  *to_fill = table_.HotOf(id)->bytes();
  return id;
}

Result<BlockId> TieredPool::CreateCold(Bytes payload, BlockOwner* owner) {
  FLASH_CHECK(!payload.empty() && payload.size() <= block_bytes_max());
  if (tiering()) return demoter_.CreateCold(payload, owner);
  MutableBytes to_fill;
  const BlockId id = Create(static_cast<uint32_t>(payload.size()), &to_fill, owner);
  std::memcpy(to_fill.data(), payload.data(), payload.size());
  return id;
}

MutableBytes TieredPool::Resize(BlockId id, uint32_t bytes) {
  FLASH_CHECK(bytes >= 1 && bytes <= block_bytes_max());
  return core_.Resize(id, bytes)->bytes();
}

void TieredPool::Free(BlockId id) {
  CheckThread();
  core_.Free(id);
}

uint64_t TieredPool::FootprintOf(BlockId id) const {
  switch (table_.StateOf(id)) {
    case BlockState::kFree:
      return 0;
    case BlockState::kCold:
      return table_.PlaceOf(id).bytes();
    default:
      return base::UsableSize(table_.HotOf(id));
  }
}

bool TieredPool::IsOnFlash(BlockId id) const {
  return table_.StateOf(id) == BlockState::kCold && store_->IsDurable(table_.PlaceOf(id));
}

std::optional<store::Place> TieredPool::PlaceOf(BlockId id) const {
  switch (table_.StateOf(id)) {
    case BlockState::kCold:
      return table_.PlaceOf(id);
    case BlockState::kHotClean:
      return table_.HotOf(id)->place();
    default:
      return std::nullopt;
  }
}

// --- Fetching ---

Fetch TieredPool::StartFetch(std::span<const BlockId> ids, std::function<void()> on_ready) {
  CheckThread();
  return promoter_.Start(ids, std::move(on_ready), false);
}

Fetch TieredPool::StartFetchAhead(std::span<const BlockId> ids) {
  CheckThread();
  return promoter_.Start(ids, nullptr, true);
}

Fetch TieredPool::FetchNow(std::span<const BlockId> ids, WaitCause cause) {
  Fetch fetch = StartFetchAhead(ids);
  DriveUntil(
      cause, [&] { return fetch.ready(); }, 0);
  return fetch;
}

Result<void> TieredPool::ReadDetached(BlockId id, DetachedDone done) {
  return promoter_.ReadDetached(id, std::move(done));
}

Result<void> TieredPool::CopyInChild(BlockId id, store::SnapshotSource& source,
                                     std::vector<std::byte>* into) const {
  if (table_.StateOf(id) != BlockState::kCold) {
    const Bytes bytes = Read(id);
    into->assign(bytes.begin(), bytes.end());
    return {};
  }
  auto read = store_->ReadInChild(id, table_.PlaceOf(id), source);
  if (!read) return read.error();
  const std::byte* payload = read->memory + kHotHeaderBytes;
  into->assign(payload, payload + read->payload_bytes - core_.OwnerBytesOf(id));
  base::Release(read->memory);
  return {};
}

void TieredPool::CopyMany(std::span<const BlockId> ids, store::SnapshotSource& source,
                          const VisitBytes& visit) const {
  std::vector<store::RecordRef> cold;
  std::vector<size_t> index_of;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (table_.StateOf(ids[i]) != BlockState::kCold) {
      visit(i, Read(ids[i]));
      continue;
    }
    cold.push_back({ids[i], table_.PlaceOf(ids[i])});
    index_of.push_back(i);
  }
  if (cold.empty()) return;
  store_->ReadManyInChild(cold, source, [&](size_t index, Result<Bytes> bytes) {
    if (bytes) bytes = bytes->first(bytes->size() - core_.OwnerBytesOf(cold[index].id));
    visit(index_of[index], std::move(bytes));
  });
}

void TieredPool::ForEachColdSingle(uint64_t offset_begin, uint64_t offset_end,
                                   const VisitCold& visit) const {
  table_.ForEachColdSingle([&](BlockId id, store::Place place) {
    const uint64_t offset = place.offset();
    if (offset >= offset_begin && offset < offset_end) visit(id, offset);
  });
}

void TieredPool::WaitForRoom(uint64_t bytes, RoomWaiter* waiter) {
  gate_.WaitForRoom(bytes, waiter);
}

// --- Settings and events ---

void TieredPool::HoldBytes(int64_t bytes, int64_t pinned_bytes) {
  stats_.held_bytes += static_cast<uint64_t>(bytes);
  core_.SetHeld(stats_.held_bytes);
  bound_.SetHeld(bound_.held_bytes() + static_cast<uint64_t>(bytes + pinned_bytes));
}

void TieredPool::SetCacheBytes(uint64_t bytes) {
  if (bytes == bound_.cache_bytes()) return;
  bound_.SetCacheBytes(bytes);
  core_.fifo().SetCacheBytes(bytes);
  core_.ResetPeak();
}

void TieredPool::Freeze() {
  if (store_ == nullptr) return;
  health_.SetFrozen(true);
  store_->Freeze();
}

void TieredPool::Thaw() {
  if (store_ == nullptr) return;
  health_.SetFrozen(false);
  store_->Thaw();
}

const BlockPool::Stats& TieredPool::stats() {
  const BlockCore::Sums& sums = core_.sums();
  stats_.cache_bytes = bound_.cache_bytes();
  stats_.hot_bytes = sums.hot;
  stats_.hot_bytes_peak = sums.hot_peak;
  stats_.pinned_bytes = sums.pinned;
  stats_.demoting_bytes = sums.demoting;
  stats_.table_bytes = table_.bytes();
  stats_.policy_bytes = core_.fifo().ghost_bytes();
  stats_.blocks = table_.counts();
  stats_.misses = promoter_.misses();
  stats_.evictions = core_.evictions();
  stats_.demotions = core_.demotions();
  stats_.demotions_inflight = core_.puts_inflight();
  stats_.demotion_batch_effective = demoter_.batch_effective();
  stats_.stalls = gate_.stalls();
  stats_.room_waiters = gate_.waiters();
  stats_.fetches = promoter_.fetches();
  stats_.fetch_errors = promoter_.fetch_errors();
  stats_.dropped_reads = promoter_.dropped_reads();
  stats_.reads_inflight = promoter_.reads_inflight();
  stats_.cold_single_blocks = core_.cold_single_blocks();
  stats_.shared_blocks = core_.shared_blocks();
  const LatencyHistogram& latencies = promoter_.latencies();
  if (latencies.count() != read_us_of_) {
    read_us_of_ = latencies.count();
    stats_.read_us = {latencies.Percentile(500), latencies.Percentile(900),
                      latencies.Percentile(990), latencies.Percentile(999)};
  }
  return stats_;
}

}  // namespace flash::blocks
