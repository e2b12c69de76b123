// dump_payload.h: what DUMP gives for a value of a module's type, taken apart.
//
// Type of the object, id of the data type (its name and the version of its encoding), the value as
// its rdb_save wrote it, an end mark, the version of the RDB format and a checksum. Knows no key
// space. Thread: any. Source: rdb.c and module.c of the server, which keep this form for good.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flash::durability {

struct DumpPayload {
  std::string type_name;  // Nine letters.
  int encoding = 0;
  std::string_view value;  // A view into the payload.
};

/// What stands before a value of a type (its name has nine letters), and behind it: version and
/// checksum are zeros, as ParseDump does not look at them.
[[nodiscard]] std::string DumpHead(std::string_view type_name, int encoding);
[[nodiscard]] std::string_view DumpTail();

/// Nothing: it is of another kind, or too short. The checksum is not looked at.
[[nodiscard]] std::optional<DumpPayload> ParseDump(std::string_view payload);

}  // namespace flash::durability
