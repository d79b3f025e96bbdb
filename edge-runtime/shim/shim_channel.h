// The lines of one stdio child: its two pipes and its journal. Send writes at once from the caller's thread and leaves
// to the I/O thread what the pipe does not take; what Send accepted survives a kill -9 of mcplet. Nothing is read while
// nobody receives: the child then waits in its write, as with any full pipe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io_loop.h"
#include "base/mutex.h"
#include "controller/ports/session_host.h"
#include "edge-runtime/shim/journal.h"

namespace mcpfleet {

class ShimChannel final : public StdioChannel, public std::enable_shared_from_this<ShimChannel> {
 public:
  // More than this waiting for a child that does not read is refused (one line alone may be longer).
  static constexpr size_t kQueueBytes = size_t{8} << 20;

  // `in_w` may be invalid: its stdin was closed by an earlier mcplet.
  ShimChannel(std::shared_ptr<IoLoop> loop, const Clock& clock, UniqueFd in_w, UniqueFd out_r,
              std::unique_ptr<shim::Journal> journal);
  ~ShimChannel() override;

  Status Send(std::string_view line, Deadline deadline) override;
  // After SetReceiver(nullptr) the old receiver is not running any more, unless the caller is that receiver. So don't
  // hold a lock here that the receiver takes.
  void SetReceiver(std::function<void(std::string line)> receiver) override;
  Status SaveNote(std::string_view note) override;
  std::string LoadNote() const override;
  MonoTime last_activity() const override { return MonoTime(Duration(last_activity_.load())); }
  bool closed() const override { return closed_; }

  // Called once on the I/O thread when the child's output has ended and its last line was delivered. Before the first
  // receiver.
  void SetEnded(std::function<void()> ended);
  // Goes on with what an earlier mcplet had not written yet.
  void Resume();
  // End of input for the child, together with the shim's duplicate.
  void CloseInput();
  // No more input; lines of output are still delivered until the pipe ends.
  void MarkClosed();
  std::string DoubtfulLine() const override;
  void SettleDoubt() override;
  // Output lines thrown away because they were longer than limits::kChildLineBytes.
  uint64_t dropped_lines() const { return dropped_; }

 private:
  using Receiver = std::shared_ptr<std::function<void(std::string)>>;
  void OnReadable();
  void OnWritable();
  void Deliver();
  bool NextLine(Receiver* receiver, std::string* line);
  void Delivered();
  bool ReadSome();
  ssize_t ReadTo(char* at, size_t size);
  void BeginLongLine();
  bool ReadLongLine();
  void TellEnd();
  void WriteSome() EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CloseIn() EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WatchOut() EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void UnwatchOut() EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::shared_ptr<IoLoop> loop_;
  const Clock& clock_;
  const std::unique_ptr<shim::Journal> journal_;  // out side: I/O thread; in side and note: mu_
  std::atomic<int64_t> last_activity_;
  std::atomic<bool> closed_{false};
  std::atomic<uint64_t> dropped_{0};
  mutable Mutex mu_;
  CondVar idle_;
  UniqueFd in_w_ GUARDED_BY(mu_);
  const UniqueFd out_r_;
  uint64_t in_token_ GUARDED_BY(mu_) = 0, out_token_ GUARDED_BY(mu_) = 0;
  bool out_ended_ GUARDED_BY(mu_) = false;
  bool delivering_ GUARDED_BY(mu_) = false;
  bool taken_ GUARDED_BY(mu_) = false;  // what is being delivered is not in the journal

  // A line that is too long for the journal, and what is read of it at a time. I/O thread.
  struct LongLine {
    std::string text;
    bool complete = false;
    char chunk[shim::kOutPipeBytes];
  };
  std::unique_ptr<LongLine> long_line_;
  Receiver receiver_ GUARDED_BY(mu_);
  std::function<void()> ended_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet
