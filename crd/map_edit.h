// Sets members of one map in the text of a YAML file and leaves every other byte of it alone, comments and order too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace mcpfleet {

// `bytes` (one document) with the scalars of `members` in the map at `path`, which is made when it is not there; a null
// member is removed. Block style is edited line by line, a map in braces is rewritten as a block.
//
// InvalidArgument: `bytes` is not one YAML document that is a map. FailedPrecondition, with file and line: it is
// written in a way that is not edited (JSON, comments inside of braces, anchors, a member that is no scalar). The
// result was read back: it is the old content but for the members, or there is no result.
StatusOr<std::string> WithMembers(std::string_view bytes, const std::string& file_name,
                                  const std::vector<std::string>& path, const Json& members);

// What WithMembers makes of the content: `document` with the members set and removed.
Json PatchedMembers(Json document, const std::vector<std::string>& path, const Json& members);

}  // namespace mcpfleet
