// list_work.cc: see list_work.h.
//
// Thread: main.
#include "commands/list_work.h"

#include "server/engine.h"

namespace flash::commands {
namespace {

using dispatch::PortionBytes;
using values::ListValue;
using values::Missing;

constexpr values::CollectionKind kList = values::CollectionKind::kList;

/// Elements between two looks at the clock.
constexpr uint32_t kElementsPerLook = 256;
/// Bytes that a step may copy before its room is asked for again.
constexpr uint64_t kCopiedLeafBytes = 4096;

bool IsOver(uint64_t deadline_us) { return server::Engine::Get().clock().NowUs() >= deadline_us; }

}  // namespace

FindWork::FindWork(const ListValue& list, Bytes element)
    : frozen_(list, kList),
      element_(base::AsText(element)),
      walk_(ListValue(server::TheEnv(), frozen_.mutable_word()),
            {.begin = 0, .end = list.size(), .budget_bytes = PortionBytes()}) {}

FindWork::Progress FindWork::Step(uint64_t deadline_us, Missing* missing) {
  for (; !walk_.AtEnd(); walk_.Advance(), ++next_) {
    if (next_ % kElementsPerLook == 0 && IsOver(deadline_us)) return Progress::kMore;
    if (!walk_.Ready(missing)) return Progress::kMissing;
    const auto order = values::ElementsEqual(server::TheEnv(), ParseListEntry(walk_.Entry()),
                                             {base::AsBytes(element_)}, missing);
    if (!missing->empty()) {
      walk_.Keep(missing);
      return Progress::kMissing;
    }
    if (order != values::Order::kEqual) continue;
    position_ = next_;
    break;
  }
  return Progress::kDone;
}

RemoveWork::RemoveWork(const ListValue& list, Bytes element, ListValue::End from, uint64_t limit)
    : frozen_(list, kList),
      draft_(list, kList),
      removal_(server::TheEnv(), draft_.mutable_word(), element,
               {.from = from, .limit = limit, .budget_bytes = PortionBytes()}) {}

RemoveWork::Progress RemoveWork::Step(uint64_t deadline_us, Missing* missing) {
  for (uint64_t copied = 0; !removal_.done();) {
    const uint64_t removed = removal_.removed();
    if (!removal_.Step(missing)) return Progress::kMissing;
    if (removal_.removed() != removed) copied += kCopiedLeafBytes;
    if (copied >= PortionBytes() || IsOver(deadline_us)) {
      return removal_.done() ? Progress::kDone : Progress::kMore;
    }
  }
  return Progress::kDone;
}

}  // namespace flash::commands
