#include "cli/session.h"

#include <poll.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <ostream>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/strings.h"
#include "store/remembered_blobs.h"

namespace mcpfleet::cli {
namespace {

// A person waits: a store that is down is said within a second, not after the minute that an agent would be patient
// for.
constexpr int kAttempts = 3;
constexpr char kAdminPrefix[] = "mcplet at ";

// An operation of KvClient as the request that it makes.
std::string RequestOf(std::string_view op) {
  if (op == "get") return "GET values";
  if (op == "list") return "GET keys";
  if (op == "bulk_get") return "POST bulk/get";
  if (op == "put") return "PUT values";
  if (op == "bulk_put") return "PUT bulk";
  if (op == "delete") return "DELETE values";
  if (op == "bulk_delete") return "POST bulk/delete";
  if (op.starts_with("worker_")) return "Worker, " + std::string(op.substr(7));
  return std::string(op);
}

}  // namespace

Session::Session(std::ostream& out, std::ostream& err, const Clock& clock) : out_(out), err_(err), clock_(clock) {}
Session::~Session() = default;

bool Session::color() const {
  return !options_.no_color && getenv("NO_COLOR") == nullptr && isatty(STDOUT_FILENO) == 1;
}
bool Session::progress() const { return isatty(STDERR_FILENO) == 1; }

StatusOr<Context> Session::context() {
  if (context_ == nullptr) {
    ASSIGN_OR_RETURN(ContextFile file, LoadContexts(ContextPath()));
    ASSIGN_OR_RETURN(Context chosen, ChooseContext(file, options_.context));
    context_ = std::make_unique<Context>(std::move(chosen));
  }
  return *context_;
}

StatusOr<std::string> Session::Namespace() {
  if (!options_.namespace_.empty()) return options_.namespace_;
  ASSIGN_OR_RETURN(Context chosen, context());
  return chosen.namespace_;
}

RestOptions Session::StoreOptions(const Context& chosen) {
  RestOptions options{.base_url = chosen.server, .token = chosen.token, .max_attempts = kAttempts};
  if (options_.verbosity > 0) {
    options.on_request = [this](std::string_view op, int code) {
      err_ << "store: " << RequestOf(op) << " -> " << code << "\n";
    };
  }
  return options;
}

StatusOr<KvClient*> Session::Open(std::unique_ptr<KvClient>* slot, std::string Context::*namespace_id) {
  ASSIGN_OR_RETURN(Context chosen, context());
  return Open(slot, chosen, chosen.*namespace_id);
}

StatusOr<KvClient*> Session::Open(std::unique_ptr<KvClient>* slot, const Context& chosen,
                                  const std::string& namespace_id) {
  if (*slot == nullptr) {
    ASSIGN_OR_RETURN(*slot, NewRestKvClient(StoreOptions(chosen), {.id = namespace_id, .account = chosen.account}));
  }
  return slot->get();
}

StatusOr<KvClient*> Session::Config() {
  if (config_ == nullptr) {
    RETURN_IF_ERROR(Open(&config_, &Context::config_namespace).status());
    if (const std::string cache = CachePath(); !cache.empty())
      config_ = RememberBlobs(std::move(config_), cache + "/blobs");
  }
  return config_.get();
}
StatusOr<KvClient*> Session::State() { return Open(&state_, &Context::state_namespace); }
StatusOr<KvClient*> Session::Tokens() {
  ASSIGN_OR_RETURN(Context chosen, context());
  if (chosen.config_namespace != kConfigNamespace)
    return FailedPrecondition("context \"" + chosen.name + "\" is no embedded store: it has no tokens of nodes");
  return Open(&tokens_, chosen, kDeviceTokensNamespace);
}

StatusOr<WorkerApi*> Session::Worker() {
  ASSIGN_OR_RETURN(Context chosen, context());
  if (chosen.config_namespace != kConfigNamespace)
    return FailedPrecondition("context \"" + chosen.name +
                              "\" is Cloudflare's own API, without a Worker in front of it");
  if (worker_ == nullptr) {
    ASSIGN_OR_RETURN(worker_, WorkerApi::Create(StoreOptions(chosen)));
  }
  return worker_.get();
}

StatusOr<std::string> Session::AdminTarget() {
  ASSIGN_OR_RETURN(Context chosen, context());
  if (chosen.admin.empty()) {
    return FailedPrecondition("context \"" + chosen.name +
                              "\" has no admin address of a node; set it with: mcpctl config set-context " +
                              chosen.name + " --admin http://127.0.0.1:8701");
  }
  return chosen.admin;
}

StatusOr<http::Client*> Session::AdminClient() {
  if (admin_ != nullptr) return admin_.get();
  ASSIGN_OR_RETURN(std::string target, AdminTarget());
  if (target.starts_with("unix://")) {
    admin_ = std::make_unique<http::Client>(http::UnixEndpoint(target.substr(7)), http::ClientOptions{});
    return admin_.get();
  }
  std::string_view rest = target;
  if (!rest.starts_with("http://"))
    return InvalidArgument("admin address " + target + ": allowed: http://HOST:PORT or unix:///PATH");
  rest.remove_prefix(7);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  size_t colon = rest.rfind(':');
  int port = colon == std::string_view::npos ? 0 : atoi(std::string(rest.substr(colon + 1)).c_str());
  if (port <= 0 || port > 65535) return InvalidArgument("admin address " + target + ": has no port");
  std::string host(rest.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  admin_ = std::make_unique<http::Client>(http::TcpEndpoint(host, static_cast<uint16_t>(port)), http::ClientOptions{});
  return admin_.get();
}

Status Session::PrepareAdmin(http::Request* request) {
  ASSIGN_OR_RETURN(Context chosen, context());
  if (!chosen.admin_token.empty()) request->headers.Set("Authorization", "Bearer " + chosen.admin_token);
  if (options_.verbosity > 0) err_ << "admin: " << request->method << " " << request->target << "\n";
  return OkStatus();
}

namespace {
Status AdminError(const http::Response& response) {
  std::string message;
  if (auto json = ParseJson(response.body); json.ok()) message = GetString(GetMember(*json, "error"), "message");
  if (message.empty())
    message =
        "mcplet answered " + std::to_string(response.status) + " " + std::string(Trim(response.body)).substr(0, 200);
  switch (response.status) {
    case 400:
      return InvalidArgument(message);
    case 401:
      return Unauthenticated(message);
    case 403:
      return PermissionDenied(message);
    case 404:
      return NotFound(message);
    case 503:
      return Unavailable(message);
    case 504:
      return DeadlineExceeded(message);
    default:
      return FailedPrecondition(message);
  }
}
}  // namespace

StatusOr<http::Response> Session::Admin(const http::Request& request, Deadline deadline) {
  ASSIGN_OR_RETURN(http::Client * client, AdminClient());
  http::Request prepared = request;
  RETURN_IF_ERROR(PrepareAdmin(&prepared));
  StatusOr<http::Response> response = client->Do(prepared, deadline);
  if (!response.ok()) return Annotate(response.status(), kAdminPrefix + AdminTarget().value_or("?"));
  if (response->status >= 400) return AdminError(*response);
  return response;
}

StatusOr<std::unique_ptr<http::ResponseStream>> Session::AdminStream(const http::Request& request, Deadline deadline) {
  ASSIGN_OR_RETURN(http::Client * client, AdminClient());
  http::Request prepared = request;
  RETURN_IF_ERROR(PrepareAdmin(&prepared));
  StatusOr<std::unique_ptr<http::ResponseStream>> stream = client->Open(prepared, deadline);
  if (!stream.ok()) return Annotate(stream.status(), kAdminPrefix + AdminTarget().value_or("?"));
  if ((*stream)->head().status >= 400) {
    http::Response response = (*stream)->head();
    if (auto body = (*stream)->Read(deadline); body.ok()) response.body = *body;
    return AdminError(response);
  }
  return stream;
}

StatusOr<Deadline> Session::RequestDeadline() {
  ASSIGN_OR_RETURN(Duration timeout, ParseDuration(options_.request_timeout));
  return timeout == Duration::zero() ? Deadline::Never() : Deadline::After(timeout);
}

Status Session::UpdateContext(const std::function<void(Context*)>& change) {
  change(context_.get());
  // That of this machine's mcplet is in no file.
  if (context_->name == kNodeContextName) return OkStatus();
  return UpdateContexts(ContextPath(), [&](ContextFile* file) {
    Context* stored = file->Find(context_->name);
    if (stored != nullptr) change(stored);
    return OkStatus();
  });
}

void Session::SawHead(const HeadOrder& order) {
  if (context_ == nullptr || !context_->trust_root.empty() || order <= context_->seen) return;
  const Status saved = UpdateContext([&](Context* context) {
    if (context->trust_root.empty() && context->seen < order) context->seen = order;
  });
  if (!saved.ok()) err_ << "warning: " << Message(saved) << "\n";
}

bool Session::Pause(Duration most) {
  pollfd out{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  out_.flush();
  poll(&out, 1, Deadline::After(most).PollMillis());
  return out_.good() && (out.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0;
}

void Session::ShowProgress(const std::string& line) {
  if (!progress() || (line.empty() && !progress_shown_)) return;
  winsize size{};
  size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  std::string text = Printable(line, 4 * columns);
  size_t shown = 0, end = 0;
  while (end < text.size() && (shown < columns - 1 || (text[end] & 0xc0) == 0x80))
    shown += (text[end++] & 0xc0) != 0x80 ? 1 : 0;
  err_ << "\r\033[K" << text.substr(0, end) << std::flush;
  progress_shown_ = !line.empty();
}

// What to do about an error, where the connection is what is wrong and not the request.
std::string Session::Hint(const Status& status) const {
  if (context_ == nullptr || Message(status).find("mcpctl config") != std::string::npos) return "";
  bool admin = Message(status).starts_with(kAdminPrefix);
  switch (status.code()) {
    case StatusCode::kUnavailable:
      return admin ? "is mcplet running there? systemctl status mcplet; the address is that of context \"" +
                         context_->name + "\""
                   : "the store is " + context_->server + " (context \"" + context_->name +
                         "\"); is it running? On its node: systemctl status mcplet. Another store: mcpctl config "
                         "get-contexts";
    case StatusCode::kUnauthenticated:
    case StatusCode::kPermissionDenied:
      return "the token of context \"" + context_->name +
             "\" is not accepted for this; set another: mcpctl config set-context '" + context_->name +
             "' --token-stdin < FILE";
    default:
      return "";
  }
}

void Session::Finish(const Status& status, int code_on_error) {
  ShowProgress("");
  if (status.ok()) return;
  err_ << "error: " << Message(status) << "\n";
  if (std::string hint = Hint(status); !hint.empty()) err_ << hint << "\n";
  exit_code_ = code_on_error;
}

std::string Session::Author() {
  const char* user = getenv("USER");
  std::string name = user == nullptr ? "" : user;
  if (passwd* entry = name.empty() ? getpwuid(geteuid()) : nullptr; entry != nullptr) name = entry->pw_name;
  char host[HOST_NAME_MAX + 1] = {};
  gethostname(host, sizeof host - 1);
  return (name.empty() ? "unknown" : name) + "@" + host;
}

}  // namespace mcpfleet::cli
