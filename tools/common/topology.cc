// topology.cc: see topology.h.
//
// Source: CLUSTER SLOTS in the server's documentation.
#include "tools/common/topology.h"

#include <algorithm>

namespace flash::tools {
namespace {

/// The node of a slot range: [address, port, id, [metadata…]].
Endpoint EndpointOf(const Reply& node, const Endpoint& here) {
  Endpoint endpoint = here;
  if (node.items.size() < 2) return endpoint;
  const std::string& address = node.items[0].text;
  if (!address.empty() && address != "?") endpoint.host = address;
  if (node.items[1].integer > 0) endpoint.port = static_cast<uint16_t>(node.items[1].integer);
  return endpoint;
}

void AddRange(const Reply& range, const Endpoint& here, Topology& topology) {
  if (range.items.size() < 3) return;
  const Endpoint endpoint = EndpointOf(range.items[2], here);
  auto same = std::find_if(
      topology.primaries.begin(), topology.primaries.end(),
      [&](const Primary& primary) { return primary.endpoint.Text() == endpoint.Text(); });
  if (same == topology.primaries.end()) {
    same = topology.primaries.insert(same, Primary{endpoint, {}});
  }
  same->slots.emplace_back(static_cast<uint16_t>(range.items[0].integer),
                           static_cast<uint16_t>(range.items[1].integer));
}

}  // namespace

Result<Topology> AskTopology(Client& client, const Endpoint& here) {
  const auto reply = client.Call({"CLUSTER", "SLOTS"});
  if (!reply) return reply.error();
  Topology topology;
  topology.permitted = !reply->IsForbidden();
  for (const Reply& range : reply->items) AddRange(range, here, topology);
  return topology;
}

}  // namespace flash::tools
