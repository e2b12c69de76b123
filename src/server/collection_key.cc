// collection_key.cc: see collection_key.h.
//
// Thread: main.
#include "server/collection_key.h"

#include <memory>
#include <unordered_set>

#include "server/background.h"
#include "server/engine.h"
#include "server/events.h"

namespace flash::server {
namespace {

using values::Collection;
using values::CollectionKind;
using values::Missing;

/// Blocks of about 4 KiB that are freed at once, so that eviction sees the memory of most values
/// come back; each is several cache misses, some 5 us.
constexpr uint32_t kFreedAtOnce = 64;
constexpr uint32_t kFreedPerStep = 32;

values::Env MakeEnv() {
  values::Env env;
  env.store = &Engine::Get().pool();
  env.counters = &Engine::Get().counters();
  ValkeyModule_GetRandomBytes(reinterpret_cast<unsigned char*>(&env.hash_seed),
                              sizeof(env.hash_seed));
  return env;
}

/// Frees a large collection in slices; leaves with large elements have to be read first.
class FreeJob final : public BackgroundJob {
 public:
  FreeJob(CollectionKind kind, uint64_t word) : word_(word), value_(TheEnv(), kind, &word_) {
    Unfinished().insert(this);
  }
  ~FreeJob() override { Unfinished().erase(this); }

  /// Those for which nothing may turn the background's ring soon: data loads, or a script runs.
  static std::unordered_set<FreeJob*>& Unfinished() {
    // raw new: never destroyed, as everything that may be used while the server exits.
    static auto* const jobs = new std::unordered_set<FreeJob*>;
    return *jobs;
  }

  Progress Step(uint64_t deadline_us) override {
    if (fetch_.started()) {
      if (!fetch_.ready()) return Progress::kWaiting;
      // What cannot be read is given up, or the value would stay for ever.
      leave_cold_ = leave_cold_ || !fetch_.outcome().ok();
    }
    const base::Clock& clock = Engine::Get().clock();
    do {
      Missing missing;
      if (value_.FreeSome(kFreedPerStep, &missing, leave_cold_)) {
        fetch_.Release();
        Unfinished().erase(this);
        return Progress::kDone;
      }
      if (!missing.empty()) {
        fetch_.Release();
        fetch_ = Engine::Get().pool().StartFetch(missing.ids(), [] {});
        return Progress::kWaiting;
      }
    } while (clock.NowUs() < deadline_us);
    return Progress::kMore;
  }

  /// All of it, waiting on this thread, which holds no pins.
  void Finish() {
    for (Missing missing; !value_.FreeSome(kFreedAtOnce, &missing, leave_cold_); missing.Clear()) {
      if (missing.empty()) continue;
      fetch_.Release();
      fetch_ = Engine::Get().pool().FetchNow(missing.ids(), blocks::WaitCause::kLoading);
      leave_cold_ = leave_cold_ || !fetch_.outcome().ok();
    }
    fetch_.Release();
    Unfinished().erase(this);
  }

 private:
  uint64_t word_;
  Collection value_;
  blocks::Fetch fetch_;
  bool leave_cold_ = false;
};

}  // namespace

const values::Env& TheEnv() {
  static const values::Env env = MakeEnv();
  return env;
}

CollectionKey::CollectionKey(const Context& ctx, int index, Context::Access access,
                             ValkeyModuleType* type)
    : key_(ctx.raw(), ctx.Argument(index), ctx.OpenMode(access)), type_(type) {
  if (key_.module_type() == type) {
    stored_ = word_ = WordOf(key_.module_value());
  } else {
    wrong_type_ = key_.exists();
  }
}

void CollectionKey::Save() {
  if (word_ == stored_) return;
  if (word_ == 0) return Delete();
  if (stored_ == 0) {
    FLASH_CHECK(ValkeyModule_ModuleTypeSetValue(key_.get(), type_, PointerOf(word_)) ==
                VALKEYMODULE_OK);
  } else {
    void* old = nullptr;
    FLASH_CHECK(ValkeyModule_ModuleTypeReplaceValue(key_.get(), type_, PointerOf(word_), &old) ==
                VALKEYMODULE_OK);
  }
  stored_ = word_;
}

void CollectionKey::SetExpiry(mstime_t at_ms) {
  FLASH_CHECK(ValkeyModule_SetAbsExpire(key_.get(), at_ms) == VALKEYMODULE_OK);
}

void CollectionKey::Delete() {
  if (!present()) return;
  if (stored_ != 0 && stored_ != word_) {
    // What the server would free is gone already, or another value by now.
    void* old = nullptr;
    FLASH_CHECK(ValkeyModule_ModuleTypeReplaceValue(key_.get(), type_, PointerOf(word_), &old) ==
                VALKEYMODULE_OK);
  }
  FLASH_CHECK(ValkeyModule_DeleteKey(key_.get()) == VALKEYMODULE_OK);
  stored_ = word_ = 0;
  wrong_type_ = false;
}

void CollectionKey::Replace(values::CollectionKind kind, uint64_t word) {
  const uint64_t old = stored_;
  if (old == 0) Delete();  // A value of another type.
  word_ = word;
  Save();
  if (old == 0) return;
  FreeCollection(kind, old);
  if (key_.expire_at_ms() != VALKEYMODULE_NO_EXPIRE) SetExpiry(VALKEYMODULE_NO_EXPIRE);
}

void FreeCollection(CollectionKind kind, uint64_t word) {
  if (word == 0) return;
  Missing missing;
  if (Collection(TheEnv(), kind, &word).FreeSome(kFreedAtOnce, &missing)) return;
  Background::Add(std::make_shared<FreeJob>(kind, word));
}

bool AnyCollectionToFree() { return !FreeJob::Unfinished().empty(); }

void FinishFreeingCollections() {
  // Their owner is the background's ring, which takes its turns only from the event loop.
  while (AnyCollectionToFree()) (*FreeJob::Unfinished().begin())->Finish();
}

}  // namespace flash::server
