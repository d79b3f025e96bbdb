#include "cli/convert/convert.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/strings.h"
#include "cli/convert/draft.h"
#include "cli/convert/json_comments.h"
#include "crd/manifest.h"
#include "crd/violation.h"

namespace mcpfleet::convert {
namespace {

struct Known {
  Format format;
  std::string_view name, group;  // `group`: of an object of Kubernetes
};
constexpr std::array<Known, 6> kKnown{{{Format::kClientConfig, "clients", ""},
                                       {Format::kServerJson, "server-json", ""},
                                       {Format::kToolHive, "toolhive", "toolhive.stacklok.dev"},
                                       {Format::kKmcp, "kmcp", "kagent.dev"},
                                       {Format::kKubernetesSigs, "kubernetes-sigs", "mcp.x-k8s.io"},
                                       {Format::kCompose, "compose", ""}}};

bool IsKubernetes(Format format) {
  return format == Format::kToolHive || format == Format::kKmcp || format == Format::kKubernetesSigs;
}

// The one whose marks are there.
std::optional<Format> Detect(const Json& document) {
  const std::string group = GetString(document, "apiVersion");
  for (const Known& known : kKnown) {
    if (!known.group.empty() && group.substr(0, group.find('/')) == known.group) return known.format;
  }
  if (!group.empty()) return std::nullopt;
  const auto has = [&](const char* member, const Json& in) { return GetMember(in, member).is_object(); };
  if (has("mcpServers", document) || has("servers", document) || has("servers", GetMember(document, "mcp")) ||
      has("projects", document))
    return Format::kClientConfig;
  if (has("services", document)) return Format::kCompose;
  const Json& server = has("server", document) ? document["server"] : document;
  const bool named = GetMember(server, "name").is_string();
  if (named && (GetMember(server, "packages").is_array() || GetMember(server, "remotes").is_array() ||
                GetString(server, "$schema").find("server.schema.json") != std::string::npos))
    return Format::kServerJson;
  return std::nullopt;
}

// A document of objects: one, or a List of them.
void ReadKubernetes(const Json& document, const std::string& path, Work* work) {
  const std::string kind = GetString(document, "kind"), version = GetString(document, "apiVersion");
  const Json& items = GetMember(document, "items");
  if (kind.ends_with("List") && items.is_array()) {
    for (auto it = document.begin(); it != document.end(); ++it) {
      if (it.key() != "apiVersion" && it.key() != "kind" && it.key() != "metadata" && it.key() != "items")
        work->out.losses.push_back({ChildPath(path, it.key()), "is not known to mcpctl"});
    }
    for (size_t i = 0; i < items.size(); ++i) ReadKubernetes(items[i], ItemPath(ChildPath(path, "items"), i), work);
    return;
  }
  const std::optional<Format> format = Detect(document);
  const std::string at = path.empty() ? "kind" : path;
  if (kind != "MCPServer" || !format || !IsKubernetes(*format)) {
    work->out.losses.push_back({at, Printable(kind.empty() ? "it" : kind, 60) + " of " + Printable(version, 80) +
                                        " is no MCPServer of ToolHive, kmcp or kubernetes-sigs"});
    return;
  }
  for (auto it = document.begin(); it != document.end(); ++it) {
    // The status is the operator's own, of what ran there.
    constexpr std::array<std::string_view, 5> kRead{"apiVersion", "kind", "metadata", "spec", "status"};
    if (std::find(kRead.begin(), kRead.end(), it.key()) == kRead.end())
      work->out.losses.push_back({ChildPath(path, it.key()), "is not known to mcpctl"});
  }
  if (*format == Format::kToolHive) ReadToolHive(document, path, work);
  if (*format == Format::kKmcp) ReadKmcp(document, path, work);
  if (*format == Format::kKubernetesSigs) ReadKubernetesSigs(document, path, work);
}

Status Unknown(const std::string& file) {
  return InvalidArgument(
      file +
      ": is nothing that is known here; allowed: mcpServers or servers of an MCP client, server.json, "
      "an MCPServer of ToolHive, kmcp or kubernetes-sigs, services of docker compose");
}

Status ReadDocument(const Json& document, const std::string& prefix, const std::string& file, Work* work) {
  if (!document.is_object()) return Unknown(file);
  const bool kubernetes = document.contains("apiVersion") && document.contains("kind");
  const std::optional<Format> found = Detect(document);
  const std::optional<Format>& wanted = work->options.from;
  if (GetString(document, "apiVersion").starts_with("mcpfleet.dev/"))
    return InvalidArgument(file + ": is a manifest of mcpfleet already");
  if (wanted && found != *wanted && !(kubernetes && IsKubernetes(*wanted)))
    return InvalidArgument(file + ": is not of --from " + std::string(NameOf(*wanted)) +
                           (found ? ", it looks like " + std::string(NameOf(*found)) : ""));
  if (kubernetes) {
    ReadKubernetes(document, prefix, work);
    return OkStatus();
  }
  if (!found) return Unknown(file);
  switch (*found) {
    case Format::kClientConfig:
      ReadClientConfig(document, work);
      break;
    case Format::kServerJson:
      ReadServerJson(document, work);
      break;
    case Format::kCompose:
      ReadCompose(document, work);
      break;
    case Format::kToolHive:
    case Format::kKmcp:
    case Format::kKubernetesSigs:
      return Unknown(file);  // an object without a kind
  }
  return OkStatus();
}

}  // namespace

const std::vector<std::string>& FormatNames() {
  static const std::vector<std::string>* const names = [] {
    auto* out = new std::vector<std::string>();
    for (const Known& known : kKnown) out->emplace_back(known.name);
    return out;
  }();
  return *names;
}

std::string_view NameOf(Format format) {
  const auto* known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) { return k.format == format; });
  return known->name;
}

std::optional<Format> FormatOf(std::string_view name) {
  const auto* known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) { return k.name == name; });
  return known == kKnown.end() ? std::nullopt : std::optional(known->format);
}

StatusOr<Conversion> Convert(std::string_view bytes, const std::string& file_name, const Options& options) {
  std::string plain;
  if (Trim(bytes).starts_with('{') || Trim(bytes).starts_with("//") || Trim(bytes).starts_with("/*")) {
    plain = WithoutJsonComments(bytes);
    bytes = plain;
  }
  std::vector<Violation> violations;
  StatusOr<std::vector<Json>> documents = ParseYamlDocuments(bytes, file_name, &violations);
  if (!documents.ok()) {
    const std::string text = Message(documents.status());
    if (text.find("merge keys") == std::string::npos) return documents.status();
    return InvalidArgument(text + "; for compose: docker compose config --no-interpolate writes them out");
  }
  if (documents->empty()) return InvalidArgument(file_name + ": is empty");
  Work work{.options = options, .out = {}, .taken = {}};
  for (size_t i = 0; i < documents->size(); ++i) {
    const std::string prefix = documents->size() > 1 ? "document[" + std::to_string(i) + "]" : "";
    RETURN_IF_ERROR(ReadDocument((*documents)[i], prefix, file_name, &work));
  }
  std::sort(work.out.unpinned.begin(), work.out.unpinned.end());
  work.out.unpinned.erase(std::unique(work.out.unpinned.begin(), work.out.unpinned.end()), work.out.unpinned.end());
  return std::move(work.out);
}

}  // namespace mcpfleet::convert
