"""Headers, sessions, origins, methods and paths before 2026-07-28."""
from raw_kit import Session, check, refused, request
from raw_world import INVALID, LEGACY, MODERN, PORT, good, table


# Headers of both eras.
for name, accept in [("no Accept", None), ("Accept without JSON", "text/event-stream"),
                     ("Accept without events", "application/json"), ("Accept of something else", "text/html")]:
    table.case(name, lambda accept=accept: refused(good.ask(request(1, "ping"), {"Accept": accept}), 406))
table.case("GET that does not accept events", lambda: refused(
    good.ask(method="GET", headers={"Accept": "application/json"}), 406))
for name, kind in [("no Content-Type", None), ("a text", "text/plain"), ("almost JSON", "application/jsonx"),
                   ("a form", "application/x-www-form-urlencoded")]:
    table.case(f"Content-Type: {name}", lambda kind=kind: refused(
        good.ask(request(1, "ping"), {"Content-Type": kind}), 415))
table.case("Content-Type with parameters", lambda: check(
    good.ask(request(1, "ping"), {"Content-Type": "Application/JSON; charset=utf-8"}).status == 200))

# Sessions.
table.case("no session", lambda: refused(LEGACY.ask(request(1, "ping")), 400, -32000))
table.case("GET without a session", lambda: refused(
    LEGACY.ask(method="GET", headers={"Accept": "text/event-stream"}), (400, 405)))
table.case("DELETE without a session", lambda: refused(LEGACY.ask(method="DELETE"), (400, 405)))
for session in ["constructor", "__proto__", "toString", "hasOwnProperty", "../../etc/passwd", "0", "x" * 4000,
                good.id + "x", good.id[:-1], good.id.swapcase() + "-"]:
    shown = session[:20]
    for method in ("POST", "GET", "DELETE"):
        body = request(1, "ping") if method == "POST" else b""
        table.case(f"{method} in the session {shown}", lambda session=session, method=method, body=body: refused(
            LEGACY.ask(body, {"Mcp-Session-Id": session}, method), 404, -32001))
table.case("the session of another server", lambda: refused(
    MODERN.ask(request(1, "ping"), {"Mcp-Session-Id": good.id}), 404, -32001))
table.case("initialize in a session", lambda: refused(
    good.ask(request(1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                       "clientInfo": {"name": "x", "version": "1"}})), 400, INVALID))
for version in ["1999-01-01", "constructor", "2025-11-25x", ""]:
    table.case(f"the version '{version}'", lambda version=version: refused(
        good.ask(request(1, "ping"), {"MCP-Protocol-Version": version}), 400, -32000))


def offers_another_version():
    params = {"protocolVersion": "1999-01-01", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    reply = LEGACY.ask(request(1, "initialize", params))
    check(reply.answer(1)["result"]["protocolVersion"] == "2025-11-25", reply)
    check(LEGACY.ask(method="DELETE", headers={"Mcp-Session-Id": reply.headers["mcp-session-id"]}).status in (200, 204))


def ends_once():
    session = Session(LEGACY)
    session.works()
    session.end()
    refused(session.ask(method="DELETE"), 404, -32001)
    refused(session.ask(request(1, "ping")), 404, -32001)
    refused(session.ask(method="GET"), 404, -32001)


table.case("a version that does not exist is answered with one that does", offers_another_version)
table.case("initialize without params", lambda: refused(
    LEGACY.ask({"jsonrpc": "2.0", "id": 1, "method": "initialize"}), (200, 400)))
table.case("DELETE ends a session once", ends_once)


for name, message in [("a response nobody waits for", {"jsonrpc": "2.0", "id": "g1", "result": {}}),
                      ("an error nobody waits for", {"jsonrpc": "2.0", "id": 5, "error": {"code": 1, "message": "x"}}),
                      ("a notification that nobody knows", {"jsonrpc": "2.0", "method": "notifications/nonsense"}),
                      ("a cancellation of nothing", {"jsonrpc": "2.0", "method": "notifications/cancelled",
                                                     "params": {"requestId": "nothing"}})]:
    table.case(name, lambda message=message: check((reply := good.ask(message)).status == 202 and not reply.body))

# Origin and Host.
EVIL = ["http://evil.example.com", "null", "http://localhost.evil.example.com", "http://127.0.0.1.nip.io",
        "http://user@evil.example.com", f"http://evil.example.com:{PORT}", "http://localhost:1@evil.example.com", "x"]
victim = Session(LEGACY)


def delete_from(origin):
    refused(victim.ask(method="DELETE", headers={"Origin": origin}), 403)
    victim.works()


for origin in EVIL:
    table.case(f"DELETE from {origin}", lambda origin=origin: delete_from(origin))
    for method in ("POST", "GET"):
        table.case(f"{method} from {origin}", lambda origin=origin, method=method: refused(
            good.ask(request(1, "ping") if method == "POST" else b"", {"Origin": origin}, method=method), 403))
    table.case(f"initialize from {origin}", lambda origin=origin: refused(
        LEGACY.ask(request(1, "initialize", {"protocolVersion": "2025-11-25"}), {"Origin": origin}), 403))
table.case("the session that none of them has deleted", victim.end)
for host in ["evil.example.com", f"evil.example.com:{PORT}", f"localhost.evil.example.com:{PORT}", "169.254.169.254"]:
    table.case(f"Host: {host}", lambda host=host: refused(good.ask(request(1, "ping"), {"Host": host}), 403))
for origin in [f"http://localhost:{PORT}", f"http://127.0.0.1:{PORT}", None]:
    table.case(f"a good origin, {origin}", lambda origin=origin: check(
        good.ask(request(1, "ping"), {"Origin": origin}).status == 200))
table.case("Host: [::1]", lambda: check(good.ask(request(1, "ping"), {"Host": f"[::1]:{PORT}"}).status == 200))
table.case("nothing is allowed to scripts of other sites", lambda: check(
    "access-control-allow-origin" not in good.ask(request(1, "ping")).headers))

# Methods and paths.
for method in ("PUT", "PATCH", "TRACE", "PROPFIND"):
    def not_allowed(method=method):
        reply = good.ask(method=method)
        refused(reply, 405)
        allowed = {word.strip() for word in reply.headers["allow"].split(",")}
        check({"GET", "POST", "DELETE"} <= allowed, reply)
    table.case(method, not_allowed)
for path in ["/", "/default/nothing/mcp", "/default/mcp", LEGACY.path + "/", LEGACY.path + "/x", "/default/../mcp",
             LEGACY.path.replace("default", "other"), "/constructor/__proto__/mcp", "/default/%2e%2e/mcp"]:
    table.case(f"the path {path}", lambda path=path: check(
        good.ask(request(1, "ping"), path=path).status in (400, 404)))
HEALTH = LEGACY.path.removesuffix("/mcp") + "/healthz"
table.case("healthz of a server that is ready", lambda: check(LEGACY.ask(method="GET", path=HEALTH).status == 200))
table.case("healthz of none", lambda: check(LEGACY.ask(method="GET", path="/default/nothing/healthz").status == 404))
