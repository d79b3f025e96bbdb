#include "edge-runtime/gateway/http_upstream.h"

#include <utility>

#include "base/http/response_parser.h"
#include "base/strings.h"
#include "edge-runtime/gateway/http_link.h"
#include "edge-runtime/gateway/sse_link.h"

namespace mcpfleet::gateway {
namespace {

// Finds out which transport a legacy server has. All begins as Streamable HTTP; a refused `initialize` is tried again
// on HTTP+SSE, and if that fails too, the refusal stands.
class AutoLink final : public Link {
 public:
  explicit AutoLink(std::shared_ptr<HttpUpstream> upstream) : upstream_(std::move(upstream)) {}

  void Start(Events events) override {
    events_ = std::make_shared<Events>(std::move(events));
    link_ = std::make_unique<HttpLink>(upstream_, [this](HttpLink::Refusal refusal) { FallBack(std::move(refusal)); });
    link_->Start(*events_);
  }
  Status Send(std::string_view line) override { return link_->Send(line); }
  void Pause(bool paused) override {
    paused_ = paused;
    link_->Pause(paused);
  }

 private:
  // From the HttpLink, as the last thing it does.
  void FallBack(HttpLink::Refusal refusal) {
    refusal_ = std::move(refusal.error_line);
    link_ = std::make_unique<SseLink>(upstream_);
    link_->Start({.on_line = [this](std::string line) { OnLine(std::move(line)); },
                  .on_closed = [this](const Status& why) { OnClosed(why); }});
    link_->Pause(paused_);
    for (const std::string& line : refusal.lines) (void)link_->Send(line);  // a new link takes them all
  }
  void OnLine(std::string line) {
    refusal_.clear();
    const std::shared_ptr<Events> events = events_;  // shared: the caller may destroy us
    events->on_line(std::move(line));
  }
  void OnClosed(const Status& why) {
    const std::shared_ptr<Events> events = events_;
    std::string refusal = std::exchange(refusal_, {});
    const std::weak_ptr<bool> alive = alive_;
    if (!refusal.empty()) events->on_line(std::move(refusal));
    if (!alive.expired()) events->on_closed(why);
  }

  const std::shared_ptr<HttpUpstream> upstream_;
  std::shared_ptr<Events> events_;  // shared with the callback under way
  std::unique_ptr<Link> link_;
  bool paused_ = false;
  std::string refusal_;  // what the server said of `initialize`, until the other transport has worked
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: dies with us
};

}  // namespace

HttpUpstream::HttpUpstream(Options options, OpenedHeaders headers, http::Url url, Loop& loop,
                           boost::asio::io_context& context)
    : options_(std::move(options)),
      headers_(std::move(headers)),
      url_(std::move(url)),
      loop_(loop),
      client_(context, url_.endpoint,
              {.host_header = url_.host_header, .ca_file = options_.ca_file, .connect = options_.connect}) {}

StatusOr<std::shared_ptr<HttpUpstream>> HttpUpstream::Create(Options options, Loop& loop,
                                                             boost::asio::io_context& context) {
  ASSIGN_OR_RETURN(http::Url url, http::ParseUrl(options.url));
  ASSIGN_OR_RETURN(OpenedHeaders headers, OpenHeaders(options.headers, options.secrets.get()));
  for (const HeaderValue& header : headers.headers) {
    if (!http::IsToken(header.name) || !http::IsFieldValue(header.value))
      return InvalidArgument("header " + Printable(header.name, 64) + ": cannot be sent");
  }
  return std::shared_ptr<HttpUpstream>(
      new HttpUpstream(std::move(options), std::move(headers), std::move(url), loop, context));
}

http::Request HttpUpstream::NewRequest(std::string_view method) const {
  http::Request request{.method = std::string(method), .target = url_.target};
  for (const HeaderValue& header : headers_.headers) request.headers.Add(header.name, header.value);
  if (!request.headers.Has("User-Agent"))
    request.headers.Set("User-Agent", options_.identity.name + "/" + options_.identity.version);
  return request;
}

void HttpUpstream::After(Duration delay, const std::weak_ptr<bool>& alive, std::function<void()> task) {
  loop_.PostAt(Deadline::After(delay).at(), [alive, task = std::move(task)] {
    if (!alive.expired()) task();
  });
}

std::unique_ptr<Link> MakeHttpLink(std::shared_ptr<HttpUpstream> upstream) {
  switch (upstream->transport()) {
    case HttpTransport::kStreamable:
      return std::make_unique<HttpLink>(std::move(upstream), nullptr);
    case HttpTransport::kSse:
      return std::make_unique<SseLink>(std::move(upstream));
    case HttpTransport::kAuto:
      return std::make_unique<AutoLink>(std::move(upstream));
  }
  return nullptr;
}

}  // namespace mcpfleet::gateway
