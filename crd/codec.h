// Objects, specs and statuses to JSON and back. JSON member names are those of crd/*.yaml (camelCase, times RFC 3339).
// Encoders leave out empty members. Decoders refuse wrong types with InvalidArgument naming the field; members that
// they don't know are ignored, because a status may come from a newer mcplet.
#pragma once

#include <string>

#include "base/json.h"
#include "base/status.h"
#include "crd/object.h"
#include "crd/server_spec.h"
#include "crd/server_status.h"

namespace mcpfleet {

// {apiVersion, kind, metadata{name, namespace, uid, generation, labels, annotations, creationTimestamp}, spec}
Json ObjectToJson(const Object& object);
// Structure only; Schema::Validate judges the content.
StatusOr<Object> ObjectFromJson(const Json& json);

// The typed form of the spec of an MCPServer. What is absent gets the schema's default, so both a spec as written
// and a defaulted one will do. InvalidArgument for what Validate would have refused.
StatusOr<ServerSpec> DecodeServerSpec(const Json& spec);
// Validates, defaults and decodes: for objects that come from a store. InvalidArgument lists every violation.
StatusOr<ServerSpec> ServerSpecOf(const Object& object);
// spec.unschedulable of an MCPNode, or spec.drain: it takes nothing new.
bool IsUnschedulable(const Object& node);
// spec.drain: it keeps nothing either.
bool IsDrained(const Object& node);

Json ConditionToJson(const Condition& condition);
StatusOr<Condition> ConditionFromJson(const Json& json);
// One entry of status.nodes[] without `node`, plus namespace, name and uid.
Json ServerStatusToJson(const ServerStatus& status);
StatusOr<ServerStatus> ServerStatusFromJson(const Json& json);
// {node, bootId, sequence, version, heartbeat, acceptedHead, snapshot, runtimes, conditions, servers}
Json NodeStatusToJson(const NodeStatus& status);
StatusOr<NodeStatus> NodeStatusFromJson(const Json& json);
Json EventToJson(const Event& event);
StatusOr<Event> EventFromJson(const Json& json);

// "True" | "False" | "Unknown"
std::string ToString(ConditionStatus status);

// Readable YAML of any JSON value, members of objects in Kubernetes' order (apiVersion, kind, metadata, spec, status,
// then by name; `name` first inside lists). Strings that YAML would read as something else are quoted. Ends in a
// newline.
std::string ObjectToYaml(const Json& json);

}  // namespace mcpfleet
