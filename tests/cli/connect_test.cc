#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "cli/client_config.h"
#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

constexpr char kUrl[] = "http://127.0.0.1:8700/default/weather/mcp";

class ConnectTest : public McpctlTest {
 protected:
  ConnectTest() {
    env_.erase("XDG_CONFIG_HOME");
    EXPECT_EQ(chdir(dir_.path().c_str()), 0);  // files of projects
  }
  ~ConnectTest() override { EXPECT_EQ(chdir("/"), 0); }
  // A server with this spec.auth, reported by a node.
  void Declare(const std::string& auth = "") {
    Apply(Manifest("weather") + auth);
    Report(Node("edge-01", {Ready("weather", 1)}));
  }
  static Json Parsed(const std::string& text) { return Json::parse(text, nullptr, false); }
};

constexpr char kBearer[] =
    "  auth:\n    type: Bearer\n    bearer:\n      tokens:\n        - name: me\n          sha256: "
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";

TEST_F(ConnectTest, EachClientGetsItsOwnFormat) {
  Declare();
  EXPECT_EQ(Parsed(Out({"connect", "weather"})),
            Parsed(R"({"weather":{"type":"http","url":")" + std::string(kUrl) + R"("}})"));
  for (const char* client : {"claude-code", "cursor"}) {
    EXPECT_EQ(Parsed(Out({"connect", "weather", "--client", client}))["mcpServers"]["weather"]["url"], kUrl) << client;
  }
  EXPECT_EQ(Parsed(Out({"connect", "weather", "--client", "vscode", "--name", "w"}))["servers"]["w"]["type"], "http");
  const Json desktop = Parsed(Out({"connect", "weather", "--client", "claude"}))["mcpServers"]["weather"];
  EXPECT_EQ(desktop["args"], Parsed(R"(["proxy",")" + std::string(kUrl) + R"("])"));
  EXPECT_EQ(access(desktop["command"].get<std::string>().c_str(), X_OK), 0) << desktop;
  Ran unknown = Run({"connect", "weather", "--client", "emacs"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.err.find("allowed: claude, claude-code, cursor, vscode, raw"), std::string::npos) << unknown.err;
}

TEST_F(ConnectTest, ATokenIsNeverWrittenOnlyWhereItComesFrom) {
  Declare(kBearer);
  env_["MCPCTL_TOKEN"] = "s3cret";
  const auto header = [&](const std::string& client, const std::string& section) {
    const std::string text = Out({"connect", "weather", "--client", client});
    EXPECT_EQ(text.find("s3cret"), std::string::npos) << text;
    return Parsed(text)[section]["weather"]["headers"]["Authorization"];
  };
  EXPECT_EQ(header("claude-code", "mcpServers"), "Bearer ${MCPCTL_TOKEN}");
  EXPECT_EQ(header("cursor", "mcpServers"), "Bearer ${env:MCPCTL_TOKEN}");
  EXPECT_EQ(header("vscode", "servers"), "Bearer ${input:weather-token}");
  const Json vscode = Parsed(Out({"connect", "weather", "--client", "vscode"}));
  EXPECT_EQ(vscode["inputs"][0]["id"], "weather-token");
  EXPECT_EQ(vscode["inputs"][0]["password"], true);
  Ran desktop = Run({"connect", "weather", "--client", "claude"});
  EXPECT_EQ(desktop.code, 1);
  EXPECT_NE(desktop.err.find("--token-file FILE"), std::string::npos) << desktop.err;
  const std::string file = File("token", "s3cret\n");
  EXPECT_EQ(Parsed(Out({"connect", "weather", "--client", "claude", "--token-file",
                        "token"}))["mcpServers"]["weather"]["args"],
            Json({"proxy", kUrl, "--token-file", file}));
}

TEST_F(ConnectTest, TheCaOfAnHttpsEndpointIsGivenOnOrSaid) {
  const std::string file = File("ca.pem", "");
  const std::string url = "https://mcp.example.com/default/weather/mcp";
  EXPECT_EQ(Parsed(Out({"connect", url, "--client", "claude", "--ca-file", "ca.pem"}))["mcpServers"]["weather"]["args"],
            Json({"proxy", url, "--ca-file", file}));
  const Ran code = Run({"connect", url, "--client", "claude-code", "--ca-file", "ca.pem"});
  EXPECT_NE(code.err.find("NODE_EXTRA_CA_CERTS=" + file), std::string::npos) << code.err;
  EXPECT_EQ(
      Parsed(Out({"connect", kUrl, "--client", "claude", "--ca-file", "ca.pem"}))["mcpServers"]["weather"]["args"],
      Json({"proxy", kUrl}));
}

TEST_F(ConnectTest, WritingKeepsEveryOtherByteTheModeAndABackup) {
  Declare();
  const std::string before =
      "\n{\"z\": 1.0,\n    \"mcpServers\": {\n\t\"mine\": {\"command\":\"x\"}\n  },  \"a\":[ 1e3 ]}\n\n";
  const std::string path = File(".cursor/mcp.json", before, 0640);
  EXPECT_EQ(Out({"connect", "weather", "--client", "cursor", "--write"}), path + " configured\n");
  const std::string after = Read(".cursor/mcp.json");
  const std::string made =
      ",\n    \"weather\": {\n      \"type\": \"http\",\n      \"url\": \"" + std::string(kUrl) + "\"\n    }";
  const size_t at = after.find(made);
  ASSERT_NE(at, std::string::npos) << after;
  EXPECT_EQ(after.substr(0, at) + after.substr(at + made.size()), before);
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  EXPECT_EQ(Read(".cursor/mcp.json.mcpctl-backup"), before);
  EXPECT_EQ(Out({"connect", "weather", "--client", "cursor", "--write"}), path + " unchanged\n");
  EXPECT_EQ(Read(".cursor/mcp.json.mcpctl-backup"), before) << "the second time did nothing";
}

TEST_F(ConnectTest, AnAbsentFileIsMadeWithItsDirectory) {
  Declare();
  Out({"connect", "weather", "--client", "vscode", "--write"});
  EXPECT_EQ(Parsed(Read(".vscode/mcp.json"))["servers"]["weather"]["url"], kUrl);
  Out({"connect", "weather", "--client", "claude-code", "--write"});
  EXPECT_EQ(Parsed(Read(".mcp.json"))["mcpServers"]["weather"]["type"], "http");
  Out({"connect", "weather", "--client", "claude", "--write"});
  EXPECT_EQ(Parsed(Read(".config/Claude/claude_desktop_config.json"))["mcpServers"]["weather"]["args"][0], "proxy");
  Out({"connect", "weather", "--client", "cursor", "--write", "--file", dir_ / "deep/er.json"});
  EXPECT_NE(Read("deep/er.json"), "");
}

TEST_F(ConnectTest, AFileThatIsNoJsonIsRefusedWithWhereAndLeftAlone) {
  Declare();
  const std::string content = "{\n  // mine\n  \"mcpServers\": {}\n}\n";
  const std::string path = File(".mcp.json", content);
  Ran ran = Run({"connect", "weather", "--client", "claude-code", "--write"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find(path + ": malformed JSON at byte "), std::string::npos) << ran.err;
  EXPECT_EQ(Read(".mcp.json"), content);
  File(".mcp.json", R"({"mcpServers": []})");
  EXPECT_NE(Run({"connect", "weather", "--client", "claude-code", "--write"}).err.find("is no object"),
            std::string::npos);
}

TEST_F(ConnectTest, AnEntryOfAnotherServerIsNotReplacedUnaskedButAnOldOneOfThisIs) {
  Declare();
  File(".mcp.json", R"({"mcpServers": {"weather": {"command": "npx", "args": ["weather"]}}})");
  Ran ran = Run({"connect", "weather", "--client", "claude-code", "--write"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("another --name, or --overwrite"), std::string::npos) << ran.err;
  Out({"connect", "weather", "--client", "claude-code", "--write", "--overwrite"});
  EXPECT_EQ(Parsed(Read(".mcp.json"))["mcpServers"]["weather"]["url"], kUrl);
  File(".mcp.json",
       R"({"mcpServers": {"weather": {"type": "http", "url": "http://127.0.0.1:9999/default/weather/mcp"}}})");
  Out({"connect", "weather", "--client", "claude-code", "--write"});
  EXPECT_EQ(Parsed(Read(".mcp.json"))["mcpServers"]["weather"]["url"], kUrl);
}

TEST_F(ConnectTest, ALinkStaysALink) {
  Declare();
  const std::string real = File("dotfiles/mcp.json", "{}");
  ASSERT_EQ(symlink(real.c_str(), (dir_ / ".mcp.json").c_str()), 0);
  Out({"connect", "weather", "--client", "claude-code", "--write"});
  struct stat info {};
  ASSERT_EQ(lstat((dir_ / ".mcp.json").c_str(), &info), 0);
  EXPECT_TRUE(S_ISLNK(info.st_mode));
  EXPECT_EQ(Parsed(Read("dotfiles/mcp.json"))["mcpServers"]["weather"]["url"], kUrl);
}

TEST_F(ConnectTest, WhatCannotBeWrittenIsSaidBeforeAnythingIs) {
  Declare();
  EXPECT_NE(Run({"connect", "weather", "--write"}).err.find("--write needs --client"), std::string::npos);
  EXPECT_NE(Run({"connect", "weather", "--client", "cursor", "--file", "x"}).err.find("need --write"),
            std::string::npos);
  EXPECT_NE(Run({"connect", "weather", "--name", "a b"}).err.find("letters, digits"), std::string::npos);
  EXPECT_NE(Run({"connect", "nope"}).err.find("mcpctl describe mcp/nope"), std::string::npos);
}

TEST(ClientConfigTest, VsCodeInputsAreAddedOnceBesideThoseOfTheUser) {
  const ClientEntry entry{.name = "w", .url = kUrl, .wants_token = true, .mcpctl = "/m", .token_file = {}};
  const Json value = *EntryFor(ClientKind::kVsCode, entry);
  const std::string before = R"({"inputs": [{"id": "other"}], "servers": {}})";
  StatusOr<std::string> once = Merge(ClientKind::kVsCode, entry, value, before, false);
  ASSERT_TRUE(once.ok()) << once.status();
  const Json file = Json::parse(*once);
  EXPECT_EQ(file["inputs"].size(), 2u);
  EXPECT_EQ(file["inputs"][1]["id"], "w-token");
  EXPECT_EQ(*Merge(ClientKind::kVsCode, entry, value, *once, false), *once);
  EXPECT_EQ(Json::parse(*Merge(ClientKind::kVsCode, entry, value, "  \n", false))["inputs"].size(), 1u);
  EXPECT_FALSE(Merge(ClientKind::kVsCode, entry, value, "[]", false).ok());
  EXPECT_FALSE(Merge(ClientKind::kVsCode, entry, value, R"({"inputs": {}})", false).ok());
}

}  // namespace
}  // namespace mcpfleet::cli
