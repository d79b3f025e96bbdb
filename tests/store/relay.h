// What stands between a client and its store in these tests: a port that passes bytes on to another one, with TLS in
// front when it has an identity, or an HTTP proxy (CONNECT, and one request in absolute form a connection). It counts
// the connections that it accepts.
#pragma once

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "tests/base/http_testing.h"
#include "tests/base/tls_identity.h"

namespace mcpfleet::testing {

class Relay {
 public:
  struct Options {
    uint16_t to = 0;                    // 0: a proxy, to whichever port on loopback it is asked for
    const TlsIdentity* tls = nullptr;   // outlives the relay
    std::string proxy_authorization{};  // what a proxy wants; 407 without
  };
  explicit Relay(Options options)
      : options_(std::move(options)), context_(options_.tls == nullptr ? nullptr : options_.tls->ServerContext()) {
    signal(SIGPIPE, SIG_IGN);  // as each of our programs does: the other end may be gone
    thread_ = std::thread([this] { Accept(); });
  }
  ~Relay() {
    stop_ = true;
    shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
    for (std::thread& thread : threads_) thread.join();
    SSL_CTX_free(context_);
  }

  uint16_t port() const { return listener_.port(); }
  std::string url() const {
    return (context_ == nullptr ? "http://127.0.0.1:" : "https://127.0.0.1:") + std::to_string(port());
  }
  int accepted() const { return accepted_; }
  int refused() const { return refused_; }  // clients that ended the TLS handshake
  // The first line of each request to the proxy.
  std::vector<std::string> asked() const {
    MutexLock lock(&mu_);
    return asked_;
  }

 private:
  struct End {
    int fd = -1;
    SSL* ssl = nullptr;
    ssize_t Read(char* buffer, size_t size) const {
      return ssl == nullptr ? recv(fd, buffer, size, 0) : SSL_read(ssl, buffer, static_cast<int>(size));
    }
    void Write(std::string_view bytes) const {
      if (ssl != nullptr) {
        SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size()));
      } else {
        (void)WriteAll(fd, bytes, http::Soon());
      }
    }
    bool Pending() const { return ssl != nullptr && SSL_pending(ssl) > 0; }
  };

  void Accept() {
    for (;;) {
      UniqueFd fd(accept(listener_.fd(), nullptr, nullptr));
      if (!fd.valid()) return;
      ++accepted_;
      threads_.emplace_back([this, socket = http::RawSocket(std::move(fd))]() mutable { Serve(&socket); });
    }
  }

  void Serve(http::RawSocket* socket) {
    End client{socket->fd()};
    if (context_ != nullptr) {
      client.ssl = SSL_new(context_);
      SSL_set_fd(client.ssl, client.fd);
      if (SSL_accept(client.ssl) == 1) {
        Pass(client, options_.to, "");
      } else {
        ++refused_;
      }
      SSL_free(client.ssl);
    } else if (options_.to != 0) {
      Pass(client, options_.to, "");
    } else {
      Proxy(socket);
    }
  }

  void Proxy(http::RawSocket* socket) {
    std::string head = socket->ReadUntil("\r\n\r\n");
    std::string line = head.substr(0, head.find("\r\n"));
    {
      MutexLock lock(&mu_);
      asked_.push_back(line);
    }
    if (!options_.proxy_authorization.empty() &&
        head.find("Proxy-Authorization: " + options_.proxy_authorization + "\r\n") == std::string::npos) {
      return socket->Send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    }
    constexpr std::string_view kHost = "127.0.0.1:";
    size_t host = line.find(kHost);
    if (host == std::string::npos) return socket->Send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    auto port = static_cast<uint16_t>(std::stoi(line.substr(host + kHost.size())));
    if (line.rfind("CONNECT ", 0) == 0) {
      socket->Send("HTTP/1.1 200 Connection established\r\n\r\n");
      return Pass({socket->fd()}, port, "");
    }
    // "GET http://127.0.0.1:1234/path HTTP/1.1" in origin form, and no second request that would need the same.
    size_t scheme = line.find("http://");
    size_t path = line.find('/', host);
    head = line.substr(0, scheme) + line.substr(path) + "\r\nConnection: close" + head.substr(line.size());
    Pass({socket->fd()}, port, head);
  }

  // Until one side ends, or the relay.
  void Pass(const End& client, uint16_t port, const std::string& first) {
    http::RawSocket server(port);
    End back{server.fd()};
    back.Write(first);
    while (!stop_) {
      pollfd p[2] = {{client.fd, POLLIN, 0}, {back.fd, POLLIN, 0}};
      if (!client.Pending() && poll(p, 2, 20) <= 0) continue;
      if ((client.Pending() || p[0].revents != 0) && !Move(client, back)) return;
      if (p[1].revents != 0 && !Move(back, client)) return;
    }
  }
  static bool Move(const End& from, const End& to) {
    char buffer[16384];
    ssize_t n = from.Read(buffer, sizeof buffer);
    if (n <= 0) return false;
    to.Write(std::string_view(buffer, static_cast<size_t>(n)));
    return true;
  }

  const Options options_;
  SSL_CTX* const context_;
  http::RawListener listener_;
  std::atomic<bool> stop_{false};
  std::atomic<int> accepted_{0}, refused_{0};
  mutable Mutex mu_;
  std::vector<std::string> asked_ GUARDED_BY(mu_);
  std::vector<std::thread> threads_;  // of the accepting thread, until it has ended
  std::thread thread_;
};

}  // namespace mcpfleet::testing
