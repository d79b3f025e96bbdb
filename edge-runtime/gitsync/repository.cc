#include "edge-runtime/gitsync/repository.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/fd.h"
#include "base/limits.h"
#include "base/strings.h"
#include "gitops/kustomization.h"

namespace mcpfleet::gitsync {
namespace {

constexpr char kTip[] = "refs/mcpfleet/tip";
constexpr size_t kMostFiles = 10'000;
constexpr size_t kMostBytes = size_t{64} << 20;
constexpr size_t kMostListing = size_t{64} << 20;  // of a whole tree

bool IsManifest(std::string_view path) {
  return path.ends_with(".yaml") || path.ends_with(".yml") || path.ends_with(".json") ||
         IsKustomizationName(path.substr(path.rfind('/') + 1));
}

// Whether what a link of that name leads to may be a folder with manifests: a tree says only that it is a link. Names
// like README.md are those of files, and hidden folders are read by nobody.
bool MayBeFolder(std::string_view path) {
  for (const std::string& part : Split(path, '/')) {
    if (part.starts_with('.')) return false;
  }
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot + 1 == name.size()) return true;
  const std::string_view extension = name.substr(dot + 1);
  return !std::all_of(extension.begin(), extension.end(),
                      [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

bool IsBelow(std::string_view path, std::string_view folder) {
  if (folder == ".") return true;
  while (folder.ends_with('/')) folder.remove_suffix(1);
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// Read once and removed after: nothing of it must outlive a crash.
Status WriteNew(const std::string& path, std::string_view content, Deadline deadline) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return ErrnoStatus(errno, path);
  return Annotate(WriteAll(file.get(), content, deadline), path);
}

// One entry of ls-tree: "MODE TYPE OBJECT SIZE\tPATH".
struct Entry {
  std::string mode, object, path;
  size_t size = 0;
};
bool ParseEntry(std::string_view text, Entry* entry) {
  const size_t tab = text.find('\t');
  if (tab == std::string_view::npos) return false;
  std::vector<std::string> words;
  for (std::string& word : Split(text.substr(0, tab), ' ')) {
    if (!word.empty()) words.push_back(std::move(word));
  }
  if (words.size() != 4) return false;
  *entry = {words[0], words[2], std::string(text.substr(tab + 1)), 0};
  const std::string& size = words[3];  // "-" of what is no blob
  std::from_chars(size.data(), size.data() + size.size(), entry->size);
  return IsCommitId(entry->object);
}

}  // namespace

StatusOr<std::vector<TreeFile>> ManifestsIn(std::string_view listing, const std::string& path) {
  std::vector<TreeFile> files;
  size_t bytes = 0;
  bool any = path == ".";
  while (!listing.empty()) {
    const std::string_view text = listing.substr(0, listing.find('\0'));
    listing.remove_prefix(std::min(listing.size(), text.size() + 1));
    Entry entry;
    if (!ParseEntry(text, &entry)) return Internal("git ls-tree: an entry of another form");
    const bool below = IsBelow(entry.path, path);
    any = any || below;
    if (below && entry.mode == "160000")
      return FailedPrecondition(Printable(entry.path, 200) + ": is a submodule; a sync follows none");
    const bool is_link = entry.mode == "120000";
    if (!IsManifest(entry.path) && !(is_link && MayBeFolder(entry.path))) continue;
    if (is_link) {
      // Not followed, so what is behind it would look removed.
      if (below)
        return FailedPrecondition(Printable(entry.path, 200) +
                                  ": is a symbolic link; write the file, or name its folder in a kustomization.yaml");
      continue;
    }
    if (!entry.mode.starts_with("100")) continue;
    if (!CheckTreePath(entry.path).empty())
      return FailedPrecondition(Printable(entry.path, 200) + ": is no path of a file");
    if (entry.size > limits::kManifestBytes)
      return FailedPrecondition(Printable(entry.path, 200) + ": is larger than 10 MB");
    bytes += entry.size;
    files.push_back({entry.path, entry.object, entry.size});
    if (files.size() > kMostFiles || bytes > kMostBytes)
      return FailedPrecondition("the repository has more than " + std::to_string(kMostFiles) +
                                " manifests, or more than 64 MiB of them");
  }
  if (!any) return FailedPrecondition("there is no folder " + Printable(path, 200) + " in the commit");
  return files;
}

Status Repository::Open(Deadline deadline) {
  const std::string config = git_.directory() + "/repository/config";
  if (access(config.c_str(), F_OK) == 0) return OkStatus();
  return git_.Out({"init", "--quiet", "--bare", "--template=", "--initial-branch=none"}, deadline).status();
}

StatusOr<SyncCommit> Repository::Describe(const std::string& id, Deadline deadline) {
  ASSIGN_OR_RETURN(
      const std::string text,
      git_.Out({"log", "-1", "--no-show-signature", "--format=%H%x00%s%x00%an <%ae>%x00%ct", id, "--"}, deadline));
  const std::vector<std::string> parts = Split(Trim(text), '\0');
  if (parts.size() != 4 || !IsCommitId(parts[0])) return Internal("git log: an answer of another form");
  int64_t seconds = 0;
  std::from_chars(parts[3].data(), parts[3].data() + parts[3].size(), seconds);
  SyncCommit commit{.id = parts[0], .subject = Printable(parts[1], 200), .author = Printable(parts[2], 200)};
  commit.time = WallTime(std::chrono::seconds(std::clamp<int64_t>(seconds, 0, 4'000'000'000)));
  return commit;
}

StatusOr<SyncCommit> Repository::Fetch(Deadline deadline) {
  RETURN_IF_ERROR(Open(deadline));
  StatusOr<GitResult> fetched =
      git_.Run({"fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc",
                "--force", "--", url_.url, "refs/heads/" + branch_ + ":" + kTip},
               deadline);
  if (!fetched.ok()) return Unavailable(Message(fetched.status()));
  if (fetched->code != 0)
    return Unavailable("branch " + branch_ + " of " + url_.shown + " can't be fetched: " + GitSaid(*fetched));
  ASSIGN_OR_RETURN(const std::string id,
                   git_.Out({"rev-parse", "--verify", "--quiet", std::string(kTip) + "^{commit}"}, deadline));
  return Describe(std::string(Trim(id)), deadline);
}

StatusOr<bool> Repository::IsAncestor(const std::string& ancestor, const std::string& commit, Deadline deadline) {
  ASSIGN_OR_RETURN(const GitResult present, git_.Run({"cat-file", "-e", ancestor + "^{commit}"}, deadline));
  if (present.code != 0) return false;
  ASSIGN_OR_RETURN(const GitResult result, git_.Run({"merge-base", "--is-ancestor", ancestor, commit}, deadline));
  if (result.code > 1) return FailedPrecondition("git merge-base: " + GitSaid(result));
  return result.code == 0;
}

std::vector<std::string> Repository::SignatureConfig() const {
  if (!verify_.allowed_signers.empty())
    return {"gpg.ssh.program=ssh-keygen", "gpg.ssh.allowedSignersFile=" + verify_.allowed_signers};
  if (!verify_.gpg_home.empty()) return {"gpg.program=gpg"};
  return {};
}

Status Repository::Verify(SyncCommit* commit, Deadline deadline) {
  if (verify_.none) return OkStatus();
  const std::vector<std::string> config = SignatureConfig();
  const std::string name = "commit " + commit->id.substr(0, 12);
  ASSIGN_OR_RETURN(const GitResult verified, git_.Run({"verify-commit", "--raw", commit->id}, deadline, config));
  ASSIGN_OR_RETURN(
      const std::string who,
      git_.Out({"log", "-1", "--no-show-signature", "--format=%G?%x00%GS%x00%GK", commit->id, "--"}, deadline, config));
  std::vector<std::string> parts = Split(who, '\0');
  parts.resize(3);
  // N: none, or one of a kind whose program is not run here. Everything but a good signature by somebody who is known
  // fails verify-commit already; G and, of GnuPG without a web of trust, U are what is left.
  const std::string judged = parts[0];
  if (judged == "N" || judged.empty()) {
    return PermissionDenied(name + " (" + commit->author + ") is not signed, or in another way than the one (" +
                            (verify_.gpg_home.empty() ? "ssh" : "GnuPG") + ") that counts here");
  }
  const bool known = judged == "G" || (judged == "U" && !verify_.gpg_home.empty());
  if (verified.code != 0 || !known) {
    const std::string by = Trim(parts[2]).empty() ? "" : " by key " + Printable(Trim(parts[2]), 100);
    return PermissionDenied(name + " (" + commit->author + ") is signed" + by + ", which is none that may sign here");
  }
  commit->signer = Printable(Trim(parts[1]), 200);
  if (commit->signer.empty()) commit->signer = Printable(Trim(parts[2]), 200);
  return OkStatus();
}

Status Repository::Export(const std::string& commit, const std::string& path, const std::string& to,
                          Deadline deadline) {
  ASSIGN_OR_RETURN(const std::string listing,
                   git_.Out({"ls-tree", "-r", "-l", "-z", "--full-tree", commit}, deadline, {}, "", kMostListing));
  ASSIGN_OR_RETURN(const std::vector<TreeFile> files, ManifestsIn(listing, path));
  RETURN_IF_ERROR(RemoveTree(to));
  RETURN_IF_ERROR(MakeDirectories(to, 0700));
  std::string wanted;
  size_t expected = 0;
  for (const TreeFile& file : files) {
    wanted += file.object + "\n";
    expected += file.size + 128;
  }
  ASSIGN_OR_RETURN(const std::string answer, git_.Out({"cat-file", "--batch"}, deadline, {}, wanted, expected));
  // Of each: "OBJECT blob SIZE\n", its bytes, "\n".
  std::string_view rest = answer;
  for (const TreeFile& file : files) {
    const std::string head = file.object + " blob " + std::to_string(file.size) + "\n";
    if (!rest.starts_with(head) || rest.size() < head.size() + file.size + 1)
      return Internal("git cat-file: an answer of another form for " + Printable(file.path, 200));
    const std::string target = to + "/" + file.path;
    RETURN_IF_ERROR(MakeDirectories(target.substr(0, target.rfind('/')), 0700));
    RETURN_IF_ERROR(WriteNew(target, rest.substr(head.size(), file.size), deadline));
    rest.remove_prefix(head.size() + file.size + 1);
  }
  // The folder itself may hold no manifest: rendering says so.
  return path == "." ? OkStatus() : MakeDirectories(to + "/" + path, 0700);
}

Status Repository::Tidy(Deadline deadline) {
  return git_.Out({"gc", "--auto", "--quiet"}, deadline, {"gc.auto=500", "gc.autoDetach=false"}).status();
}

}  // namespace mcpfleet::gitsync
