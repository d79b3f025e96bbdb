// Services of docker compose.
#include <algorithm>
#include <array>

#include "base/strings.h"
#include "cli/convert/container_parts.h"
#include "cli/convert/draft.h"
#include "cli/convert/expand.h"
#include "crd/violation.h"

namespace mcpfleet::convert {
namespace {

constexpr std::string_view kEngine = "belongs to the container engine; a node's own settings are taken";
constexpr std::string_view kNothing = "has nothing like it in an MCPServer";

// A line as compose splits it: quotes and backslashes, no shell.
std::vector<std::string> SplitLine(std::string_view line) {
  std::vector<std::string> words;
  bool inside = false;
  char quote = '\0';
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool space = c == ' ' || c == '\t' || c == '\n';
    if (quote == '\0' && space) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (c == quote) {
      quote = '\0';
    } else if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      words.back() += line[++i];
    } else {
      words.back() += c;
    }
  }
  return words;
}

void TakeCommandLine(Draft& draft, const Json& value, const std::string& path, std::vector<Text>* out) {
  if (value.is_array()) return AppendTexts(draft, value, path, out);
  const std::optional<std::string> line = ScalarOf(draft, value, path);
  if (!line) return;
  for (const std::string& word : SplitLine(*line)) out->push_back(draft.Make(word, path));
}

// A map, or a list of NAME=VALUE. A name alone is the value of whoever runs compose.
void TakeEnvironment(Draft& draft, const Json& value, const std::string& path) {
  const auto of_user = [&](const std::string& name, const std::string& at) {
    draft.env.push_back({.name = name, .text = draft.Make("${" + name + "}", at)});
  };
  if (value.is_object()) {
    for (auto it = value.begin(); it != value.end(); ++it) {
      const std::string at = ChildPath(path, it.key());
      if (it->is_null()) {
        of_user(it.key(), at);
      } else if (const std::optional<std::string> text = ScalarOf(draft, *it, at)) {
        draft.env.push_back({.name = it.key(), .text = draft.Make(*text, at)});
      }
    }
    return;
  }
  EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
    const std::optional<std::string> text = ScalarOf(draft, item, at);
    if (!text) return;
    const size_t equals = text->find('=');
    if (equals == std::string::npos) return of_user(*text, at);
    draft.env.push_back({.name = text->substr(0, equals), .text = draft.Make(text->substr(equals + 1), at)});
  });
}

constexpr std::string_view kOnlyTcp = "MCP is spoken over TCP only";
constexpr std::string_view kNotOpened = "is not opened on the node: clients reach a server through the gateway";

// "127.0.0.1:8080:80/tcp", 80, {target: 80}: the port inside.
void TakePort(Draft& draft, const Json& value, const std::string& path) {
  Json inside;
  bool published = false;
  if (value.is_object()) {
    Fields port(draft, value, path);
    if (port.Text("protocol", "tcp") != "tcp") {
      port.Leave();
      return draft.Lose(port.At("protocol"), std::string(kOnlyTcp));
    }
    inside = port.Get("target");
    published = !port.Get("published").is_null();
    for (const char* member : {"host_ip", "mode", "name", "app_protocol"}) port.Drop(member, kNotOpened);
  } else {
    const std::optional<std::string> raw = ScalarOf(draft, value, path);
    if (!raw) return;
    const Text text = draft.Make(*raw, path);
    if (!text.unknown.empty()) return draft.Lose(path, text.unknown);
    const size_t slash = text.value.find('/');
    if (slash != std::string::npos && text.value.substr(slash) != "/tcp")
      return draft.Lose(path, std::string(kOnlyTcp));
    const std::string word = text.value.substr(0, slash);
    const size_t colon = word.rfind(':');
    published = colon != std::string::npos;
    inside = published ? word.substr(colon + 1) : word;
  }
  const std::optional<int64_t> port = IntOf(draft, inside, path);
  if (!port) return;
  if (draft.Has("spec.port")) return draft.Lose(path, "a server has one port, and the first one was taken");
  draft.Put("spec.port", *port, path);
  draft.transport = "streamable-http";
  draft.transport_path = path;
  if (published) draft.Note(path, std::string(kNotOpened));
}

void TakePorts(Draft& draft, const Json& value, const std::string& path) {
  EachItem(draft, value, path, [&](const Json& item, const std::string& at) { TakePort(draft, item, at); });
}

void TakeVolumes(Draft& draft, const Json& value, const std::string& path) {
  EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
    if (!item.is_object()) {
      const std::optional<std::string> raw = ScalarOf(draft, item, at);
      if (!raw) return;
      const Text word = draft.Make(*raw, at);
      if (!word.unknown.empty()) return draft.Lose(at, word.unknown);
      return TakeVolumeWord(draft, word.value, at);
    }
    Fields volume(draft, item, at);
    const std::string type = volume.Text("type"), target = volume.Text("target");
    volume.PassOver({"consistency"});  // of Docker Desktop's file sharing; ignored elsewhere
    if (type == "tmpfs") {
      Fields tmpfs(draft, volume.Get("tmpfs"), volume.At("tmpfs"));
      const Json& size = tmpfs.Get("size");
      return PutTmpfs(draft, target, size.is_string() ? Json(DockerBytes(size.get<std::string>())) : size, target, at);
    }
    // Its options are about what is lost as a whole.
    if (type != "bind") {
      volume.Leave();
      return TakeVolume(draft, "", target, false, at);
    }
    const Fields bind(draft, volume.Get("bind"), volume.At("bind"));  // none of its options is known here
    TakeVolume(draft, volume.Text("source"), target, volume.Bool("read_only"), at);
  });
}

void TakeTmpfs(Draft& draft, const Json& value, const std::string& path) {
  if (value.is_string()) return TakeTmpfsWord(draft, value.get<std::string>(), path);
  EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
    if (const std::optional<std::string> word = ScalarOf(draft, item, at)) TakeTmpfsWord(draft, *word, at);
  });
}

void TakeLabels(Draft& draft, const Json& value, const std::string& path) {
  if (value.is_object()) {
    return EachMember(draft, value, path, [&](const std::string& key, const Json& label, const std::string& at) {
      if (const std::optional<std::string> text = ScalarOf(draft, label, at))
        draft.PutKey("metadata.annotations", key, *text, at);
    });
  }
  EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
    const std::optional<std::string> text = ScalarOf(draft, item, at);
    if (!text) return;
    const size_t equals = text->find('=');
    draft.PutKey("metadata.annotations", text->substr(0, equals),
                 equals == std::string::npos ? "" : text->substr(equals + 1), at);
  });
}

void TakeRestart(Draft& draft, const Json& value, const std::string& path) {
  const std::string policy = Scalar(value).value_or("");
  if (policy == "no" || policy == "false") return draft.Put("spec.restartPolicy.condition", "Never", path);
  if (policy == "always" || policy == "unless-stopped") return;  // as here
  if (!policy.starts_with("on-failure")) return draft.Lose(path, "is no policy that is known");
  draft.Put("spec.restartPolicy.condition", "OnFailure", path);
  if (policy.size() > 11) {
    if (const std::optional<int64_t> most = IntOf(draft, policy.substr(11), path))
      draft.Put("spec.restartPolicy.maxAttempts", *most, path);
  }
}

void TakeMemory(Draft& draft, const Json& value, const std::string& path) {
  if (const std::optional<std::string> text = ScalarOf(draft, value, path))
    draft.Put("spec.resources.limits.memory", DockerBytes(*text), path);
}
void TakeCpus(Draft& draft, const Json& value, const std::string& path) {
  if (const std::optional<std::string> text = ScalarOf(draft, value, path))
    draft.Put("spec.resources.limits.cpu", *text, path);
}
void TakePids(Draft& draft, const Json& value, const std::string& path) {
  if (const std::optional<int64_t> pids = IntOf(draft, value, path))
    draft.Put("spec.resources.limits.pids", *pids, path);
}

constexpr Rule kLimitRules[] = {{"memory", TakeMemory}, {"cpus", TakeCpus}, {"pids", TakePids}};
constexpr Rule kResourceRules[] = {
    {"limits", [](Draft& d, const Json& value, const std::string& path) { Walk(d, value, path, kLimitRules); }},
    {"reservations", nullptr, "a node has no shares to promise; limits are what there is"},
};
constexpr Rule kDeployRules[] = {
    {"resources", [](Draft& d, const Json& value, const std::string& path) { Walk(d, value, path, kResourceRules); }},
    {"restart_policy", nullptr, "is said by spec.restartPolicy"},
    {"placement", nullptr, "nodes are chosen by spec.placement"},
    {"mode", nullptr, "a server runs on every node of its spec.placement"},
    {"replicas",
     [](Draft& draft, const Json& value, const std::string& path) {
       constexpr char kEverywhere[] =
           "a server runs on every node of its spec.placement; replicas there need a store with a Worker";
       if (value == 0) return draft.Put("spec.suspend", true, path);
       if (value == 1) return draft.Note(path, kEverywhere);
       draft.Lose(path, kEverywhere);
     }},
    {"update_config", nullptr, "is said by spec.updateStrategy"},
};

// Files below /run/secrets, from an MCPSecret.
void TakeSecrets(Draft& draft, const Json& value, const std::string& path) {
  EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
    std::string source, target;
    if (item.is_object()) {
      Fields fields(draft, item, at);
      source = fields.Text("source");
      target = fields.Text("target", source);
      for (const char* member : {"uid", "gid", "mode"})
        fields.Drop(member, "owner and mode are those of the server's user, 0400");
    } else {
      source = target = Scalar(item).value_or("");
    }
    if (source.empty()) return draft.Lose(at, "names no secret");
    if (!target.starts_with('/')) target = "/run/secrets/" + target;
    std::string secret = NameFrom(source);
    if (secret.empty()) secret = "secret";
    draft.pieces.push_back({.field = "spec.files[]",
                            .value = {{"path", target}, {"secretKeyRef", {{"name", secret}, {"key", source}}}},
                            .path = at,
                            .hint = "the secret " + Printable(source, 80) + " of the compose file"});
  });
}

void TakeDuration(Draft& draft, const Json& value, const std::string& path) {
  draft.Put("spec.terminationGracePeriod", value, path);
}

constexpr Rule kServiceRules[] = {
    {"image",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (const std::optional<std::string> ref = ScalarOf(draft, value, path)) draft.image = draft.Make(*ref, path);
     }},
    {"command", [](Draft& d, const Json& value, const std::string& path) { TakeCommandLine(d, value, path, &d.args); }},
    {"entrypoint",
     [](Draft& d, const Json& value, const std::string& path) { TakeCommandLine(d, value, path, &d.command); }},
    {"environment", TakeEnvironment},
    {"env_file", nullptr,
     "the file is not read; make a secret of it (mcpctl create secret NAME --from-env-file FILE) and refer to its keys "
     "in spec.env"},
    {"ports", TakePorts},
    {"expose", TakePorts},
    {"volumes", TakeVolumes},
    {"tmpfs", TakeTmpfs},
    {"labels", TakeLabels},
    {"annotations", TakeLabels},
    {"restart", TakeRestart},
    {"mem_limit", TakeMemory},
    {"cpus", TakeCpus},
    {"pids_limit", TakePids},
    {"deploy", [](Draft& d, const Json& value, const std::string& path) { Walk(d, value, path, kDeployRules); }},
    {"secrets", TakeSecrets},
    {"stop_grace_period", TakeDuration},
    {"user",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (const std::optional<std::string> user = ScalarOf(draft, value, path)) TakeUser(draft, *user, path);
     }},
    {"read_only",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (const std::optional<bool> given = BoolOf(draft, value, path))
         draft.Put("spec.securityContext.readOnlyRootFilesystem", *given, path);
     }},
    {"cap_add",
     [](Draft& draft, const Json& value, const std::string& path) {
       EachItem(draft, value, path, [&](const Json& item, const std::string& at) {
         if (const std::optional<std::string> name = ScalarOf(draft, item, at)) TakeCapability(draft, *name, at);
       });
     }},
    {"network_mode",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (const std::optional<std::string> mode = ScalarOf(draft, value, path)) TakeNetwork(draft, *mode, path);
     }},
    {"pull_policy",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (value == "missing" || value == "if_not_present") return;
       if (value == "always") return draft.Put("spec.source.image.pullPolicy", "Always", path);
       if (value == "never") return draft.Put("spec.source.image.pullPolicy", "Never", path);
       draft.Lose(path, std::string(kNothing));
     }},
    // As every server: its stdin held open, all capabilities dropped.
    {"cap_drop"},
    {"stdin_open"},
    {"init",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (!BoolOf(draft, value, path).value_or(true)) draft.Lose(path, "every server has an init in front");
     }},
    {"tty",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (BoolOf(draft, value, path).value_or(false)) draft.Lose(path, "a server has no terminal");
     }},
    {"container_name", [](Draft& draft, const Json& /*value*/,
                          const std::string& path) { draft.Note(path, "each instance has a name of its own"); }},
    {"build", nullptr, "images are built elsewhere; give one (image)"},
    {"privileged",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (BoolOf(draft, value, path).value_or(false))
         draft.Lose(path, "is never given; add the capabilities it needs (spec.securityContext)");
     }},
    {"depends_on", nullptr, "servers do not wait for each other"},
    {"links", nullptr, "servers do not see each other"},
    {"networks", nullptr, "servers do not see each other; Outbound is taken (spec.securityContext.network)"},
    {"healthcheck", nullptr, "a server is probed by MCP itself (spec.probes)"},
    {"configs", nullptr, "give a file of the node (spec.volumes)"},
    {"working_dir", nullptr, kNothing},
    {"extends", nullptr, "is not read; `docker compose config` writes it out"},
    {"profiles", nullptr, kNothing},
    {"security_opt", nullptr, kEngine},
    {"logging", nullptr, "logs are kept by the node (spec.logs)"},
    {"extra_hosts", nullptr, kEngine},
    {"dns", nullptr, kEngine},
    {"platform", nullptr, kEngine},
    {"stop_signal", nullptr, "a server is asked to end by the end of its input, then by SIGTERM"},
};

// ${NAME} comes from who runs compose.
class Placeholders {
 public:
  explicit Placeholders(const Options& options) : options_(options) {}
  Replacement operator()(std::string_view name) const {
    const std::string id(name);
    if (const auto given = options_.values.find(id); given != options_.values.end()) return {.value = given->second};
    return {.unknown = "comes from the environment of compose (" + Printable(id, 60) +
                       "), which is not known here; give it with --set NAME=VALUE"};
  }

 private:
  const Options& options_;
};

}  // namespace

void ReadCompose(const Json& document, Work* work) {
  const Placeholders placeholders(work->options);
  for (auto it = document.begin(); it != document.end(); ++it) {
    // Compose itself does not look at version, nor at x-… .
    if (it.key() == "services" || it.key() == "version" || it.key().starts_with("x-")) continue;
    constexpr std::array<std::string_view, 4> kUsed{"volumes", "networks", "secrets", "configs"};
    if (std::find(kUsed.begin(), kUsed.end(), it.key()) != kUsed.end() && it->is_object()) {
      for (auto each = it->begin(); each != it->end(); ++each)
        work->out.notes.push_back({ChildPath(it.key(), each.key()), "is judged where a service uses it"});
    } else if (it.key() == "name") {
      work->out.notes.push_back({it.key(), "servers are in a namespace, which -n names; there are no projects"});
    } else {
      work->out.losses.push_back(
          {ChildPath("", it.key()), "is not read; `docker compose config` writes files out as one"});
    }
  }
  const Json& services = GetMember(document, "services");
  for (auto it = services.begin(); it != services.end(); ++it) {
    Draft draft{.work = work, .name = it.key(), .path = ChildPath("services", it.key())};
    draft.expand = [&](const std::string& raw, std::string at) {
      return Expand(raw, std::move(at), Dollar::kCompose, placeholders);
    };
    if (!it->is_object()) {
      draft.LeaveOut(draft.path, "is no map");
      continue;
    }
    Walk(draft, *it, draft.path, kServiceRules);
    if (!draft.image) {
      draft.LeaveOut(draft.path, "has no image");
      continue;
    }
    Finish(std::move(draft));
  }
}

}  // namespace mcpfleet::convert
