// connection_options.h: the options of a command line that say how to reach a server: those of TLS,
// and where a password may come from besides the URL.
//
// Thread: the main thread, once.
#pragma once

#include <string>

#include "tools/common/transport.h"
#include "tools/common/url.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the name of CLI11.
class App;
}

namespace flash::tools {

/// --cacert, --cert, --key, --tls-name and --insecure, into `tls`, which has to outlive `app`.
void DefineTlsOptions(CLI::App& app, TlsOptions& tls);

/// The URL that the user typed; a user and a password given elsewhere come in where it has none:
/// `user` (of --user) wins over the URL's, the variable `password_name` comes after it. Errors:
/// kInvalid.
[[nodiscard]] Result<Url> CompleteUrl(const std::string& text, const std::string& user,
                                      const char* password_name);

}  // namespace flash::tools
