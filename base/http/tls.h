// What the blocking and the non-blocking client ask of OpenSSL: whom to trust, and for which host. Private to
// base/http. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

struct ssl_ctx_st;
struct ssl_st;

namespace mcpfleet::http {

using TlsContext = std::shared_ptr<ssl_ctx_st>;  // shared: an SSL* holds a reference of its own

// TLS 1.2 or newer, certificates verified. The system's certificates are read once; those of `ca_file`, which are
// trusted instead of them, each time, so that a renewed file counts. InvalidArgument when it can't be used.
StatusOr<TlsContext> TlsContextFor(const std::string& ca_file);
// Before the handshake of a client: says the name (SNI), and accepts a certificate for it only.
void ExpectHost(ssl_st* ssl, const std::string& host);
// Why the handshake, a read or a write failed: Unauthenticated for a certificate, Unavailable for anything else.
Status TlsFailure(const ssl_st* ssl);

}  // namespace mcpfleet::http
