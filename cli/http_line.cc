#include "cli/http_line.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace mcpfleet::cli {
namespace {

constexpr Duration kConnect = std::chrono::seconds(10);

// A peer that vanished without a word is noticed within about a minute, also where nothing is sent.
void KeepAlive(int fd) {
  const int on = 1, idle = 30, interval = 10, probes = 3;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

Status FinishConnect(int fd, Deadline deadline) {
  RETURN_IF_ERROR(PollFd(fd, POLLOUT, deadline));
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? OkStatus() : Unavailable(strerror(error));
}

}  // namespace

class HttpLine::Stream final : public http::ResponseStream {
 public:
  Stream(HttpLine* line, std::unique_ptr<http::ResponseStream> inner) : line_(line), inner_(std::move(inner)) {}
  ~Stream() override {
    if (!ended_) line_->Drop();
  }
  const http::Response& head() const override { return inner_->head(); }
  StatusOr<std::string> Read(Deadline deadline) override {
    auto piece = inner_->Read(deadline);
    if (line_->WasCut()) return Cancelled("cancelled");  // what a cut leaves may look like an end
    ended_ = piece.ok() && piece->empty();
    return piece;
  }
  void Cancel() override { inner_->Cancel(); }

 private:
  HttpLine* const line_;
  std::unique_ptr<http::ResponseStream> inner_;
  bool ended_ = false;
};

HttpLine::HttpLine(const http::Url& url, const std::string& ca_file)
    : url_(url),
      client_(url.endpoint,
              {.max_idle = 1, .host_header = url.host_header, .ca_file = ca_file, .connect = [this](Deadline deadline) {
                 return Connect(deadline.AtMost(kConnect));
               }}) {}

StatusOr<std::unique_ptr<http::ResponseStream>> HttpLine::Open(const http::Request& request, Deadline deadline) {
  if (WasCut()) return Cancelled("cancelled");
  auto stream = client_.Open(request, deadline);
  if (!stream.ok()) {
    Drop();
    return WasCut() ? Cancelled("cancelled") : stream.status();
  }
  return std::make_unique<Stream>(this, *std::move(stream));
}

StatusOr<UniqueFd> HttpLine::Connect(Deadline deadline) {
  const std::string name = url_.host_header;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(url_.endpoint.host.c_str(), std::to_string(url_.endpoint.port).c_str(), &hints, &list);
  if (error != 0) return Unavailable(name + ": " + gai_strerror(error));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, freeaddrinfo);
  Status last = Unavailable("no address");
  for (const addrinfo* a = list; a != nullptr; a = a->ai_next) {
    UniqueFd fd(socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return ErrnoStatus(errno, name);
    RETURN_IF_ERROR(Hold(fd.get()));
    if (connect(fd.get(), a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
      last = Unavailable(strerror(errno));
      continue;
    }
    last = FinishConnect(fd.get(), deadline);
    if (!last.ok()) continue;
    KeepAlive(fd.get());
    return fd;
  }
  return Annotate(last, name);
}

// The number of the connection's own descriptor may mean another file by the time of a cut; that of ours can't.
Status HttpLine::Hold(int fd) {
  UniqueFd own(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return ErrnoStatus(errno, "no descriptor left for a connection");
  MutexLock lock(&mu_);
  if (cut_) return Cancelled("cancelled");
  handle_ = std::move(own);
  return OkStatus();
}

void HttpLine::DropHeld() {
  if (handle_.valid()) shutdown(handle_.get(), SHUT_RDWR);
  handle_.Reset();
}

void HttpLine::Drop() {
  MutexLock lock(&mu_);
  DropHeld();
}

void HttpLine::Cut() {
  MutexLock lock(&mu_);
  cut_ = true;
  DropHeld();
  changed_.NotifyAll();
}

void HttpLine::Mend() {
  MutexLock lock(&mu_);
  cut_ = false;
}

bool HttpLine::WasCut() const {
  MutexLock lock(&mu_);
  return cut_;
}

bool HttpLine::Pause(Duration most) {
  const Deadline deadline = Deadline::After(most);
  MutexLock lock(&mu_);
  while (!cut_) {
    if (!changed_.WaitUntil(&mu_, deadline)) return !cut_;
  }
  return false;
}

}  // namespace mcpfleet::cli
