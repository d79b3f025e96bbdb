// The client of the gateway's bench. One thread, epoll, no library: it must cost less than what it measures.
//
//   bench_load calls URL [--era legacy|modern] [--connections N] [--seconds S] [--warm S] [--rate CALLS_PER_SECOND]
//   bench_load sessions URL [--count N] [--parallel N] [--keep none|connection|stream]
//   bench_load big URL [--era …] [--bytes N] [--count N]
//   bench_load stdio|pipe [--seconds S | --bytes N --count N] -- COMMAND [ARGUMENT…]
//   bench_load cat [--count N] -- FILE
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include <nlohmann/json.hpp>

#include "bench/gateway/load_modes.h"

namespace mcpfleet::bench {

std::string Latencies::Json() {
  std::sort(microseconds.begin(), microseconds.end());
  const auto at = [this](double part) {
    if (microseconds.empty()) return 0.0;
    return microseconds[std::min(microseconds.size() - 1,
                                 static_cast<size_t>(part * static_cast<double>(microseconds.size())))];
  };
  char text[200];
  std::snprintf(text, sizeof text, "\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f", at(0.5), at(0.9), at(0.99),
                at(1));
  return text;
}

void WaitForStdin() {
  std::fflush(stdout);
  char byte = 0;
  while (read(0, &byte, 1) == 1 && byte != '\n') {
  }
}

namespace {

std::optional<LoadOptions> Parse(int argc, char** argv) {
  LoadOptions options;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") {
      options.command.assign(argv + i + 1, argv + argc);
      break;
    }
    if (word.substr(0, 7) == "http://") {
      const auto endpoint = ParseEndpoint(word);
      if (!endpoint) return std::nullopt;
      options.endpoint = *endpoint;
      continue;
    }
    if (++i == argc) return std::nullopt;
    const std::string value = argv[i];
    if (word == "--era") {
      options.era = value == "modern" ? Era::kModern : Era::kLegacy;
    } else if (word == "--connections") {
      options.connections = std::atoi(value.c_str());
    } else if (word == "--seconds") {
      options.seconds = std::atof(value.c_str());
    } else if (word == "--warm") {
      options.warm = std::atof(value.c_str());
    } else if (word == "--rate") {
      options.rate = std::atof(value.c_str());
    } else if (word == "--count") {
      options.count = std::atoi(value.c_str());
    } else if (word == "--parallel") {
      options.parallel = std::atoi(value.c_str());
    } else if (word == "--keep") {
      options.keep = value;
    } else if (word == "--bytes") {
      options.bytes = std::strtoull(value.c_str(), nullptr, 10);
    } else {
      return std::nullopt;
    }
  }
  return options;
}

int Main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const auto options = Parse(argc, argv);
  const std::string mode = argc > 1 ? argv[1] : "";
  if (!options || options->connections < 1 || options->count < 1) return 2;
  const bool served = !options->endpoint.path.empty(), spawns = !options->command.empty();
  if (mode == "calls" && served) return RunCalls(*options);
  if (mode == "sessions" && served) return RunSessions(*options);
  if (mode == "big" && served) return RunBig(*options);
  if (mode == "stdio" && spawns) return RunStdio(*options);
  if (mode == "pipe" && spawns) return RunPipe(*options);
  if (mode == "cat" && spawns) return RunCat(*options);
  std::fprintf(stderr, "bench_load: see the head of load.cc\n");
  return 2;
}

}  // namespace
}  // namespace mcpfleet::bench

int main(int argc, char** argv) { return mcpfleet::bench::Main(argc, argv); }
