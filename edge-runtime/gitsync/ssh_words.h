// ssh for git, without a shell and without the user's configuration. git is told to run mcplet as its ssh (GIT_SSH); in
// that process mcplet becomes ssh with these words before git's own. GIT_SSH_COMMAND would be read by a shell.
#pragma once

#include <string>
#include <vector>

namespace mcpfleet::gitsync {

struct SshFiles {
  std::string key;          // a private key that needs no passphrase; "": ssh has none to offer
  std::string known_hosts;  // the only keys of hosts that are believed
};
// Set, with the files, in the environment of the process that git starts.
inline constexpr char kSshRole[] = "MCPFLEET_AS_SSH";
inline constexpr char kSshKey[] = "MCPFLEET_SSH_KEY";
inline constexpr char kSshKnownHosts[] = "MCPFLEET_SSH_KNOWN_HOSTS";

// The environment of git for a repository behind ssh. `self`: mcplet's own program.
std::vector<std::string> SshEnvironment(const std::string& self, const SshFiles& files);
// ssh's argv; `git`: what git said behind the program's name.
std::vector<std::string> SshWords(const SshFiles& files, const std::vector<std::string>& git);
// Becomes ssh where kSshRole is set; returns otherwise. First thing in main.
void BecomeSshIfAsked(int argc, char** argv);

}  // namespace mcpfleet::gitsync
