// What a machine is handed as a join token, and what the Worker says that it presented. Besides not crashing: a token
// has one spelling, and nothing proves a secret but its MAC.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "store/join_token.h"

namespace mcpfleet {
namespace {

void Check(bool condition) {
  if (!condition) std::abort();
}

void FuzzToken(std::string_view text) {
  const StatusOr<JoinToken> token = ParseJoinToken(text);
  if (!token.ok()) return;
  Check(FormatJoinToken(*token) == Trim(text));
  Check(!JoinMac(token->secret, "edge-01", {}).empty());
}

void FuzzPresented(std::string_view text) {
  const StatusOr<Json> json = ParseJson(text);
  const StatusOr<Presented> presented = json.ok() ? PresentedFromJson(*json) : StatusOr<Presented>(json.status());
  if (!presented.ok()) return;
  const StatusOr<Presented> again = PresentedFromJson(ToJson(*presented));
  Check(again.ok() && again->keys == presented->keys && again->mac == presented->mac);
  // Nobody knows the MAC of this secret.
  Check(!ProvesSecret(*presented, NewJoinSecret()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    FuzzToken(text);
  } else {
    FuzzPresented(text);
  }
  return 0;
}

}  // namespace mcpfleet
