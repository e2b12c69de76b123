// target.cc: see target.h.
//
// Thread: const, any.
#include "tools/flash-bench/target.h"

#include <algorithm>

#include "tools/common/topology.h"

namespace flash::tools::bench {
namespace {

constexpr uint16_t kNobody = 0xffff;

}  // namespace

std::vector<Command> Access::Greeting() const {
  std::vector<Command> commands;
  if (!password.empty() || !user.empty()) {
    Command& auth = commands.emplace_back(Command{"AUTH"});
    if (!user.empty()) auth.push_back(user);
    auth.push_back(password);
  }
  if (database != 0) commands.push_back({"SELECT", std::to_string(database)});
  return commands;
}

Result<std::unique_ptr<Client>> OpenClient(const Endpoint& endpoint, const Access& access) {
  auto transport = Transport::Connect(endpoint, access.transport);
  if (!transport) return transport.error();
  auto client = MakeClient(std::move(transport).Take());
  for (const Command& command : access.Greeting()) {
    const auto reply = client->Call(command);
    if (!reply) return reply.error();
    if (reply->IsError()) {
      return Error{Code::kUnsupported, command.front() + " was refused: " + reply->text};
    }
  }
  return client;
}

Target::Target(const Url& url, const Transport::Options& transport)
    : access_{url.user, url.password, url.database.value_or(0), transport}, nodes_{url.endpoint} {
  access_.transport.tls = url.tls;
}

Result<void> Target::Find() {
  const auto client = OpenClient(named(), access_);
  if (!client) return client.error();
  const auto info = (*client)->Call({"INFO", "cluster"});
  if (!info) return info.error();
  if (info->text.find("cluster_enabled:1") == std::string::npos) return {};
  return TakeSlots(**client);
}

Result<void> Target::TakeSlots(Client& client) {
  if (access_.database != 0) return Error{Code::kInvalid, "a cluster has no database but 0"};
  const auto topology = AskTopology(client, named());
  if (!topology) return topology.error();
  if (!topology->permitted) {
    return Error{Code::kUnsupported,
                 "CLUSTER SLOTS was refused: without it a cluster is no target"};
  }
  std::vector<Endpoint> primaries;
  node_of_slot_.fill(kNobody);
  for (const Primary& primary : topology->primaries) {
    for (const auto& [first, last] : primary.slots) {
      const auto node = static_cast<uint16_t>(primaries.size());
      std::fill(node_of_slot_.begin() + first, node_of_slot_.begin() + last + 1, node);
    }
    primaries.push_back(primary.endpoint);
  }
  const auto lacking = std::count(node_of_slot_.begin(), node_of_slot_.end(), kNobody);
  if (lacking > 0) {
    return Error{Code::kInvalid, std::to_string(lacking) + " slots of the cluster have no primary"};
  }
  nodes_ = std::move(primaries);
  is_cluster_ = true;
  return {};
}

size_t Target::NodeOf(std::string_view key) const {
  return is_cluster_ ? node_of_slot_[SlotOf(key)] : 0;
}

}  // namespace flash::tools::bench
