"""HTTP with nothing in between: bytes out, status, headers and body back. Standard library only."""
import json
import socket
import sys
import traceback

TIMEOUT = 10.0
BOTH = "application/json, text/event-stream"


def messages_in(events):
    """The JSON-RPC messages of whole server-sent events."""
    lines = events.decode().splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith("data:") and line[5:].strip()]


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def messages(self):
        """The JSON-RPC messages in it, whether they came as JSON or as events."""
        if "text/event-stream" in self.headers.get("content-type", ""):
            return messages_in(self.body)
        found = json.loads(self.body) if self.body else []
        return found if isinstance(found, list) else [found]

    def answer(self, request_id):
        return next(m for m in self.messages() if m.get("id") == request_id and "method" not in m)

    def __str__(self):
        return f"{self.status} {self.headers} {self.body[:300]!r}"


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        self.pending += data
        return data != b""

    def until(self, mark):
        while mark not in self.pending:
            if not self.more():
                raise ConnectionError(f"closed; so far {self.pending[:300]!r}")
        taken, self.pending = self.pending.split(mark, 1)
        return taken

    def exactly(self, size):
        while len(self.pending) < size:
            if not self.more():
                raise ConnectionError(f"closed {size - len(self.pending)} bytes too early")
        taken, self.pending = self.pending[:size], self.pending[size:]
        return taken

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        return int(lines[0].split()[1]), headers

    def chunks(self):
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            yield self.exactly(size)
            self.exactly(2)
        self.until(b"\r\n")

    def reply(self, method="POST"):
        status, headers = self.head()
        if method == "HEAD" or status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join(self.chunks())
        elif "content-length" in headers:
            body = self.exactly(int(headers["content-length"]))
        else:  # until the end, as HTTP/1.0 has it
            while self.more():
                pass
            body, self.pending = self.pending, b""
        return Reply(status, headers, body)

    def events(self):
        """The messages of a stream, as they come."""
        text = b""
        for chunk in self.chunks():
            text += chunk
            while b"\n\n" in text:
                event, text = text.split(b"\n\n", 1)
                yield from messages_in(event)


class Endpoint:
    """One server behind the gateway."""

    def __init__(self, url):
        self.port = int(url.split(":")[2].split("/")[0])
        self.path = "/" + url.split("/", 3)[3]

    def bytes(self, body=b"", headers=None, method="POST", path=None):
        """A whole request. `headers` over the usual ones; None takes one away; a list repeats it."""
        if not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode()
        usual = {"Host": f"localhost:{self.port}", "Accept": BOTH}
        if method == "POST":
            usual["Content-Type"] = "application/json"
            usual["Content-Length"] = str(len(body))
        given = {name.lower(): value for name, value in (headers or {}).items()}
        lines = [f"{method} {path or self.path} HTTP/1.1"]
        for name, value in {**{name.lower(): value for name, value in usual.items()}, **given}.items():
            values = [] if value is None else value if isinstance(value, list) else [value]
            lines += [f"{name}: {one}" for one in values]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    def ask(self, body=b"", headers=None, method="POST", path=None):
        return self.raw(self.bytes(body, headers, method, path), method)

    def raw(self, data, method="POST"):
        with Connection(self.port) as connection:
            try:
                connection.send(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # an answer may be there all the same
            return connection.reply(method)


def request(request_id, method, params=None):
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params if params is not None else {}}


class Session:
    """A legacy session."""

    def __init__(self, endpoint, version="2025-11-25", capabilities=None):
        self.endpoint = endpoint
        info = {"name": "raw", "version": "1"}
        self.params = {"protocolVersion": version, "capabilities": capabilities or {}, "clientInfo": info}
        self.open()

    def open(self):
        reply = self.endpoint.ask(request("init", "initialize", self.params))
        check(reply.status == 200, reply)
        self.id = reply.headers["mcp-session-id"]
        self.version = reply.answer("init")["result"]["protocolVersion"]
        self.headers = {"Mcp-Session-Id": self.id, "MCP-Protocol-Version": self.version}
        reply = self.ask({"jsonrpc": "2.0", "method": "notifications/initialized"})
        check(reply.status == 202 and reply.body == b"", reply)

    def ask(self, body=b"", headers=None, **more):
        return self.endpoint.ask(body, {**self.headers, **(headers or {})}, **more)

    def works(self):
        reply = self.ask(request("alive", "ping"))
        check(reply.status == 200 and reply.answer("alive")["result"] == {}, f"the session does not work: {reply}")

    def end(self):
        reply = self.ask(method="DELETE")
        check(reply.status in (200, 204), reply)


class Wrong(Exception):
    pass


def check(holds, why=""):
    if not holds:
        raise Wrong(str(why))


def refused(reply, status, code=None, request_id=None):
    """An error as it should be: the status, and a JSON-RPC error with its type. Several of each may be right. The id is
    looked at when one is given: before 2026-07-28 it need not be told."""
    statuses = status if isinstance(status, tuple) else (status,)
    codes = code if isinstance(code, tuple) else (code,)
    check(reply.status in statuses, f"wants {statuses}: {reply}")
    check(reply.headers.get("content-type", "").startswith("application/json"), f"no JSON: {reply}")
    message = json.loads(reply.body)
    check(message.get("jsonrpc") == "2.0" and "result" not in message and "id" in message, f"no JSON-RPC error: {reply}")
    check(isinstance(message["error"]["message"], str) and isinstance(message["error"]["code"], int), reply)
    check(code is None or message["error"]["code"] in codes, f"wants {codes}: {reply}")
    check(request_id is None or message["id"] == request_id, f"wants id {request_id!r}: {reply}")
    return message["error"]


class Table:
    """Runs cases one after the other; after each one the good session must still work."""

    def __init__(self):
        self.count, self.failures, self.good = 0, 0, None

    def case(self, name, run):
        self.count += 1
        if self.tried(name, run) and (self.good is None or self.tried(name, self.good.works)):
            print(f"ok {self.count} {name}")
        elif self.good is not None:
            self.tried(name + ": the good session after it", self.repair)

    def tried(self, name, run):
        try:
            run()
            return True
        except Wrong as wrong:
            self.failed(name, str(wrong))
        except Exception:  # a socket's error is a finding like others, and the next case is to run
            self.failed(name, traceback.format_exc())
        return False

    def repair(self):
        """Another good session where the first is lost: each finding is to be told once."""
        try:
            self.good.works()
        except Exception:
            self.good.open()

    def failed(self, name, why):
        self.failures += 1
        print(f"not ok {self.count} {name}\n  # " + why.strip().replace("\n", "\n  # "))

    def finish(self):
        good = self.failures == 0
        print(f"all {self.count} ok" if good else f"{self.failures} of {self.count} not ok", flush=True)
        sys.exit(0 if good else 1)
