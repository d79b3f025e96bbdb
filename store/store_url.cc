#include "store/store_url.h"

#include "base/http/url.h"

namespace mcpfleet {

StatusOr<http::Endpoint> ParseStoreUrl(std::string_view url) {
  const StatusOr<http::Url> parsed = http::ParseUrl(url);
  if (!parsed.ok()) return Annotate(parsed.status(), "store");
  return parsed->endpoint;
}

}  // namespace mcpfleet
