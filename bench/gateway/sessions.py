"""Parts `memory`, `first`, `abandoned` and `big`: what sessions and large results leave behind."""
import contextlib
import threading
import time

import harness
from gateway import targets

KEEPS = 2000     # idle sessions
STREAMS = 10000  # idle GET streams
BIG = 20_000_000
WINDOW_MB = 8    # what may wait for a slow reader
IDLE = 2


def rss(pid):
    return harness.status_kb(pid, "VmRSS")


@contextlib.contextmanager
def held(work, url, count, keep, parallel=32):
    with targets.Load(work, "sessions", url, "--count", count, "--keep", keep, "--parallel", parallel) as load:
        yield load.line()


def peer_memory(work):
    texts = []
    for start, count in ((targets.supergateway, 30), (targets.mcp_proxy, 500)):
        with start(work, "legacy") as target:
            targets.calls(work, target.pid, target.url, "legacy", 1, 0.2, 0.5)
            before = rss(target.pid)
            with held(work, target.url, count, "none"):
                texts.append((target.name, f"{before / 1024:.0f} MB", f"{(rss(target.pid) - before) / count:.0f} kB"))
    return texts


def part_memory(table, work):
    peers = peer_memory(work)
    with targets.Gateway(work, "without", gateway=False) as node:
        node.serve([targets.echo(work, "echo")])
        time.sleep(2)
        without = rss(node.pid)
    with targets.Gateway(work, "with") as node:
        shared = {"mode": "Shared", "max": 8, "idleTimeout": "1h"}
        node.serve([targets.echo(work, "echo"), targets.echo(work, "many", sessions=shared)])
        for server in ("echo", "many"):
            targets.calls(work, node.pid, node.url(server), "legacy", 1, 0.5, 0.2)
        time.sleep(2)
        base, threads = rss(node.pid), harness.status_kb(node.pid, "Threads")
        table.limit("memory over an mcplet without a gateway, after calls", (base - without) / 1024, 5, "MB",
                    ", ".join(f"{name} {own} in all" for name, own, _ in peers))
        with held(work, node.url("many"), KEEPS, "none") as sessions:
            accepted = sessions["statuses"].get("200", 0)
            table.row(f"  idle sessions of {KEEPS}", accepted, "", KEEPS, accepted == KEEPS)
            table.limit("  per idle session without its child", (rss(node.pid) - base) / max(accepted, 1), 20, "kB",
                        ", ".join(f"{name} {each}" for name, _, each in peers))
        base = rss(node.pid)
        with held(work, node.url("many"), STREAMS, "stream", 64) as streams:
            table.row(f"  idle GET streams of {STREAMS}", streams["held"], "", STREAMS, streams["held"] == STREAMS)
            table.limit(f"  memory of mcplet with them ({(rss(node.pid) - base) / max(streams['held'], 1):.1f} kB each)", rss(node.pid) / 1024,
                        250, "MB")
            more = harness.status_kb(node.pid, "Threads") - threads
            table.row("  threads more", more, "", "0", more <= 0)


def first_initialize(work, url):
    return targets.once(work, "sessions", url, "--count", 1)["p50"] / 1000


def part_first(table, work):
    start_ms = 400
    peers = {}
    for start in targets.PEERS:
        with start(work, "legacy", start_ms) as target:
            peers[target.name] = first_initialize(work, target.url)
    with targets.Gateway(work, "first") as node:
        node.serve([targets.echo(work, "slow", start_ms=start_ms, sessions={"warmSpares": 1})])
        harness.wait_for(lambda: len(node.server_processes()) == 2, 20, "the spare runs")
        time.sleep(start_ms / 1000 + 0.3)
        table.limit(f"first initialize, a warm spare of a server that starts in {start_ms} ms", first_initialize(work, node.url("slow")), 50, "ms",
                    ", ".join(f"{name} {value:.0f}" for name, value in peers.items()))


class Watch:
    """The most processes of a server that ran at a time, its main one aside."""

    def __init__(self, node, start_ms):
        self.node, self.start_ms, self.most, self.stop = node, start_ms, 0, threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.stop.wait(0.05):
            self.most = max(self.most, len(self.node.server_processes(self.start_ms)) - 1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def open_sessions(node):
    return sum(node.metric("mcpfleet_sessions").values())


def abandon(table, work, node, server, title, most, start_ms):
    """Opens 1000 sessions and forgets them; `most` processes may serve them."""
    processes, descriptors = len(node.server_processes()), node.descriptors()

    remains = []

    def gone():
        held = node.descriptors() - descriptors  # before the question below, whose own connection is one for a while
        remains[:] = len(node.server_processes()) - processes, int(open_sessions(node)), held
        return all(value <= 0 for value in remains)

    with Watch(node, start_ms) as watch:
        result = targets.once(work, "sessions", node.url(server), "--count", 1000, "--parallel", 64)
        began = time.monotonic()
        with contextlib.suppress(SystemExit):
            harness.wait_for(gone, IDLE + 10, "reaped", 0.1)
        took = time.monotonic() - began
    refused, taken = result["statuses"].get("503", 0), result["statuses"].get("200", 0)
    table.row(f"{title}: 1000 initialize", f"{taken} answered, {refused} refused", "", "200, or 503 with Retry-After",
              refused + taken == 1000 and result["without_retry_after"] == 0)
    table.row("  processes for them at a time", watch.most, "", f"1 to {most}", 1 <= watch.most <= most)
    table.row("  left after the idle time: processes, sessions, descriptors", ", ".join(map(str, remains)), f"after {took:.1f} s", "0, 0, 0",
              all(value <= 0 for value in remains))
    return taken


def part_abandoned(table, work):
    with targets.Gateway(work, "abandoned") as node:
        sessions = {"idleTimeout": f"{IDLE}s", "max": 32}
        node.serve([targets.echo(work, "own", sessions={**sessions, "mode": "PerSession"}),
                    targets.echo(work, "shared", start_ms=1, sessions={**sessions, "mode": "Shared"})])
        for server in ("own", "shared"):  # what the first use allocates for good
            targets.once(work, "sessions", node.url(server), "--count", 1)
        harness.wait_for(lambda: open_sessions(node) == 0 and len(node.server_processes(0)) == 1, IDLE + 10, "the first sessions are gone")
        for title in ("a child each, max 32", "the same again: the places are free"):
            taken = abandon(table, work, node, "own", title, 32, 0)
            table.row("  of them answered at least", taken, "", "32", taken >= 32)
        taken = abandon(table, work, node, "shared", "one child for all", 1, 1)
        table.row("  of them answered", taken, "", "1000", taken == 1000)


def part_big(table, work):
    path = work.path("20MB")
    with open(path, "wb") as file:
        file.write(b"x" * BIG)
    peers = {}
    for start in (targets.supergateway, targets.mcp_proxy, targets.bare_bridge):
        with start(work, "legacy") as target:
            result = targets.once(work, "big", target.url, "--bytes", BIG, "--count", 1 if start in targets.PEERS else 7)
            peers[target.name] = f"{result['p50'] / 1000:.0f} ms" if result["errors"] == 0 else "fails"
    pipe = targets.once(work, "pipe", "--bytes", BIG, "--count", 7, "--", work.path("bench_echo"), "legacy")["p50"] / 1000
    with targets.Gateway(work, "big") as node:
        node.serve([targets.echo(work, "echo")])
        targets.once(work, "big", node.url("echo"), "--bytes", 1000, "--count", 1)
        before = rss(node.pid)
        with open(f"/proc/{node.pid}/clear_refs", "w") as file:
            file.write("5")  # VmHWM counts from now
        rounds = [(targets.once(work, "cat", "--count", 5, "--", path)["p50"] / 1000,
                   targets.once(work, "big", node.url("echo"), "--bytes", BIG, "--count", 5)) for _ in range(3)]
        most = harness.status_kb(node.pid, "VmHWM")
    errors = sum(result["errors"] for _, result in rounds)
    cat = harness.median([cat for cat, _ in rounds])
    ours = harness.median([result["p50"] / 1000 for _, result in rounds])
    table.row("20 MB result, p50", f"{ours:.1f} ms = {ours / cat:.1f}x cat ({cat:.1f} ms)",
              ", ".join(f"{name} {value}" for name, value in peers.items()) + f", raw stdio {pipe:.1f} ms", "<= 3x cat", errors == 0 and ours <= 3 * cat)
    table.limit("  memory of mcplet for it", (most - before) / 1024, round(BIG / (1 << 20)) + WINDOW_MB, "MB")
