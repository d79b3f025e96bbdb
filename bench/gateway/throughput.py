"""Parts `calls`, `modern` and `latency`: what a tools/call costs, of one protocol era, on many connections and on one."""
import harness
from gateway import targets

SECONDS = 3
CONNECTIONS = (16, 64)


def measured(work, start, era):
    """{connections: result} of a target that is started for it."""
    with start(work, era) as target:
        harness.say(f"{target.name}, {era}")
        return {count: targets.calls(work, target.pid, target.url, era, count, SECONDS) for count in CONNECTIONS}


def columns(results, figure):
    """What the others reach: "name value, …"."""
    return ", ".join(f"{name} {figure(result)}" for name, result in results.items())


def best(results, key, choose):
    values = [result[key] for result in results.values() if result["calls"] > 0 and result["errors"] == 0]
    return choose(values) if values else None


def judge(table, title, ours, others, limits, shared=None):
    """Rows of one number of connections."""
    peers = {name: result for name, result in others.items() if name != "bare bridge"}
    rate, p99, cpu = best(peers, "rate", max), best(peers, "p99", min), best(peers, "cpu", min)
    if rate is None:
        table.row(f"{title}: a peer that answers", "none", columns(others, lambda r: f"{r['errors']} errors"), "", False)
        return
    table.row(f"{title}: throughput", f"{ours['rate']:.0f}/s = {ours['rate'] / rate:.1f}x", columns(others, lambda r: f"{r['rate']:.0f}/s"),
              ">= 8x best peer", ours["rate"] >= 8 * rate)
    table.row("  p99", f"{ours['p99'] / 1000:.2f} ms = 1/{p99 / max(ours['p99'], 1):.1f}", columns(others, lambda r: f"{r['p99'] / 1000:.2f}"),
              "<= 1/5 best peer", ours["p99"] <= p99 / 5)
    text = f"{ours['cpu']:.1f} us = 1/{cpu / max(ours['cpu'], 0.001):.1f}"
    if limits:
        table.row("  CPU of the gateway per call", text, columns(others, lambda r: f"{r['cpu']:.1f}"), "<= 50 us, <= 1/8 best peer",
                  ours["cpu"] <= 50 and ours["cpu"] <= cpu / 8)
    else:
        table.row("  CPU of the gateway per call", text, columns(others, lambda r: f"{r['cpu']:.1f}"))
    errors = columns({name: result for name, result in others.items() if result["errors"]}, lambda r: r["errors"])
    table.row("  failed calls", ours["errors"], errors, "0", ours["errors"] == 0 and ours["calls"] > 0)
    if shared is not None:
        table.row("  one child for all sessions", f"{shared['rate']:.0f}/s, p99 {shared['p99'] / 1000:.2f} ms, {shared['cpu']:.1f} us",
                  "", "", None if shared["errors"] == 0 else False)


def run(table, work, node, era):
    others = {}
    for start, name in ((targets.supergateway, "supergateway"), (targets.mcp_proxy, "mcp-proxy"), (targets.bare_bridge, "bare bridge")):
        others[name] = measured(work, start, era)
    servers = {"calls": targets.echo(work, f"echo-{era}", era)}
    if era == "legacy":
        servers["shared"] = targets.echo(work, "echo-shared", era, sessions={"mode": "Shared"})
    node.serve(list(servers.values()))
    ours = {}
    for key, server in servers.items():
        harness.say(f"mcpfleet, {server['metadata']['name']}")
        url = node.url(server["metadata"]["name"])
        ours[key] = {count: targets.calls(work, node.pid, url, era, count, SECONDS) for count in CONNECTIONS}
    for count in CONNECTIONS:
        judge(table, f"{era}, {count} connections", ours["calls"][count], {name: result[count] for name, result in others.items()},
              count == CONNECTIONS[0], ours["shared"][count] if "shared" in ours else None)
    return ours["calls"]


def part_calls(table, work):
    with targets.Gateway(work, "calls") as node:
        run(table, work, node, "legacy")


def part_modern(table, work):
    with targets.Gateway(work, "modern") as node:
        ours = run(table, work, node, "modern")
        started = sum(result["new_children"] for result in ours.values())
        table.row("modern: children started while it ran", started, "", "0", started == 0)
        table.row("  children that answered", ours[64]["children"], "", "1", ours[64]["children"] == 1)


def one(work, target, url, era, core):
    """p50 of one connection: where the scheduler wants it, and with all on one core, as raw stdio runs by itself."""
    free = targets.calls(work, target.pid, url, era, 1, 2, 0.5)["p50"]
    targets.pin(target.family(), {core})
    pinned = targets.calls(work, target.pid, url, era, 1, 2, 0.5, {core})["p50"]
    targets.pin(target.family(), set(range(harness.os.cpu_count())))
    return free, pinned


def part_latency(table, work):
    core = harness.os.cpu_count() - 1
    for era in ("legacy", "modern"):
        raw = targets.once(work, "stdio", "--seconds", 1, "--", work.path("bench_echo"), "legacy", cores={core})["p50"]
        others = {}
        for start in (targets.supergateway, targets.mcp_proxy, targets.bare_bridge):
            with start(work, era) as target:
                harness.say(f"{target.name}, {era}, 1 connection")
                others[target.name] = one(work, target, target.url, era, core)
        with targets.Gateway(work, f"latency-{era}") as node:
            node.serve([targets.echo(work, "echo", era)])
            ours = one(work, node, node.url("echo"), era, core)
        table.limit(f"{era}, 1 connection, p50 over raw stdio ({raw:.0f} us), one core", ours[1] - raw, 100, "us",
                    ", ".join(f"{name} {value[1] - raw:.0f}" for name, value in others.items()), digits=0)
        table.row("  the same on all cores (a wake-up of a sleeping core each way)", f"{ours[0] - raw:.0f} us",
                  ", ".join(f"{name} {value[0] - raw:.0f}" for name, value in others.items()))
