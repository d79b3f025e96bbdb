#include "store/proposal.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "store/reader.h"
#include "tests/store/testing.h"

namespace mcpfleet {
namespace {

using namespace testing;

class ProposalTest : public ::testing::Test {
 protected:
  Proposal Of(std::vector<Object> set, std::vector<ObjectKey> remove = {}) {
    Proposal proposal{.set = std::move(set), .remove = std::move(remove), .message = "m", .author = "a", .time = "t"};
    auto head = ReadHead(*kv_, Soon());
    EXPECT_OK(head);
    if (head.ok() && *head) {
      proposal.fleet = (*head)->fleet;
      proposal.base = (*head)->snapshot;
    }
    return proposal;
  }
  void Write(std::vector<Object> set, std::vector<ObjectKey> remove = {}) {
    ASSERT_OK(Apply(*kv_, {.set = std::move(set), .remove = std::move(remove)}, {}, clock_, Soon()));
  }
  std::vector<std::string> Changed(const Proposal& proposal) {
    auto changed = ChangedSince(*kv_, proposal, *ReadHead(*kv_, Soon()), Soon());
    EXPECT_OK(changed);
    return changed.value_or(std::vector<std::string>{"unreadable"});
  }

  ServedStore store_;
  SystemClock clock_;
  std::unique_ptr<KvClient> kv_ = store_.Client();
};

TEST_F(ProposalTest, WhatIsProposedComesBackByItsIdAndByTheBeginningOfIt) {
  Write({Server("a")});
  const Proposal proposal = Of({Server("b")}, {{kKindServer, "default", "a"}});
  const auto id = Propose(*kv_, proposal, Soon());
  ASSERT_OK(id);
  EXPECT_EQ(*Propose(*kv_, proposal, Soon()), *id);
  for (const std::string& named : {*id, id->substr(0, 8)}) {
    const auto found = FindProposal(*kv_, named, Soon());
    ASSERT_OK(found);
    EXPECT_EQ(found->id, *id);
    ASSERT_EQ(found->proposal.set.size(), 1u);
    EXPECT_EQ(found->proposal.set[0].spec, proposal.set[0].spec);
    ASSERT_EQ(found->proposal.remove.size(), 1u);
    EXPECT_EQ(found->proposal.remove[0], proposal.remove[0]);
    EXPECT_EQ(found->proposal.base, proposal.base);
  }
  const auto rows = ListProposals(*kv_, Soon());
  ASSERT_OK(rows);
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ((*rows)[0].id, *id);
  EXPECT_EQ((*rows)[0].objects, 2u);
  EXPECT_EQ((*rows)[0].author, "a");
  const auto keys = kv_->List(kProposalPrefix, "", 10, Soon());
  ASSERT_OK(keys);
  EXPECT_GT(keys->keys[0].expiration, 0) << "it goes by itself";
  EXPECT_EQ(FindProposal(*kv_, "00000000", Soon()).status().code(), StatusCode::kNotFound);
  for (const char* wrong : {"", "1234567", "xyzxyzxyz", "../../head"})
    EXPECT_EQ(FindProposal(*kv_, wrong, Soon()).status().code(), StatusCode::kInvalidArgument) << wrong;
}

TEST_F(ProposalTest, BytesThatAreNotThoseOfTheNameAreRefused) {
  Write({Server("a")});
  const auto id = Propose(*kv_, Of({Server("b")}), Soon());
  ASSERT_OK(id);
  const std::string other = *EncodeProposal(Of({Server("evil")}));
  ASSERT_OK(kv_->Put(kProposalPrefix + *id, other, {}, Soon()));
  EXPECT_EQ(FindProposal(*kv_, *id, Soon()).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(ProposalTest, WhatCouldNotBeAppliedIsNoProposal) {
  Object wrong = Server("b");
  wrong.spec["source"]["image"]["ref"] = 7;
  const Status status = EncodeProposal(Of({wrong})).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(Message(status).find("spec.source.image.ref"), std::string_view::npos) << status;
  EXPECT_FALSE(EncodeProposal(Of({})).ok());
  for (const char* bytes :
       {"", "[]", "{}", R"({"set":[],"remove":[{}]})", R"({"set":[{"kind":"List","items":[]}],"remove":[]})",
        R"({"base":"x","set":[],"remove":[{"kind":"MCPServer","name":"a"}]})"})
    EXPECT_EQ(ParseProposal(bytes, Sha256Hex(bytes)).status().code(), StatusCode::kInvalidArgument) << bytes;
  const std::string large(kProposalBytes + 1, ' ');
  EXPECT_EQ(ParseProposal(large, Sha256Hex(large)).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(ProposalTest, WhatOthersChangedSinceIsNamed) {
  const ObjectKey a{kKindServer, "default", "a"};
  EXPECT_EQ(Changed(Of({Server("a")})), std::vector<std::string>());
  Write({Server("a"), Server("b")});
  const Proposal change = Of({Server("a", "2")}), removal = Of({}, {a}), creation = Of({Server("c")});
  EXPECT_EQ(Changed(change), std::vector<std::string>());
  Write({Server("b", "2")});
  for (const Proposal* each : {&change, &removal, &creation}) EXPECT_EQ(Changed(*each), std::vector<std::string>());
  Write({Server("a", "3"), Server("c")});
  EXPECT_EQ(Changed(change), std::vector<std::string>{"MCPServer/default/a"});
  EXPECT_EQ(Changed(removal), std::vector<std::string>{"MCPServer/default/a"});
  EXPECT_EQ(Changed(creation), std::vector<std::string>{"MCPServer/default/c"});
}

TEST_F(ProposalTest, AProposalForAnotherFleetOrOfALostBaseIsRefused) {
  Write({Server("a")});
  Proposal foreign = Of({Server("b")});
  foreign.fleet = std::string(32, '0');
  EXPECT_EQ(ChangedSince(*kv_, foreign, *ReadHead(*kv_, Soon()), Soon()).status().code(),
            StatusCode::kFailedPrecondition);
  Proposal lost = Of({Server("b")});
  lost.base = std::string(64, '0');
  EXPECT_EQ(ChangedSince(*kv_, lost, *ReadHead(*kv_, Soon()), Soon()).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace mcpfleet
