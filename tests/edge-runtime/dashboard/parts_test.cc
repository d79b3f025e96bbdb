// The dashboard's parts that need no listener.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "edge-runtime/dashboard/audit.h"
#include "edge-runtime/dashboard/feed.h"
#include "edge-runtime/dashboard/guard.h"
#include "edge-runtime/dashboard/lines.h"
#include "edge-runtime/dashboard/mcp_route.h"
#include "edge-runtime/dashboard/page.h"
#include "edge-runtime/dashboard/rows.h"
#include "edge-runtime/dashboard/sessions.h"
#include "tests/store/testing.h"

namespace mcpfleet::dashboard {
namespace {

using mcpfleet::testing::TempDir;

TEST(SessionsTest, ALoginTokenIsGoodOnceAndSoonAndTheSessionUntilItEnds) {
  FakeClock clock;
  Sessions sessions(clock);
  const std::string token = sessions.NewLogin("ada@laptop");
  EXPECT_FALSE(sessions.SignIn("0" + token.substr(1) + "0"));
  const auto session = sessions.SignIn(token);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->who, "ada@laptop");
  EXPECT_FALSE(sessions.SignIn(token)) << "used";
  EXPECT_EQ(sessions.Find(session->cookie), "ada@laptop");
  EXPECT_FALSE(sessions.Find(token)) << "a token is no cookie";
  EXPECT_FALSE(sessions.Find(""));
  clock.Advance(kSessionTime);
  EXPECT_FALSE(sessions.Find(session->cookie));

  const std::string late = sessions.NewLogin("ada@laptop");
  clock.Advance(kLoginTime);
  EXPECT_FALSE(sessions.SignIn(late));

  const auto other = sessions.SignIn(sessions.NewLogin("bob"));
  sessions.SignOut(other->cookie);
  EXPECT_FALSE(sessions.Find(other->cookie));
}

TEST(SessionsTest, OfTooManyTheOldestGo) {
  FakeClock clock;
  Sessions sessions(clock);
  const std::string first = sessions.NewLogin("first");
  for (int i = 0; i < 16; ++i) {
    clock.Advance(std::chrono::seconds(1));
    sessions.NewLogin("later");
  }
  EXPECT_FALSE(sessions.SignIn(first));
}

http::Request RequestWith(const std::string& method,
                          std::initializer_list<std::pair<std::string, std::string>> headers) {
  http::Request request{.method = method, .target = "/v1/changes"};
  for (const auto& [name, value] : headers) request.headers.Add(name, value);
  return request;
}

TEST(GuardTest, OnlyOurOwnPageMayAsk) {
  const auto ok = [](const http::Request& request) { return CheckPage(request).ok(); };
  const std::pair<std::string, std::string> host{"Host", "mcpfleet.localhost:8701"};
  EXPECT_TRUE(ok(RequestWith("GET", {host})));
  EXPECT_TRUE(ok(RequestWith("POST", {host, {"Origin", "http://mcpfleet.localhost:8701"}})));
  EXPECT_TRUE(ok(RequestWith("GET", {{"Host", "[::1]:8701"}})));
  EXPECT_TRUE(ok(RequestWith("POST", {host}))) << "no browser: curl with a cookie";
  // Another name that resolves to loopback, and none.
  EXPECT_FALSE(ok(RequestWith("GET", {{"Host", "evil.example:8701"}})));
  EXPECT_FALSE(ok(RequestWith("GET", {{"Host", "evil.localhost:8701"}})));
  EXPECT_FALSE(ok(RequestWith("GET", {})));
  // It is written into the page's policy.
  for (const char* more : {":1; script-src *", ":x", ":123456", ".evil.example", " "}) {
    EXPECT_FALSE(ok(RequestWith("GET", {{"Host", std::string("localhost") + more}}))) << more;
    EXPECT_FALSE(ok(RequestWith("GET", {{"Host", std::string("[::1]") + more}}))) << more;
  }
  EXPECT_TRUE(ok(RequestWith("GET", {{"Host", "localhost"}})));
  // Another port of this machine is another origin, though the same site.
  EXPECT_FALSE(ok(RequestWith("POST", {host, {"Origin", "http://mcpfleet.localhost:3000"}})));
  EXPECT_FALSE(ok(RequestWith("POST", {host, {"Origin", "null"}})));
  EXPECT_FALSE(ok(RequestWith("GET", {host, {"Origin", "https://evil.example"}})));
  EXPECT_FALSE(ok(RequestWith("GET", {host, {"Upgrade", "websocket"}}))) << "a browser's socket has an Origin";
  EXPECT_FALSE(ok(RequestWith("GET", {host, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "no-cors"}})));
  EXPECT_FALSE(ok(RequestWith("GET", {host, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Mode", "cors"}})));
  EXPECT_TRUE(ok(RequestWith("GET", {host, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}})))
      << "a link to the page, which comes without the cookie";
}

TEST(GuardTest, ACookieIsFoundAmongOthers) {
  const auto request = RequestWith("GET", {{"Cookie", "a=1; mcpfleet-session-8701=secret;b=2"}});
  EXPECT_EQ(CookieOf(request, CookieName(8701)), "secret");
  EXPECT_EQ(CookieOf(request, CookieName(8702)), "");
  const std::string set = SetCookie(CookieName(1), "x", 60);
  EXPECT_NE(set.find("HttpOnly"), std::string::npos);
  EXPECT_NE(set.find("SameSite=Strict"), std::string::npos);
}

Json Summary(const std::string& name, const std::string& ready) {
  return {{"namespace", "default"}, {"name", name}, {"ready", ready}};
}
Json NodeJson(const std::string& name, int64_t seen = 1) { return {{"node", name}, {"lastSeen", seen}}; }

TEST(FeedTest, APageThatWasAwayIsToldWhatChangedSince) {
  Feed feed("boot");
  EXPECT_EQ(feed.Update({{"a", {NodeJson("a"), {Summary("x", "False")}}}, {"b", {NodeJson("b"), {}}}}).size(), 2u);
  const auto first = feed.State("");
  ASSERT_EQ(first.size(), 1u);
  EXPECT_TRUE(first[0]["whole"]);
  EXPECT_EQ(first[0]["names"], Json({"a", "b"}));
  const std::string cursor = first[0]["cursor"];

  EXPECT_TRUE(feed.Update({{"a", {NodeJson("a", 2), {Summary("x", "False")}}}, {"b", {NodeJson("b"), {}}}}).empty())
      << "a sign of life alone is no news";
  const auto deltas =
      feed.Update({{"a", {NodeJson("a"), {Summary("x", "True"), Summary("y", "True")}}}, {"b", {NodeJson("b"), {}}}});
  ASSERT_EQ(deltas.size(), 1u);
  EXPECT_EQ(deltas[0]["name"], "a");
  EXPECT_EQ(deltas[0]["set"].size(), 2u);

  const auto since = feed.State(cursor);
  EXPECT_FALSE(since[0]["whole"]);
  EXPECT_EQ(since[0]["nodes"][0]["servers"].size(), 2u);
  EXPECT_TRUE(since[0]["nodes"][1]["servers"].is_null()) << "as it was";
  for (const char* strange : {"other.1", "boot.99", "boot.-1", "boot.", "boot.1x"})
    EXPECT_TRUE(feed.State(strange)[0]["whole"]) << strange;

  const auto gone = feed.Update({{"a", {NodeJson("a"), {Summary("y", "True")}}}});
  ASSERT_EQ(gone.size(), 2u);
  EXPECT_EQ(gone[0]["gone"], Json::array({Json::array({"default", "x"})}));
  EXPECT_TRUE(gone[1]["node"].is_null());
  EXPECT_EQ(gone[1]["name"], "b");
}

TEST(AuditTest, KeepsTheLastOnesOverARestart) {
  TempDir dir;
  {
    Audit audit(dir / "audit");
    for (size_t i = 0; i < 2 * kAuditRows + 1; ++i)
      audit.Note({"ada", "restart", "default/" + std::to_string(i), ""}, WallTime(std::chrono::seconds(i)));
  }
  Audit audit(dir / "audit");
  const Json newest = audit.List(0, 2);
  ASSERT_EQ(newest.size(), 2u);
  EXPECT_EQ(newest[0]["subject"], "default/" + std::to_string(2 * kAuditRows));
  EXPECT_EQ(newest[0]["at"], 2 * kAuditRows * 1000);
  const Json older = audit.List(newest[1]["id"], 1);
  EXPECT_LT(older[0]["id"], newest[1]["id"]);
  EXPECT_LE(audit.List(0, 10'000).size(), 2 * kAuditRows);
}

TEST(AuditTest, AHalfWrittenLineIsLeftOut) {
  TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir / "audit", R"({"id":4,"at":1,"who":"ada"})"
                                                 "\n{\"id\":5,\"a")
                  .ok());
  Audit audit(dir / "audit");
  EXPECT_EQ(audit.List(0, 10).size(), 1u);
}

TEST(McpRouteTest, TheSessionStaysHere) {
  for (const char* kept :
       {"Cookie", "Host", "Origin", "Referer", "Sec-Fetch-Site", "Connection", "Forwarded", "X-Forwarded-For"})
    EXPECT_FALSE(GoesToGateway(kept)) << kept;
  for (const char* sent :
       {"Authorization", "Mcp-Session-Id", "MCP-Protocol-Version", "Accept", "Content-Type", "Last-Event-ID"})
    EXPECT_TRUE(GoesToGateway(sent)) << sent;
  EXPECT_FALSE(GoesToPage("Set-Cookie"));
  EXPECT_FALSE(GoesToPage("Access-Control-Allow-Origin"));
  EXPECT_TRUE(GoesToPage("Mcp-Session-Id"));
  EXPECT_TRUE(IsMcpPath("/default/weather/mcp"));
  for (const char* other :
       {"/default/mcp", "/default/weather/mcp/", "//weather/mcp", "/v1/servers/a/mcp", "default/weather/mcp"})
    EXPECT_FALSE(IsMcpPath(other)) << other;
}

class LinesTest : public ::testing::Test {
 protected:
  // What each server's log has, and that of the incarnation before.
  std::map<std::string, std::vector<std::string>> now_, before_;
  std::map<std::string, Status> failures_;  // after that
  int64_t missing_ = 0;
  FakeClock clock_;
  TempDir dir_;
  std::unique_ptr<EmbeddedKv> kv_ = *EmbeddedKv::Open(dir_ / "kv", clock_);
  std::unique_ptr<KvClient> desired_ = kv_->Client(kConfigNamespace), statuses_ = kv_->Client(kServerStateNamespace);
  Host host_{.desired = *desired_,
             .statuses = *statuses_,
             .clock = clock_,
             .status =
                 [this] {
                   NodeStatus status;
                   status.node = "edge-01";
                   for (const auto& [name, lines] : now_) {
                     status.servers.push_back({.key = {"default", name}});
                     status.servers.back().instances.push_back({.id = name + "-1"});
                   }
                   return status;
                 },
             .logs =
                 [this](const ServerKey& server, const LogOptions& options, std::function<bool(std::string_view)> sink,
                        Deadline) {
                   for (const std::string& line : (options.previous ? before_ : now_)[server.name]) {
                     if (!sink(line)) return OkStatus();
                   }
                   return options.previous ? OkStatus() : failures_[server.name];
                 },
             .gateway = [] { return std::nullopt; },
             .is_operator = [](std::string_view) { return false; },
             .audit_file = ""};

  std::vector<std::string> Read(const std::string& query, std::string* cursor) {
    const auto parsed = ParseLinesQuery({.target = "/v1/logs?" + query});
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    const auto rows = ReadLines(host_, *parsed, cursor, &missing_, Deadline::After(std::chrono::seconds(5)));
    EXPECT_LE(DumpJson(*rows).size(), size_t{4} << 20);
    std::vector<std::string> texts;
    for (const Json& row : *rows) texts.push_back(row["text"]);
    return texts;
  }
};

TEST_F(LinesTest, LinesOfAllServersAreInTheOrderOfTimeAndPagesLoseNone) {
  now_ = {{"a", {"2026-11-28T10:00:01Z a1\n", "2026-11-28T10:00:02Z a2\n", "2026-11-28T10:00:02Z a3\n"}},
          {"b", {"2026-11-28T10:00:02Z b1\n", "no time\n", "2026-11-28T10:00:03Z b2\n"}}};
  before_ = {{"a", {"2026-11-28T10:00:00Z dies\n"}}};
  std::string cursor;
  const std::vector<std::string> all{"dies", "a1", "a2", "a3", "b1", "b2"};
  EXPECT_EQ(Read("", &cursor), all);
  EXPECT_EQ(cursor, "");
  for (int size = 1; size <= 4; ++size) {
    std::vector<std::string> paged;
    cursor = "";
    for (int page = 0; page < 10; ++page) {
      const auto part = Read("limit=" + std::to_string(size) + "&cursor=" + cursor, &cursor);
      paged.insert(paged.end(), part.begin(), part.end());
      if (cursor.empty()) break;
    }
    EXPECT_EQ(paged, all) << size;
  }
  EXPECT_EQ(Read("server=b&contains=b2", &cursor), std::vector<std::string>{"b2"});
  EXPECT_TRUE(Read("node=other", &cursor).empty());
  for (const char* bad : {"limit=0", "limit=x", "since=yesterday", "cursor=nonsense"})
    EXPECT_FALSE(ParseLinesQuery({.target = std::string("/v1/logs?") + bad}).ok()) << bad;
}

TEST_F(LinesTest, APageOfLongLinesIsBoundedInBytesAndTheNextOnesHaveTheRest) {
  for (const char* name : {"a", "b", "c"}) {
    for (int i = 0; i < 50; ++i) now_[name].push_back("2026-11-28T10:00:01Z " + std::string(60'000, name[0]) + "\n");
  }
  std::string cursor;
  std::vector<std::string> all;
  int pages = 0;
  do {
    const auto part = Read("limit=1000&cursor=" + cursor, &cursor);
    all.insert(all.end(), part.begin(), part.end());
  } while (++pages < 10 && !cursor.empty());
  EXPECT_EQ(pages, 3);
  ASSERT_EQ(all.size(), 150U);
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i][0], "abc"[i / 50]) << i;
}

TEST_F(LinesTest, ALogThatIsReadInPartIsMissing) {
  now_ = {{"a", {"2026-11-28T10:00:01Z a1\n"}}, {"b", {"2026-11-28T10:00:02Z b1\n"}}};
  std::string cursor;
  EXPECT_EQ(Read("", &cursor).size(), 2U);
  EXPECT_EQ(missing_, 0);
  failures_["b"] = DeadlineExceeded("logs");
  EXPECT_EQ(Read("", &cursor).size(), 2U);
  EXPECT_EQ(missing_, 1);
}

TEST(PageTest, ThePolicyAllowsNothingButOurOwnFiles) {
  EXPECT_EQ(PagePolicy("mcpfleet.localhost:8701", "n1"),
            "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-n1'; img-src 'self' data:; "
            "font-src 'self'; manifest-src 'self'; connect-src 'self' ws://mcpfleet.localhost:8701; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'");
  EXPECT_EQ(ServePage("/-/assets/none.js", "h").status, 404);
  EXPECT_EQ(ServePage("/-/assets/../index.html", "h").status, 404);
  const http::Response page = ServePage("/-/servers", "mcpfleet.localhost");
  EXPECT_EQ(page.status, HasPage() ? 200 : 404);
  EXPECT_EQ(page.body.find("__CSP_NONCE__"), std::string::npos);
  if (!HasPage()) {
    EXPECT_NE(page.body.find("npm run build"), std::string::npos);
  }
}

TEST(RowsTest, AServerIsShownInShort) {
  ServerStatus server{.key = {"default", "a"}};
  SetCondition(&server.conditions,
               {.type = "Ready", .status = ConditionStatus::kFalse, .reason = "CrashLoopBackOff", .message = "waits"},
               {});
  SetCondition(&server.conditions, {.type = "ToolsPinned", .status = ConditionStatus::kFalse, .reason = "Changed"}, {});
  const Json row = SummaryOf(server);
  EXPECT_EQ(row["ready"], "False");
  EXPECT_TRUE(row["looping"]);
  EXPECT_EQ(row["pinsViolated"], "Changed");
  EXPECT_EQ(SummaryOf({.key = {"default", "b"}})["reason"], "NotReported");
  server.endpoint = "http://127.0.0.1:8700/default/a/mcp";
  EXPECT_EQ(SummaryOf(server)["endpoint"], server.endpoint);

  Object object;
  object.kind = kKindServer;
  object.spec = {{"source", {{"package", {{"manager", "npm"}, {"name", "x"}, {"version", "1.0.0"}}}}},
                 {"suspend", true}};
  const Json shown =
      RowOf({.key = {kKindServer, "default", "a"}, .placement = {{"replicas", 2}, {"nodes", "nonsense"}}}, &object);
  EXPECT_EQ(shown["source"], "npm:x@1.0.0");
  EXPECT_TRUE(shown["suspended"]);
  EXPECT_EQ(shown["replicas"], 2);
  EXPECT_TRUE(shown["nodes"].is_null());
}

}  // namespace
}  // namespace mcpfleet::dashboard
