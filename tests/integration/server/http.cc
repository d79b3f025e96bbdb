#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/server/test_server.h"

namespace mcpfleet::test_server {
namespace {

constexpr size_t kMaxRequest = size_t{4} << 20;

size_t ContentLength(const std::string& head) {
  const char* found = strcasestr(head.c_str(), "\r\ncontent-length:");
  return found == nullptr ? 0 : strtoul(found + 17, nullptr, 10);
}

// One whole request; false at the end of the connection.
bool ReadRequest(int fd, std::string* buffer, std::string* head, std::string* body) {
  for (;;) {
    const size_t end = buffer->find("\r\n\r\n");
    if (end != std::string::npos) {
      *head = buffer->substr(0, end + 2);
      const size_t length = ContentLength(*head);
      if (buffer->size() >= end + 4 + length) {
        *body = buffer->substr(end + 4, length);
        buffer->erase(0, end + 4 + length);
        return true;
      }
    }
    char bytes[16384];
    const ssize_t n = read(fd, bytes, sizeof bytes);
    if (n <= 0 || buffer->size() > kMaxRequest) return false;
    buffer->append(bytes, static_cast<size_t>(n));
  }
}

std::string Respond(Conversation& conversation, const std::string& head, const std::string& body) {
  if (!head.starts_with("POST ")) return "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n";
  const Json message = Json::parse(body, nullptr, false);
  if (message.is_discarded()) return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
  const Json answer = conversation.Answer(message);
  if (answer.is_null()) return "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
  const std::string text = answer.dump();
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(text.size()) +
         "\r\n\r\n" + text;
}

void ServeConnection(int fd, Conversation& conversation) {
  const timeval patience{.tv_sec = 1, .tv_usec = 0};  // one connection at a time: an idle one must give way
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string buffer, head, body;
  while (ReadRequest(fd, &buffer, &head, &body)) {
    std::string response = Respond(conversation, head, body);
    response.insert(response.find("\r\n"), "\r\nConnection: close");
    (void)!write(fd, response.data(), response.size());
    return;
  }
}

}  // namespace

int ServeHttp(const Options& options) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(options.http_port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fprintf(stderr, "listen on port %d: %s\n", options.http_port, strerror(errno));
    return 1;
  }
  if (!options.port_file.empty()) {
    const std::string temporary = options.port_file + ".new";
    FILE* file = fopen(temporary.c_str(), "w");
    if (file == nullptr) return 1;
    fprintf(file, "%d", ntohs(address.sin_port));
    fclose(file);
    if (rename(temporary.c_str(), options.port_file.c_str()) != 0) return 1;
  }
  Conversation conversation(options);
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    ServeConnection(fd, conversation);
    close(fd);
  }
}

}  // namespace mcpfleet::test_server
