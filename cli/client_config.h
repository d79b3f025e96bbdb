// The configuration files of MCP clients: what an entry for one server looks like in each, where the file is, and how
// an entry gets into a file that a person wrote: only the bytes of that entry change, comments of JSON aside, which
// make it no JSON and are refused. Formats as of the clients' documentation in autumn 2026.
//
// Pure functions but DefaultPath, which reads the environment; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::cli {

enum class ClientKind { kClaude, kClaudeCode, kCursor, kVsCode, kRaw };
// "claude", "claude-code", "cursor", "vscode", "raw".
std::string_view ToString(ClientKind client);
StatusOr<ClientKind> ClientFromString(std::string_view text);
// For people: "Claude Desktop".
std::string_view TitleOf(ClientKind client);
// Claude Desktop: ~/.config/Claude/claude_desktop_config.json; Claude Code: .mcp.json here; Cursor: ~/.cursor/mcp.json;
// VS Code: .vscode/mcp.json here. InvalidArgument for raw, which has none.
StatusOr<std::string> DefaultPath(ClientKind client);

// What a client has to know of an endpoint.
struct ClientEntry {
  std::string name;  // of the entry
  std::string url;   // of the endpoint
  bool wants_token = false;
  std::string mcpctl;      // path of this program, for clients that only start programs
  std::string token_file;  // absolute; for those too
  std::string ca_file;     // absolute; for those too
};
// InvalidArgument when the client can't be told what it needs: Claude Desktop starts its programs without the user's
// environment, so a token must come from a file.
StatusOr<Json> EntryFor(ClientKind client, const ClientEntry& entry);
// The member that holds the entries: "mcpServers" or "servers".
std::string_view SectionOf(ClientKind client);
// What must be in the file besides: VS Code asks for a token once and keeps it, by an element of "inputs". Null:
// nothing.
Json InputFor(ClientKind client, const ClientEntry& entry);
// A whole file with this entry alone.
std::string NewFile(ClientKind client, const ClientEntry& entry, const Json& value);

// `content` ("" for an empty file) with the entry in it. The same text when it is there already. InvalidArgument: not
// JSON, or the section is something else; AlreadyExists: an entry of that name is about another server and `overwrite`
// is not set.
StatusOr<std::string> Merge(ClientKind client, const ClientEntry& entry, const Json& value, const std::string& content,
                            bool overwrite);

}  // namespace mcpfleet::cli
