// adopt_scan.h: one call of FLASH.ADOPT.SCAN: the next keys, of which those that qualify become
// ours.
//
// The server's SCAN finds them; they are adopted in slices, from timers, so that others are served
// in between. Nothing is kept between calls. Thread: main.
// Decision: docs/adr/0019.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dispatch/adopting.h"
#include "dispatch/read_permission.h"
#include "dispatch/timed_job.h"
#include "vk/string.h"

namespace flash::commands {

class AdoptScan final : public dispatch::TimedJob {
 public:
  struct Options {
    std::optional<uint64_t> min_bytes;   // As MEMORY USAGE says.
    std::optional<uint64_t> min_idle_s;  // As OBJECT IDLETIME says.
  };

  AdoptScan(const Options& options, ValkeyModuleCtx* ctx);

  /// Asks the server for the next keys; `words` are SCAN's. False: an error was replied.
  [[nodiscard]] bool Find(ValkeyModuleCtx* ctx, const std::vector<ValkeyModuleString*>& words);
  /// Replies the next cursor and the keys that were adopted, or why it ended early.
  int Reply(ValkeyModuleCtx* ctx) const;

 private:
  /// A key on its way in parts.
  struct Slow {
    std::shared_ptr<dispatch::AdoptWork> work;
    std::shared_ptr<dispatch::LongJob> job;
    std::shared_ptr<bool> done;
  };
  static constexpr int kAttemptsMax = 3;

  [[nodiscard]] const char* Hindrance() const override;
  [[nodiscard]] const char* ReplicaError() const override;
  void EndWith(const char* error) override { End(error); }
  /// Adopts the next key, or leaves it alone. False: it waits for one that takes long.
  bool Step(ValkeyModuleCtx* ctx, uint64_t deadline_us) override;
  void Begin(ValkeyModuleCtx* ctx);
  /// Of the key that takes long.
  void Settle(ValkeyModuleCtx* ctx);
  void Settled(const Result<bool>& adopted);
  [[nodiscard]] bool Qualifies(ValkeyModuleCtx* ctx, ValkeyModuleString* name) const;
  void End(std::string error);

  const Options options_;
  const dispatch::Caller caller_;
  std::string cursor_;
  std::deque<vk::String> found_;
  std::optional<Slow> slow_;  // The first of found_.
  int attempts_ = 0;          // At it.
  std::vector<vk::String> adopted_;
  std::string error_;  // Empty: none.
};

}  // namespace flash::commands
