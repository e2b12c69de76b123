// slot_lines.cc: see slot_lines.h.
//
// Thread: any.
#include "durability/slot_lines.h"

#include <charconv>
#include <optional>

namespace flash::durability {
namespace {

/// Id, address, flags, primary, ping, pong, epoch, link; slots follow.
constexpr int kFlagsField = 2;
constexpr int kFirstSlotField = 8;

/// Takes what stands before the next `separator` off the front of `rest`.
std::string_view Take(std::string_view* rest, char separator) {
  const size_t end = rest->find(separator);
  const std::string_view taken = rest->substr(0, end);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  return taken;
}

std::optional<size_t> SlotOf(std::string_view text) {
  size_t slot = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slot);
  if (error != std::errc() || end != text.data() + text.size() || slot >= kClusterSlots) {
    return std::nullopt;
  }
  return slot;
}

void AddRange(std::string_view text, SlotSet* slots) {
  std::string_view last = text;
  const std::optional<size_t> from = SlotOf(Take(&last, '-'));
  const std::optional<size_t> to = last.empty() ? from : SlotOf(last);
  if (!from || !to) return;
  for (size_t slot = *from; slot <= *to; ++slot) slots->set(slot);
}

}  // namespace

SlotSet SlotsOfOthers(std::string_view cluster_nodes) {
  SlotSet others;
  SlotSet imported;
  while (!cluster_nodes.empty()) {
    std::string_view line = Take(&cluster_nodes, '\n');
    bool myself = false;
    for (int field = 0; !line.empty(); ++field) {
      std::string_view text = Take(&line, ' ');
      if (field == kFlagsField) myself = text.find("myself") != std::string_view::npos;
      if (field < kFirstSlotField || text.empty()) continue;
      if (text.front() != '[') {
        if (!myself) AddRange(text, &others);
        continue;
      }
      // [slot-<-node] comes, [slot->-node] goes.
      const bool comes = text.find("-<-") != std::string_view::npos;
      text.remove_prefix(1);
      if (myself && comes) AddRange(Take(&text, '-'), &imported);
    }
  }
  return others & ~imported;
}

}  // namespace flash::durability
