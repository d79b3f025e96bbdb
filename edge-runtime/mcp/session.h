// What a client owes one server besides its own requests, and the calls it waits for: pure state behind one stdio
// child. Lines in; lines out and answers completed.
//
// Our capabilities are empty, so nothing a server may ask of a client is on offer: `ping` is answered, every other
// request gets -32601. None is left unanswered: a server that waits for us would hang.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "edge-runtime/mcp/handshake.h"
#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet::mcp {

// Our answer to a request of the server.
std::string AnswerServerRequest(const Message& request);

class Session {
 public:
  static constexpr size_t kMaxPending = 256;

  // `note` is what an earlier process saved with ToNote (or ""); a note that is not ours is ignored.
  Session(ClientIdentity identity, Era known, std::string_view note);

  // Starts the handshake, or continues one: messages to send.
  std::vector<Outgoing> Begin();
  std::vector<Outgoing> OnNoDiscoverAnswer();
  // One line of the server's stdout: messages to send in answer.
  std::vector<Outgoing> OnLine(std::string_view line);
  // A line of ours that may have reached the server in part, or not: if it is a request it is answered here, with
  // -32603, for whoever waits for its id. Today that is the handshake, whose ids are in the note: the calls that the
  // process before this one had under way died with it. Ids of calls that a later process shall still wait for (the
  // gateway's clients) belong in the note too, and then fail here the same way.
  std::vector<Outgoing> OnLost(std::string_view line);
  // The message with this method has been handed to the child.
  void OnSent(const Outgoing& message);

  // A new call. Its id never repeats in the life of the child, also over restarts of mcplet. ResourceExhausted when
  // too many wait, FailedPrecondition before the handshake is done.
  StatusOr<Outgoing> Call(std::string_view method, Json params);
  // The answer of a call, once; nullopt while it has none.
  std::optional<Message> TakeAnswer(const std::string& id);
  // Gives up on a call; a late answer is then dropped. The notification to send, unless it was answered.
  std::vector<Outgoing> Cancel(const std::string& id, std::string_view reason);

  const Handshake& handshake() const { return handshake_; }
  // Bytes to keep with the child, and whether they changed since SavedNote: to be saved before messages are sent.
  std::string ToNote() const;
  bool note_changed() const { return note_changed_; }
  void SavedNote() { note_changed_ = false; }
  void NoteNotSaved() { note_changed_ = true; }

  bool catalog_dirty() const { return catalog_dirty_; }  // the server said that its lists changed
  void ClearCatalogDirty() { catalog_dirty_ = false; }
  uint64_t messages() const { return messages_; }                            // JSON-RPC messages seen
  uint64_t stray_lines() const { return stray_lines_; }                      // lines of stdout that were none
  const std::string& first_stray_line() const { return first_stray_line_; }  // printable, bounded

 private:
  void ReserveIds();
  std::vector<Outgoing> OnResponse(Message response);

  ClientIdentity identity_;
  Handshake handshake_;
  uint64_t next_id_ = 1;
  uint64_t reserved_ = 0;  // ids below this are in the saved note as used
  bool note_changed_ = false;
  std::map<std::string, std::optional<Message>> pending_;
  bool catalog_dirty_ = false;
  uint64_t messages_ = 0, stray_lines_ = 0;
  std::string first_stray_line_;
};

}  // namespace mcpfleet::mcp
