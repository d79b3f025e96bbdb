// One server between a foreign format and an object of ours. A format's tables (Rule) say what becomes of each member
// of the source: it is read into the draft, or it is a loss with a reason. What no table knows is a loss too, so that
// nothing is dropped silently. Internal to cli/convert.
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/convert/convert.h"

namespace mcpfleet::convert {

// The conversion under way.
struct Work {
  const Options& options;
  Conversion out;
  std::set<std::string> taken;  // "namespace/name" of the objects so far
};

// A text of the source. `unknown` says why it isn't known here ("" when it is); `secret`: what is missing in it is one.
struct Text {
  std::string value, path;
  std::string unknown = {};
  bool secret = false;
  std::string hint = {};
};

// A variable or header. With `secret_name` it refers to a secret already.
struct Variable {
  std::string name;
  Text text;
  std::string secret_name = {}, secret_key = {};
};

// A part of the object and where it came from. `field` is "spec.port", or "spec.env[]" for a list's next item, or
// "metadata.labels.KEY" with the key in `key`.
struct Piece {
  std::string field;
  std::string key = {};
  Json value = {};
  std::string path = {};
  bool weak = false;      // gives way to another one for the same field
  std::string hint = {};  // of a value that went into a secret
};

struct Draft {
  Work* work;
  std::string name, path;  // of the server in the source
  // How it is started. A `program` is what a client starts on its own machine, by a command line that may be that of
  // npx, uvx or docker.
  std::optional<Text> program;
  std::vector<Text> args;
  std::vector<Text> command;  // replaces the entrypoint of `image`
  std::optional<Text> image, url;
  std::string transport, transport_path;  // "stdio", "streamable-http", "sse", or "" for not said
  std::vector<Variable> env, headers;
  std::vector<Piece> pieces;
  bool left_out = false;
  // Makes a Text of a raw one: placeholders of the format are filled in. Null: it stands as it is.
  std::function<Text(std::string raw, std::string path)> expand;

  void Lose(std::string at, std::string why);
  void Note(std::string at, std::string what);
  // The whole server.
  void LeaveOut(std::string at, std::string why);
  void Put(std::string field, Json value, std::string from, bool weak = false);
  void PutKey(std::string field, std::string key, Json value, std::string from);
  bool Has(std::string_view field) const;
  Text Make(std::string raw, std::string at) const;
};

// What becomes of one member. Without `take` it is a loss with the reason `loss`; without either it says nothing that
// an object of ours would have to say (a comment at the table says why).
struct Rule {
  std::string_view member;
  void (*take)(Draft& draft, const Json& value, const std::string& path) = nullptr;
  std::string_view loss = {};
};
// Every member of `object`, by the table; nulls are passed over, unknown members are losses.
void Walk(Draft& draft, const Json& object, const std::string& path, std::span<const Rule> rules);

// The members of a map that are read one by one, because they mean something together only. What nobody asked for by
// the end is a loss, so that a table and this have the same promise. Not a map: a loss, and there are no members.
//
//   Fields port(draft, item, at);
//   const std::string protocol = port.Text("protocol", "tcp");
class Fields {
 public:
  Fields(Draft& draft, const Json& object, std::string path);
  ~Fields();
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;
  // Null when it is not there.
  const Json& Get(const std::string& member);
  // Numbers and booleans as text; a loss for anything else.
  std::string Text(const std::string& member, std::string fallback = "");
  bool Bool(const std::string& member);
  std::string At(const std::string& member) const;
  // Of what says nothing that an object of ours would have to say; say why where it is called.
  void PassOver(std::initializer_list<std::string_view> members);
  // A loss with a reason, when it is there.
  void Drop(const std::string& member, std::string_view why);
  // The map as a whole is a loss or told otherwise already.
  void Leave() { left_ = true; }
  const std::string& path() const { return path_; }

 private:
  Draft& draft_;
  const Json& object_;
  const std::string path_;
  std::set<std::string> read_;
  bool left_ = false;
};

// Text, a number or a boolean as text; nullopt (and a loss) for anything else.
std::optional<std::string> ScalarOf(Draft& draft, const Json& value, const std::string& path);
// The same without a loss.
std::optional<std::string> Scalar(const Json& value);
std::optional<bool> BoolOf(Draft& draft, const Json& value, const std::string& path);
std::optional<int64_t> IntOf(Draft& draft, const Json& value, const std::string& path);
// Each item of a list, each member of a map; a loss when it is neither.
void EachItem(Draft& draft, const Json& list, const std::string& path,
              const std::function<void(const Json& item, const std::string& path)>& visit);
void EachMember(Draft& draft, const Json& map, const std::string& path,
                const std::function<void(const std::string& key, const Json& value, const std::string& path)>& visit);
void AppendTexts(Draft& draft, const Json& list, const std::string& path, std::vector<Text>* out);
// NAME: value, for env and headers.
void AppendVariables(Draft& draft, const Json& map, const std::string& path, std::vector<Variable>* out);
// spec.volumes
void PutMount(Draft& draft, const std::string& name, const std::string& host, const std::string& target, bool read_only,
              const std::string& from);
void PutTmpfs(Draft& draft, const std::string& name, const Json& size, const std::string& target,
              const std::string& from);

// "My_Server" -> "my-server"; "" when nothing is left.
std::string NameFrom(std::string_view text);
// Seconds as a duration of ours.
std::string SecondsText(int64_t seconds);

// The command line in program and args as a source: npx, uvx, docker run, mcp-remote, a program by its path. Puts
// spec.source and replaces args.
void ReadCommandLine(Draft* draft);
// A package; `version` "" or a tag when it has no exact one.
void PutPackage(Draft* draft, const std::string& manager, const std::string& name, const std::string& version,
                const std::string& from);
// The object, valid; nullopt when the server is left out, which is then a loss.
void Finish(Draft draft);

// The formats: everything of one document.
void ReadClientConfig(const Json& document, Work* work);
void ReadServerJson(const Json& document, Work* work);
void ReadToolHive(const Json& object, const std::string& path, Work* work);
void ReadKmcp(const Json& object, const std::string& path, Work* work);
void ReadKubernetesSigs(const Json& object, const std::string& path, Work* work);
void ReadCompose(const Json& document, Work* work);

}  // namespace mcpfleet::convert
