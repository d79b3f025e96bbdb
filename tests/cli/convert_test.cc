// `mcpctl convert` and the mappings behind it. testdata/convert/NAME is a source, NAME.out what becomes of it: losses,
// notes, secrets, then the manifests. MCPFLEET_WRITE_TESTDATA=1 writes the .out anew, to be read in the difference.
#include "cli/convert/convert.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "cli/convert/expand.h"
#include "cli/convert/json_comments.h"
#include "cli/convert/package_name.h"
#include "cli/convert/secret_names.h"
#include "crd/manifest.h"
#include "crd/violation.h"
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

// The sources of testdata taken apart, to see that nothing of them goes unsaid.
class NothingUnsaidTest : public ConvertTest {
 protected:
  static std::vector<Json> DocumentsOf(const std::string& name) {
    const std::string bytes = ReadFile(kData + name, 1 << 20).value_or("");
    std::vector<Violation> violations;
    const bool json = name.ends_with(".json");
    auto documents = ParseYamlDocuments(json ? convert::WithoutJsonComments(bytes) : bytes, name, &violations);
    EXPECT_TRUE(documents.ok()) << documents.status();
    return documents.ok() ? *std::move(documents) : std::vector<Json>{};
  }
  // All that comes of it, as one text.
  static std::string Everything(const Json& document) {
    const StatusOr<Conversion> conversion = convert::Convert(DumpJson(document), "source", {});
    if (!conversion.ok()) return Message(conversion.status());
    std::string text;
    for (const Json& object : conversion->objects) text += DumpJson(object) + "\n";
    for (const auto& loss : conversion->losses) text += "loss " + loss.path + ": " + loss.text + "\n";
    for (const auto& note : conversion->notes) text += "note " + note.path + ": " + note.text + "\n";
    for (const auto& need : conversion->secrets) {
      for (const auto& value : need.values)
        text += "secret " + need.name + "/" + value.key + " " + value.path + value.hint + "\n";
    }
    for (const auto& input : conversion->inputs)
      text += "input " + input.name + " " + input.description + std::to_string(input.required) +
              std::to_string(input.secret) + std::to_string(input.known) + "\n";
    for (const auto& package : conversion->unpinned) text += package.name + "@" + package.tag + "\n";
    return text;
  }
  struct Place {
    std::string path;  // as remarks have it
    Json::json_pointer at;
    bool member = true;  // of a map, else of a list
  };
  // Every leaf, and every map, below `value`.
  static void Collect(const Json& value, const Place& here, std::vector<Place>* leaves, std::vector<Place>* maps) {
    if (value.is_object()) maps->push_back(here);
    if (value.is_object()) {
      for (auto it = value.begin(); it != value.end(); ++it)
        Collect(*it, {ChildPath(here.path, it.key()), here.at / it.key(), true}, leaves, maps);
    } else if (value.is_array()) {
      for (size_t i = 0; i < value.size(); ++i)
        Collect(value[i], {ItemPath(here.path, i), here.at / i, false}, leaves, maps);
    } else if (!value.is_null()) {
      leaves->push_back(here);
    }
  }
  // The place is below one that is lost as a whole, or is another way to run a server, or no server's.
  static bool IsListed(const Conversion& conversion, const std::string& path) {
    const auto above = [&](const std::string& remark) {
      return !remark.empty() && path.starts_with(remark) &&
             (path.size() == remark.size() || path[remark.size()] == '.' || path[remark.size()] == '[');
    };
    const auto lost = [&](const convert::Remark& remark) {
      if (remark.text.find("the server is left out") == std::string::npos) return above(remark.path);
      // The whole server: the object of a spec, or what the remark's member is of.
      const size_t spec = remark.path.find("spec.");
      const std::string server = spec != std::string::npos ? remark.path.substr(0, spec == 0 ? 0 : spec - 1)
                                                           : remark.path.substr(0, remark.path.rfind('.'));
      return path.starts_with(server) || above(remark.path);
    };
    for (const convert::SecretNeed& need : conversion.secrets) {
      for (const convert::SecretValue& value : need.values) {
        if (above(value.path)) return true;
      }
    }
    const auto whole = [&](const convert::Remark& remark) {
      constexpr std::array<std::string_view, 4> kWhole{"not taken", "about servers", "for people", "judged where"};
      return above(remark.path) && std::any_of(kWhole.begin(), kWhole.end(), [&](std::string_view part) {
               return remark.text.find(part) != std::string::npos;
             });
    };
    return std::any_of(conversion.losses.begin(), conversion.losses.end(), lost) ||
           std::any_of(conversion.notes.begin(), conversion.notes.end(), whole);
  }
  // Why a leaf may go without a word: what it says holds for every server, or it is not about the server.
  static bool NeedsNoWord(const std::string& path, const Json& value) {
    const std::string text = value.is_string() ? value.get<std::string>() : DumpJson(value);
    const auto ends = [&](std::initializer_list<std::string_view> endings) {
      return std::any_of(endings.begin(), endings.end(), [&](std::string_view e) { return path.ends_with(e); });
    };
    // The format's own.
    if (ends({"$schema]", "apiVersion", "kind"}) || path == "version") return true;
    // Written by an API server, kubectl or an operator.
    if (ends({"metadata.uid", "last-applied-configuration]"}) || path.find("status.") != std::string::npos) return true;
    // The registry that nodes ask.
    if (ends({"registryBaseUrl", "registry_base_url"})) return true;
    // How a form asks its user; what comes of it are Conversion::inputs.
    if (path.starts_with("inputs[") || ends({".description", ".format", ".isRequired"}) ||
        path.find(".choices[") != std::string::npos)
      return true;
    // All capabilities are dropped, stdin is held open.
    if (path.find(".cap_drop[") != std::string::npos || path.find("capabilities.drop[") != std::string::npos ||
        ends({".stdin_open"}))
      return true;
    // Words of docker run and npx about the process in front of a client.
    return text == "-i" || text == "--rm" || text == "-y";
  }
};

TEST_F(NothingUnsaidTest, EveryLeafIsCarriedOrListed) {
  size_t seen = 0;
  for (const std::string& name : Sources()) {
    for (const Json& document : DocumentsOf(name)) {
      const Conversion conversion = Converted(DumpJson(document));
      const std::string before = Everything(document);
      std::vector<Place> leaves, maps;
      Collect(document, {"", Json::json_pointer(), true}, &leaves, &maps);
      for (const Place& leaf : leaves) {
        ++seen;
        const Json& value = document.at(leaf.at);
        if (IsListed(conversion, leaf.path) || NeedsNoWord(leaf.path, value)) continue;
        Json changed = document, removed = document;
        changed[leaf.at] = value.is_boolean()  ? Json(!value.get<bool>())
                           : value.is_number() ? Json(value.get<int64_t>() + 1)
                                               : Json(value.get<std::string>() + "x");
        if (leaf.member) removed.at(leaf.at.parent_pointer()).erase(leaf.at.back());
        EXPECT_TRUE(Everything(changed) != before || Everything(removed) != before)
            << name << ": " << leaf.path << " comes to nothing, and nobody is told";
      }
    }
  }
  EXPECT_GT(seen, 300u);
}

TEST_F(NothingUnsaidTest, AMemberThatNobodyKnowsIsToldWhereverItStands) {
  for (const std::string& name : Sources()) {
    for (const Json& document : DocumentsOf(name)) {
      const Conversion conversion = Converted(DumpJson(document));
      std::vector<Place> leaves, maps;
      Collect(document, {"", Json::json_pointer(), true}, &leaves, &maps);
      for (const Place& map : maps) {
        if (IsListed(conversion, map.path) || map.path.find("status") != std::string::npos ||
            map.path.starts_with("inputs["))
          continue;
        Json more = document;
        more[map.at]["zzz"] = "zzz";
        EXPECT_NE(Everything(more), Everything(document)) << name << ": another member of " << map.path;
      }
    }
  }
}

TEST_F(ConvertTest, OptionsInsideAPartAreLostByName) {
  const Conversion compose = Converted(R"(services:
  s:
    image: a/s:1
    ports:
      - {target: 53, protocol: udp}
      - {target: 80, published: 8080, mode: host, host_ip: 127.0.0.1}
      - "90/sctp"
    volumes:
      - {type: bind, source: /srv, target: /d, bind: {propagation: rshared, create_host_path: true}}
      - {type: volume, source: cache, target: /c, volume: {nocopy: true}}
      - {type: tmpfs, target: /t, tmpfs: {size: 8m, mode: 511}}
    secrets: [{source: key, mode: 256}]
    tty: true
    init: false
)");
  EXPECT_EQ(Spec(compose)["port"], 80);
  EXPECT_TRUE(Lost(compose, "services.s.ports[0].protocol", "TCP only"));
  EXPECT_TRUE(Lost(compose, "services.s.ports[1].host_ip", "gateway"));
  EXPECT_TRUE(Lost(compose, "services.s.ports[1].mode", "gateway"));
  EXPECT_TRUE(Lost(compose, "services.s.ports[2]", "TCP only"));
  EXPECT_TRUE(Lost(compose, "services.s.volumes[0].bind.propagation"));
  EXPECT_TRUE(Lost(compose, "services.s.volumes[0].bind.create_host_path"));
  EXPECT_TRUE(Lost(compose, "services.s.volumes[1]"));
  EXPECT_TRUE(Lost(compose, "services.s.volumes[2].tmpfs.mode"));
  EXPECT_TRUE(Lost(compose, "services.s.secrets[0].mode", "0400"));
  EXPECT_TRUE(Lost(compose, "services.s.tty"));
  EXPECT_TRUE(Lost(compose, "services.s.init"));

  const Conversion kmcp = Converted(R"(apiVersion: kagent.dev/v1alpha1
kind: MCPServer
metadata: {name: k}
spec:
  transportType: http
  httpTransport: {targetPort: 80}
  deployment:
    image: a/k:1
    port: 3000
    initContainer: {image: "a/adapter:2", imagePullPolicy: Always}
    env: {T: {valueFrom: {secretKeyRef: {name: s, key: t, optional: true}}}}
    volumes:
      - {name: data, hostPath: {path: /srv, type: DirectoryOrCreate}}
      - {name: keys, secret: {secretName: k, defaultMode: 420, optional: true, items: [{key: a, path: a, mode: 256}]}}
      - {name: idle, emptyDir: {}}
    volumeMounts:
      - {name: data, mountPath: /data, mountPropagation: HostToContainer}
      - {name: data, mountPath: /part, subPathExpr: $(POD)}
      - {name: keys, mountPath: /keys}
)");
  const std::string deployment = "spec.deployment.";
  EXPECT_TRUE(Lost(kmcp, deployment + "env.T.valueFrom.secretKeyRef.optional", "has to be there"));
  EXPECT_TRUE(Lost(kmcp, deployment + "volumes[0].hostPath.type", "nothing is made"));
  EXPECT_TRUE(Lost(kmcp, deployment + "volumes[1].secret.defaultMode", "0400"));
  EXPECT_TRUE(Lost(kmcp, deployment + "volumes[1].secret.optional"));
  EXPECT_TRUE(Lost(kmcp, deployment + "volumes[1].secret.items[0].mode", "0400"));
  EXPECT_TRUE(Lost(kmcp, deployment + "volumes[2]", "mounted nowhere"));
  EXPECT_TRUE(Lost(kmcp, deployment + "volumeMounts[0].mountPropagation"));
  EXPECT_TRUE(Lost(kmcp, deployment + "volumeMounts[1].subPathExpr"));
  const auto noted = [](const Conversion& conversion, const std::string& path) {
    return std::any_of(conversion.notes.begin(), conversion.notes.end(),
                       [&](const convert::Remark& note) { return note.path == path; });
  };
  EXPECT_TRUE(noted(kmcp, deployment + "initContainer"));
  EXPECT_TRUE(noted(kmcp, deployment + "port"));

  const Conversion toolhive = Converted(R"(apiVersion: toolhive.stacklok.dev/v1alpha1
kind: MCPServer
metadata: {name: t}
spec:
  image: a/t:1
  transport: stdio
  proxyPort: 8080
  oidcConfig:
    type: inline
    resourceUrl: https://t.example.com
    inline: {issuer: "https://i.example.com", jwksUrl: "https://i.example.com/jwks"}
)");
  EXPECT_TRUE(Lost(toolhive, "spec.oidcConfig.resourceUrl"));
  EXPECT_TRUE(noted(toolhive, "spec.proxyPort"));
}

TEST_F(ConvertTest, WhatTheRegistryCallsDeprecatedIsSaidToBe) {
  const std::string server =
      R"("name": "a/b", "remotes": [{"type": "streamable-http", "url": "https://a.example.com/mcp"}])";
  const std::string official = R"("_meta": {"io.modelcontextprotocol.registry/official": {"status": "deleted"}})";
  EXPECT_TRUE(Lost(Converted("{" + server + R"(, "status": "deprecated"})"), "status", "calls this server deprecated"));
  const Conversion answered = Converted(R"({"server": {)" + server + "}, " + official + "}");
  EXPECT_TRUE(Lost(answered, R"(_meta.io.modelcontextprotocol.registry/official.status)", "deleted") ||
              std::any_of(answered.losses.begin(), answered.losses.end(),
                          [](const convert::Remark& loss) { return loss.text.find("deleted") != std::string::npos; }));
  EXPECT_TRUE(Converted("{" + server + R"(, "status": "active"})").losses.empty());
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
