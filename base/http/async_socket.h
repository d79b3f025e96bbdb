// The connection under AsyncClient: TCP, with TLS where the endpoint says so. Private to base/http.
//
// On the loop's thread only. One Read and one Write at a time; callbacks come from the loop and none after Close. A
// callback that holds the owner of the socket keeps it alive until the operation ends, which Close makes happen.
#pragma once

#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/async_client.h"

namespace mcpfleet::http {

class AsyncSocket : public std::enable_shared_from_this<AsyncSocket> {
 public:
  using Done = std::function<void(const Status&)>;
  using Received = std::function<void(const StatusOr<std::string_view>&)>;

  AsyncSocket(boost::asio::io_context& loop, Endpoint endpoint);
  void Open(const AsyncOptions& options, Done done);
  // At most 16 KiB, good until the next Read; "" when the peer has closed.
  void Read(Received done);
  // `bytes` stay where they are until `done`.
  void Write(std::string_view bytes, Done done);
  void Close();

  // While it is kept: `unusable` is called once when the peer closes (or says something unasked), or after `limit`.
  void Watch(Duration limit, std::function<void()> unusable);
  // Ends Watch. False when the connection turns out unusable now.
  bool StopWatching();

 private:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using Tcp = boost::asio::ip::tcp;

  // Open's steps. `done` goes from one operation to the next, so that it dies with the loop's.
  void Adopt(StatusOr<UniqueFd> fd, Done done);
  void ConnectNext(Done done);
  void OnConnected(Done done);
  void StartTls(Done done);

  boost::asio::io_context& loop_;
  const Endpoint endpoint_;
  const std::string name_;  // for messages
  std::string ca_file_;
  Tcp::resolver resolver_;
  boost::asio::steady_timer timer_;
  Socket socket_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
  std::array<char, 16384> chunk_;
  bool closed_ = false;

  std::vector<Tcp::endpoint> candidates_;
  size_t next_ = 0;
  Status last_error_;

  uint64_t watch_ = 0;  // odd while watched
  std::function<void()> unusable_;
};

}  // namespace mcpfleet::http
