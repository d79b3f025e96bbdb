#include "edge-runtime/gateway/children.h"

#include <algorithm>
#include <set>

#include "base/mutex.h"

namespace mcpfleet::gateway {
namespace {

// Sending waits for nobody: what the pipe does not take is kept in the journal.
Deadline Now() { return Deadline::After(std::chrono::seconds(1)); }

}  // namespace

// Shut when we end: the loop may be gone before the host has said its last word. Thread-safe.
class Children::Door {
 public:
  explicit Door(Loop& loop) : loop_(&loop) {}
  // False: it is shut.
  bool Post(std::function<void()> task) {
    MutexLock lock(&mu_);
    if (loop_ != nullptr) loop_->Post(std::move(task));
    return loop_ != nullptr;
  }
  void Shut() {
    MutexLock lock(&mu_);
    loop_ = nullptr;
  }

 private:
  Mutex mu_;
  Loop* loop_ GUARDED_BY(mu_);
};

// Alive while the gateway is: host callbacks hold it weakly. Loop's thread only.
struct Children::Shared {
  Children* owner = nullptr;
  std::map<Key, StdioLink*> links;
  std::map<std::string, int> starting;  // by instance: ordered, and no link yet
  std::set<std::string> unsure;         // instances where a child was seen that may be one of these
};

class StdioLink final : public Link {
 public:
  StdioLink(ClientSessions& sessions, Loop& loop, std::weak_ptr<Children::Shared> shared, ClientChild child,
            Duration grace)
      : sessions_(sessions), loop_(loop), shared_(std::move(shared)), child_(std::move(child)), grace_(grace) {
    if (auto known = shared_.lock()) known->links[{child_.instance, child_.id}] = this;
  }
  ~StdioLink() override {
    Unlink();
    if (!released_) sessions_.EndClient(child_.instance, child_.id, grace_);
  }

  void Start(Events events) override {
    events_ = std::make_shared<Events>(std::move(events));
    Receive();
    // Gone before anybody read from it: nothing more comes to tell so.
    if (gone_) {
      loop_.Post([weak = std::weak_ptr<Events>(events_)] {
        if (const auto held = weak.lock()) TellClosed(*held);
      });
    }
  }
  Status Send(std::string_view line) override { return child_.channel->Send(line, Now()); }
  bool closed() const override { return gone_; }
  void Pause(bool paused) override {
    if (!paused) return Receive();
    child_.channel->SetReceiver(nullptr);
  }
  void SettleDoubt() override { child_.channel->SettleDoubt(); }
  void Keep(std::string_view note) override { (void)child_.channel->SaveNote(note); }
  void Release() override {
    released_ = true;
    Unlink();
  }

  void OnEnded() {
    gone_ = true;
    if (events_ == nullptr) return;
    events_->on_line = nullptr;
    TellClosed(*events_);
  }
  // The tree is gone. What it wrote may still be on its way; without a receiver nobody would tell.
  void OnGone() {
    if (events_ == nullptr) gone_ = true;
  }

 private:
  void Receive() {
    if (events_ == nullptr) return;
    child_.channel->SetReceiver([weak = std::weak_ptr<Events>(events_)](std::string line) {
      // Held: whoever hears the line may let go of the link.
      if (const auto held = weak.lock(); held != nullptr && held->on_line) held->on_line(std::move(line));
    });
  }
  static void TellClosed(Events& events) {
    if (const auto closed = std::exchange(events.on_closed, nullptr)) closed(Unavailable("its process has ended"));
  }
  void Unlink() {
    if (auto known = shared_.lock()) known->links.erase({child_.instance, child_.id});
    child_.channel->SetReceiver(nullptr);
    events_ = nullptr;
  }

  ClientSessions& sessions_;
  Loop& loop_;
  const std::weak_ptr<Children::Shared> shared_;
  const ClientChild child_;
  const Duration grace_;
  std::shared_ptr<Events> events_;  // null before Start; watched by what may come after us
  bool gone_ = false, released_ = false;
};

Children::Children(ClientSessions& sessions, Loop& loop, Listeners listeners)
    : sessions_(sessions),
      loop_(loop),
      listeners_(std::move(listeners)),
      shared_(std::make_shared<Shared>()),
      door_(std::make_shared<Door>(loop)) {
  shared_->owner = this;
  sessions_.SetClientListener([door = door_, weak = std::weak_ptr<Shared>(shared_)](const std::string& instance,
                                                                                    uint64_t id, ClientEvent event) {
    door->Post([weak, instance, id, event] {
      if (auto shared = weak.lock()) shared->owner->OnEvent(instance, id, event);
    });
  });
}

Children::~Children() {
  sessions_.SetClientListener(nullptr);
  door_->Shut();
}

void Children::OnEvent(const std::string& instance, uint64_t id, ClientEvent event) {
  auto it = shared_->links.find({instance, id});
  StdioLink* link = it == shared_->links.end() ? nullptr : it->second;
  if (event == ClientEvent::kEnded && link != nullptr) link->OnEnded();
  if (event == ClientEvent::kGone && link != nullptr) link->OnGone();
  if (event != ClientEvent::kEnded) listeners_.changed(instance);
}

std::unique_ptr<Link> Children::MakeLink(ClientChild child, Duration grace) {
  return std::make_unique<StdioLink>(sessions_, loop_, shared_, std::move(child), grace);
}

int Children::Ending(const std::string& instance) const {
  int held = 0;
  for (auto it = shared_->links.lower_bound({instance, 0}); it != shared_->links.end() && it->first.first == instance;
       ++it) {
    ++held;
  }
  const auto starting = shared_->starting.find(instance);
  if (starting != shared_->starting.end()) held += starting->second;
  return std::max(0, Count(instance) - held);
}

void Children::Spawn(const std::string& instance, const std::vector<std::string>& argv, const std::vector<EnvVar>& env,
                     Duration grace, std::function<void(StatusOr<std::unique_ptr<Link>>)> done) {
  ++shared_->starting[instance];
  sessions_.SpawnClient(instance, argv, env,
                        [&sessions = sessions_, door = door_, weak = std::weak_ptr<Shared>(shared_), grace, instance,
                         done = std::move(done)](const StatusOr<ClientChild>& child) {
                          const bool open = door->Post([&sessions, weak, grace, instance, done, child] {
                            auto shared = weak.lock();
                            if (shared == nullptr) {
                              if (child.ok()) sessions.EndClient(child->instance, child->id, grace);
                              return;
                            }
                            if (--shared->starting[instance] == 0) shared->starting.erase(instance);
                            std::unique_ptr<Link> link = child.ok() ? shared->owner->MakeLink(*child, grace) : nullptr;
                            if (!shared->starting.contains(instance) && shared->unsure.erase(instance) > 0)
                              shared->owner->listeners_.changed(instance);
                            if (!child.ok()) return done(child.status());
                            done(std::move(link));
                          });
                          if (!open && child.ok()) sessions.EndClient(child->instance, child->id, grace);
                        });
}

std::vector<Children::Found> Children::TakeFound(const std::string& instance, Duration grace) {
  std::vector<Found> found;
  for (ClientChild& child : sessions_.Clients(instance)) {
    if (shared_->links.contains({instance, child.id})) continue;
    if (shared_->starting.contains(instance) && child.channel->LoadNote().empty()) {
      // Ours perhaps, and its link on the way: we look again when all are there.
      shared_->unsure.insert(instance);
      continue;
    }
    Found one{nullptr, child.channel->LoadNote(), child.channel->DoubtfulLine()};
    one.link = MakeLink(std::move(child), grace);
    found.push_back(std::move(one));
  }
  return found;
}

}  // namespace mcpfleet::gateway
