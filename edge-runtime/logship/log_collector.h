// Reads the logs of this node's instances and seals them into the spool. What runs it has a thread (log_shipper.h); all
// methods are for that one.
//
// Sealing is one step for all instances: a chunk holds what was read of each since the last one, and the cursor that
// makes it count holds where each was read to. When sealing fails, for want of disk, what was read is forgotten and
// read again: the local files are the buffer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "controller/ports/container_runtime.h"
#include "controller/ports/log_tail.h"
#include "edge-runtime/logship/chunk_builder.h"
#include "edge-runtime/logship/cursor.h"
#include "edge-runtime/logship/line_format.h"
#include "edge-runtime/logship/live_lines.h"
#include "edge-runtime/logship/loss.h"
#include "edge-runtime/logship/ship_rules.h"
#include "edge-runtime/logship/spool.h"

namespace mcpfleet::logship {

struct CollectorOptions {
  std::string cursor_path;
  std::string boot_id;  // [A-Za-z0-9], of this process alone
  int64_t spool_quota = int64_t{64} << 20;
  Duration interval = std::chrono::minutes(10);
  // Told before and after each step that a crash may come between. For tests, which crash there.
  std::function<void(std::string_view step)> on_step;
};

struct CollectorDeps {
  std::map<RuntimeKind, LogTails*> tails;
  Spool& spool;
  LiveLines& live;
  LossReport& loss;
  const Clock& clock;
};

class LogCollector {
 public:
  // `cursor`: as it was loaded. `fresh`: there was none, so what is there already when the logs are first looked at was
  // nobody's to read before.
  LogCollector(CollectorOptions options, CollectorDeps deps, Cursor cursor, bool fresh);

  // All instances of a runtime, as listed.
  void SetInstances(RuntimeKind runtime, const std::vector<InstanceReport>& instances);
  // One of them as it is now, nullopt when there is none; only after the list that names those of before our time.
  void SetInstance(RuntimeKind runtime, const std::string& id, const std::optional<InstanceReport>& instance);
  struct Looked {
    int64_t bytes = 0;  // of lines
    bool more = false;
  };
  // Reads some of each log, without waiting. Seals where a chunk is full.
  Looked Look();
  // A server has ended: what it wrote last is wanted soon.
  void Hurry();
  // When the chunk under way must be sealed; MonoTime::max() while there is none.
  MonoTime SealDue() const;
  Status Seal();
  // Reads all that an instance has written, and seals it: its log is about to go. Waits for an engine's stream until
  // the deadline.
  void Finish(const std::string& instance, Deadline deadline);

  // The time of the oldest line that is in no chunk yet; 0: none.
  int64_t oldest_line() const { return builder_.empty() ? 0 : builder_.stats().first; }

 private:
  struct Tail {
    RuntimeKind runtime;
    ServerKey server;
    InstanceState state = InstanceState::kCreated;
    bool listed = true;
    TailFrom from;  // of the next OpenTail
    std::unique_ptr<LogTail> reader;
    std::unique_ptr<LineFormatter> formatter;
    std::string place;  // behind what is in chunks, this one included
    int64_t lines_in_chunk = 0;
    MonoTime retry_at{};
    bool over = false;
  };
  void Note(RuntimeKind runtime, const InstanceReport& instance, bool from_birth);
  // One piece into the chunk. False when there is no more for now.
  bool ReadPiece(const std::string& id, Tail& tail, int64_t* bytes, bool* at_end);
  bool OpenReader(const std::string& id, Tail& tail);
  void Failed(const std::string& id, Tail& tail, const Status& status);
  Status Commit(const ChunkInfo& chunk, const std::string& bytes);
  // Forgets what is in no chunk that counts.
  void Rewind();
  void Step(std::string_view step) const {
    if (options_.on_step) options_.on_step(step);
  }

  const CollectorOptions options_;
  const CollectorDeps deps_;
  Cursor cursor_;  // as it is on disk
  bool fresh_;
  std::set<RuntimeKind> seen_;
  std::map<std::string, Tail> tails_;  // by instance
  ChunkBuilder builder_;
  MonoTime begun_{}, last_sealed_{};
  MonoTime urgent_{}, urgent_last_{};  // the first and the last end that no chunk was sealed for
  MonoTime blocked_until_{};           // sealing failed
  uint64_t seq_ = 0;
  std::string raw_;
  TextRoom room_;
};

}  // namespace mcpfleet::logship
