// zset_work.h: making a sorted set of others of any size: long work (dispatch/long_work.h).
//
// Reads frozen clones of the sources and builds the result past the cache. Knows no command's
// arguments or replies. Thread: main. Decision: docs/adr/0012.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands/parse_zset.h"
#include "commands/zset_parts.h"
#include "dispatch/long_work.h"
#include "dispatch/work_placer.h"
#include "values/element_walk.h"
#include "values/value_builders.h"
#include "values/zset_join.h"

namespace flash::commands {

/// Members with scores, each once.
using Members = std::vector<std::pair<std::string, double>>;

/// What the members of a result take in RAM.
[[nodiscard]] uint64_t HotBytesOf(const Members& members);

/// Makes a sorted set of the members that come, one by one. Few are kept as they are: what becomes
/// of them is the command's.
class StoreWork : public dispatch::LongWork {
 public:
  ~StoreWork() override;

  [[nodiscard]] Progress Step(uint64_t deadline_us, Missing* missing) final;
  [[nodiscard]] uint64_t room_bytes() const final { return 2 * dispatch::WorkMeter::StepBytes(); }
  [[nodiscard]] std::optional<Code> failure() const final { return failure_; }

  /// The result, if it has few members; else it is a value.
  [[nodiscard]] bool is_few() const { return builder_ == nullptr; }
  [[nodiscard]] const Members& few() const { return few_; }
  [[nodiscard]] uint64_t count() const { return count_; }
  /// The word of the value, which is the caller's.
  [[nodiscard]] uint64_t TakeWord() { return std::exchange(word_, 0); }

 protected:
  StoreWork() = default;
  /// Goes on with adding members, until MayGoOn says no, something is missing, or to the end.
  [[nodiscard]] virtual Progress Gather(Missing* missing) = 0;
  [[nodiscard]] bool MayGoOn();
  /// Are the blocks of a large member hot? Else they are named.
  [[nodiscard]] static bool CanRead(const Element& member, Missing* missing);
  /// False: it failed.
  [[nodiscard]] bool Add(double score, const Element& member);

 private:
  [[nodiscard]] bool StaysFew() const;
  [[nodiscard]] bool Check(const Result<void>& outcome);
  [[nodiscard]] Progress Finish(Missing* missing);

  uint64_t deadline_us_ = 0;
  uint32_t looks_ = 0;
  dispatch::WorkMeter meter_;
  dispatch::WorkPlacer scores_placer_{&meter_};
  dispatch::WorkPlacer members_placer_{&meter_};
  Members few_;
  uint64_t few_bytes_ = 0;
  bool few_are_short_ = true;
  std::unique_ptr<values::UnorderedZSetBuilder> builder_;
  std::string text_;
  uint64_t count_ = 0;
  uint64_t word_ = 0;
  bool gathered_ = false;
  std::optional<Code> failure_;
};

enum class StoreOperation : uint8_t { kUnion, kInter, kDiff };

/// ZUNIONSTORE, ZINTERSTORE, ZDIFFSTORE.
class JoinWork final : public StoreWork {
 public:
  /// In the order of the computation.
  struct Source {
    const ZSetValue* set = nullptr;  ///< Null: an empty one.
    double weight = 1;
  };
  struct Wanted {
    StoreOperation operation{};
    Aggregate aggregate{};
    std::vector<Source> sources;
  };
  explicit JoinWork(const Wanted& wanted);

  [[nodiscard]] bool IsOf(const std::vector<Source>& sources) const;

 private:
  [[nodiscard]] Progress Gather(Missing* missing) override;
  [[nodiscard]] double Score() const;
  [[nodiscard]] values::ZSetJoin Join() const;

  StoreOperation operation_;
  Aggregate aggregate_;
  std::vector<double> weights_;
  std::vector<std::unique_ptr<dispatch::Clone>> frozen_;
  values::ZSetJoin join_;
};

/// ZRANGESTORE.
class RangeStoreWork final : public StoreWork {
 public:
  RangeStoreWork(const ZSetValue& source, Ranks ranks);

  [[nodiscard]] bool IsOf(const ZSetValue& source) const { return source.IsStill(frozen_.word()); }

 private:
  [[nodiscard]] Progress Gather(Missing* missing) override;

  dispatch::Clone frozen_;
  values::ElementWalk walk_;
};

}  // namespace flash::commands
