#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>

#include "tests/base/http_testing.h"
#include "tests/base/tls_identity.h"

namespace mcpfleet::http {
namespace {

using Identity = testing::TlsIdentity;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

struct Hello {
  std::string alpn;  // in the form of the wire
  int newest = TLS1_3_VERSION;
};
// A client that speaks whatever bytes the test wants, over TLS. Certificates are looked at by the test, if at all.
class RawTls {
 public:
  explicit RawTls(uint16_t port, const Hello& options = {})
      : socket_(port), context_(SSL_CTX_new(TLS_client_method())), ssl_(nullptr) {
    const timeval patience{10, 0};
    setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    SSL_CTX_set_max_proto_version(context_, options.newest);
    SSL_CTX_set_cipher_list(context_, "ALL:@SECLEVEL=0");
    ssl_ = SSL_new(context_);
    const auto* alpn = reinterpret_cast<const unsigned char*>(options.alpn.data());
    if (!options.alpn.empty()) SSL_set_alpn_protos(ssl_, alpn, static_cast<unsigned>(options.alpn.size()));
    SSL_set_fd(ssl_, socket_.fd());
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~RawTls() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  RawTls(const RawTls&) = delete;

  bool connected() const { return connected_; }
  std::string Alpn() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  bool Shows(const Identity& identity) const {
    X509* shown = SSL_get1_peer_certificate(ssl_);
    const bool same = shown != nullptr && X509_cmp(shown, identity.certificate) == 0;
    X509_free(shown);
    return same;
  }
  void Send(std::string_view bytes) { SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())); }
  // Up to and including `end`; "" reads until the connection ends.
  std::string ReadUntil(std::string_view end) {
    while (end.empty() || received_.find(end) == std::string::npos) {
      char buffer[20000];
      const int n = SSL_read(ssl_, buffer, sizeof buffer);
      if (n <= 0) return std::exchange(received_, {}) + (end.empty() ? "" : "<closed>");
      received_.append(buffer, static_cast<size_t>(n));
    }
    const size_t size = received_.find(end) + end.size();
    std::string out = received_.substr(0, size);
    received_.erase(0, size);
    return out;
  }
  // Whether the peer said that it sends no more, after ReadUntil("").
  bool SawFarewell() const { return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0; }
  void SayFarewell() { SSL_shutdown(ssl_); }
  void CutOff() { socket_.Close(); }

 private:
  RawSocket socket_;
  SSL_CTX* context_;
  SSL* ssl_;
  bool connected_ = false;
  std::string received_;
};

class HttpServerTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);  // of OpenSSL in the test's own clients; the server's threads have it blocked
    Write(first_, cert_, key_);
  }
  static void Write(const Identity& identity, const std::string& cert, const std::string& key) {
    identity.WriteTo(cert);
    identity.WriteKeyTo(key);
    chmod(key.c_str(), 0600);
  }
  Server::Options Options() {
    return {.tls = {.cert_file = cert_, .key_file = key_, .setting = "spec.gateway.tls."},
            .tls_look = 5ms,
            .on_certificate = [this](const StatusOr<WallTime>& expires) {
              const std::lock_guard<std::mutex> lock(mu_);
              told_.push_back(expires.ok() ? "" : Message(expires.status()));
            }};
  }
  Client TrustingClient(const Server& server) const {
    return Client({.host = "127.0.0.1", .port = server.port(), .tls = true}, {.ca_file = cert_});
  }
  std::vector<std::string> told() {
    const std::lock_guard<std::mutex> lock(mu_);
    return told_;
  }
  // A new connection is shown this.
  static bool NewConnectionsSee(const Server& server, const Identity& identity) {
    return Eventually([&] { return RawTls(server.port()).Shows(identity); });
  }

  const TempDir dir_;
  const std::string cert_ = dir_ / "tls.crt", key_ = dir_ / "tls.key";
  const Identity first_{"IP:127.0.0.1"}, second_{"IP:127.0.0.1"};
  std::mutex mu_;
  std::vector<std::string> told_;
};

std::string Long(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 1000) % 26);
  return text;
}

TEST_F(HttpServerTlsTest, LargeBodiesGoBothWaysOverOneConnection) {
  auto server = MustServe(Options(), Echo);
  Client client = TrustingClient(*server);
  for (const size_t size : {size_t{0}, size_t{1023}, size_t{1024}, size_t{16384}, size_t{65537}, size_t{3} << 20}) {
    const std::string body = Long(size);
    const StatusOr<Response> answer = client.Do({.method = "POST", .target = "/", .body = body}, Soon());
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_TRUE(answer->body == "POST / " + body) << size;
  }
}

TEST_F(HttpServerTlsTest, RequestsSentAheadInOneRecordAreAnsweredInOrder) {
  auto server = MustServe(Options(), Echo);
  RawTls client(server->port());
  std::string wire;
  for (int i = 0; i < 300; ++i) wire += "GET /" + std::to_string(i) + "; HTTP/1.1\r\nHost: x\r\n\r\n";
  client.Send(wire);
  for (int i = 0; i < 300; ++i) {
    const std::string answer = client.ReadUntil("GET /" + std::to_string(i) + "; ");
    ASSERT_EQ(answer.find('<'), std::string::npos) << i;
  }
}

TEST_F(HttpServerTlsTest, ItSpeaksHttp11AndNoTlsBefore12) {
  auto server = MustServe(Options(), Echo);
  EXPECT_EQ(RawTls(server->port(), {.alpn = "\x02h2\x08http/1.1"}).Alpn(), "http/1.1");
  RawTls silent(server->port());
  EXPECT_TRUE(silent.connected());
  EXPECT_EQ(silent.Alpn(), "");
  EXPECT_FALSE(RawTls(server->port(), {.alpn = "\x02h2"}).connected());
  RawTls old(server->port(), {.newest = TLS1_2_VERSION});
  old.Send(kGet);
  EXPECT_TRUE(old.ReadUntil("GET / ").starts_with("HTTP/1.1 200"));
  EXPECT_FALSE(RawTls(server->port(), {.newest = TLS1_1_VERSION}).connected());
}

TEST_F(HttpServerTlsTest, AHalfClosedClientStillGetsItsAnswerAndAFarewell) {
  auto server = MustServe(Options(), Echo);
  RawTls client(server->port());
  client.Send(kGet);
  client.SayFarewell();
  EXPECT_TRUE(client.ReadUntil("").ends_with("GET / "));
  EXPECT_FALSE(RawTls(server->port()).SawFarewell());
  RawTls closing(server->port());
  closing.Send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(closing.ReadUntil("").ends_with("GET / "));
  EXPECT_TRUE(closing.SawFarewell());
}

TEST_F(HttpServerTlsTest, AnIdleConnectionIsClosedWithAFarewell) {
  Server::Options options = Options();
  options.idle_timeout = 20ms;
  auto server = MustServe(options, Echo);
  RawTls client(server->port());
  client.Send(kGet);
  EXPECT_TRUE(client.ReadUntil("").ends_with("GET / "));
  EXPECT_TRUE(client.SawFarewell());
}

// Streams are kept by the test.
class Streams {
 public:
  void Begin(const std::shared_ptr<Responder>& to) {
    to->OnGone([this] { ++gone; });
    Response head;
    head.headers.Add("Content-Type", "text/event-stream");
    const std::lock_guard<std::mutex> lock(mu_);
    writer_ = to->StartStream(head);
    writer_->Write("data: 0\n\n");
  }
  std::shared_ptr<StreamWriter> writer() {
    const std::lock_guard<std::mutex> lock(mu_);
    return writer_;
  }
  std::atomic<int> gone{0};

 private:
  std::mutex mu_;
  std::shared_ptr<StreamWriter> writer_;
};

TEST_F(HttpServerTlsTest, EventsOfAStreamArriveOneByOneAndAReaderThatGoesIsNoticed) {
  Streams streams;
  auto server = MustServe(Options(), [&](const Request&, const std::shared_ptr<Responder>& to) { streams.Begin(to); });
  for (const bool polite : {true, false}) {
    RawTls client(server->port());
    client.Send(kGet);
    EXPECT_TRUE(client.ReadUntil("data: 0\n\n").starts_with("HTTP/1.1 200"));
    for (int i = 1; i < 5; ++i) {
      const std::string event = "data: " + std::to_string(i) + "\n\n";
      ASSERT_TRUE(streams.writer()->Write(event));
      EXPECT_EQ(client.ReadUntil(event).find("<closed>"), std::string::npos);
    }
    EXPECT_EQ(streams.gone, polite ? 0 : 1);
    if (polite) client.SayFarewell();
    client.CutOff();
    EXPECT_TRUE(Eventually([&] { return streams.gone == (polite ? 1 : 2) && streams.writer()->closed(); }));
  }
}

TEST_F(HttpServerTlsTest, AReaderThatFallsTooFarBehindIsDisconnected) {
  Streams streams;
  Server::Options options = Options();
  options.max_queued = size_t{4} << 20;
  auto server = MustServe(options, [&](const Request&, const std::shared_ptr<Responder>& to) { streams.Begin(to); });
  RawTls client(server->port());
  client.Send(kGet);
  client.ReadUntil("data: 0\n\n");
  const std::string piece = Long(size_t{1} << 20);
  EXPECT_TRUE(Eventually([&] { return !streams.writer()->Write(piece); }));
  EXPECT_TRUE(Eventually([&] { return streams.gone == 1; }));
}

// --- who never gets so far -------------------------------------------------------------------------------------------

TEST_F(HttpServerTlsTest, GarbageIsClosedAndPlainHttpIsToldWhatIsSpokenHere) {
  std::atomic<int> handled{0};
  auto server = MustServe(Options(), [&](const Request& request, const std::shared_ptr<Responder>& to) {
    ++handled;
    Echo(request, to);
  });
  for (const std::string& garbage :
       {std::string(600, '\0'), std::string("\x16\x03\x01\xff\xff garbage"), std::string(600, 'x')}) {
    RawSocket socket(server->port());
    socket.Send(garbage);
    EXPECT_EQ(socket.ReadUntil("").find("HTTP"), std::string::npos);
  }
  RawSocket plain(server->port());
  plain.Send(kGet);
  const std::string answer = plain.ReadUntil("");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_NE(answer.find("https://"), std::string::npos) << answer;
  EXPECT_EQ(handled, 0);
  EXPECT_TRUE(TrustingClient(*server).Do({}, Soon()).ok());
}

TEST_F(HttpServerTlsTest, AHandshakeThatDoesNotEndIsClosedAndCountsAsAConnection) {
  Server::Options options = Options();
  options.header_timeout = 1s;
  options.max_connections = 2;
  auto server = MustServe(options, Echo);
  RawSocket silent(server->port()), half(server->port());
  half.Send("\x16\x03\x01\x02");
  RawTls third(server->port());
  EXPECT_FALSE(third.connected()) << "two are there already";
  EXPECT_EQ(silent.ReadUntil(""), "");
  EXPECT_EQ(half.ReadUntil(""), "");
  EXPECT_TRUE(TrustingClient(*server).Do({}, Soon()).ok());
}

TEST_F(HttpServerTlsTest, AHandshakeWithoutARequestIsClosedInTime) {
  Server::Options options = Options();
  options.header_timeout = 50ms;
  auto server = MustServe(options, Echo);
  RawTls client(server->port());
  EXPECT_EQ(client.ReadUntil(""), "");
}

TEST_F(HttpServerTlsTest, TheServerEndsWhileHandshakesAndStreamsAreUnderWay) {
  Streams streams;
  auto server = MustServe(Options(), [&](const Request&, const std::shared_ptr<Responder>& to) { streams.Begin(to); });
  RawSocket half(server->port());
  half.Send("\x16\x03\x01\x02");
  RawTls client(server->port());
  client.Send(kGet);
  client.ReadUntil("data: 0\n\n");
  server.reset();
  EXPECT_EQ(half.ReadUntil(""), "");
  EXPECT_FALSE(streams.writer()->Write("more"));
}

// --- files -----------------------------------------------------------------------------------------------------------

TEST_F(HttpServerTlsTest, FilesThatCantBeUsedAreAnErrorThatNamesFieldAndFile) {
  const std::string other = dir_ / "other", empty = dir_ / "empty";
  Write(second_, dir_ / "unused", other);
  ASSERT_TRUE(WriteFileAtomically(empty, "-----BEGIN CERTIFICATE-----\nnonsense\n", 0600).ok());
  struct Case {
    std::string cert, key, field, file;
  };
  for (const Case& each : {Case{dir_ / "absent", key_, "certFile", dir_ / "absent"},
                           {cert_, dir_ / "absent", "keyFile", dir_ / "absent"},
                           {empty, key_, "certFile", empty},
                           {cert_, empty, "keyFile", empty},
                           {cert_, other, "keyFile", other},
                           {cert_, "", "keyFile", ""},
                           {key_, key_, "certFile", key_}}) {
    Server::Options options = Options();
    options.tls.cert_file = each.cert;
    options.tls.key_file = each.key;
    const Status status = Server::Create(options, Echo).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(Message(status).starts_with("spec.gateway.tls." + each.field + ": ")) << status;
    EXPECT_NE(Message(status).find(each.file), std::string::npos) << status;
  }
}

TEST_F(HttpServerTlsTest, TheWholeChainIsShown) {
  const Identity authority("");
  const Identity leaf("IP:127.0.0.1", &authority);
  Write(leaf, cert_, key_);
  authority.WriteTo(dir_ / "ca");
  const std::string chain = ReadFile(cert_, 1 << 20).value() + ReadFile(dir_ / "ca", 1 << 20).value();
  ASSERT_TRUE(WriteFileAtomically(cert_, chain, 0600).ok());
  auto server = MustServe(Options(), Echo);
  Client client({.host = "127.0.0.1", .port = server->port(), .tls = true}, {.ca_file = dir_ / "ca"});
  const StatusOr<Response> answer = client.Do({}, Soon());
  EXPECT_TRUE(answer.ok()) << answer.status();
}

TEST_F(HttpServerTlsTest, ANewPairIsForNewConnectionsAndDropsNone) {
  auto server = MustServe(Options(), Echo);
  RawTls before(server->port());
  EXPECT_TRUE(before.Shows(first_));
  Write(second_, cert_, key_);
  EXPECT_TRUE(NewConnectionsSee(*server, second_));
  before.Send(kGet);
  EXPECT_TRUE(before.ReadUntil("GET / ").starts_with("HTTP/1.1 200"));
  EXPECT_EQ(told().front(), "");
  EXPECT_EQ(told().back(), "");
}

TEST_F(HttpServerTlsTest, ALinkThatPointsElsewhereIsANewPair) {
  // As the kubelet keeps a secret: the files are links through ..data, which is replaced by a rename.
  for (const auto& [name, identity] : {std::pair{"1", &first_}, std::pair{"2", &second_}}) {
    mkdir((dir_ / name).c_str(), 0700);
    Write(*identity, (dir_ / name) + "/tls.crt", (dir_ / name) + "/tls.key");
  }
  unlink(cert_.c_str());
  unlink(key_.c_str());
  ASSERT_EQ(symlink("1", (dir_ / "..data").c_str()), 0);
  ASSERT_EQ(symlink("..data/tls.crt", cert_.c_str()), 0);
  ASSERT_EQ(symlink("..data/tls.key", key_.c_str()), 0);
  auto server = MustServe(Options(), Echo);
  EXPECT_TRUE(RawTls(server->port()).Shows(first_));
  ASSERT_EQ(symlink("2", (dir_ / "..new").c_str()), 0);
  ASSERT_EQ(rename((dir_ / "..new").c_str(), (dir_ / "..data").c_str()), 0);
  EXPECT_TRUE(NewConnectionsSee(*server, second_));
}

TEST_F(HttpServerTlsTest, ABrokenPairLeavesTheOneBeforeAndIsToldOnce) {
  auto server = MustServe(Options(), Echo);
  second_.WriteTo(dir_ / "new");
  ASSERT_EQ(rename((dir_ / "new").c_str(), cert_.c_str()), 0);  // the key is another's
  ASSERT_TRUE(Eventually([&] { return told().size() == 2; }));
  EXPECT_TRUE(told()[1].starts_with("spec.gateway.tls.keyFile: ")) << told()[1];
  EXPECT_TRUE(RawTls(server->port()).Shows(first_));
  unlink(key_.c_str());
  ASSERT_TRUE(Eventually([&] { return told().size() == 3; }));
  EXPECT_NE(told()[2].find(key_), std::string::npos) << told()[2];
  EXPECT_TRUE(RawTls(server->port()).Shows(first_));
  Write(second_, cert_, key_);
  EXPECT_TRUE(NewConnectionsSee(*server, second_));
  EXPECT_EQ(told().back(), "");
}

}  // namespace
}  // namespace mcpfleet::http
