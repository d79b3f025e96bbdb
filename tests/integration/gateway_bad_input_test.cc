// Bad input of every kind against the gateway, in both eras, while other clients call: what is bad is refused, and the
// others notice nothing. (tests/conformance/raw_http.py has the table of what each single thing is answered with.)
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <random>

#include "base/fd.h"
#include "base/strings.h"
#include "tests/integration/callers.h"

namespace mcpfleet {
namespace {

using std::chrono::seconds;

// Bytes out, bytes in.
class RawSocket {
 public:
  explicit RawSocket(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  // False when the other side has closed.
  bool Send(std::string_view bytes, Duration patience = seconds(30)) {
    const Deadline deadline = Deadline::After(patience);
    while (!bytes.empty() && Ready(POLLOUT, deadline)) {
      const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno != EAGAIN) return false;
      bytes.remove_prefix(n < 0 ? 0 : static_cast<size_t>(n));
    }
    return bytes.empty();
  }
  // What comes until the end, at most 1 MiB; closed() tells whether the end was seen.
  std::string Rest(Duration patience) {
    std::string all;
    const Deadline deadline = Deadline::After(patience);
    char bytes[65536];
    while (all.size() < (size_t{1} << 20) && Ready(POLLIN, deadline)) {
      const ssize_t n = recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) continue;
      closed_ = n <= 0;
      if (closed_) break;
      all.append(bytes, static_cast<size_t>(n));
    }
    return all;
  }
  bool closed() const { return closed_; }
  // Whether the other side has closed, without waiting.
  bool Ended() {
    Rest(Duration::zero());
    return closed_;
  }
  // Leaves with RST.
  void Reset() {
    const linger none{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    fd_.Reset();
  }

 private:
  bool Ready(short what, Deadline deadline) const {
    pollfd poller{.fd = fd_.get(), .events = what, .revents = 0};
    return poll(&poller, 1, deadline.PollMillis()) > 0;
  }
  UniqueFd fd_;
  bool closed_ = false;
};

int StatusOf(const std::string& answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::atoi(answer.c_str() + sizeof "HTTP/1.1 " - 1) : 0;
}

int DescriptorsOf(pid_t pid) {
  int count = 0;
  DIR* listing = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  while (listing != nullptr && readdir(listing) != nullptr) ++count;
  if (listing != nullptr) closedir(listing);
  return count;
}

class GatewayBadInputTest : public GatewayNodeTest {
 protected:
  void SetUp() override {
    GatewayNodeTest::SetUp();
    if (IsSkipped()) return;
    ASSERT_TRUE(behind_->Run({ProcessServer("weather"), ProcessServer("new", {"--modern"})}));
    session_ = behind_->Session("weather");
    ASSERT_NE(session_, nullptr);
    for (const char* server : {"weather", "new"}) callers_.push_back(std::make_unique<Callers>(*behind_, server, 4));
    for (const auto& callers : callers_) ASSERT_TRUE(callers->complete() && callers->MakeCalls(2));
    descriptors_ = DescriptorsOf(node_->pid());
  }
  void TearDown() override {
    for (const auto& callers : callers_) {
      EXPECT_TRUE(callers->MakeCalls(5)) << "the others' calls do not go on";
      callers->Stop();
      EXPECT_EQ(callers->Failures(), "");
    }
    if (session_ == nullptr) return;
    EXPECT_EQ(session_->Call("who"), "test-server");
    EXPECT_TRUE(WaitFor([&] { return DescriptorsOf(node_->pid()) <= descriptors_ + 4; }, seconds(30)))
        << DescriptorsOf(node_->pid()) << " descriptors, " << descriptors_ << " before";
  }

  std::string Head(bool modern, const std::string& method = "tools/call", const std::string& name = "echo") const {
    std::string head =
        "POST /default/weather/mcp HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(node_->gateway_port()) +
        "\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\n";
    if (!modern) return head + "Mcp-Session-Id: " + session_->session() + "\r\nMCP-Protocol-Version: 2025-11-25\r\n";
    head += "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: " + method + "\r\n";
    return name.empty() ? head : head + "Mcp-Name: " + name + "\r\n";
  }
  static std::string WithBody(const std::string& head, const std::string& body) {
    return head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  // params of a call in either era: ours, closed by whoever uses it.
  static std::string Echo(bool modern, const std::string& more = "") {
    const std::string meta =
        R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},)";
    return R"({"jsonrpc":"2.0","id":"bad","method":"tools/call","params":{)" + (modern ? meta : "") +
           R"("name":"echo","arguments":{"message":"good")" + more + "}}}";
  }
  std::string Exchange(const std::string& bytes) {
    RawSocket socket(node_->gateway_port());
    socket.Send(bytes);
    std::string answer;
    WaitFor(
        [&] {
          answer += socket.Rest(std::chrono::milliseconds(20));
          return socket.closed() || answer.find("\r\n\r\n") != std::string::npos;
        },
        seconds(20));
    return answer;
  }

  std::unique_ptr<McpClient> session_;
  std::vector<std::unique_ptr<Callers>> callers_;
  int descriptors_ = 0;
};

TEST_F(GatewayBadInputTest, BodiesThatAreNoRequestAreRefusedInBothEras) {
  const int64_t before = GetInt(behind_->Stats(*session_), "messages");
  for (const bool modern : {false, true}) {
    EXPECT_EQ(StatusOf(Exchange(WithBody(Head(modern), Echo(modern)))), 200) << "the measure of the others";
    const std::string good = Echo(modern);
    const std::vector<std::pair<std::string, std::string>> bodies = {
        {"nothing", ""},
        {"half of it", good.substr(0, good.size() / 2)},
        {"something after it", good + "]"},
        {"two of it", good + good},
        {"invalid UTF-8", Echo(modern, ",\"x\":\"\xc3\x28\"")},
        {"UTF-8 cut off", Echo(modern, ",\"x\":\"\xe2\x82\"")},
        {"UTF-8 of half a pair", Echo(modern, ",\"x\":\"\xed\xa0\x80\"")},
        {"overlong UTF-8", Echo(modern, ",\"x\":\"\xc0\xaf\"")},
        {"a NUL", Echo(modern, std::string(",\"x\":\"\0\"", 8))},
        {"a bomb of lists", Echo(modern, ",\"x\":" + std::string(200'000, '['))},
        {"closed lists, too deep", Echo(modern, ",\"x\":" + std::string(100, '[') + std::string(100, ']'))},
        {"only brackets", std::string(1'000'000, '[')},
        {"a number without end", Echo(modern, ",\"x\":1e")},
        {"NaN", Echo(modern, ",\"x\":NaN")},
        {"a comment", "/* */" + good},
        {"UTF-16", std::string("{\0\"\0", 4)},
        {"id twice", good.substr(0, good.size() - 1) + R"(,"id":"other"})"},
        {"method twice", good.substr(0, good.size() - 1) + R"(,"method":"tools/list"})"},
        {"params twice", good.substr(0, good.size() - 1) + R"(,"params":{"name":"exit"}})"},
        {"id twice, once escaped", good.substr(0, good.size() - 1) + R"(,"\u0069d":"other"})"},
        {"a batch", "[" + good + "]"},
        {"an empty batch", "[]"},
        {"an id that is null", R"({"jsonrpc":"2.0","id":null,"method":"tools/list"})"},
        {"an id that is an object", R"({"jsonrpc":"2.0","id":{"a":1},"method":"tools/list"})"}};
    for (const auto& [why, body] : bodies) {
      const std::string answer = Exchange(WithBody(Head(modern), body));
      EXPECT_EQ(StatusOf(answer), 400) << why << (modern ? ", modern: " : ", legacy: ") << answer.substr(0, 500);
      EXPECT_NE(answer.find("\r\nContent-Type: application/json"), std::string::npos) << why << answer;
    }
  }
  // Our own look, and what was good.
  EXPECT_LE(GetInt(behind_->Stats(*session_), "messages"), before + 2) << "something bad reached the server";
}

TEST_F(GatewayBadInputTest, AToolsNameThatIsThereTwiceIsNotTwoTools) {
  // A filter that reads the one and a server that reads the other would be deceived.
  const std::string nonce = session_->Call("nonce");
  for (const bool modern : {false, true}) {
    std::string body = Echo(modern);
    body.replace(body.find(R"("name":"echo")"), 13, R"("name":"echo","name":"exit")");
    const int status = StatusOf(Exchange(WithBody(Head(modern), body)));
    EXPECT_EQ(status, 400) << (modern ? "modern" : "legacy");
  }
  EXPECT_EQ(session_->Call("nonce"), nonce) << "the tool exit was called";
}

TEST_F(GatewayBadInputTest, ClientsThatLeaveAtAnyByteOfARequestHaveAskedNothing) {
  const int64_t before = GetInt(behind_->Stats(*session_), "messages");
  for (const bool modern : {false, true}) {
    const std::string whole = WithBody(Head(modern), Echo(modern));
    for (size_t size = 0; size < whole.size(); ++size) {
      RawSocket socket(node_->gateway_port());
      socket.Send(std::string_view(whole).substr(0, size));
      if (size % 2 == 0) socket.Reset();
    }
    const std::string chunked = Head(modern) + "Transfer-Encoding: chunked\r\n\r\n";
    std::string chunks;
    for (const char c : Echo(modern)) chunks += "1\r\n" + std::string(1, c) + "\r\n";
    for (size_t size = 0; size < chunks.size(); size += 7) {
      RawSocket socket(node_->gateway_port());
      socket.Send(chunked + chunks.substr(0, size));
      if (size % 2 == 0) socket.Reset();
    }
    EXPECT_EQ(StatusOf(Exchange(chunked + chunks + "0\r\n\r\n")), 200);
  }
  EXPECT_EQ(GetInt(behind_->Stats(*session_), "messages"), before + 2) << "only ours and the last, whole one";
}

TEST_F(GatewayBadInputTest, WhoSendsAByteNowAndThenIsDisconnectedInTime) {
  struct Slow {
    std::unique_ptr<RawSocket> socket;
    std::string bytes;
    size_t sent = 0;
  };
  std::vector<Slow> headers, bodies;
  for (int i = 0; i < 100; ++i) {
    const bool modern = i % 2 == 0;
    headers.push_back({std::make_unique<RawSocket>(node_->gateway_port()), Head(modern) + std::string(4096, 'x'), 0});
    const std::string body = Echo(modern, std::string(4096, ' '));
    bodies.push_back({std::make_unique<RawSocket>(node_->gateway_port()), WithBody(Head(modern), body), 0});
    Slow& slow = bodies.back();
    slow.sent = slow.bytes.size() - body.size();
    EXPECT_TRUE(slow.socket->Send(std::string_view(slow.bytes).substr(0, slow.sent)));
  }
  const auto trickle = [](std::vector<Slow>* all) {
    std::erase_if(*all, [](Slow& slow) {
      return slow.socket->Ended() || !slow.socket->Send(std::string_view(slow.bytes).substr(slow.sent++, 1), {});
    });
    LetPass(std::chrono::milliseconds(200));
    return all->empty();
  };
  EXPECT_TRUE(WaitFor([&] { return trickle(&headers); }, seconds(30))) << headers.size() << " headers are waited for";
  EXPECT_TRUE(WaitFor([&] { return trickle(&bodies); }, seconds(80))) << bodies.size() << " bodies are waited for";
}

int64_t PeakKb(pid_t pid) {
  const std::string text = ReadFile("/proc/" + std::to_string(pid) + "/status", size_t{1} << 20).value_or("");
  const size_t at = text.find("VmHWM:");
  return at == std::string::npos ? 0 : std::atoll(text.c_str() + at + 6);
}

TEST_F(GatewayBadInputTest, BodiesWithoutEndTakeNoMoreMemoryThanTheLimitOfEach) {
  const int64_t before = PeakKb(node_->pid());
  const std::string piece = "100000\r\n" + std::string(0x100000, ' ') + "\r\n";
  std::vector<std::thread> senders;
  for (int i = 0; i < 16; ++i) {
    senders.emplace_back([&, i] {
      RawSocket socket(node_->gateway_port());
      bool goes = socket.Send(Head(i % 2 == 0) + "Transfer-Encoding: chunked\r\n\r\n");
      for (int n = 0; goes && n < 100; ++n) goes = socket.Send(piece);
      const int status = StatusOf(socket.Rest(seconds(20)));
      // The rest of what was sent may have overtaken the answer.
      EXPECT_TRUE(status == 413 || (status == 0 && !goes)) << status;
      RawSocket honest(node_->gateway_port());
      honest.Send(Head(i % 2 == 0) + "Content-Length: 104857600\r\n\r\n");
      EXPECT_EQ(StatusOf(honest.Rest(seconds(20))), 413);
    });
  }
  for (std::thread& sender : senders) sender.join();
  // 4 MiB each, twice while a buffer grows.
  EXPECT_LE(PeakKb(node_->pid()), before + 16 * 2 * 4096 + 32 * 1024);
}

TEST_F(GatewayBadInputTest, WhoAsksAndNeverReadsIsBoundedToo) {
  const int64_t before = PeakKb(node_->pid());
  const std::string large = std::string(256 << 10, 'y');
  std::vector<std::thread> askers;
  for (int i = 0; i < 16; ++i) {
    askers.emplace_back([&, i] {
      RawSocket socket(node_->gateway_port());
      const bool modern = i % 2 == 0;
      std::string text = Echo(modern);
      text.replace(text.find("good"), 4, large);
      for (int n = 0; n < 200 && socket.Send(WithBody(Head(modern), text), seconds(2)); ++n) {
      }
      socket.Reset();
    });
  }
  for (std::thread& asker : askers) asker.join();
  // What is queued for a connection (8 MiB), and its next requests.
  EXPECT_LE(PeakKb(node_->pid()), before + 16 * (8 + 4 + 4) * 1024 + 32 * 1024);
}

TEST_F(GatewayBadInputTest, GarbageBehindAGoodRequestHarmsOnlyItsOwnConnection) {
  std::mt19937_64 random(20'261'128);
  for (int i = 0; i < 200; ++i) {
    const bool modern = i % 2 == 0;
    std::string garbage;
    for (uint64_t n = 1 + random() % 200; n > 0; --n) garbage += static_cast<char>(random());
    RawSocket socket(node_->gateway_port());
    socket.Send(WithBody(Head(modern), Echo(modern)) + garbage + "\r\n\r\n");
    std::string answers;
    WaitFor(
        [&] {
          answers += socket.Rest(std::chrono::milliseconds(20));
          return socket.closed();
        },
        seconds(20));
    EXPECT_EQ(StatusOf(answers), 200) << answers;
    EXPECT_NE(answers.find("good"), std::string::npos) << answers;
    const size_t second = answers.find("HTTP/1.1 ", 9);
    if (second != std::string::npos) {
      EXPECT_EQ(StatusOf(answers.substr(second)), 400) << answers.substr(second);
    }
    EXPECT_TRUE(socket.closed());
  }
}

}  // namespace
}  // namespace mcpfleet
