#include "edge-runtime/docker/docker_log_tail.h"

#include <deque>
#include <optional>

#include <gtest/gtest.h>

#include "base/strings.h"

namespace mcpfleet {
namespace {

std::string Frame(const std::string& bytes, int stream = 2) {
  std::string out(8, '\0');
  out[0] = static_cast<char>(stream);
  for (size_t i = 0; i < 4; ++i) out[4 + i] = static_cast<char>(bytes.size() >> (8 * (3 - i)));
  return out + bytes;
}

// An engine with one log: what a stream gives, piece by piece. Nothing in `pieces` and not `ended`: nothing has come.
struct Engine {
  std::deque<std::string> pieces;
  bool ended = false;
  std::vector<std::string> asked;  // the `since` of each stream
  Status failure;

  class Stream final : public http::ResponseStream {
   public:
    explicit Stream(Engine& engine) : engine_(engine) {}
    const http::Response& head() const override { return head_; }
    StatusOr<std::string> Read(Deadline) override {
      if (!engine_.failure.ok()) return engine_.failure;
      if (engine_.pieces.empty()) return engine_.ended ? StatusOr<std::string>("") : DeadlineExceeded("timed out");
      std::string piece = engine_.pieces.front();
      engine_.pieces.pop_front();
      return piece;
    }
    void Cancel() override {}

   private:
    Engine& engine_;
    http::Response head_;
  };
  DockerLogTail Tail(const std::string& place = "") { return Tail(TailFrom{.place = place}); }
  DockerLogTail Tail(const TailFrom& from) {
    return DockerLogTail(
        [this](const std::string& since, Deadline) -> StatusOr<std::unique_ptr<http::ResponseStream>> {
          asked.push_back(since);
          return std::make_unique<Stream>(*this);
        },
        from);
  }
};

std::string Rest(DockerLogTail& tail, LogPiece* last = nullptr, size_t max = 1000) {
  std::string out;
  StatusOr<LogPiece> piece = tail.Read(&out, max, Deadline::Never());
  EXPECT_TRUE(piece.ok()) << piece.status();
  if (piece.ok() && last != nullptr) *last = *piece;
  return out;
}

constexpr char kOne[] = "2026-11-28T07:00:00.000000001Z one\n", kTwo[] = "2026-11-28T07:00:00.000000002Z two\n",
               kTwin[] = "2026-11-28T07:00:00.000000002Z twin\n", kThree[] = "2026-11-28T07:00:03.000000000Z three\n";

TEST(DockerLogTailTest, LinesAreTakenAsTheyComeByOneStream) {
  Engine engine;
  DockerLogTail tail = engine.Tail();
  LogPiece piece;
  EXPECT_EQ(Rest(tail, &piece), "");
  EXPECT_FALSE(piece.at_end) << "the container runs";
  const std::string frame = Frame(kOne);
  engine.pieces = {frame.substr(0, 11), frame.substr(11) + Frame(kTwo)};
  EXPECT_EQ(Rest(tail, &piece), std::string(kOne) + kTwo);
  EXPECT_EQ(piece.lines, 2);
  EXPECT_EQ(engine.asked, std::vector<std::string>{""});
  engine.pieces = {Frame(kThree)};
  engine.ended = true;
  EXPECT_EQ(Rest(tail, &piece), kThree);
  EXPECT_TRUE(piece.at_end);
  EXPECT_EQ(piece.lost, 0);
}

TEST(DockerLogTailTest, FromAPlaceOnNoLineComesTwiceAndNoneIsLeftOut) {
  Engine engine;
  std::string place;
  {
    DockerLogTail tail = engine.Tail();
    engine.pieces = {Frame(kOne) + Frame(kTwo)};
    Rest(tail);
    place = tail.Place();
  }
  DockerLogTail tail = engine.Tail(place);
  EXPECT_EQ(tail.Place(), place);
  engine.pieces = {Frame(kTwo) + Frame(kTwin) + Frame(kThree)};  // from the last time on
  LogPiece piece;
  EXPECT_EQ(Rest(tail, &piece), std::string(kTwin) + kThree);
  EXPECT_EQ(piece.lost, 0);
  EXPECT_EQ(engine.asked.back(), "2026-11-28T07:00:00.000000002Z");
}

TEST(DockerLogTailTest, SinceATimeTheEngineIsAskedForLinesFromThenOn) {
  Engine engine;
  DockerLogTail tail = engine.Tail({.since = ParseTime("2026-11-28T07:00:02.500Z").value()});
  EXPECT_EQ(Rest(tail), "");
  EXPECT_EQ(engine.asked.back(), "2026-11-28T07:00:02.500Z");
  EXPECT_EQ(tail.Place(), "");
  engine.pieces = {Frame(kThree)};
  LogPiece piece;
  EXPECT_EQ(Rest(tail, &piece), kThree);
  EXPECT_EQ(piece.lost, 0);
}

TEST(DockerLogTailTest, AnEngineThatHasThePlaceNoMoreHasLostSomething) {
  Engine engine;
  DockerLogTail tail = engine.Tail("engine 2026-11-28T07:00:00.000000002Z 1");
  engine.pieces = {Frame(kThree)};
  LogPiece piece;
  EXPECT_EQ(Rest(tail, &piece), kThree);
  EXPECT_EQ(piece.lost, 1);
}

TEST(DockerLogTailTest, AfterTheStreamBrokeTheLineUnderWayComesWhole) {
  Engine engine;
  DockerLogTail tail = engine.Tail();
  engine.pieces = {Frame(kOne) + Frame(kTwo).substr(0, 20)};
  EXPECT_EQ(Rest(tail), kOne);
  engine.failure = Unavailable("the engine went away");
  std::string out;
  EXPECT_FALSE(tail.Read(&out, 1000, Deadline::Never()).ok());
  engine.failure = OkStatus();
  DockerLogTail next = engine.Tail(tail.Place());
  engine.pieces = {Frame(kOne) + Frame(kTwo)};
  EXPECT_EQ(Rest(next), kTwo);
}

TEST(DockerLogTailTest, ALimitEndsAPieceAndTheRestComesNext) {
  Engine engine;
  DockerLogTail tail = engine.Tail();
  engine.pieces = {Frame(kOne) + Frame(kTwo) + Frame(kThree)};
  LogPiece piece;
  EXPECT_EQ(Rest(tail, &piece, 10), kOne);
  EXPECT_TRUE(piece.more);
  EXPECT_EQ(Rest(tail, &piece), std::string(kTwo) + kThree);
}

TEST(DockerLogTailTest, AnEndedContainerIsNotAskedForAgainAndAgain) {
  Engine engine;
  engine.ended = true;
  DockerLogTail tail = engine.Tail();
  LogPiece piece;
  for (int i = 0; i < 50; ++i) Rest(tail, &piece);
  EXPECT_TRUE(piece.at_end);
  EXPECT_LE(engine.asked.size(), 2U);
}

}  // namespace
}  // namespace mcpfleet
