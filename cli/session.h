// What a verb works with: the chosen context, connections that open when first used, where to print, and the options
// that every verb has. One per process, one thread.
//
// A verb is a file: Register<Verb>(root, session) adds its options to CLI11 and a callback that ends in
// session.Finish(RunVerb(...)). Results go to out(), talk (progress, hints, warnings) to err().
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/status.h"
#include "cli/context.h"
#include "store/head_move.h"
#include "store/kv_client.h"
#include "store/worker_api.h"

namespace CLI {
class App;
}

namespace mcpfleet::cli {

// Exit codes, as kubectl's: 0 done; 1 failed (diff: differs); 2 wrong usage (diff: failed).
inline constexpr int kExitOk = 0, kExitFailed = 1, kExitUsage = 2;

struct GlobalOptions {
  std::string context;
  std::string namespace_;  // -n; "": the context's
  std::string request_timeout = "30s";
  int verbosity = 0;  // -v: 1 requests, 2 more
  bool no_color = false;
};

class Session {
 public:
  Session(std::ostream& out, std::ostream& err, const Clock& clock);
  ~Session();
  GlobalOptions& options() { return options_; }
  std::ostream& out() { return out_; }
  std::ostream& err() { return err_; }
  const Clock& clock() const { return clock_; }
  // stdout / stderr is a terminal that takes colours.
  bool color() const;
  bool progress() const;  // stderr is a terminal

  StatusOr<Context> context();
  StatusOr<std::string> Namespace();  // -n, the context's, "default"
  StatusOr<KvClient*> Config();       // the desired state
  StatusOr<KvClient*> State();        // the nodes' statuses
  StatusOr<KvClient*> Tokens();       // tokens of nodes; only an embedded store has them
  // What the store's Worker does beyond KV. FailedPrecondition, here or with the first request, where there is none.
  StatusOr<WorkerApi*> Worker();
  StatusOr<std::string> AdminTarget();  // what Admin() talks to, for messages
  // One request to mcplet's admin API; a status of 400 or more is an error with mcplet's own message.
  StatusOr<http::Response> Admin(const http::Request& request, Deadline deadline);
  StatusOr<std::unique_ptr<http::ResponseStream>> AdminStream(const http::Request& request, Deadline deadline);
  // Now + --request-timeout.
  StatusOr<Deadline> RequestDeadline();
  // Verifies what a change is put on, from the context's trust root on, and signs it with the keys of `mcpctl keys`,
  // where the fleet is signed (cli/trust_root.cc).
  HeadSigner Signer();
  // Remembers the greatest head seen, in the context file. With a trust root the signer does that, of those that it
  // has verified: what a store merely says must not rule out what is true.
  void SawHead(const HeadOrder& order);
  // The trust root that the context has from now on, with what was verified of it.
  void PinTrustRoot(const std::string& fingerprint, const SeenTrust& seen);

  // Waits, at most `most`. False when nobody reads stdout any more (`mcpctl get -w | head`): the verb should end.
  bool Pause(Duration most);
  // One line on the terminal that each call replaces; "" removes it. Nothing where stderr is no terminal.
  void ShowProgress(const std::string& line);

  // Prints the error, if any, as "error: …" and sets the exit code.
  void Finish(const Status& status, int code_on_error = kExitFailed);
  void SetExitCode(int code) { exit_code_ = code; }
  int exit_code() const { return exit_code_; }
  // "user@host" for the author of a change.
  static std::string Author();

 private:
  // Changes the context, here and in the file.
  Status UpdateContext(const std::function<void(Context*)>& change);
  Status Remember(const SeenTrust& seen);
  StatusOr<http::Client*> AdminClient();
  Status PrepareAdmin(http::Request* request);
  std::string Hint(const Status& status) const;
  RestOptions StoreOptions(const Context& chosen);
  StatusOr<KvClient*> Open(std::unique_ptr<KvClient>* slot, std::string Context::*namespace_id);
  StatusOr<KvClient*> Open(std::unique_ptr<KvClient>* slot, const Context& chosen, const std::string& namespace_id);
  std::ostream& out_;
  std::ostream& err_;
  const Clock& clock_;
  GlobalOptions options_;
  int exit_code_ = kExitOk;
  bool progress_shown_ = false;
  std::unique_ptr<Context> context_;
  std::unique_ptr<KvClient> config_, state_, tokens_;
  std::unique_ptr<WorkerApi> worker_;
  std::unique_ptr<http::Client> admin_;
};

}  // namespace mcpfleet::cli
