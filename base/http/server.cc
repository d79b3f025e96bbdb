#include "base/http/server.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <deque>
#include <map>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/http/session.h"
#include "base/http/tcp_options.h"
#include "base/log.h"

namespace mcpfleet::http {
namespace {

constexpr Duration kUnacknowledged = std::chrono::seconds(30);

using boost::asio::generic::stream_protocol;

// Signals belong to the program's main thread.
template <typename Body>
std::thread StartThread(Body body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

StatusOr<UniqueFd> Listen(int family, const sockaddr* address, socklen_t size, const std::string& name, int unix_mode) {
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, name);
  int on = 1;
  if (family != AF_UNIX) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Before bind: no moment in which others could connect.
  if (family == AF_UNIX) fchmod(fd.get(), static_cast<mode_t>(unix_mode));
  if (bind(fd.get(), address, size) != 0) {
    if (errno == EADDRINUSE) return AlreadyExists(name + ": in use");
    return ErrnoStatus(errno, name);
  }
  if (listen(fd.get(), 512) != 0) return ErrnoStatus(errno, name);
  return fd;
}

// A socket nobody listens on was left by a process that died.
bool IsStaleSocket(const sockaddr_un& address) {
  struct stat info {};
  if (lstat(address.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
         errno == ECONNREFUSED;
}

StatusOr<UniqueFd> ListenUnix(const std::string& path, int mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return InvalidArgument(path + ": longer than a socket's path may be (107 bytes)");
  path.copy(address.sun_path, path.size());
  const auto listen_now = [&] {
    return Listen(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof address, path, mode);
  };
  StatusOr<UniqueFd> fd = listen_now();
  if (!fd.ok() && fd.status().code() == StatusCode::kAlreadyExists && IsStaleSocket(address)) {
    unlink(path.c_str());
    fd = listen_now();
  }
  if (fd.ok() && chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) return ErrnoStatus(errno, path);
  return fd;
}

StatusOr<UniqueFd> ListenTcp(const std::string& host, uint16_t port) {
  std::string name = host + ":" + std::to_string(port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) return InvalidArgument(name + ": " + gai_strerror(error));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, freeaddrinfo);
  return Listen(list->ai_family, list->ai_addr, list->ai_addrlen, name, 0);
}

uint16_t PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  return 0;
}

Peer PeerOf(int fd, const sockaddr_storage& address) {
  char host[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    return {.address = std::string(host) + ":" + std::to_string(ntohs(v4.sin_port))};
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    return {.address = "[" + std::string(host) + "]:" + std::to_string(ntohs(v6.sin6_port))};
  }
  Peer peer{.address = "unix"};
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
    peer.pid = credentials.pid;
    peer.uid = static_cast<int>(credentials.uid);
  }
  return peer;
}

// Threads for handlers that block. Its queue holds at most one request per connection.
class Workers {
 public:
  explicit Workers(int count) {
    for (int i = 0; i < count; ++i) threads_.push_back(StartThread([this] { Work(); }));
  }
  ~Workers() {
    {
      MutexLock lock(&mu_);
      stopping_ = true;
    }
    changed_.NotifyAll();
    for (std::thread& thread : threads_) thread.join();
  }
  void Run(std::function<void()> task) LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(&mu_);
      queue_.push_back(std::move(task));
    }
    changed_.NotifyOne();
  }

 private:
  void Work() LOCKS_EXCLUDED(mu_) {
    for (;;) {
      std::function<void()> task;
      {
        MutexLock lock(&mu_);
        while (queue_.empty() && !stopping_) changed_.Wait(&mu_);
        if (stopping_) return;
        task = std::move(queue_.front());
        queue_.pop_front();
      }
      task();
    }
  }
  std::vector<std::thread> threads_;
  CondVar changed_;
  Mutex mu_;
  std::deque<std::function<void()>> queue_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
};

// What is to run later, on one timer. Loop's thread only.
class TimedTasks {
 public:
  explicit TimedTasks(boost::asio::io_context* loop) : loop_(loop), timer_(*loop) {}
  void Add(MonoTime when, std::function<void()> task) {
    const auto added = tasks_.emplace(when, std::move(task));
    if (added == tasks_.begin()) Arm();
  }
  void Clear() {
    timer_.cancel();
    std::exchange(tasks_, {}).clear();
  }

 private:
  void Arm() {
    if (tasks_.empty()) return;
    timer_.expires_at(tasks_.begin()->first);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) PostDue();
    });
  }
  // Posted, not called: one that throws must not hold up the others.
  void PostDue() {
    const MonoTime now = std::chrono::steady_clock::now();
    while (!tasks_.empty() && tasks_.begin()->first <= now) {
      boost::asio::post(*loop_, std::move(tasks_.begin()->second));
      tasks_.erase(tasks_.begin());
    }
    Arm();
  }

  boost::asio::io_context* const loop_;
  boost::asio::steady_timer timer_;
  std::multimap<MonoTime, std::function<void()>> tasks_;
};

// A socket that connections come to. Loop's thread only.
struct Listener {
  Listener(boost::asio::io_context& loop, UniqueFd fd, std::string path)
      : socket(loop), retry(loop), unix_path(std::move(path)) {
    if (struct stat info{}; lstat(unix_path.c_str(), &info) == 0) inode = info.st_ino;
    socket.assign(fd.Release());
  }
  // Once nobody listens. A path that is another server's by now stays.
  void Unlink() const {
    struct stat info {};
    if (!unix_path.empty() && lstat(unix_path.c_str(), &info) == 0 && info.st_ino == inode) unlink(unix_path.c_str());
  }
  boost::asio::posix::stream_descriptor socket;
  boost::asio::steady_timer retry;
  const std::string unix_path;  // "": TCP
  ino_t inode = 0;
};

class ServerImpl final : public Server {
 public:
  // beside: of Options::unix_beside, invalid for none.
  ServerImpl(UniqueFd listener, UniqueFd beside, Options options, Handler handler,
             std::unique_ptr<ServerIdentity> identity)
      : core_(std::make_shared<ServerCore>()), timed_(&core_->loop), port_(PortOf(listener.get())) {
    core_->options = std::move(options);
    core_->handler = std::move(handler);
    core_->identity = std::move(identity);
    listeners_.push_back(std::make_unique<Listener>(core_->loop, std::move(listener), core_->options.unix_path));
    if (beside.valid())
      listeners_.push_back(std::make_unique<Listener>(core_->loop, std::move(beside), core_->options.unix_beside));
    if (core_->options.worker_threads > 0) {
      workers_ = std::make_unique<Workers>(core_->options.worker_threads);
      core_->run = [workers = workers_.get()](std::function<void()> task) { workers->Run(std::move(task)); };
    } else {
      core_->run = [](const std::function<void()>& task) { task(); };
    }
    for (const auto& each : listeners_) WaitForConnection(*each);
    if (core_->identity != nullptr) boost::asio::post(core_->loop, [this] { OnCertificate(OkStatus()); });
    thread_ = StartThread([this] { Loop(); });
  }

  // After `stopped` nothing new is posted; once every connection is closed the loop runs out of work and ends.
  ~ServerImpl() override {
    {
      MutexLock lock(&core_->mu);
      core_->stopped = true;
      boost::asio::post(core_->loop, [this] { CloseAll(); });
    }
    thread_.join();
    workers_.reset();
    core_->handler = nullptr;
    core_->run = nullptr;
    for (const auto& each : listeners_) each->Unlink();
  }
  uint16_t port() const override { return port_; }
  void Post(std::function<void()> task) override { core_->Post(std::move(task)); }
  void PostAt(MonoTime when, std::function<void()> task) override {
    core_->Post([this, when, task = std::move(task)]() mutable { timed_.Add(when, std::move(task)); });
  }
  boost::asio::io_context& context() override { return core_->loop; }

 private:
  void Loop() {
    core_->thread = std::this_thread::get_id();
    for (;;) {
      try {
        core_->loop.run();
        return;
      } catch (const std::exception& e) {
        LOG_ERROR("http callback failed", {{"error", e.what()}});
      }
    }
  }

  // Something was read, or (nullopt) nothing new was there.
  void OnCertificate(const std::optional<Status>& read) {
    const auto& tell = core_->options.on_certificate;
    if (read && tell) tell(read->ok() ? StatusOr<WallTime>(core_->identity->expires()) : *read);
    timed_.Add(std::chrono::steady_clock::now() + core_->options.tls_look, [this] {
      if (!closing_) LookAtCertificate();
    });
  }

  void LookAtCertificate() {
    const std::optional<Status> read = core_->identity->Look();
    if (read && read->ok()) LOG_INFO("a renewed certificate is used", {{"file", core_->options.tls.cert_file}});
    if (read && !read->ok()) LOG_ERROR("a new certificate can't be used: the one before stays", {{"error", *read}});
    OnCertificate(read);
  }

  void CloseAll() {
    closing_ = true;
    for (const auto& each : listeners_) {
      each->socket.close();
      each->retry.cancel();
    }
    timed_.Clear();
    while (!core_->sessions.empty()) (*core_->sessions.begin())->Close();
  }

  void WaitForConnection(Listener& at) {
    at.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [this, &at](const boost::system::error_code& error) {
                           if (error || closing_) return;
                           if (AcceptSome(at)) return WaitForConnection(at);
                           // No descriptor left: the connection stays pending, and the listener readable; look again a
                           // little later.
                           at.retry.expires_after(std::chrono::milliseconds(100));
                           at.retry.async_wait([this, &at](const boost::system::error_code& cancelled) {
                             if (!cancelled && !closing_) WaitForConnection(at);
                           });
                         });
  }

  bool AcceptSome(Listener& at) {
    for (int i = 0; i < 64; ++i) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      UniqueFd fd(accept4(at.socket.native_handle(), reinterpret_cast<sockaddr*>(&address), &size,
                          SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd.valid()) return errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS;
      if (core_->sessions.size() >= core_->options.max_connections) {
        constexpr std::string_view kFull =
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        if (core_->identity == nullptr || !at.unix_path.empty())
          send(fd.get(), kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        continue;
      }
      if (address.ss_family != AF_UNIX) SetTcpOptions(fd.get(), kUnacknowledged);
      Peer peer = PeerOf(fd.get(), address);
      int family = address.ss_family == 0 ? AF_UNIX : address.ss_family;
      Session::Socket socket(core_->loop);
      boost::system::error_code error;
      socket.assign(stream_protocol(family, 0), fd.get(), error);
      if (error) continue;
      fd.Release();
      socket.non_blocking(true, error);
      std::make_shared<Session>(core_, std::move(socket), std::move(peer))->Start();
    }
    return true;
  }

  const std::shared_ptr<ServerCore> core_;            // shared with sessions and responders
  std::vector<std::unique_ptr<Listener>> listeners_;  // constant after construction
  TimedTasks timed_;
  const uint16_t port_;
  bool closing_ = false;  // loop's thread only
  std::unique_ptr<Workers> workers_;
  std::thread thread_;
};

}  // namespace

StatusOr<std::unique_ptr<Server>> Server::Create(Options options, Handler handler) {
  std::unique_ptr<ServerIdentity> identity;
  if (!options.tls.empty()) {
    ASSIGN_OR_RETURN(identity, ServerIdentity::Load(options.tls));
  }
  StatusOr<UniqueFd> listener = options.unix_path.empty() ? ListenTcp(options.address, options.port)
                                                          : ListenUnix(options.unix_path, options.unix_mode);
  if (!listener.ok()) return listener.status();
  UniqueFd beside;
  if (!options.unix_beside.empty()) {
    ASSIGN_OR_RETURN(beside, ListenUnix(options.unix_beside, options.unix_beside_mode));
  }
  return std::make_unique<ServerImpl>(*std::move(listener), std::move(beside), std::move(options), std::move(handler),
                                      std::move(identity));
}

}  // namespace mcpfleet::http
