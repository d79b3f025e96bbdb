// Which sanitizers a test runs under: their memory is not ours, so a few figures can't be held to their limits.
#pragma once

namespace mcpfleet {

#ifdef __has_feature
#define MCPFLEET_HAS_FEATURE(name) __has_feature(name)
#else
#define MCPFLEET_HAS_FEATURE(name) 0  // g++, which builds none of the sanitizer presets
#endif
inline constexpr bool kTsan = MCPFLEET_HAS_FEATURE(thread_sanitizer);
inline constexpr bool kSanitized = kTsan || MCPFLEET_HAS_FEATURE(address_sanitizer);
#undef MCPFLEET_HAS_FEATURE

}  // namespace mcpfleet
