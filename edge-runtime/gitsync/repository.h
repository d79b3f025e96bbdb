// One branch of one repository, as a sync needs it: fetched into a bare repository of its own, judged by its signature,
// and its manifests written out. Nothing is ever checked out by git: no filters, no attributes, no links.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "edge-runtime/gitsync/git_program.h"
#include "edge-runtime/gitsync/git_url.h"
#include "gitops/sync_status.h"

namespace mcpfleet::gitsync {

// Who may sign. Exactly one of the first two, or `none`.
struct Verification {
  std::string allowed_signers;  // a file as of ssh-keygen(1), ALLOWED SIGNERS
  std::string gpg_home;         // a GnuPG directory that holds the keys of those who may sign, and no others
  bool none = false;            // said on purpose: every commit is good
};

class Repository {
 public:
  Repository(GitProgram git, GitUrl url, std::string branch, Verification verification)
      : git_(std::move(git)), url_(std::move(url)), branch_(std::move(branch)), verify_(std::move(verification)) {}

  // The tip of the branch, after a fetch. Unavailable: nothing new is known.
  StatusOr<SyncCommit> Fetch(Deadline deadline);
  // Whether `ancestor` is `commit` or before it. False also for one that is not there (any more).
  StatusOr<bool> IsAncestor(const std::string& ancestor, const std::string& commit, Deadline deadline);
  // OK, and commit->signer; PermissionDenied says what is wrong with its signature.
  Status Verify(SyncCommit* commit, Deadline deadline);
  // The manifests of the commit (*.yaml, *.yml, *.json and Kustomization) below `to`, which is emptied first, with
  // their paths. FailedPrecondition for a link or a submodule below `path`, which would be something else elsewhere.
  // Bounds: 10,000 files, 64 MiB.
  Status Export(const std::string& commit, const std::string& path, const std::string& to, Deadline deadline);
  // Packs what has become loose; now and then.
  Status Tidy(Deadline deadline);

 private:
  Status Open(Deadline deadline);
  std::vector<std::string> SignatureConfig() const;
  StatusOr<SyncCommit> Describe(const std::string& id, Deadline deadline);

  const GitProgram git_;
  const GitUrl url_;
  const std::string branch_;
  const Verification verify_;
};

// What of `git ls-tree -r -l -z` is written out. Pure. Errors as Repository::Export.
struct TreeFile {
  std::string path, object;
  size_t size = 0;
};
StatusOr<std::vector<TreeFile>> ManifestsIn(std::string_view listing, const std::string& path);

}  // namespace mcpfleet::gitsync
