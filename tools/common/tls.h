// tls.h: the TLS transport, on OpenSSL.
//
// TLS 1.2 or newer; the server's certificate must match the host, or TlsOptions::server_name.
// Thread: one owner.
#pragma once

#include <memory>

#include "base/result.h"
#include "tools/common/socket.h"
#include "tools/common/transport.h"

namespace flash::tools {

/// Shakes hands over a connected socket. Errors: kUnsupported (certificates), kIo, kTimeout.
[[nodiscard]] Result<std::unique_ptr<Transport>> ConnectTls(Socket socket, const Endpoint& endpoint,
                                                            const TlsOptions& options);

}  // namespace flash::tools
