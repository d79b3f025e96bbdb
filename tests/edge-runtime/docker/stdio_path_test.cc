#include "edge-runtime/docker/stdio_path.h"

#include <gtest/gtest.h>

namespace mcpfleet {
namespace {

constexpr char kShim[] = "/var/lib/mcpfleet/lib/mcp-shim-0123";
constexpr char kDirectory[] = "/var/lib/mcpfleet/shim/weather-1";

TEST(StdioPathTest, TheShimIsUsedUnlessSomethingSpeaksAgainstIt) {
  EXPECT_EQ(WhyAttach({}), "");
  EXPECT_EQ(WhyAttach({.asked = true}), "runtimes.docker.stdio is Attach");
  EXPECT_NE(WhyAttach({.shim_error = "mcp-shim: not found"}).find("mcp-shim: not found"), std::string::npos);
  EXPECT_NE(WhyAttach({.noexec = true}).find("noexec"), std::string::npos);
}

TEST(StdioPathTest, AnEngineThatMissesOurFilesSeesOthers) {
  const std::string docker =
      R"({"message":"invalid mount config for type \"bind\": bind source path does not exist: /var/lib/mcpfleet/lib/mcp-shim-0123"})";
  EXPECT_NE(WhyNotMounted(docker, kShim, kDirectory, true), "");
  EXPECT_NE(
      WhyNotMounted("statfs /var/lib/mcpfleet/shim/weather-1: no such file or directory", kShim, kDirectory, true), "");
  EXPECT_EQ(WhyNotMounted(docker, kShim, kDirectory, false), "") << "missing here too: our fault";
  EXPECT_EQ(WhyNotMounted("bind source path does not exist: /srv/data", kShim, kDirectory, true), "") << "a volume's";
  EXPECT_EQ(WhyNotMounted("no such image: mcp-shim-0123", kShim, kDirectory, true), "");
  EXPECT_EQ(WhyNotMounted(docker, "", kDirectory, true), "");
}

TEST(StdioPathTest, AShimIsMatchedByTheCgroupOfTheProcessThatTheEngineNames) {
  EXPECT_EQ(WhyNotMatched(7, "0::/docker/abcdef\n", "abcdef"), "");
  EXPECT_EQ(WhyNotMatched(7, "0::/system.slice/docker-abcdef.scope\n", "abcdef"), "");
  EXPECT_NE(WhyNotMatched(7, "0::/user.slice\n", "abcdef"), "") << "another process has that number here";
  EXPECT_NE(WhyNotMatched(7, std::nullopt, "abcdef"), "");
  EXPECT_NE(WhyNotMatched(0, "0::/docker/abcdef\n", "abcdef"), "");
}

}  // namespace
}  // namespace mcpfleet
