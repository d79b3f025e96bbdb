#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/cli/mcpctl.h"

namespace mcpfleet::cli {
namespace {

class TrustVerbsTest : public McpctlTest {
 protected:
  std::string NewKey(const std::string& name) {
    std::string key = Out({"keys", "create", name});
    key.pop_back();
    return key;
  }
};

TEST_F(TrustVerbsTest, AKeyIsTheUsersAloneAndNeverReplaced) {
  const std::string key = NewKey("laptop");
  EXPECT_EQ(key.size(), 43u);
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "keys/laptop.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(Run({"keys", "create", "laptop"}).code, 1);
  EXPECT_EQ(Run({"keys", "create", "../x"}).code, 1);
  const std::string list = Out({"keys", "list"});
  EXPECT_NE(list.find("\nlaptop "), std::string::npos) << list;
  EXPECT_NE(list.find(key), std::string::npos) << list;
  EXPECT_EQ(Out({"keys", "list", "-o", "jsonpath={.items[0].publicKey}"}), key + "\n");
  const std::string secret = Read("keys/laptop.key");
  EXPECT_EQ(Out({"keys", "list", "-o", "json"}).find(secret.substr(0, 43)), std::string::npos);
  ASSERT_EQ(chmod((dir_ / "keys/laptop.key").c_str(), 0644), 0);
  const Ran open = Run({"keys", "list"});
  EXPECT_EQ(open.code, 1);
  EXPECT_NE(open.err.find("chmod 600"), std::string::npos) << open.err;
}

TEST_F(TrustVerbsTest, ASignedFleetTakesChangesOfItsKeysOnly) {
  Apply(Manifest("a"));
  const std::string unsigned_show = Run({"trust", "show"}).err;
  EXPECT_NE(unsigned_show.find("mcpctl trust init"), std::string::npos) << unsigned_show;
  NewKey("root");
  const std::string laptop = NewKey("laptop");
  const std::string fingerprint = Out({"trust", "init", "--root", "root", "--head", "laptop"});
  EXPECT_EQ(fingerprint.size(), 65u);
  EXPECT_EQ(Head(), "1.1.1");
  EXPECT_EQ(Run({"trust", "init", "--root", "root", "--head", "laptop"}).code, 1);
  Apply(Manifest("a", "2"));
  EXPECT_EQ(Head(), "1.1.2");
  const std::string show = Out({"trust", "show"});
  EXPECT_NE(show.find(fingerprint.substr(0, 64)), std::string::npos) << show;
  EXPECT_NE(show.find("1.1.2, signed"), std::string::npos) << show;
  EXPECT_NE(show.find(laptop), std::string::npos) << show;
  EXPECT_EQ(Out({"trust", "show", "-o", "jsonpath={.headSigned}"}), "true\n");
  // Every verb that changes something signs it.
  Out({"suspend", "mcp/a"});
  Out({"label", "mcp/a", "team=data"});
  EXPECT_EQ(Out({"trust", "show", "-o", "jsonpath={.headSigned}"}), "true\n");
  // Without the key nothing changes, and the error says which one it is.
  ASSERT_EQ(rename((dir_ / "keys/laptop.key").c_str(), (dir_ / "laptop.away").c_str()), 0);
  const std::string before = Head();
  const Ran refused = Run({"apply", "-f", "-"}, Manifest("a", "3"));
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find(laptop), std::string::npos) << refused.err;
  EXPECT_EQ(Head(), before);
  // The root gives the right to another key.
  NewKey("ci");
  EXPECT_EQ(Out({"trust", "rotate", "--head", "ci"}), "trust/2\n");
  Apply(Manifest("a", "3"));
  EXPECT_EQ(Head(), "2.1.2");
}

TEST_F(TrustVerbsTest, WrongKeysAndNamesAreErrorsThatSayWhatThereIs) {
  Apply(Manifest("a"));
  NewKey("root");
  const Ran unknown = Run({"trust", "init", "--root", "root", "--head", "nobody"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.err.find("there are: root"), std::string::npos) << unknown.err;
  EXPECT_EQ(Run({"trust", "init", "--root", "root"}).code, 2);
  const Ran many = Run({"trust", "init", "--root", "root", "--head", "root", "--heads-needed", "2"});
  EXPECT_EQ(many.code, 1);
  EXPECT_NE(many.err.find("threshold"), std::string::npos) << many.err;
  EXPECT_EQ(Head(), "0.1.1");
}

TEST_F(TrustVerbsTest, HowManyMustSignStaysWhenTheKeysChange) {
  Apply(Manifest("a"));
  for (const char* name : {"root", "one", "two", "three"}) NewKey(name);
  Out({"trust", "init", "--root", "root", "--head", "one", "--head", "two", "--heads-needed", "2"});
  Out({"trust", "rotate", "--head", "two", "--head", "three"});
  EXPECT_EQ(Out({"trust", "show", "-o", "jsonpath={.heads.threshold}"}), "2\n");
  EXPECT_EQ(Run({"trust", "rotate", "--head", "three"}).code, 1) << "two of one";
}

TEST_F(TrustVerbsTest, AHeadIsRenewed) {
  Apply(Manifest("a"));
  NewKey("root");
  Out({"trust", "init", "--root", "root", "--head", "root"});
  EXPECT_NE(Out({"head", "renew", "--for", "720h"}).find("head 1.1.2 is valid until "), std::string::npos);
  Apply(Manifest("a", "2"));
  EXPECT_NE(Out({"trust", "show"}).find("Valid until: 2"), std::string::npos);
  EXPECT_EQ(Out({"head", "renew", "--for", "ever"}), "head 1.1.4 is valid for ever\n");
  EXPECT_EQ(Run({"head", "renew", "--for", "soon"}).code, 1);
  EXPECT_EQ(Run({"head", "renew"}).code, 2);
}

}  // namespace
}  // namespace mcpfleet::cli
