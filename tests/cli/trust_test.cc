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

// Another machine's mcpctl: the same fleet, other keys.
TEST_F(TrustVerbsTest, TwoHoldersOfRootsSignOneAfterTheOther) {
  Apply(Manifest("a"));
  NewKey("mine");
  const std::string theirs = NewKey("theirs");
  const auto move = [&](const std::string& from, const std::string& to) {
    ASSERT_EQ(rename((dir_ / from).c_str(), (dir_ / to).c_str()), 0) << from;
  };
  const std::string file = dir_ / "next.json";
  move("keys/theirs.key", "theirs.away");
  const std::vector<std::string> init{"trust", "init",           "--root", "mine",   "--root",
                                      theirs,  "--roots-needed", "2",      "--head", "mine"};
  EXPECT_EQ(Run(init).code, 1) << "one of two is not enough";
  std::vector<std::string> to_file = init;
  to_file.insert(to_file.end(), {"--out", file});
  const Ran written = Run(to_file);
  EXPECT_EQ(written.code, 0) << written.err;
  EXPECT_NE(written.err.find("signed by 1 of the 2 keys"), std::string::npos) << written.err;
  EXPECT_NE(written.err.find("mcpctl trust sign"), std::string::npos) << written.err;
  EXPECT_EQ(Run(to_file).code, 1) << "it is there already";
  EXPECT_EQ(Head(), "0.1.1");
  EXPECT_EQ(Run({"trust", "publish", file, "--yes"}).code, 1);
  EXPECT_EQ(Head(), "0.1.1");
  // There.
  move("keys/mine.key", "mine.away");
  EXPECT_EQ(Run({"trust", "sign", file, "--yes"}).code, 1) << "no root here";
  move("theirs.away", "keys/theirs.key");
  EXPECT_NE(Run({"trust", "sign", file}).err.find("--yes"), std::string::npos) << "it is asked before";
  const Ran there = Run({"trust", "sign", file, "--yes"});
  EXPECT_EQ(there.code, 0) << there.err;
  EXPECT_EQ(there.out, "trust/1 signed with theirs\n");
  EXPECT_NE(there.err.find(theirs), std::string::npos) << there.err;
  EXPECT_NE(there.err.find("all signatures"), std::string::npos) << there.err;
  const size_t keys = Keys();
  EXPECT_EQ(Run({"trust", "publish", file, "--yes"}).code, 1) << "no head key there";
  EXPECT_EQ(Keys(), keys) << "a document that the head can't move to is in the way of every other";
  // Here again.
  move("keys/theirs.key", "theirs.away");
  move("mine.away", "keys/mine.key");
  const std::string fingerprint = Out({"trust", "publish", file, "--yes"});
  EXPECT_EQ(fingerprint.size(), 65u);
  EXPECT_EQ(Head(), "1.1.1");
  EXPECT_EQ(Out({"trust", "show", "-o", "jsonpath={.root}"}), fingerprint);
  EXPECT_NE(Run({"trust", "publish", file, "--yes"}).err.find("trust/2"), std::string::npos) << "it is done";
  // And a rotation, begun there: a document that was altered on its way has lost the signature.
  NewKey("ci");
  const std::string rotation = dir_ / "rotation.json";
  Out({"trust", "rotate", "--head", "mine", "--head", "ci", "--out", rotation});
  const std::string good = Read("rotation.json");
  std::string altered = good;
  const size_t at = altered.find("\"threshold\":1");
  ASSERT_NE(at, std::string::npos);
  altered[at + 12] = '2';
  File("rotation.json", altered);
  move("keys/mine.key", "mine.away");
  move("theirs.away", "keys/theirs.key");
  const Ran tampered = Run({"trust", "sign", rotation, "--yes"});
  EXPECT_NE(tampered.err.find("signed by 1 of the 2"), std::string::npos) << tampered.err;
  File("rotation.json", good);
  Out({"trust", "sign", rotation, "--yes"});
  EXPECT_EQ(Out({"trust", "publish", rotation, "--yes"}), "trust/2\n");
  EXPECT_EQ(Head(), "2.1.1");
  // The head key of the first document still counts, and so does the one that came.
  Apply(Manifest("a", "2"));
  EXPECT_EQ(Out({"trust", "show", "-o", "jsonpath={.headSigned}"}), "true\n");
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
