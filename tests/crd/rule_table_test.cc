// testdata/rules.json: objects, and which rule of the CRDs refuses each. The same table is judged by the CEL of
// crd/*.yaml (tests/integration/crd_rules_test.cc): what Kubernetes refuses and what mcpctl and mcplet refuse is the
// same.
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "crd/change_rules.h"
#include "crd/schema.h"

namespace mcpfleet {
namespace {

Json Table() {
  StatusOr<std::string> text =
      ReadFile(std::string(MCPFLEET_SOURCE_DIR) + "/tests/crd/testdata/rules.json", size_t{1} << 20);
  StatusOr<Json> table = text.ok() ? ParseJson(*text) : text.status();
  EXPECT_TRUE(table.ok()) << table.status();
  return table.ok() ? (*table)["cases"] : Json::array();
}

Object ObjectOf(const std::string& kind, const Json& spec) {
  Object object;
  object.kind = kind;
  object.metadata.name = "weather";
  object.spec = spec;
  return object;
}

TEST(RuleTableTest, TheValidationHereRefusesWhatTheRulesOfTheCrdsRefuse) {
  const Json table = Table();
  ASSERT_GT(table.size(), 80U);
  for (const Json& each : table) {
    const std::string kind = each["kind"].get<std::string>();
    const Json object = {
        {"apiVersion", kApiVersion}, {"kind", kind}, {"metadata", {{"name", "weather"}}}, {"spec", each["spec"]}};
    std::vector<Violation> found;
    if (each.contains("oldSpec")) {
      found = ValidateChange(ObjectOf(kind, each["oldSpec"]), ObjectOf(kind, each["spec"]));
    } else {
      found = Schema::Builtin().Validate(kind, object);
    }
    EXPECT_EQ(!found.empty(), each.contains("refused")) << each["name"] << "\n" << ToString(found);
  }
}

}  // namespace
}  // namespace mcpfleet
