#include "base/http/client.h"

#include <vector>

#include "base/http/connection.h"
#include "base/http/response_parser.h"
#include "base/mutex.h"
#include "base/strings.h"

namespace mcpfleet::http {
namespace {

bool IsIdempotent(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" || method == "OPTIONS";
}

// What the caller of Upgrade can act on: whether the thing is missing, refused, or to be tried again.
Status StatusOfAnswer(const Response& answer) {
  std::string message = "upgrade answered " + std::to_string(answer.status);
  if (!answer.body.empty()) message += ": " + Printable(answer.body, 300);
  if (answer.status == 404) return NotFound(message);
  if (answer.status == 401) return Unauthenticated(message);
  if (answer.status == 403) return PermissionDenied(message);
  if (answer.status == 429 || answer.status >= 500) return Unavailable(message);
  return FailedPrecondition(message);
}

}  // namespace

// Kept connections. Shared with the streams that give theirs back.
class Client::Pool : public std::enable_shared_from_this<Client::Pool> {
 public:
  Pool(Endpoint endpoint, ClientOptions options) : endpoint_(std::move(endpoint)), options_(std::move(options)) {}

  // An exchange whose head has been read.
  struct Exchange {
    std::unique_ptr<Connection> connection;
    std::unique_ptr<ResponseParser> parser;
  };
  StatusOr<Exchange> Begin(const Request& request, size_t max_body, Deadline deadline);
  void GiveBack(Exchange exchange) LOCKS_EXCLUDED(mu_);
  const ClientOptions& options() const { return options_; }

 private:
  std::unique_ptr<Connection> TakeKept() LOCKS_EXCLUDED(mu_);
  StatusOr<Exchange> Try(std::unique_ptr<Connection> connection, std::string_view wire, bool head, size_t max_body,
                         Deadline deadline, bool* untouched);

  const Endpoint endpoint_;
  const ClientOptions options_;
  Mutex mu_;
  std::vector<std::unique_ptr<Connection>> kept_ GUARDED_BY(mu_);
};

std::unique_ptr<Connection> Client::Pool::TakeKept() {
  MutexLock lock(&mu_);
  while (!kept_.empty()) {
    std::unique_ptr<Connection> connection = std::move(kept_.back());
    kept_.pop_back();
    if (connection->LooksIdle()) return connection;
  }
  return nullptr;
}

void Client::Pool::GiveBack(Exchange exchange) {
  if (!exchange.parser->done() || !exchange.parser->keep_alive()) return;
  MutexLock lock(&mu_);
  if (kept_.size() < options_.max_idle) kept_.push_back(std::move(exchange.connection));
}

StatusOr<Client::Pool::Exchange> Client::Pool::Begin(const Request& request, size_t max_body, Deadline deadline) {
  ASSIGN_OR_RETURN(std::string wire, SerializeRequest(request, endpoint_, options_));
  bool head = request.method == "HEAD";
  bool untouched = false;
  if (std::unique_ptr<Connection> kept = TakeKept()) {
    StatusOr<Exchange> answer = Try(std::move(kept), wire, head, max_body, deadline, &untouched);
    bool repeat =
        !answer.ok() && untouched && answer.status().code() == StatusCode::kUnavailable && IsIdempotent(request.method);
    if (!repeat) return answer;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> fresh, Connection::Open(endpoint_, options_, deadline));
  return Try(std::move(fresh), wire, head, max_body, deadline, &untouched);
}

// `untouched`: no byte of an answer arrived.
StatusOr<Client::Pool::Exchange> Client::Pool::Try(std::unique_ptr<Connection> connection, std::string_view wire,
                                                   bool head, size_t max_body, Deadline deadline, bool* untouched) {
  *untouched = true;
  Status written = connection->Write(wire, deadline);
  // A server that refuses early answers and closes while we still write: its answer says more than our EPIPE.
  if (!written.ok() && written.code() != StatusCode::kUnavailable) return written;
  auto parser = std::make_unique<ResponseParser>(
      ResponseParser::Options{.head_request = head, .max_header = options_.max_header, .max_body = max_body});
  while (!parser->head_done()) {
    StatusOr<std::string> bytes = connection->Read(deadline);
    if (!bytes.ok()) return written.ok() ? bytes.status() : written;
    if (bytes->empty()) return written.ok() ? parser->Eof() : written;
    *untouched = false;
    RETURN_IF_ERROR(parser->Feed(*bytes));
  }
  if (!written.ok()) parser->head().headers.Set("Connection", "close");
  return Exchange{std::move(connection), std::move(parser)};
}

namespace {

// Reads on until the parser has some body or the end.
Status ReadMore(Connection* connection, ResponseParser* parser, Deadline deadline) {
  ASSIGN_OR_RETURN(std::string bytes, connection->Read(deadline));
  return bytes.empty() ? parser->Eof() : parser->Feed(bytes);
}

}  // namespace

Client::Client(Endpoint endpoint, ClientOptions options)
    : pool_(std::make_shared<Pool>(std::move(endpoint), std::move(options))) {}
Client::~Client() = default;

StatusOr<Response> Client::Do(const Request& request, Deadline deadline) {
  ASSIGN_OR_RETURN(Pool::Exchange exchange, pool_->Begin(request, pool_->options().max_body, deadline));
  while (!exchange.parser->done()) {
    RETURN_IF_ERROR(ReadMore(exchange.connection.get(), exchange.parser.get(), deadline));
  }
  Response response = std::move(exchange.parser->head());
  response.body = exchange.parser->TakeBody();
  pool_->GiveBack(std::move(exchange));
  return response;
}

namespace {

template <typename Pool, typename Exchange>
class Stream final : public ResponseStream {
 public:
  // shared: a stream may outlive its Client.
  Stream(std::shared_ptr<Pool> pool, Exchange exchange) : pool_(std::move(pool)), exchange_(std::move(exchange)) {}
  ~Stream() override { pool_->GiveBack(std::move(exchange_)); }

  const Response& head() const override { return exchange_.parser->head(); }
  StatusOr<std::string> Read(Deadline deadline) override {
    for (;;) {
      std::string piece = exchange_.parser->TakeBody();
      if (!piece.empty() || exchange_.parser->done()) return piece;
      RETURN_IF_ERROR(ReadMore(exchange_.connection.get(), exchange_.parser.get(), deadline));
    }
  }
  void Cancel() override { exchange_.connection->Cancel(); }

 private:
  std::shared_ptr<Pool> pool_;
  Exchange exchange_;
};

}  // namespace

StatusOr<std::unique_ptr<ResponseStream>> Client::Open(const Request& request, Deadline deadline) {
  ASSIGN_OR_RETURN(Pool::Exchange exchange, pool_->Begin(request, SIZE_MAX, deadline));
  return std::make_unique<Stream<Pool, Pool::Exchange>>(pool_, std::move(exchange));
}

StatusOr<Upgraded> Client::Upgrade(const Request& request, Deadline deadline) {
  ASSIGN_OR_RETURN(Pool::Exchange exchange, pool_->Begin(request, size_t{64} << 10, deadline));
  if (exchange.parser->head().status != 101) {
    // The answer's body says why, where it comes at all.
    while (!exchange.parser->done() && ReadMore(exchange.connection.get(), exchange.parser.get(), deadline).ok()) {
    }
    Response answer = exchange.parser->head();
    answer.body = exchange.parser->TakeBody();
    return StatusOfAnswer(answer);
  }
  ASSIGN_OR_RETURN(UniqueFd fd, exchange.connection->TakeFd());
  return Upgraded{std::move(fd), exchange.parser->TakeLeftover()};
}

}  // namespace mcpfleet::http
