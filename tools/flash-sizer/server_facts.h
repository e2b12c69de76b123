// server_facts.h: what a server is asked before any key: its INFO, and in a cluster its primaries.
//
// All of it is optional: a user without these permissions gets a report with less in it. Thread:
// one owner.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tools/common/client.h"
#include "tools/common/url.h"
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

/// A primary and the slots that it owns, as closed ranges.
struct Primary {
  Endpoint endpoint;
  std::vector<std::pair<uint16_t, uint16_t>> slots;
};

struct Topology {
  bool permitted = true;
  std::vector<Primary> primaries;  ///< Empty: not a cluster, or not permitted.
};

/// CLUSTER SLOTS of `client`, which is connected to `here` (nodes may not know their own address).
/// Errors: those of the connection only.
[[nodiscard]] Result<Topology> AskTopology(Client& client, const Endpoint& here);

}  // namespace flash::tools::sizer
