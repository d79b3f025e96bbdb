// What the tests of log shipping share: a directory, chunks unpacked, logs in memory, and a store that does as told.
#pragma once

#include <stdlib.h>
#include <zstd.h>

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "base/strings.h"
#include "controller/ports/log_tail.h"
#include "edge-runtime/logship/chunk_store.h"
#include "edge-runtime/logship/log_collector.h"

namespace mcpfleet::logship {

class Directory {
 public:
  Directory() {
    char pattern[] = "/tmp/mcpfleet-logship-XXXXXX";
    path_ = mkdtemp(pattern);
  }
  ~Directory() { EXPECT_TRUE(RemoveTree(path_).ok()); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The lines of a chunk; fails the test for what the Worker would not read.
inline std::vector<Json> Unpack(const std::string& chunk) {
  EXPECT_LE(chunk.size(), kChunkBytes);
  EXPECT_TRUE(chunk.starts_with("\x28\xb5\x2f\xfd"));
  std::string text;
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ZSTD_inBuffer in{chunk.data(), chunk.size(), 0};
  size_t left = 1;
  while (in.pos < in.size) {
    char buffer[65536];
    ZSTD_outBuffer out{buffer, sizeof buffer, 0};
    left = ZSTD_decompressStream(context, &out, &in);
    if (ZSTD_isError(left) != 0) break;
    text.append(buffer, out.pos);
  }
  for (bool rest = true; rest && ZSTD_isError(left) == 0 && left != 0;) {
    char buffer[65536];
    ZSTD_outBuffer out{buffer, sizeof buffer, 0};
    left = ZSTD_decompressStream(context, &out, &in);
    rest = out.pos > 0;
    if (ZSTD_isError(left) == 0) text.append(buffer, out.pos);
  }
  EXPECT_EQ(left, 0U) << "the frame is not whole";
  ZSTD_freeDCtx(context);
  EXPECT_LE(text.size(), kUnpackedBytes);
  std::vector<Json> lines;
  for (const std::string& row : Split(text, '\n')) {
    if (row.empty()) continue;
    StatusOr<Json> json = ParseJson(row);
    EXPECT_TRUE(json.ok()) << row;
    if (json.ok()) lines.push_back(*json);
  }
  return lines;
}

// Logs of instances in memory. Thread-safe.
class MemoryLogs final : public LogTails {
 public:
  void Write(const std::string& instance, const std::string& text, const std::string& time = "2026-11-28T07:00:00Z") {
    std::lock_guard<std::mutex> lock(mu_);
    logs_[instance].push_back(time + " " + text + "\n");
  }
  void Remove(const std::string& instance) {
    std::lock_guard<std::mutex> lock(mu_);
    logs_.erase(instance);
  }
  void Fail(Status status) {
    std::lock_guard<std::mutex> lock(mu_);
    failure_ = std::move(status);
  }
  StatusOr<std::unique_ptr<LogTail>> OpenTail(const std::string& instance, const TailFrom& from, Deadline) override {
    std::lock_guard<std::mutex> lock(mu_);
    if (!failure_.ok()) return failure_;
    if (!logs_.contains(instance)) return NotFound("instance " + instance);
    return std::make_unique<Tail>(*this, instance, from.place.empty() ? 0 : std::stoul(from.place));
  }

 private:
  class Tail final : public LogTail {
   public:
    Tail(MemoryLogs& logs, std::string instance, size_t at) : logs_(logs), instance_(std::move(instance)), at_(at) {}
    StatusOr<LogPiece> Read(std::string* out, size_t max, Deadline) override {
      std::lock_guard<std::mutex> lock(logs_.mu_);
      if (!logs_.failure_.ok()) return logs_.failure_;
      LogPiece piece;
      auto log = logs_.logs_.find(instance_);
      if (log == logs_.logs_.end()) return NotFound("instance " + instance_);
      while (at_ < log->second.size() && out->size() < max) {
        out->append(log->second[at_++]);
        ++piece.lines;
      }
      piece.more = at_ < log->second.size();
      piece.at_end = !piece.more;
      return piece;
    }
    std::string Place() const override { return std::to_string(at_); }

   private:
    MemoryLogs& logs_;
    const std::string instance_;
    size_t at_;
  };
  std::mutex mu_;
  std::map<std::string, std::vector<std::string>> logs_;
  Status failure_;
};

struct CountedLogMetrics final : LogMetrics {
  void LogChunkShipped(int64_t l, int64_t b) override {
    std::lock_guard<std::mutex> lock(mu);
    ++chunks;
    lines += l;
    bytes += b;
  }
  void LogLinesLost(std::string_view reason, int64_t l) override {
    std::lock_guard<std::mutex> lock(mu);
    lost[std::string(reason)] += l;
  }
  void LogUploadFailed() override {
    std::lock_guard<std::mutex> lock(mu);
    ++failures;
  }
  void LogSpool(int64_t, int64_t, Duration l) override {
    std::lock_guard<std::mutex> lock(mu);
    lag = l;
  }
  Duration Lag() {
    std::lock_guard<std::mutex> lock(mu);
    return lag;
  }
  int64_t Lost(const std::string& reason) {
    std::lock_guard<std::mutex> lock(mu);
    return lost[reason];
  }
  std::mutex mu;
  int64_t chunks = 0, lines = 0, bytes = 0, failures = 0;
  Duration lag{};
  std::map<std::string, int64_t> lost;
};

// As the Worker: a name has one content. Thread-safe.
class MemoryStore final : public ChunkStore {
 public:
  StatusOr<bool> Takes(Deadline) override {
    std::lock_guard<std::mutex> lock(mu_);
    if (!failures_.empty()) return failures_.front().status;
    return takes;
  }
  PutAnswer Put(const std::string& name, std::string bytes, WallTime first, WallTime last, Deadline) override {
    std::lock_guard<std::mutex> lock(mu_);
    ++puts_;
    times_ = {first, last};
    EXPECT_LE(first, last);
    if (!failures_.empty()) {
      PutAnswer answer = failures_.front();
      if (!always_) failures_.pop_front();
      if (taken_all_the_same_) chunks_.emplace(name, std::move(bytes));
      return answer;
    }
    auto [it, fresh] = chunks_.emplace(name, bytes);
    if (!fresh && it->second != bytes) return {AlreadyExists("the chunk is there with other bytes"), {}};
    if (fresh) order_.push_back(name);
    return {};
  }
  // The answers to come; `always`: the first of them, until Heal.
  void Answer(std::deque<PutAnswer> answers, bool always = false, bool taken_all_the_same = false) {
    std::lock_guard<std::mutex> lock(mu_);
    failures_ = std::move(answers);
    always_ = always;
    taken_all_the_same_ = taken_all_the_same;
  }
  void Heal() { Answer({}); }
  std::vector<std::string> order() {
    std::lock_guard<std::mutex> lock(mu_);
    return order_;
  }
  std::map<std::string, std::string> chunks() {
    std::lock_guard<std::mutex> lock(mu_);
    return chunks_;
  }
  int puts() {
    std::lock_guard<std::mutex> lock(mu_);
    return puts_;
  }
  std::pair<WallTime, WallTime> times() {
    std::lock_guard<std::mutex> lock(mu_);
    return times_;
  }
  std::atomic<bool> takes{true};

 private:
  std::mutex mu_;
  std::deque<PutAnswer> failures_;
  bool always_ = false, taken_all_the_same_ = false;
  std::map<std::string, std::string> chunks_;
  std::vector<std::string> order_;
  int puts_ = 0;
  std::pair<WallTime, WallTime> times_;
};

inline InstanceReport Instance(const std::string& id, const std::string& server,
                               InstanceState state = InstanceState::kRunning) {
  InstanceReport report;
  report.id = id;
  report.server = {"default", server};
  report.state = state;
  return report;
}

}  // namespace mcpfleet::logship
