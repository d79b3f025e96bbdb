#include "base/log.h"

#include <unistd.h>

#include <atomic>

#include "base/clock.h"
#include "base/strings.h"

namespace mcpfleet {
namespace {

std::atomic<LogLevel> least_level{LogLevel::kInfo};
std::atomic<LogFormat> format{LogFormat::kAuto};

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    unsigned char u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (u < 0x20) {
      out += "\\u00";
      out += {"0123456789abcdef"[u >> 4], "0123456789abcdef"[u & 15]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

const char* Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

bool UseJson() {
  LogFormat f = format.load();
  if (f == LogFormat::kAuto) {
    static const bool terminal = isatty(STDERR_FILENO) == 1;
    return !terminal;
  }
  return f == LogFormat::kJson;
}

}  // namespace

bool LogEnabled(LogLevel level) { return level >= least_level.load(); }
void SetLogLevel(LogLevel level) { least_level = level; }
void SetLogFormat(LogFormat f) { format = f; }

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (!LogEnabled(level)) return;
  std::string now = FormatTime(SystemClock().Wall());
  std::string line;
  if (UseJson()) {
    line = "{\"time\":" + JsonString(now) + ",\"level\":\"" + Name(level) + "\",\"msg\":" + JsonString(message);
    for (const LogField& f : fields) line += "," + JsonString(f.key) + ":" + (f.quoted ? JsonString(f.value) : f.value);
    line += "}\n";
  } else {
    line = now + " " + Name(level) + " " + std::string(message);
    for (const LogField& f : fields) line += " " + f.key + "=" + Printable(f.value, 1000);
    line += "\n";
  }
  // A log that can't be written must not stop the program.
  [[maybe_unused]] ssize_t n = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace mcpfleet
