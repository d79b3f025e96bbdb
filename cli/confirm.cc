#include "cli/confirm.h"

#include <unistd.h>

#include <iostream>

#include "base/strings.h"

namespace mcpfleet::cli {

namespace {

Status Answer(Session& session, const std::string& what) {
  session.err() << what << "? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  const std::string said = ToLower(Trim(answer));
  if (said == "y" || said == "yes") return OkStatus();
  return Cancelled("nothing was done");
}

}  // namespace

Status Confirm(Session& session, bool yes, const std::string& what) {
  if (yes) return OkStatus();
  if (isatty(STDIN_FILENO) != 1)
    return InvalidArgument(what + " can't be taken back, and nobody can be asked here: say --yes");
  return Answer(session, what);
}

Status Ask(Session& session, bool yes, const std::string& what) {
  if (yes) return OkStatus();
  if (isatty(STDIN_FILENO) != 1) return InvalidArgument("nobody can be asked here whether to " + what + ": say --yes");
  return Answer(session, what);
}

}  // namespace mcpfleet::cli
