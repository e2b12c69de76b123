// put_health.cc: see put_health.h.
//
// One put that succeeds ends every suspicion: what was refused before may be taken now.
// Thread: main.
#include "blocks/put_health.h"

#include <algorithm>

namespace flash::blocks {
namespace {

constexpr uint64_t kPauseUsMin = 1000;
constexpr uint64_t kPauseUsMax = 128'000;

}  // namespace

void PutHealth::Connect(store::RecordStore* store) {
  store_ = store;
  ended_ticket_ = last_ticket_;
  frozen_ = stuck_ = silent_ = false;
  vain_us_ = refused_bytes_ = pause_us_ = paused_until_us_ = 0;
}

void PutHealth::SetFrozen(bool frozen) {
  frozen_ = frozen;
  vain_us_ = 0;
}

// --- What happens
// ---------------------------------------------------------------------------------

Result<void> PutHealth::Put(BlockId id, Bytes payload, uint32_t* ticket) {
  *ticket = ++last_ticket_;
  Result<void> put = store_->Put(id, *ticket, payload);
  stuck_ = !put.ok();
  return put;
}

void PutHealth::OnPut(uint32_t ticket) {
  ended_ticket_ = ticket;
  stuck_ = false;
  vain_us_ = 0;
  silent_ = false;
  refused_bytes_ = 0;
  pause_us_ = 0;
  paused_until_us_ = 0;
}

void PutHealth::OnPutFailed(uint32_t ticket) {
  ended_ticket_ = ticket;
  silent_ = false;
  PausePuts();
}

void PutHealth::NoteNoRoomFor(uint64_t bytes) {
  if (refused_bytes_ == 0 || bytes < refused_bytes_) refused_bytes_ = bytes;
}

void PutHealth::PausePuts() {
  stuck_ = true;
  pause_us_ = std::clamp(pause_us_ * 2, kPauseUsMin, kPauseUsMax);
  paused_until_us_ = clock_.NowUs() + pause_us_;
}

void PutHealth::NoteDepartures() {
  if (core_.departures() == departures_seen_) return;
  departures_seen_ = core_.departures();
  progress_us_ = clock_.NowUs();
}

void PutHealth::NoteWaitInVain(uint64_t patience_us) {
  vain_us_ = patience_us;
  silent_ = core_.puts_inflight() > 0;
}

// --- What follows from it
// -------------------------------------------------------------------------

bool PutHealth::NothingCanBePut(uint64_t bytes) const {
  if (!stuck_ || core_.puts_inflight() != 0) return false;
  return !store_->HasRoomFor(bytes) || (refused_bytes_ != 0 && !store_->HasRoomFor(refused_bytes_));
}

bool PutHealth::NothingMoreLeaves() const {
  if (core_.puts_inflight() > 0) return silent_;
  return stuck_ || core_.sums().evictable == 0;
}

uint64_t PutHealth::PatienceUs(uint64_t bytes) const {
  const bool short_of_space = frozen_ && !store_->HasRoomFor(bytes);
  const bool under_way = core_.puts_inflight() > 0 && !writes_failing();
  return under_way && !short_of_space ? options_.slow_device_wait_us_max
                                      : options_.room_wait_us_max;
}

bool PutHealth::Stalled(uint64_t since_us, uint64_t patience_us) const {
  return clock_.NowUs() > std::max(since_us, progress_us_) + patience_us;
}

bool PutHealth::WaitsAgainInVain(uint64_t patience_us) const {
  return vain_us_ != 0 && vain_us_ >= patience_us && (stuck_ || silent_);
}

}  // namespace flash::blocks
