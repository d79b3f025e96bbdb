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

}  // namespace
}  // namespace mcpfleet
