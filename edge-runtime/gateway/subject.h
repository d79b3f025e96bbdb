// Who a request is from. Sessions, rate limits and resumption belong to a subject: what one has, another never gets.
#pragma once

#include <string>

namespace mcpfleet::gateway {

struct Subject {
  // "anonymous", "bearer:<name of the token>", "jwt:<issuer>|<sub>" or "access:<team>|<sub or email>"; never "". Says
  // who a person is, so it is not for logs.
  std::string id = "anonymous";

  // 12 hex digits that tell subjects apart in logs.
  std::string Hash() const;
  bool operator==(const Subject&) const = default;
};

}  // namespace mcpfleet::gateway
