#include "cli/server_caller.h"

#include <ostream>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/interrupt.h"
#include "cli/mcp_client.h"

namespace mcpfleet::cli {
namespace {

// The longest that mcplet waits for a server on behalf of a request.
constexpr Duration kMostAdmin = std::chrono::hours(1);

class AdminCaller final : public ServerCaller {
 public:
  AdminCaller(Session& session, std::string path) : session_(session), path_(std::move(path)) {}

  StatusOr<Json> Call(const std::string& method, const Json& params, Deadline deadline) override {
    http::Request request{
        .method = "POST", .target = path_ + "/call", .body = DumpJson({{"method", method}, {"params", params}})};
    request.headers.Set("Content-Type", "application/json");
    request.headers.Set("X-Timeout", FormatDuration(std::min<Duration>(deadline.Left(), kMostAdmin)));
    ASSIGN_OR_RETURN(http::Response response, session_.Admin(request, deadline));
    return ParseJson(response.body);
  }
  StatusOr<Json> List(const std::string& method, const std::string& member, Deadline deadline) override {
    const CallMethod call = [&](const std::string& name, const Json& params) { return Call(name, params, deadline); };
    return ListPages(call, method, member);
  }

 private:
  Session& session_;
  const std::string path_;
};

class GatewayCaller final : public ServerCaller {
 public:
  static StatusOr<std::unique_ptr<GatewayCaller>> Connect(Session& session, const ServerEndpoint& endpoint,
                                                          const std::string& token, const std::string& ca_file,
                                                          Deadline deadline) {
    std::unique_ptr<GatewayCaller> caller(new GatewayCaller(session, endpoint));
    McpClient::Options options{.token = token, .ca_file = ca_file, .on_progress = {}, .on_request = {}};
    if (session.progress()) options.on_progress = [&session](const std::string& line) { session.ShowProgress(line); };
    if (session.options().verbosity > 0) {
      options.on_request = [&session](const std::string& line) { session.err() << "gateway: " << line << "\n"; };
    }
    ASSIGN_OR_RETURN(caller->client_, McpClient::Connect(endpoint.url, std::move(options), deadline));
    caller->interrupt_ = std::make_unique<Interrupt>([client = caller->client_.get()] { client->Interrupt(); });
    return caller;
  }

  StatusOr<Json> Call(const std::string& method, const Json& params, Deadline deadline) override {
    return Explained(client_->Call(method, params, deadline));
  }
  StatusOr<Json> List(const std::string& method, const std::string& member, Deadline deadline) override {
    return Explained(client_->List(method, member, deadline));
  }

 private:
  GatewayCaller(Session& session, ServerEndpoint endpoint) : session_(session), endpoint_(std::move(endpoint)) {}
  StatusOr<Json> Explained(StatusOr<Json> result) {
    session_.ShowProgress("");
    if (!result.ok()) return ExplainGatewayError(result.status(), endpoint_);
    return result;
  }

  Session& session_;
  const ServerEndpoint endpoint_;
  std::unique_ptr<McpClient> client_;
  std::unique_ptr<Interrupt> interrupt_;  // ends before the client that it interrupts
};

StatusOr<std::unique_ptr<ServerCaller>> ByAdmin(Session& session, const std::string& server) {
  if (IsUrl(server)) return InvalidArgument("--via admin: allowed: the name of a server, not a URL");
  ASSIGN_OR_RETURN(Selection selection, Select(session, {.arguments = {server}}, kKindServer));
  return std::make_unique<AdminCaller>(
      session, "/v1/servers/" + PercentEncode(selection.namespace_) + "/" + PercentEncode(selection.names.front()));
}

}  // namespace

StatusOr<std::unique_ptr<ServerCaller>> ServerCaller::Open(Session& session, const std::string& server,
                                                           const GatewayOptions& options, Deadline deadline) {
  if (options.via == "admin") return ByAdmin(session, server);
  const bool must = options.via == "gateway" || IsUrl(server);
  StatusOr<ServerEndpoint> endpoint = FindEndpoint(session, server, deadline);
  if (!endpoint.ok()) {
    if (must || endpoint.status().code() == StatusCode::kInvalidArgument) return endpoint.status();
    return ByAdmin(session, server);
  }
  if (!must && !endpoint->local) return ByAdmin(session, server);
  ASSIGN_OR_RETURN(std::string token, ReadToken(options));
  auto caller = GatewayCaller::Connect(session, *endpoint, token, CaFileOf(options), deadline);
  if (caller.ok()) return std::unique_ptr<ServerCaller>(*std::move(caller));
  if (!must && caller.status().code() == StatusCode::kUnavailable) {
    if (session.options().verbosity > 0)
      session.err() << "gateway: " << Message(caller.status()) << "; asking mcplet instead\n";
    return ByAdmin(session, server);
  }
  return ExplainGatewayError(caller.status(), *endpoint);
}

void FinishCall(Session& session, const Status& status) {
  session.Finish(status, status.code() == StatusCode::kCancelled ? kExitInterrupted : kExitFailed);
}

}  // namespace mcpfleet::cli
