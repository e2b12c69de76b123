// target.h: whom the load goes to: one server, or the primaries of a cluster, and how they are
// reached.
//
// Reads the cluster's slots once, when it is made: slots that move later answer MOVED, which the
// report counts as an error. Knows no commands of the load. Thread: const, any.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/common/client.h"
#include "tools/common/slots.h"
#include "tools/common/transport.h"
#include "tools/common/url.h"

namespace flash::tools::bench {

/// What every connection needs, whichever node it goes to.
struct Access {
  std::string user;
  std::string password;
  uint32_t database = 0;
  Transport::Options transport;

  /// What is sent on a connection before anything else.
  [[nodiscard]] std::vector<Command> Greeting() const;
};

/// A connection that waits for its replies, with everything said that comes before the load.
/// Errors: of the connection; kUnsupported (the password or the database refused).
[[nodiscard]] Result<std::unique_ptr<Client>> OpenClient(const Endpoint& endpoint,
                                                         const Access& access);

class Target {
 public:
  /// Without a server: what the command line says. Find() asks the rest.
  Target() = default;
  Target(const Url& url, const Transport::Options& transport);

  /// Asks the server of the URL whether it is of a cluster, and for its primaries. Errors: of the
  /// connection; kUnsupported (password or CLUSTER SLOTS refused), kInvalid (slots that nobody
  /// has, a database other than 0).
  [[nodiscard]] Result<void> Find();

  /// A topology as CLUSTER SLOTS gave it. Errors: kInvalid, as Find.
  [[nodiscard]] Result<void> TakeSlots(Client& client);

  [[nodiscard]] const Access& access() const { return access_; }
  [[nodiscard]] const Endpoint& named() const { return nodes_.front(); }
  /// The server, or the primaries.
  [[nodiscard]] const std::vector<Endpoint>& nodes() const { return nodes_; }
  [[nodiscard]] bool is_cluster() const { return is_cluster_; }
  /// The index in nodes() of the one that has `key`.
  [[nodiscard]] size_t NodeOf(std::string_view key) const;

 private:
  Access access_;
  std::vector<Endpoint> nodes_ = {Endpoint{}};
  bool is_cluster_ = false;
  std::array<uint16_t, kSlots> node_of_slot_{};
};

}  // namespace flash::tools::bench
