// control.h: a connection for everything beside the load: filling, and what the server says of
// itself.
//
// Waits for its replies. Thread: one owner.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "tools/common/client.h"
#include "tools/common/url.h"
#include "tools/flash-bench/result.h"

namespace flash::tools::bench {

class Control {
 public:
  /// Errors: those of the connection, and kUnsupported for a refused password.
  [[nodiscard]] static Result<std::unique_ptr<Control>> Open(const Url& url);

  /// One round trip. Errors: of the connection, and the first error reply (kInvalid).
  [[nodiscard]] Result<void> RunAll(std::span<const Command> commands);

  /// INFO as figures. Errors: as RunAll.
  [[nodiscard]] Result<Sample> Look();

  /// Version, module, settings that matter, in one line.
  [[nodiscard]] std::string Describe();
  [[nodiscard]] bool HasModule();

 private:
  explicit Control(std::unique_ptr<Client> client) : client_(std::move(client)) {}
  [[nodiscard]] std::string Info();
  [[nodiscard]] std::string Setting(const std::string& name);

  std::unique_ptr<Client> client_;
};

/// The number behind `name:` in INFO's text; 0 without.
[[nodiscard]] double FigureOf(const std::string& info, const std::string& name);

}  // namespace flash::tools::bench
