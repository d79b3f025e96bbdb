#include <gtest/gtest.h>

#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

class CreateServerTest : public McpctlTest {
 protected:
  // The manifest of `mcpctl create mcpserver ARGUMENTS`, without a store.
  Json Made(std::vector<std::string> arguments, std::string* err = nullptr) {
    const auto split = std::find(arguments.begin(), arguments.end(), "--");
    arguments.insert(split, {"--dry-run=client", "-o", "json"});
    arguments.insert(arguments.begin(), {"create", "mcpserver"});
    env_["MCPFLEET_CONFIG"] = dir_ / "none";
    const Ran ran = Run(arguments);
    EXPECT_EQ(ran.code, 0) << ran.err;
    if (err != nullptr) *err = ran.err;
    const Json object = Json::parse(ran.out, nullptr, false);
    EXPECT_EQ(Run({"validate", "-f", "-"}, ran.out).code, 0) << ran.out;
    return object;
  }
};

TEST_F(CreateServerTest, EachSourceBecomesAManifestWithNothingElse) {
  const Json npm = Made({"files", "--npm", "@a/files@1.2.3", "--", "/data", "-v", "--x=y"});
  EXPECT_EQ(npm,
            Json::parse(R"({"apiVersion": "mcpfleet.dev/v1alpha1", "kind": "MCPServer", "metadata": {"name": "files"},
    "spec": {"source": {"package": {"manager": "npm", "name": "@a/files", "version": "1.2.3"}}, "args": ["/data", "-v", "--x=y"]}})"));
  EXPECT_EQ(Made({"t", "--pypi", "mcp-server-time==2026.1.26"})["spec"]["source"],
            Json::parse(R"({"package": {"manager": "pypi", "name": "mcp-server-time", "version": "2026.1.26"}})"));
  EXPECT_EQ(
      Made({"w", "--image", "a/w:1", "--port", "8080", "--path", "/api", "--pull-secret", "ghcr"})["spec"],
      Json::parse(
          R"({"source": {"image": {"ref": "a/w:1", "pullSecret": "ghcr"}}, "transport": "streamable-http", "port": 8080, "path": "/api"})"));
  EXPECT_EQ(
      Made({"d", "--remote", "https://d.example.com/mcp", "--header", "X-Team=sky", "--secret-header",
            "Authorization=d/header"})["spec"],
      Json::parse(
          R"({"source": {"remote": {"url": "https://d.example.com/mcp", "headers": [{"name": "X-Team", "value": "sky"},
              {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "d", "key": "header"}}}]}}})"));
  EXPECT_EQ(Made({"p", "--", "/opt/mcp/p", "--read-only"})["spec"],
            Json::parse(R"({"source": {"process": {"path": "/opt/mcp/p"}}, "args": ["--read-only"]})"));
}

TEST_F(CreateServerTest, FlagsSayTheRest) {
  const Json object = Made({"w",
                            "--image",
                            "a/w:1",
                            "--env",
                            "LOG_LEVEL=info",
                            "--env",
                            "A=b=c",
                            "--secret-env",
                            "TOKEN=w/token",
                            "--arg=--verbose",
                            "--arg",
                            "x",
                            "--network",
                            "Outbound",
                            "--memory",
                            "64Mi",
                            "--cpu",
                            "500m",
                            "--node",
                            "edge-01",
                            "--node",
                            "edge-02",
                            "--node-selector",
                            "site=berlin",
                            "--replicas",
                            "2",
                            "--label",
                            "team=sky",
                            "-n",
                            "tools"});
  EXPECT_EQ(object["metadata"], Json::parse(R"({"name": "w", "namespace": "tools", "labels": {"team": "sky"}})"));
  EXPECT_EQ(object["spec"], Json::parse(R"({"source": {"image": {"ref": "a/w:1"}}, "args": ["--verbose", "x"],
    "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "A", "value": "b=c"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "w", "key": "token"}}}],
    "securityContext": {"network": "Outbound"}, "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
    "placement": {"nodes": ["edge-01", "edge-02"], "nodeSelector": {"site": "berlin"}, "replicas": 2}})"));
}

TEST_F(CreateServerTest, ASecretInPlainIsAWarningThatDoesNotShowIt) {
  std::string err;
  Made({"w", "--image", "a/w:1", "--env", "API_KEY=CANARY"}, &err);
  EXPECT_NE(err.find("warning: --env API_KEY looks like a secret"), std::string::npos) << err;
  EXPECT_EQ(err.find("CANARY"), std::string::npos) << err;
}

TEST_F(CreateServerTest, WithoutADryRunItIsAppliedAndNeverOverAnother) {
  EXPECT_EQ(Out({"create", "mcpserver", "w", "--image", "a/w:1", "-m", "first"}), "mcpserver.mcpfleet.dev/w created\n");
  const std::string head = Head();
  const Ran ran = Run({"create", "mcpserver", "w", "--image", "a/w:2"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("exists already in namespace default; --replace"), std::string::npos) << ran.err;
  EXPECT_EQ(Out({"create", "mcpserver", "w", "--image", "a/w:2", "--replace", "--dry-run=server"}),
            "mcpserver.mcpfleet.dev/w configured (server dry run)\n");
  EXPECT_EQ(Head(), head);
  EXPECT_EQ(Out({"create", "mcp", "w", "--image", "a/w:2", "--replace"}), "mcpserver.mcpfleet.dev/w configured\n");
  EXPECT_EQ(Out({"get", "mcp", "w", "-o", "jsonpath={.spec.source.image.ref}"}), "a/w:2\n");
}

TEST_F(CreateServerTest, ADryRunWithoutAWordIsThatOfTheClient) {
  env_["MCPFLEET_CONFIG"] = dir_ / "none";
  const std::string manifest = Out({"create", "mcpserver", "w", "--image", "a/w:1", "--dry-run", "-o", "yaml"});
  EXPECT_NE(manifest.find("kind: MCPServer\n"), std::string::npos) << manifest;
  EXPECT_EQ(manifest, Out({"create", "mcpserver", "w", "--image", "a/w:1", "-o", "yaml", "--dry-run"}));
  EXPECT_EQ(manifest, Out({"create", "mcpserver", "w", "--image", "a/w:1", "-o", "yaml", "--dry-run", "client"}));
  const Ran taken = Run({"create", "mcpserver", "--dry-run", "w", "--image", "a/w:1"});
  EXPECT_EQ(taken.code, 2) << "the name was taken for its value, and is none";
}

TEST_F(CreateServerTest, WhatIsWrongIsSaidBeforeAnythingIsWritten) {
  const auto expect = [&](std::vector<std::string> arguments, const std::string& part) {
    arguments.insert(arguments.begin(), {"create", "mcpserver"});
    const Ran ran = Run(arguments);
    EXPECT_EQ(ran.code, 1) << part;
    EXPECT_NE(ran.err.find(part), std::string::npos) << part << " in\n" << ran.err;
  };
  expect({"w"}, "say where it comes from");
  expect({"w", "--npm", "a@1.0.0", "--image", "b:1"}, "one source, not --npm and --image");
  expect({"w", "--npm", "a@^1"}, "is a range of versions");
  expect({"w", "--", "server"}, "is no absolute path");
  expect({"w", "--image", "a:1", "--env", "A"}, "--env: is NAME=VALUE");
  expect({"w", "--image", "a:1", "--secret-env", "A=b"}, "is NAME=SECRET/KEY");
  expect({"w", "--image", "a:1", "--header", "A=b"}, "are for --remote");
  expect({"w", "--image", "a:1", "--path", "/x"}, "spec.path: has no effect with transport stdio");
  expect({"W_", "--image", "a:1"}, "metadata.name");
  expect({"w", "--remote", "http://example.com/mcp"}, "spec.source.remote.url: is plain http");
  expect({"w", "--npm", "a@1.0.0", "--pull-secret", "x"}, "--pull-secret is for --image");
  expect({"w", "--image", "a:1", "--secret-env", "A=none/key"}, "would not work; nothing was written");
  EXPECT_EQ(Run({"create", "mcpserver", "w", "--image", "a:1", "--port", "0"}).code, 2);
  EXPECT_EQ(Head(), "");
}

TEST_F(CreateServerTest, CompletionOffersItsFlags) {
  EXPECT_NE(Out({"__complete", "--", "create", ""}).find("mcpserver\n"), std::string::npos);
  const std::string flags = Out({"__complete", "--", "create", "mcpserver", "--"});
  for (const char* flag : {"--npm\n", "--secret-env\n", "--node-selector\n", "--dry-run\n"})
    EXPECT_NE(flags.find(flag), std::string::npos) << flags;
  EXPECT_EQ(Out({"__complete", "--", "create", "mcpserver", "w", "--network", ""}), "None\nOutbound\nHost\n");
}

}  // namespace
}  // namespace mcpfleet::cli
