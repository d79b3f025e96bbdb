// Writes spec.tools.pins into the text of a manifest and leaves every other byte of it alone, comments and order too.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "crd/object.h"

namespace mcpfleet {

// `bytes` with the pins of `server` set to exactly `pins`; a server without a namespace is in `default_namespace`. Of
// pins that are there already only the hashes change. Block style is edited line by line; `tools: {…}` and `pins: {…}`
// are rewritten as a block.
//
// InvalidArgument: `bytes` is no YAML. NotFound: it holds no such server. FailedPrecondition, with file and line: it is
// written in a way that is not edited (JSON, the whole spec in braces, comments inside of braces, anchors). The result
// was read back: it is the old content but for the pins, or there is no result.
StatusOr<std::string> WithPins(std::string_view bytes, const std::string& file_name, const ServerKey& server,
                               const std::string& default_namespace, const std::map<std::string, std::string>& pins);

}  // namespace mcpfleet
