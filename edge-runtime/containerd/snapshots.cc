#include "edge-runtime/containerd/snapshots.h"

#include <containerd_api/snapshots.grpc.pb.h>

#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {
namespace {

namespace api = ::containerd::services::snapshots::v1;
using Stub = api::Snapshots::Stub;

template <typename Response>
std::vector<Mount> MountsOf(const Response& response) {
  std::vector<Mount> mounts;
  for (const auto& mount : response.mounts()) {
    mounts.push_back({mount.type(), mount.source(), mount.target(), {mount.options().begin(), mount.options().end()}});
  }
  return mounts;
}

}  // namespace

Snapshots::Snapshots(const Connection& connection, std::string snapshotter)
    : connection_(connection), snapshotter_(std::move(snapshotter)) {}

StatusOr<std::vector<Mount>> Snapshots::Prepare(const std::string& key, const std::string& parent,
                                                const std::map<std::string, std::string>& labels,
                                                const std::string& lease, Deadline deadline) const {
  api::PrepareSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  request.set_parent(parent);
  request.mutable_labels()->insert(labels.begin(), labels.end());
  api::PrepareSnapshotResponse response;
  RETURN_IF_ERROR(
      Call<api::Snapshots>(connection_, deadline, "snapshot " + key, &Stub::Prepare, request, &response, lease));
  return MountsOf(response);
}

StatusOr<std::vector<Mount>> Snapshots::Mounts(const std::string& key, Deadline deadline) const {
  api::MountsRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  api::MountsResponse response;
  RETURN_IF_ERROR(
      Call<api::Snapshots>(connection_, deadline, "mounts of snapshot " + key, &Stub::Mounts, request, &response));
  return MountsOf(response);
}

Status Snapshots::Commit(const std::string& key, const std::string& name,
                         const std::map<std::string, std::string>& labels, const std::string& lease,
                         Deadline deadline) const {
  api::CommitSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  request.set_name(name);
  request.mutable_labels()->insert(labels.begin(), labels.end());
  wire::Empty response;
  return Call<api::Snapshots>(connection_, deadline, "commit snapshot " + name, &Stub::Commit, request, &response,
                              lease);
}

Status Snapshots::Remove(const std::string& key, Deadline deadline) const {
  api::RemoveSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  wire::Empty response;
  const Status status =
      Call<api::Snapshots>(connection_, deadline, "remove snapshot " + key, &Stub::Remove, request, &response);
  return status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

StatusOr<bool> Snapshots::Exists(const std::string& key, Deadline deadline) const {
  api::StatSnapshotRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  api::StatSnapshotResponse response;
  const Status status = Call<api::Snapshots>(connection_, deadline, "snapshot " + key, &Stub::Stat, request, &response);
  if (status.code() == StatusCode::kNotFound) return false;
  RETURN_IF_ERROR(status);
  return true;
}

StatusOr<int64_t> Snapshots::Bytes(const std::string& key, Deadline deadline) const {
  api::UsageRequest request;
  request.set_snapshotter(snapshotter_);
  request.set_key(key);
  api::UsageResponse response;
  RETURN_IF_ERROR(
      Call<api::Snapshots>(connection_, deadline, "size of snapshot " + key, &Stub::Usage, request, &response));
  return response.size();
}

StatusOr<std::vector<Snapshot>> Snapshots::List(const std::string& filter, Deadline deadline) const {
  if (deadline.Expired()) return DeadlineExceeded("containerd: list snapshots");
  grpc::ClientContext context;
  connection_.Prepare(&context, deadline);
  const auto stub = api::Snapshots::NewStub(connection_.channel());
  api::ListSnapshotsRequest request;
  request.set_snapshotter(snapshotter_);
  request.add_filters(filter);
  const auto reader = stub->List(&context, request);
  std::vector<Snapshot> snapshots;
  for (api::ListSnapshotsResponse piece; reader->Read(&piece);) {
    for (const api::Info& info : piece.info())
      snapshots.push_back({info.name(), info.parent(), {info.labels().begin(), info.labels().end()}});
  }
  RETURN_IF_ERROR(StatusOfGrpc(reader->Finish(), "list snapshots"));
  return snapshots;
}

}  // namespace mcpfleet::containerd
