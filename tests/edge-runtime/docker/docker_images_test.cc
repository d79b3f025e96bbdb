#include "edge-runtime/docker/docker_images.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fd.h"
#include "edge-runtime/engine/cgroup_usage.h"

namespace mcpfleet {
namespace {

using Strings = std::vector<std::string>;

class DirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/mcpfleet-docker-unit-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(dir_).ok()); }
  void Put(const std::string& path, const std::string& content) {
    ASSERT_TRUE(MakeDirectories(dir_ + path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(WriteFileAtomically(dir_ + path, content).ok());
  }
  std::string dir_;
};
using PulledImagesTest = DirectoryTest;
using CgroupUsageTest = DirectoryTest;

const std::vector<PulledImage> kOurs = {{"old", "a:1", ""}, {"mid", "a:2", ""}, {"new", "a:3", ""}};
const std::vector<ListedImage> kPresent = {{"old", 100}, {"mid", 100}, {"new", 100}, {"theirs", 5000}};

TEST(ImagesToRemoveTest, TheOldestGoUntilTheRestFits) {
  EXPECT_EQ(ImagesToRemove(kOurs, kPresent, {}, 300), Strings{});
  EXPECT_EQ(ImagesToRemove(kOurs, kPresent, {}, 200), (Strings{"old"}));
  EXPECT_EQ(ImagesToRemove(kOurs, kPresent, {}, 0), (Strings{"old", "mid", "new"}));
}

TEST(ImagesToRemoveTest, WhatIsKeptAndWhatIsNotOursStays) {
  EXPECT_EQ(ImagesToRemove(kOurs, kPresent, {"old"}, 200), (Strings{"mid"}));
  EXPECT_EQ(ImagesToRemove({}, kPresent, {}, 0), Strings{});
}

TEST_F(PulledImagesTest, TheListOutlivesTheAgent) {
  {
    PulledImages images(dir_ + "/pulled.json");
    ASSERT_TRUE(images.Remember({"sha256:1", "a:1", "2026-01-01T00:00:00Z"}).ok());
    ASSERT_TRUE(images.Remember({"sha256:2", "a:2", "2026-01-02T00:00:00Z"}).ok());
    ASSERT_TRUE(images.Forget({"sha256:1"}).ok());
  }
  const auto list = PulledImages(dir_ + "/pulled.json").List();
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].id, "sha256:2");
}

TEST_F(PulledImagesTest, ADamagedListIsEmptyAndRemovesNothing) {
  Put("/pulled.json", "[{\"id\":");
  EXPECT_TRUE(PulledImages(dir_ + "/pulled.json").List().empty());
}

TEST_F(CgroupUsageTest, VersionOneIsReadByController) {
  Put("/proc/7/cgroup", "9:pids:/p\n4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/\n");
  Put("/cg/memory/docker/x/memory.usage_in_bytes", "1000\n");
  Put("/cg/memory/docker/x/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n");
  Put("/cg/memory/docker/x/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  Put("/cg/cpuacct/docker/x/cpuacct.usage", "1500000000\n");
  const auto usage = ReadCgroupUsage(7, {dir_ + "/proc", dir_ + "/cg"}).value();
  EXPECT_EQ(usage.memory_bytes, 700);
  EXPECT_EQ(usage.cpu_seconds, 1.5);
  EXPECT_EQ(usage.oom_kills, 2);
}

TEST_F(CgroupUsageTest, VersionTwoIsReadFromTheOneTree) {
  Put("/proc/7/cgroup", "0::/system.slice/docker-x.scope\n");
  Put("/cg/system.slice/docker-x.scope/memory.current", "1000\n");
  Put("/cg/system.slice/docker-x.scope/memory.stat", "anon 5\ninactive_file 300\n");
  Put("/cg/system.slice/docker-x.scope/memory.events", "low 0\noom 1\noom_kill 3\n");
  Put("/cg/system.slice/docker-x.scope/cpu.stat", "usage_usec 2500000\nuser_usec 1\n");
  const auto usage = ReadCgroupUsage(7, {dir_ + "/proc", dir_ + "/cg"}).value();
  EXPECT_EQ(usage.memory_bytes, 700);
  EXPECT_EQ(usage.cpu_seconds, 2.5);
  EXPECT_EQ(usage.oom_kills, 3);
}

TEST_F(CgroupUsageTest, ACgroupOutsideOurNamespaceIsNotGuessed) {
  Put("/proc/7/cgroup", "0::/../docker-x.scope\n");
  Put("/cg/memory.current", "1000\n");
  EXPECT_EQ(ReadCgroupUsage(7, {dir_ + "/proc", dir_ + "/cg"}).status().code(), StatusCode::kNotFound);
}

TEST_F(CgroupUsageTest, TheStartOfAProcessIsFoundBehindAnyName) {
  Put("/proc/7/stat", "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 100 200\n");
  EXPECT_EQ(ProcessStartTicks(7, {dir_ + "/proc", ""}).value(), "987654");
  EXPECT_FALSE(ProcessStartTicks(8, {dir_ + "/proc", ""}).ok());
}

}  // namespace
}  // namespace mcpfleet
