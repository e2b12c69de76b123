// slot_exports.h: which slots leave this server together, by atomic slot migration (Valkey 9.x).
//
// Knows what the server's events tell, so also in the child that is forked for one of them. Knows
// nothing of keys. Thread: main, or the only one of a forked child. Decision: docs/adr/0025.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vk/api.h"

namespace flash::types {

class SlotExports {
 public:
  struct Range {
    int first = 0;
    int last = 0;  ///< Included.
  };

  /// A slot is in one migration at a time: whatever is known with one of these is over.
  void Begin(std::string_view job, std::vector<Range> ranges);
  void End(std::string_view job);
  /// The ranges of the migration with this slot; none: not known.
  [[nodiscard]] std::span<const Range> With(int slot) const;

 private:
  struct Job {
    std::string name;
    std::vector<Range> ranges;
  };
  std::vector<Job> jobs_;
};

/// Follows the server's migrations, if it has any. Once, at load.
void FollowSlotExports(ValkeyModuleCtx* ctx);
[[nodiscard]] const SlotExports& TheSlotExports();

}  // namespace flash::types
