// An MCP client for tests, over Streamable HTTP, in either era. Blocking; it follows nothing by itself, so that a test
// sees each stream as it is: what comes on it, in which order, and when it ends.
//
//   McpClient client(node.GatewayUrl("weather"));
//   ASSERT_TRUE(client.Initialize()) << client.problem();
//   EXPECT_EQ(client.Call("echo", {{"message", "hello"}}), "hello");
//
// Thread-safe once it is initialized: calls of several threads at once are several requests in flight.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/json.h"
#include "base/status.h"

namespace mcpfleet {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// The answer to a POST or GET: messages of an event stream, or the one of a JSON body.
class McpStream {
 public:
  explicit McpStream(StatusOr<std::unique_ptr<http::ResponseStream>> body);
  int status() const { return status_; }  // 0: there is no answer, see problem()
  std::string Header(const std::string& name) const;
  bool streams() const { return streams_; }
  // The next message; nullopt at the end, or when nothing came in time (see problem()).
  std::optional<Json> Next(Duration timeout = std::chrono::seconds(30));
  // All that comes until the end; the final answer is the last.
  std::vector<Json> Rest();
  // Until an event was read (a priming one carries no message), so that last_id() is known.
  bool AwaitId(Duration timeout = std::chrono::seconds(30));
  // Of the last event that was read.
  const std::string& last_id() const { return last_id_; }
  const std::vector<std::string>& ids() const { return ids_; }
  const std::string& problem() const { return problem_; }

 private:
  bool Read(Deadline deadline);
  void TakeLine(const std::string& line);

  std::unique_ptr<http::ResponseStream> body_;
  int status_ = 0;
  bool streams_ = false, ended_ = false;
  std::string buffer_, data_, id_, last_id_, problem_;
  std::vector<std::string> ids_;
  std::deque<Json> messages_;
};

class McpClient {
 public:
  enum class Era { kLegacy, kModern };
  struct Options {
    Era era = Era::kLegacy;
    std::string version = "2025-11-25";  // of the legacy era
    Json capabilities = Json::object();
    std::string name = "test-client";
    HeaderList headers;  // with each request
  };
  explicit McpClient(std::string url) : McpClient(std::move(url), Options()) {}
  McpClient(std::string url, Options options);

  // Legacy: the handshake. False when it was refused; then problem() has the answer.
  bool Initialize();
  // 200: the session is over.
  int Delete();
  const std::string& session() const { return session_; }
  // Goes on with a session that another client, or an earlier mcplet, began.
  void Take(const std::string& session) { session_ = session; }
  const Json& initialize_result() const { return initialize_result_; }

  // Sends one message as it is, with the headers of the era.
  std::unique_ptr<McpStream> Post(const Json& message, const HeaderList& headers = {},
                                  Duration timeout = std::chrono::seconds(60));
  // A request of the client's own id.
  std::unique_ptr<McpStream> Begin(const std::string& method, Json params = Json::object(),
                                   Duration timeout = std::chrono::seconds(60));
  std::unique_ptr<McpStream> BeginCall(const std::string& tool, const Json& arguments = Json::object(),
                                       const Json& meta = Json::object());
  std::unique_ptr<McpStream> Listen(const std::string& last_event_id = "");
  // The id that the next Begin takes.
  int64_t next_id() const { return next_id_; }

  // The whole answer ("result" or "error"), with "status" when the HTTP status is not 200.
  Json Request(const std::string& method, const Json& params = Json::object());
  // The text that a tool answers; on an error the answer, as JSON.
  std::string Call(const std::string& tool, const Json& arguments = Json::object());
  std::vector<std::string> ToolNames();
  // HTTP status.
  int Notify(const std::string& method, const Json& params = Json::object());
  int Reply(const Json& request, const Json& result);
  const std::string& problem() const { return problem_; }

 private:
  HeaderList HeadersFor(const Json& message) const;
  std::unique_ptr<McpStream> Send(const std::string& method, const std::string& body, const HeaderList& headers,
                                  Duration timeout);

  const Options options_;
  http::Client client_;
  std::string path_, session_, problem_;
  Json initialize_result_;
  std::atomic<int64_t> next_id_{1};
};

// "result.content[0].text" of an answer, or the whole as JSON.
std::string TextOf(const Json& answer);
// One request outside of any protocol.
http::Response Ask(const std::string& url, const http::Request& request);
// "http://127.0.0.1:8700" of a URL.
std::string BaseOf(const std::string& url);

}  // namespace mcpfleet
