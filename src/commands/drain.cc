// drain.cc: see drain.h.
//
// Keys are changed from a timer's callback, which is a unit of execution; nothing is held open
// between slices but frozen values. Thread: main.
#include "commands/drain.h"

#include <utility>

#include "base/glob.h"
#include "dispatch/errors.h"
#include "durability/durability.h"
#include "server/background.h"
#include "types/native_form.h"
#include "types/type_registry.h"
#include "vk/key.h"
#include "vk/log.h"

namespace flash::commands {
namespace {

using server::Engine;

/// Values being read at a time: enough to keep a drive busy with small ones.
constexpr size_t kWindowMax = 64;
/// And bytes that those which were read may hold together.
constexpr uint64_t kWindowBytesMax = 16 * kMiB;
/// Times that a value which changes while it is read is read again beside the event loop.
constexpr int kAttemptsMax = 3;

std::shared_ptr<Drain>& TheDrain() {
  // raw new: a drain may be in progress when the process exits.
  static auto* const current = new std::shared_ptr<Drain>;
  return *current;
}

}  // namespace

const std::shared_ptr<Drain>& Drain::Current() { return TheDrain(); }

Drain::Drain(const Options& options, ValkeyModuleCtx* ctx)
    : TimedJob(ctx),
      options_(options),
      caller_(ctx),
      maxmemory_(options.force ? 0 : types::Maxmemory(ctx)),
      cursor_(ValkeyModule_ScanCursorCreate()),
      db_(options.all_databases ? 0 : home_db()) {
  changes_at_start_ = durability::ChangesSoFar();
}

void Drain::OnStart() {
  TheDrain() = std::static_pointer_cast<Drain>(shared_from_this());
  figures_.in_progress = true;
  Publish();
}

const char* Drain::ReplicaError() const {
  return "ERR FLASH.DRAIN ended: this server became a replica";
}

void Drain::End(const char* error) {
  SetDone();
  error_ = error;
  for (Item& item : window_) {
    if (item.contents != nullptr) item.contents->Cancel();
  }
  window_.clear();
  found_.clear();
  ValkeyModule_ScanCursorDestroy(std::exchange(cursor_, nullptr));
  figures_.in_progress = false;
  Publish();
  vk::LogNotice("drain: " + std::to_string(figures_.converted) + " keys converted, " +
                std::to_string(figures_.skipped) + " skipped, " + std::to_string(figures_.errors) +
                " errors, " + std::to_string(figures_.scanned) + " scanned" +
                (error == nullptr ? "" : std::string("; ") + error));
  if (!elsewhere_.empty()) {
    vk::LogWarning("drain: FLASH keys are left in other databases: " + elsewhere_ +
                   " (FLASH.DRAIN ALLDBS converts those, too)");
  }
  const bool everything = error == nullptr && options_.all_databases && !options_.match &&
                          !options_.count && !leaves_some_ && figures_.errors == 0;
  if (everything) durability::NoteDrained(changes_at_start_);
  if (TheDrain().get() == this) TheDrain().reset();
}

// --- Finding keys
// ---------------------------------------------------------------------------------------

void Drain::OnScanned(ValkeyModuleCtx* /*ctx*/, ValkeyModuleString* name, ValkeyModuleKey* key,
                      void* data) noexcept {
  auto* const drain = static_cast<Drain*>(data);
  const bool ours =
      key != nullptr && types::TypeRegistry::Find(ValkeyModule_ModuleTypeGetType(key)) != nullptr;
  if (drain->phase_ == Phase::kLookElsewhere) {
    drain->found_elsewhere_ = drain->found_elsewhere_ || ours;
    return;
  }
  if (drain->options_.match && !base::GlobMatches(*drain->options_.match, vk::TextOf(name))) return;
  ++drain->figures_.scanned;
  const bool allowed = !ours || drain->caller_.MayUse(name);
  drain->leaves_some_ = drain->leaves_some_ || !allowed;
  if (!ours || !allowed) {
    ++drain->figures_.skipped;
    return;
  }
  drain->found_.push_back(
      {.key = vk::String::Copy(vk::TextOf(name)), .db = drain->db_, .contents = nullptr});
}

void Drain::Scan(ValkeyModuleCtx* ctx) {
  if (ValkeyModule_SelectDb(ctx, db_) != VALKEYMODULE_OK) {
    phase_ = Phase::kEnd;  // Behind the last database.
    return;
  }
  scanned_whole_ = ValkeyModule_Scan(ctx, cursor_, OnScanned, this) == 0;
  if (scanned_whole_) NextDatabase(ctx);
}

void Drain::NextDatabase(ValkeyModuleCtx* /*ctx*/) {
  ValkeyModule_ScanCursorRestart(cursor_);
  scanned_whole_ = false;
  if (options_.all_databases) {
    ++db_;
    return;
  }
  phase_ = Phase::kLookElsewhere;
  db_ = home_db() == 0 ? 1 : 0;
}

/// Names the other databases that hold FLASH keys, for the log: the first found is enough for each.
void Drain::LookElsewhere(ValkeyModuleCtx* ctx) {
  if (ValkeyModule_SelectDb(ctx, db_) != VALKEYMODULE_OK) {
    phase_ = Phase::kEnd;
    return;
  }
  if (ValkeyModule_Scan(ctx, cursor_, OnScanned, this) != 0 && !found_elsewhere_) return;
  if (std::exchange(found_elsewhere_, false)) {
    elsewhere_ += (elsewhere_.empty() ? "" : ", ") + std::to_string(db_);
  }
  ValkeyModule_ScanCursorRestart(cursor_);
  if (++db_ == home_db()) ++db_;
}

// --- Converting them
// ------------------------------------------------------------------------------------

bool Drain::MayStartMore() const {
  if (options_.count && figures_.converted + window_.size() >= *options_.count) return false;
  uint64_t bytes = 0;
  for (const Item& item : window_) bytes += item.contents->bytes();
  return window_.size() < kWindowMax && bytes < kWindowBytesMax;
}

void Drain::Read(Item& item, const types::FlashType& type, const void* value) {
  ++item.attempts;
  item.read = false;
  // The item may move, the contents do not: their end is seen by asking them.
  item.contents = std::make_shared<types::Contents>(type, value, [] {});
  if (waits_here() || item.attempts > kAttemptsMax) {
    static_cast<void>(item.contents->RunNow());
  } else {
    server::Background::Add(item.contents);
  }
}

void Drain::StartOne(ValkeyModuleCtx* ctx) {
  Item item = std::move(found_.front());
  found_.pop_front();
  ValkeyModule_SelectDb(ctx, item.db);
  vk::Key key(ctx, item.key.get(), vk::Key::kPeek);
  const types::FlashType* const type = types::TypeRegistry::Find(key.module_type());
  if (type == nullptr) {  // Gone, or native by now.
    ++figures_.skipped;
    return;
  }
  void* const value = key.module_value();
  if (!options_.force && type->elements(value) > Engine::Get().settings().drain_max_elements) {
    ++figures_.skipped;
    leaves_some_ = true;
    return;
  }
  if (types::IsResident(*type, value)) {
    key.Close();
    types::BecomeNativeResident(ctx, item.key.get(), value);
    return Converted(ctx, item);
  }
  Read(item, *type, value);
  window_.push_back(std::move(item));
}

void Drain::Converted(ValkeyModuleCtx* ctx, const Item& item) {
  ValkeyModule_NotifyKeyspaceEvent(ctx, VALKEYMODULE_NOTIFY_GENERIC, "flash.convert",
                                   item.key.get());
  ++figures_.converted;
  ++Engine::Get().counters().converted;
}

bool Drain::Settle(ValkeyModuleCtx* ctx, Item& item) {
  if (!item.contents->ended()) return false;
  if (!item.contents->outcome()) {
    ++figures_.errors;
    static constinit vk::SeldomLog log;
    log.Warning("drain: a value could not be read from flash; its key stays a FLASH key");
    return true;
  }
  ValkeyModule_SelectDb(ctx, item.db);
  vk::Key key(ctx, item.key.get(), vk::Key::kPeek);
  const types::FlashType* const type = types::TypeRegistry::Find(key.module_type());
  if (type == nullptr) {
    ++figures_.skipped;
    return true;
  }
  void* const value = key.module_value();
  if (!item.contents->Holds(*type, value)) {  // Changed meanwhile.
    Read(item, *type, value);
    return false;
  }
  key.Close();
  if (types::Exceeds(maxmemory_, types::NativeBytes(item.contents->bytes()))) {
    ++figures_.errors;
    return true;
  }
  types::BecomeNative(ctx, item.key.get(), item.contents.get());
  Converted(ctx, item);
  return true;
}

bool Drain::Step(ValkeyModuleCtx* ctx, uint64_t deadline_us) {
  const base::Clock& clock = Engine::Get().clock();
  bool moved = false;
  for (size_t left = window_.size(); left > 0 && clock.NowUs() < deadline_us; --left) {
    Item item = std::move(window_.front());
    window_.pop_front();
    if (Settle(ctx, item)) {
      moved = true;
    } else {
      window_.push_back(std::move(item));
    }
  }
  const bool capped = options_.count && figures_.converted >= *options_.count;
  if (capped) found_.clear();
  if (found_.empty() && !capped && phase_ == Phase::kScan) {
    Scan(ctx);
    moved = true;
  }
  while (!found_.empty() && MayStartMore() && clock.NowUs() < deadline_us) {
    StartOne(ctx);
    moved = true;
  }
  Publish();
  if (!window_.empty() || !found_.empty()) return moved;
  if (capped || phase_ == Phase::kEnd) {
    End(nullptr);
  } else if (phase_ == Phase::kLookElsewhere) {
    LookElsewhere(ctx);
  }
  return true;
}

}  // namespace flash::commands
