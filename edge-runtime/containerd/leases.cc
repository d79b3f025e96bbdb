#include "edge-runtime/containerd/leases.h"

#include <containerd_api/leases.grpc.pb.h>

#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {

namespace api = ::containerd::services::leases::v1;

Status CreateLease(const Connection& connection, const Lease& lease, Duration life, Deadline deadline) {
  api::CreateRequest request;
  request.set_id(lease.id);
  request.mutable_labels()->insert(lease.labels.begin(), lease.labels.end());
  (*request.mutable_labels())["containerd.io/gc.expire"] = FormatTime(SystemClock().Wall() + life);
  api::CreateResponse response;
  const Status status =
      Call<api::Leases>(connection, deadline, "lease " + lease.id, &api::Leases::Stub::Create, request, &response);
  return status.code() == StatusCode::kAlreadyExists ? OkStatus() : status;
}

Status DeleteLease(const Connection& connection, const std::string& id, Deadline deadline) {
  api::DeleteRequest request;
  request.set_id(id);
  wire::Empty response;
  const Status status =
      Call<api::Leases>(connection, deadline, "remove lease " + id, &api::Leases::Stub::Delete, request, &response);
  return status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

StatusOr<std::vector<Lease>> ListLeases(const Connection& connection, const std::string& filter, Deadline deadline) {
  api::ListRequest request;
  request.add_filters(filter);
  api::ListResponse response;
  RETURN_IF_ERROR(Call<api::Leases>(connection, deadline, "list leases", &api::Leases::Stub::List, request, &response));
  std::vector<Lease> leases;
  for (const api::Lease& lease : response.leases())
    leases.push_back({lease.id(), {lease.labels().begin(), lease.labels().end()}});
  return leases;
}

}  // namespace mcpfleet::containerd
