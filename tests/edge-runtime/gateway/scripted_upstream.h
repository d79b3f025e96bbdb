// A scripted HTTP upstream and a link to it. The test's thread is the gateway's loop; the server has its own thread.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/http/server.h"
#include "edge-runtime/gateway/http_upstream.h"
#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet::gateway {

using namespace std::chrono_literals;

class TestLoop final : public Loop {
 public:
  MonoTime Now() const override { return std::chrono::steady_clock::now(); }
  void Post(std::function<void()> task) override { boost::asio::post(context_, std::move(task)); }
  void PostAt(MonoTime when, std::function<void()> task) override {
    auto timer = std::make_shared<boost::asio::steady_timer>(context_, when);  // shared with its own wait
    timer->async_wait([timer, task = std::move(task)](const boost::system::error_code& error) {
      if (!error) task();
    });
  }
  bool RunUntil(const std::function<bool()>& condition) {
    const Deadline deadline = Deadline::After(10s);
    while (!condition()) {
      if (deadline.Expired()) return false;
      context_.restart();
      context_.run_one_for(10ms);
    }
    return true;
  }
  boost::asio::io_context& context() { return context_; }

 private:
  boost::asio::io_context context_;
};

class UpstreamTest : public ::testing::Test {
 protected:
  using To = std::shared_ptr<http::Responder>;
  // `message` is null when the request has no JSON in it.
  using Script = std::function<void(const http::Request& request, const Json& message, const To& to)>;

  void TearDown() override {
    link_.reset();
    server_.reset();  // no script runs after that
  }
  void Serve(Script script) {
    auto server = http::Server::Create({}, [this, script = std::move(script)](const http::Request& request, To to) {
      Json message = Json::parse(request.body, nullptr, false);
      if (message.is_discarded()) message = nullptr;
      {
        std::lock_guard<std::mutex> lock(mu_);
        seen_.push_back(request);
      }
      script(request, message, to);
    });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string Url(const std::string& path = "/mcp") const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + path;
  }
  void Connect(HttpUpstream::Options options) {
    if (options.url.empty()) options.url = Url();
    auto upstream = HttpUpstream::Create(std::move(options), loop_, loop_.context());
    ASSERT_TRUE(upstream.ok()) << upstream.status();
    link_ = MakeHttpLink(*std::move(upstream));
    link_->Start({.on_line =
                      [this](std::string line) {
                        EXPECT_FALSE(closed_) << "a line after the end: " << line;
                        EXPECT_EQ(line.find('\n'), std::string::npos);
                        lines_.push_back(std::move(line));
                      },
                  .on_closed =
                      [this](const Status& why) {
                        EXPECT_FALSE(closed_);
                        closed_ = why;
                      }});
  }
  Status Send(const std::string& line) { return link_->Send(line); }
  Status Request(int id, const std::string& method, const Json& params = Json::object()) {
    return Send(mcp::SerializeRequest(std::to_string(id), method, params));
  }
  // The next line that has not been looked at.
  Json Next() {
    if (!loop_.RunUntil([this] { return read_ < lines_.size() || closed_; }) || read_ == lines_.size()) return nullptr;
    return Json::parse(lines_[read_++], nullptr, false);
  }
  std::vector<http::Request> Seen() {
    std::lock_guard<std::mutex> lock(mu_);
    return seen_;
  }
  // Requests with this HTTP method, or POSTs with this method of MCP.
  std::vector<http::Request> Seen(const std::string& method) {
    std::vector<http::Request> found;
    for (const http::Request& request : Seen()) {
      const Json message = Json::parse(request.body, nullptr, false);
      if (request.method == method || (message.is_object() && GetString(message, "method") == method))
        found.push_back(request);
    }
    return found;
  }
  bool AwaitSeen(const std::string& method, size_t times = 1) {
    return loop_.RunUntil([&] { return Seen(method).size() >= times; });
  }
  // Everything under way between the loop and the server has come and gone.
  void Settle() {
    const Deadline deadline = Deadline::After(50ms);
    loop_.RunUntil([&] { return deadline.Expired(); });
  }

  TestLoop loop_;
  std::mutex mu_;
  std::vector<http::Request> seen_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<Link> link_;
  std::vector<std::string> lines_;
  size_t read_ = 0;
  std::optional<Status> closed_;
};

inline std::shared_ptr<http::StreamWriter> StartEvents(const std::shared_ptr<http::Responder>& to) {
  http::Response head;
  head.headers.Set("Content-Type", "text/event-stream");
  return to->StartStream(std::move(head));
}
inline std::string Event(const std::string& data, const std::string& id = "") {
  return (id.empty() ? "" : "id: " + id + "\n") + "data: " + data + "\n\n";
}
inline std::string ResultLine(const Json& request, const Json& result) {
  return mcp::SerializeResult(DumpJson(request.at("id")), result);
}

}  // namespace mcpfleet::gateway
