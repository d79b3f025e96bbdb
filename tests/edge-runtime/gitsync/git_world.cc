#include "tests/edge-runtime/gitsync/git_world.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/argv.h"
#include "base/fd.h"
#include "base/strings.h"

namespace mcpfleet::gitsync {

GitWorld::GitWorld() {
  signal(SIGPIPE, SIG_IGN);  // as mcplet does: a program may end before it has read its input
  EXPECT_OK(MakeDirectories(dir_ / "work"));
  EXPECT_OK(MakeDirectories(dir_ / "home", 0700));
  Run({"git", "init", "--quiet", "--bare", "--initial-branch=main", dir_ / "fleet.git"});
  Git({"init", "--quiet", "--initial-branch=main"});
  Git({"remote", "add", "origin", dir_ / "fleet.git"});
}

GitWorld::~GitWorld() {
  // gpg leaves an agent behind.
  if (!gpg_home_.empty()) Run({"gpgconf", "--homedir", gpg_home_, "--kill", "all"});
}

std::string GitWorld::Run(const std::vector<std::string>& argv) {
  const std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                                "HOME=" + (dir_ / "home"),
                                                "GNUPGHOME=" + gpg_home_,
                                                "GIT_CONFIG_NOSYSTEM=1",
                                                "GIT_AUTHOR_NAME=Ann",
                                                "GIT_AUTHOR_EMAIL=ann@example.com",
                                                "GIT_COMMITTER_NAME=Ann",
                                                "GIT_COMMITTER_EMAIL=ann@example.com"};
  const std::vector<char*> words = ArgvOf(argv), envp = ArgvOf(environment);
  const std::string log = dir_ / "output", work = dir_ / "work";
  const pid_t pid = fork();
  if (pid == 0) {
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    if (chdir(work.c_str()) != 0) _exit(126);
    execvpe(words[0], words.data(), envp.data());
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  const std::string output = ReadFile(log, size_t{1} << 20).value_or("");
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << Join(argv, " ") << ": " << output;
  return std::string(Trim(output));
}

std::string GitWorld::Git(std::vector<std::string> args) {
  args.insert(args.begin(), "git");
  return Run(args);
}

void GitWorld::File(const std::string& path, const std::string& content) {
  const std::string file = dir_ / ("work/" + path);
  EXPECT_OK(MakeDirectories(file.substr(0, file.rfind('/'))));
  EXPECT_OK(WriteFileAtomically(file, content, 0644));
}

std::string GitWorld::Push() {
  Git({"push", "--quiet", "--force", "origin", "main"});
  return Git({"rev-parse", "HEAD"});
}

std::string GitWorld::Commit(const std::string& message, const std::string& key) {
  Git({"add", "--all"});
  if (key.empty()) {
    Git({"commit", "--quiet", "--allow-empty", "--no-gpg-sign", "-m", message});
  } else {
    Git({"-c", "gpg.format=ssh", "-c", "user.signingkey=" + (dir_ / key), "commit", "--quiet", "--allow-empty", "-S",
         "-m", message});
  }
  return Push();
}

std::string GitWorld::CommitWithGpg(const std::string& message) {
  Git({"add", "--all"});
  Git({"-c", "user.signingkey=ann@example.com", "commit", "--quiet", "--allow-empty", "-S", "-m", message});
  return Push();
}

std::string GitWorld::MakeSshKey(const std::string& name) {
  Run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", dir_ / name});
  return dir_ / name;
}

std::string GitWorld::Allow(const std::vector<std::string>& names) {
  std::string lines;
  for (const std::string& name : names) {
    const std::string key = ReadFile(dir_ / (name + ".pub"), 4096).value_or("");
    lines += name + "@example.com namespaces=\"git\" " + key;
  }
  const std::string file = dir_ / "allowed-signers";
  EXPECT_OK(WriteFileAtomically(file, lines));
  return file;
}

std::string GitWorld::MakeGpg() {
  gpg_home_ = dir_ / "gnupg";
  const std::string readers = dir_ / "readers";
  EXPECT_OK(MakeDirectories(gpg_home_, 0700));
  EXPECT_OK(MakeDirectories(readers, 0700));
  Run({"gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "Ann <ann@example.com>", "ed25519",
       "sign", "never"});
  Run({"gpg", "--batch", "--quiet", "--output", dir_ / "ann.gpg", "--export", "ann@example.com"});
  Run({"gpg", "--homedir", readers, "--batch", "--quiet", "--no-autostart", "--import", dir_ / "ann.gpg"});
  return readers;
}

std::string ManifestOf(const std::string& name, const std::string& version, const std::string& more) {
  return "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata: {name: " + name +
         "}\nspec:\n  source:\n    image: {ref: \"example/" + name + ":" + version + "\"}\n" + more;
}

}  // namespace mcpfleet::gitsync
