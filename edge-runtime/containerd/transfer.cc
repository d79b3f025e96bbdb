#include "edge-runtime/containerd/transfer.h"

#include <containerd_api/transfer.grpc.pb.h>
#include <containerd_api/transfer_types.pb.h>

#include <map>

#include "base/mutex.h"
#include "edge-runtime/containerd/rpc.h"
#include "edge-runtime/containerd/stream.h"

namespace mcpfleet::containerd {
namespace {

namespace api = ::containerd::services::transfer::v1;
namespace types = ::containerd::types::transfer;

template <typename Message>
void Pack(const Message& message, wire::Any* any) {
  any->set_type_url(message.GetTypeName());
  any->set_value(message.SerializeAsString());
}

// Adds up what containerd says of each blob.
class Sum {
 public:
  explicit Sum(std::function<void(const PullProgress&)> progress) : progress_(std::move(progress)) {}
  void Take(const StreamMessage& message) {
    types::Progress one;
    if (message.type != "containerd.types.transfer.Progress" || !one.ParseFromString(message.bytes)) return;
    if (one.total() <= 0) return;
    blobs_[one.name()] = {one.progress(), one.total()};
    PullProgress sum{.phase = "downloading"};
    for (const auto& [name, blob] : blobs_) {
      sum.done_bytes += std::min(blob.first, blob.second);
      sum.total_bytes += blob.second;
    }
    // At most a few times a second, whatever containerd does.
    const MonoTime now = SystemClock().Now();
    if (now < next_ && sum.done_bytes < sum.total_bytes) return;
    next_ = now + std::chrono::milliseconds(300);
    progress_(sum);
  }

 private:
  const std::function<void(const PullProgress&)> progress_;
  std::map<std::string, std::pair<int64_t, int64_t>> blobs_;
  MonoTime next_{};
};

StreamMessage Answer(const StreamMessage& question, const RegistryLogin& login) {
  if (question.type != "containerd.types.transfer.AuthRequest") return {};
  types::AuthResponse response;
  if (!login.identity_token.empty()) {
    response.set_authtype(types::REFRESH);
    response.set_secret(std::string(login.identity_token.view()));
  } else {
    response.set_authtype(types::CREDENTIALS);
    response.set_username(login.user);
    response.set_secret(std::string(login.password.view()));
  }
  return {response.GetTypeName(), response.SerializeAsString()};
}

// A registry's "no" comes as a failure of containerd's with the registry's words in it.
bool MeansMissing(const std::string& message) {
  for (const char* text : {"not found", "401 Unauthorized", "403 Forbidden", "404 Not Found", "pull access denied",
                           "authorization failed", "insufficient_scope", "failed to fetch anonymous token"}) {
    if (message.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Status PullByTransfer(const Connection& connection, const TransferPull& pull,
                      const std::function<void(const PullProgress&)>& progress, const std::string& lease,
                      Deadline deadline) {
  types::OCIRegistry source;
  source.set_reference(pull.source.empty() ? pull.name : pull.source);
  source.mutable_resolver()->set_host_dir(pull.hosts_directory);
  types::ImageStore destination;
  destination.set_name(pull.name);
  auto* platform = destination.add_platforms();
  platform->set_os("linux");
  platform->set_architecture(pull.architecture);
  api::TransferRequest request;
  Sum sum(progress ? progress : [](const PullProgress&) {});
  std::unique_ptr<Stream> progress_stream, auth_stream;  // they end before what they tell
  if (progress) {
    ASSIGN_OR_RETURN(progress_stream, Stream::Open(
                                          connection,
                                          [&sum](const StreamMessage& message) {
                                            sum.Take(message);
                                            return StreamMessage{};
                                          },
                                          deadline));
    request.mutable_options()->set_progress_stream(progress_stream->id());
  }
  if (pull.login != nullptr) {
    ASSIGN_OR_RETURN(
        auth_stream,
        Stream::Open(
            connection, [login = pull.login](const StreamMessage& question) { return Answer(question, *login); },
            deadline));
    source.mutable_resolver()->set_auth_stream(auth_stream->id());
  }
  Pack(source, request.mutable_source());
  Pack(destination, request.mutable_destination());
  wire::Empty response;
  Status status = Call<api::Transfer>(connection, deadline, "pull " + pull.name, &api::Transfer::Stub::Transfer,
                                      request, &response, lease);
  if (status.ok() || status.code() == StatusCode::kDeadlineExceeded) return status;
  const bool refused = status.code() == StatusCode::kUnauthenticated || status.code() == StatusCode::kPermissionDenied;
  return refused || MeansMissing(Message(status)) ? NotFound(Message(status)) : status;
}

}  // namespace mcpfleet::containerd
