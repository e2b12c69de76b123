// collection_parts.h: what the handlers of hashes, lists and sorted sets share: arguments as text,
// replies of elements, gates.
//
// Knows no single command. Thread: main.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "commands/args.h"
#include "dispatch/context.h"
#include "dispatch/errors.h"
#include "dispatch/keys.h"
#include "values/collection.h"

namespace flash::commands {

namespace errors = dispatch::errors;
using dispatch::Context;
using dispatch::KeyChange;
using dispatch::Outcome;
using values::Element;
using values::Missing;
using Access = Context::Access;

/// Of most commands: argument 0 is the name, 1 the key.
inline constexpr int kKey = 1;

/// The arguments of a command as views, which live as long as the command.
class Texts {
 public:
  explicit Texts(const Context& ctx) {
    const auto count = static_cast<size_t>(ctx.argc());
    std::string_view* into = few_.data();
    if (count > few_.size()) {
      many_.resize(count);
      into = many_.data();
    }
    for (size_t i = 1; i < count; ++i) into[i] = ctx.Text(static_cast<int>(i));
    into[0] = ctx.spec().name;  // Errors name the command, however the client spelt it.
    all_ = {into, count};
  }
  Texts(const Texts&) = delete;
  Texts& operator=(const Texts&) = delete;
  [[nodiscard]] Args args() const { return all_; }
  [[nodiscard]] std::string_view operator[](size_t index) const { return all_[index]; }
  [[nodiscard]] size_t size() const { return all_.size(); }

 private:
  std::array<std::string_view, 8> few_;
  std::vector<std::string_view> many_;
  Args all_;
};

/// Replies an element, all of whose blocks are hot.
void ReplyElement(Context& ctx, const Element& element);

/// Names what reading the elements of ranks [begin, end) needs: their leaves, and of those that are
/// hot the blocks of large elements.
void PlanRead(const values::Collection& value, uint64_t begin, uint64_t end, Missing* missing);

/// Commits a change that took elements away: an emptied key replicates as its deletion, otherwise
/// the command as typed. `event` belongs to `event_class`.
void CommitRemoval(Context& ctx, int key, bool emptied, const char* event, int event_class);

/// Room for `bytes` more of hot data. An element larger than the cache is let in when half of the
/// cache is free: it leaves again as blocks of its own.
[[nodiscard]] std::optional<Outcome> GateRoomFor(Context& ctx, uint64_t bytes);

/// A leaf that a large write copies, or reads, for one element.
inline constexpr uint64_t kCopiedLeafBytes = 4096;

/// Bytes that an element adds to the cache, leaf overhead included.
[[nodiscard]] inline uint64_t HotBytesOf(std::string_view element) { return element.size() + 16; }

}  // namespace flash::commands
