// migration.cc: see migration.h.
//
// Keys are moved from a timer's callback, which is a unit of execution. The transfer itself holds
// up the server as long as a MIGRATE of one key does. Thread: main.
#include "cluster/migration.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "dispatch/context.h"
#include "server/engine.h"
#include "types/save_support.h"
#include "types/type_registry.h"
#include "vk/call_reply.h"
#include "vk/key.h"
#include "vk/server_setting.h"

namespace flash::cluster {
namespace {

using server::Engine;

/// The type and value of a key, if it is a FLASH key.
struct Found {
  bool exists = false;
  const types::FlashType* type = nullptr;
  void* value = nullptr;
};

Found Look(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  const vk::Key key(ctx, name, vk::Key::kPeek);
  if (!key.exists()) return {};
  const types::FlashType* const type = types::TypeRegistry::Find(key.module_type());
  return {true, type, type == nullptr ? nullptr : key.module_value()};
}

std::vector<BlockId> BlocksOf(const Found& found) {
  std::vector<BlockId> ids;
  if (found.type != nullptr) found.type->append_blocks(found.value, &ids);
  return ids;
}

void KeepCold(std::vector<BlockId>* ids) {
  const blocks::BlockPool& pool = Engine::Get().pool();
  std::erase_if(*ids, [&pool](BlockId id) { return pool.IsHot(id); });
}

/// What these blocks take on flash or in RAM.
uint64_t BytesOf(const std::vector<BlockId>& ids) {
  const blocks::BlockPool& pool = Engine::Get().pool();
  uint64_t bytes = 0;
  for (const BlockId id : ids) bytes += pool.FootprintOf(id);
  return bytes;
}

/// What is read ahead together: of so many keys at most, and what may be sent in so much time.
constexpr size_t kKeysAhead = 64;
constexpr uint64_t kAheadUs = 100'000;

constexpr const char* kHidden =
    "ERR MIGRATE is hidden from modules (rename-command); keys that were not moved are kept";

server::ServerCounters::Migration& Counters() { return Engine::Get().counters().migration; }

}  // namespace

Migration::Migration(Request request, ValkeyModuleCtx* ctx)
    : TimedJob(ctx), request_(std::move(request)) {
  began_us_ = Engine::Get().clock().NowUs();
  ++Counters().in_progress;
  // MIGRATE itself speaks TLS then; what asks ahead does not: the target's own error will say.
  asked_ = vk::ServerSetting(ctx, "tls-cluster") == "yes";
  if (asked_) return;
  const server::Settings& settings = Engine::Get().settings();
  const uint64_t limit_ms =
      std::min<uint64_t>(request_.timeout_ms, settings.migration_chunk_timeout_sec * 1000ULL);
  probe_ =
      Probe::Start(request_.target, static_cast<int>(limit_ms), settings.migration_probe_cache_sec);
}

const char* Migration::ReplicaError() const {
  return "UNBLOCKED this server became a replica; keys that were not moved are kept";
}

void Migration::End(std::string answer) {
  SetDone();
  answer_ = std::move(answer);
  pins_.Release();
  --Counters().in_progress;
  Counters().last_duration_ms = (Engine::Get().clock().NowUs() - began_us_) / 1000;
  if (answer_.find(' ') != std::string::npos) ++Counters().errors;
}

uint64_t Migration::ColdBytes(ValkeyModuleCtx* ctx) const {
  uint64_t bytes = 0;
  for (const vk::String& key : request_.keys) {
    std::vector<BlockId> cold = BlocksOf(Look(ctx, key.get()));
    KeepCold(&cold);
    bytes += BytesOf(cold);
  }
  return bytes;
}

bool Migration::MayGo(ValkeyModuleCtx* ctx) {
  const ProbeAnswer& target = probe_->answer();
  if (std::string refusal = target.RefusalOf(request_.target); !refusal.empty()) {
    End(std::move(refusal));
    return false;
  }
  const uint64_t needed = ColdBytes(ctx);
  // A target without a tier (a replica's default) keeps its values in RAM, which is its own matter.
  if (target.capacity_bytes == 0 || needed <= target.free_bytes) return true;
  Counters().keys_rejected += request_.keys.size();
  End(Complaint(request_.target) + "insufficient flash capacity (need " + std::to_string(needed) +
      " bytes free, has " + std::to_string(target.free_bytes) + ")");
  return false;
}

uint64_t Migration::AheadBytesMax() const {
  const server::Settings& settings = Engine::Get().settings();
  const uint64_t quarter = settings.cache_size_bytes / 4;
  const uint64_t megabits = settings.migration_bandwidth_mbps;
  // No more than may go soon: all that is read ahead is held until then.
  return megabits == 0 ? quarter : std::min(quarter, megabits * kAheadUs / 8);
}

bool Migration::ReadAhead(ValkeyModuleCtx* ctx) {
  const server::Settings& settings = Engine::Get().settings();
  const uint64_t bytes_max = AheadBytesMax();
  const size_t keys_max = next_ < alone_until_ ? 1 : kKeysAhead;
  const size_t end = std::min(request_.keys.size(), next_ + keys_max);
  std::vector<BlockId> wanted;
  uint64_t bytes = 0;
  were_cold_.clear();
  for (ahead_until_ = next_; ahead_until_ < end; ++ahead_until_) {
    std::vector<BlockId> cold = BlocksOf(Look(ctx, request_.keys[ahead_until_].get()));
    const bool was_cold = types::AreMostlyCold(cold);
    KeepCold(&cold);
    const uint64_t key_bytes = BytesOf(cold);
    if (ahead_until_ > next_ && bytes + key_bytes > bytes_max) break;
    were_cold_.push_back(was_cold);
    // Larger ones are read by the transfer itself, in large portions past the cache.
    const bool worth =
        key_bytes <= settings.migration_max_key_bytes && key_bytes <= settings.cache_size_bytes / 4;
    if (!worth || waits_here()) continue;
    wanted.insert(wanted.end(), cold.begin(), cold.end());
    bytes += key_bytes;
  }
  // Keys may share blocks, and a key may be named twice.
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  if (wanted.empty()) return false;
  pins_ = Engine::Get().pool().StartFetch(wanted, [] {});
  return true;
}

void Migration::Transfer(ValkeyModuleCtx* ctx) {
  const bool was_cold = were_cold_[were_cold_.size() - (ahead_until_ - next_)];
  const vk::String& key = request_.keys[next_++];
  const Found found = Look(ctx, key.get());
  if (!found.exists) return;
  const server::Settings& settings = Engine::Get().settings();
  const uint64_t limit_ms =
      std::min<uint64_t>(request_.timeout_ms, settings.migration_chunk_timeout_sec * 1000ULL);
  std::vector<vk::String> words;
  const Target& target = request_.target;
  for (const std::string& word : {target.host, std::to_string(target.port)}) {
    words.push_back(vk::String::Copy(word));
  }
  words.push_back(vk::String::Copy(key.text()));
  words.push_back(vk::String::Copy(request_.db));
  words.push_back(vk::String::Copy(std::to_string(limit_ms)));
  if (request_.copy) words.push_back(vk::String::Copy("COPY"));
  if (request_.replace) words.push_back(vk::String::Copy("REPLACE"));
  if (!target.password.empty()) {
    words.push_back(vk::String::Copy(target.user.empty() ? "AUTH" : "AUTH2"));
    if (!target.user.empty()) words.push_back(vk::String::Copy(target.user));
    words.push_back(vk::String::Copy(target.password));
  }
  std::vector<ValkeyModuleString*> views;
  views.reserve(words.size());
  for (const vk::String& word : words) views.push_back(word.get());
  const uint64_t bytes = BytesOf(BlocksOf(found));
  const dispatch::Context::ServersOwn servers_own;
  const types::MigrationDump migration_dump(was_cold);
  const vk::CallReply reply(ValkeyModule_Call(ctx, "MIGRATE", "!v", views.data(), views.size()));
  if (reply.is_error()) {
    ++Counters().keys_rejected;
    return End(reply.get() == nullptr ? kHidden : std::string(reply.text()));
  }
  if (reply.text() == "NOKEY") return;
  ++moved_;
  ++Counters().keys_migrated;
  Counters().bytes_sent += bytes;
  const uint64_t megabits = settings.migration_bandwidth_mbps;
  if (megabits == 0 || waits_here()) return;
  const uint64_t now_us = Engine::Get().clock().NowUs();
  free_from_us_ = std::max(free_from_us_, now_us) + bytes * 8 / megabits;
}

bool Migration::Step(ValkeyModuleCtx* ctx, uint64_t /*deadline_us*/) {
  ValkeyModule_SelectDb(ctx, home_db());
  if (!asked_) {
    if (waits_here()) probe_->Wait();
    if (!probe_->done()) return false;
    asked_ = true;
    if (!MayGo(ctx)) return false;
  }
  if (next_ == request_.keys.size()) {
    End(moved_ == 0 ? "NOKEY" : "OK");
    return false;
  }
  if (!waits_here() && Engine::Get().clock().NowUs() < free_from_us_) return false;
  if (next_ == ahead_until_ && ReadAhead(ctx)) return false;
  if (pins_.started() && !pins_.ready()) return false;
  if (pins_.started() && !pins_.outcome()) {
    pins_.Release();
    if (ahead_until_ - next_ == 1) {
      End("FLASHIO a value could not be read from flash; it and the keys after it are kept");
      return false;
    }
    // One of several: those before it are to be moved, so from here on one by one.
    alone_until_ = ahead_until_;
    ahead_until_ = next_;
    return true;
  }
  Transfer(ctx);
  if (next_ == ahead_until_) pins_.Release();
  return !done();
}

}  // namespace flash::cluster
