// Rules over several fields of one object: what the CRDs say in CEL (x-kubernetes-validations), and what neither a
// pattern nor CEL can say well. Internal to crd/; Schema::Validate calls it.
#pragma once

#include <functional>
#include <string>

#include "base/json.h"

namespace mcpfleet {

using ReportViolation = std::function<void(std::string path, std::string problem, std::string allowed)>;

// name, namespace, labels, annotations of any object.
void CheckMetadataRules(const Json& metadata, bool namespaced, const ReportViolation& report);
// Members of a wrong type are passed over: the structural check has reported them.
void CheckServerRules(const Json& spec, const ReportViolation& report);

// "" when `url` is https, or http on a loopback address, without user or fragment; else what is wrong.
std::string CheckRemoteUrl(const std::string& url);
bool IsExactNpmVersion(const std::string& version);
bool IsExactPypiVersion(const std::string& version);

}  // namespace mcpfleet
