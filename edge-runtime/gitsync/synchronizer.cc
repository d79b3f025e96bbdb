#include "edge-runtime/gitsync/synchronizer.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/log.h"
#include "base/strings.h"
#include "crd/codec.h"
#include "gitops/change_checks.h"
#include "gitops/render.h"

namespace mcpfleet::gitsync {
namespace {

constexpr size_t kStatusBytes = size_t{64} << 10;
constexpr size_t kMostSaid = 5;  // violations in a condition's message
constexpr size_t kMessageBytes = 2000;
// A node that has been silent for longer, and has no object, is gone.
constexpr Duration kStaleHeartbeat = std::chrono::minutes(35);
constexpr size_t kMostNodes = 10'000;

// The first of them, one a line.
std::string Said(const std::vector<std::string>& lines) {
  std::vector<std::string> first(lines.begin(),
                                 lines.begin() + static_cast<std::ptrdiff_t>(std::min(lines.size(), kMostSaid)));
  if (lines.size() > kMostSaid) first.push_back("and " + std::to_string(lines.size() - kMostSaid) + " more");
  return Join(first, "\n").substr(0, kMessageBytes);
}

std::string Short(const SyncCommit& commit) { return commit.id.substr(0, 12); }

std::string WithoutTime(SyncStatus status) {
  status.reported_at = {};
  return DumpJson(SyncStatusToJson(status));
}

// The nodes that report to the store, of those that are not long silent.
StatusOr<std::vector<std::string>> ReportingNodes(KvClient& state, WallTime now, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<KvKey> keys, ListAll(state, "nodes/", kMostNodes, deadline));
  std::vector<std::string> names, nodes;
  for (const KvKey& key : keys) names.push_back(key.name);
  if (names.empty()) return nodes;
  ASSIGN_OR_RETURN(const auto values, BulkGetAll(state, names, deadline));
  for (const auto& [key, value] : values) {
    StatusOr<Json> json = ParseJson(value);
    StatusOr<NodeStatus> node = json.ok() ? NodeStatusFromJson(*json) : StatusOr<NodeStatus>(json.status());
    if (node.ok() && now - node->heartbeat <= kStaleHeartbeat) nodes.push_back(node->node);
  }
  return nodes;
}

}  // namespace

std::string ToString(SyncOutcome outcome) {
  switch (outcome) {
    case SyncOutcome::kApplied:
      return "applied";
    case SyncOutcome::kUnchanged:
      return "unchanged";
    case SyncOutcome::kFetchFailed:
      return "fetch_failed";
    case SyncOutcome::kNotVerified:
      return "not_verified";
    case SyncOutcome::kInvalid:
      return "invalid";
    case SyncOutcome::kRefused:
      return "refused";
    case SyncOutcome::kStoreFailed:
      return "store_failed";
  }
  return "";
}

Synchronizer::Synchronizer(SyncOptions options, Repository repository, SyncStore store, const Clock& clock)
    : options_(std::move(options)), repository_(std::move(repository)), store_(std::move(store)), clock_(clock) {
  status_.name = options_.name;
}

Status Synchronizer::Recall(Deadline deadline) {
  const std::string path = options_.directory + "/status.json";
  StatusOr<std::string> kept = ReadFile(path, kStatusBytes);
  if (!kept.ok() && kept.status().code() != StatusCode::kNotFound) return kept.status();
  StatusOr<SyncStatus> known = SyncStatus{};
  if (kept.ok()) {
    StatusOr<Json> json = ParseJson(*kept);
    known = json.ok() ? SyncStatusFromJson(*json) : StatusOr<SyncStatus>(json.status());
    if (!known.ok()) LOG_WARNING("what the sync kept can't be read; the store is asked", {{"error", known.status()}});
  }
  if (!kept.ok() || !known.ok()) {
    StatusOr<std::optional<KvValue>> stored = store_.state.Get(kSyncPrefix + options_.name, deadline);
    if (!stored.ok()) return Unavailable("what was applied last is not known: " + Message(stored.status()));
    known = SyncStatus{};
    if (stored->has_value()) {
      ASSIGN_OR_RETURN(const Json json, ParseJson((*stored)->value));
      known = SyncStatusFromJson(json);
      if (!known.ok()) return Annotate(known.status(), std::string(kSyncPrefix) + options_.name);
    }
  }
  status_ = *std::move(known);
  status_.name = options_.name;
  status_.url = options_.shown_url;
  status_.branch = options_.branch;
  status_.path = options_.path;
  status_.interval = options_.interval;
  status_.version = options_.version;
  return OkStatus();
}

std::string Synchronizer::message() const {
  const Condition* ready = FindCondition(status_.conditions, "Ready");
  return ready == nullptr ? "" : ready->message;
}

void Synchronizer::Set(const char* type, ConditionStatus status, const std::string& reason,
                       const std::string& message) {
  SetCondition(&status_.conditions, {.type = type, .status = status, .reason = reason, .message = message},
               clock_.Wall());
}

SyncOutcome Synchronizer::End(SyncOutcome outcome, const char* type, const char* reason, const std::string& message) {
  Set(type, ConditionStatus::kFalse, reason, message);
  std::string ready = message;
  if (!status_.applied.id.empty()) ready += "\ncommit " + Short(status_.applied) + " stays in force";
  Set("Ready", ConditionStatus::kFalse, reason, ready);
  return outcome;
}

SyncOutcome Synchronizer::Step(Deadline deadline) {
  const SyncOutcome outcome = Fetch(deadline);
  Report(deadline);
  return outcome;
}

SyncOutcome Synchronizer::Fetch(Deadline deadline) {
  StatusOr<SyncCommit> tip = repository_.Fetch(deadline);
  if (!tip.ok()) return End(SyncOutcome::kFetchFailed, "Fetched", "FetchFailed", Message(tip.status()));
  status_.seen = *std::move(tip);
  Set("Fetched", ConditionStatus::kTrue, "Fetched", "branch " + options_.branch + " is at " + Short(status_.seen));
  if (const Status verified = repository_.Verify(&status_.seen, deadline); !verified.ok())
    return End(SyncOutcome::kNotVerified, "Verified", "SignatureRefused", Message(verified));
  if (const Status follows = CheckHistory(deadline); !follows.ok())
    return End(SyncOutcome::kNotVerified, "Verified", "HistoryRewritten", Message(follows));
  Set("Verified", ConditionStatus::kTrue, "Verified",
      status_.seen.signer.empty() ? "signatures are not asked for" : "signed by " + status_.seen.signer);
  return Deliver(deadline);
}

Status Synchronizer::CheckHistory(Deadline deadline) {
  const std::string &before = status_.applied.id, &now = status_.seen.id;
  if (before.empty() || before == now || now == options_.accept) return OkStatus();
  ASSIGN_OR_RETURN(const bool follows, repository_.IsAncestor(before, now, deadline));
  if (follows) return OkStatus();
  return FailedPrecondition("branch " + options_.branch + " was rewritten: its commit " + Short(status_.seen) +
                            " does not follow " + Short(status_.applied) +
                            ", which was applied last; if that is what is wanted: --accept " + now);
}

StatusOr<std::vector<ManifestObject>> Synchronizer::Render(Deadline deadline) {
  const std::string tree = options_.directory + "/tree";
  std::vector<Violation> violations;
  const Status exported = repository_.Export(status_.seen.id, options_.path, tree, deadline);
  StatusOr<std::vector<ManifestObject>> objects = std::vector<ManifestObject>{};
  if (exported.ok()) {
    const std::string folder = options_.path == "." ? tree : tree + "/" + options_.path;
    objects = RenderFolder(folder, {.root = tree}, &violations);
  }
  if (const Status removed = RemoveTree(tree); !removed.ok())
    LOG_WARNING("the manifests of a commit were not removed", {{"error", removed}});
  RETURN_IF_ERROR(exported);
  if (objects.ok() || violations.empty()) return objects;
  std::vector<std::string> lines;
  lines.reserve(violations.size());
  for (const Violation& violation : violations) lines.push_back(mcpfleet::ToString(violation));
  return InvalidArgument(Said(lines));
}

StatusOr<StoredState> Synchronizer::ReadTrusted(Deadline deadline) {
  ASSIGN_OR_RETURN(const TrustedBase base, store_.sign.ReadBase(store_.config, BaseFor::kChange, deadline));
  if (!base.head()) return StoredState{};
  ASSIGN_OR_RETURN(StoredState state, ReadStateOf(store_.config, *base.head(), deadline));
  if (!state.missing.empty()) return Unavailable("the store does not show all objects yet: " + state.missing.front());
  return state;
}

SyncOutcome Synchronizer::EndOfStore(const Status& why) {
  return IsRetryable(why) ? End(SyncOutcome::kStoreFailed, "Applied", "StoreUnavailable", Message(why))
                          : End(SyncOutcome::kRefused, "Applied", "ChangeRefused", Message(why));
}

SyncOutcome Synchronizer::Deliver(Deadline deadline) {
  StatusOr<std::vector<ManifestObject>> objects = Render(deadline);
  if (!objects.ok()) {
    const std::string why = "commit " + Short(status_.seen) + ": " + Message(objects.status());
    return End(SyncOutcome::kInvalid, "Applied", "InvalidManifests", why);
  }
  StatusOr<StoredState> stored = ReadTrusted(deadline);
  if (!stored.ok()) {
    return stored.status().code() == StatusCode::kFailedPrecondition  // the head is not to be built on
               ? EndOfStore(stored.status())
               : End(SyncOutcome::kStoreFailed, "Applied", "StoreUnavailable", Message(stored.status()));
  }
  StatusOr<ChangeSet> changes = PlanApplySet(stored->objects, *objects,
                                             {.name = options_.name,
                                              .prune = true,
                                              .limit = options_.limit,
                                              .planned_on = stored->head ? stored->head->snapshot : ""});
  if (!changes.ok()) return End(SyncOutcome::kRefused, "Applied", "ChangeRefused", Message(changes.status()));
  const Status possible = CheckChange(stored->objects, *changes, deadline);
  if (!possible.ok()) return EndOfStore(possible);
  status_.objects = static_cast<int64_t>(changes->set.size());
  return Apply(*changes, deadline);
}

Status Synchronizer::CheckChange(const std::map<ObjectKey, Object>& stored, const ChangeSet& changes,
                                 Deadline deadline) {
  if (const Object* replicated = FindReplicated(changes); replicated != nullptr)
    RETURN_IF_ERROR(JudgeReplicas(*replicated, store_.ask_down(deadline)));
  if (!TouchesSecrets(changes)) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<std::string> nodes, ReportingNodes(store_.state, clock_.Wall(), deadline));
  const std::vector<std::string> problems = SecretProblems(stored, changes, nodes);
  if (problems.empty()) return OkStatus();
  return FailedPrecondition(Said(problems) + "\n" + Message(JudgeSecretProblems(problems)));
}

SyncOutcome Synchronizer::Apply(const ChangeSet& changes, Deadline deadline) {
  const std::string signer = status_.seen.signer.empty() ? status_.seen.author : status_.seen.signer;
  const WriteOptions write{.message = "sync " + Short(status_.seen) + ": " + status_.seen.subject,
                           .author = "mcplet sync " + options_.name + " for " + signer,
                           .sign = store_.sign};
  StatusOr<ApplyResult> result = mcpfleet::Apply(store_.config, changes, write, clock_, deadline);
  if (!result.ok()) return EndOfStore(result.status());
  const bool news = status_.applied.id != status_.seen.id;
  status_.applied = status_.seen;
  if (news || result->moved) status_.applied_at = clock_.Wall();
  if (result->head.has_value()) status_.head = mcpfleet::ToString(result->head->order);
  if (result->moved) {
    status_.pruned = std::count_if(result->changes.begin(), result->changes.end(),
                                   [](const ObjectChange& change) { return change.kind == ChangeKind::kDeleted; });
  }
  const std::string said = "commit " + Short(status_.applied) + ": " + std::to_string(status_.objects) +
                           (status_.objects == 1 ? " object" : " objects");
  Set("Applied", ConditionStatus::kTrue, "Applied", said);
  Set("Ready", ConditionStatus::kTrue, "Synced", said);
  Keep();
  if (news) {
    if (const Status tidy = repository_.Tidy(deadline); !tidy.ok())
      LOG_WARNING("the repository was not packed", {{"error", tidy}});
  }
  return result->moved ? SyncOutcome::kApplied : SyncOutcome::kUnchanged;
}

// First the disk: a report that is lost is made again, a floor that is lost lets history be rewritten.
void Synchronizer::Keep() {
  const std::string now = WithoutTime(status_);
  if (now == kept_) return;
  const Status kept = WriteFileAtomically(options_.directory + "/status.json", DumpJson(SyncStatusToJson(status_)));
  if (kept.ok()) {
    kept_ = now;
  } else {
    LOG_ERROR("what was applied could not be noted on the disk", {{"error", kept}});
  }
}

void Synchronizer::Report(Deadline deadline) {
  const std::string now = WithoutTime(status_);
  if (now == reported_ && clock_.Wall() - status_.reported_at < kSyncReportInterval) return;
  SyncStatus report = status_;
  report.reported_at = clock_.Wall();
  if (const Status written = WriteSyncStatus(store_.state, report, deadline); !written.ok()) {
    LOG_WARNING("the status of the sync was not written", {{"error", written}});
    return;
  }
  status_.reported_at = report.reported_at;
  reported_ = now;
}

}  // namespace mcpfleet::gitsync
