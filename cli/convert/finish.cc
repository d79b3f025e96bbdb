// From a draft to an object that Schema::Validate accepts. The object is put together from pieces; a piece that the
// schema does not accept is taken out again, as a loss with its path in the source.
#include <algorithm>
#include <map>
#include <set>

#include "base/strings.h"
#include "cli/convert/draft.h"
#include "cli/convert/secret_names.h"
#include "crd/object.h"
#include "crd/schema.h"
#include "crd/violation.h"

namespace mcpfleet::convert {
namespace {

// Cross-field rules may show one after the other.
constexpr int kRounds = 8;

// The object, and for each piece where in it it stands.
Json Assemble(const std::string& name, const std::vector<Piece>& pieces, std::map<std::string, size_t>* targets) {
  Json object = {{"apiVersion", kApiVersion}, {"kind", kKindServer}, {"metadata", {{"name", name}}}};
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    const bool list = piece.field.ends_with("[]");
    const std::string field = list ? piece.field.substr(0, piece.field.size() - 2) : piece.field;
    Json* at = &object;
    for (const std::string& part : Split(field, '.')) at = &(*at)[part];
    std::string target = field;
    if (list) {
      target = ItemPath(field, at->size());
      at->push_back(piece.value);
    } else if (!piece.key.empty()) {
      target = ChildPath(field, piece.key);
      (*at)[piece.key] = piece.value;
    } else {
      *at = piece.value;
    }
    targets->emplace(std::move(target), i);
  }
  return object;
}

// What is wrong, without the words of the source: they may be a secret that nobody took for one.
std::string Reason(const Violation& violation) {
  const bool theirs = violation.path.starts_with("spec.env") || violation.path.starts_with("spec.args") ||
                      violation.path.starts_with("spec.command") || violation.path.starts_with("spec.source.remote");
  std::string text = violation.path + (theirs ? " would be wrong" : ": " + violation.problem);
  return text + (violation.allowed.empty() ? "" : "; allowed: " + violation.allowed);
}

class Assembly {
 public:
  Assembly(Draft* draft, std::string name) : draft_(*draft), name_(std::move(name)) {}

  // nullopt when the server was left out.
  std::optional<Json> Make() {
    for (int round = 0; round < kRounds; ++round) {
      targets_.clear();
      bad_.clear();
      Json object = Assemble(name_, draft_.pieces, &targets_);
      const std::vector<Violation> violations = Schema::Builtin().Validate(kKindServer, object);
      if (violations.empty()) return std::optional<Json>(std::in_place, std::move(object));
      for (const Violation& violation : violations) {
        if (!Blame(violation)) return std::nullopt;
      }
      std::vector<Piece> kept;
      for (size_t i = 0; i < draft_.pieces.size(); ++i) {
        if (!bad_.contains(i)) kept.push_back(std::move(draft_.pieces[i]));
      }
      draft_.pieces = std::move(kept);
    }
    draft_.LeaveOut(draft_.path, "can't be made a valid MCPServer");
    return std::nullopt;
  }

 private:
  // False when nothing can be taken out for it.
  bool Blame(const Violation& violation) {
    std::string at = violation.path;
    while (!at.empty() && !targets_.contains(at)) {
      const size_t end = at.find_last_of(".[");
      at = end == std::string::npos ? "" : at.substr(0, end);
    }
    if (!at.empty()) return TakeOut(targets_[at], violation);
    bool any = false;
    if (std::count(violation.path.begin(), violation.path.end(), '.') > 0 && violation.path != "spec.source") {
      for (const auto& [target, index] : targets_) {
        const bool below = target.starts_with(violation.path + ".") || target.starts_with(violation.path + "[");
        if (below && !TakeOut(index, violation)) return false;
        any = any || below;
      }
    }
    if (!any) draft_.LeaveOut(draft_.path, Reason(violation));
    return any;
  }

  bool TakeOut(size_t index, const Violation& violation) {
    const Piece& piece = draft_.pieces[index];
    const bool vital = piece.field.starts_with("spec.source") && !piece.field.ends_with("[]") &&
                       !piece.field.starts_with("spec.source.image.pull");
    if (vital) {
      draft_.LeaveOut(piece.path, Reason(violation));
      return false;
    }
    if (bad_.insert(index).second) draft_.Lose(piece.path, Reason(violation));
    return true;
  }

  Draft& draft_;
  const std::string name_;
  std::map<std::string, size_t> targets_;  // "spec.env[2]" -> index of the piece
  std::set<size_t> bad_;
};

Json Reference(const std::string& name, const std::string& key) {
  return {{"secretKeyRef", {{"name", name}, {"key", key}}}};
}

std::string KeyFrom(std::string_view name) {
  std::string key;
  for (char c : name) {
    const bool fits =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    key += fits ? c : '_';
  }
  return key;
}

void PutVariable(Draft* draft, const std::string& own_name, const std::string& field, const Variable& variable,
                 bool header) {
  Json item = {{"name", variable.name}};
  const Text& text = variable.text;
  const bool by_name = header ? IsSecretHeader(variable.name) : IsSecretName(variable.name);
  const bool known_switch = text.unknown.empty() && !text.value.empty() && IsSwitch(text.value);
  std::string hint = text.hint;
  if (!variable.secret_name.empty()) {
    item["valueFrom"] = Reference(variable.secret_name, variable.secret_key);
  } else if (text.secret || (by_name && !known_switch) || IsSecretValue(text.value)) {
    item["valueFrom"] = Reference(own_name, KeyFrom(variable.name));
    if (hint.empty()) hint = text.unknown.substr(0, text.unknown.find(';'));
    if (header && text.value.starts_with("Bearer ")) hint = "\"Bearer \" and the token";
  } else if (!text.unknown.empty()) {
    return draft->Lose(text.path, text.unknown);
  } else {
    item["value"] = text.value;
  }
  draft->pieces.push_back({.field = field, .value = std::move(item), .path = text.path, .hint = std::move(hint)});
}

// A flag whose value could not be kept would take the next argument for it.
void TakeOutFlag(Draft* draft, const Text& flag) {
  const bool bare = flag.value.starts_with('-') && flag.value.find('=') == std::string::npos;
  const Piece* last = draft->pieces.empty() ? nullptr : &draft->pieces.back();
  if (!bare || last == nullptr || last->field != "spec.args[]" || last->value != flag.value) return;
  draft->pieces.pop_back();
  draft->Lose(flag.path, "is left out with what follows it");
}

// "--api-key" "x" and "--api-key=x" are both taken out: args are plain to every node.
void PutArguments(Draft* draft) {
  constexpr char kSecret[] =
      "looks like a secret, and every node can read arguments; hand it over by a variable, if the server takes one";
  std::vector<Text>& args = draft->args;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& word = args[i].value;
    const bool flag = word.starts_with('-') && word.size() > 1;
    const size_t equals = flag ? word.find('=') : std::string::npos;
    const std::string name = flag ? word.substr(0, equals) : "";
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (!value.empty() && !IsSwitch(value) && (IsSecretName(name) || IsSecretValue(value) || args[i].secret)) {
      draft->Lose(args[i].path, kSecret);
    } else if (flag && equals == std::string::npos && IsSecretName(name) && i + 1 < args.size() &&
               !args[i + 1].value.starts_with('-') && !IsSwitch(args[i + 1].value)) {
      draft->Lose(args[i].path, "is left out with what follows it");
      draft->Lose(args[++i].path, kSecret);
    } else if (args[i].secret || IsSecretValue(word)) {
      draft->Lose(args[i].path, kSecret);
    } else if (!args[i].unknown.empty()) {
      if (i > 0) TakeOutFlag(draft, args[i - 1]);
      draft->Lose(args[i].path, args[i].unknown);
    } else {
      draft->Put("spec.args[]", word, args[i].path);
    }
  }
}

void PutCommand(Draft* draft) {
  for (const Text& word : draft->command) {
    if (!word.unknown.empty()) {
      draft->Lose(word.path, word.unknown);
    } else if (IsSecretValue(word.value)) {
      draft->Lose(word.path, "looks like a secret, and every node can read commands");
    } else {
      draft->Put("spec.command[]", word.value, word.path);
    }
  }
}

void PutRemote(Draft* draft) {
  const Text& url = *draft->url;
  if (!url.unknown.empty()) return draft->LeaveOut(url.path, "its URL " + url.unknown);
  if (const std::string secret = SecretInUrl(url.value); !secret.empty())
    return draft->LeaveOut(url.path, "its URL has a secret in it (" + Printable(secret, 60) +
                                         "), which every node could read; if the server takes a header, use that");
  if (draft->transport == "sse")
    return draft->LeaveOut(
        url.path, "it speaks HTTP+SSE, the transport of 2024-11-05; a remote server has to speak streamable-http");
  for (std::string_view here : {"http://localhost", "http://127.", "http://[::1]", "https://localhost"}) {
    if (url.value.starts_with(here)) draft->Note(url.path, "is the machine itself: on a node, the node");
  }
  draft->Put("spec.source.remote.url", url.value, url.path);
}

// False, and left out, for one that nobody speaks here.
bool IsTransport(Draft* draft) {
  for (std::string_view known : {"", "stdio", "streamable-http", "sse"}) {
    if (draft->transport == known) return true;
  }
  draft->LeaveOut(draft->transport_path, "the transport " + Printable(draft->transport, 40) + " is not known");
  return false;
}

void PutTransport(Draft* draft) {
  if (draft->transport == "sse")
    return draft->LeaveOut(
        draft->transport_path,
        "it speaks HTTP+SSE, the transport of 2024-11-05; a server has to speak stdio or streamable-http");
  if (draft->transport != "streamable-http") return;
  if (!draft->Has("spec.port")) return draft->LeaveOut(draft->transport_path, "it listens, but no port is said");
  draft->Put("spec.transport", draft->transport, draft->transport_path);
}

void PutSource(Draft* draft) {
  const auto packaged = [&] { return draft->Has("spec.source.package.name"); };
  if (!draft->url && !draft->image && !packaged()) {
    if (!draft->program)
      return draft->LeaveOut(draft->path, "says nothing that could be run: no command, image or URL");
    ReadCommandLine(draft);
    if (draft->left_out) return;
  } else if (draft->program) {
    draft->Lose(draft->program->path, "stands beside a URL or image, which is taken");
  }
  if (!IsTransport(draft)) return;
  if (draft->url) return PutRemote(draft);
  if (draft->image) {
    if (!draft->image->unknown.empty())
      return draft->LeaveOut(draft->image->path, "its image " + draft->image->unknown);
    draft->Put("spec.source.image.ref", draft->image->value, draft->image->path);
  } else {
    std::erase_if(draft->pieces, [&](const Piece& piece) {
      const bool image = piece.field.starts_with("spec.source.image.");
      if (image) draft->Lose(piece.path, "is about an image, and none is run");
      return image;
    });
  }
  PutTransport(draft);
}

std::string UniqueName(const Draft& draft, Work* work, const std::string& space) {
  std::string base = NameFrom(draft.name);
  if (base.empty()) base = "server";
  std::string name = base;
  for (int i = 2; !work->taken.insert(space + "/" + name).second; ++i) {
    const std::string number = "-" + std::to_string(i);
    name = NameFrom(base.substr(0, 63 - number.size())) + number;
  }
  return name;
}

// What the object refers to.
void NoteSecrets(const Draft& draft, const std::string& space, Work* work) {
  for (const Piece& piece : draft.pieces) {
    const Json& from = piece.field == "spec.files[]" ? piece.value : GetMember(piece.value, "valueFrom");
    const Json& reference = GetMember(from, "secretKeyRef");
    if (!reference.is_object()) continue;
    const std::string name = GetString(reference, "name"), key = GetString(reference, "key");
    std::vector<SecretNeed>& needs = work->out.secrets;
    auto need = std::find_if(needs.begin(), needs.end(),
                             [&](const SecretNeed& each) { return each.name == name && each.namespace_ == space; });
    if (need == needs.end()) need = needs.insert(needs.end(), {.namespace_ = space, .name = name, .values = {}});
    const bool known =
        std::any_of(need->values.begin(), need->values.end(), [&](const SecretValue& each) { return each.key == key; });
    if (!known) need->values.push_back({.key = key, .path = piece.path, .hint = piece.hint});
  }
}

}  // namespace

void Finish(Draft draft) {
  Work* work = draft.work;
  if (draft.left_out) return;
  PutSource(&draft);
  if (draft.left_out) return;
  std::string space;
  for (const Piece& piece : draft.pieces) {
    if (piece.field == "metadata.namespace" && piece.value.is_string()) space = piece.value.get<std::string>();
  }
  const std::string name = UniqueName(draft, work, space);
  if (name != draft.name) draft.Note(draft.path, "is called " + name);
  PutCommand(&draft);
  PutArguments(&draft);
  for (const Variable& each : draft.env) PutVariable(&draft, name, "spec.env[]", each, false);
  for (const Variable& each : draft.headers) {
    if (!draft.url) {
      draft.Lose(each.text.path, "headers are for remote servers");
    } else {
      PutVariable(&draft, name, "spec.source.remote.headers[]", each, true);
    }
  }
  // Where it ran it had a network; ours has none unless it is asked for.
  if (!draft.url) draft.Put("spec.securityContext.network", "Outbound", draft.path, true);
  std::optional<Json> object = Assembly(&draft, name).Make();
  if (!object) return;
  NoteSecrets(draft, GetString(GetMember(*object, "metadata"), "namespace"), work);
  work->out.objects.push_back(*std::move(object));
}

}  // namespace mcpfleet::convert
