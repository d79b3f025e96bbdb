#include "edge-runtime/containerd/containers.h"

#include <containerd_api/containers.grpc.pb.h>

#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {
namespace {

namespace api = ::containerd::services::containers::v1;
using Stub = api::Containers::Stub;

constexpr char kSpecType[] = "types.containerd.io/opencontainers/runtime-spec/1/Spec";

Container ContainerOf(const api::Container& from) {
  Container container;
  container.id = from.id();
  container.labels.insert(from.labels().begin(), from.labels().end());
  container.image = from.image();
  container.runtime = from.runtime().name();
  container.snapshotter = from.snapshotter();
  container.snapshot_key = from.snapshot_key();
  container.created_at = TimeOf(from.created_at());
  return container;
}

}  // namespace

StatusOr<Container> GetContainer(const Connection& connection, const std::string& id, Deadline deadline) {
  api::GetContainerRequest request;
  request.set_id(id);
  api::GetContainerResponse response;
  RETURN_IF_ERROR(Call<api::Containers>(connection, deadline, "container " + id, &Stub::Get, request, &response));
  Container container = ContainerOf(response.container());
  container.spec = response.container().spec().value();
  return container;
}

StatusOr<std::vector<Container>> ListContainers(const Connection& connection, const std::string& filter,
                                                Deadline deadline) {
  if (deadline.Expired()) return DeadlineExceeded("containerd: list containers");
  grpc::ClientContext context;
  connection.Prepare(&context, deadline);
  const auto stub = api::Containers::NewStub(connection.channel());
  api::ListContainersRequest request;
  request.add_filters(filter);
  const auto reader = stub->ListStream(&context, request);
  std::vector<Container> containers;
  for (api::ListContainerMessage piece; reader->Read(&piece);) containers.push_back(ContainerOf(piece.container()));
  RETURN_IF_ERROR(StatusOfGrpc(reader->Finish(), "list containers"));
  return containers;
}

Status CreateContainer(const Connection& connection, const Container& container, const std::string& lease,
                       Deadline deadline) {
  api::CreateContainerRequest request;
  api::Container* to = request.mutable_container();
  to->set_id(container.id);
  to->mutable_labels()->insert(container.labels.begin(), container.labels.end());
  to->set_image(container.image);
  to->mutable_runtime()->set_name(container.runtime);
  to->mutable_spec()->set_type_url(kSpecType);
  to->mutable_spec()->set_value(container.spec);
  to->set_snapshotter(container.snapshotter);
  to->set_snapshot_key(container.snapshot_key);
  api::CreateContainerResponse response;
  return Call<api::Containers>(connection, deadline, "container " + container.id, &Stub::Create, request, &response,
                               lease);
}

Status LabelContainer(const Connection& connection, const std::string& id, const std::string& label,
                      const std::string& value, Deadline deadline) {
  api::UpdateContainerRequest request;
  request.mutable_container()->set_id(id);
  (*request.mutable_container()->mutable_labels())[label] = value;
  request.mutable_update_mask()->add_paths("labels." + label);
  api::UpdateContainerResponse response;
  return Call<api::Containers>(connection, deadline, "label container " + id, &Stub::Update, request, &response);
}

Status DeleteContainer(const Connection& connection, const std::string& id, Deadline deadline) {
  api::DeleteContainerRequest request;
  request.set_id(id);
  wire::Empty response;
  const Status status =
      Call<api::Containers>(connection, deadline, "remove container " + id, &Stub::Delete, request, &response);
  return status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

}  // namespace mcpfleet::containerd
