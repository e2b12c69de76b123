// deferred_free.h: values that the server dropped on its lazy-free thread, taken apart on the main
// thread.
//
// FLUSHALL ASYNC and full-sync swaps call a type's `free` on a background thread, which may touch
// neither blocks nor counters: it pushes the value here and is done. The main thread drains in
// slices. Knows no value type: each Push brings the function that frees. Decision: docs/adr/0005.
// Thread: Push any; the rest main.
#pragma once

#include <cstdint>

namespace flash::server {

class DeferredFree {
 public:
  /// Frees one value. Runs on the main thread, where no block bytes are in use. A function that
  /// finds its value too large for one slice frees a part and pushes the rest again.
  using FreeFunction = void (*)(void* value);

  /// Queues `value` (which may be an encoded integer). Never fails. Thread: any.
  static void Push(FreeFunction free_value, void* value);

  /// Frees queued values for about `budget_us`, at least one if there is any; returns how many. One
  /// relaxed load when there is nothing to do.
  static uint64_t Drain(uint64_t budget_us);

  /// Values pushed and not yet freed. Thread: any.
  [[nodiscard]] static uint64_t Pending();
};

}  // namespace flash::server
