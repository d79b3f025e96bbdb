// Keeps a copy of a collection of the API server: list, then watch from where the list ended, and what to do when
// either goes wrong. A pure state machine: informer.h does the requests, tests play them.
//
//   list ──pages (limit, continue)──► watch ──events──► …ends (timeoutSeconds)──► watch from the last version
//     ▲                                  │ 410 Gone, as the answer or in an ERROR event
//     └──────────────────────────────────┘ anything else: the same again, after a pause that doubles
//
// A resourceVersion is opaque: never compared for order, only handed back. The list asks for the latest
// (no resourceVersion), so a relist never shows an older state than was seen. Bookmarks move the version along where
// nothing happens, so that the next watch does not find it expired. A continue token that has expired (410) begins the
// list anew and without pages, which can't expire between two of them.
//
// It remembers keys and versions, not the objects: values of secrets are nobody's but who asked for them.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"

namespace mcpfleet::kube {

// namespace ("" for cluster-scoped) and name.
using ObjectName = std::pair<std::string, std::string>;
ObjectName NameOf(const Json& object);

struct Change {
  ObjectName name;
  Json object;  // null: it is gone
};

struct ReflectorOptions {
  int page = 500;
  std::string field_selector;  // "metadata.name=x"; "": everything
  Duration watch_least = std::chrono::minutes(4), watch_most = std::chrono::minutes(8);
  Duration first_pause = std::chrono::milliseconds(800), longest_pause = std::chrono::seconds(30);
};

class Reflector {
 public:
  enum class Step { kList, kWatch };
  struct Request {
    Step step = Step::kList;
    std::string query;
    Duration watch_for{};  // of a watch: the server ends it after this
  };

  Reflector(ReflectorOptions options, uint64_t seed);

  // What to do, not before due(). Asking twice draws another time for a watch, nothing else.
  Request Next();
  MonoTime due() const { return due_; }
  // Whether a list was ever complete: what is not in it is then known not to exist.
  bool synced() const { return synced_; }
  size_t size() const { return known_.size(); }
  const std::string& version() const { return version_; }
  int64_t relists() const { return relists_; }

  // The answer to a list. The changes are empty until its last page.
  std::vector<Change> OnPage(const Json& list, MonoTime now);
  // It failed. `code` 0: no answer came.
  void OnListFailed(int code, Duration retry_after, MonoTime now);

  void OnWatchOpened(MonoTime now) { opened_at_ = now; }
  // One event. `end`: this watch is of no use any more.
  std::vector<Change> OnEvent(const Json& event, MonoTime now, bool* end);
  // `code` 200: it ended as it should; 0: it broke; else it was refused.
  void OnWatchEnded(int code, Duration retry_after, MonoTime now);
  // A line that can't be read: nothing is known any more of what it said.
  void OnGarbage(MonoTime now) { Relist(now, true); }

 private:
  void Relist(MonoTime now, bool pause);
  void Pause(MonoTime now, Duration at_least);
  void Worked() { failures_ = 0; }
  Duration Between(Duration least, Duration most);

  const ReflectorOptions options_;
  std::mt19937_64 rng_;
  Step step_ = Step::kList;
  MonoTime due_{}, opened_at_{};
  int failures_ = 0;
  bool synced_ = false, paged_ = true, eventful_ = false;
  std::string version_, continue_;
  int64_t relists_ = 0;
  std::map<ObjectName, std::string> known_;  // -> resourceVersion
  std::map<ObjectName, Json> pages_;         // of the list under way
};

}  // namespace mcpfleet::kube
