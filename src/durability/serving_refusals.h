// serving_refusals.h: while a log is replayed the server answers, and says that it is loading.
//
// The replay holds the main thread. From time to time it lets the server look at its connections,
// as the server's own loading does: nothing expires there, nothing is evicted, no snapshot begins.
// What clients send becomes FLASH.DEBUG.RECOVERING, which refuses with LOADING; INFO becomes
// FLASH.DEBUG.INFO, and SHUTDOWN saves nothing. Knows no log. Thread: main. Decision:
// docs/adr/0015.
#pragma once

#include <string>

#include "vk/api.h"

namespace flash::durability {

class ServingRefusals {
 public:
  /// Until its end; meanwhile busy-reply-threshold is short. To be made before the context that
  /// Serve gets: the server lets a context wait for so long before it serves anybody, and 9.x
  /// between one time and the next, too.
  explicit ServingRefusals(ValkeyModuleCtx* ctx);
  ~ServingRefusals();
  ServingRefusals(const ServingRefusals&) = delete;
  ServingRefusals& operator=(const ServingRefusals&) = delete;

  /// Serves connections if that is due. No view of keys or blocks outlives it.
  static void Serve(ValkeyModuleCtx* ctx);

 private:
  void SetThreshold(const char* value);

  ValkeyModuleCtx* ctx_;
  ValkeyModuleCommandFilter* filter_;
  std::string threshold_;
};

}  // namespace flash::durability
