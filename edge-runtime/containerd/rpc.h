// One blocking call. For the files that include generated code; grpcpp is a heavy header.
#pragma once

#include <containerd_api/wire.pb.h>
#include <grpcpp/grpcpp.h>

#include "edge-runtime/containerd/connection.h"

namespace mcpfleet::containerd {

namespace wire = ::containerd::wire;

// `method` is of `Stub`: Call<Images>(connection, deadline, "image x", &Images::Stub::Get, request, &response).
template <typename Service, typename Request, typename Response>
Status Call(const Connection& connection, Deadline deadline, std::string_view what,
            grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
            const Request& request, Response* response, const std::string& lease = "") {
  if (deadline.Expired()) return DeadlineExceeded("containerd: " + std::string(what));
  grpc::ClientContext context;
  connection.Prepare(&context, deadline, lease);
  const auto stub = Service::NewStub(connection.channel());
  return StatusOfGrpc((stub.get()->*method)(&context, request, response), what);
}

template <typename Timestamp>
WallTime TimeOf(const Timestamp& timestamp) {
  return WallTime(std::chrono::seconds(timestamp.seconds()) + std::chrono::nanoseconds(timestamp.nanos()));
}

}  // namespace mcpfleet::containerd
