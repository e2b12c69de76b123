// native_value.h: the server's own values, read element by element.
//
// Through the module API, in place: never the whole in another form. Between the first element and
// the last nobody else may run, since nothing would tell. Thread: main.
#pragma once

#include <functional>

#include "base/bytes.h"
#include "vk/key.h"

namespace flash::types {

/// What a key holds that is not of a type of ours.
enum class NativeShape : uint8_t {
  kNone,  ///< Nothing, or a value of ours.
  kString,
  kHash,
  kList,
  kZSet,
  kOther,  ///< What has no counterpart here: sets, streams, values of other modules.
};

[[nodiscard]] NativeShape ShapeOf(const vk::Key& key);

/// Elements; of a string 1.
[[nodiscard]] uint64_t ElementsOf(const vk::Key& key, NativeShape shape);

/// Reads the value of a key that is open for reading and of that shape. Visitors stop the reading
/// by false; the result is false then.
class NativeValue {
 public:
  explicit NativeValue(const vk::Key& key) : key_(key.get()) {}

  /// The whole string, where the server has it. Valid while the key is open.
  [[nodiscard]] Bytes String() const;
  using PairVisitor = std::function<bool(Bytes field, Bytes value)>;
  /// Each field once, in no order.
  [[nodiscard]] bool ForEachField(const PairVisitor& visit) const;
  using ElementVisitor = std::function<bool(Bytes element)>;
  [[nodiscard]] bool ForEachElement(const ElementVisitor& visit) const;
  using MemberVisitor = std::function<bool(double score, Bytes member)>;
  /// Ascending by score and member.
  [[nodiscard]] bool ForEachMember(const MemberVisitor& visit) const;

 private:
  ValkeyModuleKey* key_;
};

/// Has a hash fields with a time to live of their own (9.0 and newer)? Values of ours have none.
/// The key must not be open for writing.
[[nodiscard]] bool HasFieldsThatExpire(ValkeyModuleCtx* ctx, ValkeyModuleString* hash);

}  // namespace flash::types
