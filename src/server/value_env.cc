// value_env.cc: see value_env.h.
//
// Made at the first use, which is behind the opening of the engine. Thread: main.
#include "server/value_env.h"

#include <algorithm>

#include "server/engine.h"
#include "vk/log.h"

namespace flash::server {
namespace {

values::Env MakeEnv() {
  values::Env env;
  env.store = &Engine::Get().pool();
  env.counters = &Engine::Get().counters();
  env.hash_seed = Engine::Get().hash_seed();
  return env;
}

values::Env& MutableEnv() {
  static values::Env env = MakeEnv();
  return env;
}

}  // namespace

const values::Env& TheEnv() { return MutableEnv(); }

bool AdoptHashSeed(uint64_t seed) {
  const auto& blocks = Engine::Get().pool().stats().blocks;
  constexpr auto kFree = static_cast<size_t>(blocks::BlockState::kFree);
  for (size_t state = 0; state < blocks.size(); ++state) {
    if (state != kFree && blocks[state] != 0) return false;
  }
  MutableEnv().hash_seed = seed;
  if (const Result<void> kept = Engine::Get().KeepHashSeed(seed); !kept) {
    vk::LogWarning("the order of hashes may change at the next start: " + kept.error().message);
  }
  return true;
}

values::Strings& TheStrings() {
  static values::Strings strings(&Engine::Get().pool(), &Engine::Get().counters());
  return strings;
}

uint64_t DirectBytesMax() {
  return std::min<uint64_t>(2 * kMiB, Engine::Get().settings().cache_size_bytes / 4);
}

}  // namespace flash::server
