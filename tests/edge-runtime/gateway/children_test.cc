#include "edge-runtime/gateway/children.h"

#include "tests/edge-runtime/gateway/fake_children.h"

namespace mcpfleet::gateway {
namespace {

using namespace test;

class ChildrenTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }
  void Start() {
    children_ = std::make_unique<Children>(
        host_, loop_, Children::Listeners{[this](const std::string& instance) { changed_.push_back(instance); }});
  }
  void Spawn(const std::string& instance = "i") {
    children_->Spawn(instance, {"server"}, {}, 10s, [this](StatusOr<std::unique_ptr<Link>> link) {
      if (link.ok()) {
        links_.push_back(*std::move(link));
      } else {
        failures_.push_back(link.status());
      }
    });
  }
  void StartLink(Link& link) {
    link.Start({.on_line = [this](std::string line) { lines_.push_back(std::move(line)); },
                .on_closed = [this](const Status& why) { closed_.push_back(why); }});
  }

  FakeClock clock_;
  ManualLoop loop_{&clock_};
  FakeHost host_{loop_};
  std::unique_ptr<Children> children_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<Status> failures_, closed_;
  std::vector<std::string> lines_, changed_;
};

TEST_F(ChildrenTest, AChildIsALink) {
  Spawn();
  EXPECT_TRUE(links_.empty());
  host_.Started(0);
  EXPECT_TRUE(links_.empty()) << "on the loop, not on the host's thread";
  loop_.Run();
  ASSERT_EQ(links_.size(), 1U);
  StartLink(*links_[0]);
  ASSERT_TRUE(links_[0]->Send("{}").ok());
  EXPECT_EQ(host_.channel(0).sent, std::vector<std::string>{"{}"});
  host_.channel(0).Say("line");
  EXPECT_TRUE(lines_.empty());
  loop_.Run();
  EXPECT_EQ(lines_, std::vector<std::string>{"line"});
  links_[0]->Keep("note");
  EXPECT_EQ(host_.channel(0).note, "note");
  links_.clear();
  EXPECT_EQ(host_.ended, std::vector<uint64_t>{host_.id(0)});
}

TEST_F(ChildrenTest, AChildThatDidNotStartIsSaidSo) {
  Spawn();
  host_.Failed(0, FailedPrecondition("exec: No such file or directory"));
  loop_.Run();
  ASSERT_EQ(failures_.size(), 1U);
  EXPECT_EQ(failures_[0].code(), StatusCode::kFailedPrecondition);
}

TEST_F(ChildrenTest, TheEndOfAChildComesAfterItsLastLine) {
  Spawn();
  host_.Started(0);
  loop_.Run();
  StartLink(*links_[0]);
  host_.channel(0).Say("last");
  host_.End(0);
  loop_.Run();
  EXPECT_EQ(lines_.size(), 1U);
  EXPECT_EQ(closed_.size(), 1U);
  EXPECT_TRUE(links_[0]->closed());
  EXPECT_EQ(changed_.size(), 1U) << "there is room";
}

TEST_F(ChildrenTest, ASpareThatDiedIsKnownToBeOfNoUse) {
  Spawn();
  host_.Started(0);
  loop_.Run();
  EXPECT_FALSE(links_[0]->closed());
  host_.End(0);
  loop_.Run();
  EXPECT_TRUE(links_[0]->closed());
  StartLink(*links_[0]);
  EXPECT_TRUE(closed_.empty());
  loop_.Run();
  EXPECT_EQ(closed_.size(), 1U) << "who starts it all the same is told";
}

TEST_F(ChildrenTest, AReleasedChildGoesOn) {
  Spawn();
  host_.Started(0);
  loop_.Run();
  StartLink(*links_[0]);
  links_[0]->Release();
  host_.channel(0).Say("for the next mcplet");
  links_.clear();
  loop_.Run();
  EXPECT_TRUE(host_.ended.empty());
  EXPECT_TRUE(lines_.empty());
  EXPECT_EQ(host_.channel(0).unread(), 1U) << "it waits where it is";
}

TEST_F(ChildrenTest, ChildrenOfTheMcpletBeforeAreFoundOnce) {
  host_.Before("i", "its note", "a doubtful line");
  host_.Before("other", "x", "");
  std::vector<Children::Found> found = children_->TakeFound("i", 10s);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].note, "its note");
  EXPECT_EQ(found[0].doubtful_line, "a doubtful line");
  EXPECT_TRUE(children_->TakeFound("i", 10s).empty());
  StartLink(*found[0].link);
  host_.channel(0).Say("kept");
  loop_.Run();
  EXPECT_EQ(lines_.size(), 1U);
  EXPECT_EQ(children_->Count("i"), 1);
}

// Between the shim's word that it runs and the loop's turn it has no link yet.
TEST_F(ChildrenTest, AChildThatWasJustStartedIsNotTakenForOneOfTheMcpletBefore) {
  Spawn();
  host_.Started(0);
  EXPECT_TRUE(children_->TakeFound("i", 10s).empty());
  loop_.Run();
  EXPECT_EQ(links_.size(), 1U);
  EXPECT_TRUE(host_.ended.empty());
  EXPECT_TRUE(children_->TakeFound("i", 10s).empty());
}

TEST_F(ChildrenTest, AChildOfTheMcpletBeforeIsNotForgottenBecauseAnotherWasStarting) {
  host_.Before("i", "", "");
  Spawn();
  EXPECT_TRUE(children_->TakeFound("i", 10s).empty());
  changed_.clear();
  host_.Started(1);
  loop_.Run();
  ASSERT_FALSE(changed_.empty()) << "it is time to look again";
  EXPECT_EQ(children_->TakeFound("i", 10s).size(), 1U);
  EXPECT_EQ(host_.ended, std::vector<uint64_t>{host_.id(0)}) << "nobody wanted it";
}

TEST_F(ChildrenTest, APausedChildIsNotReadUntilItGoesOn) {
  Spawn();
  host_.Started(0);
  loop_.Run();
  StartLink(*links_[0]);
  links_[0]->Pause(true);
  host_.channel(0).Say("later");
  loop_.Run();
  EXPECT_TRUE(lines_.empty());
  EXPECT_EQ(host_.channel(0).unread(), 1U);
  links_[0]->Pause(false);
  loop_.Run();
  EXPECT_EQ(lines_, std::vector<std::string>{"later"});
  links_[0]->Pause(true);
  links_[0]->Release();
  links_[0]->Pause(false);
  host_.channel(0).Say("for the next mcplet");
  loop_.Run();
  EXPECT_EQ(lines_.size(), 1U);
}

TEST_F(ChildrenTest, WhatComesAfterTheEndOfTheGatewayHarmsNobody) {
  auto loop = std::make_unique<ManualLoop>(&clock_);
  auto children = std::make_unique<Children>(host_, *loop, Children::Listeners{[](const std::string&) {}});
  std::unique_ptr<Link> link;
  children->Spawn("i", {"server"}, {}, 10s, [&](StatusOr<std::unique_ptr<Link>> made) { link = *std::move(made); });
  children->Spawn("i", {"server"}, {}, 10s, [](const auto&) { ADD_FAILURE(); });
  host_.Started(0);
  loop->Run();
  ASSERT_NE(link, nullptr);
  children.reset();
  link.reset();
  loop.reset();
  host_.Started(1);  // the loop that it would be posted to is gone
  host_.End(0);
  EXPECT_EQ(host_.ended, (std::vector<uint64_t>{host_.id(0), host_.id(1)})) << "nobody has them";
}

}  // namespace
}  // namespace mcpfleet::gateway
