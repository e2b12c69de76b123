// zset_work.cc: see zset_work.h.
//
// Thread: main.
#include "commands/zset_work.h"

#include <algorithm>
#include <numeric>

#include "server/engine.h"
#include "server/freeing.h"

namespace flash::commands {
namespace {

using dispatch::PortionBytes;
using values::ZSetJoin;

constexpr values::CollectionKind kZSet = values::CollectionKind::kZSet;

/// Members between two looks at the clock.
constexpr uint32_t kMembersPerLook = 64;
/// Results of so many bytes may be small sets, which are made at once.
constexpr uint64_t kFewBytes = 16 * kKiB;

uint64_t BytesOfMember(const std::string& member) {
  return 2 * HotBytesOf(std::string_view(member)) + 2 * sizeof(double);
}

bool IsOver(uint64_t deadline_us) { return server::Engine::Get().clock().NowUs() >= deadline_us; }

}  // namespace

uint64_t HotBytesOf(const Members& members) {
  return std::accumulate(
      members.begin(), members.end(), uint64_t{0},
      [](uint64_t sum, const auto& pair) { return sum + BytesOfMember(pair.first); });
}

// --- StoreWork
// ------------------------------------------------------------------------------------

StoreWork::~StoreWork() {
  if (word_ != 0) server::FreeCollection(kZSet, word_);
  if (builder_ == nullptr) return;
  for (const uint64_t word : builder_->Abandon()) {
    if (word != 0) server::FreeCollection(kZSet, word);
  }
}

bool StoreWork::MayGoOn() {
  if (meter_.IsFull()) return false;
  return ++looks_ % kMembersPerLook != 0 || !IsOver(deadline_us_);
}

bool StoreWork::Check(const Result<void>& outcome) {
  if (!outcome) failure_ = outcome.code();
  return outcome.ok();
}

bool StoreWork::StaysFew() const {
  return few_bytes_ <= kFewBytes || (few_are_short_ && few_.size() <= kSmallSize);
}

bool StoreWork::CanRead(const Element& member, Missing* missing) {
  if (!member.large) return true;
  Missing here;
  values::PlanElement(server::TheEnv(), member, &here);
  if (here.empty()) return true;
  *missing = std::move(here);
  return false;
}

bool StoreWork::Add(double score, const Element& member) {
  ++count_;
  // Bytes of a block end with the next that is made.
  text_.clear();
  values::AppendElement(server::TheEnv(), member, &text_);
  if (builder_ != nullptr) return Check(builder_->Add(score, base::AsBytes(text_)));
  few_.emplace_back(text_, score);
  few_bytes_ += BytesOfMember(text_);
  few_are_short_ = few_are_short_ && text_.size() <= kSmallMemberBytes;
  if (StaysFew()) return true;
  builder_ = std::make_unique<values::UnorderedZSetBuilder>(
      server::TheEnv(), values::UnorderedZSetBuilder::Placers{&scores_placer_, &members_placer_});
  for (const auto& [early, early_score] : std::exchange(few_, {})) {
    if (!Check(builder_->Add(early_score, base::AsBytes(early)))) return false;
  }
  return true;
}

StoreWork::Progress StoreWork::Step(uint64_t deadline_us, Missing* missing) {
  deadline_us_ = deadline_us;
  meter_.BeginStep();
  if (!gathered_) {
    const Progress progress = Gather(missing);
    if (progress != Progress::kDone || failure_) return progress;
    gathered_ = true;
  }
  return builder_ == nullptr ? Progress::kDone : Finish(missing);
}

StoreWork::Progress StoreWork::Finish(Missing* missing) {
  for (;;) {
    const Result<bool> ended = builder_->FinishSome(kMembersPerLook, missing);
    if (!Check(ended ? Result<void>() : Result<void>(ended.error()))) return Progress::kDone;
    if (*ended) break;
    if (!missing->empty()) return Progress::kMissing;
    if (meter_.IsFull() || IsOver(deadline_us_)) return Progress::kMore;
  }
  const Result<uint64_t> word = builder_->Finish();
  if (word) {
    word_ = *word;
  } else {
    failure_ = word.code();
  }
  return Progress::kDone;
}

// --- JoinWork
// -------------------------------------------------------------------------------------

JoinWork::JoinWork(const Wanted& wanted)
    : operation_(wanted.operation), aggregate_(wanted.aggregate), join_([&] {
        for (const Source& source : wanted.sources) {
          weights_.push_back(source.weight);
          uint64_t nothing = 0;
          const ZSetValue empty(server::TheEnv(), &nothing);
          frozen_.push_back(std::make_unique<dispatch::Clone>(
              source.set == nullptr ? empty : *source.set, kZSet));
        }
        return Join();
      }()) {}

ZSetJoin JoinWork::Join() const {
  std::vector<uint64_t*> words;
  for (const auto& clone : frozen_) words.push_back(clone->mutable_word());
  const ZSetJoin::Of of = operation_ == StoreOperation::kUnion   ? ZSetJoin::Of::kAny
                          : operation_ == StoreOperation::kInter ? ZSetJoin::Of::kAll
                                                                 : ZSetJoin::Of::kFirstAlone;
  return {server::TheEnv(), words, {.of = of, .budget_bytes = PortionBytes()}};
}

bool JoinWork::IsOf(const std::vector<Source>& sources) const {
  return std::equal(sources.begin(), sources.end(), frozen_.begin(), frozen_.end(),
                    [](const Source& source, const auto& clone) {
                      return source.set == nullptr ? clone->word() == 0
                                                   : source.set->IsStill(clone->word());
                    });
}

double JoinWork::Score() const {
  const auto scores = join_.scores();
  if (operation_ == StoreOperation::kDiff) return *scores[0];
  std::optional<double> sum;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (!scores[i]) continue;
    if (!sum) {
      sum = Weighted(*scores[i], weights_[i]);
    } else {
      // Unlike in a union, a product that is no number counts only through the sum.
      sum = Aggregated(aggregate_, *sum,
                       operation_ == StoreOperation::kUnion ? Weighted(*scores[i], weights_[i])
                                                            : *scores[i] * weights_[i]);
    }
  }
  return *sum;
}

StoreWork::Progress JoinWork::Gather(Missing* missing) {
  for (; MayGoOn(); join_.Advance()) {
    switch (join_.Look(missing)) {
      case ZSetJoin::At::kEnd:
        return Progress::kDone;
      case ZSetJoin::At::kMissing:
        return Progress::kMissing;
      case ZSetJoin::At::kNoMember:
        continue;
      case ZSetJoin::At::kMember:
        break;
    }
    if (!CanRead(join_.member(), missing)) {
      join_.Keep(missing);
      return Progress::kMissing;
    }
    if (!Add(Score(), join_.member())) return Progress::kDone;
  }
  return Progress::kMore;
}

// --- RangeStoreWork
// -------------------------------------------------------------------------------

RangeStoreWork::RangeStoreWork(const ZSetValue& source, Ranks ranks)
    : frozen_(source, kZSet),
      walk_(ZSetValue(server::TheEnv(), frozen_.mutable_word()),
            {.begin = ranks.begin, .end = ranks.end, .budget_bytes = PortionBytes()}) {}

StoreWork::Progress RangeStoreWork::Gather(Missing* missing) {
  for (; !walk_.AtEnd(); walk_.Advance()) {
    if (!MayGoOn()) return Progress::kMore;
    if (!walk_.Ready(missing)) return Progress::kMissing;
    const values::EntryView entry = walk_.Entry();
    const Element member = values::ParseMember(entry);
    if (!CanRead(member, missing)) {
      walk_.Keep(missing);
      return Progress::kMissing;
    }
    if (!Add(values::ParseScore(entry), member)) return Progress::kDone;
  }
  return Progress::kDone;
}

}  // namespace flash::commands
