// tiered_pool_store.cc: the pool's store, and being without one.
//
// Thread: main. Decision: docs/adr/0023.
#include <algorithm>
#include <utility>

#include "blocks/tiered_pool.h"

namespace flash::blocks {
namespace {

constexpr BlockId kPlacesPortion = 4096;  // Ids between two looks at the clock.

}  // namespace

void TieredPool::Connect(store::RecordStore* store) {
  core_.Connect(store, &promoter_);
  health_.Connect(store);
  promoter_.Connect(store);
  demoter_.Connect(store);
  gate_.SetTiering(store != nullptr);
}

Result<void> TieredPool::OpenStore(io::Backend* backend, const StoreMaker& maker) {
  CheckThread();
  FLASH_CHECK(store_ == nullptr);
  auto store = maker(store_options_, this);
  if (!store) return store.error();
  FLASH_CHECK((*store)->payload_bytes_max() >= block_bytes_max_ + kOwnerBytes);
  store_ = std::move(*store);
  backend_ = backend;
  retired_ = false;
  Connect(store_.get());
  bound_.BeginDescent(core_.sums().load);
  return {};
}

void TieredPool::Retire() {
  CheckThread();
  if (!tiering()) return;
  retired_ = true;
  places_cursor_ = 1;
  demoter_.Connect(nullptr);
  gate_.SetTiering(false);
}

void TieredPool::Resume() {
  CheckThread();
  if (!retired_) return;
  retired_ = false;
  demoter_.Connect(store_.get());
  gate_.SetTiering(true);
  bound_.BeginDescent(core_.sums().load);
}

bool TieredPool::OnlyPlacesLeft() const {
  return retired_ && CountOf(BlockState::kCold) == 0 && CountOf(BlockState::kDemoting) == 0;
}

void TieredPool::GiveUpPlaces(uint64_t deadline_us) {
  while (CountOf(BlockState::kHotClean) > 0) {
    const BlockId end = std::min(table_.end(), places_cursor_ + kPlacesPortion);
    for (; places_cursor_ < end; ++places_cursor_) {
      if (table_.StateOf(places_cursor_) != BlockState::kHotClean) continue;
      core_.LosePlace(places_cursor_, table_.HotOf(places_cursor_)->place());
    }
    if (places_cursor_ >= table_.end()) places_cursor_ = 1;
    if (clock_.NowUs() >= deadline_us) return;
  }
}

bool TieredPool::MayCloseStore() const {
  return OnlyPlacesLeft() && CountOf(BlockState::kHotClean) == 0 && !health_.frozen() &&
         promoter_.reads_nothing() && backend_->inflight() == 0;
}

void TieredPool::CloseStore() {
  FLASH_CHECK(MayCloseStore());
  any_past_ = true;
  past_sums_.AddSums(store_->stats());
  past_passes_ += store_->passes_done();
  Connect(nullptr);
  store_.reset();
  backend_ = nullptr;
  retired_ = false;
}

store::RecordStore& TieredPool::store() {
  FLASH_CHECK(store_ != nullptr);
  return *store_;
}

const store::RecordStore::Stats& TieredPool::store_stats() {
  if (store_ != nullptr && !any_past_) return store_->stats();
  store_stats_ = store_ != nullptr ? store_->stats() : store::RecordStore::Stats();
  store_stats_.AddSums(past_sums_);
  return store_stats_;
}

void TieredPool::RequestCompaction(uint32_t dead_percent_min) {
  if (store_ != nullptr) {
    store_->RequestCompaction(dead_percent_min);
  } else {
    ++past_passes_;
  }
}

uint64_t TieredPool::passes_done() const {
  return past_passes_ + (store_ != nullptr ? store_->passes_done() : 0);
}

}  // namespace flash::blocks
