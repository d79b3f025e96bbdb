#include "edge-runtime/gitsync/synchronizer.h"

#include <sys/stat.h>

#include <optional>

#include "crd/codec.h"
#include "store/reader.h"
#include "tests/edge-runtime/gitsync/git_world.h"
#include "tests/fakes/fake_kv.h"

namespace mcpfleet::gitsync {
namespace {

using testing::Soon;

class SyncTest : public ::testing::Test {
 protected:
  SyncTest() {
    world_.MakeSshKey("ann");
    options_ = {.name = "fleet", .shown_url = world_.url(), .branch = "main", .directory = world_ / "state"};
    verify_.allowed_signers = world_.Allow({"ann"});
  }
  // A process that begins anew.
  Synchronizer& Start() {
    auto git = GitProgram::Create({.directory = options_.directory, .protocols = "file", .env = env_});
    EXPECT_OK(git);
    auto url = ParseGitUrl(world_.url());
    EXPECT_OK(url);
    sync_.emplace(options_, Repository(*std::move(git), *std::move(url), options_.branch, verify_),
                  SyncStore{config_, state_, {}, [](Deadline) { return FailedPrecondition("no Worker"); }}, clock_);
    EXPECT_OK(sync_->Recall(Soon()));
    return *sync_;
  }
  SyncOutcome Step() {
    if (!sync_) Start();
    return sync_->Step(Soon());
  }
  std::string Condition_(const std::string& type) {
    const Condition* condition = FindCondition(sync_->status().conditions, type);
    return condition == nullptr ? "" : ToString(condition->status) + "/" + condition->reason;
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    auto state = ReadState(config_, Soon());
    EXPECT_OK(state);
    for (const auto& [key, object] : state->objects) names.push_back(key.name);
    return names;
  }
  std::string ImageOf(const std::string& name) {
    auto state = ReadState(config_, Soon());
    EXPECT_OK(state);
    auto it = state->objects.find({kKindServer, "default", name});
    return it == state->objects.end() ? "" : GetString(it->second.spec["source"]["image"], "ref");
  }
  std::string HeadOrderNow() {
    auto head = ReadHead(config_, Soon());
    EXPECT_OK(head);
    return head->has_value() ? ToString((*head)->order) : "";
  }
  using NameList = std::vector<std::string>;

  GitWorld world_;
  FakeClock clock_;
  FakeKv config_{clock_}, state_{clock_};
  SyncOptions options_;
  Verification verify_;
  std::vector<std::string> env_;
  std::optional<Synchronizer> sync_;
};

TEST_F(SyncTest, ASignedCommitIsAppliedWithPruneAndSaysSo) {
  world_.File("a.yaml", ManifestOf("a"));
  world_.File("b.yaml", ManifestOf("b"));
  const std::string first = world_.Commit("two servers", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  EXPECT_EQ(Names(), (NameList{"a", "b"}));
  EXPECT_EQ(sync_->status().applied.id, first);
  EXPECT_EQ(sync_->status().applied.signer, "ann@example.com");
  EXPECT_EQ(Condition_("Ready"), "True/Synced");
  world_.Git({"rm", "--quiet", "b.yaml"});
  world_.File("a.yaml", ManifestOf("a", "2"));
  const std::string second = world_.Commit("one server", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  EXPECT_EQ(Names(), NameList{"a"});
  EXPECT_EQ(ImageOf("a"), "example/a:2");
  EXPECT_EQ(sync_->status().pruned, 1);
  auto said = ReadSyncStatuses(state_, Soon());
  ASSERT_OK(said);
  ASSERT_EQ(said->size(), 1u);
  EXPECT_EQ((*said)[0].applied.id, second);
  EXPECT_EQ((*said)[0].applied.subject, "one server");
  auto history = ReadHistory(config_, 1, Soon());
  ASSERT_OK(history);
  EXPECT_EQ((*history)[0].snapshot.message, "sync " + second.substr(0, 12) + ": one server");
  EXPECT_EQ((*history)[0].snapshot.author, "mcplet sync fleet for ann@example.com");
}

TEST_F(SyncTest, AnUnsignedCommitAndOneByAStrangerAreRefusedAndTheLastStays) {
  world_.MakeSshKey("eve");
  world_.File("a.yaml", ManifestOf("a"));
  const std::string good = world_.Commit("good", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  world_.File("a.yaml", ManifestOf("a", "2"));
  world_.Commit("nobody", "");
  EXPECT_EQ(Step(), SyncOutcome::kNotVerified);
  EXPECT_EQ(Condition_("Verified"), "False/SignatureRefused");
  EXPECT_NE(sync_->message().find("(Ann <ann@example.com>) is not signed"), std::string::npos) << sync_->message();
  EXPECT_NE(sync_->message().find("commit " + good.substr(0, 12) + " stays in force"), std::string::npos);
  world_.File("a.yaml", ManifestOf("a", "3"));
  world_.Commit("stranger", "eve");
  EXPECT_EQ(Step(), SyncOutcome::kNotVerified);
  EXPECT_NE(sync_->message().find("none that may sign here"), std::string::npos) << sync_->message();
  EXPECT_EQ(ImageOf("a"), "example/a:1");
  EXPECT_EQ(sync_->status().applied.id, good);
  // Signed again by who may: the branch goes on.
  world_.File("a.yaml", ManifestOf("a", "4"));
  world_.Commit("mended", "ann");
  EXPECT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  EXPECT_EQ(ImageOf("a"), "example/a:4");
}

TEST_F(SyncTest, ASignerWhoMayNoLongerIsRefusedAlsoForTheCommitThatIsApplied) {
  world_.MakeSshKey("eve");
  world_.File("a.yaml", ManifestOf("a"));
  world_.Commit("good", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied);
  world_.Allow({"eve"});
  EXPECT_EQ(Step(), SyncOutcome::kNotVerified);
  EXPECT_EQ(ImageOf("a"), "example/a:1");
}

TEST_F(SyncTest, CommitsAreVerifiedByGpgToo) {
  verify_ = {.gpg_home = world_.MakeGpg()};
  env_ = {"GNUPGHOME=" + verify_.gpg_home};
  world_.File("a.yaml", ManifestOf("a"));
  world_.CommitWithGpg("signed");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  EXPECT_NE(sync_->status().applied.signer.find("ann@example.com"), std::string::npos);
  // A signature of the other kind counts for nothing.
  world_.File("a.yaml", ManifestOf("a", "2"));
  world_.Commit("by ssh", "ann");
  EXPECT_EQ(Step(), SyncOutcome::kNotVerified) << sync_->message();
}

TEST_F(SyncTest, WithSshSignersAGpgSignatureCountsForNothing) {
  world_.MakeGpg();
  world_.File("a.yaml", ManifestOf("a"));
  world_.CommitWithGpg("signed");
  EXPECT_EQ(Step(), SyncOutcome::kNotVerified) << sync_->message();
  EXPECT_EQ(Names(), NameList{});
}

TEST_F(SyncTest, AForcePushIsRefusedAndNamedUntilItIsAccepted) {
  world_.File("a.yaml", ManifestOf("a"));
  const std::string first = world_.Commit("first", "ann");
  world_.File("a.yaml", ManifestOf("a", "2"));
  const std::string second = world_.Commit("second", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  world_.Git({"reset", "--quiet", "--hard", first});
  world_.File("a.yaml", ManifestOf("a", "3"));
  const std::string rewritten = world_.Commit("rewritten", "ann");
  EXPECT_EQ(Step(), SyncOutcome::kNotVerified);
  EXPECT_EQ(Condition_("Verified"), "False/HistoryRewritten");
  EXPECT_NE(sync_->message().find("--accept " + rewritten), std::string::npos) << sync_->message();
  EXPECT_NE(sync_->message().find(second.substr(0, 12)), std::string::npos) << sync_->message();
  EXPECT_EQ(ImageOf("a"), "example/a:2");
  // Not by starting anew, and not by losing the disk: the store knows it too.
  Start();
  EXPECT_EQ(Step(), SyncOutcome::kNotVerified);
  ASSERT_OK(RemoveTree(options_.directory));
  Start();
  EXPECT_EQ(Step(), SyncOutcome::kNotVerified);
  // An older commit that was good once is none now.
  world_.Git({"reset", "--quiet", "--hard", first});
  world_.Git({"push", "--quiet", "--force", "origin", "main"});
  EXPECT_EQ(Step(), SyncOutcome::kNotVerified);
  world_.Git({"reset", "--quiet", "--hard", rewritten});
  world_.Git({"push", "--quiet", "--force", "origin", "main"});
  options_.accept = rewritten;
  Start();
  EXPECT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  EXPECT_EQ(ImageOf("a"), "example/a:3");
}

TEST_F(SyncTest, ABadCommitKeepsTheLastGoodAndSaysWhere) {
  world_.File("sites/berlin/a.yaml", ManifestOf("a"));
  options_.path = "sites/berlin";
  world_.Commit("good", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  const std::string head = HeadOrderNow();
  world_.File("sites/berlin/a.yaml", ManifestOf("a", "2", "  transprot: stdio\n"));
  world_.Commit("bad", "ann");
  EXPECT_EQ(Step(), SyncOutcome::kInvalid);
  EXPECT_EQ(Condition_("Applied"), "False/InvalidManifests");
  EXPECT_NE(sync_->message().find("sites/berlin/a.yaml:7: spec.transprot: unknown field"), std::string::npos)
      << sync_->message();
  EXPECT_EQ(HeadOrderNow(), head);
  struct stat info {};
  EXPECT_NE(stat((options_.directory + "/tree").c_str(), &info), 0);
}

TEST_F(SyncTest, AnEmptiedFolderAndAPruneBeyondItsLimitAreRefused) {
  for (const char* name : {"a", "b", "c"}) world_.File(std::string(name) + ".yaml", ManifestOf(name));
  world_.Commit("three", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  world_.Git({"rm", "--quiet", "b.yaml", "c.yaml"});
  world_.Commit("one", "ann");
  EXPECT_EQ(Step(), SyncOutcome::kRefused);
  EXPECT_EQ(Condition_("Applied"), "False/ChangeRefused");
  EXPECT_NE(sync_->message().find("would delete 2 of the 3"), std::string::npos) << sync_->message();
  world_.Git({"rm", "--quiet", "a.yaml"});
  world_.Commit("none", "ann");
  EXPECT_EQ(Step(), SyncOutcome::kInvalid) << sync_->message();
  EXPECT_EQ(Names(), (NameList{"a", "b", "c"}));
}

TEST_F(SyncTest, WhatSomebodyChangedByHandComesBack) {
  world_.File("a.yaml", ManifestOf("a"));
  world_.Commit("one", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  EXPECT_EQ(Step(), SyncOutcome::kUnchanged);
  ASSERT_OK(Apply(config_, {.remove = {{kKindServer, "default", "a"}}}, {}, clock_, Soon()));
  EXPECT_EQ(Step(), SyncOutcome::kApplied);
  EXPECT_EQ(Names(), NameList{"a"});
}

TEST_F(SyncTest, ObjectsOfOthersStayAndOneThatIsNamedIsRefused) {
  Object theirs = testing::Server("theirs");
  theirs.metadata.labels[kApplySetLabel] = "bank";
  ASSERT_OK(Apply(config_, {.set = {theirs, testing::Server("nobodys")}}, {}, clock_, Soon()));
  world_.File("a.yaml", ManifestOf("a"));
  world_.Commit("one", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  EXPECT_EQ(Names(), (NameList{"a", "nobodys", "theirs"}));
  world_.File("theirs.yaml", ManifestOf("theirs"));
  world_.Commit("grab", "ann");
  EXPECT_EQ(Step(), SyncOutcome::kRefused);
  EXPECT_NE(sync_->message().find("belongs to apply set bank"), std::string::npos) << sync_->message();
}

TEST_F(SyncTest, ARepositoryThatIsAwayAndAStoreThatIsAwayChangeNothing) {
  world_.File("a.yaml", ManifestOf("a"));
  world_.Commit("one", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  ASSERT_EQ(rename((world_ / "fleet.git").c_str(), (world_ / "away.git").c_str()), 0);
  EXPECT_EQ(Step(), SyncOutcome::kFetchFailed);
  EXPECT_EQ(Condition_("Fetched"), "False/FetchFailed");
  ASSERT_EQ(rename((world_ / "away.git").c_str(), (world_ / "fleet.git").c_str()), 0);
  config_.SetUnreachable(true);
  EXPECT_EQ(Step(), SyncOutcome::kStoreFailed);
  config_.SetUnreachable(false);
  EXPECT_EQ(Step(), SyncOutcome::kUnchanged);
  EXPECT_EQ(Condition_("Ready"), "True/Synced");
}

TEST_F(SyncTest, WithoutItsDiskAndWithoutTheStoreNothingIsBegun) {
  state_.SetUnreachable(true);
  auto git = GitProgram::Create({.directory = options_.directory, .protocols = "file"});
  ASSERT_OK(git);
  Synchronizer sync(options_, Repository(*std::move(git), *ParseGitUrl(world_.url()), "main", verify_),
                    {config_, state_, {}, {}}, clock_);
  EXPECT_EQ(sync.Recall(Soon()).code(), StatusCode::kUnavailable);
}

TEST_F(SyncTest, AnOverlayIsRenderedAndReplicasNeedAStoreThatKnowsWhoIsDown) {
  world_.File("base/a.yaml", ManifestOf("a"));
  world_.File("sites/berlin/kustomization.yaml", "resources: [../../base]\nnamespace: berlin\n");
  options_.path = "sites/berlin";
  world_.Commit("overlay", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  EXPECT_TRUE(ReadState(config_, Soon())->objects.contains({kKindServer, "berlin", "a"}));
  world_.File("base/a.yaml", ManifestOf("a", "1", "  placement: {replicas: 2}\n"));
  world_.Commit("replicas", "ann");
  EXPECT_EQ(Step(), SyncOutcome::kRefused);
  EXPECT_NE(sync_->message().find("spec.placement.replicas"), std::string::npos) << sync_->message();
}

TEST_F(SyncTest, TheStatusIsWrittenWhenSomethingChangedAndNowAndThen) {
  world_.File("a.yaml", ManifestOf("a"));
  world_.Commit("one", "ann");
  Step();
  const int64_t writes = state_.writes();
  Step();
  EXPECT_EQ(state_.writes(), writes);
  clock_.Advance(kSyncReportInterval);
  Step();
  EXPECT_EQ(state_.writes(), writes + 1);
}

TEST_F(SyncTest, NoHookRunsAndNoConfigurationOfTheRepositoryIsTaken) {
  world_.File("a.yaml", ManifestOf("a"));
  world_.Commit("one", "ann");
  ASSERT_EQ(Step(), SyncOutcome::kApplied);
  const std::string mark = world_ / "ran", hook = options_.directory + "/repository/hooks/reference-transaction";
  ASSERT_OK(MakeDirectories(options_.directory + "/repository/hooks"));
  ASSERT_OK(WriteFileAtomically(hook, "#!/bin/sh\ntouch " + mark + "\n", 0755));
  ASSERT_OK(WriteFileAtomically(options_.directory + "/home/.gitconfig", "[core]\n\tfsmonitor = touch " + mark + "\n"));
  world_.File("a.yaml", ManifestOf("a", "2"));
  world_.Commit("two", "ann");
  EXPECT_EQ(Step(), SyncOutcome::kApplied) << sync_->message();
  struct stat info {};
  EXPECT_NE(stat(mark.c_str(), &info), 0);
}

TEST(GitProgramTest, AnotherProtocolThanTheAllowedOneIsNotSpoken) {
  GitWorld world;
  world.File("a.yaml", ManifestOf("a"));
  world.Commit("one");
  auto git = GitProgram::Create({.directory = world / "state", .protocols = "https"});
  ASSERT_OK(git);
  ASSERT_OK(git->Out({"init", "--quiet", "--bare", "--template="}, Soon()));
  auto fetched = git->Run({"fetch", "--", world.url(), "main"}, Soon());
  ASSERT_OK(fetched);
  EXPECT_NE(fetched->code, 0);
  EXPECT_NE(GitSaid(*fetched).find("transport 'file' not allowed"), std::string::npos) << fetched->err;
}

TEST(GitProgramTest, WhatTakesTooLongOrPrintsTooMuchIsEnded) {
  GitWorld world;
  auto git = GitProgram::Create({.directory = world / "state", .protocols = "file"});
  ASSERT_OK(git);
  ASSERT_OK(git->Out({"init", "--quiet", "--bare", "--template="}, Soon()));
  // An alias, because no command of git's own waits for long without an input.
  auto slow = git->Run({"snooze"}, Deadline::After(std::chrono::milliseconds(300)), {"alias.snooze=!sleep 60"});
  EXPECT_EQ(slow.status().code(), StatusCode::kDeadlineExceeded) << slow.status();
  auto much = git->Run({"help", "-a"}, Soon(), {}, "", 100);
  EXPECT_EQ(much.status().code(), StatusCode::kResourceExhausted) << much.status();
}

TEST(GitProgramTest, AFileBeyondTheBoundIsNotWritten) {
  GitWorld world;
  world.File("a.yaml", std::string(3 << 20, 'x'));
  auto git = GitProgram::Create({.directory = world / "state", .protocols = "file", .max_file = 1 << 20});
  ASSERT_OK(git);
  ASSERT_OK(git->Out({"init", "--quiet", "--bare", "--template="}, Soon()));
  auto written = git->Run({"hash-object", "-w", "--stdin"}, Soon(), {"core.compression=0"}, std::string(3 << 20, 'x'));
  EXPECT_TRUE(!written.ok() || written->code != 0);
}

}  // namespace
}  // namespace mcpfleet::gitsync
