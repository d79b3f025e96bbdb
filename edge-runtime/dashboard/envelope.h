// Answers of the dashboard's routes: the Worker's envelope (cloud/worker/src/http/envelope.ts), so that one page speaks
// to both.
#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/http/message.h"
#include "base/json.h"
#include "base/status.h"

namespace mcpfleet::dashboard {

// {"result", "success": true, "errors": [], "messages": []}, with "result_info" where `info` is not null.
http::Response Reply(Json result, Json info = nullptr);
// The same for what is named by a hash: a browser may keep it for ever.
http::Response ReplyForEver(Json result);
http::Response Refuse(int http_status, std::string_view message);
http::Response Refuse(const Status& status);
// What every answer to a browser carries: no sniffing, no frames, no referrer, no store unless it says so.
void AddSecurityHeaders(http::Response* response);

}  // namespace mcpfleet::dashboard
