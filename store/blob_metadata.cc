#include "store/blob_metadata.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace mcpfleet {

std::string BlobMetadata(WallTime written) {
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(written.time_since_epoch()).count();
  return DumpJson({{"written", seconds}});
}

std::optional<WallTime> BlobWritten(std::string_view metadata) {
  StatusOr<Json> json = ParseJson(metadata, {.bytes = 4096, .depth = 4});
  if (!json.ok()) return std::nullopt;
  int64_t seconds = GetInt(*json, "written");
  // Beyond the year 2200 the nanoseconds of WallTime end.
  if (seconds <= 0 || seconds > int64_t{7'258'118'400}) return std::nullopt;
  return WallTime(std::chrono::seconds(seconds));
}

}  // namespace mcpfleet
