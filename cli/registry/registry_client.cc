#include "cli/registry/registry_client.h"

#include <algorithm>
#include <set>

#include "base/strings.h"

namespace mcpfleet::registry {
namespace {

constexpr size_t kPageBytes = size_t{8} << 20;  // a hundred entries have some hundred KB
constexpr size_t kPage = 100;                   // the most that the official one gives at once
constexpr int kMostPages = 200;
constexpr char kOfficialMeta[] = "io.modelcontextprotocol.registry/official";

StatusOr<Entry> EntryOf(const Json& answer) {
  const Json& server = GetMember(answer, "server").is_object() ? GetMember(answer, "server") : answer;
  if (GetString(server, "name").empty()) return FailedPrecondition("the registry answers an entry without a name");
  const Json& meta = GetMember(GetMember(answer, "_meta"), kOfficialMeta);
  return Entry{.server = server,
               .status = GetString(meta, "status", GetString(server, "status")),
               .status_message = GetString(meta, "statusMessage"),
               .latest = GetBool(meta, "isLatest")};
}

// Of versions of one server the one that the registry calls the latest, else the first.
void Add(Entry entry, std::vector<Entry>* entries) {
  const std::string name = GetString(entry.server, "name");
  const auto same = std::find_if(entries->begin(), entries->end(),
                                 [&](const Entry& each) { return GetString(each.server, "name") == name; });
  if (same == entries->end()) {
    entries->push_back(std::move(entry));
  } else if (entry.latest && !same->latest) {
    *same = std::move(entry);
  }
}

}  // namespace

StatusOr<std::unique_ptr<RegistryClient>> RegistryClient::Create(const std::string& url, OnRequest on_request) {
  ASSIGN_OR_RETURN(std::unique_ptr<JsonSource> source, JsonSource::Create("registry", url, std::move(on_request)));
  return std::unique_ptr<RegistryClient>(new RegistryClient(std::move(source)));
}

RegistryClient::RegistryClient(std::unique_ptr<JsonSource> source) : source_(std::move(source)) {
  sure_ = source_->base().ends_with("/v0") || source_->base().ends_with("/v0.1");
  if (!sure_) api_ = "/v0.1";
}

StatusOr<Json> RegistryClient::Get(const std::string& target, Deadline deadline) {
  StatusOr<Json> answer = source_->Get(api_ + target, kPageBytes, deadline);
  if (sure_ || (!answer.ok() && answer.status().code() != StatusCode::kNotFound)) return answer;
  if (!answer.ok()) {
    // The server is unknown, or this version of the API is.
    StatusOr<Json> list = source_->Get(api_ + "/servers?limit=1", kPageBytes, deadline);
    if (!list.ok() && list.status().code() == StatusCode::kNotFound) {
      api_ = "/v0";
      sure_ = true;
      return source_->Get(api_ + target, kPageBytes, deadline);
    }
  }
  sure_ = true;
  return answer;
}

StatusOr<Found> RegistryClient::Search(const std::string& text, size_t limit, Deadline deadline) {
  Found found;
  std::set<std::string> cursors;
  std::string cursor;
  for (int page = 0; page < kMostPages; ++page) {
    std::string target = "/servers?version=latest&limit=" + std::to_string(std::min(limit, kPage));
    if (!text.empty()) target += "&search=" + PercentEncode(text);
    if (!cursor.empty()) target += "&cursor=" + PercentEncode(cursor);
    ASSIGN_OR_RETURN(const Json answer, Get(target, deadline));
    const Json& servers = GetMember(answer, "servers");
    if (!servers.is_array())
      return FailedPrecondition("registry " + source_->base() +
                                ": the answer has no list \"servers\"; is this the API's address?");
    for (const Json& each : servers) {
      ASSIGN_OR_RETURN(Entry entry, EntryOf(each));
      if (entry.status != "deleted") Add(std::move(entry), &found.entries);
    }
    const Json& metadata = GetMember(answer, "metadata");
    cursor = GetString(metadata, "nextCursor", GetString(metadata, "next_cursor"));
    if (found.entries.size() > limit || (found.entries.size() == limit && !cursor.empty())) {
      found.entries.resize(limit);
      found.more = true;
      return found;
    }
    // A registry that turns in circles.
    if (cursor.empty() || !cursors.insert(cursor).second) return found;
  }
  found.more = true;
  return found;
}

StatusOr<Entry> RegistryClient::Show(const std::string& name, const std::string& version, Deadline deadline) {
  const std::string versions = "/servers/" + PercentEncode(name) + "/versions";
  StatusOr<Json> answer = Get(versions + "/" + PercentEncode(version), deadline);
  if (answer.ok()) return EntryOf(*answer);
  if (answer.status().code() != StatusCode::kNotFound) return answer.status();
  const std::string at = "registry " + source_->base() + ": ";
  StatusOr<Json> all = Get(versions, deadline);
  if (!all.ok() && all.status().code() != StatusCode::kNotFound) return all.status();
  std::vector<std::string> known;
  if (all.ok() && GetMember(*all, "servers").is_array()) {
    for (const Json& each : GetMember(*all, "servers")) {
      StatusOr<Entry> entry = EntryOf(each);
      if (entry.ok() && known.size() < 10) known.push_back(Printable(GetString(entry->server, "version"), 40));
    }
  }
  if (known.empty())
    return NotFound(at + "no server " + Printable(name, 200) + "; look for it with: mcpctl registry search TEXT");
  return NotFound(at + Printable(name, 200) + " has no version " + Printable(version, 60) + "; it has " +
                  Join(known, ", "));
}

}  // namespace mcpfleet::registry
