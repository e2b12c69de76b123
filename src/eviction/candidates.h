// candidates.h: the best keys to evict among those that were sampled lately.
//
// As the server's own pool (evict.c): sixteen, ordered by score, kept from one choice to the next,
// so that few samples choose nearly as well as many. Knows no key but its name; it may be gone by
// the time it is taken. Thread: one owner. Decision: docs/adr/0022.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flash::eviction {

struct Candidate {
  uint64_t score = 0;  // The more, the sooner it goes.
  int db = 0;
  std::string name;
};

class Candidates {
 public:
  static constexpr size_t kCountMax = 16;

  /// Keeps the key if there is room, or in the place of the one with the least score, if that is
  /// less. A key that is there already gets the new score.
  void Offer(uint64_t score, int db, std::string_view name);
  /// The one with the highest score leaves.
  [[nodiscard]] std::optional<Candidate> TakeBest();
  void Clear() { kept_.clear(); }
  [[nodiscard]] size_t count() const { return kept_.size(); }

 private:
  std::vector<Candidate> kept_;  // By rising score.
};

}  // namespace flash::eviction
