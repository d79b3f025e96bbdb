#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdlib>

#include "tests/base/http_testing.h"

namespace mcpfleet::http {
namespace {

struct Identity {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();

  // Self-signed, for `host`, valid now.
  explicit Identity(const std::string& host) {
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("mcpfleet test"), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + host).c_str());
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(certificate, key, EVP_sha256());
  }
  ~Identity() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  void WriteTo(const std::string& path) const {
    FILE* file = fopen(path.c_str(), "w");
    PEM_write_X509(file, certificate);
    fclose(file);
  }
};

// Serves one connection: reads a request's head and answers with a body of `size` bytes.
void ServeOnce(RawListener* listener, const Identity& identity, size_t size) {
  RawSocket socket = listener->Accept();
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(context, identity.certificate);
  SSL_CTX_use_PrivateKey(context, identity.key);
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, socket.fd());
  if (SSL_accept(ssl) == 1) {
    std::string seen;
    char buffer[4096];
    for (int n; seen.find("\r\n\r\n") == std::string::npos && (n = SSL_read(ssl, buffer, sizeof buffer)) > 0;) {
      seen.append(buffer, static_cast<size_t>(n));
    }
    std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(size, 't');
    SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
    SSL_shutdown(ssl);
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
}

StatusOr<Response> AskOverTls(const std::string& host, const Identity& identity, size_t size) {
  RawListener listener;
  std::thread server([&] { ServeOnce(&listener, identity, size); });
  Client client({.host = host, .port = listener.port(), .tls = true}, {});
  StatusOr<Response> answer = client.Do({}, Soon());
  server.join();
  return answer;
}

TEST(HttpTlsTest, OnlyATrustedCertificateForTheRightHostIsAccepted) {
  TempDir dir;
  Identity trusted("localhost"), untrusted("localhost");
  trusted.WriteTo(dir / "ca.pem");
  setenv("SSL_CERT_FILE", (dir / "ca.pem").c_str(), 1);  // read once, with the first TLS connection of the process
  StatusOr<Response> answer = AskOverTls("localhost", trusted, 200000);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->body, std::string(200000, 't'));
  EXPECT_EQ(AskOverTls("127.0.0.1", trusted, 1).status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(AskOverTls("localhost", untrusted, 1).status().code(), StatusCode::kUnauthenticated);
  unsetenv("SSL_CERT_FILE");
}

}  // namespace
}  // namespace mcpfleet::http
