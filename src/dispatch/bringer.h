// bringer.h: brings what a command lacks: a Need becomes a part of its Prepared.
//
// The one place that knows how each kind of Need is met, beside the event loop (Begin) or waiting
// on this thread (BringNow). One at a time: who waits for another must not hold pins or room that
// others may need meanwhile. Knows no command and no client. Thread: main. Decision: docs/adr/0006.
#pragma once

#include <functional>
#include <vector>

#include "dispatch/command_spec.h"
#include "dispatch/need.h"
#include "vk/string.h"

namespace flash::dispatch {

class Bringer final : public blocks::RoomWaiter {
 public:
  /// For BringNow alone.
  Bringer() = default;
  /// `came` runs from the event loop whenever what Begin was given has come, or failed to.
  explicit Bringer(std::function<void()> came) : came_(std::move(came)) {}
  Bringer(const Bringer&) = delete;
  Bringer& operator=(const Bringer&) = delete;
  ~Bringer() override { Drop(); }

  /// Begins to bring `need`, which is of some kind. Failures are left in `prepared` for the
  /// handler's gates to reply. Sources of a build stay alive as long as this object.
  void Begin(Need need);

  /// The same, waiting on this thread; counted under `cause`.
  void BringNow(const Need& need, blocks::WaitCause cause);

  /// Lets go of what others may need, pins and room; true if there was any, or work was done that
  /// those before this command may undo: it is to be planned again.
  bool GiveWay();

  /// Gives up what is under way and what has come.
  void Drop();

  /// What has come so far, for the next run.
  [[nodiscard]] Prepared* prepared() { return &prepared_; }
  /// The last thing brought is all that a reading command lacked, and it is here whole.
  [[nodiscard]] bool all_is_here() const {
    return all_for_reading_ && prepared_.pins.started() && prepared_.pins.whole();
  }

  void OnRoom(Result<blocks::RoomGrant> outcome) override;

 private:
  /// Brings blocks; more than a portion of them, when there is room: they come on top of what is
  /// hot.
  void BeginFetch(std::vector<BlockId> blocks);
  void OnFetched();
  void OnGathered();
  void OnContents();
  void NoteRead(const Result<void>& read);
  void NoteWork(const Result<void>& done);
  /// Runs `attempt`; where it finds no room, what a script deleted before is freed, and it runs
  /// once more.
  template <typename Attempt>
  bool FindRoom(const Attempt& attempt);

  Prepared prepared_;
  std::function<void()> came_;
  std::vector<BlockId> lacking_;  // Not asked for yet, for want of room.
  bool waits_for_room_ = false;
  bool all_for_reading_ = false;
};

/// A command kept beside the event loop: its arguments and its database, to be planned again.
class KeptCommand {
 public:
  KeptCommand(const CommandSpec& spec, ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc);
  ~KeptCommand();
  KeptCommand(const KeptCommand&) = delete;
  KeptCommand& operator=(const KeptCommand&) = delete;

  /// Runs the handler in plan mode: what does the command lack with what was prepared for it?
  [[nodiscard]] Outcome Plan(Prepared* prepared, Need* lacking);

  [[nodiscard]] const CommandSpec& spec() const { return spec_; }
  [[nodiscard]] bool writes() const { return writes_; }
  [[nodiscard]] int db() const { return db_; }
  [[nodiscard]] int argc() const { return static_cast<int>(argv_.size()); }
  [[nodiscard]] ValkeyModuleString** argv() { return argv_.data(); }

  /// Plans from the event loop before the last run has to wait for what is lacking still.
  static constexpr int kPlansMax = 3;

 private:
  const CommandSpec& spec_;
  std::vector<ValkeyModuleString*> argv_;  // A reference to each.
  int db_;
  bool writes_;
};

/// Runs `work(ctx)` with the server's own context in database `db`.
template <typename Work>
void InDatabase(ValkeyModuleCtx* ctx, int db, const Work& work) {
  const int db_before = ValkeyModule_GetSelectedDb(ctx);
  ValkeyModule_SelectDb(ctx, db);
  work();
  ValkeyModule_SelectDb(ctx, db_before);
}

}  // namespace flash::dispatch
