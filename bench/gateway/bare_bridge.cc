// The limit: the least that a program must do which stands between HTTP and the stdio of one child. Every connection's
// request goes down the pipe under the connection's number as id, every answer comes back up under the client's id, as
// application/json. No validation, no sessions, no resumption, no Host or Origin, no second child.
//
//   bench_bridge PORT COMMAND [ARGUMENT…]       serves every path on 127.0.0.1:PORT
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>
#include <string_view>

namespace {

constexpr size_t kRead = size_t{1} << 16;

struct Connection {
  std::string in, out;
  size_t sent = 0;       // of `out`
  bool waiting = false;  // for room in the socket
  std::string id;        // of the request under way, as the client wrote it
};

class Bridge {
 public:
  Bridge(int listener, int to_child, int from_child)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), listener_(listener), to_child_(to_child), from_child_(from_child) {
    Watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
    Watch(EPOLL_CTL_ADD, from_child_, EPOLLIN);
  }

  int Run() {
    epoll_event events[128];
    for (;;) {
      const int count = epoll_wait(epoll_, events, 128, -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == listener_) {
          Accept();
        } else if (fd == from_child_) {
          if (!ReadChild()) return 0;
        } else if ((events[i].events & EPOLLOUT) != 0) {
          Write(fd);
        } else {
          ReadClient(fd);
        }
      }
    }
  }

 private:
  void Watch(int operation, int fd, uint32_t what) const {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  void Accept() {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_[fd];
    Watch(EPOLL_CTL_ADD, fd, EPOLLIN);
  }

  void ReadClient(int fd) {
    const ssize_t n = recv(fd, bytes_, sizeof bytes_, 0);
    if (n <= 0) {
      connections_.erase(fd);
      close(fd);
      return;
    }
    Connection& connection = connections_[fd];
    connection.in.append(bytes_, static_cast<size_t>(n));
    const size_t head = connection.in.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const size_t length = connection.in.find("Content-Length: ");
    const size_t body = length < head ? strtoul(connection.in.c_str() + length + 16, nullptr, 10) : 0;
    if (connection.in.size() < head + 4 + body) return;
    Forward(fd, &connection, std::string_view(connection.in).substr(head + 4, body));
    connection.in.clear();
  }

  // Fewer and smaller requests are under way than a pipe holds, so this write does not block.
  void Forward(int fd, Connection* connection, std::string_view body) {
    const size_t at = body.find("\"id\":");
    std::string line(body);
    if (at != std::string_view::npos) {
      const size_t end = body.find_first_of(",}", at);
      connection->id = body.substr(at + 5, end - at - 5);
      line = std::string(body.substr(0, at + 5)) + std::to_string(fd) + std::string(body.substr(end));
    } else {
      connection->out += "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
      Write(fd);
    }
    if (line.empty()) return;  // DELETE
    line += '\n';
    if (write(to_child_, line.data(), line.size()) < 0) perror("bench_bridge: child");
  }

  bool ReadChild() {
    const ssize_t n = read(from_child_, bytes_, sizeof bytes_);
    if (n <= 0) return false;
    size_t looked = lines_.size(), begin = 0;
    lines_.append(bytes_, static_cast<size_t>(n));
    for (size_t end = lines_.find('\n', looked); end != std::string::npos; end = lines_.find('\n', begin)) {
      Answer(std::string_view(lines_).substr(begin, end - begin));
      begin = end + 1;
    }
    lines_.erase(0, begin);
    return true;
  }

  void Answer(std::string_view line) {
    const size_t at = line.find("\"id\":");
    if (at == std::string_view::npos) return;
    const size_t end = line.find_first_of(",}", at);
    const int fd = atoi(std::string(line.substr(at + 5, end - at - 5)).c_str());
    const auto found = connections_.find(fd);
    if (found == connections_.end()) return;
    Connection& connection = found->second;
    const size_t size = line.size() - (end - at - 5) + connection.id.size();
    connection.out += "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: bare\r\nContent-Length: ";
    ((connection.out += std::to_string(size)) += "\r\n\r\n") += line.substr(0, at + 5);
    (connection.out += connection.id) += line.substr(end);
    Write(fd);
  }

  void Write(int fd) {
    Connection& to = connections_[fd];
    const ssize_t n = send(fd, to.out.data() + to.sent, to.out.size() - to.sent, MSG_NOSIGNAL);
    if (n > 0) to.sent += static_cast<size_t>(n);
    const bool waiting = to.sent < to.out.size();
    if (waiting != to.waiting) Watch(EPOLL_CTL_MOD, fd, waiting ? EPOLLOUT : EPOLLIN);
    to.waiting = waiting;
    if (waiting) return;
    to.out.clear();
    to.sent = 0;
  }

  int epoll_, listener_, to_child_, from_child_;
  std::map<int, Connection> connections_;
  std::string lines_;
  char bytes_[kRead] = {};
};

int Listen(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 1024) != 0) return -1;
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const int listener = Listen(atoi(argv[1]));
  if (listener < 0) return 1;
  int down[2], up[2];
  if (pipe(down) != 0 || pipe(up) != 0) return 1;
  if (fork() == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(down[0], 0);
    dup2(up[1], 1);
    for (const int fd : {down[0], down[1], up[0], up[1]}) close(fd);
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  close(down[0]);
  close(up[1]);
  return Bridge(listener, down[1], up[0]).Run();
}
