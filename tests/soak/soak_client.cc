#include "tests/soak/soak_client.h"

#include <chrono>

#include "base/strings.h"
#include "tests/integration/node.h"

namespace mcpfleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kMark[] = "soak-client-";
constexpr Duration kSlow = seconds(30);

MonoTime Now() { return std::chrono::steady_clock::now(); }

// Nothing is waited for: the load has pauses.
void Pause(Duration time) {
  const Deadline deadline = Deadline::After(time);
  WaitFor([&] { return deadline.Expired(); }, time);
}

bool IsFinal(const Json& message, int64_t id) {
  return !message.contains("method") && GetInt(message, "id", -1) == id &&
         (message.contains("result") || message.contains("error"));
}

}  // namespace

void SoakTally::Wrong(const std::string& what) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (wrong_.size() < 16384) wrong_ += what + "\n";
}

std::string SoakTally::wrong() {
  const std::lock_guard<std::mutex> lock(mu_);
  return wrong_;
}

std::string SoakTally::Text() const {
  std::string out;
  for (const auto& [name, count] : {std::pair<const char*, const std::atomic<int64_t>*>{"own", &own},
                                    {"errors", &errors},
                                    {"refused", &refused},
                                    {"unsure", &unsure},
                                    {"cancelled", &cancelled},
                                    {"resumed", &resumed},
                                    {"lost sessions", &lost_sessions},
                                    {"slower than 30 s", &slow}}) {
    out += std::string(out.empty() ? "" : ", ") + name + " " + std::to_string(count->load());
  }
  return out;
}

SoakClient::SoakClient(SoakClientOptions options, SoakTally& tally)
    : options_(std::move(options)), tally_(tally), random_(options_.seed) {
  McpClient::Options own{.era = options_.era,
                         .capabilities = {{"elicitation", Json::object()}},
                         .name = kMark + std::to_string(options_.number) + "!",
                         .headers = {{"Authorization", "Bearer " + options_.token}}};
  client_ = std::make_unique<McpClient>(options_.url, std::move(own));
}

std::string SoakClient::Mark(const std::string& text) {
  return kMark + std::to_string(options_.number) + "!" + std::to_string(++texts_) + text;
}

bool SoakClient::Foreign(const std::string& text) const {
  const std::string own = kMark + std::to_string(options_.number) + "!";
  for (size_t at = text.find(kMark); at != std::string::npos; at = text.find(kMark, at + 1)) {
    if (text.compare(at, own.size(), own) != 0) return true;
  }
  return false;
}

bool SoakClient::EnsureSession() {
  if (modern() || !client_->session().empty()) return true;
  if (client_->Initialize()) return true;
  client_->Take("");
  Pause(milliseconds(100));
  return false;
}

void SoakClient::LoseSession() {
  if (client_->session().empty()) return;
  if (options_.keeps_session) ++tally_.lost_sessions;
  client_->Take("");
}

// --- calls ----------------------------------------------------------------------------------------------------------

void SoakClient::Step() {
  if (!EnsureSession()) return;
  const std::string text = Mark();
  switch (Below(12)) {
    case 0:
      if (!options_.is_asked) return;
      return modern() ? AskModern() : Ask();
    case 1:
      return Cancel();
    case 2:
    case 3:
      return LeaveHalfWay();
    case 4:
    case 5:
      return CallOnce("sleep", {{"ms", Below(800)}, {"message", text}}, text);
    case 6: {
      const int count = 1 + Below(200);
      return CallOnce("progress", {{"count", count}, {"token", Mark()}}, std::to_string(count));
    }
    case 7:
      if (Below(8) == 0) Leave();
      return;
    case 8: {
      const std::string large = Mark(std::string(static_cast<size_t>(Below(200'000)), 'x'));
      return CallOnce("echo", {{"message", large}}, large);
    }
    default:
      Pause(milliseconds(Below(50)));
      return CallOnce("echo", {{"message", text}}, text);
  }
}

void SoakClient::CallOnce(const std::string& tool, Json arguments, const std::string& wanted) {
  const MonoTime began = Now();
  const int64_t id = client_->next_id();
  Json params = {{"name", tool}, {"arguments", arguments}};
  if (arguments.contains("token")) params["_meta"] = {{"progressToken", arguments["token"]}};
  Count(Follow(client_->Begin("tools/call", params, kSilence), id, wanted), began);
}

void SoakClient::Ask() {
  const MonoTime began = Now();
  const int64_t id = client_->next_id();
  const std::string said = Mark();
  const Json params = {{"name", "ask"},
                       {"arguments", {{"method", "elicitation/create"}, {"params", {{"message", said}}}}}};
  Count(Follow(client_->Begin("tools/call", params, kSilence), id, DumpJson({{"said", said}})), began);
}

void SoakClient::AskModern() {
  const MonoTime began = Now();
  const std::string said = Mark();
  Json params = {{"name", "ask"}, {"arguments", {{"method", "elicitation/create"}, {"params", {{"message", said}}}}}};
  const auto asked = client_->Begin("tools/call", params, kSilence)->Rest();
  if (asked.empty()) return Count(Outcome::kUnsure, began);
  if (Foreign(DumpJson(asked.back()))) return tally_.Wrong("another's question: " + DumpJson(asked.back()));
  const Json& result = GetMember(asked.back(), "result");
  if (GetString(result, "resultType") != "input_required") return Count(Outcome::kError, began);
  for (const auto& [key, request] : GetMember(result, "inputRequests").items())
    params["inputResponses"][key] = {{"said", said}};
  params["requestState"] = GetString(result, "requestState");
  const int64_t id = client_->next_id();
  Count(Follow(client_->Begin("tools/call", params, kSilence), id, DumpJson({{"said", said}})), began);
}

void SoakClient::Cancel() {
  const MonoTime began = Now();
  const int64_t id = client_->next_id();
  const std::string text = Mark();
  const Json params = {{"name", "sleep"}, {"arguments", {{"ms", 4000}, {"message", text}}}};
  if (modern()) {  // who leaves has cancelled
    client_->Begin("tools/call", params, milliseconds(1 + Below(300)));
    ++tally_.cancelled;
    return;
  }
  auto stream = client_->Begin("tools/call", params, kSilence);
  const bool taken = stream->status() == 200 && stream->AwaitId(kSilence);
  const int told = taken ? client_->Notify("notifications/cancelled", {{"requestId", id}}) : 0;
  if (told != 202) return Count(Follow(std::move(stream), id, text), began);
  // Its stream ends; an answer may have been on its way. A connection that broke meanwhile is the same to the client.
  const std::optional<Json> last = stream->Next(kSilence);
  if (last && IsFinal(*last, id) && last->contains("result") && TextOf(*last) != text)
    tally_.Wrong("a cancelled call got " + DumpJson(*last));
  if (Now() - began >= kSilence) tally_.Wrong("the stream of a cancelled call does not end");
  ++tally_.cancelled;
}

void SoakClient::LeaveHalfWay() {
  const MonoTime began = Now();
  const int64_t id = client_->next_id();
  const std::string text = Mark();
  const Json params = {{"name", "sleep"}, {"arguments", {{"ms", 100 + Below(900)}, {"message", text}}}};
  if (modern()) {
    client_->Begin("tools/call", params, milliseconds(1 + Below(60)));
    ++tally_.cancelled;
    return;
  }
  auto stream = client_->Begin("tools/call", params, kSilence);
  if (stream->status() != 200 || !stream->AwaitId(kSilence)) return Count(Follow(std::move(stream), id, text), began);
  std::string last_id = stream->last_id();
  stream.reset();
  Pause(milliseconds(Below(1500)));
  const Deadline deadline = Deadline::After(kSilence);
  Count(Resume(&last_id, deadline, id, text).value_or(Outcome::kSilent), began);
}

void SoakClient::Leave() {
  if (modern() || client_->session().empty()) return;
  const int status = client_->Delete();
  if (status != 200 && status != 404 && status != 0 && status != 503)
    tally_.Wrong("DELETE of a session: " + std::to_string(status));
  client_->Take("");
}

// --- answers --------------------------------------------------------------------------------------------------------

SoakClient::Outcome SoakClient::Follow(std::unique_ptr<McpStream> stream, int64_t id, const std::string& wanted) {
  const Deadline deadline = Deadline::After(kSilence);
  const int status = stream->status();
  if (status == 404 && !modern()) LoseSession();
  if (status == 404 && modern())
    tally_.Wrong("404 without a session: " + options_.url + ": " + DumpJson(stream->Next().value_or(Json())));
  if (status != 0 && status != 200) return Outcome::kRefused;
  if (status == 0) return Outcome::kUnsure;
  if (const std::optional<Outcome> outcome = Read(*stream, deadline, id, wanted)) return *outcome;
  std::string last_id = stream->last_id();
  const bool late = deadline.Expired();
  stream.reset();
  if (late) return Outcome::kSilent;
  // Without an event there is nothing to go on with.
  if (modern() || last_id.empty()) return Outcome::kUnsure;
  return Resume(&last_id, deadline, id, wanted).value_or(Outcome::kSilent);
}

std::optional<SoakClient::Outcome> SoakClient::Read(McpStream& stream, Deadline deadline, int64_t id,
                                                    const std::string& wanted) {
  while (const std::optional<Json> message = stream.Next(deadline.at() - Now())) {
    const std::string text = DumpJson(*message);
    if (Foreign(text)) tally_.Wrong("client " + std::to_string(options_.number) + " got another's: " + text);
    if (message->contains("method") && message->contains("id")) Reply(*message);
    if (!IsFinal(*message, id)) continue;
    // What the server was told in place of an answer of ours is an error too.
    if (message->contains("error") || TextOf(*message).starts_with(R"({"error":)")) return Outcome::kError;
    if (TextOf(*message) == wanted) return Outcome::kOwn;
    tally_.Wrong("wanted " + Printable(wanted, 100) + ", got " + Printable(text, 300));
    return Outcome::kError;
  }
  return std::nullopt;
}

std::optional<SoakClient::Outcome> SoakClient::Resume(std::string* last_id, Deadline deadline, int64_t id,
                                                      const std::string& wanted) {
  for (; !deadline.Expired(); Pause(milliseconds(100))) {
    const auto stream = client_->Listen(*last_id);
    if (stream->status() == 404) {
      LoseSession();
      return Outcome::kRefused;
    }
    if (stream->status() == 400) {
      tally_.Wrong("client " + std::to_string(options_.number) + ": an answer was handed over to nobody, and is gone");
      return Outcome::kError;
    }
    if (stream->status() != 200) continue;
    const std::optional<Outcome> outcome = Read(*stream, deadline, id, wanted);
    if (outcome) {
      ++tally_.resumed;
      return outcome;
    }
    if (!stream->last_id().empty()) *last_id = stream->last_id();
  }
  return std::nullopt;
}

// Again until it was taken: without it the call could not end.
void SoakClient::Reply(const Json& request) {
  const Json said = {{"said", GetString(GetMember(request, "params"), "message")}};
  const Deadline deadline = Deadline::After(kSilence);
  for (int status = 0; (status == 0 || status == 503) && !deadline.Expired();) {
    status = client_->Reply(request, said);
    if (status == 0) Pause(milliseconds(50));
  }
}

void SoakClient::Count(Outcome outcome, MonoTime began) {
  if (Now() - began > kSlow) ++tally_.slow;
  switch (outcome) {
    case Outcome::kOwn:
      ++tally_.own;
      return;
    case Outcome::kError:
      ++tally_.errors;
      return;
    case Outcome::kRefused:
      ++tally_.refused;
      return Pause(milliseconds(50));
    case Outcome::kUnsure:
      ++tally_.unsure;
      return Pause(milliseconds(50));
    case Outcome::kSilent:
      tally_.Wrong("client " + std::to_string(options_.number) + ": a call has neither an answer nor an error");
      return;
  }
}

bool SoakClient::Recovers(Duration timeout) {
  return WaitFor(
      [&] {
        if (!EnsureSession()) return false;
        const std::string text = Mark();
        const Json answer = client_->Request("tools/call", {{"name", "echo"}, {"arguments", {{"message", text}}}});
        if (GetInt(answer, "status") == 404) client_->Take("");
        return TextOf(answer) == text;
      },
      timeout);
}

}  // namespace mcpfleet
