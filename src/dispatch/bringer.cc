// bringer.cc: see bringer.h.
//
// Thread: main.
#include "dispatch/bringer.h"

#include <utility>

#include "dispatch/context.h"
#include "server/background.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/freeing.h"

namespace flash::dispatch {
namespace {

using blocks::BlockPool;
using blocks::WaitCause;

BlockPool& Pool() { return server::Engine::Get().pool(); }

/// Bytes that a fetch brings into RAM, if that is more than may come unasked; else 0.
uint64_t RoomBytesOf(std::span<const BlockId> ids) {
  uint64_t bytes = 0;
  for (const BlockId id : ids) {
    if (!Pool().IsHot(id)) bytes += Pool().FootprintOf(id);
  }
  return bytes > PortionBytes() ? bytes : 0;
}

}  // namespace

// --- Beside the event loop
// ------------------------------------------------------------------------------

void Bringer::Begin(Need need) {
  // Others may wait for this room until what is waited for now has come.
  prepared_.room.Release();
  all_for_reading_ = false;
  switch (need.kind) {
    case Need::Kind::kNothing:
      FLASH_CHECK(false);
      return;
    case Need::Kind::kBlocks:
      prepared_.pins.Release();
      all_for_reading_ = need.all_for_reading;
      BeginFetch(std::move(need.blocks));
      return;
    case Need::Kind::kGather:
      prepared_.pins.Release();
      prepared_.gathered = std::make_shared<GatherJob>(need.values, [this] { OnGathered(); });
      server::Background::Add(prepared_.gathered);
      return;
    case Need::Kind::kBuild:
      prepared_.built = std::make_shared<BuildJob>(need.sources, [this] { came_(); });
      server::Background::Add(prepared_.built);
      return;
    case Need::Kind::kContents:
      GiveWay();
      prepared_.contents =
          std::make_shared<types::Contents>(*need.type, need.value, [this] { OnContents(); });
      server::Background::Add(prepared_.contents);
      return;
    case Need::Kind::kWork:
      prepared_.pins.Release();
      prepared_.work = std::make_shared<LongJob>(std::move(need.work), [this] {
        NoteWork(prepared_.work->outcome());
        came_();
      });
      server::Background::Add(prepared_.work);
      return;
    case Need::Kind::kRoom:
      waits_for_room_ = true;
      Pool().WaitForRoom(need.room_bytes, this);
      return;
  }
}

void Bringer::BeginFetch(std::vector<BlockId> blocks) {
  const uint64_t room_bytes = RoomBytesOf(blocks);
  const Result<void> admitted = room_bytes == 0 ? Result<void>() : Pool().Admit(room_bytes);
  if (admitted || admitted.code() != Code::kBusy) {
    prepared_.pins = Pool().StartFetch(blocks, [this] { OnFetched(); });
    return;
  }
  lacking_ = std::move(blocks);
  waits_for_room_ = true;
  Pool().WaitForRoom(room_bytes, this);
}

void Bringer::NoteRead(const Result<void>& read) {
  if (!read) prepared_.read_failure = read.code();
}

void Bringer::NoteWork(const Result<void>& done) {
  if (done) return;
  prepared_.work.reset();
  if (done.code() == Code::kNoSpace) {
    prepared_.full = true;
  } else {
    prepared_.read_failure = done.code();
  }
}

void Bringer::OnFetched() {
  NoteRead(prepared_.pins.outcome());
  came_();
}

void Bringer::OnGathered() {
  NoteRead(prepared_.gathered->outcome());
  if (prepared_.read_failure) prepared_.gathered.reset();
  came_();
}

void Bringer::OnContents() {
  NoteRead(prepared_.contents->outcome());
  if (prepared_.read_failure) prepared_.contents.reset();
  came_();
}

void Bringer::OnRoom(Result<blocks::RoomGrant> outcome) {
  waits_for_room_ = false;
  if (!lacking_.empty()) {
    // Whoever only reads goes on without room, too; and fetches wait for others, who may want it.
    if (outcome) outcome->Release();
    prepared_.pins = Pool().StartFetch(std::exchange(lacking_, {}), [this] { OnFetched(); });
    return;
  }
  if (outcome) {
    prepared_.room = std::move(*outcome);
  } else {
    prepared_.full = true;
  }
  came_();
}

bool Bringer::GiveWay() {
  const bool any =
      prepared_.pins.started() || prepared_.room.bytes() != 0 || prepared_.work != nullptr;
  prepared_.pins.Release();
  prepared_.room.Release();
  return any;
}

void Bringer::Drop() {
  if (std::exchange(waits_for_room_, false)) Pool().Forget(this);
  lacking_.clear();
  if (prepared_.gathered != nullptr) prepared_.gathered->Cancel();
  if (prepared_.built != nullptr) prepared_.built->Cancel();
  if (prepared_.contents != nullptr) prepared_.contents->Cancel();
  if (prepared_.work != nullptr) prepared_.work->Cancel();
  // Also takes back the callbacks of fetches under way.
  prepared_ = Prepared();
}

// --- Waiting on this thread
// -----------------------------------------------------------------------------

template <typename Attempt>
bool Bringer::FindRoom(const Attempt& attempt) {
  if (attempt()) return true;
  prepared_.pins.Release();  // What is missed by that is asked for again.
  return server::FinishFrees() && attempt();
}

void Bringer::BringNow(const Need& need, WaitCause cause) {
  if (cause == WaitCause::kLoading) {
    prepared_.pins.Release();  // What is missed by that is asked for again.
    server::FinishFreesWhileLoading();
  }
  switch (need.kind) {
    case Need::Kind::kNothing:
      return;
    case Need::Kind::kBlocks:
      GiveWay();
      if (const uint64_t bytes = RoomBytesOf(need.blocks); bytes != 0 && !Pool().Admit(bytes)) {
        static_cast<void>(Pool().AwaitRoom(bytes, WaitCause::kHardMark));
      }
      prepared_.pins = Pool().FetchNow(need.blocks, cause);
      NoteRead(prepared_.pins.outcome());
      return;
    case Need::Kind::kGather: {
      GiveWay();
      auto job = std::make_shared<GatherJob>(need.values, [] {});
      const Result<void> read = job->RunNow(cause);
      NoteRead(read);
      if (read) prepared_.gathered = std::move(job);
      return;
    }
    case Need::Kind::kBuild:
      prepared_.built = std::make_shared<BuildJob>(need.sources, [] {});
      prepared_.full = !FindRoom([&] { return prepared_.built->RunNow().ok(); });
      return;
    case Need::Kind::kContents: {
      GiveWay();
      auto contents = std::make_shared<types::Contents>(*need.type, need.value, [] {});
      const Result<void> read = contents->RunNow();
      NoteRead(read);
      if (read) prepared_.contents = std::move(contents);
      return;
    }
    case Need::Kind::kWork:
      GiveWay();
      prepared_.work = std::make_shared<LongJob>(need.work, [] {});
      NoteWork(prepared_.work->RunNow(cause));
      return;
    case Need::Kind::kRoom:
      prepared_.room.Release();
      prepared_.full = !FindRoom([&] {
        Result<blocks::RoomGrant> room = Pool().AwaitRoom(need.room_bytes, WaitCause::kHardMark);
        if (room) prepared_.room = std::move(*room);
        return room.ok();
      });
      return;
  }
}

// --- KeptCommand
// ----------------------------------------------------------------------------------------

KeptCommand::KeptCommand(const CommandSpec& spec, ValkeyModuleCtx* ctx, ValkeyModuleString** argv,
                         int argc)
    : spec_(spec), db_(ValkeyModule_GetSelectedDb(ctx)), writes_(spec.writes()) {
  argv_.reserve(static_cast<size_t>(argc));
  for (int i = 0; i < argc; ++i) argv_.push_back(vk::String::Hold(argv[i]).Release());
}

KeptCommand::~KeptCommand() {
  for (ValkeyModuleString* argument : argv_) ValkeyModule_FreeString(nullptr, argument);
}

Outcome KeptCommand::Plan(Prepared* prepared, Need* lacking) {
  ValkeyModuleCtx* const ctx = server::DetachedContext();
  Outcome outcome = Outcome::kDone;
  InDatabase(ctx, db_, [&] {
    Context context(ctx, argv(), argc(), spec_, Context::Mode::kPlan, prepared);
    outcome = spec_.handler(context);
    if (outcome == Outcome::kPark) *lacking = std::move(context.need());
  });
  return outcome;
}

}  // namespace flash::dispatch
