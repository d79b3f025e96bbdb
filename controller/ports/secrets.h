// The values of secrets that a server's spec refers to, opened when something is started with them and wiped after it.
//
//   ASSIGN_OR_RETURN(const OpenedEnv env, OpenEnv(server));
//   sessions.StartMain(instance, argv, env.vars, ...);     // `env` wipes its values when it goes
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret_text.h"
#include "base/status.h"
#include "crd/server_spec.h"

namespace mcpfleet {

struct DesiredServer;

// The secrets of one version of a server. Thread-safe.
class SecretSource {
 public:
  virtual ~SecretSource() = default;
  // Opens it now. FailedPrecondition says why it can't be; no message contains a value.
  virtual StatusOr<SecretText> Value(const SecretKeyRef& ref) const = 0;
};

struct OpenedEnv {
  std::vector<EnvVar> vars;
  OpenedEnv() = default;
  OpenedEnv(OpenedEnv&&) = default;
  OpenedEnv& operator=(OpenedEnv&&) = delete;
  ~OpenedEnv();
};
struct OpenedFile {
  std::string path;
  SecretText content;
};
struct OpenedHeaders {
  std::vector<HeaderValue> headers;
  OpenedHeaders() = default;
  OpenedHeaders(OpenedHeaders&&) = default;
  OpenedHeaders& operator=(OpenedHeaders&&) = delete;
  ~OpenedHeaders();
};

// What a registry is asked with: a Docker config file, or a name and a password. Empty: with nothing.
struct RegistryCredentials {
  SecretText docker_config;
  std::string user;
  SecretText password;
  bool empty() const { return docker_config.empty() && user.empty(); }
};

// With values in the place of references. A reference that can't be opened is an error, never an empty value.
StatusOr<OpenedEnv> OpenEnv(const DesiredServer& server);
StatusOr<std::vector<OpenedFile>> OpenFiles(const DesiredServer& server);
StatusOr<OpenedHeaders> OpenHeaders(const std::vector<HeaderValue>& headers, const SecretSource* secrets);
StatusOr<RegistryCredentials> OpenPullSecret(const DesiredServer& server);

// "" when `value` can be an environment variable's, a header's; else what is wrong with it, without the value.
std::string WrongForEnv(std::string_view value);
std::string WrongForHeader(std::string_view value);

// Where files of secrets are: each directory is to be memory that the server's user can write to, of kFileMemory bytes.
// Sorted, so that one inside another comes after it.
inline constexpr int64_t kFileMemory = int64_t{256} << 10;
std::set<std::string> FileDirectoriesOf(const ServerSpec& spec);

// Whether something must reach the instance that no engine may see: variables or files.
bool NeedsDelivery(const ServerSpec& spec);

}  // namespace mcpfleet
