// probe.h: how keys are read: which commands the user may send, and what their replies mean.
//
// Measure() asks MEMORY USAGE, OBJECT IDLETIME or FREQ, and TYPE (or OBJECT ENCODING, or neither)
// of some keys in one round trip, and learns from refusals what to ask the next time. None of them
// counts as a use of the key. Thread: one owner.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "tools/common/client.h"
#include "tools/flash-sizer/pace.h"
#include "tools/flash-sizer/sample.h"

namespace flash::tools::sizer {

/// How types are found out, best first.
enum class TypeSource : uint8_t { kType, kEncoding, kNone };

class Probe {
 public:
  /// Keys of one Measure at most: three commands each, in one round trip.
  static constexpr size_t kKeysMax = 32;

  Probe(Client& client, Pace& pace, const base::Clock& clock)
      : client_(client), pace_(pace), clock_(clock) {}

  /// Sends `commands` at the pace. Errors: those of the connection.
  [[nodiscard]] Result<std::vector<Reply>> Run(std::span<const Command> commands);

  /// One SCAN; `cursor` becomes the one returned. Errors: also kUnsupported, SCAN refused.
  [[nodiscard]] Result<std::vector<std::string>> Scan(uint64_t& cursor, uint32_t count);

  /// Appends a KeySample for each of `names` (at most kKeysMax) that still exists;
  /// KeySample::stretch is left to the caller. Errors: also kUnsupported, naming the permission
  /// that is missing.
  [[nodiscard]] Result<void> Measure(std::span<const std::string> names,
                                     std::vector<KeySample>& keys);

  [[nodiscard]] Heat heat() const { return heat_; }
  [[nodiscard]] TypeSource type_source() const { return type_source_; }
  [[nodiscard]] uint64_t commands() const { return commands_; }
  [[nodiscard]] uint64_t vanished_keys() const { return vanished_keys_; }

 private:
  /// True if the replies stand; false if they taught how to ask better.
  [[nodiscard]] Result<bool> Learn(std::span<const Reply> replies);
  void Take(std::span<const std::string> names, std::span<const Reply> replies,
            std::vector<KeySample>& keys);

  Client& client_;
  Pace& pace_;
  const base::Clock& clock_;
  Heat heat_ = Heat::kIdleSeconds;
  bool heat_is_sure_ = false;  // The server's policy allows one of the two commands only.
  TypeSource type_source_ = TypeSource::kType;
  uint64_t commands_ = 0;
  uint64_t vanished_keys_ = 0;
};

}  // namespace flash::tools::sizer
