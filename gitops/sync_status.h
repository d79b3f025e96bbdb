// What a `mcplet sync` says of itself: the key syncs/<apply set> in SERVER_STATE, one writer, the sync. It is for
// people and monitoring; the sync itself decides by what it keeps on its own disk.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "crd/server_status.h"
#include "store/kv_client.h"

namespace mcpfleet {

inline constexpr char kSyncPrefix[] = "syncs/";
inline constexpr size_t kMostSyncs = 1000;
// A status that says nothing new is written this often, so that one that is gone can be told from one that is idle.
inline constexpr Duration kSyncReportInterval = std::chrono::minutes(15);

// A commit, with nothing in it that its author could make long.
struct SyncCommit {
  std::string id;       // 40 or 64 hex digits; "" for none
  std::string subject;  // first line of the message, at most 200 bytes
  std::string author;   // "Name <address>", as the commit says: not verified
  std::string signer;   // who signed it, as the verification says; "" when signatures are not asked for
  WallTime time{};      // of the committer

  bool operator==(const SyncCommit&) const = default;
};

// Conditions, in this order: Fetched, Verified, Applied, Ready. Ready is True when the tip of the branch is what the
// store holds.
struct SyncStatus {
  std::string name;               // the apply set
  std::string url, branch, path;  // url: without user and password
  Duration interval{};
  SyncCommit seen;     // the tip of the branch at the last look
  SyncCommit applied;  // the last that was applied: it stays in force
  WallTime applied_at{};
  std::string head;  // "trust.epoch.revision" after it
  int64_t objects = 0, pruned = 0;
  std::vector<Condition> conditions;
  std::string version;  // of mcplet
  WallTime reported_at{};
};

// {apiVersion, kind: GitSync, metadata{name}, spec{url, branch, path, interval}, status{…}}
Json SyncStatusToJson(const SyncStatus& status);
StatusOr<SyncStatus> SyncStatusFromJson(const Json& json);
// By name. One that can't be read is left out.
StatusOr<std::vector<SyncStatus>> ReadSyncStatuses(KvClient& state, Deadline deadline);
Status WriteSyncStatus(KvClient& state, const SyncStatus& status, Deadline deadline);

}  // namespace mcpfleet
