// `mcpctl node list`: what the Worker knows of the nodes, beside what is declared of them.
#include <algorithm>
#include <map>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/node_verbs.h"
#include "cli/output.h"
#include "cli/table.h"
#include "store/reader.h"

namespace mcpfleet::cli {
namespace {

struct ListedNode {
  std::string name, status, keys, enrolled_until;
  Json known;  // an item of GET /v1/nodes; null for one that was only enrolled
};

// The nodes that are enrolled and have not come yet. Viewers may not see them, and see the rest all the same.
StatusOr<std::map<std::string, std::string>> Waiting(WorkerApi& worker, Deadline deadline) {
  std::map<std::string, std::string> waiting;
  const StatusOr<WorkerAnswer> joins = worker.Get("/v1/joins", deadline);
  if (joins.status().code() == StatusCode::kPermissionDenied) return waiting;
  RETURN_IF_ERROR(joins.status());
  for (const Json& join : joins->result) {
    if (GetString(join, "state") == "Pending") waiting.emplace(GetString(join, "node"), GetString(join, "expires"));
  }
  return waiting;
}

std::vector<ListedNode> Listed(const Json& known, std::map<std::string, std::string> waiting,
                               const StoredState& state) {
  std::vector<ListedNode> nodes;
  for (const Json& node : known) {
    ListedNode listed{.name = Printable(GetString(node, "node"), 80), .status = NodeWord(node), .known = node};
    const auto declared = state.objects.find({kKindNode, "", listed.name});
    listed.keys = KeysWord(node, declared == state.objects.end() ? nullptr : &declared->second);
    if (auto it = waiting.find(listed.name); it != waiting.end()) {
      listed.enrolled_until = it->second;
      waiting.erase(it);
    }
    nodes.push_back(std::move(listed));
  }
  for (const auto& [name, expires] : waiting) {
    nodes.push_back({.name = Printable(name, 80), .status = "Enrolled", .keys = "none", .enrolled_until = expires});
  }
  std::sort(nodes.begin(), nodes.end(), [](const ListedNode& a, const ListedNode& b) { return a.name < b.name; });
  return nodes;
}

Json Shown(const ListedNode& node) {
  Json tokens = Json::array();
  for (const Json& token : GetMember(node.known, "tokens")) {
    tokens.push_back({{"id", GetString(token, "id")},
                      {"created", TimeOfMillis(GetMember(token, "created"))},
                      {"expires", TimeOfMillis(GetMember(token, "expires"))}});
  }
  Json shown = {{"node", node.name},
                {"status", node.status},
                {"connected", GetBool(node.known, "connected")},
                {"down", GetBool(node.known, "down")},
                {"cloned", GetBool(node.known, "cloned")},
                {"keys", node.keys},
                {"tokens", std::move(tokens)}};
  const auto put = [&shown](const char* name, const std::string& text) {
    if (!text.empty()) shown[name] = text;
  };
  put("lastSeen", TimeOfMillis(GetMember(node.known, "lastSeen")));
  put("tunnel", GetString(node.known, "tunnel"));
  put("enrolledUntil", node.enrolled_until);
  return shown;
}

std::string Seen(const Json& known, WallTime now) {
  const StatusOr<WallTime> time = ParseTime(TimeOfMillis(GetMember(known, "lastSeen")));
  return time.ok() ? FormatAge(now - *time) : "<never>";
}

Status RunList(Session& session, const std::string& output) {
  RETURN_IF_ERROR(CheckOutput(output, {"wide", "json", "yaml", "jsonpath"}));
  ASSIGN_OR_RETURN(WorkerApi * worker, session.Worker());
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  const StatusOr<WorkerAnswer> known = worker->Get("/v1/nodes", deadline);
  if (known.status().code() == StatusCode::kFailedPrecondition)
    return FailedPrecondition(Message(known.status()) + "; what nodes report: mcpctl get nodes");
  RETURN_IF_ERROR(known.status());
  ASSIGN_OR_RETURN(auto waiting, Waiting(*worker, deadline));
  ASSIGN_OR_RETURN(const StoredState state, ReadState(*kv, deadline));
  const std::vector<ListedNode> nodes = Listed(known->result, std::move(waiting), state);
  if (!output.empty() && output != "wide") {
    std::vector<Json> objects;
    for (const ListedNode& node : nodes) objects.push_back(Shown(node));
    return PrintObjects(session.out(), output, objects, true);
  }
  if (nodes.empty()) {
    session.err() << "No nodes; the first one: mcpctl node enroll NAME\n";
    return OkStatus();
  }
  const bool wide = output == "wide";
  std::vector<std::string> headers{"NAME", "STATUS", "LAST SEEN", "KEYS", "TOKENS"};
  if (wide) headers.insert(headers.end(), {"CONNECTED", "DOWN", "CLONED", "TOKEN EXPIRES", "TUNNEL"});
  Table table(headers);
  const WallTime now = session.clock().Wall();
  for (const ListedNode& node : nodes) {
    const Json& tokens = GetMember(node.known, "tokens");
    std::vector<std::string> row{node.name, node.status, Seen(node.known, now), node.keys,
                                 std::to_string(tokens.size())};
    if (wide) {
      const auto yes = [&node](const char* flag) { return GetBool(node.known, flag) ? "yes" : "no"; };
      // The newest token's: what an alert speaks of when it is near.
      const std::string expires = tokens.empty() ? "" : TimeOfMillis(GetMember(tokens.back(), "expires"));
      const std::string tunnel = Printable(GetString(node.known, "tunnel"), 100);
      row.insert(row.end(), {yes("connected"), yes("down"), yes("cloned"), expires.empty() ? "<never>" : expires,
                             tunnel.empty() ? "<none>" : tunnel});
    }
    table.Add(std::move(row));
  }
  table.Print(session.out());
  return OkStatus();
}

}  // namespace

std::string NodeWord(const Json& node) {
  std::string word = "Silent";
  if (GetBool(node, "connected")) {
    word = "Connected";
  } else if (GetMember(node, "tokens").empty()) {
    word = "Revoked";
  } else if (GetInt(node, "lastSeen") == 0) {
    word = "Joined";  // and has not shown itself yet
  } else if (GetBool(node, "down")) {
    word = "Down";
  }
  return word + (GetBool(node, "cloned") ? ",Cloned" : "");
}

std::string KeysWord(const Json& node, const Object* declared) {
  const StatusOr<NodePublicKeys> own = KeysFromJson(GetMember(node, "keys"));
  const std::optional<NodePublicKeys> published = declared == nullptr ? std::nullopt : PublishedKeys(*declared);
  // Those of a node that was revoked wait for nothing.
  if (!published) return own.ok() && !GetMember(node, "tokens").empty() ? "waiting" : "none";
  return !own.ok() || *own == *published ? "accepted" : "other";
}

std::string TimeOfMillis(const Json& millis) {
  if (!millis.is_number_integer()) return "";
  const int64_t value = millis.get<int64_t>();
  // What nanoseconds in 64 bits can tell.
  if (value <= 0 || value > int64_t{9'000'000'000'000}) return "";
  return FormatTime(WallTime(std::chrono::milliseconds(value)));
}

void AddNodeList(CLI::App& node, Session& session) {
  auto output = std::make_shared<std::string>();
  auto* list = node.add_subcommand("list", "The nodes that the Worker knows: connected, down, cloned, tokens, keys");
  list->footer(
      "STATUS: Enrolled (has not joined), Joined (has not shown itself), Connected, Silent (polls, or is just gone), "
      "Down,\n"
      "Revoked (has no token), Cloned (two machines use its credentials). KEYS: accepted, waiting (for mcpctl node "
      "accept),\n"
      "other (the node has joined anew with other keys than the accepted ones), none.\n\n"
      "Examples:\n  mcpctl node list\n  mcpctl node list -o wide");
  list->add_option("-o,--output", *output, "wide, json, yaml or jsonpath=EXPRESSION");
  list->callback([output, &session] { session.Finish(RunList(session, *output)); });
}

}  // namespace mcpfleet::cli
