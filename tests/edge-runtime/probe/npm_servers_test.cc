// McpProber against the real servers from npm, over stdio.
#include <gtest/gtest.h>

#include <algorithm>

#include "edge-runtime/probe/mcp_prober.h"
#include "tests/edge-runtime/probe/npm_server.h"

namespace mcpfleet {
namespace {

using namespace std::chrono_literals;

constexpr char kEverything[] = "@modelcontextprotocol/server-everything/dist/index.js";
constexpr char kFilesystem[] = "@modelcontextprotocol/server-filesystem/dist/index.js";
constexpr char kContext7[] = "@upstash/context7-mcp/dist/index.js";

class NpmServersTest : public testing::Test {
 protected:
  static ProbeTarget Target(std::shared_ptr<StdioChannel> channel) {
    ProbeTarget target;
    target.server = {"default", "real"};
    target.instance = "i1";
    target.revision = "r1";
    target.stdio = std::move(channel);
    return target;
  }
  static bool Contains(const std::vector<std::string>& list, const std::string& what) {
    return std::find(list.begin(), list.end(), what) != list.end();
  }
  SystemClock clock_;
  McpProber prober_{clock_, {}};
};

TEST_F(NpmServersTest, EverythingIsVerifiedAsLegacyAndEchoes) {
  std::string why;
  const std::string script = NpmScript(kEverything, &why);
  if (script.empty()) GTEST_SKIP() << "SKIPPED: " << why;
  auto channel = std::make_shared<PipeChannel>(std::vector<std::string>{"node", script, "stdio"});
  StatusOr<Verification> found = prober_.Verify(Target(channel), Deadline::After(60s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(found->modern);
  EXPECT_EQ(found->server_info.name, "mcp-servers/everything");
  EXPECT_EQ(found->server_info.protocol_version, "2025-11-25");
  EXPECT_EQ(found->catalog.tools, 13);  // without any client capability
  EXPECT_GT(found->catalog.resources, 0);
  EXPECT_GT(found->catalog.prompts, 0);
  EXPECT_TRUE(Contains(found->catalog.tool_names, "echo"));

  StatusOr<Json> echo = prober_.Call(Target(channel), "tools/call",
                                     {{"name", "echo"}, {"arguments", {{"message", "hello"}}}}, Deadline::After(30s));
  ASSERT_TRUE(echo.ok()) << echo.status();
  EXPECT_EQ((*echo)["content"][0]["text"], "Echo: hello");
  EXPECT_TRUE(prober_.Ping(Target(channel), 0s, Deadline::After(30s)).ok());

  // The next mcplet: same child, no second handshake, the same tools with the same hash.
  McpProber next(clock_, {});
  prober_.Forget("i1");
  StatusOr<Verification> again = next.Verify(Target(channel), Deadline::After(30s));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->catalog.tools_hash, found->catalog.tools_hash);
  EXPECT_EQ(channel->CountSent("\"method\":\"initialize\""), 1);
}

TEST_F(NpmServersTest, FilesystemIsVerifiedAndReadsAFile) {
  std::string why;
  const std::string script = NpmScript(kFilesystem, &why);
  if (script.empty()) GTEST_SKIP() << "SKIPPED: " << why;
  char directory[] = "/tmp/mcpfleet-probe-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string file = std::string(directory) + "/note.txt";
  ASSERT_TRUE(WriteFileAtomically(file, "from the disk", 0644).ok());
  auto channel = std::make_shared<PipeChannel>(std::vector<std::string>{"node", script, directory});
  StatusOr<Verification> found = prober_.Verify(Target(channel), Deadline::After(60s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->catalog.tools, 14);
  StatusOr<Json> read =
      prober_.Call(Target(channel), "tools/call", {{"name", "read_text_file"}, {"arguments", {{"path", file}}}},
                   Deadline::After(30s));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)["content"][0]["text"], "from the disk");
  EXPECT_TRUE(RemoveTree(directory).ok());
}

TEST_F(NpmServersTest, Context7IsVerifiedAsModernWithoutInitialize) {
  std::string why;
  const std::string script = NpmScript(kContext7, &why);
  if (script.empty()) GTEST_SKIP() << "SKIPPED: " << why;
  auto channel = std::make_shared<PipeChannel>(std::vector<std::string>{"node", script});
  StatusOr<Verification> found = prober_.Verify(Target(channel), Deadline::After(60s));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->modern);
  EXPECT_EQ(found->server_info.protocol_version, "2026-07-28");
  EXPECT_EQ(found->catalog.tools, 2);
  EXPECT_EQ(channel->CountSent("\"method\":\"initialize\""), 0);
  EXPECT_TRUE(prober_.Ping(Target(channel), 0s, Deadline::After(30s)).ok());
}

TEST_F(NpmServersTest, AProgramThatIsNoMcpServerSaysSo) {
  auto channel = std::make_shared<PipeChannel>(std::vector<std::string>{"yes", "no protocol here"});
  Status status = prober_.Verify(Target(channel), Deadline::After(30s)).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(Message(status).find("no protocol here"), std::string::npos) << status;
}

}  // namespace
}  // namespace mcpfleet
