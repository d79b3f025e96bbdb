#include "store/proposal.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/strings.h"
#include "crd/canonical.h"
#include "crd/codec.h"
#include "crd/manifest.h"
#include "store/reader.h"

namespace mcpfleet {
namespace {

constexpr size_t kTextBytes = 1024;  // of message and author, as in a snapshot
constexpr size_t kShortestId = 8;
constexpr size_t kIdDigits = 64;

std::string KeyOfProposal(std::string_view id) { return kProposalPrefix + std::string(id); }

Json RowOf(const Proposal& proposal) {
  return {{"author", proposal.author},
          {"message", std::string(Printable(proposal.message, 200))},
          {"time", proposal.time},
          {"objects", proposal.set.size() + proposal.remove.size()}};
}

// As a manifest, so that the one validator judges it.
StatusOr<Object> ValidObject(const Json& json) {
  ASSIGN_OR_RETURN(std::vector<ManifestObject> objects, ParseManifest(DumpJson(json), "proposal", nullptr));
  if (objects.size() != 1) return InvalidArgument("proposal: one object of `set` is none or several");
  return std::move(objects[0].object);
}

StatusOr<ObjectKey> ParseKey(const Json& json) {
  ObjectKey key{GetString(json, "kind"), GetString(json, "namespace"), GetString(json, "name")};
  if (key.kind.empty() || key.name.empty()) return InvalidArgument("proposal: `remove` names no object");
  return key;
}

bool IsHex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

}  // namespace

StatusOr<std::string> EncodeProposal(const Proposal& proposal) {
  Json set = Json::array(), remove = Json::array();
  for (const Object& object : proposal.set) {
    Json json = ObjectToJson(object);
    for (const char* assigned : {"uid", "generation", "creationTimestamp"}) json["metadata"].erase(assigned);
    set.push_back(std::move(json));
  }
  for (const ObjectKey& key : proposal.remove)
    remove.push_back({{"kind", key.kind}, {"namespace", key.namespace_}, {"name", key.name}});
  ASSIGN_OR_RETURN(std::string bytes, Canonicalize({{"fleet", proposal.fleet},
                                                    {"base", proposal.base},
                                                    {"set", set},
                                                    {"remove", remove},
                                                    {"message", proposal.message},
                                                    {"author", proposal.author},
                                                    {"time", proposal.time}}));
  RETURN_IF_ERROR(ParseProposal(bytes, Sha256Hex(bytes)).status());
  return bytes;
}

StatusOr<Proposal> ParseProposal(std::string_view bytes, std::string_view hash) {
  if (bytes.size() > kProposalBytes)
    return InvalidArgument("proposal: larger than " + std::to_string(kProposalBytes) + " bytes");
  if (Sha256Hex(bytes) != hash)
    return InvalidArgument("proposal: its bytes are not those that its name is the hash of");
  ASSIGN_OR_RETURN(Json json, ParseJson(bytes, {.bytes = kProposalBytes}));
  if (!json.is_object()) return InvalidArgument("proposal: not an object");
  Proposal proposal{.fleet = GetString(json, "fleet"),
                    .base = GetString(json, "base"),
                    .message = GetString(json, "message"),
                    .author = GetString(json, "author"),
                    .time = GetString(json, "time")};
  if (proposal.message.size() > kTextBytes || proposal.author.size() > kTextBytes)
    return InvalidArgument("proposal: message and author have at most " + std::to_string(kTextBytes) + " bytes");
  if (!proposal.base.empty() && (proposal.base.size() != kIdDigits || !IsHex(proposal.base)))
    return InvalidArgument("proposal: base is not the hash of a snapshot");
  const Json &set = GetMember(json, "set"), &remove = GetMember(json, "remove");
  if (!set.is_array() || !remove.is_array() || set.size() + remove.size() == 0)
    return InvalidArgument("proposal: `set` and `remove` are lists, and one of them has something in it");
  for (const Json& each : set) {
    ASSIGN_OR_RETURN(Object object, ValidObject(each));
    proposal.set.push_back(std::move(object));
  }
  for (const Json& each : remove) {
    ASSIGN_OR_RETURN(ObjectKey key, ParseKey(each));
    proposal.remove.push_back(std::move(key));
  }
  return proposal;
}

StatusOr<std::string> Propose(KvClient& kv, const Proposal& proposal, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::string bytes, EncodeProposal(proposal));
  std::string id = Sha256Hex(bytes);
  KvPutOptions options{.metadata = DumpJson(RowOf(proposal)),
                       .expiration_ttl = std::chrono::duration_cast<std::chrono::seconds>(kProposalAge).count()};
  if (options.metadata.size() > limits::kMetadataBytes) options.metadata.clear();
  RETURN_IF_ERROR(kv.Put(KeyOfProposal(id), bytes, options, deadline));
  return id;
}

StatusOr<FoundProposal> FindProposal(KvClient& kv, std::string_view id, Deadline deadline) {
  if (id.size() < kShortestId || id.size() > kIdDigits || !IsHex(id))
    return InvalidArgument("\"" + Printable(id, 80) + "\" is no id of a proposal: give " + std::to_string(kShortestId) +
                           " or more of its hex digits");
  FoundProposal found{.id = std::string(id)};
  if (id.size() < kIdDigits) {
    ASSIGN_OR_RETURN(const std::vector<KvKey> keys, ListAll(kv, KeyOfProposal(id), 2, deadline));
    if (keys.size() > 1) return InvalidArgument("several proposals begin with " + found.id + ": give more digits");
    if (keys.empty()) return NotFound("no proposal begins with " + found.id + "; mcpctl proposals list shows them");
    found.id = keys[0].name.substr(std::string_view(kProposalPrefix).size());
  }
  ASSIGN_OR_RETURN(const std::optional<KvValue> value, kv.Get(KeyOfProposal(found.id), deadline));
  if (!value) return NotFound("there is no proposal " + found.id + "; mcpctl proposals list shows them");
  ASSIGN_OR_RETURN(found.proposal, ParseProposal(value->value, found.id));
  return found;
}

StatusOr<std::vector<ProposalRow>> ListProposals(KvClient& kv, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<KvKey> keys, ListAll(kv, kProposalPrefix, kMaxProposals, deadline));
  std::vector<ProposalRow> rows;
  for (const KvKey& key : keys) {
    ProposalRow row{.id = key.name.substr(std::string_view(kProposalPrefix).size())};
    StatusOr<Json> metadata = ParseJson(key.metadata, {.bytes = limits::kMetadataBytes});
    if (metadata.ok()) {
      row.author = GetString(*metadata, "author");
      row.message = GetString(*metadata, "message");
      row.time = GetString(*metadata, "time");
      row.objects = static_cast<size_t>(std::max<int64_t>(0, GetInt(*metadata, "objects")));
    }
    rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(),
            [](const ProposalRow& a, const ProposalRow& b) { return std::tie(a.time, a.id) < std::tie(b.time, b.id); });
  return rows;
}

StatusOr<std::vector<std::string>> ChangedSince(KvClient& kv, const Proposal& proposal, const std::optional<Head>& head,
                                                Deadline deadline) {
  if (!head) {
    if (proposal.base.empty()) return std::vector<std::string>();
    return FailedPrecondition("the proposal is for a fleet that had a state; this store is empty");
  }
  if (proposal.fleet != head->fleet)
    return FailedPrecondition("the proposal is for fleet " + Printable(proposal.fleet, 40) + ", this one is " +
                              head->fleet);
  if (proposal.base == head->snapshot) return std::vector<std::string>();
  std::map<ObjectKey, ShardEntry> before, now;
  if (!proposal.base.empty()) {
    StatusOr<Snapshot> base = ReadSnapshot(kv, proposal.base, deadline);
    if (!base.ok())
      return FailedPrecondition("what the proposal is based on can't be read (" + std::string(Message(base.status())) +
                                "): propose it again");
    ASSIGN_OR_RETURN(before, ReadEntries(kv, *base, deadline));
  }
  ASSIGN_OR_RETURN(const Snapshot snapshot, ReadSnapshot(kv, head->snapshot, deadline));
  ASSIGN_OR_RETURN(now, ReadEntries(kv, snapshot, deadline));
  std::vector<std::string> changed;
  const auto look = [&](const ObjectKey& key) {
    const auto then = before.find(key), today = now.find(key);
    const bool same = then == before.end() ? today == now.end()
                      : today == now.end() ? false
                                           : then->second.hash == today->second.hash;
    if (!same) changed.push_back(FullNameOf(key));
  };
  for (const Object& object : proposal.set) look(KeyOf(object));
  for (const ObjectKey& key : proposal.remove) look(key);
  return changed;
}

}  // namespace mcpfleet
