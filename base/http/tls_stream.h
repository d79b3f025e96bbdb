// The server's side of TLS on a non-blocking socket. OpenSSL reads and writes the socket itself, so that an idle
// connection holds none of its buffers. Private to base/http.
//
// On the loop's thread only. One Read and one Write at a time, after the handshake; callbacks come from the loop. The
// stream must live until they have come, which closing the socket makes happen.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <functional>
#include <memory>

#include "base/http/tls.h"

namespace mcpfleet::http {

class TlsStream {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using Done = std::function<void(const boost::system::error_code& error, size_t n)>;

  TlsStream(Socket& socket, const TlsContext& context);

  void Handshake(const Done& done);
  // Whether the handshake failed because the client speaks HTTP without TLS.
  bool met_plain_http() const { return met_plain_http_; }
  // eof: the peer said that it sends no more. A connection that ends without that word is connection_reset.
  void Read(boost::asio::mutable_buffer buffer, Done done);
  // What is there now; would_block when that is nothing.
  size_t ReadSome(boost::asio::mutable_buffer buffer, boost::system::error_code& error);
  // The bytes stay where they are until `done`.
  void Write(boost::asio::const_buffer buffer, Done done);
  // Tells the peer that nothing more comes, if the socket takes that now.
  void Farewell();

 private:
  using Step = std::function<int()>;
  void Wait(std::function<void()> again, Done done);
  void StepHandshake(const Done& done);
  void StepRead(boost::asio::mutable_buffer buffer, const Done& done);
  void StepWrite(boost::asio::const_buffer buffer, const Done& done);
  // After an operation of OpenSSL that did not succeed.
  boost::system::error_code ErrorOf(int result);

  Socket& socket_;
  const std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl_;
  bool wants_write_ = false;         // what the operation that would block waits for
  bool open_ = false;                // the handshake is over
  boost::system::error_code ended_;  // set: nothing can be read any more
  bool met_plain_http_ = false;
};

}  // namespace mcpfleet::http
