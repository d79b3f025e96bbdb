// Who may do what: the whole of it. One line is one route (as it is registered) with a request to it; the columns say
// for whom it is allowed:
//
//   D  the device token of node edge-1        I  a person by Cloudflare Access (or a JWT of routeJwt) without a role
//   O  the device token of another node       V  a viewer: API token, Access by e-mail or group
//   A  anybody, also without credentials      P  an operator: API token, Access by e-mail, group or service token
//
// Wrong credentials (none, unknown, expired, revoked, other audience, issuer or key) are refused with 401 except where
// A stands, right ones without the right with 403. A route that is not here fails the test.
import { HEX, type Row } from "./access_rows.js";

const NS = "/client/v4/accounts/{account}/storage/kv/namespaces";

export const TABLE: Row[] = [
  // route                                          request                                            allowed
  ["GET " + NS,                                     {},                                                "VP"],
  ["GET " + NS + "/{namespace}",                    { namespace: "CONFIG" },                           "VP"],
  ["GET " + NS + "/{namespace}",                    { namespace: "DEVICE_TOKENS" },                    "VP"],
  ["GET " + NS + "/{namespace}/keys",               { namespace: "CONFIG" },                           "VP"],
  ["GET " + NS + "/{namespace}/keys",               { namespace: "SERVER_STATE" },                     "VP"],
  ["GET " + NS + "/{namespace}/keys",               { namespace: "DEVICE_TOKENS" },                    "P"],
  ["GET " + NS + "/{namespace}/values/{key}",       { namespace: "CONFIG", key: "head" },              "DOVP"],
  ["GET " + NS + "/{namespace}/values/{key}",       { namespace: "CONFIG", key: `objects/${HEX}` },    "DOVP"],
  ["GET " + NS + "/{namespace}/values/{key}",       { namespace: "CONFIG", key: `shards/${HEX}` },     "DOVP"],
  ["GET " + NS + "/{namespace}/values/{key}",       { namespace: "CONFIG", key: `snapshots/${HEX}` },  "DOVP"],
  ["GET " + NS + "/{namespace}/values/{key}",       { namespace: "CONFIG", key: "trust/1" },           "DOVP"],
  ["GET " + NS + "/{namespace}/values/{key}",       { namespace: "CONFIG", key: "proposals/1" },       "VP"],
  ["GET " + NS + "/{namespace}/values/{key}",       { namespace: "SERVER_STATE", key: "nodes/edge-1" }, "VP"],
  ["GET " + NS + "/{namespace}/values/{key}",       { namespace: "DEVICE_TOKENS", key: `tokens/${HEX}` }, "P"],
  ["GET " + NS + "/{namespace}/metadata/{key}",     { namespace: "CONFIG", key: "head" },              "VP"],
  ["GET " + NS + "/{namespace}/metadata/{key}",     { namespace: "SERVER_STATE", key: "nodes/edge-1" }, "VP"],
  ["GET " + NS + "/{namespace}/metadata/{key}",     { namespace: "DEVICE_TOKENS", key: `tokens/${HEX}` }, "P"],
  ["POST " + NS + "/{namespace}/bulk/get",          { namespace: "CONFIG", body: { keys: [`objects/${HEX}`] } }, "DOVP"],
  ["POST " + NS + "/{namespace}/bulk/get",          { namespace: "CONFIG", body: { keys: ["head", "proposals/1"] } }, "VP"],
  ["POST " + NS + "/{namespace}/bulk/get",          { namespace: "SERVER_STATE", body: { keys: ["nodes/edge-1"] } }, "VP"],
  ["POST " + NS + "/{namespace}/bulk/get",          { namespace: "DEVICE_TOKENS", body: { keys: [`tokens/${HEX}`] } }, "P"],
  ["PUT " + NS + "/{namespace}/values/{key}",       { namespace: "CONFIG", key: "head", body: {} },    "P"],
  ["PUT " + NS + "/{namespace}/values/{key}",       { namespace: "CONFIG", key: "x", body: {} },       "P"],
  ["PUT " + NS + "/{namespace}/values/{key}",       { namespace: "SERVER_STATE", key: "nodes/edge-1", body: {} }, "D"],
  ["PUT " + NS + "/{namespace}/values/{key}",       { namespace: "SERVER_STATE", key: "nodes/edge-1/x", body: {} }, ""],
  ["PUT " + NS + "/{namespace}/values/{key}",       { namespace: "SERVER_STATE", key: "other", body: {} }, "P"],
  ["PUT " + NS + "/{namespace}/values/{key}",       { namespace: "DEVICE_TOKENS", key: `tokens/${HEX}`, body: {} }, "P"],
  ["DELETE " + NS + "/{namespace}/values/{key}",    { namespace: "CONFIG", key: `objects/${HEX}` },    "P"],
  ["DELETE " + NS + "/{namespace}/values/{key}",    { namespace: "SERVER_STATE", key: "nodes/edge-1" }, "P"],
  ["DELETE " + NS + "/{namespace}/values/{key}",    { namespace: "DEVICE_TOKENS", key: `tokens/${HEX}` }, "P"],
  ["PUT " + NS + "/{namespace}/bulk",               { namespace: "CONFIG", body: [{ key: "x", value: "1" }] }, "P"],
  ["PUT " + NS + "/{namespace}/bulk",               { namespace: "SERVER_STATE", body: [{ key: "nodes/edge-2", value: "{}" }] }, ""],
  ["PUT " + NS + "/{namespace}/bulk",               { namespace: "DEVICE_TOKENS", body: [] },          "P"],
  ["POST " + NS + "/{namespace}/bulk/delete",       { namespace: "CONFIG", body: [] },                 "P"],
  ["POST " + NS + "/{namespace}/bulk/delete",       { namespace: "DEVICE_TOKENS", body: [] },          "P"],
  ["DELETE " + NS + "/{namespace}/bulk",            { namespace: "CONFIG", body: [] },                 "P"],
  ["GET /v1/watch",                                 { upgrade: true },                                 "DOVP"],
  ["PUT /v1/joins/{id}",                            { id: HEX.slice(32), body: { node: "edge-9" } },   "P"],
  ["GET /v1/joins",                                 {},                                                "P"],
  ["GET /v1/joins/{id}",                            { id: HEX.slice(32) },                             "P"],
  ["DELETE /v1/joins/{id}",                         { id: HEX.slice(32) },                             "P"],
  ["POST /v1/joins/{id}/redeem",                    { id: HEX.slice(32), body: {} },                   "A"],
  ["POST /v1/device/token",                         {},                                                "DO"],
  ["POST /v1/nodes/{node}/tokens",                  { node: "edge-1" },                                "P"],
  ["GET /v1/whoami",                                {},                                                "DOIVP"],
  ["GET /v1/nodes",                                 {},                                                "VP"],
  ["GET /v1/nodes/{node}",                          { node: "edge-1" },                                "VP"],
  ["PATCH /v1/nodes/{node}",                        { node: "edge-1", body: { tunnel: null } },        "P"],
  ["POST /v1/nodes/{node}/rotate",                  { node: "edge-1" },                                "P"],
  ["POST /v1/nodes/{node}/revoke",                  { node: "edge-1" },                                "P"],
  ["DELETE /v1/nodes/{node}",                       { node: "edge-1" },                                "P"],
  ["GET /v1/servers",                               {},                                                "VP"],
  ["GET /v1/down",                                  {},                                                "DOVP"],
  ["GET /v1/alerts",                                {},                                                "VP"],
  ["GET /v1/uptime",                                { query: "?subject=node/" },                       "VP"],
  ["PUT /v1/logs/{node}/{chunk}",                   { node: "edge-1", chunk: "boot-1", body: {} },     "D"],
  ["GET /v1/logs",                                  {},                                                "VP"],
  ["POST /{namespace}/{server}/mcp",                { namespace: "default", server: "a", body: {} },   "IVP"],
  ["GET /{namespace}/{server}/mcp",                 { namespace: "default", server: "a" },             "IVP"],
  ["DELETE /{namespace}/{server}/mcp",              { namespace: "default", server: "a" },             "IVP"],
  ["GET /v1/openapi.json",                          {},                                                "A"],
  ["GET /v1/health",                                {},                                                "A"],
];
