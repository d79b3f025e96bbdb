#include "edge-runtime/containerd/introspection.h"

#include <containerd_api/introspection.grpc.pb.h>
#include <containerd_api/version.grpc.pb.h>

#include "edge-runtime/containerd/rpc.h"

namespace mcpfleet::containerd {

namespace api = ::containerd::services::introspection::v1;
namespace version = ::containerd::services::version::v1;

StatusOr<Engine> AskEngine(const Connection& connection, Deadline deadline) {
  Engine engine;
  const wire::Empty nothing;
  version::VersionResponse named;
  RETURN_IF_ERROR(
      Call<version::Version>(connection, deadline, "version", &version::Version::Stub::Version, nothing, &named));
  engine.version = named.version();
  api::PluginsRequest request;
  request.add_filters("type==io.containerd.snapshotter.v1");
  request.add_filters("type==io.containerd.grpc.v1,id==transfer");
  api::PluginsResponse response;
  RETURN_IF_ERROR(Call<api::Introspection>(connection, deadline, "plugins", &api::Introspection::Stub::Plugins, request,
                                           &response));
  for (const api::Plugin& plugin : response.plugins()) {
    const std::string failure = plugin.has_init_err() ? plugin.init_err().message() : "";
    if (plugin.id() == "transfer")
      engine.transfer = failure.empty();
    else
      engine.snapshotters[plugin.id()] = failure;
  }
  const std::string_view version_number = std::string_view(engine.version).substr(engine.version.starts_with('v'));
  engine.mirrors = engine.transfer && !version_number.starts_with("1.");
  return engine;
}

}  // namespace mcpfleet::containerd
