// key_facts.h: what a key has beside its value, so that the value can take another form unnoticed.
//
// Knows no type. Thread: main.
#pragma once

#include "vk/key.h"

namespace flash::types {

struct KeyFacts {
  mstime_t expire_at_ms = VALKEYMODULE_NO_EXPIRE;
  mstime_t idle_ms = -1;     // Where the server keeps idle times.
  long long frequency = -1;  // Where it keeps frequencies.
};

/// Of a key that was opened without touching it.
[[nodiscard]] KeyFacts FactsOf(const vk::Key& key);

/// Gives a key opened for writing the access history of `facts`, which decides who is evicted.
void RestoreHistory(const vk::Key& key, const KeyFacts& facts);

}  // namespace flash::types
