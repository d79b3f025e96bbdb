// `mcpctl dashboard`: the address at which a browser signs in, and the browser with it.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ostream>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/context.h"
#include "cli/verbs.h"

namespace mcpfleet::cli {
namespace {

struct DashboardOptions {
  bool open = true;
};

std::string Variable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// A directory of this user alone.
std::string OwnDirectory() {
  std::string run = Variable("XDG_RUNTIME_DIR");
  return run.empty() ? CachePath() : run;
}

// The arguments of a process are everybody's to read, and the address has a token in it: the browser is given a page
// that goes there.
StatusOr<std::string> WriteSignpost(const std::string& url) {
  const std::string directory = OwnDirectory();
  if (directory.empty()) return FailedPrecondition("$HOME is not set");
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  const std::string path = directory + "/mcpctl-dashboard.html";
  // Nothing in the address needs escaping: a name, a port and hex digits.
  RETURN_IF_ERROR(WriteFileAtomically(
      path,
      "<!doctype html><meta charset=utf-8><title>mcpfleet</title><meta http-equiv=refresh content=\"0;url=" + url +
          "\"><a href=\"" + url + "\">The dashboard</a>\n",
      0600));
  return "file://" + path;
}

// Some openers are the browser itself and stay as long as it: one that did not fail by then has opened it.
constexpr Duration kOpens = std::chrono::seconds(3);

// Without waiting for the browser. False: there is none to be seen, or nothing that could open it.
bool OpenBrowser(const std::string& address) {
  if (Variable("DISPLAY").empty() && Variable("WAYLAND_DISPLAY").empty()) return false;
  std::string program = "xdg-open", argument = address;
  const std::array<char*, 3> argv{program.data(), argument.data(), nullptr};
  const pid_t pid = fork();
  if (pid < 0) return false;
  if (pid == 0) {
    setsid();
    const int null = open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) dup2(null, fd);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  for (const Deadline deadline = Deadline::After(kOpens); !deadline.Expired();) {
    if (waitpid(pid, &status, WNOHANG) == pid) return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

// Where the context's store is a Worker, that has the dashboard.
StatusOr<std::string> WorkerUrl(Session& session, const Context& context, Deadline deadline) {
  StatusOr<WorkerApi*> worker = session.Worker();
  const Status answers = worker.ok() ? (*worker)->Get("/v1/whoami", deadline).status() : worker.status();
  if (!answers.ok())
    return Annotate(answers, "context \"" + context.name + "\" has no admin socket and its store no Worker");
  return context.server + "/-/";
}

Status RunDashboard(Session& session, const DashboardOptions& options) {
  ASSIGN_OR_RETURN(const Deadline deadline, session.RequestDeadline());
  ASSIGN_OR_RETURN(const Context context, session.context());
  if (context.admin.empty()) {
    ASSIGN_OR_RETURN(const std::string url, WorkerUrl(session, context, deadline));
    session.out() << url << "\n";
    if (options.open) OpenBrowser(url);
    return OkStatus();
  }
  http::Request request{
      .method = "POST", .target = "/v1/dashboard/login", .body = DumpJson({{"who", Session::Author()}})};
  request.headers.Set("Content-Type", "application/json");
  // Whoever may use the socket may anything there; by TCP mcplet asks who may change the fleet.
  if (!context.admin.starts_with("unix://")) request.headers.Set("Mcpfleet-Store-Token", context.token);
  ASSIGN_OR_RETURN(const http::Response response, session.Admin(request, deadline));
  ASSIGN_OR_RETURN(const Json login, ParseJson(response.body));
  const std::string url = GetString(login, "url");
  if (url.empty()) return Unavailable("mcplet gave no address");
  if (!GetBool(login, "page")) {
    session.err() << "warning: this mcplet was built without the page; " << url.substr(0, url.find('#'))
                  << " says how to build it\n";
  }
  session.out() << url << "\n";
  session.err() << "Good for one sign-in within five minutes, in a browser on this machine";
  bool opened = false;
  if (options.open) {
    const StatusOr<std::string> signpost = WriteSignpost(url);
    opened = signpost.ok() && OpenBrowser(*signpost);
  }
  session.err() << (opened ? "; opened.\n" : ".\n");
  return OkStatus();
}

}  // namespace

void RegisterDashboard(CLI::App& root, Session& session) {
  auto* command = root.add_subcommand("dashboard", "Open this node's dashboard in a browser, signed in");
  auto options = std::make_shared<DashboardOptions>();
  command->footer(
      "mcplet serves it for a node with the embedded store, on loopback only; a Worker has its own, and its address "
      "is\n"
      "printed where the context's store is one. It needs the node's socket, or the store's operator token. From "
      "another\n"
      "machine: ssh -L 8701:127.0.0.1:8701 NODE, run this on the node with --no-open, and open what it prints.\n\n"
      "Examples:\n  mcpctl dashboard\n  mcpctl dashboard --no-open");
  command->add_flag("--open,!--no-open", options->open, "open the browser (default); with --no-open only print");
  command->callback([options, &session] { session.Finish(RunDashboard(session, *options)); });
}

}  // namespace mcpfleet::cli
