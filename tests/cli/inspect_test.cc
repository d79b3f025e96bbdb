#include <gtest/gtest.h>

#include "tests/cli/mcpctl.h"
#include "tests/cli/scripted_endpoint.h"

namespace mcpfleet::cli {
namespace {

class InspectTest : public McpctlTest {
 protected:
  void Expect(const std::string& text, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
};

TEST_F(InspectTest, OnePageShowsWhatTheServerIsAndOffers) {
  ScriptedEndpoint endpoint;
  const std::string page = Out({"inspect", endpoint.url()});
  Expect(page, {"Endpoint:       " + endpoint.url() + "\n", "2026-07-28 (modern), 2025-11-25 (legacy)",
                "Server:         web 3 (The Web)", "prompts, resources, tools (listChanged)",
                "  Ask for weather.\n  Be \\u{1b}[31mkind.\n", "Tools, * is required (2):", "message*,site",
                "Resources (1):", "demo://{id}", "Prompts, * is required (1):", "who*,how"});
  EXPECT_EQ(page.find('\x1b'), std::string::npos);
  // The session that showed the legacy era is gone again.
  EXPECT_EQ(endpoint.All("DELETE").size(), 1u);
}

TEST_F(InspectTest, JsonHasEverythingAsTheServerSaidIt) {
  ScriptedEndpoint endpoint;
  const Json found = Json::parse(Out({"inspect", endpoint.url(), "-o", "json"}));
  EXPECT_EQ(found["endpoint"], endpoint.url());
  EXPECT_EQ(found["tools"].size(), 2u);
  EXPECT_EQ(found["instructions"], "Ask for weather.\nBe \x1b[31mkind.");
  EXPECT_EQ(found["protocols"].size(), 2u);
  EXPECT_EQ(Out({"inspect", endpoint.url(), "-o", "jsonpath={.serverInfo.version}"}), "3\n");
}

TEST_F(InspectTest, WhatIsNotOfferedIsNotAskedForAndWhatFailsIsAWarning) {
  ScriptedEndpoint endpoint([](const ScriptedEndpoint::Seen& seen, const std::shared_ptr<http::Responder>& to) {
    if (seen.message.method == "server/discover") {
      ScriptedEndpoint::Result(
          to, seen, Json::parse(R"({"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{}}})"));
      return true;
    }
    if (seen.message.method != "resources/list") return false;
    ScriptedEndpoint::Send(to, 200, mcp::SerializeError(seen.message.id, -32603, "disk on fire"));
    return true;
  });
  endpoint.legacy = false;
  Ran ran = Run({"inspect", endpoint.url()});
  EXPECT_EQ(ran.code, 0) << ran.err;
  Expect(ran.out, {"2026-07-28 (modern)\n", "Tools", "Resource templates (1)"});
  Expect(ran.err, {"warning: resources/list: -32603: disk on fire"});
  EXPECT_EQ(ran.out.find("Resources ("), std::string::npos) << ran.out;
  EXPECT_EQ(endpoint.Count("prompts/list"), 0);
}

TEST_F(InspectTest, AnEndpointThatIsNoMcpAndOneThatIsNotThereAreSaidApart) {
  ScriptedEndpoint page([](const ScriptedEndpoint::Seen&, const std::shared_ptr<http::Responder>& to) {
    to->Send(http::TextResponse(404, "<html>not here</html>"));
    return true;
  });
  Ran ran = Run({"inspect", page.url()});
  EXPECT_EQ(ran.code, 1);
  Expect(ran.err, {"initialize: the endpoint answered 404", "not here"});
  const std::string url = page.url();
  page.Shut();
  ran = Run({"inspect", url});
  EXPECT_EQ(ran.code, 1);
  Expect(ran.err, {url + ": server/discover: ", "Connection refused"});
  Expect(Run({"inspect", "http://user:secret@x/mcp"}).err, {"no user or password"});
}

}  // namespace
}  // namespace mcpfleet::cli
