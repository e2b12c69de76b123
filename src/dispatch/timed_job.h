// timed_job.h: work that changes keys, in slices from timers, for as long as it takes.
//
// A timer's callback is a unit of execution, so each slice is one of its own; others are served in
// between. It goes on when the client that asked leaves. For commands whose work the server does
// key by key: leaving, arriving, migrating. Knows no command. Thread: main. Decision:
// docs/adr/0016.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "vk/api.h"

namespace flash::dispatch {

class TimedJob : public std::enable_shared_from_this<TimedJob> {
 public:
  /// In the database that the client of `ctx` has selected.
  explicit TimedJob(ValkeyModuleCtx* ctx) : home_db_(ValkeyModule_GetSelectedDb(ctx)) {}
  TimedJob(const TimedJob&) = delete;
  TimedJob& operator=(const TimedJob&) = delete;
  virtual ~TimedJob() = default;

  /// Replies when `job` has ended: the client of `ctx` waits while timers do it, or, where it
  /// cannot, all of it is done now.
  using Reply = std::function<int(ValkeyModuleCtx* ctx)>;
  static int Run(ValkeyModuleCtx* ctx, const std::shared_ptr<TimedJob>& job, const Reply& reply);

  [[nodiscard]] bool done() const { return done_; }

 protected:
  /// Timers will do it.
  virtual void OnStart() {}
  /// Looked at before each slice of a timer's, as a refusal of writes is: an error that ends the
  /// job, of static life, or null.
  [[nodiscard]] virtual const char* Hindrance() const { return nullptr; }
  /// The same, where this server has become a replica.
  [[nodiscard]] virtual const char* ReplicaError() const = 0;
  /// Ends it before it is done; keys stay as they are.
  virtual void EndWith(const char* error) = 0;
  /// One step in the home database, ending soon after the deadline. True: there is more to do at
  /// once.
  virtual bool Step(ValkeyModuleCtx* ctx, uint64_t deadline_us) = 0;

  void SetDone() { done_ = true; }
  [[nodiscard]] int home_db() const { return home_db_; }
  /// All of it is done on this thread.
  [[nodiscard]] bool waits_here() const { return waits_here_; }

 private:
  static void OnTimer(ValkeyModuleCtx* ctx, void* data) noexcept;
  void Slice(ValkeyModuleCtx* ctx);
  void ArmTimer(ValkeyModuleCtx* ctx);
  void RunNow(ValkeyModuleCtx* ctx);

  const int home_db_;
  bool waits_here_ = false;
  bool done_ = false;
};

}  // namespace flash::dispatch
