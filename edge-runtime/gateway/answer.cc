#include "edge-runtime/gateway/answer.h"

#include "edge-runtime/mcp/envelope.h"

namespace mcpfleet::gateway {
namespace {
constexpr int kClientGone = 499;                  // as other gateways log it
constexpr size_t kLargeEvent = size_t{64} << 10;  // not copied behind its first lines
}  // namespace

Answer::~Answer() {
  if (stream_ != nullptr || accepted_) {
    End();
  } else if (!answered_) {
    Json(500, ErrorText("", mcp::kInternalError, "not answered"));
  }
}

// A connection may be found broken when its answer was given long ago.
void Answer::OnGone(std::function<void()> gone) {
  to_->OnGone([alive = std::weak_ptr<bool>(alive_), gone = std::move(gone)] {
    if (!alive.expired()) gone();
  });
}

bool Answer::over() const { return answered_ && (stream_ == nullptr || stream_->closed()); }

void Answer::Finish(int status) {
  for (const Done& done : std::exchange(done_, {})) done(status);
}

void Answer::Json(int status, std::string body) {
  if (std::exchange(answered_, true)) return;
  http::Response response{.status = status};
  for (const auto& [name, value] : headers_) response.headers.Add(name, value);
  response.headers.Add("Content-Type", "application/json");
  response.headers.Add("Cache-Control", "no-store");
  response.body = std::move(body);
  to_->Send(std::move(response));
  Finish(status);
}

void Answer::Empty(int status) {
  if (std::exchange(answered_, true)) return;
  http::Response response{.status = status};
  for (const auto& [name, value] : headers_) response.headers.Add(name, value);
  to_->Send(std::move(response));
  Finish(status);
}

void Answer::Accept() {
  if (std::exchange(answered_, true)) return;
  accepted_ = true;
  http::Response response = http::TextResponse(202, "Accepted");
  for (const auto& [name, value] : headers_) response.headers.Add(name, value);
  to_->Send(std::move(response));
}

bool Answer::BeginStream() {
  if (stream_ != nullptr) return !stream_->closed();
  if (std::exchange(answered_, true)) return false;
  http::Response head;
  for (const auto& [name, value] : headers_) head.headers.Add(name, value);
  head.headers.Add("Content-Type", "text/event-stream");
  head.headers.Add("Cache-Control", "no-cache, no-transform");
  head.headers.Add("X-Accel-Buffering", "no");
  stream_ = to_->StartStream(std::move(head));
  return !stream_->closed();
}

bool Answer::Event(std::string data, std::string_view id, std::string_view type) {
  if (!BeginStream()) return false;
  // A carriage return ends a line of the stream; in JSON it is white space.
  if (data.find('\r') != std::string::npos) data = mcp::OneLine(std::move(data));
  std::string event = "event: ";
  const bool apart = data.size() > kLargeEvent;
  if (!apart) event.reserve(data.size() + id.size() + type.size() + 32);
  event.append(type).append("\n");
  if (!id.empty()) event.append("id: ").append(id).append("\n");
  event += "data: ";
  if (!apart) return stream_->Give(std::move(event.append(data).append("\n\n")));
  return stream_->Give(std::move(event)) && stream_->Give(std::move(data)) && stream_->Write("\n\n");
}

bool Answer::Prime(std::string_view id, int retry_ms) {
  if (!BeginStream()) return false;
  std::string event = "id: ";
  event.append(id).append("\nretry: ").append(std::to_string(retry_ms)).append("\ndata: \n\n");
  return stream_->Write(event);
}

void Answer::KeepAlive() {
  if (stream_ != nullptr) stream_->Write(": keepalive\n\n");
}

void Answer::Abandon() {
  answered_ = true;
  Finish(kClientGone);
}

void Answer::End() {
  if (stream_ == nullptr) return accepted_ ? Finish(202) : void();
  stream_->End();
  Finish(200);
}

std::string ErrorText(std::string_view id, int64_t code, std::string_view message, std::string_view data) {
  std::string out = R"({"jsonrpc":"2.0","id":)";
  out.append(id.empty() ? "null" : id).append(R"(,"error":{"code":)").append(std::to_string(code));
  out.append(R"(,"message":)").append(mcp::Quote(message));
  if (!data.empty()) out.append(R"(,"data":)").append(data);
  return out.append("}}");
}

std::string ResultText(std::string_view id, std::string_view result) {
  std::string out = R"({"jsonrpc":"2.0","id":)";
  return out.append(id).append(R"(,"result":)").append(result).append("}");
}

}  // namespace mcpfleet::gateway
