// Who may look: login tokens that are good once, and the sessions of browsers that they become. Nothing is written to
// disk and only hashes are kept, so both end with mcplet; `mcpctl dashboard` makes a new token at any time.
//
// Thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"

namespace mcpfleet::dashboard {

inline constexpr Duration kLoginTime = std::chrono::minutes(5);
inline constexpr Duration kSessionTime = std::chrono::hours(12);

class Sessions {
 public:
  explicit Sessions(const Clock& clock) : clock_(clock) {}
  // A token with which `who` can sign in once, for kLoginTime. The oldest of too many goes.
  std::string NewLogin(const std::string& who) LOCKS_EXCLUDED(mu_);
  struct Session {
    std::string cookie;  // its secret value
    std::string who;
  };
  // nullopt: not a token of ours, used before, or too old.
  std::optional<Session> SignIn(std::string_view token) LOCKS_EXCLUDED(mu_);
  // Whose session it is; nullopt: none, or it is over.
  std::optional<std::string> Find(std::string_view cookie) const LOCKS_EXCLUDED(mu_);
  void SignOut(std::string_view cookie) LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    std::string who;
    MonoTime ends{};
  };
  using Book = std::map<std::string, Entry>;  // by the hash: finding it tells nothing of the secret
  void Put(Book* book, size_t most, const std::string& secret, Entry entry) EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Clock& clock_;
  mutable Mutex mu_;
  Book logins_ GUARDED_BY(mu_), sessions_ GUARDED_BY(mu_);
};

}  // namespace mcpfleet::dashboard
