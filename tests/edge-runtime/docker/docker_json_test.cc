#include "edge-runtime/docker/docker_json.h"

#include <gtest/gtest.h>

#include <csignal>

#include "base/json.h"

namespace mcpfleet {
namespace {

InstanceSpec Spec() {
  InstanceSpec spec{.id = "weather-1",
                    .server = {"default", "weather"},
                    .uid = "u-1",
                    .generation = 4,
                    .revision = "abc",
                    .shim_directory = "/var/lib/mcpfleet/shim/weather-1"};
  spec.spec.source = ImageSource{.ref = "weather:v1"};
  spec.artifact = {.digest = "sha256:11", .entrypoint = {"/server"}, .default_args = {"--default"}};
  return spec;
}
CreateContext Context() { return {.node = "edge-01", .shim_binary = "/usr/libexec/mcpfleet/mcp-shim"}; }
using Strings = std::vector<std::string>;

TEST(DockerCreateTest, ArgvFollowsTheRulesOfKubernetes) {
  InstanceSpec spec = Spec();
  EXPECT_EQ(ArgvOf(spec), (Strings{"/server", "--default"}));
  spec.spec.args = {"/data"};
  EXPECT_EQ(ArgvOf(spec), (Strings{"/server", "/data"}));
  spec.spec.command = {"/other"};
  EXPECT_EQ(ArgvOf(spec), (Strings{"/other", "/data"}));
  spec.spec.args.clear();
  EXPECT_EQ(ArgvOf(spec), (Strings{"/other"}));
}

TEST(DockerCreateTest, TheShimIsTheFirstProcessAndArgvIsItsOwn) {
  const Json body = CreateBody(Spec(), Context()).value();
  EXPECT_EQ(body["Entrypoint"],
            Json(Strings{"/.mcp-shim", "--instance", "weather-1", "--socket", "/.mcp/agent.sock", "--"}));
  EXPECT_EQ(body["Cmd"], Json(Strings{"/server", "--default"}));
  EXPECT_EQ(body["Image"], "sha256:11");
}

TEST(DockerCreateTest, SecretsAreHandedOverByTheShimAndTheirFilesAreInMemory) {
  InstanceSpec spec = Spec();
  spec.spec.env = {{"TOKEN", "", {"github", "token"}}};
  spec.spec.files = {{"/run/secrets/a", {"github", "token"}}, {"/run/secrets/b", {"github", "token"}}};
  const Json body = CreateBody(spec, Context()).value();
  EXPECT_EQ(body["Env"], Json::array());
  EXPECT_EQ(body["HostConfig"]["Tmpfs"]["/run/secrets"], "rw,nosuid,nodev,noexec,mode=1777,size=262144");
  // Where there is no shim they would show in inspect.
  CreateContext attached = Context();
  attached.attach = "runtimes.docker.stdio is Attach";
  EXPECT_EQ(CreateBody(spec, attached).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(WhyNoSecrets(attached).find("runtimes.docker.stdio is Attach"), std::string::npos);
  EXPECT_EQ(CreateBody(spec, {.node = "edge-01"}).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(WhyNoSecrets(Context()), "");
}

TEST(DockerCreateTest, TheSandboxIsOnByDefault) {
  const Json body = CreateBody(Spec(), Context()).value();
  const Json& host = body["HostConfig"];
  EXPECT_EQ(host["CapDrop"], Json(Strings{"ALL"}));
  EXPECT_EQ(host["SecurityOpt"], Json(Strings{"no-new-privileges"}));
  EXPECT_EQ(host["ReadonlyRootfs"], true);
  EXPECT_EQ(host["NetworkMode"], "none");
  EXPECT_EQ(host["Memory"], int64_t{256} << 20);
  EXPECT_EQ(host["MemorySwap"], host["Memory"]);
  EXPECT_EQ(host["NanoCpus"], 1'000'000'000);
  EXPECT_EQ(host["PidsLimit"], 128);
  EXPECT_EQ(host["RestartPolicy"]["Name"], "no");
  EXPECT_EQ(body["User"], "65534:65534");
  EXPECT_EQ(body["Healthcheck"]["Test"], Json(Strings{"NONE"}));
}

TEST(DockerCreateTest, EnvironmentNeverReachesTheEngine) {
  InstanceSpec spec = Spec();
  spec.spec.env = {{"TOKEN", "hunter2"}};
  EXPECT_EQ(DumpJson(CreateBody(spec, Context()).value()).find("hunter2"), std::string::npos);
}

TEST(DockerCreateTest, WithoutTheShimTheServerIsTheFirstProcessAndTheEngineLogsNoneOfItsProtocol) {
  InstanceSpec spec = Spec();
  spec.spec.env = {{"TOKEN", "hunter2"}};
  CreateContext context = Context();
  context.attach = "because";
  const Json body = CreateBody(spec, context).value();
  EXPECT_EQ(body["Entrypoint"], Json(Strings{"/server", "--default"}));
  EXPECT_EQ(body["Env"], Json(Strings{"TOKEN=hunter2"})) << "there is no shim to hand it over";
  EXPECT_EQ(body["OpenStdin"], true);
  EXPECT_EQ(body["StdinOnce"], true) << "else our end is no end of its input";
  EXPECT_EQ(body["HostConfig"]["LogConfig"]["Type"], "none");
  EXPECT_TRUE(body["HostConfig"]["Mounts"].empty());
  EXPECT_EQ(body["Labels"]["dev.mcpfleet.shim"], "false");
  EXPECT_EQ(body["Labels"]["dev.mcpfleet.attached"], "because");
  // HTTP needs no stdio: nothing is attached and the engine keeps the log.
  spec.spec.transport = Transport::kStreamableHttp;
  const Json http = CreateBody(spec, context).value();
  EXPECT_EQ(http["OpenStdin"], false);
  EXPECT_EQ(http["HostConfig"]["LogConfig"]["Type"], "json-file");
  EXPECT_EQ(http["Labels"]["dev.mcpfleet.attached"], "");
}

TEST(DockerCreateTest, TheShimsMountsAreReadOnlyAndVolumesAsAsked) {
  InstanceSpec spec = Spec();
  spec.spec.volumes = {{.name = "data", .host_path = "/srv/da:ta", .mount_path = "/data", .read_only = true},
                       {.name = "rw", .host_path = "/srv/rw", .mount_path = "/rw"},
                       {.name = "scratch", .tmpfs_bytes = 4096, .mount_path = "/tmp"}};
  const Json host = CreateBody(spec, Context()).value()["HostConfig"];
  ASSERT_EQ(host["Mounts"].size(), 4U);
  EXPECT_EQ(host["Mounts"][0]["Target"], "/.mcp-shim");
  EXPECT_EQ(host["Mounts"][0]["ReadOnly"], true);
  EXPECT_EQ(host["Mounts"][1]["Source"], "/var/lib/mcpfleet/shim/weather-1");
  EXPECT_EQ(host["Mounts"][1]["ReadOnly"], true);
  EXPECT_EQ(host["Mounts"][2]["Source"], "/srv/da:ta");
  EXPECT_EQ(host["Mounts"][2]["ReadOnly"], true);
  EXPECT_EQ(host["Mounts"][3]["ReadOnly"], false);
  EXPECT_EQ(host["Tmpfs"].size(), 1U) << "a volume at /tmp replaces ours";
  EXPECT_NE(host["Tmpfs"]["/tmp"].get<std::string>().find("size=4096"), std::string::npos);
}

TEST(DockerCreateTest, AnImageWithNothingToRunIsThePersonsToMend) {
  InstanceSpec spec = Spec();
  spec.artifact.entrypoint.clear();
  spec.artifact.default_args.clear();
  const Status status = CreateBody(spec, Context()).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(Message(status).find("spec.command"), std::string::npos);
}

TEST(DockerJsonTest, TheApiVersionIsOursWithinWhatTheEngineServes) {
  EXPECT_EQ(NegotiateApi({.api = "1.41", .min_api = "1.12"}).value(), "1.41");
  EXPECT_EQ(NegotiateApi({.api = "1.40", .min_api = "1.12"}).value(), "1.40");
  EXPECT_EQ(NegotiateApi({.api = "1.43", .min_api = "1.24"}).value(), "1.41");
  EXPECT_EQ(NegotiateApi({.api = "1.52", .min_api = "1.44"}).value(), "1.44") << "newest engines refuse 1.41";
  EXPECT_EQ(NegotiateApi({.api = "1.24", .min_api = "1.12"}).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_FALSE(NegotiateApi({.api = "banana", .min_api = "1.12"}).ok());
}

TEST(DockerJsonTest, AListOnlyHoldsWhatCarriesAllOurLabels) {
  const std::string body = R"([
    {"Id":"c1","ImageID":"sha256:1","Created":1795364920,"State":"running","Labels":{"dev.mcpfleet.node":"n","dev.mcpfleet.instance":"a-1",
     "dev.mcpfleet.namespace":"default","dev.mcpfleet.server":"a","dev.mcpfleet.uid":"u","dev.mcpfleet.generation":"12","dev.mcpfleet.revision":"r"}},
    {"Id":"c2","State":"running","Labels":{"dev.mcpfleet.node":"other","dev.mcpfleet.instance":"b-1"}},
    {"Id":"c3","State":"running","Labels":{"dev.mcpfleet.node":"n","dev.mcpfleet.instance":"../x"}},
    {"Id":"c4","State":"running","Labels":null}, 7, null])";
  const auto list = ParseContainerList(body, "n").value();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].container_id, "c1");
  EXPECT_EQ(list[0].report.id, "a-1");
  EXPECT_EQ(list[0].report.generation, 12);
  EXPECT_EQ(list[0].report.state, InstanceState::kRunning);
  EXPECT_TRUE(list[0].report.shim);
}

TEST(DockerJsonTest, AContainerThatItsEngineRemovesOrCouldNotRemoveIsLeaving) {
  const auto list = ParseContainerList(
                        R"([{"Id":"c1","State":"dead","Labels":{"dev.mcpfleet.node":"n","dev.mcpfleet.instance":"a-1"}},
    {"Id":"c2","State":"exited","Labels":{"dev.mcpfleet.node":"n","dev.mcpfleet.instance":"a-2"}},
    {"Id":"c3","State":"removing","Labels":{"dev.mcpfleet.node":"n","dev.mcpfleet.instance":"a-3"}}])",
                        "n")
                        .value();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_TRUE(list[0].leaving);
  EXPECT_FALSE(list[1].leaving);
  EXPECT_TRUE(list[2].leaving);
  EXPECT_TRUE(ParseInspect(R"({"Id":"c","State":{"Status":"dead"},"Config":{"Labels":{}}})")->dead);
}

TEST(DockerJsonTest, AnAnswerThatIsNoListIsAnEngineToTryAgainNotAnEmptyNode) {
  EXPECT_EQ(ParseContainerList("{}", "n").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(ParseContainerList("<html>", "n").status().code(), StatusCode::kUnavailable);
}

TEST(DockerJsonTest, AnOomKillIsASignalAndSaysOom) {
  const auto inspected =
      ParseInspect(
          R"({"Id":"c","Created":"2026-11-22T16:28:40.738138056Z","State":{"Status":"exited","OOMKilled":true,"ExitCode":137,
    "StartedAt":"2026-11-22T16:28:40.9Z","FinishedAt":"2026-11-22T16:29:40.9Z"},"Config":{"Labels":{}}})")
          .value();
  ASSERT_TRUE(inspected.report.exit);
  EXPECT_EQ(inspected.report.exit->signal, SIGKILL);
  EXPECT_TRUE(inspected.report.exit->oom);
  EXPECT_EQ(inspected.report.finished_at - inspected.report.started_at, std::chrono::seconds(60));
}

TEST(DockerJsonTest, TimesOfEnginesHaveFractionsOffsetsAndGosZero) {
  EXPECT_EQ(FormatTime(ParseEngineTime("2026-11-22T16:28:40.738138056Z")), "2026-11-22T16:28:40Z");
  EXPECT_EQ(FormatTime(ParseEngineTime("2026-11-22T16:28:40.7+02:00")), "2026-11-22T14:28:40Z");
  EXPECT_EQ(FormatTime(ParseEngineTime("2026-11-22T16:28:40-01:30")), "2026-11-22T17:58:40Z");
  EXPECT_EQ(ParseEngineTime("0001-01-01T00:00:00Z"), WallTime{});
  EXPECT_EQ(ParseEngineTime("yesterday"), WallTime{});
}

TEST(DockerJsonTest, AReferenceWithoutTagMeansLatestAndAPortIsNoTag) {
  const auto is = [](const char* ref, const char* from, const char* tag) {
    const ImageReference image = ParseImageReference(ref);
    EXPECT_EQ(image.from, from) << ref;
    EXPECT_EQ(image.tag, tag) << ref;
  };
  is("server", "server", "latest");
  is("org/server:v2", "org/server", "v2");
  is("localhost:5000/server", "localhost:5000/server", "latest");
  is("localhost:5000/server:v2", "localhost:5000/server", "v2");
  is("org/server@sha256:ab", "org/server", "sha256:ab");
  is("org/server:v2@sha256:ab", "org/server", "sha256:ab");
}

TEST(DockerJsonTest, AnEnginesRefusalKeepsItsWordsAndGetsTheFittingCode) {
  const Status missing = StatusOfEngine(404, R"({"message":"No such container: x"})", "start x");
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_EQ(Message(missing), "start x: No such container: x");
  EXPECT_EQ(StatusOfEngine(500, "boom", "x").code(), StatusCode::kUnavailable);
  EXPECT_EQ(StatusOfEngine(400, "", "x").code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(StatusOfEngine(304, "", "x").ok());
}

TEST(DockerJsonTest, AnEventNamesItsInstance) {
  const std::optional<EngineEvent> event = ParseEvent(
      R"({"Type":"container","Action":"die","Actor":{"ID":"c","Attributes":{"dev.mcpfleet.instance":"a-1"}},"timeNano":1500000000000000001})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->instance, "a-1");
  EXPECT_EQ(event->container_id, "c");
  EXPECT_EQ(event->action, "die");
  EXPECT_EQ(event->time, WallTime(std::chrono::nanoseconds(1'500'000'000'000'000'001)));
  EXPECT_FALSE(ParseEvent(R"({"Type":"network","Actor":{"Attributes":{"dev.mcpfleet.instance":"a-1"}}})"));
  EXPECT_FALSE(ParseEvent("garbage"));
}

TEST(DockerJsonTest, AnOutOfMemoryKillThatTheEngineToldOfLateExplainsTheEndOfThisIncarnationOnly) {
  const WallTime start = WallTime(std::chrono::hours(100));
  const auto amended = [&](std::optional<ExitInfo> exit, Duration after) {
    InstanceReport report{.exit = exit, .started_at = start};
    AmendOom(start + after, &report);
    return report.exit && report.exit->oom;
  };
  const ExitInfo killed{.code = 137, .signal = SIGKILL};
  EXPECT_TRUE(amended(killed, std::chrono::seconds(5)));
  EXPECT_TRUE(amended(killed, -std::chrono::milliseconds(500))) << "it died before its start was on record";
  EXPECT_FALSE(amended(killed, -std::chrono::seconds(5))) << "of the incarnation before";
  EXPECT_FALSE(amended(ExitInfo{.code = 1}, std::chrono::seconds(5))) << "it was not killed";
  EXPECT_FALSE(amended(std::nullopt, std::chrono::seconds(5)));
}

TEST(DockerJsonTest, StatisticsLeaveThePageCacheOut) {
  const auto v1 = ParseStats(
      R"({"memory_stats":{"usage":1000,"stats":{"total_inactive_file":400}},"cpu_stats":{"cpu_usage":{"total_usage":2000000000}}})");
  EXPECT_EQ(v1->memory_bytes, 600);
  EXPECT_EQ(v1->cpu_seconds, 2.0);
  EXPECT_EQ(ParseStats(R"({"memory_stats":{"usage":1000,"stats":{"inactive_file":100}}})")->memory_bytes, 900);
}

TEST(DockerJsonTest, WhatAnEngineCannotEnforceIsNamed) {
  EXPECT_TRUE(
      ParseUnenforced(
          R"({"MemoryLimit":true,"SwapLimit":true,"PidsLimit":true,"SecurityOptions":["name=seccomp,profile=default"]})")
          .empty());
  EXPECT_EQ(ParseUnenforced(R"({"MemoryLimit":true,"SwapLimit":false,"SecurityOptions":[]})"),
            (Strings{"swap limit", "seccomp"}));
}

TEST(DockerJsonTest, RequiredEnforcementNeedsAllButSwapAccounting) {
  EXPECT_TRUE(CheckEnforceable({}).ok());
  EXPECT_TRUE(CheckEnforceable({"swap limit"}).ok());
  const Status refused = CheckEnforceable({"swap limit", "seccomp"});
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(refused).find("swap limit, seccomp"), std::string::npos) << refused;
}

}  // namespace
}  // namespace mcpfleet
