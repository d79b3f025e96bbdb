#include "cli/join_book.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "cli/context.h"

namespace mcpfleet::cli {
namespace {

constexpr std::string_view kSuffix = ".json";
constexpr size_t kFileBytes = 4096;

std::string PathOf(const std::string& id) { return JoinDirectory() + "/" + id + std::string(kSuffix); }

StatusOr<BookedJoin> Load(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, path);
  if ((info.st_mode & 077) != 0)
    return PermissionDenied(path + ": holds a secret but others may read it; run: chmod 600 " + path);
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kFileBytes));
  const StatusOr<Json> json = ParseJson(content);
  if (!json.ok()) return Annotate(json.status(), path);
  BookedJoin join{.id = GetString(*json, "id"),
                  .node = GetString(*json, "node"),
                  .secret = GetString(*json, "secret"),
                  .server = GetString(*json, "server"),
                  .expires = GetString(*json, "expires")};
  if (PathOf(join.id) != path) return InvalidArgument(path + ": is not what mcpctl wrote there; remove it");
  return join;
}

StatusOr<std::vector<std::string>> Paths() {
  const std::string directory = JoinDirectory();
  std::vector<std::string> paths;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) {
    if (errno == ENOENT) return paths;
    return ErrnoStatus(errno, directory);
  }
  for (const dirent* entry = readdir(listing); entry != nullptr; entry = readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (name.size() > kSuffix.size() && name.ends_with(kSuffix)) paths.push_back(directory + "/" + std::string(name));
  }
  closedir(listing);
  return paths;
}

}  // namespace

std::string JoinDirectory() {
  const std::string contexts = ContextPath();
  const size_t slash = contexts.rfind('/');
  return (slash == std::string::npos ? "." : contexts.substr(0, slash)) + "/joins";
}

Status BookJoin(const BookedJoin& join) {
  RETURN_IF_ERROR(MakeDirectories(JoinDirectory(), 0700));
  const Json json = {{"id", join.id},
                     {"node", join.node},
                     {"secret", join.secret},
                     {"server", join.server},
                     {"expires", join.expires}};
  return WriteFileAtomically(PathOf(join.id), DumpJson(json) + "\n", 0600);
}

StatusOr<std::vector<BookedJoin>> BookedJoins(const std::string& node, const std::string& server) {
  ASSIGN_OR_RETURN(const std::vector<std::string> paths, Paths());
  std::vector<BookedJoin> joins;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(BookedJoin join, Load(path));
    if (join.node == node && join.server == server) joins.push_back(std::move(join));
  }
  std::sort(joins.begin(), joins.end(), [](const BookedJoin& a, const BookedJoin& b) { return a.expires > b.expires; });
  return joins;
}

Status ForgetJoin(const std::string& id) {
  const std::string path = PathOf(id);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, path);
  return OkStatus();
}

void ForgetJoinsOf(const std::string& node, const std::string& server) {
  const StatusOr<std::vector<BookedJoin>> joins = BookedJoins(node, server);
  for (size_t i = 0; joins.ok() && i < joins->size(); ++i) ForgetJoin((*joins)[i].id).IgnoreError();
}

void ForgetOldJoins(WallTime now) {
  const StatusOr<std::vector<std::string>> paths = Paths();
  for (size_t i = 0; paths.ok() && i < paths->size(); ++i) {
    const StatusOr<BookedJoin> join = Load((*paths)[i]);
    if (!join.ok()) continue;
    const StatusOr<WallTime> expires = ParseTime(join->expires);
    if (!expires.ok() || *expires + kJoinGrace < now) ForgetJoin(join->id).IgnoreError();
  }
}

}  // namespace mcpfleet::cli
