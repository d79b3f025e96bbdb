// `mcpctl inspect`: one server on one page, as a client sees it through its endpoint.
#include <functional>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cli/catalog.h"
#include "cli/interrupt.h"
#include "cli/mcp_client.h"
#include "cli/output.h"
#include "cli/server_caller.h"
#include "cli/verbs.h"
#include "edge-runtime/mcp/hidden_text.h"

namespace mcpfleet::cli {
namespace {

constexpr size_t kInstructionBytes = 4000, kInstructionLines = 60;

struct InspectOptions {
  std::string server, output;
  GatewayOptions gateway;
};

struct Found {
  ServerEndpoint endpoint;
  std::vector<std::string> protocols;  // "2026-07-28 (modern)"
  Json server_info, capabilities, instructions;
  Json tools, resources, templates, prompts;  // null: not offered
};

void TakeAbout(const McpClient& client, Found* found) {
  const Json& about = client.about();
  const Json& in_meta = GetMember(GetMember(about, "_meta"), "io.modelcontextprotocol/serverInfo");
  found->server_info = in_meta.is_object() ? in_meta : GetMember(about, "serverInfo");
  found->capabilities = GetMember(about, "capabilities");
  found->instructions = GetMember(about, "instructions");
}

std::string ProtocolOf(const McpClient& client) {
  return client.peer().protocol_version + " (" + std::string(mcp::ToString(client.peer().era)) + ")";
}

// What can't be listed is said and left out: the rest of the page is still worth having.
Json ListOrWarn(Session& session, McpClient& client, const std::string& method, const std::string& member,
                Deadline deadline) {
  StatusOr<Json> items = client.List(method, member, deadline);
  if (items.ok()) return *std::move(items);
  session.err() << "warning: " << Message(items.status()) << "\n";
  return nullptr;
}

Status Look(Session& session, McpClient& client, Found* found, Deadline deadline) {
  TakeAbout(client, found);
  found->protocols.push_back(ProtocolOf(client));
  const mcp::PeerInfo& peer = client.peer();
  if (peer.Has("tools")) found->tools = ListOrWarn(session, client, "tools/list", "tools", deadline);
  if (peer.Has("resources")) {
    found->resources = ListOrWarn(session, client, "resources/list", "resources", deadline);
    found->templates = ListOrWarn(session, client, "resources/templates/list", "resourceTemplates", deadline);
  }
  if (peer.Has("prompts")) found->prompts = ListOrWarn(session, client, "prompts/list", "prompts", deadline);
  return OkStatus();
}

Status Collect(Session& session, const InspectOptions& options, Found* found) {
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(found->endpoint, FindEndpoint(session, options.server, deadline));
  ASSIGN_OR_RETURN(std::string token, ReadToken(options.gateway));
  McpClient::Options client_options{
      .token = token, .ca_file = CaFileOf(options.gateway), .on_progress = {}, .on_request = {}};
  if (session.options().verbosity > 0)
    client_options.on_request = [&session](const std::string& line) { session.err() << "gateway: " << line << "\n"; };
  auto client = McpClient::Connect(found->endpoint.url, client_options, deadline);
  if (!client.ok()) return ExplainGatewayError(client.status(), found->endpoint);
  {
    Interrupt interrupt([&client] { (*client)->Interrupt(); });
    RETURN_IF_ERROR(Look(session, **client, found, deadline));
  }
  if ((*client)->peer().era == mcp::Era::kLegacy) return OkStatus();
  // Whether a session can be had as well is only known by opening one; it is deleted at once.
  client_options.era = mcp::Era::kLegacy;
  auto legacy = McpClient::Connect(found->endpoint.url, client_options, deadline);
  if (legacy.ok()) found->protocols.push_back(ProtocolOf(**legacy));
  return OkStatus();
}

Json ToJson(const Found& found) {
  Json json = {{"endpoint", found.endpoint.url},
               {"protocols", found.protocols},
               {"serverInfo", found.server_info},
               {"capabilities", found.capabilities}};
  if (!found.endpoint.is_url) json["server"] = NameOf(found.endpoint);
  if (found.instructions.is_string()) json["instructions"] = found.instructions;
  if (!found.tools.is_null()) json["tools"] = found.tools;
  if (!found.resources.is_null()) json["resources"] = found.resources;
  if (!found.templates.is_null()) json["resourceTemplates"] = found.templates;
  if (!found.prompts.is_null()) json["prompts"] = found.prompts;
  return json;
}

// "tools (listChanged), resources (listChanged, subscribe), logging"
std::string CapabilityText(const Json& capabilities) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : capabilities.items()) {
    std::vector<std::string> flags;
    for (const auto& [flag, set] : value.items()) {
      if (value.is_object() && set.is_boolean() && set.get<bool>()) flags.push_back(Printable(flag, 40));
    }
    texts.push_back(Printable(name, 60) + (flags.empty() ? "" : " (" + Join(flags, ", ") + ")"));
  }
  return texts.empty() ? "<none>" : Join(texts, ", ");
}

void PrintInstructions(std::ostream& out, const std::string& text) {
  out << "Instructions:\n";
  size_t lines = 0;
  const std::string shown(Trim(text.substr(0, kInstructionBytes)));
  for (const std::string& line : Split(shown, '\n')) {
    if (++lines > kInstructionLines) break;
    out << "  " << Printable(mcp::ShowHiddenCharacters(line), 1000) << "\n";
  }
  if (text.size() > kInstructionBytes || lines > kInstructionLines) out << "  … (cut; -o json has all of it)\n";
}

void PrintSection(std::ostream& out, const std::string& title, const Json& items, const Table& table) {
  if (items.is_null()) return;
  out << "\n" << title << " (" << items.size() << "):\n";
  if (!table.empty()) table.Print(out);
}

void PrintPage(std::ostream& out, const Found& found) {
  const auto field = [&out](const std::string& name, const std::string& value) {
    out << name << ":" << std::string(15 - name.size(), ' ') << (value.empty() ? "<unknown>" : value) << "\n";
  };
  if (!found.endpoint.is_url) field("Name", NameOf(found.endpoint));
  field("Endpoint", found.endpoint.url);
  if (!found.endpoint.node.empty()) field("Node", found.endpoint.node);
  field("Protocol", Join(found.protocols, ", "));
  const std::string title = GetString(found.server_info, "title");
  field("Server", Printable(GetString(found.server_info, "name") + " " + GetString(found.server_info, "version") +
                            (title.empty() ? "" : " (" + title + ")")));
  field("Capabilities", CapabilityText(found.capabilities));
  if (found.instructions.is_string()) PrintInstructions(out, found.instructions.get<std::string>());
  PrintSection(out, "Tools, * is required", found.tools, ToolTable(found.tools, true, true));
  PrintSection(out, "Resources", found.resources, ResourceTable(found.resources, false));
  PrintSection(out, "Resource templates", found.templates, TemplateTable(found.templates, false));
  PrintSection(out, "Prompts, * is required", found.prompts, PromptTable(found.prompts, true, true));
}

Status RunInspect(Session& session, const InspectOptions& options) {
  RETURN_IF_ERROR(CheckOutput(options.output, {"json", "yaml", "jsonpath"}));
  Found found;
  RETURN_IF_ERROR(Collect(session, options, &found));
  if (!options.output.empty()) return PrintObjects(session.out(), options.output, {ToJson(found)}, false);
  PrintPage(session.out(), found);
  return OkStatus();
}

}  // namespace

void RegisterInspect(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("inspect", "What a server offers, as a client sees it through its endpoint");
  auto options = std::make_shared<InspectOptions>();
  command->footer(
      "Examples:\n  mcpctl inspect everything\n  mcpctl inspect everything -o jsonpath='{.serverInfo.version}'\n"
      "  mcpctl inspect https://mcp.example.com/mcp --token-file token");
  command->add_option("server", options->server, "NAME, mcp/NAME or a URL")->required();
  command->add_option("-o,--output", options->output, "json, yaml or jsonpath=EXPRESSION");
  AddEndpointOptions(*command, &options->gateway);
  command->callback([options, &session] { FinishCall(session, RunInspect(session, *options)); });
}

}  // namespace mcpfleet::cli
