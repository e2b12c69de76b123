// keyed_read.cc: see keyed_read.h.
//
// Thread: main.
#include "commands/keyed_read.h"

#include <algorithm>

#include "base/glob.h"
#include "commands/parse_number.h"

namespace flash::commands {
namespace {

using dispatch::PortionBytes;
using dispatch::ReplyLog;
using values::Tree;

constexpr int kFirstName = 2;
/// Looked up in the order of their hashes, and given up as one when replied.
constexpr size_t kNamesPerWindow = 2048;

/// Names planned together: each may lie in another leaf.
size_t NamesPerPortion() {
  return std::max<uint64_t>(1, PortionBytes() / server::TheEnv().leaf_bytes_max);
}

}  // namespace

// --- KeyedRead
// --------------------------------------------------------------------------------------

KeyedRead::KeyedRead(const Context& ctx, const values::Collection& value,
                     values::CollectionKind kind)
    : ReadWork(value, kind) {
  for (int i = kFirstName; i < ctx.argc(); ++i) names_.push_back(ctx.Argument(i));
}

void KeyedRead::BeginWindow() {
  const size_t end = std::min(names_.size(), window_begin_ + kNamesPerWindow);
  order_.clear();
  next_ = 0;
  for (size_t i = window_begin_; i < end; ++i) {
    const uint64_t hash = server::TheEnv().HashOf(vk::BytesOf(names_[i]));
    order_.emplace_back(hash, static_cast<uint32_t>(i - window_begin_));
  }
  std::sort(order_.begin(), order_.end());
  windows_.emplace_back();
  windows_.back().places.resize(order_.size());
}

KeyedRead::Progress KeyedRead::Step(uint64_t deadline_us, Missing* missing) {
  BeginStep();
  while (window_begin_ < names_.size()) {
    if (order_.empty()) BeginWindow();
    while (next_ < order_.size()) {
      if (copies_due()) return Progress::kCopies;
      if (StepIsOver(deadline_us)) return Pause();
      const size_t end = std::min(order_.size(), next_ + NamesPerPortion());
      const auto name = [this](size_t i) {
        return vk::BytesOf(names_[window_begin_ + order_[i].second]);
      };
      for (size_t i = next_; i < end; ++i) Plan(name(i), missing);
      if (!missing->empty()) return Progress::kMissing;
      Window& window = windows_.back();
      for (; next_ < end; ++next_) {
        if (!Find(name(next_), &window.log, &window.places[order_[next_].second])) return Pause();
      }
    }
    window_begin_ += order_.size();
    order_.clear();
  }
  return End();
}

void KeyedRead::ReplyAll(Context& ctx) {
  ctx.ReplyArray(static_cast<long>(names_.size()));
  for (; !windows_.empty(); windows_.pop_front()) {
    const Window& window = windows_.front();
    for (const ReplyLog::Place place : window.places) window.log.ReplyItem(ctx, place);
  }
}

bool FieldsRead::Find(Bytes name, ReplyLog* log, ReplyLog::Place* place) {
  const std::optional<Element> value = hash_.Get(name);
  if (value && !Admits(value->size())) return false;
  *place = value ? Add(log, *value) : log->AddNull();
  return true;
}

bool ScoresRead::Find(Bytes name, ReplyLog* log, ReplyLog::Place* place) {
  const std::optional<double> score = set_.Score(name);
  *place = score ? log->AddDouble(*score) : log->AddNull();
  return true;
}

// --- ScanRead
// ---------------------------------------------------------------------------------------

ScanRead::ScanRead(const values::ZSetValue& set, uint64_t cursor, const ZScanOptions& options)
    : ReadWork(set, values::CollectionKind::kZSet),
      value_(server::TheEnv(), values::CollectionKind::kZSet, frozen().mutable_word()),
      cursor_(cursor),
      count_(static_cast<uint64_t>(options.count)),
      match_(options.match),
      with_scores_(!options.no_scores) {}

bool ScanRead::Start(Missing* missing) {
  const values::Env& env = server::TheEnv();
  const Tree index = value_.elements(1);
  const uint64_t hash = cursor_ << values::ZSetValue::kCursorShift;
  values::Path path;
  index.SeekHash(hash, &path);
  if (!index.Plan(path, missing)) return false;
  const uint64_t begin =
      Tree::RankBefore(path) + values::LowerHash(env, index.Look(path), hash, path.bounds);
  walk_.emplace(value_, values::ElementWalk::Options{.begin = begin,
                                                     .end = value_.size(),
                                                     .tree = 1,
                                                     .budget_bytes = PortionBytes(),
                                                     .to_the_end = true});
  return true;
}

void ScanRead::AddScore() {
  items_ += with_scores_ ? 2 : 1;
  if (!with_scores_) return;
  const uint64_t before = log_.reply_bytes();
  // What is long to read is not small enough for the other form.
  log_.AddBulk(base::AsBytes(FormatDoubleLong(score_)));
  NoteAdded(log_.reply_bytes() - before);
}

void ScanRead::FinishMember() {
  const ReplyLog::Place place = *std::exchange(unmatched_, std::nullopt);
  if (!base::GlobMatches(*match_, base::AsText(log_.BulkAt(place)))) {
    log_.TakeBack(place);
  } else {
    AddScore();
  }
}

bool ScanRead::AddEntry(const values::HashEntry& entry) {
  const Element& member = entry.field;
  score_ = values::DecodeScore(entry.value.bytes);
  if (!Admits(member.size())) return false;
  if (match_ && !member.large && !base::GlobMatches(*match_, base::AsText(member.bytes))) {
    return true;
  }
  const ReplyLog::Place place = Add(&log_, member);
  if (match_ && member.large) {
    unmatched_ = place;
  } else {
    AddScore();
  }
  return true;
}

ScanRead::Progress ScanRead::Step(uint64_t deadline_us, Missing* missing) {
  BeginStep();
  if (!walk_ && !Start(missing)) return Progress::kMissing;
  for (; !walk_->AtEnd(); walk_->Advance()) {
    if (copies_due() || (unmatched_ && copies_pending())) return Progress::kCopies;
    if (unmatched_) FinishMember();
    if (StepIsOver(deadline_us)) return Pause();
    if (!walk_->Ready(missing)) return Progress::kMissing;
    const values::EntryView entry = walk_->Entry();
    const uint64_t here = values::ZSetValue::CursorOf(values::EntryHash(server::TheEnv(), entry));
    if (visited_ >= count_ && here != reached_) {
      next_cursor_ = here;
      break;
    }
    if (!AddEntry(values::ParseHashEntry(entry))) return Pause();
    ++visited_;
    reached_ = here;
  }
  if (copies_pending()) return Progress::kCopies;
  if (unmatched_) FinishMember();
  return End();
}

void ScanRead::ReplyAll(Context& ctx) {
  ctx.ReplyArray(2);
  ctx.ReplyBulk(base::AsBytes(std::to_string(next_cursor_)));
  ctx.ReplyArray(static_cast<long>(items_));
  log_.ReplyTo(ctx);
}

}  // namespace flash::commands
