#include "edge-runtime/gateway/legacy_session.h"

#include <algorithm>
#include <utility>

#include "base/digest.h"
#include "base/strings.h"

namespace mcpfleet::gateway {
namespace {

constexpr uint64_t kGetStream = 0;
constexpr size_t kWindow = size_t{1} << 20;  // of a connection, before its server waits
constexpr Duration kKeepAlive = std::chrono::seconds(20);
constexpr int64_t kRequestTimeout = -32001;  // what the SDKs of this era use
// Sequences begin so far behind those of the mcplet before that no event of both has one id.
constexpr int kIncarnationShift = 24;
constexpr std::string_view kPrimingSince = "2025-11-25";

}  // namespace

LegacySession::LegacySession(std::string id, std::string subject, const SessionSettings& settings, Loop& loop,
                             const Clock& clock)
    : id_(std::move(id)),
      hash_(Sha256Hex(id_).substr(0, 12)),
      subject_(std::move(subject)),
      settings_(settings),
      loop_(loop),
      clock_(clock),
      resume_(settings.resume),
      began_(clock.Now()),
      last_used_(began_),
      kept_alive_(began_) {
  streams_[kGetStream].begun = true;
}

void LegacySession::Connect(std::unique_ptr<Conversation> conversation, Events events) {
  conversation_ = std::move(conversation);
  events_ = std::move(events);
  const std::weak_ptr<LegacySession> weak = weak_from_this();
  conversation_->Start({.to_call =
                            [weak](uint64_t call, std::string line) {
                              if (auto self = weak.lock()) self->OnToCall(call, std::move(line));
                            },
                        .question =
                            [weak](uint64_t call, std::string line, const Conversation::Placed& placed) {
                              if (auto self = weak.lock()) self->OnQuestion(call, std::move(line), placed);
                            },
                        .answer =
                            [weak](uint64_t call, std::string line) {
                              if (auto self = weak.lock()) self->OnAnswer(call, std::move(line));
                            },
                        .to_session =
                            [weak](std::string line, Conversation::About about) {
                              if (auto self = weak.lock()) self->OnToSession(std::move(line), about);
                            },
                        .closed =
                            [weak](const Status&) {
                              if (auto self = weak.lock()) self->OnClosed();
                            }});
  for (Waiting& each : std::exchange(waiting_, {})) Begin(each.messages, std::move(each.answer), std::move(each.rest));
}

void LegacySession::Continue(Kept kept) {
  version_ = std::move(kept.version);
  first_sequence_ = (kept.incarnation << kIncarnationShift) + 1;
  // As they were sent: who has one asks for what came behind it.
  std::sort(kept.questions.begin(), kept.questions.end(),
            [](const auto& a, const auto& b) { return a.at.sequence < b.at.sequence; });
  for (Kept::Question& question : kept.questions) resume_.Add(question.at, std::move(question.line), clock_.Now());
  for (const SessionCall& call : kept.lost) {
    resume_.Add({call.stream, first_sequence_++},
                ErrorText(call.id, mcp::kInternalError, "mcplet ended before it could hand this request's answer over"),
                clock_.Now());
  }
  streams_[kGetStream].next = first_sequence_;
  for (const SessionCall& call : kept.calls) {
    Stream& stream = streams_[call.stream];
    stream.next = first_sequence_;
    stream.begun = true;
    stream.calls.insert(call.call);
    calls_[call.call] = {call.stream, call.id, clock_.Now(), clock_.Now()};
    by_client_id_[call.id] = call.call;
    next_stream_ = std::max(next_stream_, call.stream + 1);
    next_call_ = std::max(next_call_, call.call + 1);
  }
  // Streams of calls that were answered before mcplet ended are not known any more: never reuse their numbers.
  next_stream_ = std::max(next_stream_, first_sequence_);
}

void LegacySession::OpenStream(std::string_view endpoint, std::unique_ptr<Answer> answer) {
  one_stream_ = true;
  answer->Event(std::string(endpoint), "", "endpoint");
  Attach(kGetStream, &streams_[kGetStream], std::move(answer));
}

void LegacySession::Say(std::string line) { Emit(kGetStream, std::move(line)); }

bool LegacySession::HasCall(std::string_view client_id) const { return by_client_id_.contains(client_id); }

bool LegacySession::Primes() const { return version_ >= kPrimingSince; }

// --- from the client ----------------------------------------------------------------------------------------------

void LegacySession::Post(std::vector<Incoming> messages, std::unique_ptr<Answer> answer, Rest rest) {
  last_used_ = clock_.Now();
  if (conversation_ != nullptr) return Begin(messages, std::move(answer), std::move(rest));
  if (waiting_.size() >= settings_.max_calls)
    return answer->Json(503, ErrorText("", mcp::kInternalError, "too many requests wait for the server"));
  waiting_.push_back({std::move(messages), std::move(answer), std::move(rest)});
}

void LegacySession::Begin(const std::vector<Incoming>& messages, std::unique_ptr<Answer> answer, Rest rest) {
  std::vector<const Incoming*> requests;
  for (const Incoming& message : messages) {
    if (message.envelope.kind == mcp::MessageKind::kRequest) {
      requests.push_back(&message);
    } else if (message.envelope.kind != mcp::MessageKind::kNotification) {
      conversation_->Reply(message);
    } else if (message.envelope.method == "notifications/cancelled") {
      TakeCancel(message);
    } else {
      conversation_->Notify(message);
    }
  }
  if (requests.empty() && !rest.refused.empty()) return answer->Json(200, "[" + Join(rest.refused, ",") + "]");
  if (requests.empty()) return one_stream_ ? answer->Accept() : answer->Empty(202);
  for (const Incoming* request : requests) {
    const std::string_view id = request->Part(request->envelope.id);
    if (HasCall(id))
      return answer->Json(400, ErrorText(id, -32600, "a request with this id is under way in this session"));
  }
  if (calls_.size() + requests.size() > settings_.max_calls || streams_.size() >= settings_.max_streams) {
    answer->AddHeader("Retry-After", "1");
    return answer->Json(429, ErrorText(requests.front()->Part(requests.front()->envelope.id), mcp::kInternalError,
                                       "too many requests of this session are under way"));
  }
  const uint64_t number = next_stream_++;
  Stream& stream = streams_[number];
  stream.next = first_sequence_;
  stream.answer = std::move(answer);
  stream.admitted = std::move(rest.admitted);
  if (one_stream_) {
    stream.begun = true;
    stream.answer->Accept();
  } else {
    stream.answer->OnGone([weak = weak_from_this(), number, which = stream.answer.get()] {
      if (auto self = weak.lock()) self->Detach(number, which);
    });
  }
  if (requests.size() + rest.refused.size() > 1) BeginEvents(number, &stream);
  const bool initialize = requests.front()->envelope.method == "initialize";
  // All are calls of the stream before the first can be answered.
  std::vector<SessionCall> calls;
  for (const Incoming* request : requests) {
    SessionCall call{next_call_++, number, std::string(request->Part(request->envelope.id))};
    stream.calls.insert(call.call);
    calls_[call.call] = {number, call.id, clock_.Now(), clock_.Now(), initialize};
    by_client_id_[call.id] = call.call;
    calls.push_back(std::move(call));
  }
  for (std::string& line : rest.refused) Emit(number, std::move(line));
  for (size_t i = 0; i < calls.size(); ++i) {
    const Status sent = conversation_->Request(calls[i], *requests[i]);
    if (!sent.ok()) EndCall(calls[i].call, ErrorText(calls[i].id, mcp::kInternalError, Message(sent)));
  }
  if (one_stream_) return;
  if (initialize) return;  // one JSON body: its client does not know yet what else may come
  undecided_.emplace_back(clock_.Now() + settings_.json_wait, number);
  if (undecided_.size() == 1) BeginLateStreams();
}

// One timer at a time, however many requests there are: all wait equally long, and most are answered before.
void LegacySession::BeginLateStreams() {
  for (; !undecided_.empty(); undecided_.pop_front()) {
    const auto [until, number] = undecided_.front();
    auto it = streams_.find(number);
    if (it == streams_.end() || it->second.begun) continue;
    if (until > clock_.Now()) {
      return loop_.PostAt(until, [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->BeginLateStreams();
      });
    }
    BeginEvents(number, &it->second);
  }
}

void LegacySession::TakeCancel(const Incoming& message) {
  mcp::Span id, reason;
  mcp::FindMembers(message.text, message.envelope.params, {{"requestId", &id}, {"reason", &reason}});
  auto it = by_client_id_.find(message.Part(id));
  if (it == by_client_id_.end() || calls_[it->second].initialize) return;
  const uint64_t call = it->second;
  conversation_->Cancel(call, message.Part(reason));
  EndCall(call, std::nullopt);
}

void LegacySession::Get(const std::optional<EventId>& last, std::unique_ptr<Answer> answer) {
  last_used_ = clock_.Now();
  const uint64_t number = last ? last->stream : kGetStream;
  auto it = streams_.find(number);
  if (it == streams_.end()) {
    // Answered and over, perhaps still kept; else nothing is known of it.
    const std::vector<const ResumeBuffer::Event*> events = resume_.After(*last);
    const bool unknown = number >= next_stream_ || last->sequence + 1 < first_sequence_ || resume_.HasGap(*last);
    if (events.empty() && unknown)
      return answer->Json(400, ErrorText("", -32000, "Last-Event-ID: nothing is kept of this stream"));
    if (!answer->BeginStream()) return;
    for (const ResumeBuffer::Event* event : events) answer->Event(event->data, event->id.ToString());
    return answer->End();
  }
  if (number != kGetStream && resume_.HasGap(*last)) {
    // Something between is gone for good, perhaps the answer: better an error than a client that waits.
    for (uint64_t call : std::set<uint64_t>(it->second.calls)) {
      conversation_->Cancel(call, "");
      EndCall(call, ErrorText(calls_[call].client_id, mcp::kInternalError,
                              "events of this request were dropped before they could be sent again"));
    }
    return Get(last, std::move(answer));
  }
  Stream& stream = it->second;
  const EventId after{number, last ? last->sequence : stream.sent};
  Attach(number, &stream, std::move(answer));
  if (!last && Primes()) stream.answer->Prime(EventId{number, stream.next - 1}.ToString(), settings_.retry_ms);
  for (const ResumeBuffer::Event* event : resume_.After(after)) {
    stream.answer->Event(event->data, event->id.ToString());
    stream.sent = event->id.sequence;
  }
}

// Replaces what was there: a half-open connection must not lock its client out.
void LegacySession::Attach(uint64_t number, Stream* stream, std::unique_ptr<Answer> answer) {
  if (stream->answer != nullptr) stream->answer->End();
  stream->begun = true;
  stream->answer = std::move(answer);
  stream->answer->BeginStream();
  stream->answer->OnGone([weak = weak_from_this(), number, which = stream->answer.get()] {
    if (auto self = weak.lock()) self->Detach(number, which);
  });
}

void LegacySession::Detach(uint64_t number, const Answer* which) {
  auto it = streams_.find(number);
  if (it == streams_.end() || it->second.answer.get() != which) return;
  if (number != kGetStream) it->second.answer->Abandon();  // that one has no other end
  it->second.answer.reset();
  it->second.begun = true;  // whatever comes now is for a later GET
  if (one_stream_) return OnClosed();
  const auto opens = [this](uint64_t call) { return calls_[call].initialize; };
  // Only the answer would have told the session's id.
  if (std::any_of(it->second.calls.begin(), it->second.calls.end(), opens)) OnClosed();
}

// --- from the server ----------------------------------------------------------------------------------------------

void LegacySession::OnToCall(uint64_t call, std::string line) {
  auto it = calls_.find(call);
  if (it == calls_.end()) return;
  it->second.progressed = clock_.Now();
  Emit(it->second.stream, std::move(line));
}

void LegacySession::OnAnswer(uint64_t call, std::string line) {
  auto it = calls_.find(call);
  if (it == calls_.end()) return;
  const bool refused = it->second.initialize && !ReadVersion(line);
  EndCall(call, std::move(line));
  if (refused) OnClosed();  // without a handshake there is no session
}

// Of the result of `initialize`; false when it is none.
bool LegacySession::ReadVersion(const std::string& line) {
  StatusOr<mcp::Envelope> envelope = mcp::ReadEnvelope(line, mcp::Validation::kEnvelope);
  if (!envelope.ok() || envelope->kind != mcp::MessageKind::kResult) return false;
  version_ = mcp::Unquote(mcp::FindMember(line, envelope->result, "protocolVersion").In(line));
  return true;
}

uint64_t LegacySession::StreamFor(Conversation::About about) const {
  if (about == Conversation::About::kTheSession) return kGetStream;
  // The newest call that somebody listens to; numbers grow with time.
  for (auto it = calls_.rbegin(); it != calls_.rend(); ++it) {
    auto stream = streams_.find(it->second.stream);
    if (!it->second.initialize && stream != streams_.end() && stream->second.answer != nullptr)
      return it->second.stream;
  }
  return kGetStream;
}

void LegacySession::OnQuestion(uint64_t call, std::string line, const Conversation::Placed& placed) {
  auto it = calls_.find(call);
  if (it != calls_.end()) it->second.progressed = clock_.Now();
  const uint64_t number = it == calls_.end() ? StreamFor(Conversation::About::kACall) : it->second.stream;
  placed({number, streams_[number].next});
  Emit(number, std::move(line));
}

void LegacySession::OnToSession(std::string line, Conversation::About about) {
  Emit(StreamFor(about), std::move(line));
}

void LegacySession::OnClosed() {
  if (std::exchange(closed_, true)) return;
  while (!calls_.empty()) {
    EndCall(calls_.begin()->first,
            ErrorText(calls_.begin()->second.client_id, mcp::kInternalError, "the server has ended"));
  }
  if (events_.closed) events_.closed();
}

// --- streams ------------------------------------------------------------------------------------------------------

void LegacySession::BeginEvents(uint64_t number, Stream* stream) {
  if (std::exchange(stream->begun, true) || stream->answer == nullptr) return;
  stream->answer->BeginStream();
  if (Primes()) stream->answer->Prime(EventId{number, stream->next - 1}.ToString(), settings_.retry_ms);
}

void LegacySession::Emit(uint64_t number, std::string line) {
  if (one_stream_) {
    Answer* to = streams_[kGetStream].answer.get();
    if (to == nullptr || !to->Event(std::move(line))) return;
    last_used_ = clock_.Now();
    return Restrain(to);
  }
  auto it = streams_.find(number);
  if (it == streams_.end()) return;
  Stream& stream = it->second;
  BeginEvents(number, &stream);
  const EventId id{number, stream.next++};
  if (resume_.Keeps(line.size())) {
    resume_.Add(id, line, clock_.Now());
  } else {
    resume_.NoteGap(id);
  }
  if (stream.answer == nullptr || !stream.answer->Event(std::move(line), id.ToString())) return;
  stream.sent = id.sequence;
  last_used_ = clock_.Now();
  Restrain(stream.answer.get());
}

void LegacySession::Restrain(Answer* answer) {
  if (restrained_ || conversation_ == nullptr || answer->queued() <= kWindow) return;
  restrained_ = true;
  conversation_->Pause(true);
  answer->OnDrained(kWindow / 2, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->restrained_ = false;
    if (self->conversation_ != nullptr) self->conversation_->Pause(false);
  });
}

void LegacySession::EndCall(uint64_t number, std::optional<std::string> line) {
  auto it = calls_.find(number);
  if (it == calls_.end()) return;
  const Call call = std::move(it->second);
  calls_.erase(it);
  by_client_id_.erase(call.client_id);
  auto found = streams_.find(call.stream);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  stream.calls.erase(number);
  const bool last = stream.calls.empty(), answered = line.has_value();
  if (line && last && !stream.begun && stream.answer != nullptr) {
    last_used_ = clock_.Now();
    stream.answer->Json(200, *std::move(line));
  } else if (line) {
    Emit(call.stream, *std::move(line));
  }
  if (!last || call.stream == kGetStream) return;
  if (stream.answer != nullptr) {
    if (!answered && !stream.begun) stream.answer->BeginStream();  // cancelled: a stream without an answer
    stream.answer->End();
  }
  streams_.erase(call.stream);
}

void LegacySession::Close() {
  closed_ = true;
  conversation_.reset();
  waiting_.clear();
  while (!calls_.empty()) {
    EndCall(calls_.begin()->first,
            ErrorText(calls_.begin()->second.client_id, mcp::kInternalError, "the session was closed"));
  }
  for (auto& [number, stream] : streams_) {
    if (stream.answer != nullptr) stream.answer->End();
    stream.answer.reset();
  }
}

void LegacySession::Release() {
  if (one_stream_) return Close();
  if (conversation_ != nullptr) conversation_->Release();
}

void LegacySession::Tick(MonoTime now) {
  resume_.Prune(now);
  if (conversation_ != nullptr) conversation_->Tick();
  if (now - kept_alive_ >= kKeepAlive) {
    kept_alive_ = now;
    for (auto& [number, stream] : streams_) {
      if (stream.answer != nullptr) stream.answer->KeepAlive();
    }
  }
  std::vector<uint64_t> late;
  bool begun = true;
  for (const auto& [number, call] : calls_) {
    const Duration patience = call.initialize ? settings_.handshake_timeout : settings_.call_timeout;
    if (now - call.progressed < patience && now - call.began < settings_.call_limit) continue;
    late.push_back(number);
    begun = begun && !call.initialize;
  }
  for (uint64_t number : late) {
    if (conversation_ != nullptr) conversation_->Cancel(number, R"("timed out")");
    EndCall(number, ErrorText(calls_[number].client_id, kRequestTimeout, "the server did not answer in time"));
  }
  if (!begun) OnClosed();  // without a handshake there is no session
}

}  // namespace mcpfleet::gateway
