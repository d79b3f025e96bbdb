#include "crd/map_edit.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "crd/manifest.h"

namespace mcpfleet {
namespace {

const std::vector<std::string> kStore{"spec", "store"};

std::string Edited(const std::string& text, const Json& members, const std::vector<std::string>& path = kStore) {
  const StatusOr<std::string> edited = WithMembers(text, "f.yaml", path, members);
  return edited.ok() ? *edited : "error: " + Message(edited.status());
}

TEST(MapEditTest, MembersAreSetAddedAndRemovedAndTheRestStays) {
  EXPECT_EQ(Edited("# ours\nkind: X\nspec:\n  # the store\n  store:\n    type: Embedded   # for now\n    port: 8702\n"
                   "    # how often\n    pollInterval: 60s\n\n  policy:\n    a: [1, 2]  # kept\n",
                   {{"type", "Remote"}, {"port", nullptr}, {"url", "https://x"}, {"absent", nullptr}}),
            "# ours\nkind: X\nspec:\n  # the store\n  store:\n    type: Remote   # for now\n"
            "    # how often\n    pollInterval: 60s\n    url: https://x\n\n  policy:\n    a: [1, 2]  # kept\n");
}

TEST(MapEditTest, WhatIsSaidAlreadyIsNotTouched) {
  const std::string text = "spec:\n  store:\n    url:   'https://x'   # quoted\n";
  EXPECT_EQ(Edited(text, {{"url", "https://x"}, {"gone", nullptr}}), text);
}

TEST(MapEditTest, QuotedAndFoldedValuesAreReplacedWhole) {
  EXPECT_EQ(
      Edited("spec:\n  store:\n    url: \"https://a #1\"  # old\n    proxy: >-\n      http://p\n    # on its own\n"
             "    caFile: /a\n",
             {{"url", "https://b"}, {"proxy", "http://q"}}),
      "spec:\n  store:\n    url: https://b  # old\n    proxy: http://q\n    # on its own\n    caFile: /a\n");
  EXPECT_EQ(Edited("spec:\n  store:\n    proxy: >-\n      http://p\n      x\n    caFile: /a\n", {{"proxy", nullptr}}),
            "spec:\n  store:\n    caFile: /a\n");
}

TEST(MapEditTest, AMapThatIsNotThereIsMade) {
  EXPECT_EQ(Edited("kind: X\nspec:\n  policy: {a: 1}\n", {{"type", "Remote"}}),
            "kind: X\nspec:\n  policy: {a: 1}\n  store:\n    type: Remote\n");
  EXPECT_EQ(Edited("kind: X\n", {{"type", "Remote"}}), "kind: X\nspec:\n  store:\n    type: Remote\n");
  EXPECT_EQ(Edited("kind: X\nspec:\n  store:\n# end\n", {{"type", "Remote"}}),
            "kind: X\nspec:\n  store:\n    type: Remote\n# end\n");
  EXPECT_EQ(Edited("spec:  # nothing\n", {{"type", "Remote"}}), "spec:  # nothing\n  store:\n    type: Remote\n");
  EXPECT_EQ(Edited("kind: X", {{"name", "a"}}, {"metadata"}), "kind: X\nmetadata:\n  name: a");
}

TEST(MapEditTest, AMapInBracesBecomesABlock) {
  EXPECT_EQ(Edited("spec:\n  store: {type: Remote, url: \"https://a\",\n    tokenFile: /t}  # theirs\n  x: 1\n",
                   {{"url", "https://b"}, {"tokenFile", nullptr}}),
            "spec:\n  store:  # theirs\n    type: Remote\n    url: https://b\n  x: 1\n");
  EXPECT_EQ(Edited("kind: X\nspec: {}\n", {{"type", "Remote"}}), "kind: X\nspec:\n  store:\n    type: Remote\n");
  EXPECT_EQ(Edited("spec: {policy: {a: [1]}, store: {port: 1}}\n", {{"port", nullptr}, {"type", "Remote"}}),
            "spec:\n  policy:\n    a:\n    - 1\n  store:\n    type: Remote\n");
}

TEST(MapEditTest, LineEndingsStay) {
  EXPECT_EQ(Edited("spec:\r\n  store:\r\n    type: Embedded # x\r\n", {{"type", "Remote"}, {"url", "u"}}),
            "spec:\r\n  store:\r\n    type: Remote # x\r\n    url: u\r\n");
}

TEST(MapEditTest, WhatCantBeEditedIsLeftAlone) {
  for (const std::string& text :
       {std::string("{\"kind\": \"X\", \"spec\": {\"store\": {\"port\": 1}}}\n"),
        std::string("spec:\n  store: {port: 1, # why\n    type: Embedded}\n"),
        std::string("spec:\n  store: &a\n    port: 1\n"), std::string("spec:\n  store:\n    port: {a: 1}\n"),
        std::string("spec:\n  store:\n    port: &p 1\n  x: *p\n"), std::string("spec:\n  store: text\n")}) {
    const StatusOr<std::string> edited = WithMembers(text, "f.yaml", kStore, {{"port", 2}});
    if (edited.ok()) {
      // What was edited all the same is right: it was read back.
      const Json before = *ParseYaml(text, "f.yaml", nullptr, nullptr);
      EXPECT_EQ(*ParseYaml(*edited, "f.yaml", nullptr, nullptr), PatchedMembers(before, kStore, {{"port", 2}})) << text;
    } else {
      EXPECT_EQ(edited.status().code(), StatusCode::kFailedPrecondition) << edited.status();
      EXPECT_TRUE(Message(edited.status()).starts_with("f.yaml:")) << edited.status();
    }
  }
  EXPECT_EQ(WithMembers("- a\n", "f.yaml", kStore, {{"a", 1}}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(WithMembers("a: 1\n---\nb: 1\n", "f.yaml", kStore, {{"a", 1}}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(WithMembers("a: [\n", "f.yaml", kStore, {{"a", 1}}).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mcpfleet
