"""The servers, the table of cases and the good session that the cases must not disturb. The files raw_*.py with cases are
run by importing them, each case as it stands."""
import sys

from raw_kit import Connection, Endpoint, Session, Table, check

LEGACY, MODERN = (Endpoint(url) for url in sys.argv[1:3])
PORT = LEGACY.port
PARSE, INVALID, NOT_FOUND, PARAMS = -32700, -32600, -32601, -32602
MEBI = 1 << 20

table = Table()
table.case("a good session opens", lambda: setattr(table, "good", Session(LEGACY)))
if table.good is None:
    table.finish()
good = table.good
listener = Connection(PORT)
listener.send(LEGACY.bytes(method="GET", headers={**good.headers, "Accept": "text/event-stream"}))
table.case("it has a stream", lambda: check(listener.head()[0] == 200))
