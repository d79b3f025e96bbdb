#include "edge-runtime/containerd/events.h"

#include <containerd_api/events.grpc.pb.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/digest.h"
#include "base/mutex.h"
#include "edge-runtime/containerd/descriptor.h"
#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {
namespace {

namespace api = ::containerd::services::events::v1;

constexpr char kOurTopic[] = "/mcpfleet/watch/";

// containerd does not say when a subscription stands, and what happened before is never told. So we publish an event
// of our own until it arrives on the stream: from then on nothing is missed.
class Beacon {
 public:
  Beacon(const Connection& connection, std::string topic, Deadline deadline)
      : connection_(connection), topic_(std::move(topic)), deadline_(deadline), thread_([this] { Run(); }) {}
  ~Beacon() { Seen(); }
  void Seen() {
    {
      MutexLock lock(&mu_);
      seen_ = true;
    }
    changed_.NotifyAll();
  }

 private:
  void Run() {
    for (Duration pause = std::chrono::milliseconds(5); !deadline_.Expired(); pause *= 2) {
      api::PublishRequest request;
      request.set_topic(topic_);
      request.mutable_event()->set_type_url("containerd.services.events.v1.AboutContainer");
      wire::Empty response;
      Call<api::Events>(connection_, deadline_.AtMost(std::chrono::seconds(5)), "publish", &api::Events::Stub::Publish,
                        request, &response)
          .IgnoreError();  // the stream tells when containerd is away
      const Deadline next = deadline_.AtMost(std::min<Duration>(pause, std::chrono::seconds(1)));
      MutexLock lock(&mu_);
      while (!seen_ && changed_.WaitUntil(&mu_, next)) {
      }
      if (seen_) return;
    }
  }

  const Connection& connection_;
  const std::string topic_;
  const Deadline deadline_;
  Mutex mu_;
  CondVar changed_;
  bool seen_ GUARDED_BY(mu_) = false;
  std::jthread thread_;  // last: it uses the others
};

std::string ContainerOf(const api::Envelope& envelope) {
  api::AboutContainer about;
  return about.ParseFromString(envelope.event().value()) ? about.container_id() : "";
}

}  // namespace

Status WatchContainers(const Connection& connection, const std::function<void(const ContainerEvent&)>& seen,
                       const std::stop_token& stop, Deadline deadline) {
  if (deadline.Expired()) return DeadlineExceeded("the event stream has reached its deadline");
  static std::atomic<int> serial{0};
  const std::string topic = kOurTopic + std::to_string(getpid()) + "-" + std::to_string(++serial) + "-" + RandomHex(8);
  grpc::ClientContext context;
  connection.Prepare(&context, deadline);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  const auto stub = api::Events::NewStub(connection.channel());
  api::SubscribeRequest request;
  const std::string space = "namespace==" + Quoted(connection.space());
  request.add_filters(space + R"re(,topic~="^/(tasks/|containers/(create|delete))")re");
  request.add_filters(space + ",topic==" + Quoted(topic));
  const auto reader = stub->Subscribe(&context, request);
  {
    Beacon beacon(connection, topic, deadline);
    for (api::Envelope envelope; reader->Read(&envelope);) {
      if (envelope.topic() == topic) {
        beacon.Seen();
        seen({});
      } else {
        seen({envelope.topic(), ContainerOf(envelope)});
      }
    }
  }
  const Status status = StatusOfGrpc(reader->Finish(), "event stream");
  if (stop.stop_requested()) return OkStatus();
  // Both sides know the deadline: when containerd is the first to end the stream, gRPC says that it was lost.
  if (status.code() == StatusCode::kDeadlineExceeded || deadline.Expired())
    return DeadlineExceeded("the event stream has reached its deadline");
  return status.ok() ? Unavailable("containerd: event stream: the engine closed it") : status;
}

}  // namespace mcpfleet::containerd
