// Runs a package manager in a sandbox: as nobody, the system read-only, one writable directory at /job, the host's
// network. For PackageCache only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "edge-runtime/process/cgroups.h"

namespace mcpfleet {

inline constexpr int64_t kNobody = 65534;

// How the directories of runs are named, and the id (of its cgroup) of a run in such a directory; "" for any other.
inline constexpr std::string_view kToolPrefix = ".work-";
std::string ToolIdOf(std::string_view path);

// A directory below `root` for one run; removed with the object. /job inside is work().
class ToolDirectory {
 public:
  static StatusOr<ToolDirectory> Make(const std::string& root);
  ToolDirectory(ToolDirectory&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  ToolDirectory& operator=(ToolDirectory&&) = delete;
  ~ToolDirectory();
  const std::string& path() const { return path_; }
  std::string work() const { return path_ + "/job"; }
  // A file that the tool may read and change.
  Status WriteFile(const std::string& name, std::string_view content) const;

 private:
  explicit ToolDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

struct ToolBind {
  std::string source, target;
  bool writable = false;
};
struct ToolRun {
  std::vector<std::string> argv;  // argv[0] absolute
  std::vector<std::string> env;
  std::vector<ToolBind> binds;
};
struct ToolResult {
  int code = 0;
  bool oom = false;
  std::string output;  // last part of what it printed, times cut off
};

// Runs to the end. An exit code other than 0 is no error here.
StatusOr<ToolResult> RunTool(const ToolDirectory& directory, const ToolRun& run, const std::string& sandbox_binary,
                             const Cgroups& cgroups, Deadline deadline);

// Waits until the run in this directory has ended, also one of an mcplet before this, and until what watched it has
// written how. One that lasts until the deadline is killed. OK when there is none.
Status AwaitToolEnd(const std::string& directory, Deadline deadline);

// Absolute real path of a program: as given when it has a slash, else from PATH; "" when there is none.
std::string FindProgram(const std::string& name);
// The system's Python, for pypi packages: it must be below /usr, which every sandbox sees.
StatusOr<std::string> FindPython(const std::string& name);
// Proxies, certificates and the like from our own environment whose names start with one of `prefixes`.
std::vector<std::string> ForwardedEnvironment(const std::vector<std::string>& prefixes);
// Owner root, readable by all, writable by none but root, no set-id bits: for what nobody's tool has left.
Status SealTree(const std::string& path);
int64_t TreeBytes(const std::string& path);

}  // namespace mcpfleet
