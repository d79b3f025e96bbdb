#include "base/http/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace mcpfleet::http {
namespace {

TlsContext NewTlsContext() {
  TlsContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

const TlsContext& SystemContext() {
  static const TlsContext system = [] {
    TlsContext made = NewTlsContext();
    SSL_CTX_set_default_verify_paths(made.get());
    return made;
  }();
  return system;
}

}  // namespace

StatusOr<TlsContext> TlsContextFor(const std::string& ca_file) {
  if (ca_file.empty()) return SystemContext();
  TlsContext made = NewTlsContext();
  if (SSL_CTX_load_verify_locations(made.get(), ca_file.c_str(), nullptr) != 1) {
    ERR_clear_error();
    return InvalidArgument(ca_file + ": no certificates that can be read");
  }
  return made;
}

void ExpectHost(ssl_st* ssl, const std::string& host) {
  X509_VERIFY_PARAM* verify = SSL_get0_param(ssl);
  // An address is no server name (RFC 6066 §3).
  if (X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) == 1) return;
  SSL_set_tlsext_host_name(ssl, host.c_str());
  X509_VERIFY_PARAM_set1_host(verify, host.c_str(), 0);
}

Status TlsFailure(const ssl_st* ssl) {
  if (long verify = SSL_get_verify_result(ssl); verify != X509_V_OK) {
    return Unauthenticated(std::string("certificate: ") + X509_verify_cert_error_string(verify));
  }
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return Unavailable(std::string("TLS: ") + (reason != nullptr ? reason : "failed"));
}

}  // namespace mcpfleet::http
