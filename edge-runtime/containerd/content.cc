#include "edge-runtime/containerd/content.h"

#include <containerd_api/content.grpc.pb.h>

#include "base/digest.h"
#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {

namespace api = ::containerd::services::content::v1;

StatusOr<std::string> ReadContent(const Connection& connection, const std::string& digest, size_t limit,
                                  Deadline deadline) {
  if (deadline.Expired()) return DeadlineExceeded("containerd: content " + digest);
  grpc::ClientContext context;
  connection.Prepare(&context, deadline);
  const auto stub = api::Content::NewStub(connection.channel());
  api::ReadContentRequest request;
  request.set_digest(digest);
  const auto reader = stub->Read(&context, request);
  std::string bytes;
  for (api::ReadContentResponse piece; reader->Read(&piece);) {
    bytes += piece.data();
    if (bytes.size() <= limit) continue;
    context.TryCancel();
    return ResourceExhausted("content " + digest + " has more than " + std::to_string(limit) + " bytes");
  }
  RETURN_IF_ERROR(StatusOfGrpc(reader->Finish(), "content " + digest));
  if (digest.starts_with("sha256:") && "sha256:" + Sha256Hex(bytes) != digest)
    return Unavailable("content " + digest + ": containerd's bytes have another hash");
  return bytes;
}

Status LabelContent(const Connection& connection, const std::string& digest, const std::string& label,
                    const std::string& value, Deadline deadline) {
  api::UpdateRequest request;
  request.mutable_info()->set_digest(digest);
  (*request.mutable_info()->mutable_labels())[label] = value;
  request.mutable_update_mask()->add_paths("labels." + label);
  api::UpdateResponse response;
  return Call<api::Content>(connection, deadline, "label content " + digest, &api::Content::Stub::Update, request,
                            &response);
}

StatusOr<bool> HasContent(const Connection& connection, const std::string& digest, Deadline deadline) {
  api::InfoRequest request;
  request.set_digest(digest);
  api::InfoResponse response;
  const Status status =
      Call<api::Content>(connection, deadline, "content " + digest, &api::Content::Stub::Info, request, &response);
  if (status.code() == StatusCode::kNotFound) return false;
  RETURN_IF_ERROR(status);
  return true;
}

}  // namespace mcpfleet::containerd
