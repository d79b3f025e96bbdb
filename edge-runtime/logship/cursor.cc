#include "edge-runtime/logship/cursor.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"

namespace mcpfleet::logship {
namespace {

constexpr size_t kFileBytes = size_t{8} << 20;
constexpr size_t kChecksum = 64;

}  // namespace

// The first line is the hash of the rest.
StatusOr<Cursor> LoadCursor(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string file, ReadFile(path, kFileBytes));
  const std::string_view text = file;
  if (text.size() <= kChecksum || Sha256Hex(text.substr(kChecksum + 1)) != text.substr(0, kChecksum))
    return InvalidArgument(path + ": is damaged");
  ASSIGN_OR_RETURN(const Json json, ParseJson(text.substr(kChecksum + 1), {.bytes = kFileBytes}));
  Cursor cursor;
  cursor.counts = static_cast<uint64_t>(GetInt(json, "counts"));
  const Json& tails = GetMember(json, "tails");
  if (!tails.is_object()) return InvalidArgument(path + ": is damaged");
  for (const auto& [instance, tail] : tails.items()) {
    const std::string runtime = GetString(tail, "runtime");
    cursor.tails[instance] = {.runtime = runtime == ToString(RuntimeKind::kDocker)       ? RuntimeKind::kDocker
                                         : runtime == ToString(RuntimeKind::kContainerd) ? RuntimeKind::kContainerd
                                                                                         : RuntimeKind::kProcess,
                              .server = {GetString(tail, "namespace"), GetString(tail, "server")},
                              .place = GetString(tail, "place")};
  }
  return cursor;
}

Status SaveCursor(const std::string& path, const Cursor& cursor) {
  Json tails = Json::object();
  for (const auto& [instance, tail] : cursor.tails) {
    tails[instance] = {{"runtime", std::string(ToString(tail.runtime))},
                       {"namespace", tail.server.namespace_},
                       {"server", tail.server.name},
                       {"place", tail.place}};
  }
  const std::string body = DumpJson({{"counts", cursor.counts}, {"tails", std::move(tails)}});
  return WriteFileAtomically(path, Sha256Hex(body) + "\n" + body, 0600);
}

}  // namespace mcpfleet::logship
