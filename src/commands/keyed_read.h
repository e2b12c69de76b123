// keyed_read.h: long reads by name: many fields or members of one value, and great steps of a scan.
//
// Names are looked up in windows, in the order of their hashes, so that each leaf is come to about
// once a window; the reply keeps the order of the arguments. Thread: main. Decision: docs/adr/0012.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "commands/parse_zset.h"
#include "commands/read_work.h"

namespace flash::commands {

/// What the arguments from the third on name in a value.
class KeyedRead : public ReadWork {
 public:
  [[nodiscard]] Progress Step(uint64_t deadline_us, Missing* missing) final;

 protected:
  KeyedRead(const Context& ctx, const values::Collection& value, values::CollectionKind kind);

  /// Names what looking up this one needs, without blocks of a large value.
  virtual void Plan(Bytes name, Missing* missing) = 0;
  /// Looks it up, everything hot, and adds what it found; false: not admitted.
  [[nodiscard]] virtual bool Find(Bytes name, dispatch::ReplyLog* log,
                                  dispatch::ReplyLog::Place* place) = 0;

  void ReplyAll(Context& ctx) final;

 private:
  struct Window {
    dispatch::ReplyLog log;
    std::vector<dispatch::ReplyLog::Place> places;  // By argument.
  };
  void BeginWindow();

  /// The arguments themselves: the server moves their bytes when the command returns.
  std::vector<ValkeyModuleString*> names_;
  size_t window_begin_ = 0;
  std::vector<std::pair<uint64_t, uint32_t>> order_;  // Hash and argument; of this window.
  size_t next_ = 0;                                   // In order_.
  std::deque<Window> windows_;
};

class FieldsRead final : public KeyedRead {
 public:
  FieldsRead(const Context& ctx, const values::HashValue& hash)
      : KeyedRead(ctx, hash, values::CollectionKind::kHash),
        hash_(server::TheEnv(), frozen().mutable_word()) {}

 protected:
  void Plan(Bytes name, Missing* missing) override { hash_.PlanExists(name, missing); }
  [[nodiscard]] bool Find(Bytes name, dispatch::ReplyLog* log,
                          dispatch::ReplyLog::Place* place) override;

 private:
  values::HashValue hash_;
};

class ScoresRead final : public KeyedRead {
 public:
  ScoresRead(const Context& ctx, const values::ZSetValue& set)
      : KeyedRead(ctx, set, values::CollectionKind::kZSet),
        set_(server::TheEnv(), frozen().mutable_word()) {}

 protected:
  void Plan(Bytes name, Missing* missing) override { set_.PlanScore(name, missing); }
  [[nodiscard]] bool Find(Bytes name, dispatch::ReplyLog* log,
                          dispatch::ReplyLog::Place* place) override;

 private:
  values::ZSetValue set_;
};

/// A step of ZSCAN over a set with a root.
class ScanRead final : public ReadWork {
 public:
  ScanRead(const values::ZSetValue& set, uint64_t cursor, const ZScanOptions& options);

  [[nodiscard]] Progress Step(uint64_t deadline_us, Missing* missing) override;

 protected:
  void ReplyAll(Context& ctx) override;

 private:
  /// Where the scan begins; false: a leaf is cold, which is named.
  [[nodiscard]] bool Start(Missing* missing);
  /// Adds a member that matches, and its score; false: not admitted.
  [[nodiscard]] bool AddEntry(const values::HashEntry& entry);
  /// The member that was copied last is whole now: does it match?
  void FinishMember();
  void AddScore();

  values::Collection value_;
  uint64_t cursor_;
  uint64_t count_;
  std::optional<std::string> match_;
  bool with_scores_;
  std::optional<values::ElementWalk> walk_;
  dispatch::ReplyLog log_;
  uint64_t items_ = 0;
  uint64_t visited_ = 0;
  uint64_t reached_ = 0;  // The cursor of the element visited last.
  uint64_t next_cursor_ = 0;
  // A large member that has to be copied before it can be matched, and its score.
  std::optional<dispatch::ReplyLog::Place> unmatched_;
  double score_ = 0;
};

}  // namespace flash::commands
