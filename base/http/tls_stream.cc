#include "base/http/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

namespace mcpfleet::http {
namespace {

using boost::system::error_code;
namespace errors = boost::asio::error;

constexpr size_t kWriteTurn = size_t{256} << 10;  // then the other connections have theirs

TlsStream::Socket& SocketOf(BIO* bio) { return *static_cast<TlsStream::Socket*>(BIO_get_data(bio)); }

// OpenSSL's own socket BIO raises SIGPIPE, and knows a descriptor that may be another file once we closed it.
int Receive(BIO* bio, char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = recv(SocketOf(bio).native_handle(), bytes, static_cast<size_t>(size), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}

int Send(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = send(SocketOf(bio).native_handle(), bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO* NewBio(TlsStream::Socket* socket) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "asio socket");
    BIO_meth_set_read(made, Receive);
    BIO_meth_set_write(made, Send);
    BIO_meth_set_ctrl(made, Control);
    return made;
  }();
  BIO* bio = BIO_new(method);
  BIO_set_data(bio, socket);
  BIO_set_init(bio, 1);
  return bio;
}

int SizeOf(size_t bytes) { return static_cast<int>(std::min(bytes, kWriteTurn)); }

}  // namespace

TlsStream::TlsStream(Socket& socket, const TlsContext& context)
    : socket_(socket), ssl_(SSL_new(context.get()), SSL_free) {
  BIO* bio = NewBio(&socket_);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
}

error_code TlsStream::ErrorOf(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    wants_write_ = error == SSL_ERROR_WANT_WRITE;
    return errors::would_block;
  }
  ended_ = error == SSL_ERROR_ZERO_RETURN ? error_code(errors::eof) : error_code(errors::connection_reset);
  // OpenSSL allows no farewell after a failure.
  if (error != SSL_ERROR_ZERO_RETURN) open_ = false;
  return ended_;
}

void TlsStream::Wait(std::function<void()> again, Done done) {
  socket_.async_wait(wants_write_ ? Socket::wait_write : Socket::wait_read,
                     [again = std::move(again), done = std::move(done)](const error_code& error) {
                       if (error) return done(error, 0);
                       again();
                     });
}

void TlsStream::Handshake(const Done& done) {
  // A client speaks first.
  wants_write_ = false;
  Wait([this, done] { StepHandshake(done); }, done);
}

void TlsStream::StepHandshake(const Done& done) {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    open_ = true;
    return done({}, 0);
  }
  const error_code error = ErrorOf(result);
  if (error == errors::would_block) return Wait([this, done] { StepHandshake(done); }, done);
  met_plain_http_ = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
  done(error, 0);
}

size_t TlsStream::ReadSome(boost::asio::mutable_buffer buffer, error_code& error) {
  size_t total = 0;
  error = ended_;
  while (!error && buffer.size() > 0) {
    ERR_clear_error();
    const int n = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (n <= 0) {
      error = ErrorOf(n);
      break;
    }
    total += static_cast<size_t>(n);
    buffer += static_cast<size_t>(n);
  }
  // An error shows with the next call.
  if (total > 0) error = {};
  return total;
}

void TlsStream::Read(boost::asio::mutable_buffer buffer, Done done) {
  // What OpenSSL holds already makes no socket readable.
  if (ended_ || SSL_has_pending(ssl_.get()) != 0) {
    boost::asio::post(socket_.get_executor(), [this, buffer, done = std::move(done)] { StepRead(buffer, done); });
    return;
  }
  wants_write_ = false;
  Wait([this, buffer, done] { StepRead(buffer, done); }, done);
}

void TlsStream::StepRead(boost::asio::mutable_buffer buffer, const Done& done) {
  error_code error;
  const size_t n = ReadSome(buffer, error);
  if (error == errors::would_block) return Wait([this, buffer, done] { StepRead(buffer, done); }, done);
  done(error, n);
}

void TlsStream::Write(boost::asio::const_buffer buffer, Done done) {
  boost::asio::post(socket_.get_executor(), [this, buffer, done = std::move(done)] { StepWrite(buffer, done); });
}

void TlsStream::StepWrite(boost::asio::const_buffer buffer, const Done& done) {
  size_t total = 0;
  error_code error;
  while (!error && buffer.size() > 0 && total < kWriteTurn) {
    ERR_clear_error();
    const int n = SSL_write(ssl_.get(), buffer.data(), SizeOf(buffer.size()));
    if (n <= 0) {
      error = ErrorOf(n);
      break;
    }
    total += static_cast<size_t>(n);
    buffer += static_cast<size_t>(n);
  }
  if (total == 0 && error == errors::would_block) return Wait([this, buffer, done] { StepWrite(buffer, done); }, done);
  done(total > 0 ? error_code() : error, total);
}

void TlsStream::Farewell() {
  if (!open_) return;
  open_ = false;
  ERR_clear_error();
  (void)SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

}  // namespace mcpfleet::http
