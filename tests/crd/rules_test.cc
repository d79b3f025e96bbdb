#include "crd/rules.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>

#include <nlohmann/json.hpp>

#include "crd/codec.h"
#include "tests/crd/builders.h"

namespace mcpfleet {
namespace {

TEST(RulesTest, ExactlyOneSourceIsNeeded) {
  EXPECT_EQ(Problem(Server({{"source", Json::object()}})),
            "spec.source: names no source; allowed: exactly one of image, package, process, remote");
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/source/process", {{"path", "/x"}}))),
            "spec.source: names image and process; allowed: exactly one of image, package, process, remote");
  EXPECT_EQ(Problem(Server(Json::object())), "spec.source: is missing");
}

TEST(RulesTest, OnlyExactVersionsAreTaken) {
  for (const char* version :
       {"^1.2.3", "~1.2.3", "latest", "1.x", "1.2", "*", ">=1.2.3", "v1.2.3", "1.2.3 || 2.0.0", "-1.2.3"}) {
    EXPECT_NE(Problem(Server(NpmSpec(version))), "") << version;
  }
  for (const char* version : {"1.2.3", "2026.8.31", "1.0.0-beta.1", "1.0.0+build.5"})
    EXPECT_EQ(Problem(Server(NpmSpec(version))), "") << version;
  Json pypi = NpmSpec();
  pypi["source"]["package"] = {{"manager", "pypi"}, {"name", "time"}, {"version", "1.2"}};
  EXPECT_EQ(Problem(Server(pypi)), "");
  for (const char* version : {"1.2.*", ">=1", "~=1.2", "latest", "==1.2"}) {
    EXPECT_NE(Problem(Server(With(pypi, "/source/package/version", version))), "") << version;
  }
  EXPECT_EQ(
      Problem(Server(NpmSpec("latest"))),
      "spec.source.package.version: \"latest\" is not an exact version; allowed: a version such as 1.4.2 (no range, no "
      "tag), so that every node runs the same");
}

TEST(RulesTest, IntegrityHasTheFormOfItsRegistry) {
  std::string npm = "sha512-" + std::string(86, 'A') + "==", pypi = "sha256-" + std::string(64, 'a');
  EXPECT_EQ(Problem(Server(With(NpmSpec(), "/source/package/integrity", npm))), "");
  EXPECT_NE(Problem(Server(With(NpmSpec(), "/source/package/integrity", pypi))), "");
  EXPECT_NE(Problem(Server(With(NpmSpec(), "/source/package/integrity", "sha1-abc"))), "");
}

TEST(RulesTest, APackageNameCannotBecomeAnOption) {
  for (const char* name : {"--registry=http://evil", "-g", "a b", "../x", "@/x", "a/b", ""}) {
    EXPECT_NE(Problem(Server(With(NpmSpec(), "/source/package/name", name))), "") << name;
  }
}

TEST(RulesTest, ThereAreNoMoreReplicasThanNamedNodes) {
  const auto placed = [](const Json& placement) { return Problem(Server(With(ImageSpec(), "/placement", placement))); };
  EXPECT_EQ(placed({{"replicas", 3}}), "");
  EXPECT_EQ(placed({{"replicas", 2}, {"nodes", {"a", "b"}}}), "");
  EXPECT_EQ(placed({{"replicas", 2}, {"nodes", Json::array()}}), "");
  EXPECT_EQ(placed({{"replicas", 3}, {"nodes", {"a", "b"}}}),
            "spec.placement.replicas: is more than the nodes that are named; allowed: at most 2 with these nodes");
  for (const Json& replicas : {Json(0), Json(1001), Json("2"), Json(1.5)}) {
    EXPECT_NE(placed({{"replicas", replicas}}), "") << replicas;
  }
}

TEST(RulesTest, PortBelongsToHttp) {
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/transport", "streamable-http"))),
            "spec.port: is missing; transport streamable-http needs it; allowed: 1 to 65535");
  EXPECT_NE(Problem(Server(With(ImageSpec(), "/port", 80))), "");
  EXPECT_EQ(Problem(Server(With(With(ImageSpec(), "/transport", "streamable-http"), "/port", 80))), "");
  EXPECT_EQ(Problem(Server(With(With(ImageSpec(), "/transport", "streamable-http"), "/port", 0))),
            "spec.port: 0 is out of range; allowed: 1 to 65535");
}

TEST(RulesTest, ARemoteServerTakesNothingThatRunsHere) {
  EXPECT_EQ(Problem(Server(RemoteSpec())), "");
  for (auto [field, value] : std::map<std::string, Json>{{"command", {"x"}},
                                                         {"args", {"x"}},
                                                         {"volumes", Json::array()},
                                                         {"runtime", "Process"},
                                                         {"port", 80},
                                                         {"transport", "stdio"},
                                                         {"resources", Json::object()},
                                                         {"env", Json::array()}}) {
    EXPECT_NE(Problem(Server(With(RemoteSpec(), "/" + field, value))), "") << field;
  }
}

TEST(RulesTest, RemoteUrlsAreHttpsOrLoopback) {
  for (const char* url :
       {"https://x.example.com/mcp", "https://x.example.com:8443/mcp?a=b", "http://127.0.0.1:8080/mcp",
        "http://localhost/mcp", "http://[::1]:80/", "https://[2001:db8::1]/mcp"}) {
    EXPECT_EQ(CheckRemoteUrl(url), "") << url;
  }
  for (const char* url : {"http://example.com/mcp", "http://127.0.0.1.evil.com/", "http://localhost.evil.com/",
                          "ftp://x/", "https://", "https://user:pw@example.com/", "http://localhost@evil.com/",
                          "https://x/#f", "https://x:0/", "https://x:99999/", "https://a b/", "https://[::1",
                          "http://[::1]evil.com/", "https:///x", "https://x:/", "http://[::2]/"}) {
    EXPECT_NE(CheckRemoteUrl(url), "") << url;
  }
}

TEST(RulesTest, HeadersAreUniqueInAnyCaseAndNotOurs) {
  Json spec = RemoteSpec();
  spec["source"]["remote"]["headers"] = {{{"name", "X-A"}, {"value", "1"}}, {{"name", "x-a"}, {"value", "2"}}};
  EXPECT_EQ(Problem(Server(spec)), "spec.source.remote.headers[1].name: \"x-a\" is given twice");
  spec["source"]["remote"]["headers"] = {{{"name", "Host"}, {"value", "1"}}};
  EXPECT_NE(Problem(Server(spec)), "");
  spec["source"]["remote"]["headers"] = {{{"name", "A"}, {"value", "1\r\nB: 2"}}};
  EXPECT_NE(Problem(Server(spec)), "");
}

TEST(RulesTest, RuntimesFitTheirSources) {
  EXPECT_NE(Problem(Server(With(NpmSpec(), "/runtime", "Docker"))), "");
  EXPECT_NE(Problem(Server(With(ImageSpec(), "/runtime", "Process"))), "");
  EXPECT_EQ(Problem(Server(With(ImageSpec(), "/runtime", "Docker"))), "");
  EXPECT_EQ(Problem(Server(With(NpmSpec(), "/runtime", "Process"))), "");
}

TEST(RulesTest, VolumesAreWholeAndApart) {
  auto volumes = [](Json list) { return Problem(Server(With(NpmSpec(), "/volumes", std::move(list)))); };
  Json data = {{"name", "a"}, {"hostPath", "/srv"}, {"mountPath", "/data"}};
  EXPECT_EQ(volumes(Json::array({data})), "");
  EXPECT_EQ(volumes(Json::array({{{"name", "a"}, {"mountPath", "/data"}}})),
            "spec.volumes[0]: has neither hostPath nor tmpfs; allowed: exactly one of hostPath, tmpfs");
  EXPECT_NE(volumes(Json::array({With(data, "/tmpfs", {{"size", "1Mi"}})})), "");
  EXPECT_EQ(volumes(Json::array({data, With(data, "/mountPath", "/other")})),
            "spec.volumes[1].name: \"a\" is given twice (first in spec.volumes[0])");
  EXPECT_EQ(volumes(Json::array({data, With(With(data, "/name", "b"), "/mountPath", "/data/")})),
            "spec.volumes[1].mountPath: is also the mountPath of spec.volumes[0]");
  for (const char* path : {"data", "/a/../b", "/..", "/", "//", "/proc", "/proc/self", "/sys/x", "/dev", "/./", ""}) {
    EXPECT_NE(volumes(Json::array({With(data, "/mountPath", path)})), "") << path;
  }
  EXPECT_EQ(volumes(Json::array({With(data, "/mountPath", "/process")})), "");
  EXPECT_NE(volumes(Json::array({With(data, "/hostPath", "/srv/../etc")})), "");
  Json tmpfs = {{"name", "a"}, {"tmpfs", {{"size", "1Ki"}}}, {"mountPath", "/t"}};
  EXPECT_EQ(volumes(Json::array({tmpfs})), "spec.volumes[0].tmpfs.size: is out of range; allowed: 4Ki to 1Ti");
}

TEST(RulesTest, QuantitiesAndDurationsHaveRanges) {
  auto one = [](const std::string& pointer, Json value) {
    return Problem(Server(With(ImageSpec(), pointer, std::move(value))));
  };
  EXPECT_EQ(one("/resources/limits/cpu", "1m"), "spec.resources.limits.cpu: is out of range; allowed: 10m to 1024");
  EXPECT_EQ(one("/resources/limits/cpu", "half"),
            "spec.resources.limits.cpu: \"half\" is not a quantity; allowed: a quantity such as 500m or 1.5");
  EXPECT_NE(one("/resources/limits/cpu", 0.5), "");
  EXPECT_EQ(one("/resources/limits/cpu", 2), "");
  EXPECT_NE(one("/resources/limits/cpu", INT64_MIN), "");
  EXPECT_NE(one("/resources/limits/cpu", INT64_MAX), "");
  EXPECT_NE(one("/resources/limits/memory", "256"), "");
  EXPECT_NE(one("/resources/limits/memory", "256m"), "");
  EXPECT_NE(one("/resources/limits/pids", 1), "");
  EXPECT_NE(one("/resources/limits/pids", UINT64_MAX), "");
  EXPECT_EQ(one("/terminationGracePeriod", "10"),
            "spec.terminationGracePeriod: \"10\" is not a duration; allowed: a duration such as 90s, 5m or 1h30m");
  EXPECT_NE(one("/terminationGracePeriod", "2h"), "");
  EXPECT_EQ(one("/terminationGracePeriod", "0s"), "");
  EXPECT_EQ(one("/restartPolicy", {{"backoff", {{"initial", "10m"}}}}),
            "spec.restartPolicy.backoff.max: is shorter than backoff.initial; allowed: at least 10m");
  EXPECT_EQ(one("/updateStrategy", {{"drainTimeout", "0s"}}), "");
  EXPECT_EQ(one("/updateStrategy", {{"drainTimeout", "25h"}}),
            "spec.updateStrategy.drainTimeout: is out of range; allowed: 0s to 24h");
  EXPECT_EQ(one("/updateStrategy", {{"progressDeadline", "0s"}}),
            "spec.updateStrategy.progressDeadline: is out of range; allowed: 1s to 24h");
  EXPECT_NE(one("/updateStrategy", {{"type", "Rolling"}}), "");
  EXPECT_EQ(one("/activation", {{"mode", "OnDemand"}, {"idleAfter", "0s"}}),
            "spec.activation.idleAfter: is out of range; allowed: 1s to 168h");
}

TEST(RulesTest, ARemoteServerIsNeitherReplacedNorPutToSleep) {
  for (const char* field : {"updateStrategy", "activation"}) {
    EXPECT_EQ(Problem(Server(With(RemoteSpec(), std::string("/") + field, Json::object()))),
              std::string("spec.") + field + ": has no effect on a remote server; allowed: remove it");
  }
}

TEST(RulesTest, SessionsThatShareProcessesBelongToStdio) {
  const Json http = With(With(ImageSpec(), "/transport", "streamable-http"), "/port", 80);
  for (auto [field, value] : std::map<std::string, Json>{{"mode", "Shared"}, {"warmSpares", 1}, {"max", 9}}) {
    EXPECT_EQ(Problem(Server(With(http, "/sessions/" + field, value))),
              "spec.sessions." + field + ": has no effect on transport streamable-http; allowed: remove it");
    EXPECT_EQ(Problem(Server(With(RemoteSpec(), "/sessions/" + field, value))),
              "spec.sessions." + field + ": has no effect on a remote server; allowed: remove it");
    EXPECT_EQ(Problem(Server(With(ImageSpec(), "/sessions/" + field, value))), "") << field;
  }
  const Json anywhere = {{"mode", "Auto"},       {"warmSpares", 0},     {"max", 8},
                         {"idleTimeout", "10m"}, {"maxLifetime", "1h"}, {"resumable", false}};
  for (const Json& spec : {http, RemoteSpec(), NpmSpec()})
    EXPECT_EQ(Problem(Server(With(spec, "/sessions", anywhere))), "");
}

TEST(RulesTest, SessionsHaveBoundsThatFitTogether) {
  auto one = [](Json sessions) { return Problem(Server(With(ImageSpec(), "/sessions", std::move(sessions)))); };
  EXPECT_EQ(one({{"warmSpares", 9}}), "spec.sessions.warmSpares: is more than max; allowed: at most 8");
  EXPECT_EQ(one({{"warmSpares", 9}, {"max", 9}}), "");
  EXPECT_EQ(one({{"warmSpares", 17}, {"max", 256}}), "spec.sessions.warmSpares: 17 is out of range; allowed: 0 to 16");
  EXPECT_EQ(one({{"max", 257}}), "spec.sessions.max: 257 is out of range; allowed: 1 to 256");
  EXPECT_EQ(one({{"max", -1}}), "spec.sessions.max: -1 is out of range; allowed: 1 to 256");
  EXPECT_EQ(one({{"idleTimeout", "500ms"}}), "spec.sessions.idleTimeout: is out of range; allowed: 1s to 168h");
  EXPECT_EQ(one({{"maxLifetime", "169h"}}), "spec.sessions.maxLifetime: is out of range; allowed: 1s to 168h");
  EXPECT_EQ(one({{"idleTimeout", "13h"}}),
            "spec.sessions.maxLifetime: is shorter than idleTimeout; allowed: at least 13h");
  EXPECT_EQ(one({{"maxLifetime", "29m"}}),
            "spec.sessions.maxLifetime: is shorter than idleTimeout; allowed: at least 30m");
  EXPECT_EQ(one({{"idleTimeout", "1h"}, {"maxLifetime", "1h"}}), "");
  EXPECT_EQ(one({{"mode", "shared"}}).find("spec.sessions.mode: unknown value \"shared\", did you mean \"Shared\"?"),
            0u);
}

TEST(RulesTest, BlockNeedsPinsAndPinsHaveTheFormOfToolHashes) {
  auto one = [](Json tools) { return Problem(Server(With(ImageSpec(), "/tools", std::move(tools)))); };
  EXPECT_EQ(
      one({{"pinning", "Block"}}),
      "spec.tools.pins: is missing or empty; pinning Block would hide every tool; allowed: write them with mcpctl "
      "tools lock");
  EXPECT_NE(one({{"pinning", "Block"}, {"pins", Json::object()}}), "");
  EXPECT_EQ(one({{"pinning", "Block"}, {"pins", {{"echo", Pin('a')}}}}), "");
  EXPECT_EQ(one({{"pinning", "Warn"}}), "");
  EXPECT_EQ(one({{"pinning", "Off"}, {"pins", {{"echo", Pin('a')}}}}), "");
  for (const std::string& pin : {std::string("sha256:"), std::string(64, 'a'), Pin('A'), Pin('a') + "a", Pin('g')})
    EXPECT_NE(one({{"pins", {{"echo", pin}}}}), "") << pin;
  EXPECT_EQ(one({{"pins", {{std::string(128, 'n'), Pin('a')}}}}), "");
  EXPECT_NE(one({{"pins", {{std::string(129, 'n'), Pin('a')}}}}), "");
  EXPECT_NE(one({{"pins", {{"", Pin('a')}}}}), "");
  EXPECT_NE(one({{"allow", {""}}}), "");
  EXPECT_NE(one({{"deny", {std::string(129, 'n')}}}), "");
  EXPECT_EQ(one({{"allow", {"echo", "echo"}}}),
            "spec.tools.allow[1]: \"echo\" is given twice (first in spec.tools.allow[0])");
  Json many = Json::object();
  for (int i = 0; i < 257; ++i) many["tool" + std::to_string(i)] = Pin('a');
  EXPECT_EQ(one({{"pins", many}}), "spec.tools.pins: has 257 entries; allowed: at most 256");
}

TEST(RulesTest, AuthHasExactlyTheMemberOfItsType) {
  auto one = [](Json auth) { return Problem(Server(With(RemoteSpec(), "/auth", std::move(auth)))); };
  const std::map<std::string, std::pair<std::string, Json>> members = {
      {"Bearer", {"bearer", {{"tokens", {{{"name", "ci"}, {"sha256", std::string(64, 'a')}}}}}}},
      {"JWT", {"jwt", {{"issuer", "https://login.example.com"}, {"jwksUri", "https://login.example.com/keys"}}}},
      {"CloudflareAccess", {"cloudflareAccess", {{"team", "example"}, {"audience", std::string(64, 'a')}}}}};
  EXPECT_EQ(one(Json::object()), "");
  EXPECT_EQ(one({{"type", "None"}}), "");
  for (const auto& [type, member] : members) {
    const auto& [name, value] = member;
    EXPECT_EQ(one({{"type", type}, {name, value}}), "") << type;
    EXPECT_EQ(one({{"type", type}}), "spec.auth." + name + ": is missing; type " + type + " needs it");
    EXPECT_EQ(one({{name, value}}),
              "spec.auth." + name + ": has no effect with type None; allowed: remove it, or set type: " + type);
    const std::string other = type == "JWT" ? "Bearer" : "JWT";
    EXPECT_EQ(
        one({{"type", other}, {members.at(other).first, members.at(other).second}, {name, value}}),
        "spec.auth." + name + ": has no effect with type " + other + "; allowed: remove it, or set type: " + type);
  }
  // One mistake, one report.
  EXPECT_EQ(one({{"type", "Basic"}, {"bearer", members.at("Bearer").second}}),
            "spec.auth.type: unknown value \"Basic\"; allowed: None, Bearer, JWT, CloudflareAccess");
}

TEST(RulesTest, TokensAreHashesAndEachHasAnOwner) {
  auto tokens = [](Json list) {
    return Problem(Server(With(ImageSpec(), "/auth", {{"type", "Bearer"}, {"bearer", {{"tokens", std::move(list)}}}})));
  };
  const std::string a(64, 'a'), b(64, 'b');
  EXPECT_EQ(tokens({{{"name", "ci"}, {"sha256", a}}, {{"name", "ann@example.com"}, {"sha256", b}}}), "");
  EXPECT_EQ(tokens({{{"name", "ci"}, {"sha256", a}}, {{"name", "ann"}, {"sha256", a}}}),
            "spec.auth.bearer.tokens[1].sha256: is also the token of spec.auth.bearer.tokens[0]; allowed: a token of "
            "its own");
  EXPECT_EQ(tokens({{{"name", "ci"}, {"sha256", a}}, {{"name", "ci"}, {"sha256", b}}}),
            "spec.auth.bearer.tokens[1].name: \"ci\" is given twice (first in spec.auth.bearer.tokens[0])");
  EXPECT_EQ(tokens(Json::array()), "spec.auth.bearer.tokens: has 0 entries; allowed: at least 1");
  for (const std::string& wrong : {std::string(64, 'A'), std::string(63, 'a'), std::string("secret"), std::string()})
    EXPECT_NE(tokens(Json::array({{{"name", "ci"}, {"sha256", wrong}}})), "") << wrong;
  Json many = Json::array();
  for (int i = 0; i < 65; ++i) {
    const std::string number = std::to_string(10 + i);
    many.push_back({{"name", "n" + number}, {"sha256", std::string(62, 'a') + number}});
  }
  EXPECT_EQ(tokens(many), "spec.auth.bearer.tokens: has 65 entries; allowed: at most 64");
}

TEST(RulesTest, AnIssuerIsAskedOverHttpsOrOnThisMachine) {
  const Json jwt = {{"issuer", "https://login.example.com"}, {"jwksUri", "https://login.example.com/keys"}};
  auto one = [&](const std::string& field, Json value) {
    return Problem(
        Server(With(ImageSpec(), "/auth", {{"type", "JWT"}, {"jwt", With(jwt, "/" + field, std::move(value))}})));
  };
  for (const char* field : {"issuer", "jwksUri"}) {
    EXPECT_EQ(one(field, "http://127.0.0.1:8080/x"), "") << field;
    EXPECT_EQ(
        one(field, "http://login.example.com"),
        std::string("spec.auth.jwt.") + field +
            ": is plain http to another machine; allowed: an https URL, or http on a loopback address (127.0.0.1, "
            "[::1], localhost)");
    EXPECT_NE(one(field, "https://user@login.example.com/"), "") << field;
  }
  EXPECT_EQ(one("audience", "weather"), "");
  EXPECT_NE(one("scopes", {"two words"}), "");
  Json without = jwt;
  without.erase("jwksUri");
  EXPECT_NE(Problem(Server(With(ImageSpec(), "/auth", {{"type", "JWT"}, {"jwt", without}}))), "");
}

TEST(RulesTest, ARateLimitLimitsSomething) {
  auto one = [](Json limit) { return Problem(Server(With(ImageSpec(), "/rateLimit", std::move(limit)))); };
  const std::string nothing =
      "spec.rateLimit: limits nothing; allowed: at least one of requests, perSubject, maxConcurrent above 0";
  EXPECT_EQ(one(Json::object()), nothing);
  EXPECT_EQ(one({{"requests", 0}, {"per", "1m"}, {"maxConcurrent", 0}}), nothing);
  for (const char* field : {"requests", "perSubject", "maxConcurrent"}) EXPECT_EQ(one({{field, 1}}), "") << field;
  EXPECT_EQ(one({{"requests", -1}}), "spec.rateLimit.requests: -1 is out of range; allowed: 0 to 1000000000");
  EXPECT_EQ(one({{"requests", 1}, {"per", "500ms"}}), "spec.rateLimit.per: is out of range; allowed: 1s to 24h");
  EXPECT_EQ(one({{"requests", 1}, {"per", "25h"}}), "spec.rateLimit.per: is out of range; allowed: 1s to 24h");
}

TEST(RulesTest, NamesAndLabelsFollowKubernetes) {
  for (const char* name : {"Weather", "-a", "a-", "a_b", "a.b", "", "ä"})
    EXPECT_NE(Problem(Server(ImageSpec(), name)), "") << name;
  EXPECT_NE(Problem(Server(ImageSpec(), std::string(64, 'a'))), "");
  EXPECT_EQ(Problem(Server(ImageSpec(), std::string(63, 'a'))), "");
  Json object = Server(ImageSpec());
  object["metadata"]["labels"] = {{"a/b/c", "x"}};
  EXPECT_NE(Problem(object), "");
  object["metadata"]["labels"] = {{"example.com/a", "-x"}};
  EXPECT_TRUE(Problem(object).starts_with("metadata.labels[example.com/a]: must be empty, or")) << Problem(object);
  object["metadata"]["labels"] = {{"example.com/a", "x"}};
  EXPECT_EQ(Problem(object), "");
  object["metadata"]["namespace"] = "Prod";
  EXPECT_NE(Problem(object), "");
}

TEST(RulesTest, AnExposedServerHasOneWholeName) {
  auto one = [](Json hostname) {
    return Problem(Server(With(ImageSpec(), "/expose", {{"hostname", std::move(hostname)}})));
  };
  EXPECT_EQ(one("fs.example.com"), "");
  for (const char* bad : {"", "localhost", "*.example.com", "FS.example.com", "fs.example.com:443",
                          "https://fs.example.com", "fs.example.com/x", "127.0.0.1", "fs.example.com.", "a..b"}) {
    EXPECT_TRUE(one(bad).starts_with("spec.expose.hostname: ")) << bad << ": " << one(bad);
  }
  EXPECT_NE(Problem(Server(With(ImageSpec(), "/expose", Json::object()))), "");
}

}  // namespace
}  // namespace mcpfleet
