// The npm packages that the tests of the gateway use, and servers made of them: Node as the program, what it runs in a
// read-only volume. scripts/test installs the packages and says where in $MCPFLEET_TEST_NPM.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "tests/integration/node.h"

namespace mcpfleet {

// The directory that has node_modules in it, and Node there; "" when either is not installed.
std::string PackageDirectory();
std::string NodeProgram();
// A script below tests/conformance.
std::string ScriptPath(const std::string& name);

enum class On { kProcess, kDocker };

// Where servers find the packages and our fixtures.
inline constexpr char kPackagesMount[] = "/srv/node_modules";
inline constexpr char kFixturesMount[] = "/srv/fixtures";
// An image with nothing in it but the libraries that Node needs; the error says what is missing.
inline constexpr char kNodeImage[] = "mcpfleet-test/node:1";
Status ImportNodeImage();

// A server that is `script` (a path inside the mounts) run by Node; `spec` is merged over what is set here.
Json NodeServer(On runtime, const std::string& name, const std::string& script,
                const std::vector<std::string>& args = {}, const Json& spec = Json::object());
// What a node must allow for them.
Json NodeServerPolicy();

// Runs a script with Node (or a .py with Python), with NPM_PACKAGES set.
CommandResult RunScript(const std::string& name, const std::vector<std::string>& args, Duration timeout);

}  // namespace mcpfleet
