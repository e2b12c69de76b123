// dump_ahead.cc: see dump_ahead.h.
//
// Thread: main.
#include "types/dump_ahead.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/words.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/load_state.h"
#include "server/paying_filter.h"
#include "types/migrate_words.h"
#include "types/save_support.h"
#include "types/type_registry.h"
#include "vk/key.h"
#include "vk/string.h"

namespace flash::types {
namespace {

/// MIGRATE host port "" db timeout KEYS and two keys.
constexpr int kWordsMin = 9;
/// What is read together, of the cache and at most.
constexpr uint64_t kShare = 16;
constexpr uint64_t kBytesMin = 64 * kKiB;
constexpr uint64_t kBytesMax = kMiB;

void OnCommand(ValkeyModuleCommandFilterCtx* command) noexcept;

struct State {
  /// Saves a wait of some 50 µs for a cold value that is at hand.
  server::PayingFilter filter{OnCommand,
                              {.saved_min = 8, .commands_per_saved = 1000, .windows_kept = 5}};
  /// Of the last command that came by, if it is such a MIGRATE.
  std::vector<vk::String> keys;
  uint64_t client = 0;
  std::optional<int> db;    // The client's, once it was asked.
  size_t next = 0;          // Of the keys; those before it were read or need not be.
  uint64_t held_bytes = 0;  // For copies.
};

State& TheState() {
  static State state;
  return state;
}

blocks::BlockPool& Pool() { return server::Engine::Get().pool(); }

void Hold(State* state, uint64_t bytes) {
  if (bytes == state->held_bytes) return;
  Pool().HoldBytes(static_cast<int64_t>(bytes - state->held_bytes), 0);
  state->held_bytes = bytes;
}

void DropCopies(State* state) {
  TheCopiesAtHand().Drop();
  Hold(state, 0);
}

void Forget(State* state) {
  state->keys = std::vector<vk::String>();
  state->db.reset();
  state->next = 0;
  DropCopies(state);
}

/// The server shows a command before it looks at it: this one may be refused, put off or queued.
void OnCommand(ValkeyModuleCommandFilterCtx* command) noexcept {
  State& state = TheState();
  state.filter.CountCommand();
  if (!state.keys.empty()) Forget(&state);
  const int count = ValkeyModule_CommandFilterArgsCount(command);
  if (count < kWordsMin) [[likely]]
    return;
  const auto word_at = [command](int i) {
    return vk::TextOf(ValkeyModule_CommandFilterArgGet(command, i));
  };
  if (!base::IsWord(word_at(0), "migrate")) return;
  const int first = FirstOfMigrateKeys(count, word_at);
  if (first == 0) return;
  for (int i = first; i < count; ++i) {
    state.keys.push_back(vk::String::Hold(ValkeyModule_CommandFilterArgGet(command, i)));
  }
  state.client = ValkeyModule_CommandFilterGetClientId(command);
}

/// Asks for the database in which the client names its keys. False: it is none that can be asked,
/// such as a script's.
bool AskForDb(State* state) {
  if (state->db) return true;
  ValkeyModuleClientInfo info = VALKEYMODULE_CLIENTINFO_INITIALIZER_V1;
  if (ValkeyModule_GetClientInfoById(&info, state->client) != VALKEYMODULE_OK) return false;
  state->db = info.db;
  return true;
}

/// What is read now is dropped when the command ends. False: the server does not tell of that now.
bool DropAtUnitsEnd() {
  const auto drop = [](ValkeyModuleCtx*, void*) noexcept {
    if (server::Engine::IsOpen()) Forget(&TheState());
  };
  return ValkeyModule_AddPostNotificationJob(server::DetachedContext(), drop, nullptr, nullptr) ==
         VALKEYMODULE_OK;
}

uint64_t BytesTogether() {
  return std::clamp(server::CacheBytesInForce() / kShare, kBytesMin, kBytesMax);
}

struct Wanted {
  BlockId id = kNoBlock;
  uint64_t bytes = 0;  // At most.
};

/// The block of a key whose value is cold and consists of that one.
Wanted Look(const vk::String& name) {
  const vk::Key key(server::DetachedContext(), name.get(), vk::Key::kPeek);
  if (!key.exists()) return {};
  const FlashType* const type = TypeRegistry::Find(key.module_type());
  if (type == nullptr) return {};
  const BlockId id = type->only_block(key.module_value());
  if (id == kNoBlock || Pool().IsHot(id)) return {};
  return {id, type->only_block_bytes(key.module_value())};
}

/// Where in the keys the one of block `id` is; behind the last: nowhere.
size_t Find(const State& state, BlockId id) {
  const size_t count = state.keys.size();
  for (size_t i = 0; i < count; ++i) {
    // The last ones again where the server tries a second time (it was not connected any more).
    const size_t at = (state.next + i) % count;
    if (Look(state.keys[at]).id == id) return at;
  }
  return count;
}

/// The block `id` and those of the keys behind it, as many as `bytes_max` holds.
std::vector<BlockId> Gather(State* state, BlockId id, uint64_t bytes_max) {
  ValkeyModuleCtx* const ctx = server::DetachedContext();
  const int selected = ValkeyModule_GetSelectedDb(ctx);
  if (ValkeyModule_SelectDb(ctx, *state->db) != VALKEYMODULE_OK) return {};
  std::vector<BlockId> ids;
  uint64_t bytes = 0;
  for (state->next = Find(*state, id); state->next < state->keys.size(); ++state->next) {
    const Wanted wanted = Look(state->keys[state->next]);
    if (wanted.id == kNoBlock) continue;
    bytes += wanted.bytes;
    if (bytes > bytes_max && !ids.empty()) break;
    ids.push_back(wanted.id);
  }
  ValkeyModule_SelectDb(ctx, selected);
  return ids;
}

void ReadAhead(State* state, BlockId id) {
  // Several commands may run in these until the unit ends, and the filter does not see them all.
  constexpr uint32_t kNotAlone = VALKEYMODULE_CTX_FLAGS_MULTI | VALKEYMODULE_CTX_FLAGS_LUA;
  if (server::HasAnyFlag(kNotAlone)) return Forget(state);
  const uint64_t bytes_max = BytesTogether();
  // Beside what is hot; where that is too much already, one by one is the way.
  if (!Pool().Admit(bytes_max) || !AskForDb(state) || !DropAtUnitsEnd()) return;
  DropCopies(state);
  const std::vector<BlockId> ids = Gather(state, id, bytes_max);
  if (ids.empty()) return Forget(state);  // They are another command's.
  if (ids.size() == 1) return;
  CopiesAtHand& copies = TheCopiesAtHand();
  bool failed = false;
  const bool visited = VisitForSave(ids, [&](size_t index, Result<Bytes> bytes) {
    failed |= !bytes;
    if (bytes) (void)copies.Add(ids[index], *bytes, bytes_max);
  });
  // Of a drive that fails or hangs no more is asked than the server asks for.
  if (!visited || failed) return Forget(state);
  Hold(state, copies.bytes());
}

}  // namespace

void DumpAhead::Prepare(BlockId id) {
  if (id == kNoBlock || Pool().IsHot(id)) return;
  State& state = TheState();
  if (!state.filter.installed()) return state.filter.CountSaved();
  if (!state.keys.empty() && !TheCopiesAtHand().Has(id)) ReadAhead(&state, id);
  if (TheCopiesAtHand().Has(id)) state.filter.CountSaved();
}

void DumpAhead::Turn() {
  State& state = TheState();
  if (!state.keys.empty()) Forget(&state);
  state.filter.Turn();
}

}  // namespace flash::types
