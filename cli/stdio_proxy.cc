#include "cli/stdio_proxy.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace mcpfleet::cli {
namespace {

constexpr int64_t kParseError = -32700, kInvalidRequest = -32600;
constexpr char kIdInUse[] = "a request with this id has no answer yet";
constexpr char kVersionMember[] = "io.modelcontextprotocol/protocolVersion";
// Of the messages that are sent in order: what follows waits for them.
constexpr Duration kAside = std::chrono::seconds(60);
constexpr Duration kFarewellRequest = std::chrono::seconds(1);
// How long a client may leave its pipe full.
constexpr Duration kSlowReader = std::chrono::seconds(60);
constexpr size_t kWritePiece = 4096;  // PIPE_BUF: what poll promises to fit
constexpr Duration kShortestPause = std::chrono::milliseconds(50), kFirstPause = std::chrono::seconds(1),
                   kLongestPause = std::chrono::seconds(30);

// "": a message of the legacy era.
std::string ModernVersionOf(const Json& params) { return GetString(GetMember(params, "_meta"), kVersionMember); }

std::string OnOneLine(std::string text) {
  // Between JSON tokens only: in a string they would be escaped.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

// Only what is about no other request: the endpoint may not have understood which one it was.
bool IsAnswerTo(const mcp::Message& message, const std::string& id) {
  if (!message.IsResponse()) return false;
  const bool nameless = message.id.empty() || message.id == "null";
  return message.id == id || (nameless && message.kind == mcp::MessageKind::kError);
}

Duration Longer(Duration pause) { return std::clamp<Duration>(2 * pause, kFirstPause, kLongestPause); }

StatusOr<mcp::Message> Parse(const std::string& text) { return mcp::ParseMessage(text, {.bytes = kMessageBytes}); }

}  // namespace

StdioProxy::StdioProxy(Options options)
    : options_(std::move(options)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      aside_(options_.address.url, options_.address.ca_file),
      renewal_(options_.address.url, options_.address.ca_file),
      listening_(options_.address.url, options_.address.ca_file) {}

StdioProxy::~StdioProxy() = default;

Status StdioProxy::Run() {
  if (!wake_.valid()) return ResourceExhausted("no descriptor left");
  Status read = ReadLines();
  Finish();
  return OutBroken() ? Unavailable("stdout: the client reads no more") : read;
}

bool StdioProxy::OutBroken() {
  MutexLock lock(&out_mu_);
  return out_broken_;
}

void StdioProxy::Stop() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
  }
  aside_.Cut();
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof one);
}

Status StdioProxy::ReadLines() {
  std::string buffer;
  bool skipping = false;  // the rest of a line that is too long
  for (;;) {
    pollfd fds[] = {{options_.in, POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return ErrnoStatus(errno, "stdin");
    {
      MutexLock lock(&mu_);
      if (stopping_) return OkStatus();
    }
    if (OutBroken()) return OkStatus();
    if (fds[0].revents == 0) continue;
    char piece[65536];
    const ssize_t n = read(options_.in, piece, sizeof piece);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return ErrnoStatus(errno, "stdin");
    if (n == 0) {
      if (!skipping) HandleLine(buffer);
      return OkStatus();
    }
    size_t scanned = buffer.size();
    buffer.append(piece, static_cast<size_t>(n));
    size_t begin = 0;
    for (size_t end; (end = buffer.find('\n', scanned)) != std::string::npos; begin = scanned = end + 1) {
      if (!std::exchange(skipping, false)) HandleLine(buffer.substr(begin, end - begin));
    }
    buffer.erase(0, begin);
    if (skipping || buffer.size() > kMessageBytes) {
      if (!std::exchange(skipping, true)) {
        const std::string what = "a line is longer than " + std::to_string(kMessageBytes >> 20) + " MiB";
        Complain("stdin: " + what);
        Write(mcp::SerializeError("null", kInvalidRequest, what));
      }
      buffer.clear();
    }
  }
}

void StdioProxy::HandleLine(const std::string& line) {
  if (Trim(line).empty()) return;
  StatusOr<mcp::Message> message = Parse(line);
  if (!message.ok()) {
    const bool json = ParseJson(line, {.bytes = kMessageBytes}).ok();
    Complain("stdin: " + Message(message.status()));
    Write(mcp::SerializeError("null", json ? kInvalidRequest : kParseError, Message(message.status())));
    return;
  }
  switch (message->kind) {
    case mcp::MessageKind::kRequest:
      return HandleRequest(line, *std::move(message));
    case mcp::MessageKind::kNotification:
      return HandleNotification(line, *message);
    case mcp::MessageKind::kResult:
    case mcp::MessageKind::kError:
      return PostAside(line, *message);
  }
}

void StdioProxy::HandleRequest(const std::string& line, mcp::Message message) {
  const std::string version = ModernVersionOf(message.params);
  if (version.empty() && message.method == "initialize") return Initialize(line, message);
  auto job = std::make_shared<Job>();
  job->id = message.id;
  job->method = message.method;
  job->line = line;
  job->params = std::move(message.params);
  job->version = version;
  job->listens = !version.empty() && message.method == "subscriptions/listen";
  Enqueue(job);
}

void StdioProxy::HandleNotification(const std::string& line, const mcp::Message& message) {
  if (message.method == "notifications/cancelled") return HandleCancelled(line, message);
  const bool initialized = message.method == "notifications/initialized" && ModernVersionOf(message.params).empty();
  bool in_session = false;
  {
    MutexLock lock(&mu_);
    in_session = !initialize_.empty();
    if (initialized) initialized_ = line;
  }
  PostAside(line, message);
  if (initialized && in_session && !listener_.joinable()) listener_ = std::thread([this] { ListenToSession(); });
}

// Legacy: the endpoint is told, and what it still says about the request is dropped. Modern: the closed connection says
// it, and there is nothing to POST.
void StdioProxy::HandleCancelled(const std::string& line, const mcp::Message& message) {
  const std::string id(mcp::RawMember(mcp::RawMember(line, "params"), "requestId"));
  JobPtr job;
  {
    MutexLock lock(&mu_);
    auto found = jobs_.find(id);
    if (found == jobs_.end()) return;  // answered already, or never asked
    job = found->second;
    job->cancelled = true;
    jobs_.erase(found);
  }
  if (job->version.empty()) PostAside(line, message);
  MutexLock lock(&mu_);
  if (job->at != nullptr) job->at->Cut();
  changed_.NotifyAll();
}

void StdioProxy::Initialize(const std::string& line, const mcp::Message& message) {
  // As a request, but without the queue: nothing that follows makes sense before this is answered.
  auto job = std::make_shared<Job>();
  job->id = message.id;
  job->method = message.method;
  std::string refusal;
  {
    MutexLock lock(&mu_);
    if (!initialize_.empty())
      refusal = "initialize: the session is initialized already";
    else if (!jobs_.emplace(job->id, job).second)
      refusal = kIdInUse;
  }
  if (!refusal.empty()) return Write(mcp::SerializeError(message.id, kInvalidRequest, refusal));
  StatusOr<SessionState> opened =
      OpenSession(aside_, line, [&](const std::string& text, int) { return Deliver(job, text); });
  if (!opened.ok()) return Fail(job, opened.status());
  MutexLock lock(&mu_);
  initialize_ = line;
  session_ = *std::move(opened);
  session_.generation = 1;
}

// POSTs an `initialize`. `on_message` sees all that comes back and tells the answer. An error of the endpoint is
// FailedPrecondition, after `on_message` has seen it.
StatusOr<StdioProxy::SessionState> StdioProxy::OpenSession(HttpLine& line, const std::string& initialize,
                                                           const OnMessage& on_message) {
  SessionState opened;
  std::string error;
  bool answered = false;
  StatusOr<Exchange> exchange = Converse(line, PostRequest(options_.address, initialize), nullptr,
                                         Deadline::After(kAside), [&](const std::string& text, int status) {
                                           StatusOr<mcp::Message> message = Parse(text);
                                           if (!on_message(text, status)) return false;
                                           answered = message.ok() && message->kind == mcp::MessageKind::kResult;
                                           if (answered) opened.version = GetString(message->result, "protocolVersion");
                                           if (message.ok()) error = message->error_message;
                                           return true;
                                         });
  if (!exchange.ok()) return Annotate(exchange.status(), "initialize");
  if (!exchange->enough) return Annotate(JudgeHttpStatus(*exchange, !options_.address.token.empty()), "initialize");
  if (!answered) return FailedPrecondition("initialize: " + Printable(error));
  opened.id = exchange->headers.Get("Mcp-Session-Id").value_or("");
  return opened;
}

// Notifications and the client's answers to the endpoint's requests. Nobody waits for an answer to them.
void StdioProxy::PostAside(const std::string& line, const mcp::Message& message) {
  http::Request request = PostRequest(options_.address, line);
  const std::string version = message.method.empty() ? "" : ModernVersionOf(message.params);
  const SessionState state = session();
  if (version.empty())
    AddSessionHeaders(state.version, state.id, &request);
  else
    AddModernHeaders(version, message.method, message.params, tool_headers_, &request);
  StatusOr<Exchange> exchange =
      Converse(aside_, request, nullptr, Deadline::After(kAside), [](const std::string&, int) { return false; });
  const std::string what = message.method.empty() ? "an answer" : message.method;
  if (!exchange.ok()) {
    if (exchange.status().code() != StatusCode::kCancelled) Complain(what + ": " + Message(exchange.status()));
  } else if (exchange->status == 404 && version.empty() && !state.id.empty()) {
    // The new session knows nothing of what this was about; only the session itself is worth having again.
    if (Status renewed = Renew(state.generation); !renewed.ok()) Complain(what + ": " + Message(renewed));
  } else if (exchange->status / 100 != 2) {
    Complain(what + ": " + Message(JudgeHttpStatus(*exchange, !options_.address.token.empty())));
  }
}

void StdioProxy::Enqueue(const JobPtr& job) {
  std::string refusal;
  bool more = false;
  {
    MutexLock lock(&mu_);
    if (jobs_.count(job->id) != 0) {
      refusal = kIdInUse;
    } else if (queue_.size() >= kWaiting) {
      refusal = "more than " + std::to_string(kWaiting) + " requests wait";
    } else {
      jobs_[job->id] = job;
      queue_.push_back(job);
      more = queue_.size() > idle_ && workers_.size() < kThreads;
      changed_.NotifyAll();
    }
  }
  if (!refusal.empty()) return Write(mcp::SerializeError(job->id, kInvalidRequest, refusal));
  if (!more) return;
  try {
    workers_.emplace_back([this] { Work(); });
  } catch (const std::system_error& error) {
    Complain(std::string("no more threads: ") + error.what());
    if (workers_.empty()) Fail(job, ResourceExhausted("no thread for it"));
  }
}

void StdioProxy::Work() {
  HttpLine line(options_.address.url, options_.address.ca_file);
  for (;;) {
    JobPtr job;
    {
      MutexLock lock(&mu_);
      ++idle_;
      while (queue_.empty() && !ended_) changed_.Wait(&mu_);
      --idle_;
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
      line.Mend();
      if (ended_) line.Cut();
      if (job->cancelled) continue;
      job->at = &line;
    }
    Serve(job, line);
    MutexLock lock(&mu_);
    job->at = nullptr;
  }
}

void StdioProxy::Serve(const JobPtr& job, HttpLine& line) {
  const bool modern = !job->version.empty();
  const Deadline deadline = job->listens ? Deadline::Never() : Deadline::After(options_.request_timeout);
  for (int attempt = 0;; ++attempt) {
    const SessionState state = session();
    const bool renewable = !modern && !state.id.empty() && attempt == 0;
    http::Request request = PostRequest(options_.address, job->line);
    if (modern)
      AddModernHeaders(job->version, job->method, job->params, tool_headers_, &request);
    else
      AddSessionHeaders(state.version, state.id, &request);
    const http::Request resume = SessionRequest(options_.address, "GET", state.version, state.id);
    StatusOr<Exchange> exchange = Converse(
        line, request, modern || state.id.empty() ? nullptr : &resume, deadline,
        [&](const std::string& text, int status) { return !(status == 404 && renewable) && Deliver(job, text); });
    if (exchange.ok() && exchange->enough) return;
    if (exchange.ok() && exchange->status == 404 && renewable) {
      Status renewed = Renew(state.generation);
      if (renewed.ok()) continue;
      return Fail(job, Annotate(renewed, "the session is lost, and no new one can be had"));
    }
    if (!exchange.ok()) return Fail(job, Annotate(exchange.status(), job->method));
    return Fail(job, Annotate(JudgeHttpStatus(*exchange, !options_.address.token.empty()), job->method));
  }
}

// Takes the job out of the table: who gets true answers it.
bool StdioProxy::Settle(const JobPtr& job) {
  MutexLock lock(&mu_);
  auto found = jobs_.find(job->id);
  if (found == jobs_.end() || found->second != job) return false;
  jobs_.erase(found);
  changed_.NotifyAll();
  return true;
}

bool StdioProxy::Deliver(const JobPtr& job, const std::string& text) {
  StatusOr<mcp::Message> message = Parse(text);
  if (!message.ok()) return false;
  if (!message->IsResponse()) {
    Write(text);
    return false;
  }
  if (!IsAnswerTo(*message, job->id)) return false;
  if (job->method == "tools/list" && !job->version.empty()) tool_headers_.Note(GetMember(message->result, "tools"));
  if (!Settle(job)) return true;
  if (message->id == job->id)
    Write(text);
  else
    Write(R"({"jsonrpc":"2.0","id":)" + job->id + R"(,"error":)" + std::string(mcp::RawMember(text, "error")) + "}");
  return true;
}

void StdioProxy::Fail(const JobPtr& job, const Status& why) {
  if (!Settle(job)) return;
  std::string text = why.code() == StatusCode::kCancelled ? "the proxy has ended" : Message(why);
  if (why.code() == StatusCode::kUnauthenticated || why.code() == StatusCode::kPermissionDenied) Complain(text);
  Write(mcp::SerializeError(job->id, mcp::kInternalError, text));
}

StdioProxy::SessionState StdioProxy::session() const {
  MutexLock lock(&mu_);
  return session_;
}

// A new session by the client's own handshake, once for all who saw the old one (`seen`) gone.
Status StdioProxy::Renew(uint64_t seen) {
  std::string initialize, initialized;
  {
    MutexLock lock(&mu_);
    while (renewing_) changed_.Wait(&mu_);
    if (session_.generation != seen) return OkStatus();
    if (ended_) return Cancelled("the proxy has ended");
    renewing_ = true;
    initialize = initialize_;
    initialized = initialized_;
  }
  StatusOr<SessionState> opened = OpenSession(renewal_, initialize, [&](const std::string& text, int) {
    StatusOr<mcp::Message> message = Parse(text);
    return message.ok() && message->IsResponse();
  });
  if (opened.ok() && !initialized.empty()) {
    http::Request request = PostRequest(options_.address, initialized);
    AddSessionHeaders(opened->version, opened->id, &request);
    StatusOr<Exchange> told =
        Converse(renewal_, request, nullptr, Deadline::After(kAside), [](const std::string&, int) { return false; });
    if (!told.ok()) opened = told.status();
  }
  MutexLock lock(&mu_);
  renewing_ = false;
  changed_.NotifyAll();
  if (!opened.ok()) return opened.status();
  const uint64_t generation = session_.generation + 1;
  session_ = *std::move(opened);
  session_.generation = generation;
  return OkStatus();
}

// The stream for what the endpoint says on its own. Where there is none (405) nothing is lost but that.
void StdioProxy::ListenToSession() {
  std::string last_id;
  uint64_t generation = 0;
  Duration pause = kFirstPause;
  const OnMessage write = [this](const std::string& text, int) {
    if (Parse(text).ok()) Write(text);
    return false;
  };
  do {
    const SessionState state = session();
    if (state.generation != generation) last_id.clear();
    generation = state.generation;
    http::Request request = SessionRequest(options_.address, "GET", state.version, state.id);
    if (!last_id.empty()) request.headers.Set("Last-Event-ID", last_id);
    auto stream = listening_.Open(request, Deadline::Never());
    const int status = stream.ok() ? (*stream)->head().status : 0;
    if (stream.ok() && IsEventStream((*stream)->head())) {
      mcp::SseParser parser(kMessageBytes);
      (void)ReadEvents(**stream, &parser, Deadline::Never(), write);
      if (!parser.last_id().empty()) last_id = parser.last_id();
      pause = parser.retry_millis() < 0 ? kFirstPause : std::chrono::milliseconds(parser.retry_millis());
      pause = std::clamp<Duration>(pause, kShortestPause, kLongestPause);
    } else if (status == 404 && !state.id.empty()) {
      stream = Unavailable("");
      pause = Renew(generation).ok() ? kShortestPause : Longer(pause);
    } else if (status == 400 && !last_id.empty()) {
      last_id.clear();  // too old to be taken up
    } else if (status / 100 == 4 && status != 408 && status != 409 && status != 429) {
      return;
    } else {
      pause = Longer(pause);
    }
  } while (listening_.Pause(pause));
}

bool StdioProxy::Awaited() const {
  return std::any_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return !job.second->listens; });
}

void StdioProxy::Finish() {
  const Deadline deadline = Deadline::After(options_.farewell);
  const bool unread = OutBroken();
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    while (!unread && Awaited() && changed_.WaitUntil(&mu_, deadline)) {
    }
    // What only listens has had all that it could get; the rest is answered by Fail.
    for (auto it = jobs_.begin(); it != jobs_.end();) {
      const JobPtr job = it->second;
      job->cancelled = job->listens;
      it = job->listens ? jobs_.erase(it) : std::next(it);
      if (job->at != nullptr) job->at->Cut();
    }
    ended_ = true;
    changed_.NotifyAll();
  }
  listening_.Cut();
  renewal_.Cut();
  for (std::thread& worker : workers_) worker.join();
  if (listener_.joinable()) listener_.join();
  const SessionState state = session();
  if (state.id.empty()) return;
  aside_.Mend();
  (void)Converse(aside_, SessionRequest(options_.address, "DELETE", state.version, state.id), nullptr,
                 Deadline::After(kFarewellRequest), [](const std::string&, int) { return true; });
}

void StdioProxy::Write(std::string text) {
  text = OnOneLine(std::move(text)) + "\n";
  MutexLock lock(&out_mu_);
  std::string_view rest = text;
  while (!rest.empty() && !out_broken_) {
    const std::string_view piece = rest.substr(0, kWritePiece);
    Status written = PollFd(options_.out, POLLOUT, Deadline::After(kSlowReader));
    if (written.ok()) written = WriteAll(options_.out, piece, Deadline::After(kSlowReader));
    rest.remove_prefix(piece.size());
    out_broken_ = !written.ok();
  }
  if (!out_broken_) return;
  // Nobody reads answers any more: no use in reading on.
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof one);
}

void StdioProxy::Complain(const std::string& text) {
  if (options_.complain) options_.complain(Printable(text, 1000));
}

}  // namespace mcpfleet::cli
