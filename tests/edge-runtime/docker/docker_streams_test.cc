#include <gtest/gtest.h>

#include "edge-runtime/docker/docker_frames.h"
#include "edge-runtime/docker/docker_pull.h"

namespace mcpfleet {
namespace {

std::string Frame(int stream, const std::string& bytes) {
  std::string out(8, '\0');
  out[0] = static_cast<char>(stream);
  for (size_t i = 0; i < 4; ++i) out[4 + i] = static_cast<char>(bytes.size() >> (24 - 8 * i));
  return out + bytes;
}

std::vector<std::string> Lines(const std::string& wire, size_t piece) {
  DockerFrameReader frames;
  DockerLogLines lines;
  for (size_t i = 0; i < wire.size(); i += piece) {
    EXPECT_TRUE(frames.Feed(std::string_view(wire).substr(i, piece)).ok());
    DockerFrame frame;
    while (frames.Next(&frame)) lines.Feed(frame);
  }
  lines.Finish();
  std::vector<std::string> out;
  for (std::string line; lines.Next(&line);) out.push_back(line);
  return out;
}

TEST(DockerFramesTest, LinesComeOutWholeHoweverTheBytesArrive) {
  const std::string wire = Frame(2, "T1 one\n") + Frame(1, "T2 out\n") + Frame(2, "T3 two\n") + Frame(2, "");
  const std::vector<std::string> expected = {"T1 one\n", "T2 out\n", "T3 two\n"};
  for (size_t piece : {size_t{1}, size_t{3}, size_t{8}, wire.size()}) EXPECT_EQ(Lines(wire, piece), expected) << piece;
}

TEST(DockerFramesTest, ALongLineInSeveralFramesKeepsOnlyItsFirstTime) {
  EXPECT_EQ(Lines(Frame(2, "T1 aaa") + Frame(1, "T2 x\n") + Frame(2, "T3 bbb\n"), 5),
            (std::vector<std::string>{"T2 x\n", "T1 aaabbb\n"}));
}

TEST(DockerFramesTest, ALastLineWithoutNewlineIsNotLost) {
  EXPECT_EQ(Lines(Frame(2, "T1 end"), 4), (std::vector<std::string>{"T1 end\n"}));
}

TEST(DockerFramesTest, AnEndlessLineIsCutAt64KiB) {
  std::string wire;
  for (int i = 0; i < 20; ++i) wire += Frame(2, std::string(10'000, 'x'));
  const auto lines = Lines(wire, 4096);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].size(), (size_t{64} << 10) + 1);
}

TEST(DockerFramesTest, RawTerminalOutputIsRefused) {
  DockerFrameReader frames;
  EXPECT_EQ(frames.Feed("hello world\n").code(), StatusCode::kInvalidArgument);
}

TEST(DockerPullTest, ProgressSumsTheLayers) {
  DockerPullProgress pull;
  EXPECT_EQ(pull.Current().phase, "resolving");
  ASSERT_TRUE(
      pull.Feed("{\"status\":\"Pulling from org/x\",\"id\":\"v1\"}\r\n"
                "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":10,\"total\":100},\"id\":\"a\"}\r\n"
                "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":50,\"total\":50},\"id\":\"b\"}\r\n")
          .ok());
  EXPECT_EQ(pull.Current().done_bytes, 60);
  EXPECT_EQ(pull.Current().total_bytes, 150);
  EXPECT_EQ(pull.Current().phase, "downloading");
  ASSERT_TRUE(
      pull.Feed("{\"status\":\"Download complete\",\"id\":\"a\"}\n{\"status\":\"Extracting\",\"id\":\"a\"}\n").ok());
  EXPECT_EQ(pull.Current().done_bytes, 150);
  EXPECT_EQ(pull.Current().phase, "installing");
}

TEST(DockerPullTest, AnErrorLineFailsThePull) {
  DockerPullProgress pull;
  const Status status =
      pull.Feed("{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"manifest unknown\"}\n");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  DockerPullProgress other;
  EXPECT_EQ(other.Feed("{\"error\":\"connection reset\"}\n").code(), StatusCode::kUnavailable);
}

TEST(DockerPullTest, NonsenseInBetweenIsIgnored) {
  DockerPullProgress pull;
  EXPECT_TRUE(
      pull.Feed(
              "\n\nnot "
              "json\n[1]\n{\"status\":\"Downloading\",\"progressDetail\":{\"current\":-5,\"total\":-7},\"id\":\"a\"}\n")
          .ok());
  EXPECT_EQ(pull.Current().done_bytes, 0);
}

}  // namespace
}  // namespace mcpfleet
