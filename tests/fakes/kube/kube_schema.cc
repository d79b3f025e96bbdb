#include "tests/fakes/kube/kube_schema.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace mcpfleet::testing {
namespace {

std::string ListType(const Json& schema) { return GetString(schema, "x-kubernetes-list-type", "atomic"); }

std::string KeyOf(const Json& item, const Json& schema) {
  std::string key = "[";
  for (const Json& name : GetMember(schema, "x-kubernetes-list-map-keys"))
    key += (key.size() > 1 ? "," : "") + name.get<std::string>() + "=" +
           DumpJson(GetMember(item, name.get<std::string>()));
  return key + "]";
}

// The schema of a member; null when it is not declared.
const Json& MemberSchema(const Json& schema, const std::string& name) {
  const Json& declared = GetMember(GetMember(schema, "properties"), name);
  return declared.is_null() ? GetMember(schema, "additionalProperties") : declared;
}

bool IsOpen(const Json& schema) { return GetBool(schema, "x-kubernetes-preserve-unknown-fields"); }

std::string WrongType(const Json& value, const Json& schema) {
  const std::string type = GetString(schema, "type");
  if (GetBool(schema, "x-kubernetes-int-or-string"))
    return value.is_string() || value.is_number_integer() ? "" : "must be integer or string";
  const bool right = type.empty() || (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
                     (type == "string" && value.is_string()) || (type == "integer" && value.is_number_integer()) ||
                     (type == "boolean" && value.is_boolean());
  return right ? "" : "must be " + type;
}

void Judge(const Json& value, const Json& schema, const std::string& path, SchemaFaults* faults) {
  if (const std::string wrong = WrongType(value, schema); !wrong.empty()) {
    faults->invalid.push_back(path + ": " + wrong);
    return;
  }
  const Json& allowed = GetMember(schema, "enum");
  if (allowed.is_array() && std::find(allowed.begin(), allowed.end(), value) == allowed.end())
    faults->invalid.push_back(path + ": unsupported value " + DumpJson(value));
  if (value.is_string() && schema.contains("maxLength") &&
      value.get_ref<const std::string&>().size() > static_cast<size_t>(GetInt(schema, "maxLength")))
    faults->invalid.push_back(path + ": too long");
  if (value.is_object()) {
    for (const Json& name : GetMember(schema, "required")) {
      if (!value.contains(name.get<std::string>()))
        faults->invalid.push_back(path + "." + name.get<std::string>() + ": Required value");
    }
    if (IsOpen(schema)) return;
    for (auto it = value.begin(); it != value.end(); ++it) {
      const Json& member = MemberSchema(schema, it.key());
      if (member.is_null()) {
        faults->unknown.push_back(path + "." + it.key());
      } else {
        Judge(*it, member, path + "." + it.key(), faults);
      }
    }
  }
  if (value.is_array()) {
    std::set<std::string> seen;
    for (const Json& item : value) {
      const std::string type = ListType(schema);
      const std::string key = type == "map" ? KeyOf(item, schema) : type == "set" ? DumpJson(item) : "";
      if (!key.empty() && !seen.insert(key).second) faults->invalid.push_back(path + key + ": Duplicate value");
      Judge(item, GetMember(schema, "items"), path + (key.empty() ? "[]" : key), faults);
    }
  }
}

}  // namespace

SchemaFaults JudgeBySchema(const Json& value, const Json& schema, const std::string& path) {
  SchemaFaults faults;
  Judge(value, schema, path, &faults);
  return faults;
}

void PruneUnknown(Json* value, const Json& schema) {
  if (value->is_object() && !IsOpen(schema)) {
    for (auto it = value->begin(); it != value->end();) {
      const Json& member = MemberSchema(schema, it.key());
      if (member.is_null()) {
        it = value->erase(it);
      } else {
        PruneUnknown(&*it, member);
        ++it;
      }
    }
  }
  if (value->is_array()) {
    for (Json& item : *value) PruneUnknown(&item, GetMember(schema, "items"));
  }
}

Fields FieldsOf(const Json& value, const Json& schema, const std::string& path) {
  Fields out;
  if (value.is_object() && !IsOpen(schema) && !value.empty()) {
    for (auto it = value.begin(); it != value.end(); ++it)
      out.merge(FieldsOf(*it, MemberSchema(schema, it.key()), path + "." + it.key()));
    return out;
  }
  if (value.is_array() && ListType(schema) == "map") {
    for (const Json& item : value) out.merge(FieldsOf(item, GetMember(schema, "items"), path + KeyOf(item, schema)));
    return out;
  }
  if (value.is_array() && ListType(schema) == "set") {
    for (const Json& item : value) out[path + "[" + DumpJson(item) + "]"] = item;
    return out;
  }
  out[path] = value;
  return out;
}

void ApplyOver(const Json& applied, const Json& schema, Json* live) {
  if (applied.is_object() && !IsOpen(schema)) {
    if (!live->is_object()) *live = Json::object();
    for (auto it = applied.begin(); it != applied.end(); ++it)
      ApplyOver(*it, MemberSchema(schema, it.key()), &(*live)[it.key()]);
    return;
  }
  const std::string type = applied.is_array() ? ListType(schema) : "";
  if (type != "map" && type != "set") {
    *live = applied;
    return;
  }
  if (!live->is_array()) *live = Json::array();
  for (const Json& item : applied) {
    const auto same = [&](const Json& other) {
      return type == "set" ? other == item : KeyOf(other, schema) == KeyOf(item, schema);
    };
    auto found = std::find_if(live->begin(), live->end(), same);
    if (found == live->end()) {
      live->push_back(item);
    } else if (type == "map") {
      ApplyOver(item, GetMember(schema, "items"), &*found);
    }
  }
}

void RemoveFields(const std::set<std::string>& doomed, const Json& schema, Json* live, const std::string& path) {
  if (live->is_object()) {
    for (auto it = live->begin(); it != live->end();) {
      const std::string child = path + "." + it.key();
      if (doomed.contains(child)) {
        it = live->erase(it);
        continue;
      }
      const bool had = !it->empty();
      RemoveFields(doomed, MemberSchema(schema, it.key()), &*it, child);
      const bool emptied = had && (it->is_object() || it->is_array()) && it->empty();
      it = emptied ? live->erase(it) : std::next(it);
    }
  }
  if (!live->is_array()) return;
  const std::string type = ListType(schema);
  for (auto it = live->begin(); it != live->end();) {
    bool gone = false;
    std::string child = path;
    if (type == "set") gone = doomed.contains(path + "[" + DumpJson(*it) + "]");
    if (type == "map") {
      child += KeyOf(*it, schema);
      gone = true;
      for (const Json& name : GetMember(schema, "x-kubernetes-list-map-keys"))
        gone = gone && doomed.contains(child + "." + name.get<std::string>());
    }
    if (gone) {
      it = live->erase(it);
      continue;
    }
    if (type == "map") RemoveFields(doomed, GetMember(schema, "items"), &*it, child);
    ++it;
  }
}

}  // namespace mcpfleet::testing
