#include "cli/gateway.h"

#include <algorithm>
#include <cstdlib>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/http/url.h"
#include "base/strings.h"
#include "crd/codec.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kTokenFileBytes = 64 << 10;

// On "localhost", 127.0.0.0/8 or ::1.
bool IsLocal(const std::string& url) {
  StatusOr<http::Url> parsed = http::ParseUrl(url);
  if (!parsed.ok()) return false;
  const std::string& host = parsed->endpoint.host;
  const bool address = host.find_first_not_of("0123456789.") == std::string::npos;
  return EqualsIgnoreCase(host, "localhost") || host == "::1" || (address && host.starts_with("127."));
}

// The segment before "/mcp", or the host: a name for what has none.
std::string NameFromUrl(const std::string& url) {
  StatusOr<http::Url> parsed = http::ParseUrl(url);
  if (!parsed.ok()) return "mcp";
  std::vector<std::string> segments;
  for (const std::string& segment : Split(parsed->target.substr(0, parsed->target.find('?')), '/')) {
    if (!segment.empty()) segments.push_back(segment);
  }
  if (segments.size() > 1 && segments.back() == "mcp") segments.pop_back();
  return segments.empty() || segments.back() == "mcp" ? parsed->endpoint.host : segments.back();
}

std::string DescribeCommand(const ServerKey& key) {
  return "mcpctl describe mcp/" + key.name + " -n " + key.namespace_;
}

StatusOr<std::vector<NodeStatus>> Nodes(Session& session, const Context& context, Deadline deadline) {
  if (context.admin.empty()) return ReadNodes(session, deadline);
  ASSIGN_OR_RETURN(http::Response response, session.Admin({.target = "/v1/status"}, deadline));
  ASSIGN_OR_RETURN(Json json, ParseJson(response.body));
  ASSIGN_OR_RETURN(NodeStatus node, NodeStatusFromJson(json));
  return std::vector<NodeStatus>{std::move(node)};
}

}  // namespace

void AddEndpointOptions(CLI::App& command, GatewayOptions* options) {
  command.add_option("--token-file", options->token_file,
                     "file with the token for a protected server; else MCPCTL_TOKEN of the environment");
  command.add_option("--ca-file", options->ca_file,
                     "PEM file with the CA of an https endpoint; else MCPCTL_CA_FILE, else the system's CAs");
}

void AddGatewayOptions(CLI::App& command, GatewayOptions* options) {
  AddEndpointOptions(command, options);
  command.add_option("--via", options->via, "auto, gateway or admin; auto: the gateway where it can be reached")
      ->check(CLI::IsMember({"auto", "gateway", "admin"}));
}

StatusOr<std::string> ReadToken(const GatewayOptions& options) {
  if (options.token_file.empty()) {
    const char* token = getenv("MCPCTL_TOKEN");
    return std::string(token == nullptr ? "" : token);
  }
  ASSIGN_OR_RETURN(std::string content, ReadFile(options.token_file, kTokenFileBytes));
  const std::string token(Trim(content));
  if (token.empty()) return InvalidArgument(options.token_file + ": holds no token");
  return token;
}

std::string CaFileOf(const GatewayOptions& options) {
  const char* file = options.ca_file.empty() ? getenv("MCPCTL_CA_FILE") : options.ca_file.c_str();
  return file == nullptr ? "" : file;
}

bool IsUrl(std::string_view text) { return text.starts_with("http://") || text.starts_with("https://"); }

std::string NameOf(const ServerEndpoint& endpoint) {
  return endpoint.is_url ? endpoint.url : endpoint.namespace_ + "/" + endpoint.name;
}

StatusOr<ServerEndpoint> ChooseEndpoint(const std::vector<NodeStatus>& nodes, const ServerKey& key, bool local_admin) {
  ServerEndpoint best{.namespace_ = key.namespace_, .name = key.name, .url = {}, .node = {}};
  int best_rank = -1;
  std::string why = "no node has reported it";
  for (const NodeStatus& node : nodes) {
    for (const ServerStatus& status : node.servers) {
      if (status.key.namespace_ != key.namespace_ || status.key.name != key.name) continue;
      const Condition* ready = FindCondition(status.conditions, "Ready");
      const bool is_ready = ready != nullptr && ready->status == ConditionStatus::kTrue;
      if (status.endpoint.empty()) {
        why = ready == nullptr || is_ready
                  ? "node " + node.node + " has no endpoint for it"
                  : "on node " + node.node + " it is not ready: " + ready->reason + ", " + Printable(ready->message);
        continue;
      }
      const bool everywhere = !IsLocal(status.endpoint), local = everywhere || local_admin;
      // Of two that are as good, the one that also works elsewhere: what connect writes down may be carried there.
      const int rank = (local ? 4 : 0) + (is_ready ? 2 : 0) + (everywhere ? 1 : 0);
      if (rank <= best_rank) continue;
      best_rank = rank;
      best.url = status.endpoint;
      best.node = node.node;
      best.local = local;
    }
  }
  if (best_rank >= 0) return best;
  return FailedPrecondition(key.namespace_ + "/" + key.name + " has no endpoint: " + why +
                            "; see: " + DescribeCommand(key));
}

StatusOr<ServerEndpoint> FindEndpoint(Session& session, const std::string& server, Deadline deadline) {
  if (IsUrl(server)) {
    RETURN_IF_ERROR(http::ParseUrl(server).status());
    return ServerEndpoint{.namespace_ = {}, .name = NameFromUrl(server), .url = server, .node = {}, .is_url = true};
  }
  ASSIGN_OR_RETURN(Selection selection, Select(session, {.arguments = {server}}, kKindServer));
  ASSIGN_OR_RETURN(Context context, session.context());
  ASSIGN_OR_RETURN(std::vector<NodeStatus> nodes, Nodes(session, context, deadline));
  const bool local_admin = context.admin.starts_with("unix://") || IsLocal(context.admin);
  return ChooseEndpoint(nodes, {selection.namespace_, selection.names.front()}, local_admin);
}

Status ExplainGatewayError(const Status& status, const ServerEndpoint& endpoint) {
  if (status.ok() || status.code() == StatusCode::kCancelled || status.code() == StatusCode::kInvalidArgument)
    return status;
  std::string what = NameOf(endpoint) + ": " + Message(status);
  if (status.code() == StatusCode::kUnavailable && !endpoint.local) {
    what += "; its endpoint " + endpoint.url + " is on the loopback of node " + endpoint.node +
            ": run mcpctl there, or name the node's admin address: mcpctl config set-context NAME --admin URL";
  } else if (Message(status).find(": certificate: ") != std::string::npos) {
    what += "; name the CA that signed it: --ca-file FILE or MCPCTL_CA_FILE";
  } else if (!endpoint.is_url &&
             (status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kResourceExhausted ||
              status.code() == StatusCode::kNotFound || status.code() == StatusCode::kDeadlineExceeded)) {
    what += "; see: " + DescribeCommand({endpoint.namespace_, endpoint.name});
  }
  return FailedPrecondition(what);
}

}  // namespace mcpfleet::cli
