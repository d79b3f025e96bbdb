"""Requests of 2026-07-28."""
import base64

from raw_kit import check, refused, request
from raw_world import INVALID, LEGACY, MODERN, NOT_FOUND, PARAMS, table

# 2026-07-28, on both servers: the gateway translates for the one that does not speak it.
VERSION = "2026-07-28"
META = {"io.modelcontextprotocol/protocolVersion": VERSION, "io.modelcontextprotocol/clientCapabilities": {}}


class Modern:
    def __init__(self, name, endpoint):
        self.name, self.endpoint = name, endpoint

    def ask(self, method, params=None, headers=None, meta=META, request_id=1):
        params = dict(params or {})
        if meta is not None:
            params["_meta"] = meta
        named = params.get("name", params.get("uri"))
        usual = {"MCP-Protocol-Version": VERSION, "Mcp-Method": method}
        if named is not None:
            usual["Mcp-Name"] = named
        return self.endpoint.ask(request(request_id, method, params), {**usual, **(headers or {})})

    def case(self, name, run):
        table.case(f"{name} ({self.name})", run)

    def refuses(self, name, status, code, *args, **more):
        self.case(name, lambda: refused(self.ask(*args, **more), status, code, 1))

    def takes(self, name, *args, **more):
        def run():
            reply = self.ask(*args, **more)
            check(reply.status == 200 and "result" in reply.answer(1), reply)
            check("mcp-session-id" not in reply.headers, reply)
        self.case(name, run)


CALL = {"name": "test_simple_text", "arguments": {}}
B64 = base64.b64encode(b"test_simple_text").decode()


def without(key):
    return {name: value for name, value in META.items() if not name.endswith(key)}


def version_error(modern):
    other = "2099-01-01"
    meta = {**META, "io.modelcontextprotocol/protocolVersion": other}
    error = refused(modern.ask("tools/list", meta=meta, headers={"MCP-Protocol-Version": other}), 400, -32022, 1)
    check(VERSION in error["data"]["supported"] and error["data"]["requested"] == other, error)


for modern in (Modern("legacy server", LEGACY), Modern("modern server", MODERN)):
    modern.takes("server/discover", "server/discover")
    modern.takes("tools/list", "tools/list")
    modern.takes("tools/call", "tools/call", CALL)
    modern.takes("a session id is nothing to it", "tools/list", headers={"Mcp-Session-Id": "constructor"})
    modern.takes("a name with spaces around", "tools/call", CALL, {"Mcp-Name": "  test_simple_text\t"})
    modern.takes("a name in base64", "tools/call", CALL, {"Mcp-Name": f"=?base64?{B64}?="})
    modern.refuses("no version header", 400, -32020, "tools/list", headers={"MCP-Protocol-Version": None})
    modern.refuses("a version header that differs", 400, -32020, "tools/list",
                   headers={"MCP-Protocol-Version": "2025-11-25"})
    modern.refuses("no Mcp-Method", 400, -32020, "tools/list", headers={"Mcp-Method": None})
    modern.refuses("another Mcp-Method", 400, -32020, "tools/list", headers={"Mcp-Method": "prompts/list"})
    modern.refuses("Mcp-Method in capitals", 400, -32020, "tools/list", headers={"Mcp-Method": "TOOLS/LIST"})
    modern.refuses("Mcp-Method twice", 400, -32020, "tools/list", headers={"Mcp-Method": ["tools/list", "tools/call"]})
    modern.refuses("no Mcp-Name of a tool", 400, -32020, "tools/call", CALL, {"Mcp-Name": None})
    modern.refuses("another Mcp-Name", 400, -32020, "tools/call", CALL, {"Mcp-Name": "test_image_content"})
    modern.refuses("Mcp-Name in capitals", 400, -32020, "tools/call", CALL, {"Mcp-Name": "TEST_SIMPLE_TEXT"})
    modern.refuses("no Mcp-Name of a resource", 400, -32020, "resources/read", {"uri": "test://static-text"},
                   {"Mcp-Name": None})
    modern.refuses("no Mcp-Name of a prompt", 400, -32020, "prompts/get", {"name": "test_simple_prompt"},
                   {"Mcp-Name": None})
    modern.refuses("base64 with a letter too few", 400, -32020, "tools/call", CALL, {"Mcp-Name": "=?base64?dGVzdA?="})
    modern.refuses("base64 of something else", 400, -32020, "tools/call", CALL, {"Mcp-Name": "=?base64?dGVzdA==?="})
    modern.refuses("base64 with its mark in capitals", 400, -32020, "tools/call", CALL, {"Mcp-Name": f"=?BASE64?{B64}?="})
    modern.refuses("a byte that is not ASCII", 400, -32020, "tools/call", CALL, {"Mcp-Name": "test_simple_text\xff"})
    modern.refuses("no _meta", 400, PARAMS, "tools/list", meta=None)
    modern.refuses("no version in _meta", 400, PARAMS, "tools/list", meta=without("protocolVersion"))
    modern.refuses("no capabilities in _meta", 400, PARAMS, "tools/list", meta=without("clientCapabilities"))
    modern.refuses("capabilities that are a list", 400, PARAMS, "tools/list",
                   meta={**META, "io.modelcontextprotocol/clientCapabilities": []})
    modern.case("a version that does not exist", lambda modern=modern: version_error(modern))
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
                   "notifications/initialized", "sampling/createMessage", "tasks/list", "unknown/method", "constructor"]:
        modern.refuses(f"the method {method}", 404, NOT_FOUND, method)
    modern.case("a batch", lambda modern=modern: refused(
        modern.endpoint.ask([request(1, "tools/list", {"_meta": META})],
                            {"MCP-Protocol-Version": VERSION, "Mcp-Method": "tools/list"}), 400, INVALID))
    modern.case("a response", lambda modern=modern: refused(
        modern.endpoint.ask({"jsonrpc": "2.0", "id": 1, "result": {}}, {"MCP-Protocol-Version": VERSION}), 400))
    for method in ("GET", "DELETE"):
        modern.case(method, lambda modern=modern, method=method: refused(
            modern.endpoint.ask(method=method, headers={"MCP-Protocol-Version": VERSION}), 405))
    modern.case("a foreign origin", lambda modern=modern: refused(
        modern.ask("tools/list", headers={"Origin": "http://evil.example.com"}), 403))
    modern.case("no Accept of events", lambda modern=modern: refused(
        modern.ask("tools/list", headers={"Accept": "application/json"}), 406))
    modern.case("a text", lambda modern=modern: refused(modern.ask("tools/list", headers={"Content-Type": "text/plain"}), 415))
    modern.case("a state that nobody made", lambda modern=modern: refused(
        modern.ask("tools/call", {"name": "test_input_required_result_tampered_state", "arguments": {},
                                  "inputResponses": {"confirm": {"action": "accept", "content": {"ok": True}}},
                                  "requestState": "nonsense"}), (200, 400), PARAMS, 1))

# Arguments that are mirrored in headers.
modern = Modern("modern server", MODERN)
GIVEN = {"name": "test_header_arguments", "arguments": {"region": "münchen", "limit": 10, "dry": True}}
REGION = "=?base64?" + base64.b64encode("münchen".encode()).decode() + "?="
MIRROR = {"Mcp-Param-Region": REGION, "Mcp-Param-Limit": "10", "Mcp-Param-Dry": "true"}
modern.takes("arguments in headers", "tools/call", GIVEN, MIRROR)
modern.takes("a header for no argument", "tools/call", GIVEN, {**MIRROR, "Mcp-Param-Unknown": "x"})
for name, change in [("Region", None), ("Region", "berlin"), ("Limit", "11"), ("Limit", None), ("Dry", "false"),
                     ("Region", "=?base64?!!?="), ("Dry", "TRUE")]:
    modern.refuses(f"Mcp-Param-{name}: {change}", 400, -32020, "tools/call", GIVEN, {**MIRROR, f"Mcp-Param-{name}": change})
