// Values of secrets in mcpctl's own arguments, which every user of the machine can read in /proc for as long as it
// runs: they are overwritten there as soon as they have been copied.
#pragma once

namespace mcpfleet::cli {

// Overwrites what --from-literal gives, in the memory that the kernel shows: VALUE of KEY=VALUE, all of it without a =.
void HideLiterals(int argc, char** argv);

}  // namespace mcpfleet::cli
