// How a client and one server come to know each other, as a pure state machine: answers and time-outs in, messages
// out. It works for a stdio child (one handshake in the child's life) and for an HTTP session.
//
//   discover -> modern                      the answer names 2026-07-28
//            -> initialize -> announced     anything else, an error, or silence
//
// `initialize` is sent at most once in the life of a Handshake, and its note makes that hold over a restart of mcplet:
// save ToNote() before sending what a step returns, and a later process continues with FromNote(). A second
// `initialize` on one pipe is not harmless: real servers change their tools or their allowed folders on it.
//
// Not thread-safe. Cheap to copy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "edge-runtime/mcp/era.h"
#include "edge-runtime/mcp/jsonrpc.h"

namespace mcpfleet::mcp {

struct ClientIdentity {
  std::string name = "mcpfleet";
  std::string version = "0";
};

// What a server said of itself. Texts are bounded; capabilities are sorted names.
struct PeerInfo {
  Era era = Era::kUnknown;
  std::string name, version, protocol_version;
  std::vector<std::string> capabilities;
  bool Has(std::string_view capability) const;
};

// A message to send. `id` is empty for notifications.
struct Outgoing {
  std::string id;
  std::string method;
  std::string line;
};

class Handshake {
 public:
  enum class Phase { kNew, kDiscovering, kInitializing, kReady, kFailed };

  // `known` era of this revision: kLegacy goes straight to `initialize`.
  Handshake(ClientIdentity identity, Era known);

  // First messages. Ids come from `*next_id`, which they advance. Nothing unless the phase is kNew.
  std::vector<Outgoing> Start(uint64_t* next_id);
  // An answer to one of our ids; nothing for any other answer.
  std::vector<Outgoing> OnResponse(const Message& response, uint64_t* next_id);
  // `server/discover` was not answered in time, or refused without a message (HTTP 400, 404, 405).
  std::vector<Outgoing> OnNoDiscoverAnswer(uint64_t* next_id);
  // notifications/initialized has left; nothing is owed any more.
  void OnAnnounced() { owes_announcement_ = false; }
  // What a continued legacy handshake may still owe the server: notifications/initialized, or nothing.
  std::vector<Outgoing> Owed() const;

  Phase phase() const { return phase_; }
  // Whether `id` is that of our discover or initialize.
  bool Owns(std::string_view id) const { return !id.empty() && (id == discover_id_ || id == initialize_id_); }
  const PeerInfo& peer() const { return peer_; }           // kReady
  const std::string& failure() const { return failure_; }  // kFailed: what the server answered

  Json ToNote() const;
  // InvalidArgument when the note is not ours.
  static StatusOr<Handshake> FromNote(ClientIdentity identity, const Json& note);

 private:
  std::vector<Outgoing> SendInitialize(uint64_t* next_id);
  std::vector<Outgoing> OnDiscover(const Message& response, uint64_t* next_id);
  std::vector<Outgoing> OnInitialize(const Message& response, uint64_t* next_id);
  std::vector<Outgoing> BecomeModern(const Json& result);
  std::vector<Outgoing> Fail(std::string why);

  ClientIdentity identity_;
  Era known_ = Era::kUnknown;
  Phase phase_ = Phase::kNew;
  std::string discover_id_, initialize_id_;
  std::optional<Json> late_discover_;  // a modern answer that came after `initialize` had to be sent
  bool owes_announcement_ = false;
  bool asked_again_ = false;  // discover, after initialize was refused by a modern server
  PeerInfo peer_;
  std::string failure_;
};

}  // namespace mcpfleet::mcp
