// What other tools write down about MCP servers, as objects of ours: `mcpctl convert`, and the part of `mcpctl registry
// install` that knows server.json. Pure: nothing is read, asked or resolved here; the same bytes and options give the
// same answer. Any thread may call.
//
// What can't be carried over is in `losses`, with its path in the source. Values that look like secrets are in nothing
// that comes back: the object refers to an MCPSecret, and `secrets` says which values belong into it.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::convert {

enum class Format {
  kClientConfig,    // Claude Desktop, Claude Code, Cursor, VS Code: mcpServers or servers
  kServerJson,      // server.json of the MCP registry, also as its API answers it
  kToolHive,        // MCPServer, toolhive.stacklok.dev
  kKmcp,            // MCPServer, kagent.dev
  kKubernetesSigs,  // MCPServer, mcp.x-k8s.io
  kCompose,         // services of docker compose
};
// As --from has them: "clients", "server-json", "toolhive", "kmcp", "kubernetes-sigs", "compose".
const std::vector<std::string>& FormatNames();
std::string_view NameOf(Format format);
std::optional<Format> FormatOf(std::string_view name);

// A package without an exact version: `tag` is what stood there ("", "latest", "next").
struct PackageRef {
  std::string manager, name, tag;
  auto operator<=>(const PackageRef&) const = default;
};

struct Options {
  std::optional<Format> from;                  // by default found out from the source
  std::string prefer;                          // of a server.json with several: npm, pypi, oci or remote
  std::map<std::string, std::string> values;   // what a source asks its user for, by name: inputs, variables, arguments
  std::map<PackageRef, std::string> versions;  // exact ones, for packages that came back in `unpinned`
};

struct Remark {
  std::string path;  // in the source: "mcpServers.github.envFile", "services.db.ports[1]"
  std::string text;  // never a value of theirs
};
struct SecretValue {
  std::string key;   // in the secret
  std::string path;  // of the value in the source
  std::string hint;  // what it looks like or where it is, "" for as it stands there
};
// An MCPSecret that the objects refer to.
struct SecretNeed {
  std::string namespace_, name;  // namespace "": that of the object, which has none
  std::vector<SecretValue> values;
};
// What a server.json asks for.
struct Input {
  std::string kind;  // "variable", "argument", "header", "url"
  std::string name, description;
  bool required = false, secret = false;
  bool known = false;  // it has a value: a fixed one, a default, or of Options::values
};

struct Conversion {
  std::vector<Json> objects;  // valid MCPServers, as Schema::Validate judges
  std::vector<Remark> losses;
  std::vector<Remark> notes;  // what was decided, where nothing is lost
  std::vector<SecretNeed> secrets;
  std::vector<PackageRef> unpinned;
  std::vector<Input> inputs;
};

// InvalidArgument with line or field when `bytes` are no JSON or YAML, or nothing that is known. Bounds as ParseYaml.
StatusOr<Conversion> Convert(std::string_view bytes, const std::string& file_name, const Options& options);

}  // namespace mcpfleet::convert
