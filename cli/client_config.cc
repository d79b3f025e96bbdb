#include "cli/client_config.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/http/url.h"
#include "base/strings.h"
#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet::cli {
namespace {

constexpr char kTokenVariable[] = "MCPCTL_TOKEN";
constexpr std::array kClients = {ClientKind::kClaude, ClientKind::kClaudeCode, ClientKind::kCursor, ClientKind::kVsCode,
                                 ClientKind::kRaw};

std::string InputId(const ClientEntry& entry) { return entry.name + "-token"; }

// How the client writes "the token goes here"; Claude Code and Cursor read the environment, VS Code documents only
// inputs for headers.
std::string TokenPlaceholder(ClientKind client, const ClientEntry& entry) {
  switch (client) {
    case ClientKind::kClaudeCode:
      return std::string("${") + kTokenVariable + "}";
    case ClientKind::kVsCode:
      return "${input:" + InputId(entry) + "}";
    case ClientKind::kClaude:
    case ClientKind::kCursor:
    case ClientKind::kRaw:
      return std::string("${env:") + kTokenVariable + "}";
  }
  return "";
}

// Pretty, with every line but the first behind `indent` spaces.
std::string Indented(const Json& value, size_t indent) {
  std::string out;
  for (const char c : DumpJsonPretty(value)) {
    out += c;
    if (c == '\n') out.append(indent, ' ');
  }
  return out;
}

// `container` is the text of an object or array: the same with `item` as its last.
std::string WithLast(std::string_view container, const std::string& item, size_t indent) {
  const char close = container.front() == '{' ? '}' : ']';
  std::string_view body = container.substr(0, container.rfind(close));
  while (!body.empty() && (body.back() == ' ' || body.back() == '\n' || body.back() == '\r' || body.back() == '\t'))
    body.remove_suffix(1);
  std::string out(body);
  if (body.size() > 1) out += ',';
  return out + "\n" + std::string(indent, ' ') + item + "\n" + std::string(indent - 2, ' ') + close;
}

// The object `text` with the member `key` set to the JSON text `value`; nothing else changes.
std::string WithMember(const std::string& text, std::string_view key, const std::string& value, size_t indent) {
  const std::string_view old = mcp::RawMember(text, key);
  if (old.data() == nullptr || old.empty()) return WithLast(text, DumpJson(std::string(key)) + ": " + value, indent);
  const size_t begin = static_cast<size_t>(old.data() - text.data());
  return text.substr(0, begin) + value + text.substr(begin + old.size());
}

// An entry that an earlier `mcpctl connect` could have made for this server: the port of a gateway may change.
bool IsOurs(const Json& old, const ClientEntry& entry) {
  StatusOr<http::Url> here = http::ParseUrl(entry.url);
  const auto same_path = [&](const std::string& url) {
    StatusOr<http::Url> there = http::ParseUrl(url);
    return here.ok() && there.ok() && there->target == here->target;
  };
  if (same_path(GetString(old, "url"))) return true;
  const Json& args = GetMember(old, "args");
  return args.is_array() && std::any_of(args.begin(), args.end(), [&](const Json& arg) {
           return arg.is_string() && same_path(arg.get<std::string>());
         });
}

Status CheckSection(const Json& file, std::string_view section, bool array) {
  const Json& value = GetMember(file, section);
  if (value.is_null() && !file.contains(std::string(section))) return OkStatus();
  if (array ? value.is_array() : value.is_object()) return OkStatus();
  return InvalidArgument("\"" + std::string(section) + "\" is no " + (array ? "array" : "object"));
}

}  // namespace

std::string_view ToString(ClientKind client) {
  switch (client) {
    case ClientKind::kClaude:
      return "claude";
    case ClientKind::kClaudeCode:
      return "claude-code";
    case ClientKind::kCursor:
      return "cursor";
    case ClientKind::kVsCode:
      return "vscode";
    case ClientKind::kRaw:
      return "raw";
  }
  return "";
}

StatusOr<ClientKind> ClientFromString(std::string_view text) {
  for (const ClientKind client : kClients) {
    if (ToString(client) == text) return client;
  }
  return InvalidArgument("--client " + Printable(text, 40) + "; allowed: claude, claude-code, cursor, vscode, raw");
}

std::string_view TitleOf(ClientKind client) {
  switch (client) {
    case ClientKind::kClaude:
      return "Claude Desktop";
    case ClientKind::kClaudeCode:
      return "Claude Code";
    case ClientKind::kCursor:
      return "Cursor";
    case ClientKind::kVsCode:
      return "VS Code";
    case ClientKind::kRaw:
      return "the client";
  }
  return "";
}

StatusOr<std::string> DefaultPath(ClientKind client) {
  const auto variable = [](const char* name) {
    const char* value = getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  const std::string home = variable("HOME"), config = variable("XDG_CONFIG_HOME");
  if (home.empty() && (client == ClientKind::kClaude || client == ClientKind::kCursor))
    return InvalidArgument("HOME is not set: say where the file is with --file");
  switch (client) {
    case ClientKind::kClaude:
      return (config.empty() ? home + "/.config" : config) + "/Claude/claude_desktop_config.json";
    case ClientKind::kClaudeCode:
      return std::string(".mcp.json");
    case ClientKind::kCursor:
      return home + "/.cursor/mcp.json";
    case ClientKind::kVsCode:
      return std::string(".vscode/mcp.json");
    case ClientKind::kRaw:
      break;
  }
  return InvalidArgument("--write needs --client; allowed: claude, claude-code, cursor, vscode");
}

StatusOr<Json> EntryFor(ClientKind client, const ClientEntry& entry) {
  if (client == ClientKind::kClaude) {
    Json args = {"proxy", entry.url};
    if (entry.wants_token && entry.token_file.empty()) {
      return InvalidArgument(
          "the server wants a token, and Claude Desktop starts programs without your environment; give the file that "
          "holds it: --token-file FILE (its path goes into the configuration, the token does not)");
    }
    if (!entry.token_file.empty()) {
      args.push_back("--token-file");
      args.push_back(entry.token_file);
    }
    if (!entry.ca_file.empty()) {
      args.push_back("--ca-file");
      args.push_back(entry.ca_file);
    }
    return Json{{"command", entry.mcpctl}, {"args", args}};
  }
  Json value = {{"type", "http"}, {"url", entry.url}};
  if (entry.wants_token) value["headers"] = {{"Authorization", "Bearer " + TokenPlaceholder(client, entry)}};
  return value;
}

std::string_view SectionOf(ClientKind client) { return client == ClientKind::kVsCode ? "servers" : "mcpServers"; }

Json InputFor(ClientKind client, const ClientEntry& entry) {
  if (client != ClientKind::kVsCode || !entry.wants_token) return nullptr;
  return {{"id", InputId(entry)},
          {"type", "promptString"},
          {"description", "Token for the MCP server " + entry.name},
          {"password", true}};
}

std::string NewFile(ClientKind client, const ClientEntry& entry, const Json& value) {
  if (client == ClientKind::kRaw) return DumpJsonPretty(Json{{entry.name, value}}) + "\n";
  Json file = {{std::string(SectionOf(client)), {{entry.name, value}}}};
  if (const Json input = InputFor(client, entry); !input.is_null()) file["inputs"] = Json::array({input});
  return DumpJsonPretty(file) + "\n";
}

StatusOr<std::string> Merge(ClientKind client, const ClientEntry& entry, const Json& value, const std::string& content,
                            bool overwrite) {
  if (Trim(content).empty()) return NewFile(client, entry, value);
  ASSIGN_OR_RETURN(Json file, ParseJson(content));
  std::string text(Trim(content));
  if (!file.is_object() || !text.starts_with('{')) return InvalidArgument("not a JSON object");
  const size_t before = content.find('{');
  const std::string after = content.substr(before + text.size());
  const std::string section(SectionOf(client));
  RETURN_IF_ERROR(CheckSection(file, section, false));
  RETURN_IF_ERROR(CheckSection(file, "inputs", true));
  const Json& old = GetMember(GetMember(file, section), entry.name);
  if (!old.is_null() && old != value && !overwrite && !IsOurs(old, entry)) {
    return AlreadyExists(section + "." + entry.name +
                         " is another server; allowed: another --name, or --overwrite to replace it");
  }
  if (old != value) {
    const std::string_view servers = mcp::RawMember(text, section);
    const std::string inner =
        WithMember(servers.empty() ? "{}" : std::string(servers), entry.name, Indented(value, 4), 4);
    text = WithMember(text, section, inner, 2);
  }
  const Json input = InputFor(client, entry);
  const Json& inputs = GetMember(file, "inputs");
  const bool known = std::any_of(inputs.begin(), inputs.end(),
                                 [&](const Json& one) { return GetString(one, "id") == InputId(entry); });
  if (!input.is_null() && !known) {
    const std::string_view array = mcp::RawMember(text, "inputs");
    text = WithMember(text, "inputs", WithLast(array.empty() ? "[]" : array, Indented(input, 4), 4), 2);
  }
  return content.substr(0, before) + text + after;
}

}  // namespace mcpfleet::cli
