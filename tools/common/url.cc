// url.cc: see url.h.
//
// The password is cut off before any message is made, so that no error can print it.
#include "tools/common/url.h"

#include <charconv>

namespace flash::tools {
namespace {

constexpr std::string_view kForm = "; expected valkey://[user:password@]host[:port][/database]";

Error Invalid(std::string_view what) { return {Code::kInvalid, std::string(what).append(kForm)}; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> PercentDecoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

/// The number that `text` is, whole, in [low, high].
std::optional<uint32_t> Number(std::string_view text, uint32_t low, uint32_t high) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (number < low || number > high) return std::nullopt;
  return number;
}

Result<bool> TlsOfScheme(std::string_view scheme) {
  if (scheme == "valkey" || scheme == "redis") return false;
  if (scheme == "valkeys" || scheme == "rediss") return true;
  return Invalid("unknown scheme '" + std::string(scheme) + "'");
}

Result<void> ParseCredentials(std::string_view text, Url& url) {
  const size_t colon = text.find(':');
  const auto user = PercentDecoded(text.substr(0, colon));
  const auto password = colon == text.npos ? std::string() : PercentDecoded(text.substr(colon + 1));
  if (!user || !password) return Invalid("bad percent-encoding before the @");
  url.user = *user;
  url.password = *password;
  return {};
}

Result<void> ParseEndpoint(std::string_view text, Endpoint& endpoint) {
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == text.npos) return Invalid("no ] after the address");
    endpoint.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && !port.starts_with(':')) return Invalid("unexpected text after ]");
  } else {
    const size_t colon = text.find(':');
    endpoint.host = text.substr(0, colon);
    if (colon != text.npos) port = text.substr(colon);
  }
  if (endpoint.host.empty()) return Invalid("no host");
  if (port.empty()) return {};
  const auto number = Number(port.substr(1), 1, 65535);
  if (!number) return Invalid("bad port '" + std::string(port.substr(1)) + "'");
  endpoint.port = static_cast<uint16_t>(*number);
  return {};
}

}  // namespace

std::string Endpoint::Text() const {
  const bool v6 = host.find(':') != host.npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Url> ParseUrl(std::string_view text) {
  const size_t scheme_end = text.find("://");
  if (scheme_end == text.npos) return Invalid("no scheme in the address");
  Url url;
  const auto tls = TlsOfScheme(text.substr(0, scheme_end));
  if (!tls) return tls.error();
  url.tls = *tls;
  text.remove_prefix(scheme_end + 3);

  // The last @: a password with a plain @ in it is common, and unambiguous.
  if (const size_t at = text.rfind('@'); at != text.npos) {
    if (const auto parsed = ParseCredentials(text.substr(0, at), url); !parsed) {
      return parsed.error();
    }
    text.remove_prefix(at + 1);
  }
  const size_t slash = text.find('/');
  if (const auto parsed = ParseEndpoint(text.substr(0, slash), url.endpoint); !parsed) {
    return parsed.error();
  }
  if (slash != text.npos && slash + 1 < text.size()) {
    url.database = Number(text.substr(slash + 1), 0, 1'000'000);
    if (!url.database) return Invalid("bad database number");
  }
  return url;
}

}  // namespace flash::tools
