"""HTTP itself: requests that are none, and clients that leave."""
from raw_kit import Connection, Session, check, request
from raw_world import LEGACY, MEBI, PORT, good, table


# HTTP itself: an error or the end of the connection, whatever is in the answer.
def is_bad_http(data, statuses=(400, 413, 414, 431, 501, 505)):
    with Connection(PORT) as connection:
        connection.send(data)
        try:
            reply = connection.reply()
        except ConnectionError:
            return
        check(reply.status in statuses, reply)


PING = good.endpoint.bytes(request(1, "ping"), good.headers)
for name, data in [
        ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n"),
        ("two lengths", PING.replace(b"content-length:", b"content-length: 3\r\ncontent-length:", 1)),
        ("a length and chunks", PING.replace(b"content-length:", b"transfer-encoding: chunked\r\ncontent-length:", 1)),
        ("a length below zero", LEGACY.bytes(b"", {**good.headers, "Content-Length": "-1"})),
        ("a length that is none", LEGACY.bytes(b"", {**good.headers, "Content-Length": "0x10"})),
        ("a huge length", LEGACY.bytes(b"", {**good.headers, "Content-Length": "99999999999999999999"})),
        ("a chunk that is none", LEGACY.bytes(b"zz\r\n\r\n", {**good.headers, "Content-Length": None,
                                                          "Transfer-Encoding": "chunked"})),
        ("a header without a colon", PING.replace(b"\r\n", b"\r\nnonsense\r\n", 1)),
        ("a space before the colon", PING.replace(b"accept:", b"accept :", 1)),
        ("a NUL in a header", PING.replace(b"accept: ", b"accept: \x00", 1)),
        ("no Host", LEGACY.bytes(request(1, "ping"), {**good.headers, "Host": None})),
        ("two Hosts", LEGACY.bytes(request(1, "ping"), {**good.headers, "Host": [f"localhost:{PORT}", "evil.example.com"]})),
        ("HTTP/9.9", PING.replace(b"HTTP/1.1", b"HTTP/9.9", 1)),
        ("a header of 1 MB", LEGACY.bytes(request(1, "ping"), {**good.headers, "X": "y" * MEBI})),
        ("10000 headers", LEGACY.bytes(request(1, "ping"), {**good.headers, "X": ["y"] * 10000})),
        ("a path of 100 kB", LEGACY.bytes(request(1, "ping"), good.headers, path="/" + "x" * 100000))]:
    def bad_http(data=data):
        try:
            is_bad_http(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
    table.case(f"HTTP: {name}", bad_http)


def garbage_after_a_request():
    with Connection(PORT) as connection:
        connection.send(PING + b"\x00\xffGARBAGE\r\n\r\n")
        check(connection.reply().status == 200)
        try:
            check(connection.reply().status == 400)
        except ConnectionError:
            pass


def two_requests_at_once():
    with Connection(PORT) as connection:
        connection.send(LEGACY.bytes(request(1, "ping"), good.headers) + LEGACY.bytes(request(2, "ping"), good.headers))
        check([connection.reply().messages()[0]["id"] for _ in range(2)] == [1, 2])


def gone_after_each_byte():
    for size in range(len(PING) + 1):
        with Connection(PORT) as connection:
            connection.send(PING[:size])
        if size % 100 == 0:
            good.works()


def gone_during_a_call():
    session = Session(LEGACY)
    for n in range(20):
        params = {"name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": n}}
        with Connection(PORT) as connection:
            connection.send(LEGACY.bytes(request(100 + n, "tools/call", params), session.headers))
    session.works()
    session.end()


table.case("garbage after a good request", garbage_after_a_request)
table.case("two requests at once on one connection", two_requests_at_once)
table.case("gone after each byte of a request", gone_after_each_byte)
table.case("gone during 20 calls", gone_during_a_call)
