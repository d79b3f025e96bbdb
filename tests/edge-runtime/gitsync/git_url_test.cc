#include "edge-runtime/gitsync/git_url.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "edge-runtime/gitsync/repository.h"
#include "edge-runtime/gitsync/ssh_words.h"

namespace mcpfleet::gitsync {
namespace {

TEST(GitUrlTest, EachFormHasItsProtocolAndNoOther) {
  const std::vector<std::vector<std::string>> good = {
      {"https://git.example.com/fleet.git", "https"},
      {"https://git.example.com:8443/a/b", "https"},
      {"ssh://git@git.example.com/fleet.git", "ssh"},
      {"ssh://git@git.example.com:2222/a", "ssh"},
      {"git@git.example.com:org/fleet.git", "ssh"},
      {"file:///srv/fleet.git", "file"},
      {"/srv/fleet.git", "file"},
      {"http://127.0.0.1:3000/fleet.git", "http"},
      {"http://[::1]:3000/fleet.git", "http"},
  };
  for (const auto& each : good) {
    auto url = ParseGitUrl(each[0]);
    ASSERT_TRUE(url.ok()) << url.status();
    EXPECT_EQ(url->protocol, each[1]) << each[0];
  }
}

TEST(GitUrlTest, WhatCouldRunAProgramOrLeakOrBeChangedOnTheWayIsRefused) {
  for (const char* bad : {"",
                          "ext::sh -c true",
                          "ext::true",
                          "fd::7",
                          "-uorigin",
                          "--upload-pack=touch",
                          "ssh://-oProxyCommand=x/y",
                          "git@-oProxyCommand=x:y",
                          "http://git.example.com/fleet.git",
                          "git://git.example.com/fleet.git",
                          "https://user:secret@git.example.com/x",
                          "https://token@git.example.com/x",
                          "ssh://git:secret@h/x",
                          "https://git.example.com",
                          "https://git.example.com/x?token=secret",
                          "https://git.example.com/x#y",
                          "file://host/srv/x",
                          "relative/path",
                          "https://h/a b",
                          "https://h/a\nb",
                          "ftp://h/x",
                          "example.com:fleet"}) {
    auto url = ParseGitUrl(bad);
    EXPECT_FALSE(url.ok()) << bad;
    if (!url.ok()) {
      EXPECT_EQ(Message(url.status()).find("secret"), std::string::npos) << bad;
    }
  }
}

TEST(GitUrlTest, BranchesArePlainNames) {
  for (const char* good : {"main", "release/1.2", "a_b-c.d"}) EXPECT_EQ(CheckBranch(good), "") << good;
  for (const char* bad :
       {"", "-x", "a b", "a..b", "a/", "/a", "a//b", ".a", "a.lock", "x:y", "a~1", "a^", "a@{1}", "ä", "a.", "x/-y"})
    EXPECT_NE(CheckBranch(bad), "") << bad;
}

TEST(GitUrlTest, PathsStayInTheRepository) {
  for (const char* good : {".", "sites", "sites/berlin", "sites/berlin/"}) EXPECT_EQ(CheckTreePath(good), "") << good;
  for (const char* bad : {"", "/etc", "..", "a/../..", "./a", "a//b", ".git", "a/.GIT/b"})
    EXPECT_NE(CheckTreePath(bad), "") << bad;
}

std::string Row(const std::string& mode, const std::string& path, const std::string& size = "12") {
  return mode + (mode == "160000" ? " commit " : " blob ") + std::string(40, 'a') + "    " + size + "\t" + path + '\0';
}

TEST(GitTreeTest, OnlyManifestsAreWrittenOut) {
  auto files = ManifestsIn(Row("100644", "README.md") + Row("100644", "a/x.yaml") + Row("100755", "a/run.sh") +
                               Row("100644", "a/Kustomization") + Row("100644", "b.json"),
                           ".");
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 3u);
  EXPECT_EQ((*files)[0].path, "a/x.yaml");
  EXPECT_EQ((*files)[0].size, 12u);
}

TEST(GitTreeTest, LinksAndSubmodulesBelowThePathAreRefusedAndOthersAreNot) {
  EXPECT_FALSE(ManifestsIn(Row("120000", "a/x.yaml"), "a").ok());
  // A folder, for all that the tree says.
  for (const char* folder : {"a/shared", "a/v1.2", "a"})
    EXPECT_FALSE(ManifestsIn(Row("120000", folder) + Row("100644", "a/y.yaml"), "a").ok()) << folder;
  for (const char* harmless : {"a/README.md", "a/.github/shared", "b/shared"})
    EXPECT_TRUE(ManifestsIn(Row("120000", harmless) + Row("100644", "a/y.yaml"), "a").ok()) << harmless;
  EXPECT_FALSE(ManifestsIn(Row("160000", "a/sub", "-"), ".").ok());
  EXPECT_TRUE(
      ManifestsIn(Row("160000", "b/sub", "-") + Row("120000", "b/x.yaml") + Row("100644", "a/y.yaml"), "a").ok());
  EXPECT_TRUE(ManifestsIn(Row("160000", "ab/sub", "-") + Row("100644", "a/y.yaml"), "a").ok());
}

TEST(GitTreeTest, TooMuchAndWhatIsNotThereIsRefused) {
  EXPECT_FALSE(ManifestsIn(Row("100644", "a.yaml", "11000000"), ".").ok());
  std::string many;
  for (int i = 0; i < 8; ++i) many += Row("100644", std::to_string(i) + ".yaml", "10000000");
  EXPECT_FALSE(ManifestsIn(many, ".").ok());
  EXPECT_FALSE(ManifestsIn(Row("100644", "a/x.yaml"), "b").ok());
  EXPECT_FALSE(ManifestsIn("nonsense", ".").ok());
}

TEST(SshWordsTest, NothingOfTheUserIsReadAndNothingIsAsked) {
  const auto words = SshWords({"/etc/mcpfleet/key", "/etc/mcpfleet/known"}, {"git@h", "git-upload-pack 'x'"});
  auto has = [&](const std::string& word) { return std::find(words.begin(), words.end(), word) != words.end(); };
  EXPECT_EQ(words[1], "-F");
  EXPECT_EQ(words[2], "none");
  for (const char* option : {"BatchMode=yes", "StrictHostKeyChecking=yes", "IdentityAgent=none", "ForwardAgent=no",
                             "UserKnownHostsFile=\"/etc/mcpfleet/known\"", "IdentityFile=\"/etc/mcpfleet/key\""})
    EXPECT_TRUE(has(option)) << option;
  EXPECT_EQ(words.back(), "git-upload-pack 'x'");
}

}  // namespace
}  // namespace mcpfleet::gitsync
