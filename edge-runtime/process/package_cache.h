// npm and PyPI packages as directories that are named by their content, and the Node that runs the former.
//
// A package source name@version is resolved once to a lock: the exact version and integrity of everything below it.
// The lock stays in locks/, so every later run installs the same bytes; its hash is the artifact's digest and the
// directory's name. Installing runs the client's own npm (or pip) with the client's own configuration, but inside a
// sandbox, as nobody, without the package's scripts; only a complete tree gets its final name. After that nothing
// needs the network.
//
//   <root>/locks/<name>@<version>.json   <root>/npm/<hash>/   <root>/pypi/<hash>/   <root>/node/<hash>/
//   <root>/npm-cache/
//
// Errors: NotFound = no such package or version; Unavailable = the registry could not be reached; FailedPrecondition =
// the integrity differs, npm is missing, or the package has no program to run. Thread-safe; one install at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "controller/ports/container_runtime.h"
#include "edge-runtime/process/cgroups.h"

namespace mcpfleet {

struct PackageCacheOptions {
  std::string root;
  std::string sandbox_binary;
  std::string npm_binary, python_binary;
  const Cgroups* cgroups = nullptr;
};

class PackageCache {
 public:
  explicit PackageCache(PackageCacheOptions options) : options_(std::move(options)) {}
  // Makes the directories, removes what a crash left.
  Status Open();

  using Progress = std::function<void(const PullProgress&)>;
  StatusOr<Artifact> Pull(const PackageSource& source, const Progress& progress, Deadline deadline);
  // The directory of the interpreter that /runtime shows for such a package; "" when it needs none of its own.
  std::string RuntimeDirectory(const PackageSource& source) const;
  // Of all trees and downloads that Collect could remove.
  StatusOr<int64_t> Bytes(Deadline deadline);
  Status Collect(const std::vector<std::string>& keep, int64_t quota_bytes, Deadline deadline);

 private:
  StatusOr<Artifact> PullNpm(const PackageSource& source, const Progress& progress, Deadline deadline);
  StatusOr<Artifact> PullPypi(const PackageSource& source, const Progress& progress, Deadline deadline);
  // The stored lock, or a new one.
  StatusOr<std::string> NpmLock(const PackageSource& source, const Progress& progress, Deadline deadline);

  // The tree of a lock below `kind`; there already, or installed now.
  StatusOr<std::string> NpmTree(const std::string& kind, const std::string& manifest, const std::string& lock,
                                Deadline deadline);
  Status InstallNode(const Progress& progress, Deadline deadline);
  bool Enter(Deadline deadline);
  void Leave();

  const PackageCacheOptions options_;
  Mutex mu_;
  CondVar left_;
  bool busy_ GUARDED_BY(mu_) = false;
};

}  // namespace mcpfleet
