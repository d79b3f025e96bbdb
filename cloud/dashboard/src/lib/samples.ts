export const SAMPLES: { name: string; text: string }[] = [
  {
    name: "npm package",
    text: `apiVersion: mcpfleet.dev/v1alpha1
kind: MCPServer
metadata:
  name: everything
spec:
  source:
    package:
      manager: npm
      name: "@modelcontextprotocol/server-everything"
      version: 2026.8.31
`,
  },
  {
    name: "Container image",
    text: `apiVersion: mcpfleet.dev/v1alpha1
kind: MCPServer
metadata:
  name: weather
  labels: {tier: gold}
spec:
  source:
    image:
      ref: ghcr.io/example/weather:1.4.2
  transport: streamable-http
  port: 8080
  resources:
    limits: {cpu: 500m, memory: 256Mi}
`,
  },
  {
    name: "Remote server",
    text: `apiVersion: mcpfleet.dev/v1alpha1
kind: MCPServer
metadata:
  name: docs
spec:
  source:
    remote:
      url: https://mcp.example.com/mcp
`,
  },
];
