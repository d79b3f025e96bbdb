// What `convert` and `registry install` have in common: saying what a conversion lost, decided and needs, and looking
// up versions that a source left open.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/convert/convert.h"
#include "cli/session.h"

namespace mcpfleet::cli {

// Losses, notes and the commands that make the secrets, to err(). No value of the source is among them. `space` is the
// namespace of objects that have none, "" for the context's.
void PrintRemarks(Session& session, const convert::Conversion& conversion, const std::string& file,
                  const std::string& space);
void PrintSecrets(Session& session, const convert::Conversion& conversion, const std::string& space);

// NAME=VALUE of an option.
StatusOr<std::map<std::string, std::string>> ParsePairs(const std::vector<std::string>& given,
                                                        const std::string& option);
// The newest version of a package, said on err().
StatusOr<std::string> LookUpVersion(Session& session, const convert::PackageRef& package);
// Convert, and with `resolve` once more with the versions that it missed.
StatusOr<convert::Conversion> ConvertResolved(Session& session, std::string_view bytes, const std::string& file,
                                              convert::Options options, bool resolve);

}  // namespace mcpfleet::cli
