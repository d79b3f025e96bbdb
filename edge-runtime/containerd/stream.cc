#include "edge-runtime/containerd/stream.h"

#include <containerd_api/streaming.grpc.pb.h>

#include <thread>

#include "base/digest.h"
#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {
namespace {

namespace api = ::containerd::services::streaming::v1;
using wire::Any;

// The name is behind the last '/', where there is one.
std::string NameOf(const std::string& type_url) { return type_url.substr(type_url.rfind('/') + 1); }

class OpenStream final : public Stream {
 public:
  OpenStream(const Connection& connection, std::function<StreamMessage(const StreamMessage&)> receive,
             Deadline deadline)
      : receive_(std::move(receive)),
        id_("mcpfleet-" + RandomHex(12)),
        stub_(api::Streaming::NewStub(connection.channel())) {
    connection.Prepare(&context_, deadline);
    stream_ = stub_->Stream(&context_);
  }
  ~OpenStream() override {
    context_.TryCancel();
    if (thread_.joinable()) thread_.join();
    stream_->Finish();
  }
  const std::string& id() const override { return id_; }

  // The answer to the first message says that containerd knows the stream.
  bool Register() {
    api::StreamInit init;
    init.set_id(id_);
    Any first, answer;
    first.set_type_url("containerd.services.streaming.v1.StreamInit");
    first.set_value(init.SerializeAsString());
    if (!stream_->Write(first) || !stream_->Read(&answer)) return false;
    thread_ = std::thread([this] { Receive(); });
    return true;
  }

 private:
  void Receive() {
    for (Any message; stream_->Read(&message);) {
      const StreamMessage answer = receive_({NameOf(message.type_url()), message.value()});
      if (answer.type.empty()) continue;
      Any reply;
      reply.set_type_url(answer.type);
      reply.set_value(answer.bytes);
      if (!stream_->Write(reply)) return;
    }
  }

  const std::function<StreamMessage(const StreamMessage&)> receive_;
  const std::string id_;
  const std::unique_ptr<api::Streaming::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Any, Any>> stream_;
  std::thread thread_;
};

}  // namespace

StatusOr<std::unique_ptr<Stream>> Stream::Open(const Connection& connection,
                                               std::function<StreamMessage(const StreamMessage&)> receive,
                                               Deadline deadline) {
  auto stream = std::make_unique<OpenStream>(connection, std::move(receive), deadline);
  if (!stream->Register()) return Unavailable("containerd: open a stream: the engine closed it");
  return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace mcpfleet::containerd
