// What clients and servers may send the gateway. The first byte chooses. Besides not crashing: what was valid JSON
// stays valid JSON whatever is edited in it, on one line where it goes to a server; an answer has its caller's id;
// texts that are read are written as they were.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "edge-runtime/gateway/direct_conversation.h"
#include "edge-runtime/gateway/lane.h"
#include "edge-runtime/gateway/origin_policy.h"
#include "edge-runtime/gateway/post_rules.h"
#include "edge-runtime/gateway/resume_buffer.h"
#include "edge-runtime/gateway/translation.h"
#include "edge-runtime/mcp/modern_headers.h"

namespace mcpfleet::gateway {
namespace {

void Check(bool condition) {
  if (!condition) std::abort();
}
void CheckLine(std::string_view line) {
  Check(line.find_first_of("\r\n") == std::string_view::npos);
  Check(Json::accept(line));
}

class FuzzLoop final : public Loop {
 public:
  void Post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  void PostAt(MonoTime, std::function<void()>) override {}
  MonoTime Now() const override { return {}; }
  void Run() {
    while (!tasks_.empty()) {
      for (const auto& task : std::exchange(tasks_, {})) task();
    }
  }

 private:
  std::vector<std::function<void()>> tasks_;
};

// Everything that is sent must be a line of JSON.
class FuzzLink final : public Link {
 public:
  explicit FuzzLink(Events* events) : events_(events) {}
  ~FuzzLink() override { *events_ = {}; }
  void Start(Events events) override { *events_ = std::move(events); }
  Status Send(std::string_view line) override {
    CheckLine(line);
    return OkStatus();
  }

 private:
  Events* const events_;
};

// A client's body.
void FuzzBody(std::string_view text) {
  if (mcp::IsBatch(text)) {
    const auto parts = mcp::SplitBatch(text, 8);
    if (parts.ok()) {
      Check(!parts->empty() && parts->size() <= 8);
      for (std::string_view part : *parts) Check(Json::accept(part));
    }
    return;
  }
  StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(text, mcp::Validation::kWhole);
  if (!envelope.ok()) return;
  Check(Json::accept(text));
  const Incoming message{std::string(text), *std::move(envelope)};
  const Json tree = Json::parse(text);
  if (message.envelope.id) Check(Json::parse(message.Part(message.envelope.id)) == tree.at("id"));
  if (!message.envelope.method.empty()) Check(tree.at("method") == message.envelope.method);
  const std::string line = mcp::OneLine(message.text);
  CheckLine(line);
  Check(Json::parse(line) == tree);

  const ModernMeta meta = ReadModernMeta(message.text, message.envelope);
  http::Headers headers;
  headers.Add("MCP-Protocol-Version", meta.version);
  headers.Add("Mcp-Method", message.envelope.method);
  const mcp::Span name = mcp::FindMember(message.text, message.envelope.params, "name");
  headers.Add("Mcp-Name", mcp::HeaderText(mcp::Unquote(message.Part(name))));
  (void)IsModernRequest(headers, message);
  if (const auto rejection = CheckModernRequest(headers, message, meta)) Check(Json::accept(rejection->body));
  if (message.envelope.method.empty()) return;

  Check(Json::accept(mcp::ApplyEdits(text, StripModernMeta(text, message.envelope))));
  const std::string modern =
      mcp::ApplyEdits(text, AddModernMeta(text, message.envelope, "{}", R"({"name":"c"})", "\"info\""));
  Check(Json::accept(modern));
  if (message.envelope.kind != mcp::MessageKind::kRequest) return;
  FuzzLoop loop;
  Link::Events events;
  auto lane = std::make_shared<Lane>(loop, std::make_unique<FuzzLink>(&events));
  lane->Start({});
  Check(lane->Request(text, message.envelope, {}, {}).ok());
  Check(lane->Request(text, message.envelope, StripModernMeta(text, message.envelope), {}).ok());
  Check(lane->Request(text, message.envelope, AddModernMeta(text, message.envelope, "", "", ""), {}).ok());
  events.on_closed(Unavailable("over"));
  lane.reset();
  loop.Run();
}

// Lines of a child with two calls under way.
void FuzzLines(std::string_view text) {
  FuzzLoop loop;
  Link::Events events;
  auto lane = std::make_shared<Lane>(loop, std::make_unique<FuzzLink>(&events));
  int answers = 0;
  lane->Start({.notification = [](const Incoming& message) { Check(Json::accept(message.text)); },
               .request =
                   [&](const Incoming& message) {
                     Check(Json::accept(message.WithId("\"ours\"")));
                     Check(lane->Send(R"({"jsonrpc":"2.0","id":)" + std::string(message.Part(message.envelope.id)) +
                                      R"(,"result":{}})")
                               .ok());
                   },
               .closed = {}});
  const std::string call =
      R"({"jsonrpc":"2.0","id":"caller","method":"tools/list","params":{"_meta":{"progressToken":"tok"}}})";
  const StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(call, mcp::Validation::kWhole);
  for (int i = 0; i < 2; ++i) {
    Check(lane->Request(call, *envelope, {},
                        {.progress = [](const std::string& line) { Check(Json::accept(line)); },
                         .answer =
                             [&](const Incoming& answer) {
                               ++answers;
                               const Json out = Json::parse(ToModernAnswer(answer, "tools/list", "{}", "\"caller\""));
                               Check(out.at("id") == "caller");
                               Check(out.contains("result") || out.contains("error"));
                             }})
              .ok());
  }
  while (!text.empty()) {
    const size_t end = text.find('\n');
    events.on_line(std::string(text.substr(0, end)));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  events.on_closed(Unavailable("over"));
  Check(answers == 2);  // each exactly once
  lane.reset();
  loop.Run();
}

void FuzzTexts(std::string_view text) {
  if (const std::optional<SessionNote> note = SessionNote::FromText(text)) {
    const std::optional<SessionNote> again = SessionNote::FromText(note->ToText());
    Check(again.has_value() && again->ToText() == note->ToText());
  }
  if (const std::optional<EventId> id = EventId::Parse(text)) Check(EventId::Parse(id->ToString()) == id);
  if (const std::optional<std::string> value = DecodeHeaderValue(text)) {
    if (!text.starts_with("=?base64?")) Check(DecodeHeaderValue(mcp::HeaderText(*value)) == value);
  }
  static const OriginPolicy policy({"https://mcp.example.com"}, {}, {"https://app.example.com"}, true);
  const std::string origin = OriginOf(text);
  if (!origin.empty()) Check(OriginOf(origin) == origin);
  if (policy.AllowsOrigin(text)) {
    Check(!origin.empty() || !OriginOf(text.substr(text.find_first_not_of(" \t\r\n"))).empty());
  }
  if (policy.AllowsHost(text)) Check(text.find("localhost") != std::string_view::npos || text.size() >= 5);
}

void FuzzOne(const uint8_t* bytes, size_t size) {
  if (size == 0) return;
  const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  switch (bytes[0] % 3) {
    case 0:
      return FuzzBody(text);
    case 1:
      return FuzzLines(text);
    default:
      return FuzzTexts(text);
  }
}

}  // namespace
}  // namespace mcpfleet::gateway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  mcpfleet::gateway::FuzzOne(bytes, size);
  return 0;
}
