// server_facts.h: what a server is asked before any key: its INFO (its primaries: topology.h).
//
// All of it is optional: a user without these permissions gets a report with less in it. Thread:
// one owner.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tools/common/client.h"
#include "tools/flash-sizer/sample.h"

namespace flash::tools::sizer {

/// One INFO reply.
struct Info {
  bool permitted = false;
  bool cluster = false;  ///< cluster_enabled.
  bool replica = false;
  ServerFacts facts;
  std::map<uint32_t, uint64_t> keys_of_database;
};

[[nodiscard]] Info ParseInfo(std::string_view text);

/// Asks `client`. Errors: those of the connection only.
[[nodiscard]] Result<Info> AskInfo(Client& client);

}  // namespace flash::tools::sizer
