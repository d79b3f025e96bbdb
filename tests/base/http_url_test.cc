#include "base/http/url.h"

#include <gtest/gtest.h>

namespace mcpfleet::http {
namespace {

TEST(HttpUrlTest, UrlsAreTakenApart) {
  StatusOr<Url> url = ParseUrl("https://mcp.example.com/a/mcp?x=1#f");
  ASSERT_TRUE(url.ok());
  EXPECT_TRUE(url->endpoint.tls);
  EXPECT_EQ(url->endpoint.host, "mcp.example.com");
  EXPECT_EQ(url->endpoint.port, 443);
  EXPECT_EQ(url->target, "/a/mcp?x=1");
  url = ParseUrl("http://[::1]:8080");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->endpoint.host, "::1");
  EXPECT_EQ(url->endpoint.port, 8080);
  EXPECT_EQ(url->target, "/");
  EXPECT_EQ(url->host_header, "[::1]:8080");
  for (const char* bad :
       {"", "ftp://x/", "http://", "http://u:p@h/", "http://h:99999/", "http://h:x/", "http://[::1/", "http://h/a b"}) {
    EXPECT_FALSE(ParseUrl(bad).ok()) << bad;
  }
}

// The target that `reference` has in a document at http://host:81/a/b?c.
std::string Target(const char* reference) {
  StatusOr<Url> url = ResolveUrl(*ParseUrl("http://host:81/a/b?c"), reference);
  return url.ok() ? url->target : "refused";
}

TEST(HttpUrlTest, AReferenceIsResolvedAgainstItsDocument) {
  EXPECT_EQ(Target("/messages?id=1"), "/messages?id=1");
  EXPECT_EQ(Target("messages?id=/../1"), "/a/messages?id=/../1");
  EXPECT_EQ(Target("../up#f"), "/up");
  EXPECT_EQ(Target("./x/."), "/a/x/");
  EXPECT_EQ(Target("../../../far"), "/far");
  EXPECT_EQ(Target("?id=2"), "/a/b?id=2");
  EXPECT_EQ(Target("ftp://host:81/x"), "refused");
  EXPECT_EQ(Target("/with space"), "refused");
}

TEST(HttpUrlTest, OnlySchemeHostAndPortMakeAnOrigin) {
  const Url base = *ParseUrl("http://Host:81/a");
  EXPECT_TRUE(SameOrigin(base, *ResolveUrl(base, "/elsewhere")));
  EXPECT_TRUE(SameOrigin(base, *ResolveUrl(base, "http://host:81/b")));
  for (const char* other : {"https://host:81/a", "http://host:82/a", "http://other:81/a", "//other:81/a"})
    EXPECT_FALSE(SameOrigin(base, *ResolveUrl(base, other))) << other;
}

}  // namespace
}  // namespace mcpfleet::http
