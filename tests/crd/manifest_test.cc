#include "crd/manifest.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crd/codec.h"

namespace mcpfleet {
namespace {

constexpr char kHead[] =
    "apiVersion: mcpfleet.dev/v1alpha1\nkind: MCPServer\nmetadata:\n  name: weather\nspec:\n";  // 5 lines
constexpr char kSource[] = "  source:\n    image: {ref: ghcr.io/example/weather:1.4.2}\n";      // 2 lines

std::string Errors(std::string_view text) {
  std::vector<Violation> violations;
  auto parsed = ParseManifest(text, "f.yaml", &violations);
  EXPECT_EQ(parsed.ok(), violations.empty());
  if (!parsed.ok()) {
    EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument);
  }
  return ToString(violations);
}
// Errors of a server with these lines (from line 8 on) in its spec.
std::string SpecErrors(const std::string& lines) { return Errors(std::string(kHead) + kSource + lines); }

TEST(ManifestTest, AnObjectKnowsItsFileAndLines) {
  std::string text = "# comment\n---\n" + std::string(kHead) + kSource + "  args: [a,\n    b]\n";
  auto parsed = ParseManifest(text, "f.yaml", nullptr);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->size(), 1u);
  const ManifestObject& object = parsed->front();
  EXPECT_EQ(object.object.metadata.name, "weather");
  EXPECT_EQ(object.object.metadata.namespace_, "default");
  EXPECT_EQ(object.file, "f.yaml");
  EXPECT_EQ(object.line, 3);
  EXPECT_EQ(object.lines.at("spec.source.image.ref"), 9);
  EXPECT_EQ(object.lines.at("spec.args[1]"), 11);
  EXPECT_EQ(LinesIn(object.lines)("spec.source.image.pullPolicy"), 9);
  EXPECT_EQ(LinesIn(object.lines)("nothing"), 3);
}

TEST(ManifestTest, TheSpecStaysAsWritten) {
  auto parsed = ParseManifest(std::string(kHead) + kSource, "f.yaml", nullptr);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(DumpJson(parsed->front().object.spec), R"({"source":{"image":{"ref":"ghcr.io/example/weather:1.4.2"}}})");
}

TEST(ManifestTest, AllViolationsComeAtOnceWithTheirLines) {
  EXPECT_EQ(
      Errors("apiVersion: mcpfleet.dev/v1alpha1\n"
             "kind: MCPServer\n"
             "metadata:\n"
             "  name: Weather\n"
             "spec:\n"
             "  source:\n"
             "    image:\n"
             "      rev: x\n"
             "  transport: http\n"
             "  arg: []\n"
             "  env:\n"
             "    - name: A\n"
             "      value: 8080\n"
             "    - {name: A, value: \"1\"}\n"
             "  suspend: no\n"
             "  runtime: auto\n"),
      "f.yaml:4: metadata.name: \"Weather\" must be at most 63 lower-case letters, digits or '-', beginning and ending "
      "with a letter or digit\n"
      "f.yaml:7: spec.source.image.ref: is missing; allowed: text such as \"ghcr.io/example/weather:1.4.2\"\n"
      "f.yaml:8: spec.source.image.rev: unknown field \"rev\", did you mean \"ref\"?\n"
      "f.yaml:9: spec.transport: unknown value \"http\"; allowed: stdio, streamable-http\n"
      "f.yaml:10: spec.arg: unknown field \"arg\", did you mean \"args\"?\n"
      "f.yaml:13: spec.env[0].value: wants text, got the number 8080; write it in quotes: \"8080\"\n"
      "f.yaml:14: spec.env[1].name: \"A\" is given twice (first in spec.env[0])\n"
      "f.yaml:15: spec.suspend: wants true or false, got the text \"no\"; write true or false, without quotes; "
      "allowed: "
      "true, false\n"
      "f.yaml:16: spec.runtime: unknown value \"auto\", did you mean \"Auto\"?; allowed: Auto, Docker, Containerd, "
      "Process");
}

TEST(ManifestTest, TheMessageOfTheStatusIsTheFirstViolation) {
  auto parsed = ParseManifest(std::string(kHead) + kSource + "  port: 0\n  suspend: 1\n", "f.yaml", nullptr);
  EXPECT_EQ(Message(parsed.status()), "f.yaml:8: spec.port: 0 is out of range; allowed: 1 to 65535 (and 1 more)");
}

TEST(ManifestTest, JsonIsReadWithLinesAndTabs) {
  std::string text =
      "{\n\t\"apiVersion\": \"mcpfleet.dev/v1alpha1\",\n\t\"kind\": \"MCPServer\",\n\t\"metadata\": {\"name\": "
      "\"a\"},\n"
      "\t\"spec\": {\n\t\t\"source\": {\"image\": {\"ref\": \"x\"}},\n\t\t\"port\": 99999,\n\t\t\"args\": "
      "[\"\\ud83d\\ude00\"]\n\t}\n}\n";
  EXPECT_EQ(Errors(text), "f.yaml:7: spec.port: 99999 is out of range; allowed: 1 to 65535");
  EXPECT_NE(Errors("{\"args\": [\n1\n,\n2\n]}"), "");
  std::map<std::string, int> lines;
  ASSERT_TRUE(ParseYaml("{\"a\": [\n1\n,\n\"x\"\n,\n{}]}", "f.json", &lines, nullptr).ok());
  EXPECT_EQ(lines.at("a[0]"), 2);
  EXPECT_EQ(lines.at("a[1]"), 4);
  EXPECT_EQ(lines.at("a[2]"), 6);
  EXPECT_EQ(Errors("{\n\t\"a\": 1,\n\t\"b\" 2\n}"), "f.yaml:3: not valid JSON");
  EXPECT_EQ(Errors("{\"kind\": \"MCPServer\",\n \"kind\": \"MCPServer\"}").substr(0, 48),
            "f.yaml:2: kind: is given twice (first in line 1)");
}

TEST(ManifestTest, ManyDocumentsAndListsAndEmptyOnes) {
  std::string one = std::string(kHead) + kSource;
  std::string two = one;
  two.replace(two.find("weather"), 7, "second");
  auto parsed = ParseManifest("---\n# nothing\n---\n" + one + "---\n---\n" + two + "...\n", "f.yaml", nullptr);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->size(), 2u);
  std::string list =
      "apiVersion: v1\nkind: List\nitems:\n"
      "- apiVersion: mcpfleet.dev/v1alpha1\n  kind: MCPNode\n  metadata: {name: a}\n"
      "- apiVersion: mcpfleet.dev/v1alpha1\n  kind: MCPNode\n  metadata: {name: b}\n  spec: {unschedulable: 1}\n";
  EXPECT_EQ(Errors(list), "f.yaml:10: spec.unschedulable: wants true or false, got the number 1; allowed: true, false");
  list.replace(list.find("unschedulable: 1"), 16, "unschedulable: true");
  parsed = ParseManifest(list, "f.yaml", nullptr);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->size(), 2u);
  EXPECT_EQ(parsed->at(1).line, 7);
  EXPECT_EQ(parsed->at(1).lines.at("spec.unschedulable"), 10);
  EXPECT_EQ(ParseManifest("", "f.yaml", nullptr)->size(), 0u);
}

TEST(ManifestTest, TheSameObjectTwiceIsRefused) {
  std::string one = std::string(kHead) + kSource;
  EXPECT_EQ(Errors(one + "---\n" + one),
            "f.yaml:9: metadata.name: MCPServer default/weather is given twice (first in f.yaml:1)");
  auto a = ParseManifest(one, "a.yaml", nullptr), b = ParseManifest(one, "b.yaml", nullptr);
  std::vector<ManifestObject> both = *a;
  both.push_back(b->front());
  EXPECT_EQ(ToString(FindDuplicates(both)),
            "b.yaml:1: metadata.name: MCPServer default/weather is given twice (first in a.yaml:1)");
}

TEST(ManifestTest, AnUnknownKindOrVersionSaysWhatThereIs) {
  EXPECT_EQ(Errors("apiVersion: apps/v1\nkind: MCPSever\n"),
            "f.yaml:1: apiVersion: unknown version \"apps/v1\"; allowed: mcpfleet.dev/v1alpha1\n"
            "f.yaml:2: kind: unknown kind \"MCPSever\", did you mean \"MCPServer\"?; allowed: MCPServer, MCPNode, "
            "MCPSecret");
  EXPECT_NE(Errors("hello"), "");
  EXPECT_NE(Errors("- a\n- b\n"), "");
  EXPECT_NE(Errors("kind: 5\n"), "");
}

// --- what YAML would silently make something else of ---------------------------------------------------------------

TEST(YamlTrapTest, ADuplicateKeyNamesBothLines) {
  EXPECT_EQ(SpecErrors("  path: /a\n  args: []\n  path: /b\n").substr(0, 54),
            "f.yaml:10: spec.path: is given twice (first in line 8)");
}

TEST(YamlTrapTest, WordsForBooleansAreTextWhereTextIsWanted) {
  EXPECT_EQ(SpecErrors("  args: [no, yes, on, off, y, 1.2.3, 2026-11-22]\n"), "");
  EXPECT_EQ(SpecErrors("  args: [true]\n"),
            "f.yaml:8: spec.args[0]: wants text, got a boolean (true); write it in quotes: \"true\"");
  EXPECT_NE(SpecErrors("  suspend: on\n"), "");
  EXPECT_EQ(SpecErrors("  suspend: true\n"), "");
  EXPECT_NE(SpecErrors("  suspend: \"true\"\n"), "");
}

TEST(YamlTrapTest, NumbersAndTextAreToldApart) {
  EXPECT_EQ(SpecErrors("  transport: streamable-http\n  port: \"8080\"\n"),
            "f.yaml:9: spec.port: wants a whole number, got the text \"8080\"; write it without quotes: 8080; allowed: "
            "1 to 65535");
  EXPECT_NE(SpecErrors("  transport: streamable-http\n  port: 80.5\n"), "");
  EXPECT_EQ(SpecErrors("  transport: streamable-http\n  port: 0x50\n"), "");
  EXPECT_EQ(SpecErrors("  args: [1.10]\n"),
            "f.yaml:8: spec.args[0]: wants text, got the number 1.1; write it in quotes");
  EXPECT_NE(SpecErrors("  args: [123456789012345678901234567890]\n"), "");
  EXPECT_EQ(SpecErrors("  securityContext: {runAsUser: 0755}\n"),
            "f.yaml:8: spec.securityContext.runAsUser: number 0755 begins with 0, which YAML versions read "
            "differently; write it "
            "in quotes if it is text, without the 0 (or as 0o…) if it is a number");
}

TEST(YamlTrapTest, AFieldWithoutValueIsAnError) {
  EXPECT_EQ(SpecErrors("  args:\n  # - a\n"),
            "f.yaml:8: spec.args: has no value; allowed: a value, or remove the field");
  EXPECT_NE(SpecErrors("  args: [~]\n"), "");
}

TEST(YamlTrapTest, TabsAreNamed) {
  EXPECT_EQ(SpecErrors("\targs: []\n"), "f.yaml:8: a tab is used for indentation; use spaces");
  EXPECT_EQ(SpecErrors("  args:\n  \t- a\n"), "f.yaml:9: a tab is used for indentation; use spaces");
  EXPECT_EQ(SpecErrors("  args:\n    - |\n      all:\n      \techo\n    - x\n"), "");
}

TEST(YamlTrapTest, BytesThatAreNoTextAreRefused) {
  EXPECT_EQ(Errors(std::string("a: b\n\0c", 7)), "f.yaml:2: contains a NUL byte; this is not a text file");
  EXPECT_EQ(Errors("a: b\nc: \xff\n"), "f.yaml:2: is not valid UTF-8");
  EXPECT_EQ(Errors("a: \x1b[31m\n"), "f.yaml:1: contains control character \\x1B");
  EXPECT_EQ(Errors("\xff\xfe"
                   "a"),
            "f.yaml:1: is UTF-16; save it as UTF-8");
  EXPECT_NE(SpecErrors("  args: [\"a\\0b\"]\n"), "");
  EXPECT_EQ(Errors(std::string((size_t{10} << 20) + 1, 'a')), "f.yaml: is larger than 10 MB");
}

TEST(YamlTrapTest, AByteOrderMarkAndWindowsLineEndsAreFine) {
  std::string text = "\xef\xbb\xbf" + std::string(kHead) + kSource + "  port: 0\n";
  std::string windows;
  for (char c : text) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_EQ(Errors(windows), "f.yaml:8: spec.port: 0 is out of range; allowed: 1 to 65535");
}

TEST(YamlTrapTest, AliasesWorkAndBombsDoNot) {
  EXPECT_EQ(SpecErrors("  command: &x [a, b]\n  args: *x\n"), "");
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    std::string ref = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + ref;
    for (int j = 0; j < 9; ++j) bomb += ", " + ref;
    bomb += "]\n";
  }
  EXPECT_NE(Errors(bomb).find("aliases make the file grow beyond every use"), std::string::npos);
  std::string big = "a: &a \"" + std::string(1 << 20, 'x') + "\"\nb: [*a";
  for (int i = 0; i < 20; ++i) big += ", *a";
  EXPECT_NE(Errors(big + "]\n").find("aliases make the file grow beyond every use"), std::string::npos);
  EXPECT_NE(Errors("a: &a [*a]\n"), "");
  EXPECT_NE(Errors("a: *nothing\n"), "");
  std::string deep = "a0: &a0 [x]\n";
  for (int i = 1; i < 80; ++i)
    deep += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  EXPECT_NE(Errors(deep).find("nested deeper than 64"), std::string::npos);
}

TEST(YamlTrapTest, MergeKeysTagsAndKeysThatAreNoTextAreRefused) {
  EXPECT_EQ(Errors("a: &a {b: c}\nd:\n  <<: *a\n"),
            "f.yaml:3: d: merge keys (<<) are not supported; write the fields out");
  EXPECT_EQ(Errors("1: a\n"), "f.yaml:1: key 1 is not text; write it in quotes: \"1\"");
  EXPECT_NE(Errors("true: a\n"), "");
  EXPECT_NE(Errors("? [a]\n: b\n"), "");
  EXPECT_NE(Errors("? {a: b}\n: b\n"), "");
  EXPECT_NE(Errors(": b\n"), "");
  EXPECT_EQ(Errors("a: !!binary aGVsbG8=\n"),
            "f.yaml:1: tag tag:yaml.org,2002:binary is not supported; write plain YAML");
  EXPECT_NE(Errors("a: !mine x\n"), "");
  EXPECT_EQ(SpecErrors("  args: [!!str 5]\n"), "");
}

TEST(YamlTrapTest, DepthIsBoundedBeforeAnyStackIs) {
  for (std::string open : {"[", "{a: ", "- ", "? ", "{\"a\":", "[{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 200'000; ++i) text += open;
    EXPECT_NE(Errors(text), "") << open;
  }
  std::string block;
  for (int i = 0; i < 2000; ++i) block += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  EXPECT_NE(Errors(block).find("nested deeper than 64"), std::string::npos);
}

TEST(YamlTrapTest, ASyntaxErrorHasItsLine) {
  EXPECT_TRUE(SpecErrors("  args: [a, b\n  path: /x\n").starts_with("f.yaml:9: not valid YAML: "))
      << SpecErrors("  args: [a, b\n  path: /x\n");
  for (const char* stray : {",", "]", "}", "a: b\n,", "a: b\n---\n]", ",,"}) EXPECT_NE(Errors(stray), "") << stray;
  EXPECT_TRUE(SpecErrors("  args: a: b\n").starts_with("f.yaml:8: not valid YAML: "));
}

TEST(YamlTrapTest, ViolationsAreCountedNotEndless) {
  std::string text = std::string(kHead) + kSource;
  for (int i = 0; i < 5000; ++i) text += "  x" + std::to_string(i) + ": 1\n";
  std::vector<Violation> violations;
  EXPECT_FALSE(ParseManifest(text, "f.yaml", &violations).ok());
  EXPECT_EQ(violations.size(), 1001u);
}

TEST(ParseYamlTest, TakesExactlyOneDocument) {
  std::map<std::string, int> lines;
  StatusOr<Json> one = ParseYaml("a: 1\nb: {c: x}\n", "c.yaml", &lines, nullptr);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(DumpJson(*one), R"({"a":1,"b":{"c":"x"}})");
  EXPECT_EQ(lines.at("b.c"), 2);
  EXPECT_EQ(Message(ParseYaml("", "c.yaml", nullptr, nullptr).status()), "c.yaml:1: is empty");
  EXPECT_EQ(Message(ParseYaml("a: 1\n---\nb: 1\n", "c.yaml", nullptr, nullptr).status()),
            "c.yaml:3: has more than one document");
}

std::vector<Violation> Found(std::string_view text) {
  std::vector<Violation> violations;
  (void)ParseManifest(text, "f.yaml", &violations);
  return violations;
}

// "line:column" of the violation of a path; "" when there is none.
std::string PlaceOf(const std::vector<Violation>& found, const std::string& path) {
  for (const Violation& each : found) {
    if (each.path == path) return std::to_string(each.line) + ":" + std::to_string(each.column);
  }
  return "";
}

TEST(ManifestTest, AViolationHasTheColumnOfItsKeyInYaml) {
  const auto found = Found(std::string(kHead) + kSource + "  port: http\n  env:\n    - {name: A, vlaue: b}\n");
  EXPECT_EQ(PlaceOf(found, "spec.port"), "8:3") << ToString(found);
  EXPECT_EQ(PlaceOf(found, "spec.env[0].vlaue"), "10:17") << ToString(found);
}

TEST(ManifestTest, AColumnCountsCharactersAndNotBytes) {
  const auto found = Found(std::string(kHead) + kSource + "  env: [{name: \"\u00e4\u00f6\", value: 7}]\n");
  EXPECT_EQ(PlaceOf(found, "spec.env[0].value"), "8:22") << ToString(found);
}

TEST(ManifestTest, AViolationHasTheColumnOfItsKeyInJson) {
  const auto found = Found(R"({"apiVersion": "mcpfleet.dev/v1alpha1", "kind": "MCPServer",
 "metadata": {"name": "a\"b"},
 "spec": {"source": {"image": {"ref": "x/y:1"}},
  "port": 1, "args": ["a", 7]}}
)");
  EXPECT_EQ(PlaceOf(found, "metadata.name"), "2:15") << ToString(found);
  EXPECT_EQ(PlaceOf(found, "spec.args[1]"), "4:28") << ToString(found);
}

TEST(ManifestTest, ASyntaxErrorHasAColumn) {
  auto found = Found("kind: MCPServer\nspec: {a: [}\n");
  ASSERT_EQ(found.size(), 1u) << ToString(found);
  EXPECT_EQ(found[0].line, 2);
  EXPECT_GT(found[0].column, 6);
}

TEST(ManifestTest, RawObjectsAreReadWithoutBeingJudged) {
  std::vector<Violation> violations;
  auto raws =
      ReadRawObjects("kind: List\nitems:\n  - kind: Other\n    x: null\n---\nkind: Third\n", "f.yaml", &violations);
  ASSERT_TRUE(raws.ok()) << raws.status();
  ASSERT_EQ(raws->size(), 2u);
  EXPECT_EQ((*raws)[0].line, 3);
  EXPECT_EQ((*raws)[0].column, 5);
  EXPECT_EQ((*raws)[0].lines.at("x"), 4);
  EXPECT_TRUE((*raws)[0].value["x"].is_null());
  EXPECT_FALSE(ReadRawObjects("a: [", "f.yaml", &violations).ok());
  EXPECT_EQ(violations.size(), 1u);
}

}  // namespace
}  // namespace mcpfleet
