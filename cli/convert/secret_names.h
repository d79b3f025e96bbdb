// Whether something is a secret, by its name and by its looks. Guesses, on the safe side: what is taken for one goes
// into an MCPSecret, where it does no harm.
#pragma once

#include <string>
#include <string_view>

namespace mcpfleet::convert {

// "GITHUB_TOKEN", "apiKey", "--db-password"; not "MAX_TOKENS", "TOKEN_URL", "SSH_KEY_FILE", "PUBLIC_KEY".
bool IsSecretName(std::string_view name);
// Authorization, Cookie, X-Api-Key and their like.
bool IsSecretHeader(std::string_view name);
// Begins like the tokens of well-known services, is a JWT or a private key, or a URL with a password.
bool IsSecretValue(std::string_view value);
// A switch or nothing: never a secret, whatever its name.
bool IsSwitch(std::string_view value);
// The name of the first parameter in the query of `url` that is a secret by name or value, "" when there is none;
// "user" when the authority has one.
std::string SecretInUrl(std::string_view url);

}  // namespace mcpfleet::convert
