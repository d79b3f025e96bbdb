"""Bodies, ids in flight and batches of the sessions before 2026-07-28."""
from raw_kit import Connection, Session, check, refused, request
from raw_world import INVALID, LEGACY, MEBI, PARAMS, PARSE, PORT, good, table


def bad_body(name, body, code=(PARSE, INVALID)):
    table.case(name, lambda: refused(good.ask(body), 400, code))


def ping_with(more):
    return b'{"jsonrpc":"2.0","id":1,"method":"ping"' + more + b"}"


# Bodies.
bad_body("an empty body", b"", PARSE)
bad_body("broken JSON", b'{"jsonrpc":"2.0","id":1,"method":"ping"', PARSE)
bad_body("something after the JSON", ping_with(b"") + b"}", PARSE)
bad_body("invalid UTF-8", ping_with(b',"params":{"x":"\xc3\x28"}'), PARSE)
bad_body("UTF-8 that is cut off", ping_with(b',"params":{"x":"\xe2\x82"}'), PARSE)
bad_body("half of a surrogate pair in UTF-8", ping_with(b',"params":{"x":"\xed\xa0\x80"}'), PARSE)
bad_body("a raw control character", ping_with(b',"params":{"x":"\x00"}'), PARSE)
bad_body("a bomb of brackets", b"[" * 200000)
bad_body("a bomb of objects", ping_with(b',"params":' + b'{"a":' * 100000 + b"1" + b"}" * 100000))
bad_body("100 levels", ping_with(b',"params":{"x":' + b"[" * 100 + b"]" * 100 + b"}"))
bad_body("id twice", b'{"jsonrpc":"2.0","id":1,"method":"ping","id":2}')
bad_body("method twice", b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}')
bad_body("id twice, once spelt with an escape", b'{"jsonrpc":"2.0","id":1,"method":"ping","\\u0069d":2}')
for name, body in [("no object but a string", b'"ping"'), ("no object but null", b"null"), ("no object but 1", b"1"),
                   ("an empty object", b"{}"), ("no version", b'{"id":1,"method":"ping"}'),
                   ("another version", b'{"jsonrpc":"1.0","id":1,"method":"ping"}'),
                   ("an id that is null", b'{"jsonrpc":"2.0","id":null,"method":"ping"}'),
                   ("an id that is an object", b'{"jsonrpc":"2.0","id":{},"method":"ping"}'),
                   ("an id that is a list", b'{"jsonrpc":"2.0","id":[1],"method":"ping"}'),
                   ("an id that is true", b'{"jsonrpc":"2.0","id":true,"method":"ping"}'),
                   ("a method that is a number", b'{"jsonrpc":"2.0","id":1,"method":5}'),
                   ("params that are a string", ping_with(b',"params":"x"'))]:
    bad_body(name, body, (PARSE, INVALID, PARAMS))


def too_long_by_its_length():
    head = good.endpoint.bytes(b"", {**good.headers, "Content-Length": str(100 * MEBI)})
    refused(LEGACY.raw(head), 413)


def too_long_by_its_chunks():
    headers = {**good.headers, "Content-Length": None, "Transfer-Encoding": "chunked"}
    with Connection(PORT) as connection:
        piece = b"x" * MEBI
        try:
            connection.send(LEGACY.bytes(b"", headers))
            for _ in range(100):
                connection.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            refused(connection.reply(), 413)
        except ConnectionResetError:
            pass  # the rest of the 100 MB overtook the answer


table.case("100 MB by its length", too_long_by_its_length)
table.case("100 MB in chunks", too_long_by_its_chunks)
table.case("a body of 1 MiB is none too long", lambda: check(
    good.ask(request(1, "ping", {"_meta": {"x": "y" * MEBI}})).status == 200))


# Ids in flight.
def same_id_twice():
    session = Session(LEGACY, capabilities={"sampling": {}})
    call = {"name": "test_sampling", "arguments": {"prompt": "x"}}
    with Connection(PORT) as connection:
        connection.send(LEGACY.bytes(request(9, "tools/call", call), session.headers))
        # The call is certainly in when its question comes, and waits until that is answered.
        connection.head()
        stream = connection.events()
        question = next(stream)
        refused(session.ask(request(9, "ping")), 400, INVALID)
        answer = {"role": "assistant", "content": {"type": "text", "text": "mine"}, "model": "none"}
        check(session.ask({"jsonrpc": "2.0", "id": question["id"], "result": answer}).status == 202)
        check(next(stream)["result"]["content"][0]["text"] == "LLM response: mine")
    session.end()


table.case("an id that is in flight", same_id_twice)
table.case("ids that differ only by their type are two", lambda: [check(
    good.ask(body).answer(wanted)["result"] == {}) for body, wanted in [(request(1, "ping"), 1), (request("1", "ping"), "1")]])
table.case("an id of 64 bits comes back as it was", lambda: check(
    b"9007199254740993" in good.ask(request(9007199254740993, "ping")).body))


# Batches: only 2025-03-26 has them.
def batches_of_old():
    old = Session(LEGACY, "2025-03-26")
    check(old.version == "2025-03-26", old.version)
    reply = old.ask([request(1, "ping"), request(2, "tools/list")])
    check(reply.status == 200 and reply.answer(1)["result"] == {} and "tools" in reply.answer(2)["result"], reply)
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 77}}
    check(old.ask([note, note]).status == 202)
    refused(old.ask([]), 400, INVALID)
    refused(old.ask([request(3, "ping"), request(3, "ping")]), 400, INVALID)
    refused(old.ask([request(n, "ping") for n in range(2000)]), (400, 413))
    old.works()
    old.end()


table.case("batches in a session of 2025-03-26", batches_of_old)
table.case("a batch in a session of 2025-11-25", lambda: refused(good.ask([request(1, "ping")]), 400, INVALID))
table.case("initialize in a batch", lambda: refused(
    LEGACY.ask([request(1, "initialize", {"protocolVersion": "2025-03-26"}), request(2, "ping")]), 400, (INVALID, -32000)))
