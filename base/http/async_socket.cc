#include "base/http/async_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>

#include "base/http/tcp_options.h"
#include "base/http/tls.h"

namespace mcpfleet::http {
namespace {

using boost::asio::generic::stream_protocol;
using boost::system::error_code;

constexpr size_t kMaxCandidates = 16;
constexpr Duration kUnacknowledged = std::chrono::seconds(60);

std::string NameOf(const Endpoint& endpoint) { return endpoint.host + ":" + std::to_string(endpoint.port); }

// What the network says is Unavailable, whatever errno; what this machine lacks keeps its code.
Status SocketStatus(const error_code& error, const std::string& name) {
  if (error.category() == boost::system::system_category()) {
    Status status = ErrnoStatus(error.value(), name);
    if (status.code() != StatusCode::kInternal) return status;
  }
  return Unavailable(name + ": " + error.message());
}

}  // namespace

AsyncSocket::AsyncSocket(boost::asio::io_context& loop, Endpoint endpoint)
    : loop_(loop),
      endpoint_(std::move(endpoint)),
      name_(NameOf(endpoint_)),
      resolver_(loop),
      timer_(loop),
      socket_(loop),
      last_error_(Unavailable(name_ + ": no address")) {}

void AsyncSocket::Open(const AsyncOptions& options, Done done) {
  ca_file_ = options.ca_file;
  if (options.connect) return Adopt(options.connect(), std::move(done));
  error_code is_name;
  const auto address = boost::asio::ip::make_address(endpoint_.host, is_name);
  if (!is_name) {
    candidates_ = {Tcp::endpoint(address, endpoint_.port)};
    return ConnectNext(std::move(done));
  }
  resolver_.async_resolve(endpoint_.host, std::to_string(endpoint_.port), Tcp::resolver::numeric_service,
                          [self = shared_from_this(), done = std::move(done)](
                              const error_code& error, const Tcp::resolver::results_type& found) mutable {
                            if (self->closed_) return;
                            if (error) return done(Unavailable(self->name_ + ": " + error.message()));
                            for (const auto& entry : found) {
                              if (self->candidates_.size() < kMaxCandidates)
                                self->candidates_.push_back(entry.endpoint());
                            }
                            self->ConnectNext(std::move(done));
                          });
}

void AsyncSocket::Adopt(StatusOr<UniqueFd> fd, Done done) {
  const auto fail = [this, &done](const Status& status) {
    boost::asio::post(loop_, [self = shared_from_this(), done = std::move(done), status] {
      if (!self->closed_) done(status);
    });
  };
  if (!fd.ok()) return fail(fd.status());
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  if (getsockname(fd->get(), reinterpret_cast<sockaddr*>(&local), &size) != 0) return fail(ErrnoStatus(errno, name_));
  fcntl(fd->get(), F_SETFL, fcntl(fd->get(), F_GETFL) | O_NONBLOCK);
  error_code error;
  socket_.assign(stream_protocol(local.ss_family, 0), fd->get(), error);
  if (error) return fail(SocketStatus(error, name_));
  fd->Release();
  socket_.async_wait(Socket::wait_write,
                     [self = shared_from_this(), done = std::move(done)](error_code failed) mutable {
                       if (self->closed_) return;
                       int pending = 0;
                       socklen_t pending_size = sizeof pending;
                       getsockopt(self->socket_.native_handle(), SOL_SOCKET, SO_ERROR, &pending, &pending_size);
                       if (!failed && pending != 0) failed = error_code(pending, boost::system::system_category());
                       if (failed) return done(SocketStatus(failed, self->name_));
                       self->OnConnected(std::move(done));
                     });
}

void AsyncSocket::ConnectNext(Done done) {
  if (next_ == candidates_.size()) return done(last_error_);
  error_code ignored;
  socket_.close(ignored);
  socket_.async_connect(Socket::endpoint_type(candidates_[next_++]),
                        [self = shared_from_this(), done = std::move(done)](const error_code& error) mutable {
                          if (self->closed_) return;
                          if (!error) return self->OnConnected(std::move(done));
                          self->last_error_ = SocketStatus(error, self->name_);
                          self->ConnectNext(std::move(done));
                        });
}

void AsyncSocket::OnConnected(Done done) {
  SetTcpOptions(socket_.native_handle(), kUnacknowledged);
  if (!endpoint_.tls) return done(OkStatus());
  StartTls(std::move(done));
}

void AsyncSocket::StartTls(Done done) {
  StatusOr<TlsContext> trusted = TlsContextFor(ca_file_);
  if (!trusted.ok()) return done(trusted.status());
  SSL_CTX_up_ref(trusted->get());  // for `context`, which gives it back
  boost::asio::ssl::context context(trusted->get());
  tls_.emplace(socket_, context);
  ExpectHost(tls_->native_handle(), endpoint_.host);
  tls_->async_handshake(boost::asio::ssl::stream_base::client, [self = shared_from_this(),
                                                                done = std::move(done)](const error_code& error) {
    if (self->closed_) return;
    if (!error) return done(OkStatus());
    const ssl_st* ssl = self->tls_->native_handle();
    const bool untrusted = SSL_get_verify_result(ssl) != X509_V_OK;
    done(untrusted ? Annotate(TlsFailure(ssl), self->name_) : Unavailable(self->name_ + ": TLS: " + error.message()));
  });
}

void AsyncSocket::Read(Received done) {
  auto handler = [self = shared_from_this(), done = std::move(done)](const error_code& error, size_t n) {
    if (self->closed_) return;
    if (!error) return done(std::string_view(self->chunk_.data(), n));
    if (error == boost::asio::error::eof) return done(std::string_view());
    done(SocketStatus(error, self->name_));
  };
  if (tls_) {
    tls_->async_read_some(boost::asio::buffer(chunk_), std::move(handler));
  } else {
    socket_.async_read_some(boost::asio::buffer(chunk_), std::move(handler));
  }
}

void AsyncSocket::Write(std::string_view bytes, Done done) {
  auto handler = [self = shared_from_this(), done = std::move(done)](const error_code& error, size_t) {
    if (!self->closed_) done(error ? SocketStatus(error, self->name_) : OkStatus());
  };
  const auto buffer = boost::asio::buffer(bytes.data(), bytes.size());
  if (tls_) {
    boost::asio::async_write(*tls_, buffer, std::move(handler));
  } else {
    boost::asio::async_write(socket_, buffer, std::move(handler));
  }
}

void AsyncSocket::Close() {
  if (std::exchange(closed_, true)) return;
  error_code ignored;
  resolver_.cancel();
  timer_.cancel();
  socket_.close(ignored);
  unusable_ = nullptr;
}

void AsyncSocket::Watch(Duration limit, std::function<void()> unusable) {
  const uint64_t round = ++watch_;
  unusable_ = std::move(unusable);
  const auto fire = [self = shared_from_this(), round](const error_code& cancelled) {
    if (cancelled || self->watch_ != round) return;
    ++self->watch_;
    if (const auto tell = std::exchange(self->unusable_, nullptr)) tell();
  };
  timer_.expires_after(limit);
  timer_.async_wait(fire);
  socket_.async_wait(Socket::wait_read, fire);
}

bool AsyncSocket::StopWatching() {
  if (closed_ || watch_ % 2 == 0) return false;
  ++watch_;
  unusable_ = nullptr;
  timer_.cancel();
  error_code ignored;
  socket_.cancel(ignored);
  char byte = 0;
  return recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR);
}

}  // namespace mcpfleet::http
