// HTTP requests of modern clients under way, and the passage of those to a modern server: ids and progress tokens
// change, nothing else.
//
// A PendingCall is one HTTP request: it answers with one JSON body, or becomes a stream with the first notification
// (or after some seconds of silence, so that proxies see life). A client that goes away has cancelled its call.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "edge-runtime/gateway/modern_hub.h"
#include "edge-runtime/gateway/modern_server.h"
#include "edge-runtime/gateway/settings.h"
#include "edge-runtime/gateway/subject_book.h"

namespace mcpfleet::gateway {

// One HTTP request of a modern client. Not movable: its Answer calls back.
class PendingCall {
 public:
  PendingCall(std::unique_ptr<Answer> answer, const ModernRequest& request, MonoTime now);
  // The client is gone.
  void OnGone(std::function<void()> gone) {
    answer_->OnGone([this, gone = std::move(gone)] {
      answer_->Abandon();
      gone();
    });
  }
  void Notify(std::string_view line, MonoTime now);
  // The final message; `status` counts only while no stream has begun.
  void Finish(int status, std::string text);
  // Its server is gone: a subscription that was confirmed is complete, all else failed.
  void EndWithServer(std::string_view why);
  // Keeps the connection alive. False: the call has taken too long.
  bool Tick(MonoTime now, const ModernSettings& settings);
  const std::string& id() const { return id_; }
  bool listens() const { return listens_; }
  // What the client's system has not taken yet; see Answer.
  size_t queued() const { return answer_->queued(); }
  void OnDrained(size_t left, std::function<void()> drained) { answer_->OnDrained(left, std::move(drained)); }
  // Whether the client has heard something already.
  bool begun() const { return answer_->streaming(); }
  const std::string& subject() const { return subject_; }

 private:
  const std::string id_;  // raw, as the client sent it
  const bool listens_;
  const std::string subject_;
  std::unique_ptr<Answer> answer_;
  MonoTime began_, progressed_, said_;
};

// One subscription more than its subject may have.
void RefuseListen(const Incoming& message, Answer& answer);

class ModernPassage final : public ModernServer {
 public:
  // Changes what a server lists: method and answer.
  using Inspect = std::function<void(std::string_view method, Incoming* answer)>;
  // hub: shared with translated sessions.
  ModernPassage(const Clock& clock, const ModernSettings& settings, std::shared_ptr<ModernHub> hub, Inspect inspect)
      : clock_(clock), settings_(settings), hub_(std::move(hub)), inspect_(std::move(inspect)) {}
  ~ModernPassage() override;

  void Call(ModernRequest request, std::unique_ptr<Answer> answer) override;
  size_t calls() const override { return calls_.size(); }
  void Tick(MonoTime now) override;
  bool EvictOne() override { return false; }  // its one child stays
  size_t idle() const override { return 0; }
  MonoTime OldestIdle() const override { return MonoTime::max(); }

 private:
  void OnAnswer(uint64_t number, const std::string& method, Incoming answer);
  size_t ListensOf(const std::string& subject) const;

  const Self<ModernPassage> self_{this};
  const Clock& clock_;
  const ModernSettings settings_;
  const std::shared_ptr<ModernHub> hub_;
  const Inspect inspect_;
  std::map<uint64_t, std::unique_ptr<PendingCall>> calls_;
  SubjectBook names_;
};

}  // namespace mcpfleet::gateway
