#include <cstdlib>

#include "tests/base/http_testing.h"
#include "tests/base/tls_identity.h"

namespace mcpfleet::http {
namespace {

using Identity = testing::TlsIdentity;

// Serves one connection: reads a request's head and answers with a body of `size` bytes.
void ServeOnce(RawListener* listener, const Identity& identity, size_t size) {
  RawSocket socket = listener->Accept();
  SSL_CTX* context = identity.ServerContext();
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
  Identity trusted("DNS:localhost"), untrusted("DNS:localhost");
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
