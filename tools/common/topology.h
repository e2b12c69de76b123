// topology.h: a cluster's primaries and their slots, as one of its nodes tells them.
//
// Thread: one owner.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tools/common/client.h"
#include "tools/common/url.h"

namespace flash::tools {

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

}  // namespace flash::tools
