#include "crd/secret_spec.h"

#include <gtest/gtest.h>

#include "crd/codec.h"
#include "crd/spec_codec.h"
#include "tests/crd/builders.h"

namespace mcpfleet {
namespace {

Json Ref(const std::string& name, const std::string& key) { return {{"name", name}, {"key", key}}; }
Json From(const std::string& name, const std::string& key) { return {{"secretKeyRef", Ref(name, key)}}; }

Json Secret() {
  return {{"apiVersion", kApiVersion},
          {"kind", kKindSecret},
          {"metadata", {{"name", "github"}}},
          {"spec",
           {{"dataVersion", std::string(32, 'a')},
            {"placement", {{"nodeSelector", {{"site", "berlin"}}}}},
            {"data", {{{"key", "token"}, {"sealed", std::string(60, 'A')}}}},
            {"recipients",
             {{{"kind", "Node"},
               {"name", "edge-01"},
               {"publicKey", std::string(43, 'A')},
               {"sealedKey", std::string(150, 'A')}}}}}}};
}

// A spec with a reference of every kind.
Json UsingSpec() {
  Json spec = ImageSpec();
  spec["source"]["image"]["pullSecret"] = "ghcr";
  spec["env"] = {{{"name", "LEVEL"}, {"value", "info"}}, {{"name", "TOKEN"}, {"valueFrom", From("github", "token")}}};
  spec["files"] = {{{"path", "/run/secrets/key"}, {"secretKeyRef", Ref("tls", "key")}}};
  return spec;
}

TEST(SecretSpecTest, ASecretIsReadAsItWasWritten) {
  EXPECT_EQ(Problem(Secret()), "");
  StatusOr<SecretSpec> spec = DecodeSecretSpec(Secret()["spec"]);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(EncodeSecretSpec(*spec), Secret()["spec"]);
  EXPECT_EQ(spec->recipients[0].kind, RecipientKind::kNode);
}

TEST(SecretSpecTest, WhatIsWrongWithASecretIsSaidByField) {
  const auto wrong = [](const std::string& pointer, Json value) { return Problem(With(Secret(), pointer, value)); };
  EXPECT_NE(wrong("/spec/dataVersion", "1").find("spec.dataVersion"), std::string::npos);
  EXPECT_NE(wrong("/spec/data/0/sealed", std::string(60, '=')).find("spec.data[0].sealed: is not base64url"),
            std::string::npos);
  EXPECT_NE(wrong("/spec/data/0/key", "a b").find("spec.data[0].key"), std::string::npos);
  EXPECT_NE(wrong("/spec/data", Json::array()).find("spec.data: has 0 entries"), std::string::npos);
  EXPECT_NE(wrong("/spec/recipients/0/kind", "Friend").find("unknown value \"Friend\""), std::string::npos);
  EXPECT_NE(wrong("/spec/recipients/0/publicKey", "short").find("spec.recipients[0].publicKey"), std::string::npos);
  EXPECT_NE(wrong("/spec/placement/nodeSelector/site", "a b").find("spec.placement.nodeSelector.site"),
            std::string::npos);
  Json twice = Secret();
  twice["spec"]["recipients"].push_back(twice["spec"]["recipients"][0]);
  EXPECT_NE(Problem(twice).find("is given twice"), std::string::npos);
  EXPECT_NE(wrong("/spec/value", "plain").find("unknown field"), std::string::npos);
}

TEST(SecretSpecTest, AServerNamesItsSecretsAndEachIsInItsRevision) {
  EXPECT_EQ(Problem(Server(UsingSpec())), "");
  EXPECT_EQ(SecretNamesOf(UsingSpec()), (std::set<std::string>{"ghcr", "github", "tls"}));
  StatusOr<ServerSpec> spec = DecodeServerSpec(UsingSpec());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(EncodeServerSpec(*spec), UsingSpec());
  std::string fields;
  for (const SecretReference& each : SecretReferencesOf(*spec)) fields += each.field + "=" + each.ref.name + " ";
  EXPECT_EQ(fields,
            "spec.env[TOKEN].valueFrom=github spec.files[/run/secrets/key]=tls spec.source.image.pullSecret=ghcr ");
  const std::string revision = RevisionOf(*spec);
  const auto revision_with = [](const std::string& pointer, Json value) {
    return RevisionOf(DecodeServerSpec(With(UsingSpec(), pointer, std::move(value))).value());
  };
  EXPECT_NE(revision_with("/env/1/valueFrom/secretKeyRef/key", "other"), revision);
  EXPECT_NE(revision_with("/files/0/path", "/run/secrets/other"), revision);
  EXPECT_EQ(revision_with("/source/image/pullSecret", "other"), revision);
}

TEST(SecretSpecTest, HeadersOfARemoteServerComeFromSecretsToo) {
  Json spec = RemoteSpec();
  spec["source"]["remote"]["headers"] = {{{"name", "Authorization"}, {"valueFrom", From("github", "header")}}};
  EXPECT_EQ(Problem(Server(spec)), "");
  EXPECT_EQ(EncodeServerSpec(DecodeServerSpec(spec).value()), spec);
  EXPECT_EQ(SecretReferencesOf(DecodeServerSpec(spec).value())[0].use, SecretUse::kHeader);
  spec["files"] = UsingSpec()["files"];
  EXPECT_NE(Problem(Server(spec)).find("spec.files: has no effect on a remote server"), std::string::npos);
}

TEST(SecretSpecTest, AValueIsGivenOrReferredToAndNeverBoth) {
  Json spec = UsingSpec();
  spec["env"][1]["value"] = "x";
  EXPECT_EQ(Problem(Server(spec)), "spec.env[1]: has value and valueFrom; allowed: exactly one of value, valueFrom");
  spec["env"][1] = {{"name", "TOKEN"}};
  EXPECT_EQ(Problem(Server(spec)),
            "spec.env[1]: has neither value nor valueFrom; allowed: exactly one of value, valueFrom");
}

TEST(SecretSpecTest, AFileHasADirectoryThatMayBecomeMemory) {
  const auto problem = [](const std::string& path) {
    return Problem(Server(With(UsingSpec(), "/files/0/path", path)));
  };
  for (const char* good : {"/run/secrets/a", "/secrets/a", "/etc/app/a", "/tmp/secrets/a", "/home/app/.config/a"})
    EXPECT_EQ(problem(good), "") << good;
  for (const char* bad : {"/a", "/etc/passwd", "/tmp/a", "/usr/share/a", "/proc/self/a", "/dev/shm/a", "/.mcp/a",
                          "/run/../etc/a", "/run/secrets/", "relative"}) {
    EXPECT_NE(problem(bad).find("spec.files[0].path"), std::string::npos) << bad;
  }
  Json spec = UsingSpec();
  spec["volumes"] = {{{"name", "data"}, {"hostPath", "/srv"}, {"mountPath", "/run"}}};
  EXPECT_NE(Problem(Server(spec)).find("spec.volumes[0] are inside each other"), std::string::npos);
  spec["volumes"][0]["mountPath"] = "/run/secrets/deeper";
  EXPECT_NE(Problem(Server(spec)).find("spec.volumes[0] are inside each other"), std::string::npos);
  spec["volumes"][0]["mountPath"] = "/data";
  EXPECT_EQ(Problem(Server(spec)), "");
  spec["files"].push_back({{"path", "/run//secrets/key"}, {"secretKeyRef", Ref("tls", "key")}});
  EXPECT_NE(Problem(Server(spec)).find("is also the path of spec.files[0]"), std::string::npos);
}

}  // namespace
}  // namespace mcpfleet
