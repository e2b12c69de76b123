// value_env.cc: see value_env.h.
//
// Made at the first use, which is behind the opening of the engine. Thread: main.
#include "server/value_env.h"

#include <algorithm>

#include "server/engine.h"
#include "vk/api.h"

namespace flash::server {
namespace {

values::Env MakeEnv() {
  values::Env env;
  env.store = &Engine::Get().pool();
  env.counters = &Engine::Get().counters();
  ValkeyModule_GetRandomBytes(reinterpret_cast<unsigned char*>(&env.hash_seed),
                              sizeof(env.hash_seed));
  return env;
}

}  // namespace

const values::Env& TheEnv() {
  static const values::Env env = MakeEnv();
  return env;
}

values::Strings& TheStrings() {
  static values::Strings strings(&Engine::Get().pool(), &Engine::Get().counters());
  return strings;
}

uint64_t DirectBytesMax() {
  return std::min<uint64_t>(2 * kMiB, Engine::Get().settings().cache_size_bytes / 4);
}

}  // namespace flash::server
