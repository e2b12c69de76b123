// candidates.cc: see candidates.h.
//
// Thread: one owner.
#include "eviction/candidates.h"

#include <algorithm>
#include <utility>

namespace flash::eviction {

void Candidates::Offer(uint64_t score, int db, std::string_view name) {
  if (kept_.size() == kCountMax && score <= kept_.front().score) return;
  const auto same = std::find_if(kept_.begin(), kept_.end(), [&](const Candidate& each) {
    return each.db == db && each.name == name;
  });
  if (same != kept_.end()) {
    kept_.erase(same);
  } else if (kept_.size() == kCountMax) {
    kept_.erase(kept_.begin());
  }
  const auto at = std::lower_bound(
      kept_.begin(), kept_.end(), score,
      [](const Candidate& each, uint64_t new_score) { return each.score < new_score; });
  kept_.insert(at, Candidate{score, db, std::string(name)});
}

std::optional<Candidate> Candidates::TakeBest() {
  if (kept_.empty()) return std::nullopt;
  Candidate best = std::move(kept_.back());
  kept_.pop_back();
  return best;
}

}  // namespace flash::eviction
