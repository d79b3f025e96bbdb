// Rules over several fields of one object: what the CRDs say in CEL (x-kubernetes-validations), and what neither a
// pattern nor CEL can say well. Internal to crd/; Schema::Validate calls it.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/json.h"

namespace mcpfleet {

using ReportViolation = std::function<void(std::string path, std::string problem, std::string allowed)>;

// name, namespace, labels, annotations of any object.
void CheckMetadataRules(const Json& metadata, bool namespaced, const ReportViolation& report);
// Members of a wrong type are passed over: the structural check has reported them.
void CheckServerRules(const Json& spec, const ReportViolation& report);
// spec of an MCPNode.
void CheckNodeRules(const Json& spec, const ReportViolation& report);
// The part of the rules of a server about sessions, tools, auth and rateLimit.
void CheckGatewayRules(const Json& spec, const ReportViolation& report);
// The part about updateStrategy and activation.
void CheckUpdateRules(const Json& spec, const ReportViolation& report);
// The part about what refers to secrets: env, files, headers.
void CheckSecretUse(const Json& spec, const ReportViolation& report);
// Of an MCPSecret.
void CheckSecretRules(const Json& spec, const ReportViolation& report);

// The duration, or `fallback` when it is absent or no duration (which the structural check has reported).
Duration CheckDuration(const ReportViolation& report, const std::string& path, const Json& value, Duration fallback,
                       Duration low, Duration high, const char* allowed);

// "" when `url` is https, or http on a loopback address, without user or fragment; else what is wrong.
std::string CheckRemoteUrl(const std::string& url);
bool IsExactNpmVersion(const std::string& version);
bool IsExactPypiVersion(const std::string& version);

}  // namespace mcpfleet
