// freeing.h: how values end: at once, in slices beside the event loop, or waited for.
//
// The server calls a type's `free` on the main thread, or on its lazy-free thread (FLUSHALL ASYNC,
// full-sync swaps), which may touch neither blocks nor counters: it pushes the value to
// DeferredFree and is done. What takes long goes on in slices. Where the event loop does not turn,
// in scripts and while data loads, whoever needs the room finishes it. Knows no data type of the
// server's. Thread: Push any; the rest main. Decision: docs/adr/0005.
#pragma once

#include <cstdint>

#include "values/collection.h"
#include "values/string_value.h"

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

/// Once, on the main thread, before the first type is registered.
void StartFreeing();

/// What a type's `free` does: calls `free_now` on the main thread, queues on any other.
void FreeOnAnyThread(DeferredFree::FreeFunction free_now, void* value);

/// Ends a string, a large one in slices.
void FreeString(values::StringValue value);

/// Ends what was left of a rope, in slices.
void FreeRest(values::Rope* rest);

/// Ends a collection: what takes long, or has to be read first, beside the event loop.
void FreeCollection(values::CollectionKind kind, uint64_t word);

/// Whether anything is gone and still to be freed: by the server's lazy-free thread, or beside the
/// event loop. For when there is no room otherwise; looks at most once in a millisecond.
[[nodiscard]] bool AnyFreePending();

/// The same of what this module frees itself, beside the event loop; costs next to nothing.
[[nodiscard]] bool FreesQueued();

/// Frees, waiting on this thread, what is gone and still to be freed; false: nothing is. Usually it
/// happens beside the event loop. Where that does not turn, in scripts and while data loads, such
/// values fill up RAM and the tier. The caller holds no pins and uses no block bytes. Waits for the
/// server's lazy-free thread, too: for when there is no room otherwise.
bool FinishFrees();
/// The same only while data loads, and without waiting for others.
void FinishFreesWhileLoading();

}  // namespace flash::server
