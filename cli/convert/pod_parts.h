// Parts of Kubernetes' pods, as the MCPServers of several operators contain them. Internal to cli/convert.
#pragma once

#include "cli/convert/draft.h"

namespace mcpfleet::convert {

// name, namespace, labels, annotations; what the API server writes is passed over.
void TakeMetadata(Draft& draft, const Json& metadata, const std::string& path);
// EnvVar, and a list of them
void TakeEnvVar(Draft& draft, const Json& item, const std::string& path);
void TakeEnvVars(Draft& draft, const Json& list, const std::string& path);
// A value of a Secret as a variable.
void TakeSecretVariable(Draft& draft, const std::string& variable, const std::string& secret, const std::string& key,
                        const std::string& path);
// ResourceRequirements
void TakeResources(Draft& draft, const Json& value, const std::string& path);
// SecurityContext of a container, or with `pod` of a pod, which gives way to the container's.
void TakeSecurityContext(Draft& draft, const Json& value, const std::string& path, bool pod);
// A container's image, and its imagePullPolicy.
void TakeImage(Draft& draft, const Json& ref, const std::string& path);
void TakePullPolicy(Draft& draft, const Json& value, const std::string& path);
// LocalObjectReference[]
void TakePullSecrets(Draft& draft, const Json& list, const std::string& path);
// A volume (by its source: hostPath, emptyDir, secret …) at a place.
void TakePodVolume(Draft& draft, const Json& source, const std::string& name, const std::string& target, bool read_only,
                   const std::string& path);
void TakeReplicas(Draft& draft, const Json& value, const std::string& path);
void TakeNodeSelector(Draft& draft, const Json& value, const std::string& path);
// Texts without placeholders, but for $(NAME), which the kubelet would fill in.
void AppendPodTexts(Draft& draft, const Json& list, const std::string& path, std::vector<Text>* out);

}  // namespace mcpfleet::convert
