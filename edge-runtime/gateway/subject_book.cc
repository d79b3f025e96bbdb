#include "edge-runtime/gateway/subject_book.h"

#include "base/digest.h"
#include "edge-runtime/gateway/subject.h"

namespace mcpfleet::gateway {
namespace {

bool IsOneOfMany(const std::string& subject) { return subject != Subject().id; }

}  // namespace

std::string SubjectBook::Refusal(const Incoming& request, const std::string& subject) const {
  if (!IsOneOfMany(subject)) return "";
  const std::string& method = request.envelope.method;
  mcp::Span task, state;
  mcp::FindMembers(request.text, request.envelope.params, {{"taskId", &task}, {"requestState", &state}});
  if (method == "tasks/list") return "the server is shared: its list of tasks is nobody's alone";
  if (method.starts_with("tasks/") && !Owns(request.Part(task), subject))
    return "taskId is not that of a task of yours";
  if (state && !Owns(request.Part(state), subject))
    return "requestState is not that of a request of yours that waits for input";
  return "";
}

void SubjectBook::Note(const Incoming& answer, const std::string& subject) {
  if (!IsOneOfMany(subject) || answer.envelope.kind != mcp::MessageKind::kResult) return;
  // Most answers have neither word, which is quickly seen.
  const bool tasks = answer.text.find("\"taskId\"") != std::string::npos;
  if (!tasks && answer.text.find("\"requestState\"") == std::string::npos) return;
  mcp::Span own, task, state;
  mcp::FindMembers(answer.text, answer.envelope.result, {{"taskId", &own}, {"task", &task}, {"requestState", &state}});
  if (own) Remember(answer.Part(own), subject);
  if (const mcp::Span inner = mcp::FindMember(answer.text, task, "taskId")) Remember(answer.Part(inner), subject);
  if (state) Remember(answer.Part(state), subject);
}

// A name that another subject has stays its own: it was given out first.
void SubjectBook::Remember(std::string_view raw, const std::string& subject) {
  const std::string digest = Sha256Hex(mcp::Unquote(raw));
  if (!owners_.emplace(digest, subject).second) return;
  order_.push_back(digest);
  if (order_.size() <= kMostNames) return;
  owners_.erase(order_.front());
  order_.pop_front();
}

bool SubjectBook::Owns(std::string_view raw, const std::string& subject) const {
  auto it = owners_.find(Sha256Hex(mcp::Unquote(raw)));
  return it != owners_.end() && it->second == subject;
}

}  // namespace mcpfleet::gateway
