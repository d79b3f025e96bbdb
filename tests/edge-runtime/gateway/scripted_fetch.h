// A fetch of key sets that answers when the test says so.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "edge-runtime/gateway/jwks_cache.h"

namespace mcpfleet::gateway {

class ScriptedFetch {
 public:
  FetchJwks Function() {
    return [this](const std::string& uri, std::function<void(StatusOr<std::string>)> done) {
      uris_.push_back(uri);
      if (at_once_ != nullptr) return done(at_once_());
      waiting_.push_back(std::move(done));
    };
  }
  // From now on every fetch is answered before it returns.
  void AnswerAtOnce(std::function<StatusOr<std::string>()> answer) { at_once_ = std::move(answer); }
  // Answers the oldest fetch under way.
  void Answer(const StatusOr<std::string>& body) {
    ASSERT_FALSE(waiting_.empty()) << "nothing is fetched";
    auto done = std::move(waiting_.front());
    waiting_.pop_front();
    done(body);
  }
  size_t count() const { return uris_.size(); }  // of fetches so far
  size_t under_way() const { return waiting_.size(); }
  const std::deque<std::string>& uris() const { return uris_; }

 private:
  std::deque<std::string> uris_;
  std::deque<std::function<void(StatusOr<std::string>)>> waiting_;
  std::function<StatusOr<std::string>()> at_once_;
};

}  // namespace mcpfleet::gateway
