// control.h: connections for everything beside the load: filling, and what the server, or the
// primaries of a cluster, say of themselves.
//
// Waits for its replies. Thread: one owner.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/common/client.h"
#include "tools/flash-bench/result.h"
#include "tools/flash-bench/target.h"

namespace flash::tools::bench {

class Control {
 public:
  /// Errors: those of the connection, and kUnsupported for a refused password.
  [[nodiscard]] static Result<std::unique_ptr<Control>> Open(const Target& target);

  /// Sends each command to the node that has its second word, which is its key; one round trip to
  /// each node. Errors: of the connection, and the first error reply (kInvalid).
  [[nodiscard]] Result<void> RunAll(std::vector<Command> commands);

  /// INFO as figures, summed over the nodes. Errors: of the connection; kUnsupported (refused).
  [[nodiscard]] Result<Sample> Look();

  /// Version, module, settings that matter of the first node, in one line; how many nodes.
  [[nodiscard]] std::string Describe();
  /// Every node has it.
  [[nodiscard]] bool HasModule();

 private:
  explicit Control(const Target& target) : target_(target) {}
  [[nodiscard]] static std::string Info(Client& client);
  [[nodiscard]] std::string Setting(const std::string& name);

  const Target& target_;
  std::vector<std::unique_ptr<Client>> clients_;  // One for each of target_.nodes().
};

/// The number behind `name:` in INFO's text; 0 without.
[[nodiscard]] double FigureOf(const std::string& info, const std::string& name);

}  // namespace flash::tools::bench
