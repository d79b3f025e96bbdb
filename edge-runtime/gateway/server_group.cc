#include "edge-runtime/gateway/server_group.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "edge-runtime/gateway/bridge.h"
#include "edge-runtime/gateway/legacy_face.h"
#include "edge-runtime/gateway/modern_calls.h"

namespace mcpfleet::gateway {
namespace {

constexpr Duration kSpareRetry = std::chrono::seconds(10);
constexpr size_t kMaxExpected = 8;
constexpr char kNotIsolated[] =
    "another client's processes are in use, and the server's kernel can't keep processes of different clients apart "
    "(condition SandboxEnforced, reason SessionsNotIsolated): try again when they have ended";

}  // namespace

ServerGroup::ServerGroup(Wiring wiring, ClientTarget target) : w_(std::move(wiring)), target_(std::move(target)) {
  FillSpares();
}

void ServerGroup::SetTarget(ClientTarget target) {
  // Another revision may have other headers, also by the values of its secrets.
  const bool other = target.url != target_.url || target.server->revision != target_.server->revision;
  target_ = std::move(target);
  if (other) upstream_.reset();
  FillSpares();
  Pump();
}

bool ServerGroup::shared_mode() const { return target_.server->spec.sessions.mode == SessionMode::kShared; }

// From the loop, as everything that comes later.
void ServerGroup::Post(const Done& done, Status why) {
  w_.loop.Post([done, why = std::move(why)] { done(why); });
}

bool ServerGroup::HasRoom() const { return w_.children.Count(target_.instance) < target_.server->spec.sessions.max; }

bool ServerGroup::Apart() const {
  return target_.server->spec.auth.type == AuthType::kNone || w_.children.Separates(target_.instance).value_or(false);
}

Room ServerGroup::RoomFor(const std::string& subject) const {
  return w_.tenants.RoomFor(target_.instance, subject, Apart());
}

// Makes way for another subject when all that is here serves nobody now. False: it does not.
bool ServerGroup::LetIdleGo() {
  const int held = w_.children.Count(target_.instance) - w_.children.Ending(target_.instance);
  if (modern_ == nullptr || static_cast<int>(modern_->idle()) < held) return false;
  while (modern_->EvictOne()) {
  }
  return true;
}

void ServerGroup::NewConversation(const std::string& subject, Done done) {
  ++opening_;
  Begin(subject, [alive = self_.Bind([](ServerGroup& self) { --self.opening_; }),
                  done = std::move(done)](StatusOr<std::unique_ptr<Link>> link) mutable {
    alive();
    done(std::move(link));
  });
}

void ServerGroup::Begin(const std::string& subject, Done done) {
  if (!target_.url.empty()) {
    if (upstream_ == nullptr) {
      StatusOr<std::shared_ptr<HttpUpstream>> made = w_.http_upstream(target_);
      if (!made.ok()) return Post(done, made.status());
      upstream_ = *std::move(made);
    }
    w_.loop.Post([done, upstream = upstream_] { done(MakeHttpLink(upstream)); });
    return;
  }
  if (target_.attached)
    return Post(done,
                FailedPrecondition("its stdio is attached (condition StdioTransport): there is no child for clients"));
  if (target_.instance.empty()) return Post(done, Unavailable("it does not run now"));
  // mcplet has begun anew and looks for what the server runs from: it comes with the next target.
  const auto wait = [&] { waiting_.push_back({subject, std::move(done), w_.clock.Now() + kRoomTimeout}); };
  if (target_.argv.empty()) return wait();
  if (!w_.children.Separates(target_.instance)) return Post(done, Unavailable("its shim is not connected"));
  const Room room = RoomFor(subject);
  if (room == Room::kTaken && !LetIdleGo()) {
    w_.not_isolated();
    return Post(done, Aborted(kNotIsolated));
  }
  if (room != Room::kFree) return wait();
  std::erase_if(spares_, [](const std::unique_ptr<Link>& spare) { return spare->closed(); });
  if (!spares_.empty()) {
    w_.tenants.Enter(target_.instance, subject);
    auto link = std::make_shared<std::unique_ptr<Link>>(std::move(spares_.front()));
    spares_.pop_front();
    w_.loop.Post([done, link] { done(std::move(*link)); });
    return FillSpares();
  }
  if (HasRoom()) return Spawn(subject, std::move(done));
  // A child that ends makes room, one that was begun for whoever comes is for this one.
  if (static_cast<int>(waiting_.size()) < w_.children.Ending(target_.instance) + spares_coming_) return wait();
  const bool other_is_older = !w_.evict_session(this, modern_ == nullptr ? MonoTime::max() : modern_->OldestIdle());
  if (other_is_older && (modern_ == nullptr || !modern_->EvictOne())) {
    return Post(done, ResourceExhausted("all " + std::to_string(target_.server->spec.sessions.max) +
                                        " children of the server are in use (spec.sessions.max)"));
  }
  wait();
}

void ServerGroup::Spawn(const std::string& subject, Done done) {
  const StatusOr<OpenedEnv> env = OpenEnv(*target_.server);
  if (!env.ok()) return Post(done, env.status());
  w_.tenants.Enter(target_.instance, subject);
  w_.children.Spawn(target_.instance, target_.argv, env->vars, target_.server->spec.termination_grace, std::move(done));
}

int ServerGroup::WantedSpares() const {
  const bool one_for_all = shared_mode() || target_.modern;
  if (!target_.ready) return one_for_all ? std::min(expected_, 1) : expected_;
  return one_for_all ? 0 : target_.server->spec.sessions.warm_spares;
}

void ServerGroup::Expect(size_t conversations) {
  expected_ = static_cast<int>(std::min(conversations, kMaxExpected));
  FillSpares();
}

void ServerGroup::FillSpares() {
  if (retired_ || !target_.url.empty() || target_.attached || target_.argv.empty()) return;
  if (!Apart() && w_.children.Separates(target_.instance)) spares_.clear();
  if (!Apart()) return;
  if (w_.clock.Now() - spare_failed_ < kSpareRetry && spare_failed_ != MonoTime{}) return;
  const int wanted = WantedSpares();
  while (static_cast<int>(spares_.size()) + spares_coming_ < wanted && HasRoom()) {
    ++spares_coming_;
    Spawn("", self_.Bind([](ServerGroup& self, StatusOr<std::unique_ptr<Link>> link) {
      --self.spares_coming_;
      if (!link.ok()) {
        self.spare_failed_ = self.w_.clock.Now();
        LOG_WARNING("a warm spare did not start",
                    {{"server", ToString(self.target_.server->key)}, {"error", link.status()}});
        return self.Pump();
      }
      const bool needed = self.target_.ready || static_cast<int>(self.spares_.size()) < self.WantedSpares();
      if (self.retired_ || !needed || !self.Apart()) return;
      self.spares_.push_back(*std::move(link));
      self.Pump();
    }));
  }
}

void ServerGroup::Pump() {
  for (size_t i = 0; i < waiting_.size() && !target_.argv.empty() && (!spares_.empty() || HasRoom());) {
    if (RoomFor(waiting_[i].subject) == Room::kSoon) {
      ++i;
      continue;
    }
    Waiting next = std::move(waiting_[i]);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    Begin(next.subject, std::move(next.done));
  }
}

void ServerGroup::OnChildrenChanged() {
  Pump();
  FillSpares();
}

void ServerGroup::Retire() {
  retired_ = true;
  spares_.clear();
}

void ServerGroup::Rest() {
  target_.ready = false;  // no new spares
  expected_ = 0;
  spares_.clear();
  while (modern_ != nullptr && modern_->EvictOne()) {
  }
  if (hub_ != nullptr) hub_->CloseIdle();
  if (shared_ != nullptr) shared_->CloseIdle();
}

void ServerGroup::Tick(MonoTime now) {
  while (!waiting_.empty() && waiting_.front().until <= now) {
    Post(waiting_.front().done, ResourceExhausted("no child of the server became free in time"));
    waiting_.pop_front();
  }
  // Begun for clients that did not come after all.
  while (target_.ready && static_cast<int>(spares_.size()) > WantedSpares()) spares_.pop_back();
  if (modern_ != nullptr) modern_->Tick(now);
  const SessionsSpec& sessions = target_.server->spec.sessions;
  if (hub_ != nullptr && hub_->open() && now - hub_->last_used() >= sessions.idle_timeout) hub_->CloseIdle();
  if (shared_ != nullptr && shared_->used()) shared_used_ = now;
  if (shared_ != nullptr && now - shared_used_ >= sessions.idle_timeout) shared_->CloseIdle();
  FillSpares();
}

bool ServerGroup::HasWork() const {
  const bool spares = !retired_ && static_cast<int>(spares_.size()) != WantedSpares();
  return opening_ > 0 || modern_ != nullptr || hub_ != nullptr || shared_ != nullptr || spares;
}

ModernHub& ServerGroup::hub() {
  if (hub_ == nullptr) {
    hub_ = std::make_shared<ModernHub>(w_.loop, self_.Bind([](ServerGroup& self, Done done) {
      self.NewConversation(Tenants::kEverybody, std::move(done));
    }));
    hub_->Touch(w_.clock.Now());
  }
  return *hub_;
}

std::unique_ptr<Conversation> ServerGroup::SharedSide(const std::string& subject) {
  if (target_.modern) {
    hub();
    return std::make_unique<LegacyFace>(w_.loop, hub_, w_.inspect);
  }
  if (!shared_mode()) return nullptr;
  if (shared_ == nullptr) {
    shared_used_ = w_.clock.Now();
    shared_ = std::make_shared<SharedServer>(w_.loop, self_.Bind([](ServerGroup& self, Done done) {
      self.NewConversation(Tenants::kEverybody, std::move(done));
    }),
                                             target_.server->spec.probes.startup_timeout);
  }
  return std::make_unique<SharedConversation>(w_.loop, shared_, w_.inspect, subject);
}

ModernServer& ServerGroup::modern() {
  if (modern_ != nullptr) return *modern_;
  if (target_.modern) {
    hub();
    modern_ = std::make_unique<ModernPassage>(w_.clock, w_.modern, hub_, w_.inspect);
  } else {
    const SessionsSpec& sessions = target_.server->spec.sessions;
    modern_ = std::make_unique<Bridge>(
        w_.loop, w_.clock,
        BridgeSettings{.shared = shared_mode(),
                       .idle_timeout = sessions.idle_timeout,
                       .max_lifetime = sessions.max_lifetime,
                       .handshake_timeout = target_.server->spec.probes.startup_timeout,
                       .max_parked = std::max<size_t>(1, static_cast<size_t>(sessions.max) / 2),
                       .modern = w_.modern},
        self_.Bind([](ServerGroup& self, const std::string& subject, Done done) {
          self.NewConversation(subject.empty() ? Tenants::kEverybody : subject, std::move(done));
        }),
        w_.inspect);
  }
  return *modern_;
}

std::vector<Children::Found> ServerGroup::TakeFound() {
  if (target_.instance.empty()) return {};
  return w_.children.TakeFound(target_.instance, target_.server->spec.termination_grace);
}

}  // namespace mcpfleet::gateway
