// collection_parts.cc: see collection_parts.h.
//
// Thread: main.
#include "commands/collection_parts.h"

#include <algorithm>
#include <string>

#include "server/engine.h"

namespace flash::commands {
namespace {

/// The elements of any collection, in order.
class Elements : public values::Collection {
 public:
  explicit Elements(const values::Collection& value) : Collection(value) {}

  void Plan(uint64_t begin, uint64_t end, Missing* missing) const {
    if (begin >= end || empty()) return;
    const values::Tree elements = tree(0);
    values::Path path;
    uint64_t position = begin;
    elements.SeekRank(&position, &path);
    for (uint64_t left = end - begin; left > 0; position = 0) {
      const uint64_t here = std::min<uint64_t>(left, path.leaf.count() - position);
      if (elements.Plan(path, missing) && path.leaf.large()) {
        const values::LeafView leaf = elements.Look(path);
        std::vector<uint64_t> words;
        for (uint64_t i = position; i < position + here; ++i) {
          values::AppendLargeWords(leaf.kind(), leaf.At(static_cast<uint32_t>(i)), &words);
        }
        for (const uint64_t word : words) {
          values::ForEachLargeBlock(
              word, [&](BlockId id) { static_cast<void>(missing->Need(env().store, id)); });
        }
      }
      left -= here;
      if (left == 0 || !values::Tree::NextLeaf(&path)) return;
    }
  }
};

}  // namespace

void ReplyElement(Context& ctx, const Element& element) {
  if (!element.large) {
    ctx.ReplyBulk(element.bytes);
    return;
  }
  if (ctx.planning()) return;
  const values::ElementReader reader(server::TheEnv(), element);
  const Bytes first = reader.At(0, nullptr);
  if (first.size() == reader.size()) {
    ctx.ReplyBulk(first);
    return;
  }
  ctx.ReplyBulk(base::AsBytes(values::ElementText(server::TheEnv(), element)));
}

void PlanRead(const values::Collection& value, uint64_t begin, uint64_t end, Missing* missing) {
  Elements(value).Plan(begin, end, missing);
}

void CommitRemoval(Context& ctx, int key, bool emptied, const char* event, int event_class) {
  ValkeyModuleString* const name = ctx.Argument(key);
  if (!emptied) {
    const std::array<KeyChange, 1> changes = {{{name, event, event_class}}};
    return ctx.Commit({}, changes);
  }
  const std::array<KeyChange, 2> changes = {{{name, event, event_class}, {name, "del"}}};
  const std::array<ValkeyModuleString*, 1> args = {name};
  ctx.Commit({"DEL", args}, changes);
}

std::optional<Outcome> GateRoomFor(Context& ctx, uint64_t bytes) {
  return ctx.GateRoom(std::min(bytes, server::Engine::Get().settings().cache_size_bytes / 2));
}

}  // namespace flash::commands
