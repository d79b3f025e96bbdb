// Which repositories a sync may read from, and how: decided from the URL alone, before git sees it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mcpfleet::gitsync {

struct GitUrl {
  std::string url;       // as git gets it
  std::string protocol;  // "https", "ssh", "file" or (loopback only) "http": the only one that is allowed then
  std::string shown;     // without what could be a credential
};

// https://HOST/PATH, ssh://[USER@]HOST[:PORT]/PATH, USER@HOST:PATH, file:///PATH or /PATH of this machine, and http on
// a loopback address. InvalidArgument otherwise: also for a password in the URL, which would show in lists of
// processes.
StatusOr<GitUrl> ParseGitUrl(std::string_view text);
// "" when `name` can be a branch, else what is wrong: stricter than git's own rules.
std::string CheckBranch(std::string_view name);
// "" when `path` is relative and stays below where it begins.
std::string CheckTreePath(std::string_view path);
// 40 or 64 lower-case hex digits.
bool IsCommitId(std::string_view text);

}  // namespace mcpfleet::gitsync
