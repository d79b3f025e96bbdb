// server.json of the MCP registry, of 2025-07-09 (snake_case) to 2025-12-11, and the answers of its API around it.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/strings.h"
#include "cli/convert/docker_run.h"
#include "cli/convert/draft.h"
#include "crd/labels.h"
#include "crd/violation.h"

namespace mcpfleet::convert {
namespace {

// "registry_type" -> "registryType", as far as the members are the format's own and no names of its user's.
Json WithCamelNames(const Json& value, int depth = 0) {
  if (depth > 16) return value;
  if (value.is_array()) {
    Json out = Json::array();
    for (const Json& item : value) out.push_back(WithCamelNames(item, depth + 1));
    return out;
  }
  if (!value.is_object()) return value;
  Json out = Json::object();
  for (auto it = value.begin(); it != value.end(); ++it) {
    std::string name;
    for (size_t i = 0; i < it.key().size(); ++i) {
      const char c = it.key()[i];
      if (c == '_' && i > 0 && i + 1 < it.key().size() && it.key()[i + 1] >= 'a' && it.key()[i + 1] <= 'z') {
        name += static_cast<char>(it.key()[++i] - 'a' + 'A');
      } else {
        name += c;
      }
    }
    if (name == "variables" && it->is_object()) {
      Json variables = Json::object();
      for (auto each = it->begin(); each != it->end(); ++each) variables[each.key()] = WithCamelNames(*each, depth + 1);
      out[name] = std::move(variables);
    } else {
      out[name] = name == "meta" || name == "_meta" ? *it : WithCamelNames(*it, depth + 1);
    }
  }
  return out;
}

// The value of an input, as far as it is known: given by --set, fixed, or its default. nullopt: it is not asked for
// and has none.
class Inputs {
 public:
  explicit Inputs(Draft* draft) : draft_(*draft), values_(draft->work->options.values) {}

  std::optional<Text> ValueOf(const Json& input, const std::string& name, const char* kind, const std::string& path) {
    const bool secret = GetBool(input, "isSecret"), required = GetBool(input, "isRequired");
    Text text{.value = "", .path = path, .secret = secret};
    const Json& fixed = GetMember(input, "value");
    const auto given = values_.find(name);
    bool known = true;
    if (fixed.is_string()) {
      text = Filled(fixed.get<std::string>(), GetMember(input, "variables"), path);
      text.secret = text.secret || secret;
      if (!text.unknown.empty() || text.secret) known = false;
    } else if (given != values_.end() && !secret) {
      text.value = given->second;
      CheckChoice(input, given->second, name);
    } else if (GetMember(input, "default").is_string() && !secret) {
      text.value = GetString(input, "default");
    } else {
      known = false;
      text.unknown = secret ? "" : "has no value; give it with --set " + Printable(name, 80) + "=VALUE";
    }
    // Of a text with variables in it these are what is asked for.
    if (!fixed.is_string()) Record(kind, name, input, required, secret, known);
    if (!known && !required && !fixed.is_string() && !(secret && given != values_.end())) return std::nullopt;
    return text;
  }

  // "Bearer {token}" with `variables`
  Text Filled(std::string_view raw, const Json& variables, const std::string& path) {
    Text text{.value = "", .path = path};
    while (!raw.empty()) {
      const size_t open = std::min(raw.find('{'), raw.size());
      text.value += raw.substr(0, open);
      raw.remove_prefix(open);
      if (raw.empty()) break;
      const size_t close = raw.find('}');
      const std::string name(close == std::string_view::npos ? "" : raw.substr(1, close - 1));
      const Json& variable = GetMember(variables, name);
      const auto given = values_.find(name);
      const bool named = variable.is_object() || (given != values_.end() && !name.empty());
      if (!named) {  // stays as it stands, the format says
        text.value += raw.substr(0, 1);
        raw.remove_prefix(1);
        continue;
      }
      Fill(name, variable, &text);
      raw.remove_prefix(close + 1);
    }
    return text;
  }

 private:
  void Fill(const std::string& name, const Json& variable, Text* text) {
    const bool secret = GetBool(variable, "isSecret");
    const auto given = values_.find(name);
    const Json& fixed =
        GetMember(variable, "value").is_string() ? GetMember(variable, "value") : GetMember(variable, "default");
    bool known = true;
    if (secret) {
      text->secret = true;
      known = false;
    } else if (given != values_.end()) {
      text->value += given->second;
      CheckChoice(variable, given->second, name);
    } else if (fixed.is_string()) {
      text->value += fixed.get<std::string>();
    } else {
      known = false;
      text->unknown = "has no value; give it with --set " + Printable(name, 80) + "=VALUE";
    }
    if (!known) text->value += "{" + name + "}";
    if (secret && text->hint.empty()) text->hint = "with {" + Printable(name, 60) + "} filled in";
    Record("variable", name, variable, true, secret, known);
  }

  void CheckChoice(const Json& input, const std::string& value, const std::string& name) {
    const Json& choices = GetMember(input, "choices");
    if (!choices.is_array() || choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end())
      return;
    std::vector<std::string> allowed;
    for (const Json& each : choices) {
      if (each.is_string()) allowed.push_back(Printable(each.get<std::string>(), 40));
    }
    draft_.Lose("--set " + name, "is none of its choices; allowed: " + Join(allowed, ", "));
  }

  void Record(const char* kind, const std::string& name, const Json& input, bool required, bool secret, bool known) {
    std::vector<Input>& inputs = draft_.work->out.inputs;
    const auto same = [&](const Input& each) { return each.name == name; };
    // A URL may name what is a variable or argument already.
    if (std::any_of(inputs.begin(), inputs.end(), same)) return;
    inputs.push_back({.kind = kind,
                      .name = name,
                      .description = GetString(input, "description"),
                      .required = required,
                      .secret = secret,
                      .known = known});
  }

  Draft& draft_;
  const std::map<std::string, std::string>& values_;
};

// What is asked for: members that mcpctl does not know are losses. How a form asks (description, placeholder, choices,
// format, whether it may be repeated) is Inputs' or nobody's.
void CheckInput(Draft& draft, const Json& item, const std::string& path) {
  Fields input(draft, item, path);
  input.PassOver({"type", "name", "value", "valueHint", "default", "description", "format", "choices", "placeholder",
                  "isRequired", "isSecret", "isRepeated"});
  EachMember(draft, input.Get("variables"), input.At("variables"),
             [&](const std::string&, const Json& variable, const std::string& at) { CheckInput(draft, variable, at); });
}

void TakeArguments(Draft& draft, const Json& list, const std::string& path, std::vector<Text>* out) {
  EachItem(draft, list, path, [&](const Json& item, const std::string& at) {
    CheckInput(draft, item, at);
    const std::string type = GetString(item, "type", "positional");
    const bool named = type == "named";
    if (!named && type != "positional") return draft.Lose(at, "is of a type that is not known");
    const std::string flag = GetString(item, "name"), hint = GetString(item, "valueHint");
    const std::string name = named ? flag : !hint.empty() ? hint : "argument";
    if (named && flag.empty()) return draft.Lose(at, "is a named argument without a name");
    // A flag alone
    const bool bare = named && !GetMember(item, "value").is_string() && !GetMember(item, "default").is_string() &&
                      GetString(item, "format") == "boolean" && !draft.work->options.values.contains(name);
    if (bare && !GetBool(item, "isRequired")) return;
    std::optional<Text> value = Inputs(&draft).ValueOf(item, name, "argument", at);
    if (!value) return;
    if (!value->unknown.empty() || value->secret) {
      draft.Lose(at, value->secret ? "is a secret, and every node can read arguments" : name + " " + value->unknown);
      return;
    }
    if (named) out->push_back({.value = flag, .path = at});
    const bool is_switch =
        GetString(item, "format") == "boolean" && (value->value == "true" || value->value == "false");
    if (named && is_switch && value->value == "false") return out->pop_back();
    if (named && (is_switch || value->value.empty())) return;
    out->push_back(*std::move(value));
  });
}

void TakeKeyValues(Draft& draft, const Json& list, const std::string& path, const char* kind,
                   std::vector<Variable>* out) {
  EachItem(draft, list, path, [&](const Json& item, const std::string& at) {
    CheckInput(draft, item, at);
    const std::string name = GetString(item, "name");
    if (name.empty()) return draft.Lose(at, "has no name");
    if (std::optional<Text> value = Inputs(&draft).ValueOf(item, name, kind, at))
      out->push_back({.name = name, .text = *std::move(value)});
  });
}

// What stands in braces in the URL of a package: its own variables, or names of variables and arguments of the package.
Json UrlVariables(const Json& package) {
  Json variables = Json::object();
  const auto add = [&](const char* list_name, const char* name_member) {
    const Json& list = GetMember(package, list_name);
    for (size_t i = 0; list.is_array() && i < list.size(); ++i) {
      const std::string name = GetString(list[i], name_member);
      if (!name.empty()) variables[name] = list[i];
    }
  };
  add("packageArguments", "valueHint");
  add("packageArguments", "name");
  add("runtimeArguments", "name");
  add("environmentVariables", "name");
  const Json& own = GetMember(GetMember(package, "transport"), "variables");
  if (own.is_object()) variables.update(own);
  return variables;
}

// http://localhost:3000/mcp, where a package listens
void TakeListening(Draft& draft, const Json& package, const std::string& path) {
  const Json& transport = GetMember(package, "transport");
  const std::string type = GetString(transport, "type", "stdio");
  draft.transport_path = ChildPath(path, "type");
  draft.transport = type;
  Fields members(draft, transport, path);
  members.PassOver({"type"});
  if (type == "stdio") return;
  members.PassOver({"url", "headers"});
  EachMember(draft, members.Get("variables"), members.At("variables"),
             [&](const std::string&, const Json& variable, const std::string& at) { CheckInput(draft, variable, at); });
  if (type != "streamable-http" && type != "sse")
    return draft.LeaveOut(draft.transport_path, "the transport " + Printable(type, 40) + " is not known");
  const std::string at = ChildPath(path, "url");
  const Text url = Inputs(&draft).Filled(GetString(transport, "url"), UrlVariables(package), at);
  const size_t scheme = url.value.find("://");
  const std::string_view rest =
      std::string_view(url.value).substr(scheme == std::string::npos ? url.value.size() : scheme + 3);
  const size_t slash = std::min(rest.find('/'), rest.size());
  const size_t colon = rest.substr(0, slash).rfind(':');
  const std::string port(colon == std::string_view::npos ? "" : rest.substr(colon + 1, slash - colon - 1));
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos)
    return draft.LeaveOut(at, "the port is not known; give it with --set NAME=VALUE");
  draft.Put("spec.port", std::stoll(port), at);
  if (slash < rest.size() && rest.substr(slash) != "/mcp") draft.Put("spec.path", std::string(rest.substr(slash)), at);
  TakeKeyValues(draft, GetMember(transport, "headers"), ChildPath(path, "headers"), "header", &draft.headers);
}

constexpr Rule kPackageRules[] = {
    // Read first, by ReadPackage.
    {"registryType"},
    {"identifier"},
    {"version"},
    {"runtimeHint"},
    {"registryBaseUrl"},
    {"fileSha256"},
    {"runtimeArguments"},
    {"transport"},
    {"packageArguments",
     [](Draft& d, const Json& value, const std::string& path) { TakeArguments(d, value, path, &d.args); }},
    {"environmentVariables",
     [](Draft& d, const Json& value, const std::string& path) { TakeKeyValues(d, value, path, "variable", &d.env); }},
};

void TakeImage(Draft& draft, const Json& package, const std::string& path) {
  std::string ref = GetString(package, "identifier");
  const std::string version = GetString(package, "version");
  const size_t slash = ref.rfind('/');
  const bool tagged = ref.find(':', slash == std::string::npos ? 0 : slash) != std::string::npos;
  if (!tagged && !version.empty()) ref += (version.starts_with("sha256:") ? "@" : ":") + version;
  std::string base = GetString(package, "registryBaseUrl");
  if (base.starts_with("https://")) base = base.substr(8);
  while (base.ends_with('/')) base.pop_back();
  const std::string first = ref.substr(0, ref.find('/'));
  const bool has_host = ref.find('/') != std::string::npos && first.find_first_of(".:") != std::string::npos;
  if (!base.empty() && base != "docker.io" && !has_host) ref = base + "/" + ref;
  draft.image = Text{.value = ref, .path = ChildPath(path, "identifier")};
  if (tagged && !version.empty() && ref.find(version) == std::string::npos)
    draft.Note(ChildPath(path, "version"), "is another than the identifier's, which was taken");
  if (!GetString(package, "fileSha256").empty())
    draft.Lose(ChildPath(path, "fileSha256"), "an image is fixed by a digest in its name");
  std::vector<Text> words;
  TakeArguments(draft, GetMember(package, "runtimeArguments"), ChildPath(path, "runtimeArguments"), &words);
  size_t next = 0;
  if (!ReadDockerOptions(&draft, words, &next, false)) return;
  for (; next < words.size(); ++next) draft.Lose(words[next].path, "is no option of docker run");
}

void TakeRuntimeArguments(Draft& draft, const Json& package, const std::string& path) {
  std::vector<Text> words;
  TakeArguments(draft, GetMember(package, "runtimeArguments"), ChildPath(path, "runtimeArguments"), &words);
  for (size_t i = 0; i < words.size(); ++i) {
    const Text& word = words[i];
    const bool value = i > 0 && words[i - 1].path == word.path;  // of the one before
    if (!value && word.value != "-y" && word.value != "--yes")
      draft.Lose(word.path, "is for " + Printable(GetString(package, "runtimeHint", "the client's runtime"), 40) +
                                ", which a node does not use");
  }
}

// npm's and PyPI's own, which a node asks as well unless it is set up with another.
bool IsPublicRegistry(const std::string& base) {
  const size_t scheme = base.find("://"), host = scheme == std::string::npos ? 0 : scheme + 3;
  const std::vector<std::string> labels = Split(base.substr(host, base.find_first_of(":/", host) - host), '.');
  const std::string registered = labels.size() < 2 ? "" : labels[labels.size() - 2];
  return registered == "npmjs" || registered == "pypi";
}

void TakePackage(Draft& draft, const Json& package, const std::string& path) {
  const std::string type = GetString(package, "registryType");
  const std::string hint = GetString(package, "runtimeHint");
  const std::string_view usual = type == "npm" ? "npx" : type == "pypi" ? "uvx" : "docker";
  if (!hint.empty() && hint != usual)
    draft.Note(ChildPath(path, "runtimeHint"), "is for clients; a node starts packages and images by itself");
  const std::string sha256 = GetString(package, "fileSha256"), base = GetString(package, "registryBaseUrl");
  if (type == "oci") return TakeImage(draft, package, path);
  TakeRuntimeArguments(draft, package, path);
  if (!base.empty() && !IsPublicRegistry(base))
    draft.Lose(ChildPath(path, "registryBaseUrl"), "packages come from the registry that a node is set up with");
  PutPackage(&draft, type, GetString(package, "identifier"), GetString(package, "version"), path);
  if (!sha256.empty() && type == "pypi" && !draft.left_out)
    draft.Put("spec.source.package.integrity", "sha256-" + sha256, ChildPath(path, "fileSha256"));
  if (!sha256.empty() && type == "npm")
    draft.Lose(ChildPath(path, "fileSha256"), "packages of npm have a sha512 (spec.source.package.integrity)");
}

bool Runs(const Json& package) {
  const std::string type = GetString(package, "registryType");
  return type == "npm" || type == "pypi" || type == "oci";
}

void ReadPackage(Draft draft, const Json& package, const std::string& path) {
  TakePackage(draft, package, path);
  if (draft.left_out) return;
  Walk(draft, package, path, kPackageRules);
  TakeListening(draft, package, ChildPath(path, "transport"));
  Finish(std::move(draft));
}

void ReadRemote(Draft draft, const Json& remote, const std::string& path) {
  draft.transport = GetString(remote, "type", GetString(remote, "transportType"));
  draft.transport_path = ChildPath(path, "type");
  Fields members(draft, remote, path);
  members.PassOver({"type", "transportType", "url", "headers"});
  EachMember(draft, members.Get("variables"), members.At("variables"),
             [&](const std::string&, const Json& variable, const std::string& at) { CheckInput(draft, variable, at); });
  draft.url = Inputs(&draft).Filled(GetString(remote, "url"), GetMember(remote, "variables"), ChildPath(path, "url"));
  if (draft.url->secret)
    return draft.LeaveOut(draft.url->path, "its URL has a secret in it, which every node could read");
  TakeKeyValues(draft, GetMember(remote, "headers"), ChildPath(path, "headers"), "header", &draft.headers);
  Finish(std::move(draft));
}

// One of the ways to run the server: packages[i] or remotes[i].
struct Way {
  std::string kind, path;  // "npm", "oci", "remote", "sse", "nuget" …
  const Json* value;
  bool runs;
};

std::vector<Way> WaysOf(const Json& server, const std::string& prefix) {
  std::vector<Way> ways;
  const Json& packages = GetMember(server, "packages");
  for (size_t i = 0; packages.is_array() && i < packages.size(); ++i) {
    const Json& package = packages[i];
    const bool sse = GetString(GetMember(package, "transport"), "type") == "sse";
    ways.push_back({GetString(package, "registryType"), ItemPath(ChildPath(prefix, "packages"), i), &package,
                    Runs(package) && !sse});
  }
  const Json& remotes = GetMember(server, "remotes");
  for (size_t i = 0; remotes.is_array() && i < remotes.size(); ++i) {
    const bool sse = GetString(remotes[i], "type", GetString(remotes[i], "transportType")) == "sse";
    ways.push_back({"remote", ItemPath(ChildPath(prefix, "remotes"), i), &remotes[i], !sse});
  }
  return ways;
}

// Whoever installs what is deprecated or deleted should know.
void TakeStatus(Draft& draft, const Json& value, const std::string& path) {
  if (value != "active")
    draft.Lose(path, "the registry calls this server " + Printable(Scalar(value).value_or("?"), 40) +
                         "; look for what takes its place");
}

void NoteForPeople(Draft& draft, const Json& /*value*/, const std::string& path) {
  draft.Note(path, "is for people who look for a server");
}

void TakeVersion(Draft& draft, const Json& value, const std::string& path) {
  if (const std::optional<std::string> text = ScalarOf(draft, value, path))
    draft.PutKey("metadata.annotations", "mcpfleet.dev/registry-version", *text, path);
}

// Of the registry itself and of whoever published it: {"io.modelcontextprotocol.registry/official": {"status": …}}
void TakeMeta(Draft& draft, const Json& value, const std::string& path) {
  bool noted = false;
  EachMember(draft, value, path, [&](const std::string& key, const Json& member, const std::string& at) {
    if (key == "io.modelcontextprotocol.registry/official" && !GetMember(member, "status").is_null())
      TakeStatus(draft, member["status"], ChildPath(at, "status"));
    if (!std::exchange(noted, true)) NoteForPeople(draft, member, path);
  });
}

constexpr Rule kTopRules[] = {
    // Read by ReadServerJson.
    {"name"},
    {"packages"},
    {"remotes"},
    {"$schema"},
    {"description",
     [](Draft& draft, const Json& value, const std::string& path) {
       if (const std::optional<std::string> text = ScalarOf(draft, value, path))
         draft.PutKey("metadata.annotations", "mcpfleet.dev/description", *text, path);
     }},
    {"version", TakeVersion},
    {"versionDetail",
     [](Draft& draft, const Json& value, const std::string& path) {
       Fields detail(draft, value, path);
       if (const Json& version = detail.Get("version"); !version.is_null())
         TakeVersion(draft, version, detail.At("version"));
       for (const char* member : {"releaseDate", "isLatest"}) {
         if (!detail.Get(member).is_null()) NoteForPeople(draft, nullptr, detail.At(member));
       }
     }},
    {"title", NoteForPeople},
    {"repository", NoteForPeople},
    {"websiteUrl", NoteForPeople},
    {"icons", NoteForPeople},
    {"publisher", NoteForPeople},
    {"status", TakeStatus},
    {"_meta", TakeMeta},
};

}  // namespace

void ReadServerJson(const Json& document, Work* work) {
  const bool enveloped = GetMember(document, "server").is_object();
  const Json server = WithCamelNames(enveloped ? document["server"] : document);
  const std::string prefix = enveloped ? "server" : "";
  const std::string full = GetString(server, "name");
  Draft draft{.work = work, .name = full.substr(full.rfind('/') + 1), .path = prefix.empty() ? "name" : prefix};
  Walk(draft, server, prefix, kTopRules);
  if (enveloped) {
    Fields envelope(draft, document, "");
    envelope.PassOver({"server"});
    TakeMeta(draft, envelope.Get("_meta"), "_meta");
  }
  if (!full.empty())
    draft.PutKey("metadata.annotations", "mcpfleet.dev/registry-name", full, ChildPath(prefix, "name"));
  const std::vector<Way> ways = WaysOf(server, prefix);
  const std::string& prefer = work->options.prefer;
  const auto fits = [&](const Way& way) { return way.runs && (prefer.empty() || way.kind == prefer); };
  const auto chosen = std::find_if(ways.begin(), ways.end(), fits);
  for (auto way = ways.begin(); way != ways.end(); ++way) {
    if (way == chosen) continue;
    if (chosen != ways.end()) {
      draft.Note(way->path, "another way to run it (" + Printable(way->kind, 20) + "), not taken");
    } else if (way->runs) {
      draft.Lose(way->path, "is " + Printable(way->kind, 20) + ", and " + Printable(prefer, 20) + " is wanted");
    } else if (way->kind == "remote" || Runs(*way->value)) {
      draft.Lose(way->path, "speaks HTTP+SSE, the transport of 2024-11-05; stdio and streamable-http are spoken here");
    } else {
      draft.Lose(way->path, "is a package of " + Printable(way->kind, 20) + "; nodes run npm, pypi and oci");
    }
  }
  if (chosen == ways.end()) return draft.LeaveOut(draft.path, "has no package or remote that can be run here");
  if (chosen->kind == "remote") return ReadRemote(std::move(draft), *chosen->value, chosen->path);
  ReadPackage(std::move(draft), *chosen->value, chosen->path);
}

}  // namespace mcpfleet::convert
