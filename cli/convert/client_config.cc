// Configurations of MCP clients: mcpServers (Claude Desktop, Claude Code, Cursor and most others) and servers with
// inputs (VS Code).
#include <algorithm>
#include <array>

#include "base/strings.h"
#include "cli/convert/draft.h"
#include "cli/convert/expand.h"
#include "crd/violation.h"

namespace mcpfleet::convert {
namespace {

constexpr std::string_view kClientOnly = "is about the client, not the server";

void TakeTransport(Draft& draft, const Json& value, const std::string& path) {
  const std::optional<std::string> text = ScalarOf(draft, value, path);
  if (!text) return;
  draft.transport_path = path;
  const std::string type = ToLower(*text);
  if (type == "stdio" || type == "local") {
    draft.transport = "stdio";
  } else if (type == "sse") {
    draft.transport = "sse";
  } else if (type == "http" || type == "streamable-http" || type == "streamablehttp" || type == "streamable_http" ||
             type == "remote") {
    draft.transport = "streamable-http";
  } else {
    draft.LeaveOut(path, "the transport " + Printable(*text, 40) + " is not known");
  }
}

void TakeUrl(Draft& draft, const Json& value, const std::string& path) {
  const std::optional<std::string> text = ScalarOf(draft, value, path);
  if (!text) return;
  if (draft.url) return draft.Lose(path, "a second URL");
  draft.url = draft.Make(*text, path);
}

void TakeTools(Draft& draft, const Json& value, const std::string& path, const char* field) {
  // ["*"]: all of them, as without it
  if (value.is_array() && value.size() == 1 && value.front() == "*") return;
  EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
    if (const std::optional<std::string> name = ScalarOf(draft, item, at)) draft.Put(field, *name, at);
  });
}

void TakeAllowed(Draft& draft, const Json& value, const std::string& path) {
  TakeTools(draft, value, path, "spec.tools.allow[]");
}
void TakeDenied(Draft& draft, const Json& value, const std::string& path) {
  TakeTools(draft, value, path, "spec.tools.deny[]");
}

void TakeDescription(Draft& draft, const Json& value, const std::string& path) {
  if (const std::optional<std::string> text = ScalarOf(draft, value, path))
    draft.PutKey("metadata.annotations", "mcpfleet.dev/description", *text, path);
}

constexpr Rule kServerRules[] = {
    {"command",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (const std::optional<std::string> text = ScalarOf(draft, value, path))
         draft.program = draft.Make(*text, path);
     }},
    {"args", [](Draft& d, const Json& value, const std::string& path) { AppendTexts(d, value, path, &d.args); }},
    {"env", [](Draft& d, const Json& value, const std::string& path) { AppendVariables(d, value, path, &d.env); }},
    {"headers",
     [](Draft& d, const Json& value, const std::string& path) { AppendVariables(d, value, path, &d.headers); }},
    {"requestInit",
     [](Draft& draft, const Json& value, const std::string& path) {
       EachMember(draft, value, path, [&](const std::string& key, const Json& member, const std::string& at) {
         if (key == "headers") return AppendVariables(draft, member, at, &draft.headers);
         draft.Lose(at, std::string(kClientOnly));
       });
     }},
    {"type", TakeTransport},
    {"transport", TakeTransport},
    {"transportType", TakeTransport},
    {"url", TakeUrl},
    {"serverUrl", TakeUrl},
    {"httpUrl",
     [](Draft& draft, const Json& value, const std::string& path) {
       TakeUrl(draft, value, path);
       if (draft.transport.empty()) draft.transport = "streamable-http";
     }},
    {"disabled",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (BoolOf(draft, value, path).value_or(false)) draft.Put("spec.suspend", true, path);
     }},
    {"enabled",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (!BoolOf(draft, value, path).value_or(true)) draft.Put("spec.suspend", true, path);
     }},
    {"description", TakeDescription},
    {"tools", TakeAllowed},
    {"includeTools", TakeAllowed},
    {"enabledTools", TakeAllowed},
    {"excludeTools", TakeDenied},
    {"disabledTools", TakeDenied},
    {"envFile", nullptr,
     "the file is not read; make a secret of it (mcpctl create secret NAME --from-env-file FILE) and refer to its keys "
     "in spec.env"},
    {"cwd", nullptr,
     "a server starts in a directory of its own; give paths as absolute ones on the nodes (spec.volumes)"},
    {"roots", nullptr, kClientOnly},
    {"timeout", nullptr, "is the client's; a node's are in spec.probes"},
    {"initTimeout", nullptr, "is the client's; a node's are in spec.probes"},
    {"startup_timeout_sec", nullptr, "is the client's; a node's are in spec.probes"},
    {"tool_timeout_sec", nullptr, "is the client's"},
    {"alwaysAllow", nullptr, "what needs no question is for the client to say"},
    {"autoApprove", nullptr, "what needs no question is for the client to say"},
    {"trust", nullptr, "what needs no question is for the client to say"},
    {"dev", nullptr, kClientOnly},
    {"gallery", nullptr, kClientOnly},
    {"version", nullptr, kClientOnly},
    {"icon", nullptr, kClientOnly},
    {"sandboxEnabled", nullptr, "every server of a node has a sandbox (spec.securityContext)"},
    {"sandbox", nullptr, "every server of a node has a sandbox (spec.securityContext)"},
    {"oauth", nullptr, "a node can't sign in for a user; give a token as a header from a secret"},
    {"auth", nullptr, "a node can't sign in for a user; give a token as a header from a secret"},
    {"authProviderType", nullptr, "a node can't sign in for a user; give a token as a header from a secret"},
    {"headersHelper", nullptr, "is a program of the client; give the header from a secret"},
};

// ${input:ID}, ${env:NAME}, ${NAME}, ${workspaceFolder}
class Placeholders {
 public:
  Placeholders(const Options& options, const Json& inputs) : options_(options), inputs_(inputs) {}

  Replacement operator()(std::string_view name) const {
    const size_t colon = name.find(':');
    const std::string kind(colon == std::string_view::npos ? "" : name.substr(0, colon));
    const std::string id(colon == std::string_view::npos ? name : name.substr(colon + 1));
    if (kind == "input") return InputOf(id);
    if (const auto given = options_.values.find(id); given != options_.values.end()) return {.value = given->second};
    constexpr std::array<std::string_view, 9> kEditor{
        "workspaceFolder", "userHome", "workspaceFolderBasename", "pathSeparator", "/", "cwd", "file",
        "extensionPath",   "__dirname"};
    if (std::find(kEditor.begin(), kEditor.end(), id) != kEditor.end())
      return {.unknown = "refers to a place of the client's (" + id + "), which no node has"};
    return {.unknown = "comes from the environment of the client (" + Printable(id, 60) +
                       "), which is not known here; give it with --set NAME=VALUE"};
  }

 private:
  Replacement InputOf(const std::string& id) const {
    const Json* input = nullptr;
    if (inputs_.is_array()) {
      for (const Json& each : inputs_) {
        if (GetString(each, "id") == id) input = &each;
      }
    }
    Replacement out{.secret = input != nullptr && GetBool(*input, "password")};
    if (const auto given = options_.values.find(id); given != options_.values.end() && !out.secret) {
      out.value = given->second;
    } else if (input != nullptr && GetMember(*input, "default").is_string() && !out.secret) {
      out.value = GetString(*input, "default");
    } else {
      out.unknown = "is asked of the user (input " + Printable(id, 60) + ")" +
                    (out.secret ? "" : "; give it with --set NAME=VALUE");
    }
    return out;
  }

  const Options& options_;
  const Json& inputs_;
};

void ReadServers(const Json& servers, const std::string& path, const Json& inputs, Work* work) {
  const Placeholders placeholders(work->options, inputs);
  if (!servers.is_object()) {
    work->out.losses.push_back({path, "is no map of servers"});
    return;
  }
  for (auto it = servers.begin(); it != servers.end(); ++it) {
    Draft draft{.work = work, .name = it.key(), .path = ChildPath(path, it.key())};
    draft.expand = [&](const std::string& raw, std::string at) {
      return Expand(raw, std::move(at), Dollar::kBraces, placeholders);
    };
    if (!it->is_object()) {
      draft.LeaveOut(draft.path, "is no map");
      continue;
    }
    Walk(draft, *it, draft.path, kServerRules);
    if (draft.program && draft.transport == "stdio") draft.transport.clear();
    if (draft.program && !draft.url && draft.transport == "streamable-http") {
      draft.LeaveOut(draft.transport_path, "a program that is started here can't be reached by HTTP without a URL");
    }
    // Both: the client starts it, then connects.
    if (draft.program && draft.url) {
      draft.Lose(draft.url->path, "stands beside a command, which is taken");
      draft.url.reset();
    }
    Finish(std::move(draft));
  }
}

}  // namespace

void ReadClientConfig(const Json& document, Work* work) {
  // settings.json of VS Code has it all below "mcp".
  const bool settings =
      GetMember(document, "mcp").is_object() && !document.contains("mcpServers") && !document.contains("servers");
  const Json& root = settings ? document["mcp"] : document;
  const std::string prefix = settings ? "mcp" : "";
  const Json& inputs = GetMember(root, "inputs");
  for (auto it = root.begin(); it != root.end(); ++it) {
    const std::string path = ChildPath(prefix, it.key());
    if (it.key() == "mcpServers" || it.key() == "servers") {
      ReadServers(*it, path, inputs, work);
    } else if (it.key() == "projects" && it->is_object()) {
      // ~/.claude.json
      for (auto project = it->begin(); project != it->end(); ++project) {
        const Json& servers = GetMember(*project, "mcpServers");
        const std::string at = ChildPath(ChildPath(path, project.key()), "mcpServers");
        if (servers.is_object()) ReadServers(servers, at, inputs, work);
        if (project->is_object() && project->size() > (servers.is_object() ? 1U : 0U))
          work->out.notes.push_back({ChildPath(path, project.key()), "its other settings are not about servers"});
      }
    } else if (it.key() != "inputs" && it.key() != "$schema") {
      work->out.notes.push_back({path, "is not about servers"});
    }
  }
  if (!settings) return;
  for (auto it = document.begin(); it != document.end(); ++it) {
    if (it.key() != "mcp") work->out.notes.push_back({ChildPath("", it.key()), "is not about servers"});
  }
}

}  // namespace mcpfleet::convert
