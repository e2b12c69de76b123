// migration.h: keys move to another server: FLASH.MIGRATE.
//
// Asks the target whether it has the module and room, then moves key by key: the blocks of the next
// cold values are read ahead beside the event loop, within the bandwidth limit, and the server's
// own MIGRATE transfers each key, which stays here until the target has acknowledged it. Thread:
// main. Decision: docs/adr/0017.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "blocks/block_pool.h"
#include "cluster/probe.h"
#include "dispatch/timed_job.h"
#include "vk/api.h"
#include "vk/string.h"

namespace flash::cluster {

class Migration final : public dispatch::TimedJob {
 public:
  struct Request {
    Target target;
    std::string db;
    uint64_t timeout_ms = 0;
    bool copy = false;
    bool replace = false;
    std::vector<vk::String> keys;
  };

  Migration(Request request, ValkeyModuleCtx* ctx);

  /// "OK", "NOKEY", or an error.
  [[nodiscard]] const std::string& answer() const { return answer_; }

 private:
  [[nodiscard]] const char* ReplicaError() const override;
  void EndWith(const char* error) override { End(error); }
  bool Step(ValkeyModuleCtx* ctx, uint64_t deadline_us) override;
  /// False: the target cannot take the keys, and it is over.
  [[nodiscard]] bool MayGo(ValkeyModuleCtx* ctx);
  /// Bytes on flash that the keys' values have, about.
  [[nodiscard]] uint64_t ColdBytes(ValkeyModuleCtx* ctx) const;
  /// Begins to read ahead what is cold of the next keys. False: there is nothing to wait for.
  bool ReadAhead(ValkeyModuleCtx* ctx);
  [[nodiscard]] uint64_t AheadBytesMax() const;
  void Transfer(ValkeyModuleCtx* ctx);
  void End(std::string answer);

  const Request request_;
  std::shared_ptr<Probe> probe_;
  blocks::Fetch pins_;
  size_t next_ = 0;
  size_t moved_ = 0;
  bool asked_ = false;           // The target's answer was looked at.
  size_t ahead_until_ = 0;       // Keys before this one were read ahead, or need not be.
  size_t alone_until_ = 0;       // Up to this one each is read ahead by itself.
  std::vector<bool> were_cold_;  // Those read ahead last, as they were before that.
  uint64_t began_us_ = 0;
  uint64_t free_from_us_ = 0;  // The bandwidth limit allows the next key then.
  std::string answer_;
};

}  // namespace flash::cluster
