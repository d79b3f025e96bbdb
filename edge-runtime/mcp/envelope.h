// The envelope of a JSON-RPC message as places in its text: what routing needs, without making a tree of the body. The
// gateway rewrites ids and tokens in place and passes everything else on byte for byte.
//
// Real servers write members in any order, some the id last: the whole top level is read.
//
// Pure functions; thread-safe. Spans are only good for the text that they were read from.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet::mcp {

// A value in a text, without white space around it. Size 0: there is none.
struct Span {
  size_t at = 0, size = 0;
  explicit operator bool() const { return size != 0; }
  std::string_view In(std::string_view text) const { return text.substr(at, size); }
};

struct Envelope {
  MessageKind kind = MessageKind::kNotification;
  Span id;             // raw token, also of null
  std::string method;  // decoded; requests and notifications
  Span params, result, error;
};

// How much of a long text is validated. A child's line above kValidatedBytes is passed on when its top level and UTF-8
// are good: whoever reads the value will see the rest, and a second pass over tens of megabytes costs more than it
// finds. What a client sends is always validated whole.
enum class Validation { kEnvelope, kWhole };
inline constexpr size_t kValidatedBytes = size_t{1} << 20;

// InvalidArgument when `text` is no JSON-RPC 2.0 message (also an array: see IsBatch). Depth is at most 64 in texts up
// to kValidatedBytes, and in whole ones; a member of the envelope may stand there once, and with kWhole each one of
// params and params._meta.
StatusOr<Envelope> ReadEnvelope(std::string_view text, Validation validation);
// Whether the text begins as an array.
bool IsBatch(std::string_view text);
// The elements of a batch that is valid JSON. InvalidArgument otherwise;
// FailedPrecondition: it is empty; ResourceExhausted: more than `max` elements.
StatusOr<std::vector<std::string_view>> SplitBatch(std::string_view text, size_t max);

// Direct members of the object at `object`, by name; absent ones stay empty. Nothing when it is no object.
void FindMembers(std::string_view text, Span object, std::initializer_list<std::pair<std::string_view, Span*>> wanted);
Span FindMember(std::string_view text, Span object, std::string_view key);
// Every member: its key, decoded, and its value's place.
std::vector<std::pair<std::string, Span>> MembersOf(std::string_view text, Span object);
// The text of a JSON string token; "" for any other token.
std::string Unquote(std::string_view token);
std::string Quote(std::string_view text);
void AppendQuoted(std::string* out, std::string_view text);
// Whether the token is an object.
inline bool IsObject(std::string_view token) { return !token.empty() && token.front() == '{'; }

// Replaces a place in a text.
struct Edit {
  Span where;  // size 0: inserts at `where.at`
  std::string text;
};
// `edits` do not overlap; any order.
std::string ApplyEdits(std::string_view text, std::vector<Edit> edits);
// The same without a second text: for long ones.
void EditInPlace(std::string* text, std::vector<Edit> edits);
// An edit that adds members, `"key":value,"key":value`, to the object at `object`: in front, so that nothing must be
// looked for.
Edit AddMembers(std::string_view text, Span object, std::string members);
Edit AddMember(std::string_view text, Span object, std::string_view key, std::string_view value);
// On one line: white space between tokens goes when the text has line ends; else it is left as it is.
std::string OneLine(std::string text);

}  // namespace mcpfleet::mcp
