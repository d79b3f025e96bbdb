// What `docker run` and docker compose say in the same words. Internal to cli/convert.
#pragma once

#include <string>

#include "cli/convert/draft.h"

namespace mcpfleet::convert {

// "512m" as "512Mi": docker's units are powers of 1024. What is no such text comes back as it is.
std::string DockerBytes(std::string_view text);
// HOST:TARGET[:OPTIONS], or TARGET alone
void TakeVolumeWord(Draft& draft, const std::string& word, const std::string& path);
// TARGET[:size=64m,…]
void TakeTmpfsWord(Draft& draft, const std::string& word, const std::string& path);
// `host` "" or no absolute path: a loss that says why.
void TakeVolume(Draft& draft, const std::string& host, const std::string& target, bool read_only,
                const std::string& path);
void TakeNetwork(Draft& draft, const std::string& mode, const std::string& path);
void TakeUser(Draft& draft, const std::string& user, const std::string& path);
void TakeCapability(Draft& draft, const std::string& name, const std::string& path);

}  // namespace mcpfleet::convert
