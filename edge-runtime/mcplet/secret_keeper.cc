#include "edge-runtime/mcplet/secret_keeper.h"

#include <sys/stat.h>

#include <functional>
#include <utility>

#include "base/fd.h"
#include "base/strings.h"
#include "crd/secret_spec.h"
#include "store/trust/sealed_secret.h"

namespace mcpfleet {
namespace {

constexpr size_t kKeyFileBytes = 256;

// Why one reference can't be used.
struct Problem {
  std::string reason, message;
};

StatusOr<SecretText> PlainValue(const kube::PlainSecret& secret, const std::string& key) {
  const auto it = secret.data.find(key);
  if (it == secret.data.end()) return NotFound("has no value " + key);
  return SecretText::CopyOf(it->second.view());
}

class OpenedBy final : public SecretSource {
 public:
  OpenedBy(std::shared_ptr<const SealingKey> key, std::string space)
      : key_(std::move(key)), namespace_(std::move(space)) {}
  void Add(const std::string& name, SecretSpec spec) { specs_[name] = std::move(spec); }
  void Add(const std::string& name, std::shared_ptr<const kube::PlainSecret> plain) {
    plains_[name] = std::move(plain);
  }
  bool empty() const { return specs_.empty() && plains_.empty(); }
  const SecretSpec* Find(const std::string& name) const {
    auto it = specs_.find(name);
    return it == specs_.end() ? nullptr : &it->second;
  }
  StatusOr<SecretText> Value(const SecretKeyRef& ref) const override {
    const std::string what = "secret " + ref.name;
    if (const auto plain = plains_.find(ref.name); plain != plains_.end()) {
      StatusOr<SecretText> value = PlainValue(*plain->second, ref.key);
      if (!value.ok()) return FailedPrecondition(what + ": " + Message(value.status()));
      return value;
    }
    const SecretSpec* spec = Find(ref.name);
    if (spec == nullptr) return FailedPrecondition(what + ": is not there");
    const SecretName of{namespace_, ref.name};
    StatusOr<DataKey> key = OpenDataKey(of, *spec, *key_);
    if (!key.ok()) return FailedPrecondition(what + ": " + Message(key.status()));
    StatusOr<SecretText> value = OpenValue(of, *spec, *key, ref.key);
    if (!value.ok()) return FailedPrecondition(what + ": " + Message(value.status()));
    return value;
  }

 private:
  const std::shared_ptr<const SealingKey> key_;  // shared with the keeper
  const std::string namespace_;
  std::map<std::string, SecretSpec> specs_;
  std::map<std::string, std::shared_ptr<const kube::PlainSecret>> plains_;  // shared with the state
};

Problem ProblemOfValue(const Status& status, const std::string& what) {
  const bool missing = status.code() == StatusCode::kNotFound;
  return {missing ? "SecretKeyMissing" : "SecretDamaged", what + ": " + Message(status)};
}

using Opener = std::function<StatusOr<SecretText>(const std::string& key)>;

// Opens what `use` needs and forgets it again.
Problem TryValue(const Opener& open, bool has_docker_config, const SecretReference& use, const std::string& what,
                 size_t* file_bytes) {
  if (use.use == SecretUse::kPullSecret) {
    if (has_docker_config) {
      const StatusOr<SecretText> config = open(kDockerConfigKey);
      return config.ok() ? Problem{} : ProblemOfValue(config.status(), what);
    }
    for (const char* key : {kRegistryUserKey, kRegistryPasswordKey}) {
      const StatusOr<SecretText> value = open(key);
      if (!value.ok())
        return ProblemOfValue(value.status(), what + ": a pull secret has .dockerconfigjson, or username and password");
    }
    return {};
  }
  const StatusOr<SecretText> value = open(use.ref.key);
  if (!value.ok()) return ProblemOfValue(value.status(), what);
  std::string wrong;
  if (use.use == SecretUse::kEnv) wrong = WrongForEnv(value->view());
  if (use.use == SecretUse::kHeader) wrong = WrongForHeader(value->view());
  if (use.use == SecretUse::kFile && (*file_bytes += value->view().size()) > kSecretFileBytes)
    wrong = "the files are larger than " + std::to_string(kSecretFileBytes) + " bytes together";
  if (!wrong.empty()) return {"SecretUnusable", what + ": " + wrong};
  return {};
}

}  // namespace

bool SecretKeeper::Reload() {
  std::shared_ptr<const SealingKey> key;
  std::string problem;
  struct stat info {};
  if (stat(key_file_.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    problem = key_file_ + " may be read by others; run: chmod 600 " + key_file_;
  } else {
    StatusOr<std::string> text = ReadFile(key_file_, kKeyFileBytes);
    StatusOr<SealingKey> parsed = text.ok() ? SealingKey::FromSecret(Trim(*text)) : text.status();
    if (text.ok()) WipeText(&*text);
    if (parsed.ok()) {
      key = std::make_shared<const SealingKey>(*std::move(parsed));
    } else if (parsed.status().code() == StatusCode::kNotFound) {
      problem = key_file_ + " is not there: this node has not joined with a key";
    } else {
      problem = key_file_ + ": " + Message(parsed.status());
    }
  }
  MutexLock lock(&mu_);
  const bool same = problem == problem_ && (key == nullptr) == (key_ == nullptr) &&
                    (key == nullptr || key->public_key() == key_->public_key());
  if (same) return false;
  key_ = std::move(key);
  problem_ = std::move(problem);
  return true;
}

std::string SecretKeeper::public_key() const {
  MutexLock lock(&mu_);
  return key_ == nullptr ? "" : key_->public_key();
}

SecretKeeper::Resolved SecretKeeper::Resolve(const std::string& namespace_, const ServerSpec& spec,
                                             const std::map<std::string, HeldSecret>& secrets) const {
  Resolved out;
  const std::vector<SecretReference> references = SecretReferencesOf(spec);
  if (references.empty()) return out;
  std::shared_ptr<const SealingKey> key;
  std::string no_key;
  {
    MutexLock lock(&mu_);
    key = key_;
    no_key = problem_;
  }
  auto source = std::make_shared<OpenedBy>(key, namespace_);
  std::map<std::string, std::string> versions;
  std::map<std::string, Problem> unopened;  // by name: decided once
  std::map<std::string, DataKey> data_keys;
  size_t file_bytes = 0;
  const auto fail = [&out](const Problem& problem) {
    if (!out.reason.empty() || problem.reason.empty()) return;
    out.reason = problem.reason;
    out.message = problem.message;
  };
  const auto look = [&](const std::string& name, const std::string& what) -> Problem {
    const std::string rewrap = "; run: mcpctl secrets rewrap " + name + " -n " + namespace_;
    const auto held = secrets.find(name);
    if (held != secrets.end() && held->second.unread)
      return {"SecretNotRead", what + ": secret " + name + " has not been read from the API server yet"};
    if (held != secrets.end() && held->second.forbidden)
      return {"SecretForbidden", what + ": secret " + name + ": " + held->second.mismatch};
    if (held != secrets.end() && held->second.plain != nullptr) {
      versions[name] = held->second.plain->version;
      source->Add(name, held->second.plain);
      return {};
    }
    if (held == secrets.end() || (held->second.object == nullptr && held->second.mismatch.empty()))
      return {"SecretNotFound", what + ": there is no secret " + name + " in namespace " + namespace_};
    if (held->second.object == nullptr)
      return {"SecretDamaged", what + ": secret " + name + ": " + held->second.mismatch};
    StatusOr<SecretSpec> sealed = SecretSpecOf(*held->second.object);
    if (!sealed.ok()) return {"SecretDamaged", what + ": secret " + name + ": " + Message(sealed.status())};
    versions[name] = sealed->data_version;
    if (key == nullptr) return {"SecretNotSealedToNode", what + ": no secret can be opened here: " + no_key};
    StatusOr<DataKey> data_key = OpenDataKey({namespace_, name}, *sealed, *key);
    if (data_key.status().code() == StatusCode::kNotFound)
      return {"SecretNotSealedToNode", what + ": secret " + name + " is not sealed to the key of this node" + rewrap};
    if (!data_key.ok()) return {"SecretDamaged", what + ": secret " + name + ": " + Message(data_key.status())};
    source->Add(name, *std::move(sealed));
    data_keys.emplace(name, *std::move(data_key));
    return {};
  };
  for (const SecretReference& use : references) {
    const std::string& name = use.ref.name;
    auto [it, fresh] = unopened.try_emplace(name);
    if (fresh) it->second = look(name, use.field);
    fail(it->second);
    if (!it->second.reason.empty()) continue;
    const SecretSpec* sealed = source->Find(name);
    const std::string what = use.field + ": secret " + name;
    if (sealed != nullptr) {
      const auto open = [&](const std::string& value) {
        return OpenValue({namespace_, name}, *sealed, data_keys.at(name), value);
      };
      fail(TryValue(open, sealed->data.contains(kDockerConfigKey), use, what, &file_bytes));
    } else {
      const kube::PlainSecret& plain = *secrets.at(name).plain;
      const auto open = [&](const std::string& value) { return PlainValue(plain, value); };
      fail(TryValue(open, plain.data.contains(kDockerConfigKey), use, what, &file_bytes));
    }
  }
  for (const SecretReference& use : references) {
    const std::string& version = versions[use.ref.name];
    if (use.use == SecretUse::kPullSecret) {
      out.pull_version = version;
    } else if (const std::string line = use.ref.name + "=" + version + "\n";
               out.versions.find(line) == std::string::npos) {
      out.versions += line;
    }
  }
  if (key != nullptr || !source->empty()) out.source = std::move(source);
  return out;
}

}  // namespace mcpfleet
