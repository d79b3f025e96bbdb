#include <gtest/gtest.h>

#include "tests/cli/fake_registry.h"
#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

constexpr char kWeather[] = R"({"name": "io.github.user/weather", "description": "Forecasts", "version": "1.0.2",
  "repository": {"url": "https://github.com/user/weather", "source": "github"},
  "packages": [{"registryType": "npm", "identifier": "@user/weather", "version": "1.0.2", "transport": {"type": "stdio"},
    "packageArguments": [{"type": "named", "name": "--units", "isRequired": true, "description": "metric or imperial"}],
    "environmentVariables": [{"name": "LOG_LEVEL", "default": "info"}]}]})";
constexpr char kSecretive[] = R"({"name": "com.example/secretive", "description": "Has a key", "version": "2.0.0",
  "packages": [{"registryType": "oci", "identifier": "ghcr.io/example/secretive:2.0.0", "transport": {"type": "stdio"},
    "environmentVariables": [{"name": "API_KEY", "isRequired": true, "isSecret": true, "description": "The key"}]}]})";

std::string Plain(const std::string& name, const std::string& version = "1.0.0") {
  return R"({"name": ")" + name + R"(", "description": "Something", "version": ")" + version +
         R"(", "remotes": [{"type": "streamable-http", "url": "https://x.example.com/mcp"}]})";
}

class RegistryTest : public McpctlTest {
 protected:
  RegistryTest() {
    env_["MCPCTL_REGISTRY"] = registry_.url();
    env_["MCPCTL_NPM_REGISTRY"] = registry_.url();
    env_["MCPCTL_PYPI"] = registry_.url();
  }
  void ExpectError(const std::vector<std::string>& arguments, const std::vector<std::string>& parts) {
    const Ran ran = Run(arguments);
    EXPECT_EQ(ran.code, 1) << ran.out;
    EXPECT_EQ(ran.out, "");
    for (const std::string& part : parts)
      EXPECT_NE(ran.err.find(part), std::string::npos) << part << " in\n" << ran.err;
  }
  FakeRegistry registry_;
};

TEST_F(RegistryTest, SearchGoesThroughAllPagesAndShowsTheNewestOfEachServer) {
  registry_.Add(kWeather);
  for (int i = 0; i < 7; ++i) registry_.Add(Plain("com.example/server" + std::to_string(i)));
  registry_.Add(Plain("com.example/server0", "1.1.0"));
  const std::string all = Out({"registry", "search"});
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 9) << all;
  EXPECT_NE(all.find("com.example/server0      1.1.0     remote    Something\n"), std::string::npos) << all;
  EXPECT_NE(all.find("io.github.user/weather   1.0.2     npm       Forecasts\n"), std::string::npos) << all;
  EXPECT_EQ(Out({"registry", "search", "Weather", "-o", "name"}), "io.github.user/weather\n");
  EXPECT_NE(registry_.Asked().back().find("search=Weather"), std::string::npos);
  const Json found = Json::parse(Out({"registry", "search", "example/", "-o", "json"}));
  EXPECT_EQ(found["items"].size(), 7u);
}

TEST_F(RegistryTest, ALimitSaysThatThereIsMore) {
  for (int i = 0; i < 7; ++i) registry_.Add(Plain("com.example/server" + std::to_string(i)));
  const Ran ran = Run({"registry", "search", "--limit", "3", "-o", "name"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 3) << ran.out;
  EXPECT_NE(ran.err.find("there are more"), std::string::npos) << ran.err;
  EXPECT_EQ(Run({"registry", "search", "--limit", "7"}).err, "");
  EXPECT_NE(Run({"registry", "search", "nothing"}).err.find("No servers with \"nothing\""), std::string::npos);
}

TEST_F(RegistryTest, ARegistryThatTurnsInCirclesIsNoEndlessLoop) {
  registry_.circle = true;
  registry_.Add(kWeather);
  EXPECT_EQ(Out({"registry", "search", "-o", "name"}), "io.github.user/weather\n");
}

TEST_F(RegistryTest, OneThatHasTheOldApiOnlyIsAskedByThat) {
  registry_.api = "/v0";
  registry_.Add(kWeather);
  EXPECT_EQ(Out({"registry", "search", "-o", "name"}), "io.github.user/weather\n");
  EXPECT_NE(Out({"registry", "show", "io.github.user/weather"}).find("1.0.2"), std::string::npos);
  EXPECT_NE(Out({"registry", "show", "io.github.user/weather", "--registry", registry_.url() + "/v0/"}).find("1.0.2"),
            std::string::npos);
}

TEST_F(RegistryTest, ShowSaysHowAServerIsRunAndWhatItAsksFor) {
  registry_.Add(kWeather);
  registry_.Add(kSecretive, "deprecated", "use another\x1b[31m");
  const std::string page = Out({"registry", "show", "io.github.user/weather"});
  for (const char* part : {"Name:         io.github.user/weather\n", "Package:      npm @user/weather 1.0.2, stdio\n",
                           "    --units (required)  metric or imperial\n", "    LOG_LEVEL = info\n"})
    EXPECT_NE(page.find(part), std::string::npos) << part << " in\n" << page;
  const std::string secretive = Out({"registry", "show", "com.example/secretive"});
  EXPECT_NE(secretive.find("Status:       deprecated: use another"), std::string::npos) << secretive;
  EXPECT_EQ(secretive.find('\x1b'), std::string::npos);
  EXPECT_NE(secretive.find("    API_KEY (required) (secret)  The key\n"), std::string::npos) << secretive;
  EXPECT_EQ(Out({"registry", "show", "io.github.user/weather", "-o", "jsonpath={.version}"}), "1.0.2\n");
}

TEST_F(RegistryTest, WhatIsNotThereIsSaidApart) {
  registry_.Add(kWeather);
  ExpectError({"registry", "show", "io.github.user/other"}, {"no server io.github.user/other", "registry search"});
  ExpectError({"registry", "show", "io.github.user/weather", "--version", "9"}, {"has no version 9; it has 1.0.2"});
  const std::string url = registry_.url();
  registry_.Shut();
  ExpectError({"registry", "search"}, {"registry " + url + " can't be reached; is this machine offline?", "refused"});
  ExpectError({"registry", "search", "--registry", "http://example.com"}, {"plain http to another machine"});
  ExpectError({"registry", "search", "--registry", "ftp://example.com"}, {"must start with http"});
}

TEST_F(RegistryTest, AnswersThatAreNoneAreErrorsThatNameTheRegistry) {
  registry_.fail = 503;
  ExpectError({"registry", "search"}, {"is answered 503: out of order; try again later"});
  registry_.fail = 302;
  registry_.location = "https://elsewhere.example.com";
  ExpectError({"registry", "search"}, {"https://elsewhere.example.com", "give the address where it is"});
  registry_.fail = 200;
  registry_.body = "<html>";
  ExpectError({"registry", "search"}, {"is no JSON; is this the API's address?"});
  registry_.body = "{\"a\": 1}";
  ExpectError({"registry", "search"}, {"has no list \"servers\""});
  registry_.body = "{\"servers\": [{\"server\": {}}]}";
  ExpectError({"registry", "search"}, {"an entry without a name"});
  registry_.body = "{\"servers\": [\"" + std::string(9 << 20, 'x') + "\"]}";
  ExpectError({"registry", "search"}, {"more than 8388608 bytes"});
}

TEST_F(RegistryTest, InstallShowsWhatWouldRunAndAppliesIt) {
  registry_.Add(kWeather);
  const Ran ran = Run({"registry", "install", "io.github.user/weather", "--set", "--units=metric", "--yes"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "mcpserver.mcpfleet.dev/weather created\n");
  for (const char* part :
       {"Server:       io.github.user/weather 1.0.2, as weather\n", "Runs:         npm package @user/weather 1.0.2\n",
        "Arguments:    \"--units\" \"metric\"\n", "Variables:    LOG_LEVEL = info\n", "Network:      Outbound\n"})
    EXPECT_NE(ran.err.find(part), std::string::npos) << part << " in\n" << ran.err;
  EXPECT_EQ(Out({"get", "mcp", "weather", "-o", "jsonpath={.spec.source.package.version}"}), "1.0.2\n");
  // Again, it is there already.
  const Ran again = Run({"registry", "install", "io.github.user/weather", "--set", "--units=metric", "--yes"});
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("exists already in namespace default; --replace"), std::string::npos) << again.err;
  EXPECT_EQ(Out({"registry", "install", "io.github.user/weather", "--set", "--units=metric", "--as", "other", "-y"}),
            "mcpserver.mcpfleet.dev/other created\n");
}

TEST_F(RegistryTest, InstallAsksBeforeItChangesAnything) {
  registry_.Add(kWeather);
  ExpectError({"registry", "install", "io.github.user/weather", "--set", "--units=metric"},
              {"nobody can be asked here whether to install io.github.user/weather: say --yes"});
  EXPECT_EQ(Head(), "");
  const std::string manifest = Out(
      {"registry", "install", "io.github.user/weather", "--set", "--units=metric", "--dry-run=client", "-o", "yaml"});
  EXPECT_EQ(Run({"validate", "-f", "-"}, manifest).code, 0) << manifest;
  EXPECT_EQ(Head(), "");
}

TEST_F(RegistryTest, InstallSaysWhatItNeeds) {
  registry_.Add(kWeather);
  registry_.Add(kSecretive);
  registry_.Add(Plain("com.example/gone"), "deleted");
  registry_.Add(
      R"({"name": "com.example/net", "description": "x", "version": "1", "packages": [{"registryType": "nuget", "identifier": "X"}]})");
  ExpectError({"registry", "install", "io.github.user/weather", "-y"},
              {"it needs values: --set --units=VALUE (metric or imperial)"});
  ExpectError({"registry", "install", "io.github.user/weather", "-y", "--set", "--units=a", "--set", "x=y"},
              {"--set x: it asks for no such value"});
  ExpectError(
      {"registry", "install", "com.example/secretive", "-y"},
      {"API_KEY from the secret secretive, key API_KEY",
       "mcpctl create secret secretive -n default --from-file API_KEY=-", "1 reference to a secret would not work"});
  ExpectError({"registry", "install", "com.example/secretive", "-y", "--set", "API_KEY=x"},
              {"its value comes from an MCPSecret"});
  ExpectError({"registry", "install", "com.example/gone", "-y"}, {"was deleted from the registry"});
  ExpectError({"registry", "install", "com.example/net", "-y"}, {"nuget", "can't be run here"});
  EXPECT_EQ(Head(), "");
}

TEST_F(RegistryTest, VersionsThatAreLeftOpenAreLookedUp) {
  registry_.AddPackage("@user/weather", "latest", "1.4.0");
  registry_.AddPackage("@user/weather", "next", "2.0.0-rc.1");
  registry_.AddProject("mcp-server-time", "2026.1.26");
  const std::string config = File(
      "c.json",
      R"({"mcpServers": {"w": {"command": "npx", "args": ["@user/weather"]}, "n": {"command": "npx", "args": ["@user/weather@next"]},
                                   "t": {"command": "uvx", "args": ["mcp-server-time"]}}})");
  const Ran ran = Run({"convert", "-f", config, "--resolve", "-o", "json", "--strict", "-v"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  std::vector<std::string> versions;
  const Json list = Json::parse(ran.out);
  for (const Json& object : list["items"]) versions.push_back(object["spec"]["source"]["package"]["version"]);
  EXPECT_EQ(versions, (std::vector<std::string>{"2.0.0-rc.1", "2026.1.26", "1.4.0"}));
  EXPECT_NE(ran.err.find("npm: GET /%40user%2Fweather/latest -> 200"), std::string::npos) << ran.err;
  registry_.Shut();
  ExpectError({"convert", "-f", config, "--resolve"}, {"can't be looked up; write an exact one", "offline"});
}

TEST_F(RegistryTest, NpmItselfSaysWhichRegistryItUses) {
  registry_.AddPackage("a", "latest", "3.2.1");
  const std::string config = File("mcp.json", R"({"mcpServers": {"a": {"command": "npx", "args": ["a"]}}})");
  env_.erase("MCPCTL_NPM_REGISTRY");
  env_["PATH"] = dir_.path();
  ExpectError({"convert", "-f", config, "--resolve"}, {"npm does not say here which registry it uses", "npm: "});
  File("npm", "#!/bin/sh\n[ \"$*\" = 'config get registry' ] && [ \"$HOME\" = '" + dir_.path() + "' ] && echo " +
                  registry_.url() + "/\n");
  ASSERT_EQ(chmod((dir_ / "npm").c_str(), 0700), 0);
  const Ran ran = Run({"convert", "-f", config, "--resolve", "-o", "json"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("3.2.1"), std::string::npos) << ran.out;
}

TEST_F(RegistryTest, CreateServerPinsWhatNpmCallsTheNewest) {
  registry_.AddPackage("@user/weather", "latest", "1.4.0");
  registry_.AddPackage("odd", "latest", "1.4");
  const Ran ran = Run({"create", "mcpserver", "weather", "--npm", "@user/weather"});
  EXPECT_EQ(ran.out, "mcpserver.mcpfleet.dev/weather created\n") << ran.err;
  EXPECT_EQ(ran.err, "note: @user/weather is pinned to 1.4.0\n");
  ExpectError({"create", "mcpserver", "x", "--npm", "odd"}, {"1.4, is none that an MCPServer can have"});
  ExpectError({"create", "mcpserver", "x", "--pypi", "absent"}, {"is answered 404"});
}

}  // namespace
}  // namespace mcpfleet::cli
