// key_facts.cc: see key_facts.h.
//
// Thread: main.
#include "types/key_facts.h"

namespace flash::types {

KeyFacts FactsOf(const vk::Key& key) {
  KeyFacts facts;
  facts.expire_at_ms = key.expire_at_ms();
  static_cast<void>(ValkeyModule_GetLRU(key.get(), &facts.idle_ms));
  static_cast<void>(ValkeyModule_GetLFU(key.get(), &facts.frequency));
  return facts;
}

void RestoreHistory(const vk::Key& key, const KeyFacts& facts) {
  if (!key.exists()) return;
  if (facts.frequency >= 0) {
    static_cast<void>(ValkeyModule_SetLFU(key.get(), facts.frequency));
  } else if (facts.idle_ms >= 0) {
    static_cast<void>(ValkeyModule_SetLRU(key.get(), facts.idle_ms));
  }
}

}  // namespace flash::types
