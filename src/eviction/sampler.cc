// sampler.cc: see sampler.h.
//
// Thread: main.
#include "eviction/sampler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/engine.h"
#include "vk/server_info.h"
#include "vk/string.h"

namespace flash::eviction {
namespace {

constexpr uint64_t kDatabasesPeriodUs = 100'000;
/// A scan of a sparse table finds a key in one of many steps.
constexpr uint32_t kStepsPerSample = 8;

bool AnyVolatile(const vk::ServerInfo& keyspace, int db) {
  const std::string field = "db" + std::to_string(db);
  return keyspace.Text(field.c_str()).find("expires=0,") == std::string_view::npos;
}

}  // namespace

struct Sampler::Glance {
  const Policy* policy = nullptr;
  Wanted wanted = Wanted::kNothing;
  Candidates* candidates = nullptr;
  base::Random* random = nullptr;
  int db = 0;
  uint64_t looked = 0;
  bool found = false;
};

void Sampler::BeginAnew() {
  for (Database& database : databases_) {
    database.whole_round = database.found = database.fruitless = false;
  }
  found_databases_us_ = 0;
}

void Sampler::LookAgain() {
  for (Database& database : databases_) database.fruitless = false;
}

bool Sampler::FoundNothing() const {
  return std::all_of(databases_.begin(), databases_.end(),
                     [](const Database& database) { return database.fruitless; });
}

void Sampler::FindDatabases(ValkeyModuleCtx* ctx, bool volatile_only) {
  const uint64_t now_us = server::Engine::Get().clock().NowUs();
  if (found_databases_us_ != 0 && now_us - found_databases_us_ < kDatabasesPeriodUs) return;
  found_databases_us_ = now_us;
  std::vector<Database> before = std::exchange(databases_, {});
  auto known = before.begin();
  const vk::ServerInfo keyspace(ctx, "keyspace");
  for (int db = 0; ValkeyModule_SelectDb(ctx, db) == VALKEYMODULE_OK; ++db) {
    if (ValkeyModule_DbSize(ctx) == 0) continue;
    if (volatile_only && !AnyVolatile(keyspace, db)) continue;
    while (known != before.end() && known->number < db) ++known;
    if (known != before.end() && known->number == db) {
      databases_.push_back(std::move(*known));
      continue;
    }
    databases_.emplace_back();
    databases_.back().number = db;
    databases_.back().cursor.reset(ValkeyModule_ScanCursorCreate());
  }
}

void Sampler::OnScanned(ValkeyModuleCtx* /*ctx*/, ValkeyModuleString* name, ValkeyModuleKey* key,
                        void* data) noexcept {
  auto& glance = *static_cast<Glance*>(data);
  ++glance.looked;
  if (key == nullptr) return;
  const std::optional<uint64_t> score = ScoreOf(key, *glance.policy, glance.wanted);
  if (!score) return;
  glance.found = true;
  const bool by_chance = glance.policy->by == Policy::By::kChance;
  if (by_chance && !glance.random->Chance(1, glance.policy->samples)) return;
  glance.candidates->Offer(*score, glance.db, vk::TextOf(name));
}

uint64_t Sampler::LookInto(ValkeyModuleCtx* ctx, Database* database, Glance* glance) {
  ValkeyModule_SelectDb(ctx, database->number);
  glance->db = database->number;
  glance->looked = 0;
  const uint32_t samples = glance->policy->samples;
  for (uint32_t step = 0; step < samples * kStepsPerSample && glance->looked < samples; ++step) {
    glance->found = false;
    const bool more = ValkeyModule_Scan(ctx, database->cursor.get(), OnScanned, glance) != 0;
    database->found = database->found || glance->found;
    if (more) continue;
    ValkeyModule_ScanCursorRestart(database->cursor.get());
    const bool nothing = std::exchange(database->whole_round, true) && !database->found;
    database->found = false;
    if (!nothing) continue;
    database->fruitless = true;
    break;
  }
  return glance->looked;
}

uint64_t Sampler::Look(ValkeyModuleCtx* ctx, const Policy& policy, Wanted wanted,
                       Candidates* found) {
  FindDatabases(ctx, policy.volatile_only);
  Glance glance{.policy = &policy, .wanted = wanted, .candidates = found, .random = &random_};
  uint64_t looked = 0;
  for (Database& database : databases_) {
    if (!database.fruitless) looked += LookInto(ctx, &database, &glance);
  }
  return looked;
}

}  // namespace flash::eviction
