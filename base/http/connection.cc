#include "base/http/connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/http/response_parser.h"
#include "base/http/tls.h"
#include "base/strings.h"

namespace mcpfleet::http {
namespace {

constexpr size_t kReadBytes = 16384;

std::string NameOf(const Endpoint& endpoint) {
  return endpoint.unix_path.empty() ? endpoint.host + ":" + std::to_string(endpoint.port) : endpoint.unix_path;
}

// As an authority has it: an IPv6 address in brackets.
std::string UriHost(const Endpoint& endpoint) {
  return endpoint.host.find(':') == std::string::npos ? endpoint.host : "[" + endpoint.host + "]";
}

// Nobody listens: for the caller the same as refused, whatever errno says.
Status ConnectError(int error, const std::string& name) {
  if (error == ENOENT || error == ECONNREFUSED || error == EADDRNOTAVAIL)
    return Unavailable(name + ": " + strerror(error));
  return ErrnoStatus(error, name);
}

StatusOr<UniqueFd> ConnectTo(const sockaddr* address, socklen_t size, const std::string& name, Deadline deadline) {
  UniqueFd fd(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, name);
  if (connect(fd.get(), address, size) != 0) {
    if (errno != EINPROGRESS) return ConnectError(errno, name);
    RETURN_IF_ERROR(Annotate(PollFd(fd.get(), POLLOUT, deadline), name));
    int error = 0;
    socklen_t error_size = sizeof error;
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &error_size);
    if (error != 0) return ConnectError(error, name);
  }
  return fd;
}

StatusOr<UniqueFd> ConnectUnix(const std::string& path, Deadline deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return InvalidArgument(path + ": longer than a socket's path may be");
  path.copy(address.sun_path, path.size());
  return ConnectTo(reinterpret_cast<sockaddr*>(&address), sizeof address, path, deadline);
}

StatusOr<UniqueFd> ConnectTcp(const Endpoint& endpoint, Deadline deadline) {
  std::string name = NameOf(endpoint);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  int error = getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &list);
  if (error != 0) return Unavailable(name + ": " + gai_strerror(error));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, freeaddrinfo);
  Status last = Unavailable(name + ": no address");
  for (addrinfo* a = list; a != nullptr; a = a->ai_next) {
    StatusOr<UniqueFd> fd = ConnectTo(a->ai_addr, a->ai_addrlen, name, deadline);
    if (fd.ok()) {
      int on = 1;
      setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return fd;
    }
    last = fd.status();
  }
  return last;
}

}  // namespace

// OpenSSL works on memory; only we touch the socket, so deadlines, Cancel and the absence of SIGPIPE hold here too.
class Connection::Tls {
 public:
  Tls(SSL_CTX* context, const std::string& host)
      : ssl_(SSL_new(context)), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_connect_state(ssl_);
    ExpectHost(ssl_, host);
  }
  ~Tls() { SSL_free(ssl_); }

  // Runs `step` (an SSL_* call) until it succeeds, moving ciphertext between OpenSSL and the socket.
  template <typename Step>
  StatusOr<int> Run(Connection* socket, Deadline deadline, Step step) {
    for (;;) {
      ERR_clear_error();
      int n = step(ssl_);
      int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_, n);
      RETURN_IF_ERROR(Flush(socket, deadline));
      if (n > 0) return n;
      if (error == SSL_ERROR_ZERO_RETURN) return 0;
      if (error != SSL_ERROR_WANT_READ) return TlsFailure(ssl_);
      ASSIGN_OR_RETURN(std::string bytes, socket->ReadSocket(deadline));
      if (bytes.empty()) return Unavailable("connection closed without TLS close");
      BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
    }
  }

 private:
  Status Flush(Connection* socket, Deadline deadline) {
    char buffer[kReadBytes];
    for (int n; (n = BIO_read(out_, buffer, sizeof buffer)) > 0;) {
      RETURN_IF_ERROR(socket->WriteSocket(std::string_view(buffer, static_cast<size_t>(n)), deadline));
    }
    return OkStatus();
  }
  SSL* ssl_;
  BIO* in_;  // both owned by ssl_
  BIO* out_;
};

Connection::Connection(UniqueFd fd) : fd_(std::move(fd)), cancel_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
Connection::~Connection() = default;

StatusOr<std::unique_ptr<Connection>> Connection::Open(const Endpoint& endpoint, const ClientOptions& options,
                                                       Deadline deadline) {
  StatusOr<UniqueFd> fd = options.connect               ? options.connect(deadline)
                          : !endpoint.unix_path.empty() ? ConnectUnix(endpoint.unix_path, deadline)
                          : !options.proxy.host.empty() ? ConnectTcp(options.proxy, deadline)
                                                        : ConnectTcp(endpoint, deadline);
  if (!fd.ok()) return fd.status();
  fcntl(fd->get(), F_SETFL, fcntl(fd->get(), F_GETFL) | O_NONBLOCK);
  std::unique_ptr<Connection> connection(new Connection(*std::move(fd)));
  if (!connection->cancel_.valid()) return ResourceExhausted("no descriptor left for a connection");
  if (!options.proxy.host.empty()) {
    RETURN_IF_ERROR(Annotate(connection->Tunnel(endpoint, options, deadline), "proxy " + NameOf(options.proxy)));
  }
  if (endpoint.tls) {
    RETURN_IF_ERROR(Annotate(connection->StartTls(endpoint.host, options.ca_file, deadline), NameOf(endpoint)));
  }
  return connection;
}

// RFC 9110 §9.3.6. We speak first in the tunnel, so nothing can follow the proxy's answer yet.
Status Connection::Tunnel(const Endpoint& endpoint, const ClientOptions& options, Deadline deadline) {
  const std::string authority = UriHost(endpoint) + ":" + std::to_string(endpoint.port);
  Request request{.method = "CONNECT", .target = authority};
  request.headers.Set("Host", authority);
  if (!options.proxy_authorization.empty()) request.headers.Set("Proxy-Authorization", options.proxy_authorization);
  ASSIGN_OR_RETURN(std::string wire, SerializeRequest(request, endpoint, options));
  RETURN_IF_ERROR(WriteSocket(wire, deadline));
  ResponseParser parser({.max_header = options.max_header, .max_body = size_t{64} << 10});
  while (!parser.head_done()) {
    ASSIGN_OR_RETURN(std::string bytes, ReadSocket(deadline));
    RETURN_IF_ERROR(bytes.empty() ? parser.Eof() : parser.Feed(bytes));
  }
  int status = parser.head().status;
  if (status / 100 != 2) return Unavailable("answered " + std::to_string(status) + " to CONNECT " + authority);
  return OkStatus();
}

Status Connection::StartTls(const std::string& host, const std::string& ca_file, Deadline deadline) {
  ASSIGN_OR_RETURN(TlsContext context, TlsContextFor(ca_file));
  tls_ = std::make_unique<Tls>(context.get(), host);
  return tls_->Run(this, deadline, [](SSL* ssl) { return SSL_do_handshake(ssl); }).status();
}

StatusOr<std::string> Connection::Read(Deadline deadline, int wake) {
  wake_ = wake;
  if (tls_ == nullptr) return ReadSocket(deadline);
  std::string bytes(kReadBytes, '\0');
  ASSIGN_OR_RETURN(int n, tls_->Run(this, deadline, [&](SSL* ssl) { return SSL_read(ssl, bytes.data(), kReadBytes); }));
  bytes.resize(static_cast<size_t>(n));
  return bytes;
}

Status Connection::Write(std::string_view bytes, Deadline deadline) {
  wake_ = -1;
  if (tls_ == nullptr) return WriteSocket(bytes, deadline);
  while (!bytes.empty()) {
    int piece = static_cast<int>(std::min<size_t>(bytes.size(), kReadBytes));
    ASSIGN_OR_RETURN(int n, tls_->Run(this, deadline, [&](SSL* ssl) { return SSL_write(ssl, bytes.data(), piece); }));
    if (n == 0) return Unavailable("connection closed");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return OkStatus();
}

Status Connection::Wait(short events, Deadline deadline, short* ready, int wake) {
  for (;;) {
    pollfd p[3] = {{fd_.get(), events, 0}, {cancel_.get(), POLLIN, 0}, {wake, POLLIN, 0}};  // poll passes over -1
    int n = poll(p, 3, deadline.PollMillis());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "poll");
    if (p[1].revents != 0) return Cancelled("cancelled");
    if (n == 0) return DeadlineExceeded("timed out");
    if (p[0].revents == 0) return DeadlineExceeded("woken");
    if (ready != nullptr) *ready = p[0].revents;
    return OkStatus();
  }
}

StatusOr<std::string> Connection::ReadSocket(Deadline deadline) {
  RETURN_IF_ERROR(Wait(POLLIN, deadline, nullptr, wake_));
  for (;;) {
    char buffer[kReadBytes];
    ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n >= 0) return std::string(buffer, static_cast<size_t>(n));
    if (errno == EAGAIN) {
      RETURN_IF_ERROR(Wait(POLLIN, deadline, nullptr, wake_));
    } else if (errno != EINTR) {
      return ErrnoStatus(errno, "read");
    }
  }
}

Status Connection::WriteSocket(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      short ready = 0;
      RETURN_IF_ERROR(Wait(static_cast<short>(tls_ == nullptr ? POLLOUT | POLLIN : POLLOUT), deadline, &ready));
      // An answer before the request is complete is a refusal; the rest would never be read.
      if ((ready & POLLOUT) == 0) return Unavailable("write: answered before the end of the request");
    } else if (errno != EINTR) {
      return ErrnoStatus(errno, "write");
    }
  }
  return OkStatus();
}

void Connection::Cancel() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(cancel_.get(), &one, sizeof one);
}

bool Connection::LooksIdle() const {
  pollfd p[2] = {{fd_.get(), POLLIN, 0}, {cancel_.get(), POLLIN, 0}};
  return poll(p, 2, 0) == 0;
}

StatusOr<UniqueFd> Connection::TakeFd() {
  if (tls_ != nullptr) return Unimplemented("upgrade over TLS");
  return std::move(fd_);
}

StatusOr<std::string> SerializeRequest(const Request& request, const Endpoint& endpoint, const ClientOptions& options) {
  bool printable = request.target.find_first_of(std::string_view(" \t\r\n\0\x7f", 6)) == std::string::npos &&
                   IsFieldValue(request.target);
  if (!IsToken(request.method) || request.target.empty() || !printable) {
    return InvalidArgument("request: method or target that cannot be sent: " +
                           Printable(request.method + " " + request.target));
  }
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\n";
  if (!request.headers.Has("host")) {
    std::string host = options.host_header;
    if (host.empty() && !endpoint.unix_path.empty()) host = "localhost";
    if (host.empty()) {
      host = UriHost(endpoint);
      if (endpoint.port != (endpoint.tls ? 443 : 80)) host += ":" + std::to_string(endpoint.port);
    }
    if (!IsFieldValue(host)) return InvalidArgument("request: host that cannot be sent");
    out += "Host: " + host + "\r\n";
  }
  for (const auto& [name, value] : request.headers.fields()) {
    if (!IsToken(name) || !IsFieldValue(value))
      return InvalidArgument("request: header " + Printable(name) + " cannot be sent");
    if (EqualsIgnoreCase(name, "content-length") || EqualsIgnoreCase(name, "transfer-encoding")) continue;
    out.append(name).append(": ").append(value).append("\r\n");
  }
  bool may_have_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (!request.body.empty() || may_have_body) out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return out + "\r\n" + request.body;
}

}  // namespace mcpfleet::http
