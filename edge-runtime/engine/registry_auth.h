// What a registry is asked with, out of a pull secret: as the Docker engine takes it (the header X-Registry-Auth of
// POST /images/create), and in parts, as containerd asks for it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/secret_text.h"
#include "base/status.h"
#include "controller/ports/secrets.h"

namespace mcpfleet {

// The registry of an image reference as Docker reads it: "ghcr.io", "localhost:5000", "docker.io" when none is named.
std::string RegistryOf(std::string_view ref);

// Either an identity token, or a user and a password.
struct RegistryLogin {
  std::string user;
  SecretText password, identity_token;
};

// Of a Docker config file the entry counts whose host is the reference's registry, of several the one with the longest
// path that the reference begins with. InvalidArgument, without a value of it, when there is none or the file is none.
StatusOr<RegistryLogin> RegistryLoginOf(const RegistryCredentials& credentials, std::string_view ref);

// The header's value: base64url of {username, password, serveraddress} or {identitytoken, serveraddress}.
StatusOr<SecretText> RegistryAuthHeader(const RegistryCredentials& credentials, std::string_view ref);

}  // namespace mcpfleet
