#include "base/http/responder.h"

namespace mcpfleet::http {
namespace {

// What a stream and a socket have in common: bytes counted until they are on the wire.
class Channel {
 public:
  Channel(std::shared_ptr<ServerCore> core, std::shared_ptr<Session> session)
      : core_(std::move(core)), session_(std::move(session)), outbox_(std::make_shared<Outbox>()) {}

  // Counts `n` bytes; false when closed or too many, which disconnects.
  bool Admit(size_t n) {
    if (outbox_->closed) return false;
    if (outbox_->queued.fetch_add(n) + n <= core_->options.max_queued) return true;
    outbox_->closed = true;
    core_->Post([session = session_] { session->Close(); });
    return false;
  }
  bool Post(std::function<void()> task) {
    if (core_->Post(std::move(task))) return true;
    outbox_->closed = true;
    return false;
  }
  template <typename Task>
  bool Run(Task task) {
    if (core_->Run(std::move(task))) return true;
    outbox_->closed = true;
    return false;
  }
  const std::shared_ptr<Session>& session() const { return session_; }
  const std::shared_ptr<Outbox>& outbox() const { return outbox_; }

 private:
  std::shared_ptr<ServerCore> core_;
  std::shared_ptr<Session> session_;
  std::shared_ptr<Outbox> outbox_;
};

class StreamWriterImpl final : public StreamWriter {
 public:
  StreamWriterImpl(Channel channel, bool chunked) : channel_(std::move(channel)), chunked_(chunked) {}
  ~StreamWriterImpl() override { End(); }

  bool Write(std::string_view bytes) override { return Give(std::string(bytes)); }
  bool Give(std::string bytes) override {
    if (ended_ || closed()) return false;
    if (bytes.empty()) return true;  // an empty chunk would end the body
    if (!channel_.Admit(bytes.size())) return false;
    return channel_.Run([session = channel_.session(), outbox = channel_.outbox(), bytes = std::move(bytes),
                         chunked = chunked_]() mutable { session->WriteChunk(outbox, std::move(bytes), chunked); });
  }
  void End() override {
    if (ended_.exchange(true)) return;
    channel_.Run([session = channel_.session(), outbox = channel_.outbox(), chunked = chunked_] {
      session->EndStream(outbox, chunked);
    });
  }
  bool closed() const override { return channel_.outbox()->closed; }
  size_t queued() const override { return channel_.outbox()->queued; }
  void OnDrained(size_t left, std::function<void()> drained) override {
    channel_.Run([session = channel_.session(), outbox = channel_.outbox(), left,
                  drained = std::move(drained)]() mutable { session->WatchDrain(outbox, left, std::move(drained)); });
  }

 private:
  Channel channel_;
  const bool chunked_;
  std::atomic<bool> ended_{false};
};

class WebSocketImpl final : public WebSocket {
 public:
  explicit WebSocketImpl(Channel channel) : channel_(std::move(channel)) {}
  ~WebSocketImpl() override { Close(1000); }

  bool SendText(std::string_view text) override {
    std::string frame = EncodeWebSocketFrame(WebSocketOpcode::kText, text, "");
    size_t size = frame.size();
    if (!channel_.Admit(size)) return false;
    return channel_.Post([session = channel_.session(), outbox = channel_.outbox(), frame = std::move(frame),
                          size]() mutable { session->SendFrame(outbox, std::move(frame), size); });
  }
  void Close(int code) override {
    channel_.Post(
        [session = channel_.session(), outbox = channel_.outbox(), code] { session->CloseWebSocket(outbox, code); });
  }

 private:
  Channel channel_;
};

class ResponderImpl final : public Responder {
 public:
  ResponderImpl(std::shared_ptr<ServerCore> core, std::shared_ptr<Session> session, Session::Exchange exchange)
      : core_(std::move(core)), session_(std::move(session)), exchange_(std::move(exchange)) {}
  ~ResponderImpl() override { Send(TextResponse(500, "not answered\n")); }

  const Peer& peer() const override { return session_->peer(); }

  void Send(Response response) override {
    if (answered_.exchange(true)) return;
    core_->Run([session = session_, exchange = exchange_, response = std::move(response)]() mutable {
      session->WriteResponse(exchange, std::move(response));
    });
  }

  std::shared_ptr<StreamWriter> StartStream(Response head) override {
    Channel channel(core_, session_);
    auto writer = std::make_shared<StreamWriterImpl>(channel, !exchange_.http10);
    if (answered_.exchange(true)) {
      channel.outbox()->closed = true;
      return writer;
    }
    channel.Run([session = session_, exchange = exchange_, head = std::move(head), outbox = channel.outbox()] {
      session->BeginStream(exchange, head, outbox);
    });
    return writer;
  }

  std::shared_ptr<WebSocket> AcceptWebSocket(WebSocketCallbacks callbacks) override {
    if (exchange_.websocket_key.empty()) {
      Response refusal = TextResponse(426, "this is a WebSocket endpoint\n");
      refusal.headers.Add("Upgrade", "websocket");
      Send(std::move(refusal));
      return nullptr;
    }
    if (answered_.exchange(true)) return nullptr;
    Channel channel(core_, session_);
    channel.Run([session = session_, exchange = exchange_, outbox = channel.outbox(), callbacks] {
      session->AnswerWebSocket(exchange, outbox, callbacks);
    });
    bool posted = channel.Post(
        [session = session_, outbox = channel.outbox(), callbacks] { session->BeginWebSocket(outbox, callbacks); });
    if (!posted && callbacks.on_close) callbacks.on_close();
    return std::make_shared<WebSocketImpl>(std::move(channel));
  }

  void OnGone(std::function<void()> gone) override {
    core_->Run([session = session_, exchange = exchange_, gone = std::move(gone)]() mutable {
      session->NotifyWhenGone(exchange, std::move(gone));
    });
  }

 private:
  const std::shared_ptr<ServerCore> core_;
  const std::shared_ptr<Session> session_;
  const Session::Exchange exchange_;
  std::atomic<bool> answered_{false};
};

}  // namespace

std::shared_ptr<Responder> MakeResponder(std::shared_ptr<ServerCore> core, std::shared_ptr<Session> session,
                                         Session::Exchange exchange) {
  return std::make_shared<ResponderImpl>(std::move(core), std::move(session), std::move(exchange));
}

}  // namespace mcpfleet::http
