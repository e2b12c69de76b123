// sampler.h: looks at some keys of every database, and offers those that may be evicted.
//
// One incremental scan per database goes on where it stopped: keys that follow each other in a
// table ordered by hash are a random sample without repetition. Also notices where nothing is to be
// found. Deletes nothing. Thread: main. Decision: docs/adr/0022.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"
#include "eviction/candidates.h"
#include "eviction/key_score.h"
#include "eviction/policy.h"
#include "vk/api.h"

namespace flash::eviction {

class Sampler {
 public:
  explicit Sampler(uint64_t seed) : random_(seed) {}

  /// From now on keys are chosen otherwise: what was not found before may be found now.
  void BeginAnew();
  /// Looks at about `policy.samples` keys of each database that may have any; returns at how many.
  /// Leaves the context in some database.
  uint64_t Look(ValkeyModuleCtx* ctx, const Policy& policy, Wanted wanted, Candidates* found);
  /// The scans of all databases came round without finding anything.
  [[nodiscard]] bool FoundNothing() const;
  /// It looks again everywhere.
  void LookAgain();

 private:
  struct CursorEnd {
    void operator()(ValkeyModuleScanCursor* cursor) const {
      ValkeyModule_ScanCursorDestroy(cursor);
    }
  };
  struct Database {
    int number = 0;
    std::unique_ptr<ValkeyModuleScanCursor, CursorEnd> cursor;
    bool whole_round = true;  // The scan began this round at its beginning.
    bool found = false;       // Anything in this round.
    bool fruitless = false;   // A whole round found nothing.
  };
  /// What the callback of a scan needs.
  struct Glance;

  static void OnScanned(ValkeyModuleCtx* ctx, ValkeyModuleString* name, ValkeyModuleKey* key,
                        void* data) noexcept;
  void FindDatabases(ValkeyModuleCtx* ctx, bool volatile_only);
  uint64_t LookInto(ValkeyModuleCtx* ctx, Database* database, Glance* glance);

  base::Random random_;
  std::vector<Database> databases_;  // Those that are not empty, by number.
  uint64_t found_databases_us_ = 0;
};

}  // namespace flash::eviction
