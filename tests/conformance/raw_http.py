#!/usr/bin/env python3
"""usage: raw_http.py LEGACY_URL MODERN_URL

Bad input of every kind against the gateway, in front of our two fixtures: each gets its status and a JSON-RPC error, and
a good session beside never notices. Speaks to 127.0.0.1."""
import importlib
import threading

from raw_kit import Connection, Wrong, check, request
from raw_world import LEGACY, PORT, good, listener, table


# The header is never finished. Runs beside the others: it takes as long as the server's patience.
def slow_loris(outcome):
    with Connection(PORT) as connection:
        connection.socket.settimeout(25)
        head = LEGACY.bytes(request(1, "ping"))[:60]
        connection.send(head)
        try:
            outcome["answer"] = b"" if not connection.more() else connection.pending
        except ConnectionError:
            outcome["answer"] = b""
        except TimeoutError:
            outcome["answer"] = None


loris = {}
loris_thread = threading.Thread(target=slow_loris, args=(loris,))
loris_thread.start()

for cases in ("raw_bodies", "raw_sessions", "raw_wire", "raw_modern"):
    importlib.import_module(cases)


# The end: the good session and its stream have seen nothing of all this.
def good_to_the_end():
    params = {"name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": "mine"}}
    reply = good.ask(request("last", "tools/call", params))
    seen = [m["params"]["progress"] for m in reply.messages() if m.get("method") == "notifications/progress"]
    check(seen == [0, 50, 100] and "result" in reply.answer("last"), reply)
    listener.socket.settimeout(0.2)
    try:
        while listener.more():
            pass
        raise Wrong("the stream has ended")
    except TimeoutError:
        check(b'"id"' not in listener.pending, listener.pending)


def patience_ends():
    loris_thread.join(30)
    check(loris.get("answer") is not None, "the connection was still open after 25 s")
    check(loris["answer"] == b"" or b" 408 " in loris["answer"], loris)


table.case("a header that never ends", patience_ends)
table.case("the good session is as it was", good_to_the_end)
listener.socket.close()
table.good = None
table.case("it ends", good.end)
table.finish()
