#include "edge-runtime/gitsync/ssh_words.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/argv.h"

namespace mcpfleet::gitsync {

std::vector<std::string> SshEnvironment(const std::string& self, const SshFiles& files) {
  return {"GIT_SSH=" + self, "GIT_SSH_VARIANT=ssh", std::string(kSshRole) + "=1",
          std::string(kSshKey) + "=" + files.key, std::string(kSshKnownHosts) + "=" + files.known_hosts};
}

std::vector<std::string> SshWords(const SshFiles& files, const std::vector<std::string>& git) {
  std::vector<std::string> words = {"ssh", "-F", "none"};
  const auto set = [&words](const std::string& option) { words.insert(words.end(), {"-o", option}); };
  for (const char* option :
       {"BatchMode=yes", "StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no",
        "IdentitiesOnly=yes", "IdentityAgent=none", "PreferredAuthentications=publickey", "ForwardAgent=no",
        "ClearAllForwardings=yes", "PermitLocalCommand=no", "ControlMaster=no", "ControlPath=none", "ConnectTimeout=20",
        "ServerAliveInterval=15"})
    set(option);
  // In quotes: ssh splits what stands behind the option's name.
  set("UserKnownHostsFile=\"" + files.known_hosts + "\"");
  set(files.key.empty() ? "IdentityFile=none" : "IdentityFile=\"" + files.key + "\"");
  words.insert(words.end(), git.begin(), git.end());
  return words;
}

void BecomeSshIfAsked(int argc, char** argv) {
  if (getenv(kSshRole) == nullptr) return;
  const char *key = getenv(kSshKey), *known_hosts = getenv(kSshKnownHosts);
  const std::vector<std::string> words =
      SshWords({key == nullptr ? "" : key, known_hosts == nullptr ? "" : known_hosts}, {argv + 1, argv + argc});
  for (const char* name : {kSshRole, kSshKey, kSshKnownHosts}) unsetenv(name);
  const std::vector<char*> command = ArgvOf(words);
  for (const char* program : {"/usr/bin/ssh", "/usr/local/bin/ssh", "/bin/ssh"}) execv(program, command.data());
  fprintf(stderr, "ssh is not installed (Debian: apt-get install openssh-client)\n");
  _exit(127);
}

}  // namespace mcpfleet::gitsync
