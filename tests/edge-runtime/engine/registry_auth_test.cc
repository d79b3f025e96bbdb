#include "edge-runtime/engine/registry_auth.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/base64url.h"
#include "base/json.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

Json Decoded(const StatusOr<SecretText>& header) {
  EXPECT_TRUE(header.ok()) << header.status();
  std::string text(header.ok() ? header->view() : "");
  while (text.ends_with('=')) text.pop_back();
  return ParseJson(Base64UrlDecode(text).value_or("")).value_or(Json());
}

StatusOr<SecretText> OfConfig(const Json& auths, const std::string& ref) {
  return RegistryAuthHeader({.docker_config = SecretText(DumpJson({{"auths", auths}}))}, ref);
}

TEST(RegistryAuthTest, TheRegistryIsReadFromTheReferenceAsDockerDoes) {
  EXPECT_EQ(RegistryOf("busybox"), "docker.io");
  EXPECT_EQ(RegistryOf("example/weather:1"), "docker.io");
  EXPECT_EQ(RegistryOf("ghcr.io/example/weather@sha256:aa"), "ghcr.io");
  EXPECT_EQ(RegistryOf("localhost/weather"), "localhost");
  EXPECT_EQ(RegistryOf("127.0.0.1:5000/weather"), "127.0.0.1:5000");
}

TEST(RegistryAuthTest, ANameAndAPasswordAreSentAsTheyAre) {
  const Json auth =
      Decoded(RegistryAuthHeader({.user = "ci", .password = SecretText("p:w\"d")}, "ghcr.io/example/weather:1"));
  EXPECT_EQ(auth, (Json{{"username", "ci"}, {"password", "p:w\"d"}, {"serveraddress", "ghcr.io"}}));
}

TEST(RegistryAuthTest, TheEntryOfTheRegistryCountsAndTheMostPreciseOne) {
  const Json auths = {{"https://index.docker.io/v1/", {{"auth", Base64Encode("hub:1")}}},
                      {"ghcr.io", {{"auth", Base64Encode("all:2")}}},
                      {"ghcr.io/example", {{"username", "org"}, {"password", "3"}}},
                      {"https://127.0.0.1:5000", {{"identitytoken", "t"}}}};
  EXPECT_EQ(Decoded(OfConfig(auths, "busybox"))["username"], "hub");
  EXPECT_EQ(Decoded(OfConfig(auths, "ghcr.io/other/x"))["password"], "2");
  EXPECT_EQ(Decoded(OfConfig(auths, "ghcr.io/example/x"))["username"], "org");
  EXPECT_EQ(Decoded(OfConfig(auths, "ghcr.io/examples/x"))["username"], "all");
  EXPECT_EQ(Decoded(OfConfig(auths, "127.0.0.1:5000/x:1"))["identitytoken"], "t");
}

TEST(RegistryAuthTest, WhatIsMissingIsSaidWithoutAValue) {
  const Json auths = {{"ghcr.io", {{"auth", Base64Encode("canary-user:canary-password")}}}};
  const Status status = OfConfig(auths, "quay.io/x/y").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(Message(status).find("quay.io"), std::string::npos);
  EXPECT_EQ(Message(status).find("canary"), std::string::npos);
  const Status broken = RegistryAuthHeader({.docker_config = SecretText("{\"auths\": canary")}, "ghcr.io/x").status();
  EXPECT_EQ(broken.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Message(broken).find("canary"), std::string::npos);
  EXPECT_FALSE(OfConfig({{"ghcr.io", Json::object()}}, "ghcr.io/x/y").ok());
}

}  // namespace
}  // namespace mcpfleet
