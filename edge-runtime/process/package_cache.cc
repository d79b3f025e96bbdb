#include "edge-runtime/process/package_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/strings.h"
#include "edge-runtime/process/package_tool.h"
#include "edge-runtime/process/pinned_node.h"

namespace mcpfleet {

Status PackageCache::Open() {
  // 0755: the trees are mounted into sandboxes that run as nobody.
  for (const char* name : {"locks", "npm", "pypi", "node", "npm-cache"}) {
    RETURN_IF_ERROR(MakeDirectories(options_.root + "/" + name, 0755));
  }
  const std::string cache = options_.root + "/npm-cache";
  if (geteuid() == 0 && lchown(cache.c_str(), kNobody, kNobody) != 0) return ErrnoStatus(errno, cache);
  DIR* listing = opendir(options_.root.c_str());
  if (listing == nullptr) return ErrnoStatus(errno, options_.root);
  std::vector<std::string> left;
  while (const dirent* entry = readdir(listing)) {
    if (!ToolIdOf(entry->d_name).empty()) left.emplace_back(entry->d_name);
  }
  closedir(listing);
  for (const std::string& name : left) {
    // Its processes ended with the mcplet that began it, or end now: none writes while the directory goes.
    const std::string path = options_.root + "/" + name;
    const Deadline deadline = Deadline::After(std::chrono::seconds(10));
    Status gone = options_.cgroups->Remove(ToolIdOf(name), deadline);
    if (gone.ok()) gone = AwaitToolEnd(path, deadline);
    if (gone.ok()) gone = RemoveTree(path);
    // Nobody uses it again, and the next start tries again: no reason not to run.
    if (!gone.ok()) LOG_WARNING("an unfinished install can't be removed", {{"directory", path}, {"error", gone}});
  }
  return OkStatus();
}

bool PackageCache::Enter(Deadline deadline) {
  MutexLock lock(&mu_);
  while (busy_) {
    if (!left_.WaitUntil(&mu_, deadline)) return false;
  }
  busy_ = true;
  return true;
}

void PackageCache::Leave() {
  MutexLock lock(&mu_);
  busy_ = false;
  left_.NotifyOne();
}

StatusOr<Artifact> PackageCache::Pull(const PackageSource& source, const Progress& progress, Deadline deadline) {
  if (!Enter(deadline)) return DeadlineExceeded("package " + source.name + ": another install is still going on");
  StatusOr<Artifact> artifact = source.manager == PackageManager::kNpm ? PullNpm(source, progress, deadline)
                                                                       : PullPypi(source, progress, deadline);
  Leave();
  if (!artifact.ok()) return Annotate(artifact.status(), "package " + source.name + "@" + source.version);
  return artifact;
}

namespace {

struct Tree {
  std::string path;
  std::string digest;
  int64_t bytes = 0;
  timespec used{};
};

std::vector<Tree> Trees(const std::string& directory) {
  std::vector<Tree> trees;
  DIR* listing = opendir(directory.c_str());
  if (listing == nullptr) return trees;
  while (const dirent* entry = readdir(listing)) {
    struct stat st;
    Tree tree{.path = directory + "/" + entry->d_name, .digest = std::string("sha256:") + entry->d_name};
    if (!IsSha256Hex(entry->d_name) || lstat(tree.path.c_str(), &st) != 0) continue;
    tree.used = st.st_mtim;
    tree.bytes = TreeBytes(tree.path);
    trees.push_back(std::move(tree));
  }
  closedir(listing);
  return trees;
}

// All trees below `root` that may go. A Node of an earlier version still serves instances that were made with it; it
// goes when it is old and room is needed, as anything else: what is mounted lives on in the mounts.
std::vector<Tree> RemovableTrees(const std::string& root) {
  std::vector<Tree> trees;
  for (const char* kind : {"npm", "pypi"}) {
    for (Tree& tree : Trees(root + "/" + kind)) trees.push_back(std::move(tree));
  }
  for (Tree& tree : Trees(root + "/node")) {
    if (tree.digest != "sha256:" + Sha256Hex(kNodeLock)) trees.push_back(std::move(tree));
  }
  return trees;
}

}  // namespace

StatusOr<int64_t> PackageCache::Bytes(Deadline deadline) {
  if (!Enter(deadline)) return DeadlineExceeded("packages: an install is going on");
  int64_t total = TreeBytes(options_.root + "/npm-cache");
  for (const Tree& tree : RemovableTrees(options_.root)) total += tree.bytes;
  Leave();
  return total;
}

Status PackageCache::Collect(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline) {
  if (!Enter(deadline)) return DeadlineExceeded("packages: an install is going on");
  std::vector<Tree> trees = RemovableTrees(options_.root);
  const std::string cache = options_.root + "/npm-cache";
  int64_t total = TreeBytes(cache);
  for (const Tree& tree : trees) total += tree.bytes;
  Status status = OkStatus();
  // Downloads first: they can be had again and nothing runs from them.
  if (total > quota_bytes) {
    total -= TreeBytes(cache);
    status = RemoveTree(cache);
    if (status.ok()) status = MakeDirectories(cache, 0755);
    if (status.ok() && lchown(cache.c_str(), kNobody, kNobody) != 0) status = ErrnoStatus(errno, cache);
  }
  std::sort(trees.begin(), trees.end(), [](const Tree& a, const Tree& b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  for (const Tree& tree : trees) {
    if (!status.ok() || total <= quota_bytes) break;
    if (std::count(keep.begin(), keep.end(), tree.digest) > 0) continue;
    // First out of the way in one step, so that a half-removed tree is never taken for a complete one.
    const std::string dead = options_.root + "/.work-" + RandomHex(8);
    if (rename(tree.path.c_str(), dead.c_str()) != 0) {
      status = ErrnoStatus(errno, tree.path);
      break;
    }
    status = RemoveTree(dead);
    total -= tree.bytes;
    LOG_INFO("package removed to stay under the quota", {{"digest", tree.digest}});
  }
  Leave();
  return status;
}

}  // namespace mcpfleet
