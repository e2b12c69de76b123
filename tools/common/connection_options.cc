// connection_options.cc: see connection_options.h.
//
// Thread: the main thread, once.
#include "tools/common/connection_options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>

namespace flash::tools {

void DefineTlsOptions(CLI::App& app, TlsOptions& tls) {
  app.add_option("--cacert", tls.ca_file, "Certificates to trust (PEM); default: the system's")
      ->check(CLI::ExistingFile);
  auto* certificate = app.add_option("--cert", tls.certificate, "Client certificate (PEM)")
                          ->check(CLI::ExistingFile);
  auto* key = app.add_option("--key", tls.key, "Its private key (PEM)")->check(CLI::ExistingFile);
  certificate->needs(key);
  key->needs(certificate);
  app.add_option("--tls-name", tls.server_name, "Name in the certificates, if not the host");
  app.add_flag("!--insecure", tls.verify, "Do not verify certificates");
}

Result<Url> CompleteUrl(const std::string& text, const std::string& user,
                        const char* password_name) {
  Result<Url> url = ParseUrl(text);
  if (!url) return url;
  if (!user.empty()) url->user = user;
  if (const char* password = std::getenv(password_name);
      password != nullptr && url->password.empty()) {
    url->password = password;
  }
  return url;
}

}  // namespace flash::tools
