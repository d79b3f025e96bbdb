#include "base/http/request_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/strings.h"

namespace mcpfleet::http {
namespace beast_http = boost::beast::http;
namespace {

std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

// Whatever of a chunked body is still to come is at least "0\r\n\r\n". With less than that of its last chunk, Beast
// 1.74 fails an assertion of its own.
constexpr size_t kLastChunkBytes = 5;

int StatusOf(const boost::beast::error_code& error) {
  if (error == beast_http::error::header_limit) return 431;
  if (error == beast_http::error::body_limit) return 413;
  return 400;
}

}  // namespace

struct RequestParser::State {
  beast_http::request_parser<beast_http::string_body> parser;
  bool head_checked = false;
  int error = 0;

  // Where two readers of one request could disagree about its borders, it is refused.
  int CheckHead() const {
    const auto& head = parser.get();
    if (head.version() != 11 && head.version() != 10) return 400;
    if (head.target().empty() || (head.target()[0] != '/' && head.target() != "*")) return 400;
    if (head.count(beast_http::field::host) > 1 || (head.version() == 11 && head.count(beast_http::field::host) == 0))
      return 400;
    if (head.count(beast_http::field::content_length) > 1) return 400;
    if (size_t n = head.count(beast_http::field::transfer_encoding); n != 0) {
      if (n > 1 || head.version() == 10 || head.count(beast_http::field::content_length) != 0) return 400;
      if (!EqualsIgnoreCase(View(head[beast_http::field::transfer_encoding]), "chunked")) return 501;
    }
    return 0;
  }
};

RequestParser::RequestParser(size_t max_header, size_t max_body) : state_(std::make_unique<State>()) {
  state_->parser.header_limit(static_cast<uint32_t>(max_header));
  state_->parser.body_limit(max_body);
}
RequestParser::~RequestParser() = default;

size_t RequestParser::Put(std::string_view bytes) {
  State& s = *state_;
  size_t used = 0;
  while (s.error == 0 && !s.parser.is_done()) {
    if (s.head_checked && s.parser.chunked() && bytes.size() - used < kLastChunkBytes) break;
    boost::beast::error_code error;
    size_t n = s.parser.put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
    used += n;
    if (error && error != beast_http::error::need_more) {
      s.error = StatusOf(error);
      break;
    }
    if (s.parser.is_header_done() && !s.head_checked) {
      s.head_checked = true;
      s.error = s.CheckHead();
      s.parser.eager(true);
      continue;
    }
    if (error || n == 0) break;
  }
  return used;
}

int RequestParser::error_status() const { return state_->error; }
bool RequestParser::head_done() const { return state_->parser.is_header_done(); }
bool RequestParser::done() const { return state_->error == 0 && state_->parser.is_done(); }
bool RequestParser::keep_alive() const { return state_->parser.get().keep_alive(); }
bool RequestParser::http10() const { return state_->parser.get().version() == 10; }
bool RequestParser::expects_continue() const {
  return head_done() && EqualsIgnoreCase(View(state_->parser.get()[beast_http::field::expect]), "100-continue");
}

Request RequestParser::Take() {
  auto message = state_->parser.release();
  Request request{.method = std::string(View(message.method_string())), .target = std::string(View(message.target()))};
  for (const auto& field : message) request.headers.Add(View(field.name_string()), View(field.value()));
  request.body = std::move(message.body());
  return request;
}

}  // namespace mcpfleet::http
