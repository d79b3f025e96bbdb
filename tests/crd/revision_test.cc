#include <gtest/gtest.h>

#include <functional>
#include <map>

#include <nlohmann/json.hpp>

#include "crd/codec.h"
#include "tests/crd/builders.h"

namespace mcpfleet {
namespace {

void EachChange(const Json& spec, const std::string& pointer,
                const std::function<void(const std::string&, const Json&)>& visit) {
  const Json& value = spec[Json::json_pointer(pointer)];
  if (value.is_structured()) {
    for (auto it = value.begin(); it != value.end(); ++it) {
      std::string key = value.is_array() ? std::to_string(it - value.begin()) : it.key();
      EachChange(spec, pointer + "/" + key, visit);
    }
    return;
  }
  static const std::map<std::string, std::string> others = {{"Always", "Never"},
                                                            {"Docker", "Auto"},
                                                            {"streamable-http", "stdio"},
                                                            {"Outbound", "Host"},
                                                            {"BestEffort", "Required"},
                                                            {"OnFailure", "Never"},
                                                            {"pypi", "npm"},
                                                            {"500m", "501m"},
                                                            {"512Mi", "513Mi"},
                                                            {"64Mi", "65Mi"},
                                                            {"5Mi", "6Mi"},
                                                            {"2s", "3s"},
                                                            {"1m", "1m1s"},
                                                            {"2m", "2m1s"},
                                                            {"20s", "21s"},
                                                            {"10m", "11m"},
                                                            {"1h", "2h"},
                                                            {"10s", "11s"},
                                                            {"Recreate", "RollingUpdate"},
                                                            {"OnDemand", "Always"},
                                                            {"Shared", "PerSession"},
                                                            {"Block", "Off"},
                                                            {"Bearer", "None"},
                                                            {"JWT", "None"},
                                                            {"CloudflareAccess", "None"}};
  Json changed = value;
  if (value.is_boolean()) changed = !value.get<bool>();
  if (value.is_number()) changed = value.get<int>() + 1;
  if (value.is_string()) {
    auto other = others.find(value.get<std::string>());
    changed = other == others.end() ? value.get<std::string>() + "x" : other->second;
  }
  visit(pointer, With(spec, pointer, changed));
}

TEST(RevisionTest, MovesForEveryFieldButThoseThatNeedNoNewInstance) {
  int moved = 0, kept = 0;
  for (const Json& spec : FullSpecs()) {
    std::string before = RevisionOf(*DecodeServerSpec(spec));
    EXPECT_EQ(before.size(), 64u);
    EachChange(spec, "", [&](const std::string& pointer, const Json& changed) {
      StatusOr<ServerSpec> typed = DecodeServerSpec(changed);
      ASSERT_TRUE(typed.ok()) << pointer << typed.status();
      bool needs_instance = true;
      for (const char* field :
           {"/placement", "/suspend", "/probes", "/restartPolicy", "/terminationGracePeriod", "/sessions", "/tools",
            "/auth", "/rateLimit", "/expose", "/updateStrategy", "/activation", "/source/image/pullSecret"}) {
        if (pointer.starts_with(field)) needs_instance = false;
      }
      EXPECT_EQ(RevisionOf(*typed) != before, needs_instance) << pointer;
      ++(needs_instance ? moved : kept);
    });
  }
  EXPECT_GE(moved, 30);
  EXPECT_EQ(kept, 52);
}

TEST(RevisionTest, WritingADefaultOutChangesNothing) {
  Json written = ImageSpec();
  written["runtime"] = "Auto";
  written["resources"]["limits"] = {{"cpu", 1}, {"memory", "262144Ki"}};
  EXPECT_EQ(RevisionOf(*DecodeServerSpec(written)), RevisionOf(*DecodeServerSpec(ImageSpec())));
}

// The SHA-256 of {"source":{"image":{"ref":"ghcr.io/example/weather:1.4.2"}}}: a change restarts every fleet.
TEST(RevisionTest, IsTheSameInEveryBuild) {
  EXPECT_EQ(RevisionOf(*DecodeServerSpec(ImageSpec())),
            "be8224381055739165e232dd5402af2fda34a7b2d2256e51a61458c16f744377");
}

}  // namespace
}  // namespace mcpfleet
