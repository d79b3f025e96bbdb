#include "controller/ports/secrets.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "controller/ports/desired_state.h"
#include "crd/secret_spec.h"

namespace mcpfleet {
namespace {

Status Unknown() {
  return FailedPrecondition("its secrets are those of an earlier version, which this mcplet has not seen");
}

template <typename T>
void WipeSecrets(std::vector<T>* items) {
  for (T& item : *items) {
    if (!item.secret.name.empty()) WipeText(&item.value);
  }
}

// Fills in the value of a variable or header.
template <typename T>
Status OpenInto(T* item, const SecretSource* secrets, std::string (*wrong)(std::string_view)) {
  if (item->secret.name.empty()) return OkStatus();
  if (secrets == nullptr) return Annotate(Unknown(), item->name);
  StatusOr<SecretText> value = secrets->Value(item->secret);
  if (!value.ok()) return Annotate(value.status(), item->name);
  if (const std::string why = wrong(value->view()); !why.empty()) return FailedPrecondition(item->name + ": " + why);
  item->value = value->view();
  return OkStatus();
}

}  // namespace

OpenedEnv::~OpenedEnv() { WipeSecrets(&vars); }
OpenedHeaders::~OpenedHeaders() { WipeSecrets(&headers); }

StatusOr<OpenedEnv> OpenEnv(const DesiredServer& server) {
  OpenedEnv env;
  env.vars = server.spec.env;
  for (EnvVar& variable : env.vars) RETURN_IF_ERROR(OpenInto(&variable, server.secrets.get(), WrongForEnv));
  return env;
}

StatusOr<OpenedHeaders> OpenHeaders(const std::vector<HeaderValue>& headers, const SecretSource* secrets) {
  OpenedHeaders out;
  out.headers = headers;
  for (HeaderValue& header : out.headers) RETURN_IF_ERROR(OpenInto(&header, secrets, WrongForHeader));
  return out;
}

StatusOr<std::vector<OpenedFile>> OpenFiles(const DesiredServer& server) {
  std::vector<OpenedFile> files;
  for (const SecretFile& file : server.spec.files) {
    if (server.secrets == nullptr) return Annotate(Unknown(), file.path);
    StatusOr<SecretText> content = server.secrets->Value(file.secret);
    if (!content.ok()) return Annotate(content.status(), file.path);
    files.push_back({file.path, *std::move(content)});
  }
  return files;
}

StatusOr<RegistryCredentials> OpenPullSecret(const DesiredServer& server) {
  RegistryCredentials out;
  const auto* image = std::get_if<ImageSource>(&server.spec.source);
  if (image == nullptr || image->pull_secret.empty()) return out;
  if (server.secrets == nullptr) return Annotate(Unknown(), "pullSecret");
  if (StatusOr<SecretText> config = server.secrets->Value({image->pull_secret, kDockerConfigKey}); config.ok()) {
    out.docker_config = *std::move(config);
    return out;
  }
  StatusOr<SecretText> user = server.secrets->Value({image->pull_secret, kRegistryUserKey});
  if (!user.ok()) return Annotate(user.status(), "pullSecret");
  out.user = user->view();
  StatusOr<SecretText> password = server.secrets->Value({image->pull_secret, kRegistryPasswordKey});
  if (!password.ok()) return Annotate(password.status(), "pullSecret");
  out.password = *std::move(password);
  return out;
}

std::string WrongForEnv(std::string_view value) {
  return value.find('\0') == std::string_view::npos ? "" : "the value contains a NUL character, which no variable can";
}

std::string WrongForHeader(std::string_view value) {
  const bool plain = std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return plain ? "" : "the value has characters that no header can have, such as a newline at its end";
}

std::set<std::string> FileDirectoriesOf(const ServerSpec& spec) {
  std::set<std::string> directories;
  for (const SecretFile& file : spec.files) {
    std::string clean;
    for (const std::string& part : Split(file.path, '/')) {
      if (!part.empty() && part != ".") clean += "/" + part;
    }
    directories.insert(clean.substr(0, clean.rfind('/')));
  }
  return directories;
}

bool NeedsDelivery(const ServerSpec& spec) {
  return !spec.files.empty() || std::any_of(spec.env.begin(), spec.env.end(),
                                            [](const EnvVar& variable) { return !variable.secret.name.empty(); });
}

}  // namespace mcpfleet
