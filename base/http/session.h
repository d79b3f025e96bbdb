// One server connection: reads requests one after the other, writes what handlers answer, notices when the peer goes.
// Private to base/http: server.cc accepts and owns the threads, session.cc is the connection's life.
#pragma once

#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/http/request_parser.h"
#include "base/http/server.h"
#include "base/http/server_identity.h"
#include "base/http/tls_stream.h"
#include "base/http/websocket_frames.h"
#include "base/mutex.h"

namespace mcpfleet::http {

class Session;

// What all sessions of a server share; outlives the Server while a handler still holds a Responder.
struct ServerCore {
  boost::asio::io_context loop{1};        // one thread runs it
  std::atomic<std::thread::id> thread{};  // that one
  Server::Options options;
  Server::Handler handler;                                        // called on the loop or on a worker
  std::unique_ptr<ServerIdentity> identity;                       // null: no TLS; loop's thread only
  std::set<std::shared_ptr<Session>> sessions;                    // loop's thread only
  std::function<void(std::function<void()>)> run;                 // runs a handler: inline or on a worker
  std::vector<char> chunk = std::vector<char>(size_t{64} << 10);  // what is being read; loop's thread only

  Mutex mu;
  bool stopped GUARDED_BY(mu) = false;
  // Runs `task` on the loop; false once the server is gone: what was posted then would keep itself alive for ever.
  bool Post(std::function<void()> task) LOCKS_EXCLUDED(mu);
  // The same, but at once when this is the loop's thread: for tasks that call nobody back.
  template <typename Task>
  bool Run(Task task) LOCKS_EXCLUDED(mu) {
    if (std::this_thread::get_id() != thread.load(std::memory_order_relaxed)) return Post(std::move(task));
    task();
    return true;
  }
};

// Shared by a StreamWriter or WebSocket with its session.
struct Outbox {
  std::atomic<bool> closed{false};
  std::atomic<size_t> queued{0};
  size_t left = 0;                // loop's thread only, as `drained`
  std::function<void()> drained;  // when no more than `left` are queued
};

// All methods on the loop's thread unless they say otherwise.
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  // What a Responder must know of the request it answers. Constant while the request is handled.
  struct Exchange {
    std::string method;
    bool http10 = false;
    bool keep_alive = true;
    std::string websocket_key;  // empty: not a WebSocket upgrade
    uint64_t number = 0;        // of this exchange on its connection
  };

  // core: shared, see ServerCore.
  Session(std::shared_ptr<ServerCore> core, Socket socket, Peer peer);
  void Start();
  void Close();
  const Peer& peer() const { return peer_; }  // any thread

  void WriteResponse(const Exchange& exchange, Response response);
  void BeginStream(const Exchange& exchange, const Response& head, std::shared_ptr<Outbox> outbox);
  void WriteChunk(const std::shared_ptr<Outbox>& outbox, std::string bytes, bool chunked);
  void EndStream(const std::shared_ptr<Outbox>& outbox, bool chunked);
  void WatchDrain(const std::shared_ptr<Outbox>& outbox, size_t left, std::function<void()> drained);
  void NotifyWhenGone(const Exchange& exchange, std::function<void()> gone);
  // In two steps, for an io_context does not keep the order of what its own thread and others post: from the first on
  // what is sent goes behind the answer, with the second the callbacks begin.
  void AnswerWebSocket(const Exchange& exchange, const std::shared_ptr<Outbox>& outbox,
                       const WebSocketCallbacks& callbacks);
  void BeginWebSocket(const std::shared_ptr<Outbox>& outbox, const WebSocketCallbacks& callbacks);
  void SendFrame(const std::shared_ptr<Outbox>& outbox, std::string frame, size_t counted);
  void CloseWebSocket(const std::shared_ptr<Outbox>& outbox, int code);

 private:
  enum class State { kReading, kHandling, kStreaming, kWebSocket, kLingering, kClosed };
  enum class ReadTimer { kIdle, kHeader, kBody, kLinger, kPing };
  struct Timer {
    boost::asio::steady_timer timer;
    void (Session::*fired)();
    MonoTime due = MonoTime::max();  // max: nothing is waited for
    bool waiting = false;
  };

  void OnHandshake(const boost::system::error_code& error);
  void Read();
  void OnRead(const boost::system::error_code& error, size_t n);
  void ReadMore();
  void OnEnd();
  void Process();
  void ParseRequest();
  void Dispatch();
  void Refuse(int status);
  void FinishResponse();
  void TellDrained(Outbox& outbox);
  void EndOutbox();
  void PeerIsGone();
  void Linger();
  void ReadFrames();
  void Enqueue(std::string bytes, size_t counted);
  void Pump();
  void OnWritten(const boost::system::error_code& error, size_t n);
  void ArmRead(ReadTimer purpose, Duration after);
  void OnReadTimer();
  void ArmWrite();
  void OnWriteTimer();
  // Makes the timer go off at `due` or before. One that goes off early waits again: with each request there is a new
  // time to wait for, and few timers are ever needed.
  void Wait(Timer* timer);
  std::string HeadText(const Exchange& exchange, const Response& response, bool framed_by_close) const;

  const std::shared_ptr<ServerCore> core_;
  const Peer peer_;
  Socket socket_;
  std::unique_ptr<TlsStream> tls_;  // null: none
  Timer read_timer_, write_timer_;
  State state_ = State::kReading;
  ReadTimer purpose_ = ReadTimer::kHeader;

  // Small, for there may be thousands of idle connections; a large body is read on into the core's.
  char chunk_[1024];
  bool reading_ = false, ended_ = false;  // ended: the peer sends nothing any more
  std::string in_;                        // received, not yet understood
  std::unique_ptr<RequestParser> parser_;
  bool continue_sent_ = false;

  struct Piece {
    std::string bytes;
    size_t counted = 0;  // of the outbox
  };
  std::deque<Piece> out_;
  size_t out_offset_ = 0, out_total_ = 0;
  bool writing_ = false;
  bool finish_ = false;  // the response is complete once out_ is empty
  bool keep_alive_ = true;
  uint64_t number_ = 0;             // of the exchange under way, or of the next one
  std::function<void()> gone_;      // of the exchange under way; called at most once
  std::shared_ptr<Outbox> outbox_;  // of the stream or socket under way

  std::optional<WebSocketReader> frames_;
  WebSocketCallbacks callbacks_;
  bool ping_sent_ = false, close_sent_ = false;
};

}  // namespace mcpfleet::http
