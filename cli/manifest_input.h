// The -f of apply, diff, delete and validate: files, directories (their *.yaml, *.yml, *.json; -R for those below),
// globs, and - for stdin; and their -k: a folder that is rendered first, as `mcpctl render` does.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/session.h"
#include "crd/manifest.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

struct FileOptions {
  std::vector<std::string> files;
  bool recursive = false;
  std::string kustomize;

  bool empty() const { return files.empty() && kustomize.empty(); }
  std::string Shown() const { return kustomize.empty() ? "-f " + files.front() : "-k " + kustomize; }
};
void AddFileOptions(CLI::App& command, FileOptions* options);

// The files meant, in order; InvalidArgument when one is absent or a glob or directory matches nothing.
StatusOr<std::vector<std::string>> ExpandFiles(const FileOptions& options);
// The bytes of a file, or of stdin for "-". ResourceExhausted for more than limits::kManifestBytes.
StatusOr<std::string> ReadManifestFile(const std::string& file);
// Every object of every file. Violations of all files go to `violations`; the namespace of -n, else that
// of the context, is put where a manifest has none; one that says another than -n is a violation.
StatusOr<std::vector<ManifestObject>> ReadManifests(Session& session, const FileOptions& options,
                                                    std::vector<Violation>* violations);
// The same, with every violation printed to err() and counted in the error.
StatusOr<std::vector<ManifestObject>> ReadValidManifests(Session& session, const FileOptions& options);

}  // namespace mcpfleet::cli
