#include "cli/convert/secret_names.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/strings.h"

namespace mcpfleet::convert {
namespace {

bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// "--dbPassword_2" -> db, password, 2
std::vector<std::string> Words(std::string_view name) {
  std::vector<std::string> words;
  char before = '_';
  for (char c : name) {
    const bool letter = IsUpper(c) || IsLower(c) || IsDigit(c);
    const bool begins = !IsUpper(before) && !IsLower(before) && !IsDigit(before);
    if (letter && (begins || (IsUpper(c) && IsLower(before)))) words.emplace_back();
    if (letter) words.back() += IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c;
    before = c;
  }
  while (!words.empty() && std::all_of(words.back().begin(), words.back().end(), IsDigit)) words.pop_back();
  return words;
}

template <size_t N>
bool IsOneOf(std::string_view word, const std::array<std::string_view, N>& of) {
  return std::find(of.begin(), of.end(), word) != of.end();
}

constexpr std::array<std::string_view, 13> kSecretWords{"token",  "secret",      "password",  "passwd", "passphrase",
                                                        "apikey", "credentials", "bearer",    "pat",    "credential",
                                                        "cookie", "accesskey",   "privatekey"};
// As the last word these say that it is about one, and isn't one.
constexpr std::array<std::string_view, 33> kAbout{
    "file",    "path",   "dir",    "url",      "uri",     "endpoint", "name",   "id",     "limit",  "limits",  "count",
    "ttl",     "size",   "length", "type",     "mode",    "prefix",   "header", "expiry", "issuer", "enabled", "method",
    "timeout", "scheme", "format", "provider", "expires", "required", "env",    "alg",    "host",   "port",    "store"};
constexpr std::array<std::string_view, 7> kOpenKeys{"public",  "primary", "sort", "partition",
                                                    "foreign", "cache",   "pub"};

struct Look {
  std::string_view prefix;
  size_t least;  // characters in all
};
constexpr std::array<Look, 22> kLooks{
    {{"ghp_", 20},    {"gho_", 20},     {"ghs_", 20},     {"ghu_", 20},     {"github_pat_", 20}, {"glpat-", 16},
     {"sk-", 20},     {"sk_live_", 20}, {"rk_live_", 20}, {"sk_test_", 20}, {"xoxb-", 16},       {"xoxp-", 16},
     {"xapp-", 16},   {"AKIA", 20},     {"AIza", 30},     {"hf_", 20},      {"npm_", 30},        {"pypi-", 30},
     {"dop_v1_", 20}, {"SG.", 30},      {"Bearer ", 8},   {"Basic ", 7}}};

bool IsUrlWithPassword(std::string_view value) {
  const size_t scheme = value.find("://");
  if (scheme == std::string_view::npos || scheme == 0) return false;
  const std::string_view authority = value.substr(scheme + 3, value.find_first_of("/?#", scheme + 3) - scheme - 3);
  const size_t at = authority.rfind('@');
  return at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos;
}

}  // namespace

bool IsSecretName(std::string_view name) {
  const std::vector<std::string> words = Words(name);
  if (words.empty() || IsOneOf(words.back(), kAbout)) return false;
  for (const std::string& word : words) {
    if (IsOneOf(word, kSecretWords)) return true;
  }
  if (words.back() == "auth") return true;
  if (words.back() != "key" && words.back() != "dsn") return false;
  return words.size() == 1 || !IsOneOf(words[words.size() - 2], kOpenKeys);
}

bool IsSecretHeader(std::string_view name) {
  const std::string lower = ToLower(name);
  return lower == "authorization" || lower == "proxy-authorization" || IsSecretName(name);
}

bool IsSecretValue(std::string_view value) {
  for (const Look& look : kLooks) {
    if (value.size() >= look.least && value.starts_with(look.prefix)) return true;
  }
  if (value.starts_with("-----BEGIN") && value.find("PRIVATE KEY") != std::string_view::npos) return true;
  if (value.size() > 40 && value.starts_with("eyJ") && std::count(value.begin(), value.end(), '.') == 2) return true;
  return IsUrlWithPassword(value);
}

bool IsSwitch(std::string_view value) {
  constexpr std::array<std::string_view, 8> kSwitches{"true", "false", "yes", "no", "on", "off", "none", "null"};
  return IsOneOf(ToLower(value), kSwitches) || (value.size() == 1 && IsDigit(value.front()));
}

std::string SecretInUrl(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) {
    const size_t end = url.find_first_of("/?#", scheme + 3);
    if (url.substr(0, end).find('@') != std::string_view::npos) return "user";
  }
  const size_t query = url.find('?');
  if (query == std::string_view::npos) return "";
  for (const std::string& pair : Split(url.substr(query + 1, url.find('#') - query - 1), '&')) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = pair.substr(0, equals), value = pair.substr(equals + 1);
    if (!value.empty() && !IsSwitch(value) && (IsSecretName(name) || IsSecretValue(value))) return name;
  }
  return "";
}

}  // namespace mcpfleet::convert
