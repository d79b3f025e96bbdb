// `mcpctl convert` and the mappings behind it. testdata/convert/NAME is a source, NAME.out what becomes of it: losses,
// notes, secrets, then the manifests. MCPFLEET_WRITE_TESTDATA=1 writes the .out anew, to be read in the difference.
#include "cli/convert/convert.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "cli/convert/expand.h"
#include "cli/convert/json_comments.h"
#include "cli/convert/package_name.h"
#include "cli/convert/secret_names.h"
#include "crd/manifest.h"
#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

using convert::Conversion;

const std::string kData = std::string(MCPFLEET_SOURCE_DIR) + "/tests/cli/testdata/convert/";

std::vector<std::string> Sources() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kData)) {
    if (entry.path().extension() != ".out") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ConvertTest : public McpctlTest {
 protected:
  // Of a source that is known.
  static Conversion Converted(const std::string& source, const convert::Options& options = {}) {
    StatusOr<Conversion> conversion = convert::Convert(source, "source", options);
    EXPECT_TRUE(conversion.ok()) << conversion.status();
    return conversion.ok() ? *std::move(conversion) : Conversion{};
  }
  static Json Spec(const Conversion& conversion, size_t index = 0) {
    return index < conversion.objects.size() ? GetMember(conversion.objects[index], "spec") : Json();
  }
  static std::string Client(const std::string& server) { return "{\"mcpServers\": {\"it\": " + server + "}}"; }
  static bool Lost(const Conversion& conversion, const std::string& path, const std::string& part = "") {
    return std::any_of(conversion.losses.begin(), conversion.losses.end(), [&](const convert::Remark& loss) {
      return loss.path == path && loss.text.find(part) != std::string::npos;
    });
  }
};

TEST_F(ConvertTest, EveryFormatBecomesWhatItsGoldenFileSays) {
  const std::vector<std::string> sources = Sources();
  ASSERT_GE(sources.size(), 11u);
  for (const std::string& name : sources) {
    SCOPED_TRACE(name);
    const Ran ran = Run({"convert", "-f", kData + name});
    EXPECT_EQ(ran.code, 0) << ran.err;
    std::string text = ran.err + "---\n" + ran.out;
    for (size_t at = text.find(kData); at != std::string::npos; at = text.find(kData)) text.erase(at, kData.size());
    if (getenv("MCPFLEET_WRITE_TESTDATA") != nullptr) std::ofstream(kData + name + ".out") << text;
    EXPECT_EQ(ReadFile(kData + name + ".out", 1 << 20).value_or(""), text);
  }
}

TEST_F(ConvertTest, EveryOutputPassesValidate) {
  for (const std::string& name : Sources()) {
    for (const char* output : {"yaml", "json"}) {
      SCOPED_TRACE(name);
      const std::string manifests = Out({"convert", "-f", kData + name, "-o", output});
      const Ran validated = Run({"validate", "-f", "-"}, manifests);
      EXPECT_EQ(validated.code, 0) << validated.err << manifests;
      EXPECT_NE(validated.out.find("valid\n"), std::string::npos) << manifests;
    }
  }
}

TEST_F(ConvertTest, NoSecretOfASourceIsInAnyOutput) {
  for (const std::string& name : Sources()) {
    const Ran ran = Run({"convert", "-v", "-f", kData + name});
    EXPECT_EQ((ran.out + ran.err).find("CANARY"), std::string::npos) << name << "\n" << ran.out << ran.err;
  }
}

TEST_F(ConvertTest, StrictIsExitCodeOneWithoutOutput) {
  const std::string plain = File("plain.json", Client(R"({"command": "npx", "args": ["-y", "a@1.0.0"]})"));
  const std::string lossy = File("lossy.json", Client(R"({"command": "npx", "args": ["a@1.0.0"], "cwd": "/x"})"));
  EXPECT_EQ(Run({"convert", "-f", plain, "--strict"}).code, 0);
  const Ran ran = Run({"convert", "-f", lossy, "--strict"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("not carried over: " + lossy + ": mcpServers.it.cwd: "), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("1 thing could not be carried over"), std::string::npos) << ran.err;
  EXPECT_EQ(Run({"convert", "-f", lossy}).code, 0);
}

TEST_F(ConvertTest, WhatIsNotKnownSaysWhatIs) {
  const auto error = [&](const std::string& text, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"convert", "-f", "-"};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = Run(words, text);
    EXPECT_EQ(ran.code, 1) << text;
    EXPECT_EQ(ran.out, "") << text;
    return ran.err;
  };
  EXPECT_NE(error("{\"a\": 1}").find("docker compose"), std::string::npos);
  EXPECT_NE(error("").find("is empty"), std::string::npos);
  EXPECT_NE(error("{\"mcpServers\": {").find("stdin:1"), std::string::npos);
  EXPECT_NE(error(Manifest("weather")).find("is a manifest of mcpfleet already"), std::string::npos);
  EXPECT_NE(error("{\"mcpServers\": {}}").find("no server could be converted"), std::string::npos);
  EXPECT_NE(error(Client("{}"), {"--from", "compose"}).find("it looks like clients"), std::string::npos);
  EXPECT_NE(error("services: {a: {<<: {image: x}}}").find("docker compose config"), std::string::npos);
  EXPECT_NE(Run({"convert"}).err.find("-f FILE"), std::string::npos);
  EXPECT_EQ(Run({"convert", "-f", "x", "--from", "helm"}).code, 2);
}

TEST_F(ConvertTest, ANamespaceThatIsSaidIsThatOfAllObjectsAndSecrets) {
  const Ran ran = Run({"convert", "-n", "tools", "-o", "json", "-f", kData + "toolhive.yaml"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  const Json list = Json::parse(ran.out);
  for (const Json& object : list["items"]) EXPECT_EQ(object["metadata"]["namespace"], "tools");
  EXPECT_NE(ran.err.find("mcpctl create secret github -n tools --from-file WEBHOOK_SECRET=-\n"), std::string::npos)
      << ran.err;
}

TEST_F(ConvertTest, ConvertedServersCanBeAppliedAsTheyAre) {
  const std::string manifests =
      Out({"convert", "-f", "-", "-n", "tools"}, Client(R"({"command": "npx", "args": ["a@1.0.0"]})"));
  EXPECT_EQ(Out({"apply", "-f", "-"}, manifests), "mcpserver.mcpfleet.dev/it created\n");
}

TEST_F(ConvertTest, CommandLinesBecomeTheSourceThatTheyStart) {
  const auto source = [](const std::string& command, const std::string& args) {
    return Spec(Converted(Client("{\"command\": \"" + command + "\", \"args\": " + args + "}")))["source"].dump();
  };
  const std::string npm = R"({"package":{"manager":"npm","name":"@a/b","version":"1.0.0"}})";
  EXPECT_EQ(source("npx", R"(["-y", "@a/b@1.0.0"])"), npm);
  EXPECT_EQ(source("/usr/bin/npx", R"(["--yes", "--package=@a/b@1.0.0", "b"])"), npm);
  EXPECT_EQ(source("bunx", R"(["@a/b@1.0.0"])"), npm);
  EXPECT_EQ(source("npm", R"(["exec", "-y", "--", "@a/b@1.0.0"])"), npm);
  EXPECT_EQ(source("pnpm", R"(["dlx", "@a/b@1.0.0"])"), npm);
  const std::string pypi = R"({"package":{"manager":"pypi","name":"b","version":"1.0"}})";
  EXPECT_EQ(source("uvx", R"(["b==1.0"])"), pypi);
  EXPECT_EQ(source("uv", R"(["tool", "run", "b@1.0"])"), pypi);
  EXPECT_EQ(source("pipx", R"(["run", "b==1.0"])"), pypi);
  EXPECT_EQ(source("uvx", R"(["--from", "b==1.0", "b"])"), pypi);
  EXPECT_EQ(source("docker", R"(["run", "-i", "--rm", "a/b:1"])"), R"({"image":{"ref":"a/b:1"}})");
  EXPECT_EQ(source("podman", R"(["run", "--pull=always", "a/b:1"])"),
            R"({"image":{"pullPolicy":"Always","ref":"a/b:1"}})");
  EXPECT_EQ(source("/opt/x", "[]"), R"({"process":{"path":"/opt/x"}})");
  for (const char* lost :
       {R"({"command": "npx", "args": ["-y"]})", R"({"command": "npx", "args": ["-c", "a b"]})",
        R"({"command": "uvx", "args": ["git+https://x/y"]})", R"({"command": "npx", "args": ["a@^1"]})",
        R"({"command": "docker", "args": ["run", "--strange", "a", "b"]})", R"({"command": "server"})",
        R"({"command": "docker", "args": ["run", "-i"]})", R"({"args": ["x"]})"}) {
    const Conversion conversion = Converted(Client(lost));
    EXPECT_TRUE(conversion.objects.empty()) << lost;
    EXPECT_EQ(conversion.losses.size(), 1u) << lost;
    EXPECT_NE(conversion.losses.front().text.find("the server is left out"), std::string::npos) << lost;
  }
}

TEST_F(ConvertTest, APackageWithoutAnExactVersionIsLeftOutUntilOneIsGiven) {
  const std::string source = Client(R"({"command": "npx", "args": ["-y", "a@latest", "--flag"]})");
  const Conversion open = Converted(source);
  ASSERT_EQ(open.unpinned.size(), 1u);
  EXPECT_EQ(open.unpinned.front(), (convert::PackageRef{"npm", "a", "latest"}));
  EXPECT_TRUE(open.objects.empty());
  convert::Options options;
  options.versions[open.unpinned.front()] = "3.2.1";
  const Conversion pinned = Converted(source, options);
  EXPECT_EQ(Spec(pinned)["source"]["package"]["version"], "3.2.1");
  EXPECT_EQ(Spec(pinned)["args"], Json::array({"--flag"}));
  EXPECT_TRUE(pinned.losses.empty());
}

TEST_F(ConvertTest, APrivateRegistryOfAPackageIsALoss) {
  for (const auto& [base, lost] : {std::pair<std::string, bool>{"https://packages.npmjs.example", false},
                                   {"https://npmjs.example.com/", true},
                                   {"http://10.0.0.1:4873", true},
                                   {"not a url", true}}) {
    const Conversion conversion =
        Converted(R"({"name": "x/a", "description": "d", "version": "1.0.0", "packages": [{"registryType": "npm",
          "registryBaseUrl": ")" +
                  base + R"(", "identifier": "a", "version": "1.0.0", "transport": {"type": "stdio"}}]})");
    ASSERT_EQ(conversion.objects.size(), 1u) << base;
    EXPECT_EQ(Lost(conversion, "packages[0].registryBaseUrl", "set up with"), lost) << base;
  }
}

TEST_F(ConvertTest, WhatTheSchemaRefusesIsALossAndNotAnInvalidObject) {
  const Conversion conversion = Converted(
      "{\"services\": {\"a\": {\"image\": \"a:1\", \"environment\": {\"1X\": \"y\", \"OK\": \"z\"}, \"cap_add\": "
      "[\"ALL\"], "
      "\"labels\": {\"bad key\": \"x\"}, \"mem_limit\": \"1m\", \"volumes\": [\"/a:/proc\"]}, \"B\": {\"image\": \"Not "
      "An Image\"}}}");
  ASSERT_EQ(conversion.objects.size(), 1u);
  EXPECT_EQ(Spec(conversion)["env"], Json::array({{{"name", "OK"}, {"value", "z"}}}));
  EXPECT_TRUE(Lost(conversion, "services.a.environment.1X")) << conversion.losses.size();
  EXPECT_TRUE(Lost(conversion, "services.a.cap_add[0]"));
  EXPECT_TRUE(Lost(conversion, "services.a.labels[bad key]"));
  EXPECT_TRUE(Lost(conversion, "services.a.mem_limit", "6Mi"));
  EXPECT_TRUE(Lost(conversion, "services.a.volumes[0]"));
  EXPECT_TRUE(Lost(conversion, "services.B.image", "left out"));
}

TEST_F(ConvertTest, ServersOfOneNameAreToldApart) {
  const Conversion conversion = Converted(
      R"({"mcpServers": {"My Server": {"command": "/a"}, "my-server": {"command": "/b"}, "мой": {"command": "/c"}}})");
  ASSERT_EQ(conversion.objects.size(), 3u);
  std::vector<std::string> names;
  for (const Json& object : conversion.objects) names.push_back(object["metadata"]["name"]);
  EXPECT_EQ(names, (std::vector<std::string>{"my-server", "my-server-2", "server"}));
}

TEST_F(ConvertTest, ValuesThatTheSourceAsksForAreGivenBySet) {
  const std::string given =
      Out({"convert", "-f", kData + "server-oci.json", "-o", "json", "--set", "source=/srv/project", "--set",
           "database_name=main", "--set", "port=9000", "--set", "db_type=mysql"});
  const Json spec = Json::parse(given)["spec"];
  EXPECT_EQ(spec["args"], Json::array({"main"}));
  EXPECT_EQ(spec["port"], 9000);
  EXPECT_EQ(spec["path"], "/api/mcp");
  EXPECT_EQ(spec["volumes"][0]["hostPath"], "/srv/project");
  EXPECT_EQ(spec["securityContext"]["network"], "Host");
  EXPECT_EQ(Run({"convert", "-f", kData + "server-oci.json", "--set", "x"}).code, 1);
  const Ran other = Run({"convert", "-f", kData + "server-oci.json", "--set", "source=/a", "--set", "database_name=b",
                         "--set", "db_type=oracle", "--strict"});
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("postgres, mysql"), std::string::npos) << other.err;
}

TEST_F(ConvertTest, OfSeveralWaysToRunAServerOneIsChosen) {
  convert::Options options{.prefer = "remote"};
  const std::string source =
      R"({"name": "a/b", "packages": [{"registryType": "npm", "identifier": "x", "version": "1.0.0"}],
          "remotes": [{"type": "streamable-http", "url": "https://x.example.com/mcp"}]})";
  EXPECT_TRUE(Spec(Converted(source))["source"].contains("package"));
  EXPECT_TRUE(Spec(Converted(source, options))["source"].contains("remote"));
  options.prefer = "oci";
  EXPECT_TRUE(Converted(source, options).objects.empty());
  const Conversion none = Converted(R"({"name": "a/b", "packages": [{"registryType": "nuget", "identifier": "X"}]})");
  EXPECT_TRUE(none.objects.empty());
  EXPECT_TRUE(Lost(none, "packages[0]", "nuget"));
}

TEST_F(ConvertTest, SecretsAreKnownByTheirNamesAndTheirLooks) {
  for (const char* name :
       {"TOKEN", "GITHUB_TOKEN", "apiKey", "--api-key", "DB_PASSWORD", "OPENAI_API_KEY", "clientSecret", "REDIS_AUTH",
        "SENTRY_DSN", "GITLAB_PAT", "AWS_SECRET_ACCESS_KEY", "TOKEN_2", "KEY"})
    EXPECT_TRUE(convert::IsSecretName(name)) << name;
  for (const char* name : {"MAX_TOKENS", "TOKEN_URL", "SSH_KEY_FILE", "PUBLIC_KEY", "PATH", "PWD", "AWS_ACCESS_KEY_ID",
                           "LOG_LEVEL", "TOKEN_LIMIT", "", "KEYBOARD", "AUTH_TYPE"})
    EXPECT_FALSE(convert::IsSecretName(name)) << name;
  for (const char* value : {"ghp_abcdefghijklmnopqrstuvwxyz", "sk-abcdefghijklmnopqrstuv", "Bearer x",
                            "postgres://u:p@h/d", "-----BEGIN RSA PRIVATE KEY-----"})
    EXPECT_TRUE(convert::IsSecretValue(value)) << value;
  for (const char* value : {"https://example.com/a:b@c", "sk-short", "https://user@example.com", "plain"})
    EXPECT_FALSE(convert::IsSecretValue(value)) << value;
  EXPECT_TRUE(convert::IsSecretHeader("Authorization"));
  EXPECT_EQ(convert::SecretInUrl("https://x/mcp?a=1&api_key=abc"), "api_key");
  EXPECT_EQ(convert::SecretInUrl("https://u:p@x/mcp"), "user");
  EXPECT_EQ(convert::SecretInUrl("https://x/mcp?page=2#token=x"), "");
}

TEST_F(ConvertTest, PackagesAreReadAsTheirToolsWriteThem) {
  const auto npm = [](const char* text) {
    auto package = convert::ParseNpm(text);
    return package.ok() ? package->name + " " + package->version : "";
  };
  EXPECT_EQ(npm("@a/b@1.2.3"), "@a/b 1.2.3");
  EXPECT_EQ(npm("a"), "a ");
  EXPECT_EQ(npm("a@next"), "a next");
  for (const char* bad : {"", "@a", "@/b", "a@^1.0.0", "a@1.x", "git+https://x", "file:../x", "a b", "a@", "-a"})
    EXPECT_TRUE(npm(bad).empty() || std::string(bad) == "a@") << bad;
  const auto pypi = [](const char* text) {
    auto package = convert::ParsePypi(text);
    return package.ok() ? package->name + " " + package->version : "";
  };
  EXPECT_EQ(pypi("a==1.0"), "a 1.0");
  EXPECT_EQ(pypi("a@1.0"), "a 1.0");
  for (const char* bad : {"", "a[cli]==1", "a>=1", "a==1.*", "git+https://x", "a~=1", "./a"})
    EXPECT_EQ(pypi(bad), "") << bad;
}

TEST_F(ConvertTest, CommentsAndLastCommasOfSettingsAreNoTrouble) {
  EXPECT_EQ(convert::WithoutJsonComments("{\"a//b\": [1, 2,], // x\n /* , */ \"c\": \"\\\"//\",}"),
            "{\"a//b\": [1, 2 ],     \n         \"c\": \"\\\"//\" }");
  EXPECT_EQ(convert::WithoutJsonComments("{\"a\": 1}"), "{\"a\": 1}");
  EXPECT_EQ(convert::WithoutJsonComments("{\"a"), "{\"a");
  EXPECT_EQ(convert::WithoutJsonComments("/*"), "  ");
}

TEST_F(ConvertTest, PlaceholdersAreFilledInByTheRulesOfTheirFormat) {
  const convert::Lookup lookup = [](std::string_view name) {
    return name == "A" ? convert::Replacement{.value = "1"} : convert::Replacement{.unknown = "no"};
  };
  const auto compose = [&](const char* raw) { return convert::Expand(raw, "", convert::Dollar::kCompose, lookup); };
  EXPECT_EQ(compose("x$A-${A}$$A").value, "x1-1$A");
  EXPECT_EQ(compose("${B:-two}${B-2}").value, "two2");
  EXPECT_EQ(compose("${B}").unknown, "no");
  EXPECT_EQ(compose("${B:?must}").unknown, "no");
  EXPECT_EQ(compose("$ ${").value, "$ ${");
  const auto braces = [&](const char* raw) { return convert::Expand(raw, "", convert::Dollar::kBraces, lookup); };
  EXPECT_EQ(braces("$A ${A} ${B:-d} $$").value, "$A 1 d $$");
  EXPECT_EQ(braces("${input:x-y}").unknown, "no");
}

TEST_F(ConvertTest, CompletionKnowsTheFormats) {
  EXPECT_EQ(Out({"__complete", "--", "convert", "--from", ""}),
            "clients\nserver-json\ntoolhive\nkmcp\nkubernetes-sigs\ncompose\n");
  EXPECT_NE(Out({"__complete", "--", "convert", "--"}).find("--strict\n"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet::cli
