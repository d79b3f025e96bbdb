// The HTTP+SSE transport of 2024-11-05 as a link: one GET stream carries all that the server says, its first event
// tells where to POST. A POST is only acknowledged; the answer comes on the stream.
//
// The link lives as long as the stream: when that ends on_closed comes. A request whose POST fails gets an error
// -32603. The address to POST to must have the origin of the stream's URL.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "edge-runtime/gateway/http_upstream.h"
#include "edge-runtime/gateway/outbound.h"
#include "edge-runtime/mcp/sse.h"

namespace mcpfleet::gateway {

class SseLink final : public Link {
 public:
  // upstream: shared with its other links.
  explicit SseLink(std::shared_ptr<HttpUpstream> upstream) : upstream_(std::move(upstream)) {}
  ~SseLink() override;

  void Start(Events events) override;
  Status Send(std::string_view line) override;
  void Pause(bool paused) override;

 private:
  struct Post {
    Outbound message;
    std::unique_ptr<http::AsyncCall> call;
    int status = 0;
    std::string body;  // says why, where it was refused
  };

  bool TakeCancel(std::string_view id);
  void OnStreamHead(const http::Response& head);
  void OnStreamBody(std::string_view bytes);
  void OnEndpoint(std::string_view reference);
  void Take(std::string text);
  void Pump();
  void Begin(Outbound message);
  void OnPosted(uint64_t number, const Status& status);
  void JudgeRefusal(const Post& post, const Status& status);
  void End(uint64_t number);
  void Emit(std::string line);
  void Close(const Status& why);

  const std::shared_ptr<HttpUpstream> upstream_;
  std::shared_ptr<Events> events_;                              // shared with what is posted
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: dies with us
  bool closed_ = false;
  std::unique_ptr<http::AsyncCall> stream_;
  mcp::SseParser parser_;
  std::string target_;  // of POSTs; "" until the server has told
  OutboundQueue queue_;
  uint64_t last_post_ = 0;
  std::map<uint64_t, Post> posts_;
  std::set<std::string, std::less<>> owed_;  // raw ids of requests that were sent and not answered
};

}  // namespace mcpfleet::gateway
