// A repository with an author for the tests, and programs run for it: real git, ssh-keygen and gpg, in a temporary
// directory, with nothing of the user's configuration.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "edge-runtime/gitsync/git_program.h"
#include "tests/store/testing.h"

namespace mcpfleet::gitsync {

class GitWorld {
 public:
  GitWorld();
  ~GitWorld();
  // A program of PATH, in the author's work tree; the test fails when it does, its output comes back.
  std::string Run(const std::vector<std::string>& argv);
  std::string Git(std::vector<std::string> args);
  // The fleet's repository, as a sync reads it.
  std::string url() const { return "file://" + dir_.path() + "/fleet.git"; }
  std::string operator/(const std::string& name) const { return dir_ / name; }
  void File(const std::string& path, const std::string& content);
  // Commits everything and pushes; its id. `key`: who signs ("" for nobody), of MakeSshKey or a gpg id.
  std::string Commit(const std::string& message, const std::string& key = "");
  std::string CommitWithGpg(const std::string& message);
  // A key pair; its private file.
  std::string MakeSshKey(const std::string& name);
  // The file of allowed signers with these keys in it.
  std::string Allow(const std::vector<std::string>& names);
  // A GnuPG home with one key for signing; the keyring of those who trust it, without the secret.
  std::string MakeGpg();

 private:
  std::string Push();
  testing::TempDir dir_;
  std::string gpg_home_;
};

// "apiVersion…" of a server.
std::string ManifestOf(const std::string& name, const std::string& version = "1", const std::string& more = "");

}  // namespace mcpfleet::gitsync
