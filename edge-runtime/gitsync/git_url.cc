#include "edge-runtime/gitsync/git_url.h"

#include <algorithm>

#include "base/strings.h"

namespace mcpfleet::gitsync {
namespace {

constexpr char kAllowed[] =
    "; allowed: https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, file:///PATH, http only on a loopback address";

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '\\';
  });
}

Status Refuse(std::string_view shown, std::string_view why) {
  return InvalidArgument("git URL \"" + Printable(shown, 200) + "\": " + std::string(why) + kAllowed);
}

bool IsLoopback(std::string_view host) { return host == "127.0.0.1" || host == "localhost" || host == "[::1]"; }

bool IsHostStart(std::string_view host) { return !host.empty() && host.front() != '-'; }

StatusOr<GitUrl> WithScheme(std::string_view text, size_t separator) {
  const std::string scheme(text.substr(0, separator));
  const std::string_view rest = text.substr(separator + 3);
  const size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  const size_t at = authority.rfind('@');
  const std::string_view user = at == std::string_view::npos ? "" : authority.substr(0, at);
  const std::string_view host_port = at == std::string_view::npos ? authority : authority.substr(at + 1);
  const std::string shown =
      scheme + "://" + std::string(host_port) + std::string(slash == std::string_view::npos ? "" : rest.substr(slash));
  if (scheme == "file") {
    if (!authority.empty()) return Refuse(shown, "file has no host");
    return GitUrl{std::string(text), "file", shown};
  }
  if (scheme != "https" && scheme != "ssh" && scheme != "http") return Refuse(shown, "protocol " + scheme);
  if (slash == std::string_view::npos || slash + 1 == rest.size()) return Refuse(shown, "has no path");
  const size_t bracket = host_port.find(']');
  const size_t colon = host_port.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view host = host_port.substr(0, colon);
  // ssh would read a host that begins with '-' as an option.
  if (!IsHostStart(host) || (!user.empty() && user.front() == '-')) return Refuse(shown, "has no host");
  if (scheme == "http" && !IsLoopback(host)) return Refuse(shown, "http can be read and changed on the way");
  if (user.find(':') != std::string_view::npos || (scheme != "ssh" && !user.empty()))
    return Refuse(shown,
                  "holds a user or a password, which every user of this machine could read; use --git-token-file");
  if (text.find('?') != std::string_view::npos || text.find('#') != std::string_view::npos)
    return Refuse(shown.substr(0, shown.find_first_of("?#")), "has a query or a fragment");
  return GitUrl{std::string(text), scheme, scheme == "ssh" ? std::string(text) : shown};
}

}  // namespace

StatusOr<GitUrl> ParseGitUrl(std::string_view text) {
  if (text.empty() || text.size() > 1024 || !IsPlain(text) || text.front() == '-')
    return Refuse(text.substr(0, 80), "is empty, too long, or has spaces or control characters");
  if (const size_t separator = text.find("://"); separator != std::string_view::npos)
    return WithScheme(text, separator);
  if (text.front() == '/') return GitUrl{"file://" + std::string(text), "file", std::string(text)};
  const size_t at = text.find('@'), colon = text.find(':');
  // git's other transports look like this: ext::command, and what a remote helper calls itself.
  if (colon == std::string_view::npos || at == std::string_view::npos || at > colon || at == 0 ||
      colon + 1 == text.size() || text[colon + 1] == ':' || text.substr(0, colon).find('/') != std::string_view::npos ||
      !IsHostStart(text.substr(at + 1, colon - at - 1)))
    return Refuse(text, "is no URL of a repository");
  return GitUrl{std::string(text), "ssh", std::string(text)};
}

std::string CheckBranch(std::string_view name) {
  constexpr char kBranches[] = "allowed: letters, digits, '.', '_', '-' and '/'";
  if (name.empty() || name.size() > 200) return std::string("has no or too many characters; ") + kBranches;
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || c == '/';
  });
  if (!plain) return std::string("has other characters; ") + kBranches;
  for (const std::string& part : Split(name, '/')) {
    if (part.empty() || part.front() == '.' || part.front() == '-' || part.back() == '.' || part.ends_with(".lock") ||
        part.find("..") != std::string::npos)
      return "is no name of a branch";
  }
  return "";
}

std::string CheckTreePath(std::string_view path) {
  if (path == ".") return "";
  if (path.empty() || path.front() == '/') return "is not relative to the repository; allowed: . or a folder in it";
  for (const std::string& part : Split(path, '/')) {
    if (part == ".." || part == "." || ToLower(part) == ".git" || (part.empty() && !path.ends_with('/')))
      return "has a part \"" + Printable(part, 40) + "\"; allowed: . or a folder of the repository";
  }
  return "";
}

bool IsCommitId(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace mcpfleet::gitsync
