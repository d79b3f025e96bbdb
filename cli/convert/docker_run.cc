#include "cli/convert/docker_run.h"

#include <algorithm>
#include <set>
#include <span>

#include "base/strings.h"
#include "cli/convert/container_parts.h"

namespace mcpfleet::convert {
namespace {

// The options read so far.
struct Reading {
  Draft* draft;
  std::vector<Variable> env;
  std::set<std::string> named;  // -e NAME
  bool env_of_client;
};

using Take = void (*)(Reading& options, const std::string& value, const std::string& path);
struct Flag {
  std::string_view name;
  bool has_value;
  Take take = nullptr;
  std::string_view loss = {};
};

void TakeEnv(Reading& options, const std::string& value, const std::string& path) {
  const size_t equals = value.find('=');
  const std::string name = value.substr(0, equals);
  if (equals != std::string::npos) {
    options.env.push_back({.name = name, .text = options.draft->Make(value.substr(equals + 1), path)});
    return;
  }
  options.named.insert(name);
  const auto& env = options.draft->env;
  const auto same = [&](const Variable& each) { return each.name == name; };
  if (std::any_of(env.begin(), env.end(), same)) return;
  Text text{.value = "", .path = path};
  text.unknown = "comes from the environment of the client, which is not known here";
  options.env.push_back({.name = name, .text = std::move(text)});
}

// type=bind,src=/a,dst=/b,readonly
void TakeMount(Reading& options, const std::string& value, const std::string& path) {
  std::string type = "volume", source, target;
  Json size;
  bool read_only = false;
  for (const std::string& part : Split(value, ',')) {
    const size_t equals = part.find('=');
    const std::string key = part.substr(0, equals);
    const std::string given = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (key == "type") {
      type = given;
    } else if (key == "src" || key == "source") {
      source = given;
    } else if (key == "dst" || key == "target" || key == "destination") {
      target = given;
    } else if (key == "readonly" || key == "ro") {
      read_only = given.empty() || given == "true" || given == "1";
    } else if (key == "tmpfs-size") {
      size = DockerBytes(given);
    } else {
      options.draft->Lose(path, "the option " + Printable(key, 40) + " of the mount has nothing like it");
    }
  }
  if (type == "tmpfs") return PutTmpfs(*options.draft, target, size, target, path);
  TakeVolume(*options.draft, type == "bind" ? source : "", target, read_only, path);
}

void TakePort(Reading& options, const std::string& /*value*/, const std::string& path) {
  options.draft->Note(path, "is not needed: clients reach a server through the gateway");
}

constexpr std::string_view kHost = "belongs to the container engine; a node's own settings are taken";
constexpr std::string_view kNothing = "has nothing like it in an MCPServer";

constexpr Flag kFlags[] = {
    // How docker itself behaves: the process stays in front, and the container goes away.
    {"-i", false},
    {"--interactive", false},
    {"-t", false},
    {"--tty", false},
    {"-it", false},
    {"-ti", false},
    {"--rm", false},
    {"--init", false},
    {"-d", false},
    {"--detach", false},
    {"-q", false},
    {"--quiet", false},
    {"--cap-drop", true},  // all are dropped
    {"--name", true},      // instances have names of their own
    {"-e", true, TakeEnv},
    {"--env", true, TakeEnv},
    {"--env-file", true, nullptr,
     "its variables are not known here; make a secret of it (mcpctl create secret NAME --from-env-file FILE) and refer "
     "to its keys in spec.env"},
    {"-v", true, [](Reading& o, const std::string& v, const std::string& p) { TakeVolumeWord(*o.draft, v, p); }},
    {"--volume", true, [](Reading& o, const std::string& v, const std::string& p) { TakeVolumeWord(*o.draft, v, p); }},
    {"--mount", true, TakeMount},
    {"--tmpfs", true, [](Reading& o, const std::string& v, const std::string& p) { TakeTmpfsWord(*o.draft, v, p); }},
    {"-p", true, TakePort},
    {"--publish", true, TakePort},
    {"--network", true, [](Reading& o, const std::string& v, const std::string& p) { TakeNetwork(*o.draft, v, p); }},
    {"--net", true, [](Reading& o, const std::string& v, const std::string& p) { TakeNetwork(*o.draft, v, p); }},
    {"-u", true, [](Reading& o, const std::string& v, const std::string& p) { TakeUser(*o.draft, v, p); }},
    {"--user", true, [](Reading& o, const std::string& v, const std::string& p) { TakeUser(*o.draft, v, p); }},
    {"--read-only", false,
     [](Reading& o, const std::string&, const std::string& p) {
       o.draft->Put("spec.securityContext.readOnlyRootFilesystem", true, p);
     }},
    {"--cap-add", true, [](Reading& o, const std::string& v, const std::string& p) { TakeCapability(*o.draft, v, p); }},
    {"-m", true,
     [](Reading& o, const std::string& v, const std::string& p) {
       o.draft->Put("spec.resources.limits.memory", DockerBytes(v), p);
     }},
    {"--memory", true,
     [](Reading& o, const std::string& v, const std::string& p) {
       o.draft->Put("spec.resources.limits.memory", DockerBytes(v), p);
     }},
    {"--cpus", true,
     [](Reading& o, const std::string& v, const std::string& p) { o.draft->Put("spec.resources.limits.cpu", v, p); }},
    {"--pids-limit", true,
     [](Reading& o, const std::string& v, const std::string& p) {
       if (const std::optional<int64_t> pids = IntOf(*o.draft, v, p))
         o.draft->Put("spec.resources.limits.pids", *pids, p);
     }},
    {"--entrypoint", true,
     [](Reading& o, const std::string& v, const std::string& p) { o.draft->command = {o.draft->Make(v, p)}; }},
    {"--pull", true,
     [](Reading& o, const std::string& v, const std::string& p) {
       const bool always = v == "always", never = v == "never";
       if (always || never) o.draft->Put("spec.source.image.pullPolicy", always ? "Always" : "Never", p);
     }},
    {"-w", true, nullptr, kNothing},
    {"--workdir", true, nullptr, kNothing},
    {"--privileged", false, nullptr, "is never given; add the capabilities it needs (spec.securityContext)"},
    {"--device", true, nullptr, kNothing},
    {"--gpus", true, nullptr, kNothing},
    {"--platform", true, nullptr, kHost},
    {"--add-host", true, nullptr, kHost},
    {"--dns", true, nullptr, kHost},
    {"-h", true, nullptr, kNothing},
    {"--hostname", true, nullptr, kNothing},
    {"-l", true, nullptr, kNothing},
    {"--label", true, nullptr, kNothing},
    {"--security-opt", true, nullptr, kHost},
    {"--shm-size", true, nullptr, kNothing},
    {"--ulimit", true, nullptr, kNothing},
    {"--restart", true, nullptr, "is said by spec.restartPolicy"},
    {"--log-driver", true, nullptr, kHost},
    {"--log-opt", true, nullptr, kHost},
    {"--ipc", true, nullptr, kNothing},
    {"--pid", true, nullptr, kNothing},
    {"--group-add", true, nullptr, kNothing},
    {"--stop-timeout", true,
     [](Reading& o, const std::string& v, const std::string& p) {
       if (const std::optional<int64_t> seconds = IntOf(*o.draft, v, p))
         o.draft->Put("spec.terminationGracePeriod", SecondsText(*seconds), p);
     }},
};

const Flag* Find(std::string_view name) {
  const auto* flag = std::find_if(std::begin(kFlags), std::end(kFlags), [&](const Flag& f) { return f.name == name; });
  return flag == std::end(kFlags) ? nullptr : flag;
}

void Use(Reading& options, const Flag& flag, const Text& word, const std::string& value) {
  if (flag.take != nullptr && !word.unknown.empty() && flag.take != TakeEnv)
    return options.draft->Lose(word.path, word.unknown);
  if (flag.take != nullptr) return flag.take(options, value, word.path);
  if (!flag.loss.empty()) options.draft->Lose(word.path, std::string(flag.loss));
}

// Of the client's variables those that -e names reach the container.
void MergeEnv(Reading* options) {
  Draft& draft = *options->draft;
  std::vector<Variable> env;
  for (Variable& each : draft.env) {
    if (options->named.contains(each.name) || !options->env_of_client) {
      env.push_back(std::move(each));
    } else {
      draft.Lose(each.text.path, "is not passed on to the container by -e " + Printable(each.name, 60));
    }
  }
  for (Variable& each : options->env) env.push_back(std::move(each));
  draft.env = std::move(env);
}

}  // namespace

bool ReadDockerOptions(Draft* draft, const std::vector<Text>& words, size_t* next, bool env_of_client) {
  Reading options{.draft = draft, .env = {}, .named = {}, .env_of_client = env_of_client};
  size_t i = *next;
  for (; i < words.size() && words[i].value.size() > 1 && words[i].value.front() == '-'; ++i) {
    const std::string& word = words[i].value;
    if (word == "--") {
      ++i;
      break;
    }
    const size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const Flag* flag = Find(word.substr(0, equals));
    if (flag != nullptr && equals != std::string::npos) {
      Use(options, *flag, words[i], word.substr(equals + 1));
    } else if (flag != nullptr && !flag->has_value) {
      Use(options, *flag, words[i], "");
    } else if (flag != nullptr && i + 1 < words.size()) {
      ++i;
      Use(options, *flag, words[i], words[i].value);
    } else if (equals != std::string::npos) {
      draft->Lose(words[i].path, "is an option of docker run that mcpctl does not know");
    } else {
      // -eNAME=value
      const Flag* glued = word.starts_with("--") ? nullptr : Find(word.substr(0, 2));
      if (glued == nullptr || !glued->has_value) {
        draft->LeaveOut(words[i].path,
                        "is an option of docker run that mcpctl does not know, so it is not clear where the image is");
        return false;
      }
      Use(options, *glued, words[i], word.substr(2));
    }
  }
  *next = i;
  MergeEnv(&options);
  return true;
}

}  // namespace mcpfleet::convert
