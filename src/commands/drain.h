// drain.h: all FLASH keys of one or every database become native ones, in slices.
//
// Scans as SCAN does, reads values past the cache beside the event loop, and converts each key in a
// unit of its own, so that an end at any moment leaves every key whole, in one form or the other.
// One at a time in a process; goes on when the client that asked leaves. Thread: main.
// Decision: docs/adr/0016.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "dispatch/read_permission.h"
#include "dispatch/timed_job.h"
#include "server/engine.h"
#include "types/contents.h"
#include "vk/string.h"

namespace flash::commands {

class Drain final : public dispatch::TimedJob {
 public:
  struct Options {
    std::optional<std::string> match;  // A glob; absent: every key.
    std::optional<uint64_t> count;     // Most conversions.
    bool force = false;
    bool all_databases = false;
  };
  using Figures = server::ServerCounters::Drain;

  Drain(const Options& options, ValkeyModuleCtx* ctx);

  /// The one in progress, if any.
  [[nodiscard]] static const std::shared_ptr<Drain>& Current();

  /// Why it ended early; null if it did not.
  [[nodiscard]] const char* error() const { return error_; }
  [[nodiscard]] const Figures& figures() const { return figures_; }

 private:
  /// A key on its way.
  struct Item {
    vk::String key;
    int db = 0;
    std::shared_ptr<types::Contents> contents;
    bool read = false;  // The contents have come, or failed to.
    int attempts = 0;
  };
  enum class Phase : uint8_t { kScan, kLookElsewhere, kEnd };

  /// Becomes the one in progress.
  void OnStart() override;
  [[nodiscard]] const char* ReplicaError() const override;
  void EndWith(const char* error) override { End(error); }
  bool Step(ValkeyModuleCtx* ctx, uint64_t deadline_us) override;
  static void OnScanned(ValkeyModuleCtx* ctx, ValkeyModuleString* name, ValkeyModuleKey* key,
                        void* data) noexcept;
  void Scan(ValkeyModuleCtx* ctx);
  void NextDatabase(ValkeyModuleCtx* ctx);
  void LookElsewhere(ValkeyModuleCtx* ctx);
  [[nodiscard]] bool MayStartMore() const;
  /// Takes the first found key into the window, or decides about it at once.
  void StartOne(ValkeyModuleCtx* ctx);
  void Read(Item& item, const types::FlashType& type, const void* value);
  /// Converts, skips, or has the value read again. False: it stays in the window.
  bool Settle(ValkeyModuleCtx* ctx, Item& item);
  void Converted(ValkeyModuleCtx* ctx, const Item& item);
  void End(const char* error);
  void Publish() { server::Engine::Get().counters().drain = figures_; }

  uint64_t changes_at_start_ = 0;  // As durability counts them.
  bool leaves_some_ = false;       // Keys of ours: too large, or not for the caller.
  const Options options_;
  const dispatch::Caller caller_;
  uint64_t maxmemory_ = 0;
  ValkeyModuleScanCursor* cursor_ = nullptr;
  int db_ = 0;
  Phase phase_ = Phase::kScan;
  bool scanned_whole_ = false;  // This database.
  bool found_elsewhere_ = false;
  std::deque<Item> found_;
  std::deque<Item> window_;
  std::string elsewhere_;  // Databases not drained that hold FLASH keys.
  Figures figures_;
  const char* error_ = nullptr;
};

}  // namespace flash::commands
