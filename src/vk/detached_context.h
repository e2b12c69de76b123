// detached_context.h: a context for callbacks that get none (file events), kept for the process's
// life.
//
// Used on the main thread only, which owns the server's lock already: never locked. What runs under
// it is not a unit of execution: no writes to the keyspace, no replication. Thread: main.
#pragma once

#include "vk/api.h"

namespace flash::vk {

class DetachedContext {
 public:
  explicit DetachedContext(ValkeyModuleCtx* ctx)
      : ctx_(ValkeyModule_GetDetachedThreadSafeContext(ctx)) {}
  DetachedContext(const DetachedContext&) = delete;
  DetachedContext& operator=(const DetachedContext&) = delete;
  ~DetachedContext() { ValkeyModule_FreeThreadSafeContext(ctx_); }
  [[nodiscard]] ValkeyModuleCtx* get() const { return ctx_; }

 private:
  ValkeyModuleCtx* ctx_;
};

}  // namespace flash::vk
