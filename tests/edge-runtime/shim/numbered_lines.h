// Lines that show where they were torn: a number, a length, and bytes that follow from the number. Up to 300 kB.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace mcpfleet::shim_test {

inline size_t NumberedLength(int64_t n) {
  uint64_t x = static_cast<uint64_t>(n) * 0x9e3779b97f4a7c15u;
  x ^= x >> 29;
  if (x % 50 == 0) return 100'000 + x / 50 % 200'000;
  if (x % 10 == 1) return 4'000 + x / 50 % 60'000;
  return x / 50 % 400;
}

inline std::string NumberedLine(int64_t n) {
  std::string line = "{\"n\":" + std::to_string(n) + ",\"pad\":\"";
  size_t length = NumberedLength(n);
  line.append(length, static_cast<char>('a' + n % 26));
  line += "\"}";
  return line;
}

// The number, or -1 when a byte is wrong or missing.
inline int64_t CheckNumberedLine(std::string_view line) {
  if (line.substr(0, 5) != "{\"n\":") return -1;
  int64_t n = std::atoll(std::string(line.substr(5, 20)).c_str());
  return line == NumberedLine(n) ? n : -1;
}

}  // namespace mcpfleet::shim_test
