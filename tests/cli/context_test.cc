#include "cli/context.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/store/testing.h"

namespace mcpfleet::cli {
namespace {

using testing::TempDir;

ContextFile Sample(const std::string& path) {
  return {.path = path,
          .current = "edge",
          .contexts = {{.name = "edge",
                        .server = "https://fleet.example.com",
                        .account = "acc",
                        .config_namespace = "cfg",
                        .state_namespace = "st",
                        .token = "no: yes # secret",
                        .admin = "http://127.0.0.1:8701",
                        .admin_token = "0123",
                        .namespace_ = "shop",
                        .seen = {1, 2, 3}},
                       {.name = "other", .server = "http://127.0.0.1:1"}}};
}

TEST(ContextFileTest, WhatIsSavedIsLoadedAndOnlyTheOwnerMayReadIt) {
  TempDir dir;
  std::string path = dir / "deep/er/config";
  ASSERT_TRUE(SaveContexts(Sample(path)).ok());
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  auto loaded = LoadContexts(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->current, "edge");
  const Context* edge = loaded->Find("edge");
  ASSERT_NE(edge, nullptr);
  EXPECT_EQ(edge->server, "https://fleet.example.com");
  EXPECT_EQ(edge->token, "no: yes # secret");
  EXPECT_EQ(edge->admin_token, "0123");  // stays text
  EXPECT_EQ(edge->namespace_, "shop");
  EXPECT_EQ(edge->seen, (HeadOrder{1, 2, 3}));
  EXPECT_EQ(loaded->Find("other")->state_namespace, "SERVER_STATE");
}

TEST(ContextFileTest, AFileThatOthersMayReadIsRefusedWithTheCommandThatMendsIt) {
  TempDir dir;
  ASSERT_TRUE(SaveContexts(Sample(dir / "config")).ok());
  chmod((dir / "config").c_str(), 0640);
  auto loaded = LoadContexts(dir / "config");
  ASSERT_EQ(loaded.status().code(), StatusCode::kPermissionDenied);
  EXPECT_NE(Message(loaded.status()).find("chmod 600 " + (dir / "config")), std::string::npos);
}

TEST(ContextFileTest, AnAbsentFileIsAnEmptyOneAndABrokenOneIsAnError) {
  TempDir dir;
  auto absent = LoadContexts(dir / "none");
  ASSERT_TRUE(absent.ok());
  EXPECT_TRUE(absent->contexts.empty());
  ASSERT_TRUE(WriteFileAtomically(dir / "broken", "contexts: [}", 0600).ok());
  EXPECT_FALSE(LoadContexts(dir / "broken").ok());
}

TEST(ChooseContextTest, ANameBeatsTheCurrentOneAndAnUnknownNameListsTheKnown) {
  ContextFile file = Sample("/x");
  EXPECT_EQ(ChooseContext(file, "other", "/none")->name, "other");
  EXPECT_EQ(ChooseContext(file, "", "/none")->name, "edge");
  std::string message = Message(ChooseContext(file, "othr", "/none").status());
  EXPECT_NE(message.find("did you mean \"other\"?"), std::string::npos) << message;
  EXPECT_NE(message.find("edge, other"), std::string::npos) << message;
}

class NodeContextTest : public ::testing::Test {
 protected:
  std::string Configuration(const std::string& store) {
    std::string path = dir_ / "mcplet.yaml";
    EXPECT_TRUE(
        WriteFileAtomically(path, "spec:\n  stateDirectory: " + dir_.path() + "\n  runDirectory: /run/x\n" + store)
            .ok());
    return path;
  }
  void Token() {
    ASSERT_TRUE(MakeDirectories(dir_ / "store").ok());
    ASSERT_TRUE(WriteFileAtomically(dir_ / "store/operator-token", "s3cret\n").ok());
  }
  TempDir dir_;
};

TEST_F(NodeContextTest, WithoutAContextTheMcpletOfThisMachineIsUsed) {
  Token();
  auto context = ChooseContext({}, "", Configuration("  store:\n    port: 9999\n"));
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ(context->name, "(this node)");
  EXPECT_EQ(context->server, "http://127.0.0.1:9999");
  EXPECT_EQ(context->token, "s3cret");
  EXPECT_EQ(context->admin, "unix:///run/x/mcplet.sock");
}

TEST_F(NodeContextTest, AStoreOnAllAddressesIsReachedOnLoopback) {
  Token();
  EXPECT_EQ(ChooseContext({}, "", Configuration("  store: {address: 0.0.0.0}\n"))->server, "http://127.0.0.1:8702");
  EXPECT_EQ(ChooseContext({}, "", Configuration("  store: {address: \"::1\"}\n"))->server, "http://[::1]:8702");
}

TEST_F(NodeContextTest, WithoutATokenOrAStoreOfItsOwnTheMessageSaysHowToSetAContext) {
  std::string none = Message(ChooseContext({}, "", Configuration("")).status());
  EXPECT_NE(none.find("operator-token"), std::string::npos) << none;
  EXPECT_NE(none.find("mcpctl config set-context"), std::string::npos) << none;
  Token();
  EXPECT_FALSE(ChooseContext({}, "", Configuration("  store: {type: Remote, url: \"https://x\"}\n")).ok());
}

TEST_F(NodeContextTest, WhoHasContextsIsToldToChooseOne) {
  ContextFile file = Sample("/x");
  file.current.clear();
  std::string message = Message(ChooseContext(file, "", Configuration("")).status());
  EXPECT_NE(message.find("use-context NAME; there are: edge, other"), std::string::npos) << message;
}

}  // namespace
}  // namespace mcpfleet::cli
