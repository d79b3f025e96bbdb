#include "cli/manifest_input.h"

#include <unistd.h>

#include <sstream>

#include <gtest/gtest.h>

#include "tests/store/testing.h"

namespace mcpfleet::cli {
namespace {

class ExpandFilesTest : public ::testing::Test {
 protected:
  void File(const std::string& name, const std::string& content = "x: y\n") {
    std::string path = dir_ / name;
    ASSERT_TRUE(MakeDirectories(path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(WriteFileAtomically(path, content).ok());
  }
  // Relative to the directory, joined by spaces; errors as they are.
  std::string Expand(std::vector<std::string> files, bool recursive = false) {
    for (std::string& file : files) {
      if (file != "-") file = dir_ / file;
    }
    auto found = ExpandFiles({.files = std::move(files), .recursive = recursive});
    if (!found.ok()) return Message(found.status());
    std::string out;
    for (const std::string& file : *found)
      out += (out.empty() ? "" : " ") + (file == "-" ? file : file.substr(dir_.path().size() + 1));
    return out;
  }
  testing::TempDir dir_;
};

TEST_F(ExpandFilesTest, ADirectoryMeansItsManifestsInOrderOfName) {
  File("m/b.yml");
  File("m/a.yaml");
  File("m/c.json");
  File("m/notes.txt");
  File("m/below/d.yaml");
  EXPECT_EQ(Expand({"m"}), "m/a.yaml m/b.yml m/c.json");
  EXPECT_EQ(Expand({"m"}, true), "m/a.yaml m/b.yml m/below/d.yaml m/c.json");
}

TEST_F(ExpandFilesTest, ALinkToADirectoryIsRefusedWhereDirectoriesAreRead) {
  File("m/a.yaml");
  File("shared/b.yaml");
  ASSERT_EQ(symlink("../shared", (dir_ / "m/shared").c_str()), 0);
  EXPECT_EQ(Expand({"m"}), "m/a.yaml") << "as a directory below";
  EXPECT_NE(Expand({"m"}, true).find("m/shared: is a link to a folder, which is not followed"), std::string::npos);
  EXPECT_EQ(Expand({"m/shared"}), "m/shared/b.yaml");
  ASSERT_EQ(symlink("gone.yaml", (dir_ / "m/lost.yaml").c_str()), 0);
  EXPECT_NE(Expand({"m"}).find("m/lost.yaml: is a link that leads nowhere"), std::string::npos);
}

TEST_F(ExpandFilesTest, GlobsAndStdinMayBeMixedWithFiles) {
  File("a1.yaml");
  File("a2.yaml");
  File("b.txt");
  EXPECT_EQ(Expand({"b.txt", "a*.yaml", "-"}), "b.txt a1.yaml a2.yaml -");
}

TEST_F(ExpandFilesTest, WhatMatchesNothingIsAnError) {
  File("empty/readme.txt");
  EXPECT_NE(Expand({"none.yaml"}).find("none.yaml: no such file"), std::string::npos);
  EXPECT_NE(Expand({"*.yaml"}).find("nothing matches"), std::string::npos);
  EXPECT_NE(Expand({"empty"}).find("no *.yaml"), std::string::npos);
}

class ReadManifestsTest : public ExpandFilesTest {
 protected:
  static std::string Server(const std::string& name, const std::string& ns = "") {
    return "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  name: " + name + "\n" +
           (ns.empty() ? "" : "  namespace: " + ns + "\n") + "spec:\n  source: {image: {ref: \"example/x:1\"}}\n";
  }
  std::ostringstream out_, err_;
  SystemClock clock_;
  Session session_{out_, err_, clock_};
};

TEST_F(ReadManifestsTest, TheNamespaceOfTheFlagFillsInAndNeverOverrules) {
  File("a.yaml", Server("a"));
  File("b.yaml", Server("b", "bank"));
  session_.options().namespace_ = "shop";
  auto one = ReadValidManifests(session_, {.files = {dir_ / "a.yaml"}});
  ASSERT_TRUE(one.ok()) << err_.str();
  EXPECT_EQ(one->front().object.metadata.namespace_, "shop");
  EXPECT_FALSE(ReadValidManifests(session_, {.files = {dir_ / "b.yaml"}}).ok());
  EXPECT_NE(err_.str().find("b.yaml:5: metadata.namespace: is \"bank\" but --namespace says \"shop\""),
            std::string::npos)
      << err_.str();
}

TEST_F(ReadManifestsTest, ViolationsOfAllFilesAreToldAtOnce) {
  session_.options().namespace_ = "default";
  File("a.yaml", Server("A_"));
  File("b.yaml", Server("b") + "  transprot: stdio\n");
  auto read = ReadValidManifests(session_, {.files = {dir_ / "*.yaml"}});
  EXPECT_EQ(Message(read.status()), "2 violations in the manifests; nothing was written");
  EXPECT_NE(err_.str().find("a.yaml:4: metadata.name"), std::string::npos) << err_.str();
  EXPECT_NE(err_.str().find("b.yaml:7: spec.transprot"), std::string::npos) << err_.str();
}

TEST_F(ReadManifestsTest, TheSameObjectInTwoFilesIsAViolation) {
  session_.options().namespace_ = "default";
  File("a.yaml", Server("a"));
  File("b.yaml", Server("a"));
  EXPECT_FALSE(ReadValidManifests(session_, {.files = {dir_.path()}}).ok());
  EXPECT_NE(err_.str().find("b.yaml"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet::cli
