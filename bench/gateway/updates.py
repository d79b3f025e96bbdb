"""Parts `update` and `wake`: what clients notice when a server changes under them, and when it slept."""
import subprocess
import time

import harness
from gateway import targets

START_MS = 300


def part_update(table, work):
    with targets.Gateway(work, "update") as node:
        strategy = {"type": "RollingUpdate", "drainTimeout": "20s"}
        node.serve([targets.echo(work, "echo", updateStrategy=strategy)])
        with targets.Load(work, "calls", node.url("echo"), "--connections", 16, "--rate", 1000, "--seconds", 10, "--warm", 1) as load:
            load.line()
            load.go()
            time.sleep(2)
            node.apply([targets.echo(work, "echo", start_ms=1, updateStrategy=strategy)])
            began = time.monotonic()
            harness.wait_for(lambda: node.server_processes(1), 30, "the new revision runs")
            node.wait_ready(1, 30)
            took = time.monotonic() - began
            new = targets.once(work, "sessions", node.url("echo"), "--count", 4)
            result = load.line()
        rate = result["calls"] / result["seconds"]
        table.row("rolling update, 16 connections: failed calls, lost sessions", f"{result['errors']}, {result['lost_sessions']}",
                  f"{rate:.0f} calls/s, the new one served after {took:.1f} s", "0, 0",
                  result["errors"] == 0 and result["lost_sessions"] == 0 and rate > 900)
        table.row("  new sessions meanwhile", new["statuses"].get("200", 0), "", "4", new["statuses"].get("200", 0) == 4)


def start_of_server(work):
    """From spawn to the answer to initialize, over plain pipes, in ms."""
    began = time.monotonic()
    command = [work.path("bench_echo"), "legacy", str(START_MS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        server.stdin.write(b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}\n')
        server.stdin.flush()
        server.stdout.readline()
        took = 1000 * (time.monotonic() - began)
        server.stdin.close()
    return took


def part_wake(table, work):
    with targets.Gateway(work, "wake") as node:
        node.serve([targets.echo(work, "sleepy", start_ms=START_MS, activation={"mode": "OnDemand", "idleAfter": "2s"},
                                 sessions={"idleTimeout": "1s"})])
        times = []
        for _ in range(3):
            harness.wait_for(lambda: not node.server_processes(), 60, "the server sleeps")
            time.sleep(0.5)
            times.append(targets.once(work, "sessions", node.url("sleepy"), "--count", 1)["p50"] / 1000)
        start = start_of_server(work)
        table.limit(f"wake from zero over the start of the server ({start:.0f} ms)", harness.median(times) - start, 50, "ms")
