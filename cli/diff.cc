#include <ostream>

#include <CLI/CLI.hpp>

#include "cli/manifest_input.h"
#include "cli/object_diff.h"
#include "cli/resource.h"
#include "cli/verbs.h"
#include "store/reader.h"

namespace mcpfleet::cli {
namespace {

StatusOr<bool> RunDiff(Session& session, const FileOptions& files) {
  ASSIGN_OR_RETURN(std::vector<ManifestObject> manifests, ReadValidManifests(session, files));
  ASSIGN_OR_RETURN(KvClient * kv, session.Config());
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(StoredState state, ReadState(*kv, deadline));
  bool different = false;
  for (const ManifestObject& manifest : manifests) {
    auto stored = state.objects.find(KeyOf(manifest.object));
    const Object* before = stored == state.objects.end() ? nullptr : &stored->second;
    Object after = manifest.object;
    if (before != nullptr) KeepOwnNotes(*before, &after);
    const std::string name = Described(KeyOf(manifest.object));
    const std::string diff =
        ObjectDiff(before, &after, name + " (store)", name + " (" + manifest.file + ")", session.color());
    different = different || !diff.empty();
    session.out() << diff;
  }
  return different;
}

}  // namespace

void RegisterDiff(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("diff", "What apply would change");
  auto files = std::make_shared<FileOptions>();
  command->footer("Exit code 0: no difference, 1: different, 2: failed.\n\nExamples:\n  mcpctl diff -f manifests/ -R");
  AddFileOptions(*command, files.get());
  command->callback([files, &session] {
    StatusOr<bool> different = RunDiff(session, *files);
    session.Finish(different.status(), kExitUsage);
    if (different.ok() && *different) session.SetExitCode(kExitFailed);
  });
}

}  // namespace mcpfleet::cli
