#include "crd/pins_edit.h"

#include <gtest/gtest.h>

#include "crd/codec.h"
#include "crd/manifest.h"
#include "crd/server_spec.h"

namespace mcpfleet {
namespace {

using Pins = std::map<std::string, std::string>;
std::string Hash(char digit) { return "sha256:" + std::string(64, digit); }

std::string Head(const std::string& name = "weather") {
  return "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  name: " + name + "  # ours\nspec:\n";
}
const char kSource[] = "  source:\n    process: {path: /opt/weather}\n";

StatusOr<std::string> Edit(const std::string& text, const Pins& pins,
                           const ServerKey& server = {"default", "weather"}) {
  return WithPins(text, "w.yaml", server, "default", pins);
}
// The edited text, or what was said against it.
std::string Edited(const std::string& text, const Pins& pins) {
  StatusOr<std::string> edited = Edit(text, pins);
  return edited.ok() ? *edited : "error: " + std::string(Message(edited.status()));
}

TEST(PinsEditTest, AServerWithoutToolsGetsThemAtTheEndOfItsSpec) {
  const std::string text = "# the weather\n" + Head() + "  # where it comes from\n" + kSource +
                           "  args:\n  - |\n    text\n    # no comment\n\n# the end\n---\n" + Head("other") + kSource;
  EXPECT_EQ(Edited(text, {{"b", Hash('2')}, {"a", Hash('1')}}),
            "# the weather\n" + Head() + "  # where it comes from\n" + kSource +
                "  args:\n  - |\n    text\n    # no comment\n  tools:\n    pins:\n      a: " + Hash('1') +
                "\n      b: " + Hash('2') + "\n\n# the end\n---\n" + Head("other") + kSource);
}

TEST(PinsEditTest, ToolsWithoutPinsGetThemBehindWhatIsThere) {
  EXPECT_EQ(
      Edited(Head() + "  tools:   # policy\n      pinning: Block\n      # but not\n      deny: [x]\n" + kSource,
             {{"a", Hash('1')}}),
      Head() + "  tools:   # policy\n      pinning: Block\n      # but not\n      deny: [x]\n      pins:\n        a: " +
          Hash('1') + "\n" + kSource);
  EXPECT_EQ(Edited(Head() + kSource + "  tools:\n", {{"a", Hash('1')}}),
            Head() + kSource + "  tools:\n    pins:\n      a: " + Hash('1') + "\n");
}

TEST(PinsEditTest, OfPinsThatAreThereOnlyHashesChange) {
  const std::string before = Head() +
                             "  tools:\n    pins:  # locked\n      # reviewed\n      \"keep\":   " + Hash('1') +
                             "  # fine\n      change: '" + Hash('2') + "' # new\n      drop: " + Hash('3') +
                             "\n\n    pinning: Warn\n" + kSource;
  EXPECT_EQ(Edited(before, {{"keep", Hash('1')}, {"change", Hash('9')}, {"new", Hash('4')}}),
            Head() + "  tools:\n    pins:  # locked\n      # reviewed\n      \"keep\":   " + Hash('1') +
                "  # fine\n      change: '" + Hash('9') + "' # new\n      new: " + Hash('4') +
                "\n\n    pinning: Warn\n" + kSource);
  const Pins same = {{"keep", Hash('1')}, {"change", Hash('2')}, {"drop", Hash('3')}};
  EXPECT_EQ(Edited(before, same), before);
}

TEST(PinsEditTest, BracesBecomeABlock) {
  EXPECT_EQ(
      Edited(Head() + "  tools: {pinning: Block, deny: [\"a}b\", 'c']}  # policy\n" + kSource, {{"a", Hash('1')}}),
      Head() + "  tools:  # policy\n    deny:\n    - a}b\n    - c\n    pinning: Block\n    pins:\n      a: " +
          Hash('1') + "\n" + kSource);
  EXPECT_EQ(Edited(Head() + "  tools:\n    pins: {a: " + Hash('2') + ",\n           b: " + Hash('3') + "}\n" + kSource,
                   {{"a", Hash('1')}}),
            Head() + "  tools:\n    pins:\n      a: " + Hash('1') + "\n" + kSource);
  EXPECT_EQ(Edited(Head() + kSource + "  tools: {}\n", {{"a", Hash('1')}}),
            Head() + kSource + "  tools:\n    pins:\n      a: " + Hash('1') + "\n");
}

TEST(PinsEditTest, NamesAreQuotedWhereYamlNeedsIt) {
  const Pins pins = {
      {"no", Hash('1')}, {"a: b", Hash('2')}, {"1", Hash('3')}, {"a.b/c", Hash('4')}, {"größe", Hash('5')}};
  StatusOr<std::string> once = Edit(Head() + kSource, pins);
  ASSERT_TRUE(once.ok()) << once.status();
  std::vector<Violation> violations;
  auto objects = ParseManifest(*once, "w.yaml", &violations);
  ASSERT_TRUE(objects.ok()) << ToString(violations);
  EXPECT_EQ(ServerSpecOf(objects->at(0).object)->tools.pins, pins);
  EXPECT_EQ(*Edit(*once, pins), *once);
  Pins changed = pins;
  changed["a.b/c"] = Hash('9');
  EXPECT_EQ(Edited(*once, changed).size(), once->size());
}

TEST(PinsEditTest, TheServerIsFoundAmongOthersAndInLists) {
  const std::string two = Head("other") + kSource + "---\n" + Head() + kSource;
  EXPECT_EQ(Edited(two, {{"a", Hash('1')}}), two + "  tools:\n    pins:\n      a: " + Hash('1') + "\n");
  const std::string list =
      "kind: List\napiVersion: v1\nitems:\n- apiVersion: mcpfleet.dev/v1alpha1\n  kind: MCPServer\n  metadata: {name: "
      "other}\n  spec: {source: {process: {path: /x}}}\n- kind: MCPServer\n  metadata: {name: weather}\n  spec:\n    "
      "source:\n"
      "      process: {path: /y}\n# end\n";
  std::string expected = list;
  expected.insert(list.find("# end"), "    tools:\n      pins:\n        a: " + Hash('1') + "\n");
  EXPECT_EQ(Edited(list, {{"a", Hash('1')}}), expected);
  // The namespace counts.
  const std::string bank =
      "kind: MCPServer\nmetadata: {name: weather, namespace: bank}\nspec:\n  source: {process: {path: /x}}\n";
  EXPECT_EQ(Edited(bank, {{"a", Hash('1')}}), "error: w.yaml: does not contain the server default/weather");
  EXPECT_TRUE(Edit(bank, {{"a", Hash('1')}}, {"bank", "weather"}).ok());
}

TEST(PinsEditTest, LineEndsStayWhatTheyAre) {
  EXPECT_EQ(Edited("kind: MCPServer\r\nmetadata: {name: weather}\r\nspec:\r\n  source: {process: {path: /x}}\r\n",
                   {{"a", Hash('1')}}),
            "kind: MCPServer\r\nmetadata: {name: weather}\r\nspec:\r\n  source: {process: {path: /x}}\r\n  tools:\r\n"
            "    pins:\r\n      a: " +
                Hash('1') + "\r\n");
  EXPECT_EQ(Edited(Head() + "  source: {process: {path: /x}}", {{"a", Hash('1')}}),
            Head() + "  source: {process: {path: /x}}\n  tools:\n    pins:\n      a: " + Hash('1'));
}

TEST(PinsEditTest, WhatCantBeEditedIsRefusedWithItsLine) {
  const Pins pins = {{"a", Hash('1')}};
  const std::string hint = "; mcpctl writes into block style only: put the pins there yourself";
  EXPECT_EQ(Edited("kind: MCPServer\nmetadata: {name: weather}\nspec: {source: {process: {path: /x}}}\n", pins),
            "error: w.yaml:3: spec: is written in braces" + hint);
  EXPECT_EQ(
      Edited("{\"kind\": \"MCPServer\", \"metadata\": {\"name\": \"weather\"},\n \"spec\": {\"source\": {}}}", pins),
      "error: w.yaml:2: spec: is written in braces" + hint);
  EXPECT_EQ(Edited(Head() + kSource + "  tools: {  # why\n    pinning: Block}\n", pins),
            "error: w.yaml:8: spec.tools: has a comment inside its braces" + hint);
  EXPECT_EQ(Edited(Head() + kSource + "  tools: &policy\n    pinning: Warn\n", pins),
            "error: w.yaml:8: spec.tools: is not written as a plain map" + hint);
  EXPECT_EQ(Edited(Head() + kSource + "  tools:\n    pins:\n      a:\n        " + Hash('2') + "\n", pins),
            "error: w.yaml:10: spec.tools.pins.a: its hash is not on its line" + hint);
  EXPECT_TRUE(Edited("kind: [", pins).starts_with("error: w.yaml:")) << Edited("kind: [", pins);
  EXPECT_EQ(Edited("", pins), "error: w.yaml: does not contain the server default/weather");
}

TEST(PinsEditTest, AManifestThatIsInvalidOnlyForWantOfPinsCanBeMended) {
  StatusOr<std::string> edited = Edit(Head() + kSource + "  tools: {pinning: Block}\n", {{"a", Hash('1')}});
  ASSERT_TRUE(edited.ok());
  std::vector<Violation> violations;
  EXPECT_TRUE(ParseManifest(*edited, "w.yaml", &violations).ok()) << ToString(violations);
}

}  // namespace
}  // namespace mcpfleet
