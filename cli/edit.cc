#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <ostream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/argv.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/strings.h"
#include "cli/apply.h"
#include "cli/fleet.h"
#include "cli/secrets.h"
#include "cli/trusted_state.h"
#include "cli/verbs.h"
#include "crd/codec.h"
#include "crd/manifest.h"

namespace mcpfleet::cli {
namespace {

// $EDITOR may carry options ("code --wait"); it is split at spaces, never given to a shell.
Status RunEditor(const std::string& path) {
  const char* set = getenv("VISUAL");
  if (set == nullptr || *set == '\0') set = getenv("EDITOR");
  std::vector<std::string> words;
  for (std::string& word : Split(set == nullptr || *set == '\0' ? "vi" : set, ' ')) {
    if (!word.empty()) words.push_back(std::move(word));
  }
  words.push_back(path);
  const std::vector<char*> argv = ArgvOf(words);
  pid_t pid = fork();
  if (pid < 0) return ErrnoStatus(errno, "fork");
  if (pid == 0) {
    execvp(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    return NotFound("the editor \"" + words.front() + "\" could not be started; set EDITOR");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return Cancelled("the editor failed; nothing was written");
  return OkStatus();
}

std::string Editable(const Object& object) {
  Json json = ObjectToJson(object);
  for (const char* assigned : {"uid", "generation", "creationTimestamp"}) json["metadata"].erase(assigned);
  return "# Edit and save; an unchanged or empty file changes nothing. Comments are not kept.\n" + ObjectToYaml(json);
}

Status RunEdit(Session& session, const ResourceOptions& resources) {
  ASSIGN_OR_RETURN(Selection selection, Select(session, resources));
  if (selection.names.size() != 1) return InvalidArgument("one object at a time: mcpctl edit mcp/NAME");
  ASSIGN_OR_RETURN(Deadline deadline, session.RequestDeadline());
  Fleet fleet;
  ASSIGN_OR_RETURN(fleet.desired, ReadTrustedState(session, deadline));
  ASSIGN_OR_RETURN(std::vector<const Object*> found, Find(fleet, selection));
  const std::string original = Editable(*found.front());

  const char* directory = getenv("TMPDIR");
  std::string pattern =
      std::string(directory == nullptr || *directory == '\0' ? "/tmp" : directory) + "/mcpctl-edit-XXXXXX.yaml";
  UniqueFd fd(mkstemps(pattern.data(), 5));
  if (!fd.valid()) return ErrnoStatus(errno, pattern);
  RETURN_IF_ERROR(WriteAll(fd.get(), original, Deadline::Never()));
  fd.Reset();
  for (std::string refused;;) {
    if (Status ran = RunEditor(pattern); !ran.ok()) {
      if (refused.empty()) unlink(pattern.c_str());
      return ran;
    }
    ASSIGN_OR_RETURN(std::string edited, ReadFile(pattern, limits::kManifestBytes));
    if (edited == original || Trim(edited).empty()) {
      unlink(pattern.c_str());
      session.err() << "Edit cancelled, no changes made.\n";
      return OkStatus();
    }
    std::vector<Violation> violations;
    auto objects = ParseManifest(edited, pattern, &violations);
    if (objects.ok() && objects->size() == 1 && KeyOf(objects->front().object) == KeyOf(*found.front())) {
      ChangeSet changes{.set = {objects->front().object}};
      if (Status usable = CheckSecretsOfChange(session, changes); !usable.ok())
        return Annotate(usable, "your edit is in " + pattern);
      unlink(pattern.c_str());
      return WriteChanges(session, changes, "edit " + NameOf(KeyOf(*found.front())), false).status();
    }
    if (edited == refused) return Cancelled("left as it was refused; nothing was written, your edit is in " + pattern);
    refused = edited;
    for (const Violation& violation : violations) session.err() << ToString(violation) << "\n";
    if (violations.empty()) session.err() << "the file must hold this one object, with its kind, name and namespace\n";
    if (isatty(STDIN_FILENO) != 1) return InvalidArgument("nothing was written; your edit is in " + pattern);
    session.err() << "your edit is in " << pattern << "; the editor opens again\n";
  }
}

}  // namespace

void RegisterEdit(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("edit", "Change one object in $EDITOR");
  auto resources = std::make_shared<ResourceOptions>();
  command->footer("Examples:\n  EDITOR=nano mcpctl edit mcp/weather");
  AddResourceOptions(*command, resources.get(), false);
  command->callback([resources, &session] { session.Finish(RunEdit(session, *resources)); });
}

}  // namespace mcpfleet::cli
