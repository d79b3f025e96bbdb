// Logging: a constant message, everything variable a field, one line per event.
//
//   LOG_INFO("instance started", {{"server", key}, {"instance", id}});
//
// Text on a terminal, JSON otherwise (SetLogFormat overrides). Goes to stderr in one write(2). Thread-safe.
// Never log a secret: values of environment variables and tokens have no field.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace mcpfleet {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kAuto, kText, kJson };

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), quoted(false) {}
  template <typename T>
  requires std::is_arithmetic_v<T> LogField(std::string_view k, T v)
      : key(k), value(std::to_string(v)), quoted(false) {}
  LogField(std::string_view k, const Status& s) : key(k), value(s.ToString()) {}
  std::string key, value;
  bool quoted = true;
};

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
bool LogEnabled(LogLevel level);
void SetLogLevel(LogLevel level);
void SetLogFormat(LogFormat format);

}  // namespace mcpfleet

#define LOG_DEBUG(...)                                            \
  do {                                                            \
    if (::mcpfleet::LogEnabled(::mcpfleet::LogLevel::kDebug))     \
      ::mcpfleet::Log(::mcpfleet::LogLevel::kDebug, __VA_ARGS__); \
  } while (false)
#define LOG_INFO(...) ::mcpfleet::Log(::mcpfleet::LogLevel::kInfo, __VA_ARGS__)
#define LOG_WARNING(...) ::mcpfleet::Log(::mcpfleet::LogLevel::kWarning, __VA_ARGS__)
#define LOG_ERROR(...) ::mcpfleet::Log(::mcpfleet::LogLevel::kError, __VA_ARGS__)
