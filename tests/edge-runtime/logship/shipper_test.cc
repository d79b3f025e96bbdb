// The uploader against a store that does anything, and the shipper as a whole with its threads.
#include "edge-runtime/logship/log_shipper.h"

#include <poll.h>
#include <unistd.h>

#include <random>

#include "edge-runtime/logship/shipped_runtime.h"
#include "tests/edge-runtime/logship/testing.h"
#include "tests/fakes/fake_runtime.h"

namespace mcpfleet::logship {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

bool Eventually(const std::function<bool()>& holds, Duration timeout = seconds(20)) {
  for (const Deadline deadline = Deadline::After(timeout); !deadline.Expired(); poll(nullptr, 0, 5)) {
    if (holds()) return true;
  }
  return holds();
}

class UploaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    spool_ = *Spool::Open(directory_ / "spool", 0);
    loss_ = std::make_unique<LossReport>(metrics_, nullptr, clock_);
    uploader_ = std::make_unique<LogUploader>(*spool_, store_, metrics_, *loss_, clock_, 1);
  }
  void Add(uint64_t order, const std::string& bytes = "abcd") {
    const ChunkInfo chunk{.order = order,
                          .name = "boot-" + std::to_string(order),
                          .first = 1,
                          .last = 2,
                          .lines = 10,
                          .bytes = static_cast<int64_t>(bytes.size())};
    ASSERT_TRUE(spool_->Write(chunk, bytes).ok());
    spool_->Offer(chunk);
  }
  Duration Once() { return uploader_->UploadOne(Deadline::After(seconds(10))); }

  Directory directory_;
  FakeClock clock_;
  CountedLogMetrics metrics_;
  MemoryStore store_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<LossReport> loss_;
  std::unique_ptr<LogUploader> uploader_;
};

TEST_F(UploaderTest, ChunksGoOutInOrderByteForByte) {
  EXPECT_EQ(Once(), Duration::max());
  Add(1, "first");
  Add(2, "second");
  EXPECT_EQ(Once(), Duration::zero());
  EXPECT_EQ(Once(), Duration::zero());
  EXPECT_EQ(Once(), Duration::max());
  EXPECT_EQ(store_.order(), (std::vector<std::string>{"boot-1", "boot-2"}));
  EXPECT_EQ(store_.chunks()["boot-2"], "second");
  EXPECT_EQ(spool_->chunks(), 0);
  EXPECT_EQ(metrics_.chunks, 2);
  EXPECT_EQ(metrics_.lines, 20);
  EXPECT_EQ(metrics_.bytes, 11);
}

TEST_F(UploaderTest, TimesThatCanNotBeAreBroughtNear) {
  Add(1);  // of 1970
  EXPECT_EQ(Once(), Duration::zero());
  EXPECT_EQ(store_.times().first, clock_.Wall() - std::chrono::hours(390 * 24));
  EXPECT_EQ(store_.times().second, store_.times().first);
  ChunkInfo chunk{.order = 2, .name = "boot-2", .lines = 1, .bytes = 1};
  chunk.first = std::chrono::nanoseconds(clock_.Wall().time_since_epoch()).count() - 5;
  chunk.last = chunk.first + std::chrono::nanoseconds(std::chrono::hours(50)).count();
  ASSERT_TRUE(spool_->Write(chunk, "x").ok());
  spool_->Offer(chunk);
  EXPECT_EQ(Once(), Duration::zero());
  EXPECT_EQ(store_.times().first, clock_.Wall() - Duration(5));
  EXPECT_EQ(store_.times().second, clock_.Wall()) << "a clock that was ahead";
}

TEST_F(UploaderTest, AnAnswerThatWasLostIsARepeatAndNoLineTwice) {
  Add(1);
  store_.Answer({{Unavailable("reset"), {}}}, false, true);
  EXPECT_GT(Once(), Duration::zero());
  EXPECT_EQ(spool_->chunks(), 1);
  EXPECT_EQ(Once(), Duration::zero());
  EXPECT_EQ(store_.chunks().size(), 1U);
  EXPECT_EQ(metrics_.failures, 1);
  EXPECT_EQ(loss_->lines(), 0);
}

TEST_F(UploaderTest, WhateverIsNoRefusalIsTriedAgainAfterAsLongAsTheStoreAsks) {
  Add(1);
  store_.Answer({{Unavailable("HTTP 429"), seconds(90)},
                 {Unavailable("HTTP 500"), {}},
                 {Unavailable("the answer is not the Worker's"), {}},
                 {Unauthenticated("revoked"), {}},
                 {PermissionDenied("other node"), {}},
                 {FailedPrecondition("no Worker"), {}},
                 {ResourceExhausted("endless"), {}},
                 {DeadlineExceeded("slow"), {}}});
  EXPECT_EQ(Once(), seconds(90));
  EXPECT_EQ(uploader_->failure(), "HTTP 429");
  Duration before{};
  for (int i = 0; i < 7; ++i) {
    const Duration wait = Once();
    EXPECT_GE(wait, before / 2);
    EXPECT_LE(wait, minutes(5));
    before = wait;
  }
  EXPECT_EQ(Once(), Duration::zero());
  EXPECT_EQ(uploader_->failure(), "");
  EXPECT_EQ(metrics_.chunks, 1);
  EXPECT_EQ(metrics_.failures, 8);
}

TEST_F(UploaderTest, AChunkThatWillNeverBeTakenGoesLoudlyAndTheNextOneFollows) {
  Add(1);
  Add(2);
  Add(3);
  store_.Answer(
      {{AlreadyExists("the chunk is there with other bytes"), {}}, {InvalidArgument("the times can't be"), {}}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Once(), Duration::zero());
  EXPECT_EQ(store_.order(), std::vector<std::string>{"boot-3"});
  EXPECT_EQ(metrics_.Lost("conflict"), 10);
  EXPECT_EQ(metrics_.Lost("refused"), 10);
  EXPECT_EQ(spool_->chunks(), 0);
}

TEST_F(UploaderTest, AChunkThatIsDamagedOnDiskIsCountedAndNeverSent) {
  Add(1);
  Add(2);
  const std::string path = directory_ / "spool/0000000000000001_boot-1_1_2_10";
  ASSERT_EQ(truncate(path.c_str(), 2), 0);
  EXPECT_EQ(Once(), Duration::zero());
  EXPECT_EQ(metrics_.Lost("damaged"), 10);
  EXPECT_EQ(Once(), Duration::zero());
  EXPECT_EQ(store_.order(), std::vector<std::string>{"boot-2"});
}

TEST_F(UploaderTest, AfterAWeekItCatchesUpInOrderNoFasterThanItMay) {
  constexpr int kChunks = 40;
  const std::string chunk(1 << 20, 'x');
  for (uint64_t order = 1; order <= kChunks; ++order) Add(order, chunk);
  Duration taken{};
  while (spool_->chunks() > 0) {
    const Duration wait = Once();
    clock_.Advance(wait);
    taken += wait;
  }
  const double least = (kChunks * double{1 << 20} - kBurstBytes) / kBytesPerSecond;
  EXPECT_NEAR(std::chrono::duration<double>(taken).count(), least, 0.5) << "what is above the burst has its time";
  std::vector<std::string> order;
  for (int i = 1; i <= kChunks; ++i) order.push_back("boot-" + std::to_string(i));
  EXPECT_EQ(store_.order(), order);
}

// --- the whole ---

class ShipperTest : public ::testing::Test {
 protected:
  ~ShipperTest() override { shipper_.reset(); }
  void Begin(Duration interval = minutes(10)) {
    shipper_.reset();
    StatusOr<std::unique_ptr<LogShipper>> opened =
        LogShipper::Open({.directory = directory_ / "logship",
                          .boot_id = "boot" + std::to_string(++boots_),
                          .interval = interval,
                          .seed = 1},
                         {.tails = {{RuntimeKind::kProcess, &logs_}},
                          .store = store_,
                          .metrics = metrics_,
                          .clock = clock_,
                          .event = nullptr,
                          .live = [this](const ServerKey&, const std::vector<LiveLine>& lines) {
                            std::lock_guard<std::mutex> lock(mu_);
                            for (const LiveLine& line : lines) live_.push_back(line.text);
                            return true;
                          }});
    ASSERT_TRUE(opened.ok()) << opened.status();
    shipper_ = *std::move(opened);
    shipper_->Start();
  }
  void Set(InstanceState state = InstanceState::kRunning) {
    shipper_->SetInstances(RuntimeKind::kProcess, {Instance("a", "weather", state)});
  }
  std::vector<std::string> Stored() {
    std::vector<std::string> out;
    const auto chunks = store_.chunks();
    for (const std::string& name : store_.order()) {
      for (const Json& line : Unpack(chunks.at(name))) out.push_back(GetString(line, "text"));
    }
    return out;
  }

  Directory directory_;
  SystemClock clock_;
  CountedLogMetrics metrics_;
  MemoryStore store_;
  MemoryLogs logs_;
  int boots_ = 0;
  std::mutex mu_;
  std::vector<std::string> live_;
  std::unique_ptr<LogShipper> shipper_;
};

TEST_F(ShipperTest, ACrashShipsTheLastWordsWithinSeconds) {
  Begin();
  Set();
  ASSERT_TRUE(Eventually([&] { return shipper_->state().phase == ShipperState::Phase::kOn; }));
  logs_.Write("a", "last words");
  Set(InstanceState::kExited);
  EXPECT_TRUE(Eventually([&] { return Stored() == std::vector<std::string>{"last words"}; }, seconds(10)));
}

TEST_F(ShipperTest, AServerThatWasNeverSeenToRunHasLastWordsToo) {
  Begin();
  logs_.Write("a", "last words");
  Set(InstanceState::kExited);
  EXPECT_TRUE(Eventually([&] { return Stored() == std::vector<std::string>{"last words"}; }, seconds(10)));
}

TEST_F(ShipperTest, WhoeverFollowsGetsLinesAtOnceAndChunksWithinSeconds) {
  Begin();
  Set();
  logs_.Write("a", "before");
  shipper_->SetFollowed({{"default", "weather"}});
  EXPECT_TRUE(Eventually(
      [&] {
        std::lock_guard<std::mutex> lock(mu_);
        return live_ == std::vector<std::string>{"before"};
      },
      seconds(5)));
  EXPECT_TRUE(Eventually([&] { return Stored() == std::vector<std::string>{"before"}; }, seconds(15)));
}

TEST_F(ShipperTest, StoppingShipsWhatWasRead) {
  logs_.Write("a", "one");
  Begin();
  Set();
  ASSERT_TRUE(Eventually([&] { return metrics_.Lag() > Duration::zero(); }));
  shipper_->Stop();
  EXPECT_EQ(Stored(), std::vector<std::string>{"one"});
}

TEST_F(ShipperTest, AStoreThatIsAwayHoldsUpNothingAndGetsAllInOrderAfterwards) {
  Begin();
  Set();
  ASSERT_TRUE(Eventually([&] { return shipper_->state().phase == ShipperState::Phase::kOn; }));
  store_.Answer({{Unavailable("away"), {}}}, true);
  std::vector<std::string> all;
  for (int boot = 0; boot < 5; ++boot) {
    for (int i = 0; i < 10; ++i) {
      all.push_back(std::to_string(all.size()));
      logs_.Write("a", all.back());
    }
    Set();
    shipper_->Finish("a", Deadline::After(seconds(5)));
    shipper_->Stop();
    Begin();  // took logs before: reads on although it can't ask
    EXPECT_EQ(shipper_->state().phase, ShipperState::Phase::kOn);
  }
  EXPECT_EQ(Stored(), std::vector<std::string>{});
  store_.Heal();
  EXPECT_TRUE(Eventually([&] { return Stored() == all; }));
  EXPECT_EQ(metrics_.lost.size(), 0U);
}

TEST_F(ShipperTest, AStoreThatTakesNoLogsGetsNone) {
  store_.takes = false;
  logs_.Write("a", "one");
  Begin(seconds(0));
  Set();
  ASSERT_TRUE(Eventually([&] { return shipper_->state().phase == ShipperState::Phase::kOff; }));
  shipper_->Finish("a", Deadline::After(seconds(5)));
  shipper_->Stop();
  EXPECT_EQ(store_.puts(), 0);
}

TEST_F(ShipperTest, ADamagedCursorIsSaidAndNothingInTheSpoolIsLost) {
  Begin();
  Set();
  ASSERT_TRUE(Eventually([&] { return shipper_->state().phase == ShipperState::Phase::kOn; }));
  store_.Answer({{Unavailable("away"), {}}}, true);
  logs_.Write("a", "one");
  Set();
  shipper_->Finish("a", Deadline::After(seconds(5)));
  shipper_->Stop();
  shipper_.reset();
  ASSERT_TRUE(WriteFileAtomically(directory_ / "logship/cursor", "rubbish").ok());
  store_.Heal();
  Begin();
  EXPECT_TRUE(Eventually([&] { return Stored() == std::vector<std::string>{"one"}; }));
}

// A runtime whose logs are shipped.
class WrappedTest : public ShipperTest {
 protected:
  void Wrap(RuntimeKind kind) {
    fake_ = std::make_unique<FakeRuntime>(engine_, FakeRuntimeOptions{.node = "edge-01", .kind = kind});
    Begin();
    runtime_ = std::make_unique<ShippedRuntime>(*fake_, *shipper_);
    ASSERT_TRUE(Eventually([&] { return shipper_->state().phase == ShipperState::Phase::kOn; }));
  }
  void CreateProcess() {
    InstanceSpec spec{.id = "a", .server = {"default", "weather"}, .uid = "u", .generation = 1, .revision = "r"};
    spec.spec.source = ProcessSource{.path = "/bin/true"};
    spec.artifact = *runtime_->Pull(spec.spec, nullptr, Deadline::Never());
    const Status created = runtime_->Create(spec, Deadline::Never());
    ASSERT_TRUE(created.ok()) << created;
  }
  FakeClock engine_clock_;
  FakeEngine engine_{engine_clock_};
  std::unique_ptr<FakeRuntime> fake_;
  std::unique_ptr<ShippedRuntime> runtime_;
};

TEST_F(WrappedTest, ALogIsReadBeforeItGoes) {
  Wrap(RuntimeKind::kProcess);
  CreateProcess();
  ASSERT_TRUE(runtime_->List(Deadline::Never()).ok());
  logs_.Write("a", "last words");
  ASSERT_TRUE(runtime_->Remove("a", Deadline::After(seconds(10))).ok());
  logs_.Remove("a");
  EXPECT_TRUE(Eventually([&] { return Stored() == std::vector<std::string>{"last words"}; }));
}

TEST_F(WrappedTest, AnInstanceThatWasOnlyLookedAtIsReadToo) {
  Wrap(RuntimeKind::kProcess);
  ASSERT_TRUE(runtime_->List(Deadline::Never()).ok());
  CreateProcess();
  ASSERT_TRUE(runtime_->Look("a", Deadline::Never()).ok());
  logs_.Write("a", "first words");
  shipper_->Finish("a", Deadline::After(seconds(5)));
  EXPECT_TRUE(Eventually([&] { return Stored() == std::vector<std::string>{"first words"}; }));
}

TEST_F(WrappedTest, ItPullsWithItsCredentialsAndSaysWhatItCantDeliver) {
  Wrap(RuntimeKind::kDocker);
  fake_->SetWhyNoSecrets("no shim can hand them over");
  fake_->RequirePassword("hunter2");
  ServerSpec spec;
  spec.source = ImageSource{.ref = "registry.example/private:1"};
  EXPECT_EQ(runtime_->WhyNoSecrets(spec), "no shim can hand them over");
  EXPECT_FALSE(runtime_->Pull(spec, nullptr, Deadline::Never()).ok());
  const RegistryCredentials right{.user = "ci", .password = SecretText("hunter2")};
  const StatusOr<Artifact> pulled = runtime_->PullAs(right, spec, nullptr, Deadline::Never());
  EXPECT_TRUE(pulled.ok()) << pulled.status();
}

}  // namespace
}  // namespace mcpfleet::logship
