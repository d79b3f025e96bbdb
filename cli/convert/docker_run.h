// The options of `docker run` (and podman's) in front of an image. Internal to cli/convert.
#pragma once

#include <vector>

#include "cli/convert/draft.h"

namespace mcpfleet::convert {

// Reads words from `*next` on as options; ends at the first word that is none. False when one is not known, so that it
// is not clear where the image stands (the server is then left out). With `env_of_client` a variable that is only named
// (-e NAME) is the one of draft.env, and what is not named does not reach the container.
bool ReadDockerOptions(Draft* draft, const std::vector<Text>& words, size_t* next, bool env_of_client);

}  // namespace mcpfleet::convert
