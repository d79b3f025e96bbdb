#include "edge-runtime/containerd/diff.h"

#include <containerd_api/diff.grpc.pb.h>

#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {

namespace api = ::containerd::services::diff::v1;

StatusOr<std::string> ApplyLayer(const Connection& connection, const Descriptor& layer,
                                 const std::vector<Mount>& mounts, const std::string& lease, Deadline deadline) {
  api::ApplyRequest request;
  request.mutable_diff()->set_media_type(layer.media_type);
  request.mutable_diff()->set_digest(layer.digest);
  request.mutable_diff()->set_size(layer.size);
  for (const Mount& mount : mounts) {
    auto* to = request.add_mounts();
    to->set_type(mount.type);
    to->set_source(mount.source);
    to->set_target(mount.target);
    for (const std::string& option : mount.options) to->add_options(option);
  }
  api::ApplyResponse response;
  RETURN_IF_ERROR(Call<api::Diff>(connection, deadline, "unpack layer " + layer.digest, &api::Diff::Stub::Apply,
                                  request, &response, lease));
  return response.applied().digest();
}

}  // namespace mcpfleet::containerd
