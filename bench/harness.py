"""What the benches share: a node with real programs in a directory of its own, a private Docker engine, tables.

Everything a bench starts it ends by itself, by pid, cgroup scope or container label, also when it fails or is
interrupted. Nothing listens but on loopback and on unix sockets. Times are in seconds, sizes in bytes.
"""
import contextlib
import hashlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PROGRAMS = ("mcplet", "mcpctl", "mcp-shim", "mcp-sandbox")
HIERARCHIES = ("", "memory", "cpu", "cpuacct", "pids", "unified")


def skip(reason):
    print(f"NOT MEASURED: {reason}", flush=True)
    sys.exit(77)


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values)


def build_directory():
    """argv[1], complete; benches need root for namespaces, cgroups and the engine."""
    if len(sys.argv) < 2:
        print(f"usage: {sys.argv[0]} BUILD_DIRECTORY [options of the bench]", file=sys.stderr)
        sys.exit(2)
    build = os.path.abspath(sys.argv[1])
    for program in PROGRAMS:
        if not os.access(os.path.join(build, program), os.X_OK):
            skip(f"{build}/{program} is missing: build it first (preset release or bench)")
    if os.geteuid() != 0:
        skip("needs root: namespaces, cgroups, a Docker engine of its own")
    return build


def option(position, default):
    return type(default)(sys.argv[position]) if len(sys.argv) > position else default


def processor_time():
    """Seconds of the machine's processors since it started: all, and those spent idle."""
    with open("/proc/stat") as stat:
        times = [int(text) for text in stat.readline().split()[1:9]]
    return sum(times) / os.sysconf("SC_CLK_TCK"), (times[3] + times[4]) / os.sysconf("SC_CLK_TCK")


def await_quiet(limit=120, window=3):
    """What ran before leaves work behind (an engine that removes containers, disks that are flushed): begin when the
    processors have been idle for nine tenths of `window` seconds; after `limit` seconds in any case."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        all_before, idle_before = processor_time()
        time.sleep(window)
        all_after, idle_after = processor_time()
        if idle_after - idle_before >= 0.9 * (all_after - all_before):
            return
    say(f"the machine did not become quiet within {limit} s: {load()}")


def load():
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


class Table:
    """Rows `what | ours | peer | limit | ok?`; a limit that is missed makes the exit code 1."""

    def __init__(self, name):
        self.name, self.rows, self.missed = name, [], False

    def row(self, what, ours, peer="", limit="", ok=None):
        self.missed = self.missed or ok is False
        self.rows.append((what, ours, peer, limit, "" if ok is None else "ok" if ok else "MISSED"))

    def limit(self, what, value, limit, unit, peer="", digits=1):
        self.row(what, f"{value:.{digits}f} {unit}", peer, f"<= {limit} {unit}", value <= limit)

    def finish(self):
        head = ("what", "ours", "peer", "limit", "ok?")
        width = [max(len(str(row[i])) for row in [head, *self.rows]) for i in range(5)]
        print(f"\n{self.name}   ({load()}, {time.strftime('%H:%M:%S')})")
        for row in [head, *self.rows]:
            print(" | ".join(str(cell).ljust(width[i]) for i, cell in enumerate(row)).rstrip(), flush=True)
        sys.exit(1 if self.missed else 0)


def bench(main, time_limit):
    """Runs main(build, work), in a directory that is removed; ends by itself after time_limit seconds."""
    build = build_directory()

    def end(number, _frame):
        raise SystemExit(f"ended by {signal.Signals(number).name}" + (f": not done in {time_limit} s" if number == signal.SIGALRM else ""))

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, end)
    await_quiet()
    signal.alarm(time_limit)
    try:
        with Work(build) as work:
            table = main(build, work)
    except SystemExit as ended:
        if isinstance(ended.code, str):  # neither a missed limit nor a missing part: the bench did not get through
            print(ended.code, file=sys.stderr, flush=True)
            sys.exit(3)
        raise
    finally:
        signal.alarm(0)
    table.finish()


class Work:
    """A directory and what was started in it, ended in the opposite order."""

    def __init__(self, build):
        self.build = build
        self.directory = tempfile.mkdtemp(prefix=f"mcpfleet-bench-{os.getpid()}-", dir="/tmp")
        os.chmod(self.directory, 0o755)
        self.ends = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        signal.alarm(120)
        for end in reversed(self.ends):
            try:
                end()
            except Exception as error:  # the rest must be ended too
                say(f"cleaning up: {error}")
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def server(self):
        """The static MCP server of the benches, compiled."""
        path = self.path("mcp_bench_server")
        if not os.path.exists(path):
            source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server", "main.cc")
            compiler = os.environ.get("CXX", "c++")
            command = [compiler, "-static", "-Os", "-s", "-fno-exceptions", "-fno-rtti", "-o", path, source]
            try:
                subprocess.run(command, check=True, timeout=120)
            except (OSError, subprocess.SubprocessError) as error:
                skip(f"the benches' MCP server was not compiled: {error}")
        return path


# What /proc says of a process.
def status_kb(pid, field, file="status"):
    with open(f"/proc/{pid}/{file}") as lines:
        for line in lines:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise LookupError(f"{field} of {pid}")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_nanoseconds(pid):
    """Run time of all living threads, finer than the clock ticks of stat."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        except FileNotFoundError:
            pass
    return total


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def comm(pid):
    return read(f"/proc/{pid}/comm").strip()


def living(pid):
    stat = read(f"/proc/{pid}/stat").rpartition(") ")[2]
    return stat != "" and stat[0] not in "ZX"


def wait_for(condition, timeout, what, step=0.02):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise SystemExit(f"not reached in {timeout} s: {what}")
        time.sleep(step)


HELD = []


def free_port():
    """Of the system's choice. It is held until the end: mcplet, which asks by SO_REUSEADDR, gets it, no connection does."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    HELD.append(held)
    return held.getsockname()[1]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def unix_request(path, method, target, body=None, timeout=60):
    """(status, body) of one request."""
    connection = UnixConnection(path, timeout)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def changed_rows(before, after):
    """"none", or the keys of what differs."""
    keys = sorted({key for key, _ in set(before.items()) ^ set(after.items())})
    return "none" if not keys else ", ".join("/".join(key[1:]) for key in keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


class Node:
    """An mcplet with its state, and a context for mcpctl."""

    def __init__(self, work, name, store_of=None, docker=None, poll="60s", store_port=None, containerd=None):
        self.work, self.name, self.build = work, name, work.build
        self.directory = work.path(name)
        self.state = os.path.join(self.directory, "state")
        self.socket = os.path.join(self.directory, "run", "mcplet.sock")
        self.process, self.docker = None, docker
        self.scope = hashlib.sha256(self.state.encode()).hexdigest()[:12]
        os.makedirs(self.directory)
        if store_of is None:
            self.store_port = free_port()
            store = {"type": "Embedded", "port": self.store_port}
        else:
            self.store_port = store_of.store_port
            # A reader's token must not write status: the operator's does here what a node's own token does with the Worker.
            store = {"type": "Remote", "url": f"http://127.0.0.1:{store_port or self.store_port}",
                     "tokenFile": os.path.join(store_of.state, "store", "operator-token")}
        store["pollInterval"] = poll
        runtimes = {"docker": {"socket": docker} if docker else {"enabled": "Never"}}
        if containerd:
            runtimes["containerd"] = {"enabled": "Auto", "socket": containerd.socket, "namespace": containerd.SPACE, "snapshotter": containerd.snapshotter}
        configuration = {"apiVersion": "mcpfleet.dev/v1alpha1", "kind": "MCPletConfiguration", "metadata": {"name": name},
                         "spec": {"stateDirectory": self.state, "runDirectory": os.path.join(self.directory, "run"),
                                  "store": store, "runtimes": runtimes, "admin": {"port": free_port()}, "gateway": {"port": free_port()},
                                  "log": {"level": "info", "format": "json"}}}
        self.config = os.path.join(self.directory, "mcplet.yaml")
        with open(self.config, "w") as file:
            json.dump(configuration, file)
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.directory, "NO_COLOR": "1",
                            "MCPFLEET_CONFIG": os.path.join((store_of or self).directory, "context")}
        work.ends.append(self.remove)

    def spawn(self):
        with open(os.path.join(self.directory, "mcplet.log"), "ab") as log:
            self.process = subprocess.Popen([f"{self.build}/mcplet", "--config", self.config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def ready(self):
        if self.process.poll() is not None:
            raise SystemExit(f"mcplet ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        try:
            return unix_request(self.socket, "GET", "/readyz", timeout=5)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def start(self, timeout=60):
        self.spawn()
        wait_for(self.ready, timeout, f"{self.name} is ready")
        context = os.path.join(self.directory, "context")
        if not os.path.exists(context) and os.path.exists(os.path.join(self.state, "store", "operator-token")):
            tokens = [read(os.path.join(self.state, path)).strip() for path in ("store/operator-token", "admin-token")]
            self.ctl("config", "set-context", "bench", "--server", f"http://127.0.0.1:{self.store_port}",
                     "--admin", f"unix://{self.socket}", "--token-stdin", "--use", input="\n".join(tokens) + "\n")

    def end(self, number=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def ctl(self, *arguments, input="", timeout=300, check=True):
        result = subprocess.run([f"{self.build}/mcpctl", *arguments], input=input, capture_output=True, text=True,
                                env=self.environment, timeout=timeout)
        if check and result.returncode != 0:
            raise SystemExit(f"mcpctl {' '.join(arguments)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
        return result

    def apply(self, manifests):
        path = os.path.join(self.directory, "apply.yaml")
        with open(path, "w") as file:
            file.write("".join("---\n" + json.dumps(manifest) + "\n" for manifest in manifests))
        return self.ctl("apply", "-f", path)

    def get(self, target):
        status, body = unix_request(self.socket, "GET", target)
        if status != 200:
            raise LookupError(f"{target}: {status}")
        return body

    def servers(self):
        return json.loads(self.get("/v1/status")).get("servers", [])

    def ready_count(self):
        return sum(any(c["type"] == "Ready" and c["status"] == "True" for c in server.get("conditions", []))
                   for server in self.servers())

    def restarts(self):
        return sum(server.get("restarts", {}).get("count", 0) for server in self.servers())

    def wait_ready(self, count, timeout=120, step=0.1):
        def reached():
            if self.process.poll() is not None:
                raise SystemExit(f"mcplet ended:\n{self.log()[-3000:]}")
            return self.ready_count() == count
        try:
            wait_for(reached, timeout, f"{count} servers are Ready", step)
        except SystemExit as error:
            waiting = [s for s in self.servers() if not any(c["type"] == "Ready" and c["status"] == "True" for c in s.get("conditions", []))]
            raise SystemExit(f"{error}; {len(waiting)} wait, such as {json.dumps(waiting[:1])}\n{self.log()[-2000:]}")

    def metric(self, name):
        """{labels: value} of one family."""
        values = {}
        for line in self.get("/metrics").decode().splitlines():
            if line.startswith(name) and line[len(name)] in " {":
                key, _, value = line.rpartition(" ")
                values[key[len(name):]] = float(value)
        return values

    def store_rows(self):
        """Every row of this node's store as {(table, first columns): digest}."""
        database = sqlite3.connect(f"file:{self.state}/store/kv.sqlite?mode=ro", uri=True, timeout=30)
        try:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]
            rows = {}
            for table in tables:
                for row in database.execute(f'SELECT * FROM "{table}"'):
                    rows[(table, *(str(cell)[:60] for cell in row[:2]))] = hashlib.sha256(repr(row).encode()).hexdigest()
            return rows
        finally:
            database.close()

    def cgroup_pids(self):
        return [pid for pid in pids() if f"/mcpfleet/{self.scope}" in read(f"/proc/{pid}/cgroup")]

    def log(self):
        return read(os.path.join(self.directory, "mcplet.log"))

    def remove(self):
        self.end()
        subprocess.run([f"{self.build}/mcplet", "--config", self.config, "--drain", "--timeout", "60s"], capture_output=True,
                       timeout=90, env=self.environment)
        mine = [pid for pid in pids() if pid != os.getpid() and living(pid) and
                (f"/mcpfleet/{self.scope}" in read(f"/proc/{pid}/cgroup") or self.state in read(f"/proc/{pid}/cmdline"))]
        for pid in mine:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for hierarchy in HIERARCHIES:
            scope = os.path.join("/sys/fs/cgroup", hierarchy, "mcpfleet", self.scope)
            if os.path.isdir(scope):
                for directory, _, _ in os.walk(scope, topdown=False):
                    try:
                        os.rmdir(directory)
                    except OSError:
                        pass


def manifest(name, spec, labels=None):
    return {"apiVersion": "mcpfleet.dev/v1alpha1", "kind": "MCPServer",
            "metadata": {"name": name, "labels": {"app": "bench", **(labels or {})}}, "spec": spec}


LIMITS = {"limits": {"memory": "64Mi", "pids": 32}}


def process_server(name, path, **spec):
    return manifest(name, {"source": {"process": {"path": path}}, "runtime": "Process", "resources": LIMITS,
                           "terminationGracePeriod": "2s", **spec})


def docker_server(name, image, **spec):
    return manifest(name, {"source": {"image": {"ref": image, "pullPolicy": "Never"}}, "runtime": "Docker", "resources": LIMITS,
                           "terminationGracePeriod": "1s", **spec})


class Engine:
    """A Docker engine of the bench's own: data, sockets and containerd namespaces are nobody else's."""

    IMAGE = "mcpfleet-bench/server:1"

    def __init__(self, work, name="docker", own_network=False):
        """`own_network`: in a network namespace of its own, where it may make bridges without touching the machine's."""
        self.space, self.own_network = f"mcpfleet-bench-{os.getpid()}-{name}", own_network
        self.directory = work.path(name)
        self.socket = os.path.join(self.directory, "docker.sock")
        os.makedirs(self.directory)
        daemon = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if daemon is None:
            skip("no dockerd on this machine (Debian: docker.io)")
        work.ends.append(self.stop)
        for driver in ("overlay2", "vfs"):
            if self.launch(daemon, driver):
                break
        else:
            skip(f"dockerd does not come up: {read(os.path.join(self.directory, 'log'))[-600:]}")
        self.driver = driver
        self.import_image(work.server())

    def launch(self, daemon, driver):
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        inside = []
        if self.own_network:
            network, inside = [], ["unshare", "--net", "sh", "-c", 'busybox ip link set lo up && exec "$@"', "sh"]
        command = [*inside, daemon, "--data-root", f"{self.directory}/data", "--exec-root", f"{self.directory}/exec", "-H", f"unix://{self.socket}",
                   "--pidfile", f"{self.directory}/pid", "--storage-driver", driver, "--containerd-namespace", self.space,
                   "--containerd-plugins-namespace", f"{self.space}-plugins", "--log-level", "warn", *network]
        with open(f"{self.directory}/log", "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.request("GET", "/_ping")[0] == 200:
                    return True
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)
        self.stop()
        return False

    def request(self, method, target, body=None, timeout=120):
        return unix_request(self.socket, method, target, body, timeout)

    def json(self, method, target, body=None, expect=(200, 201, 204)):
        status, text = self.request(method, target, body)
        if status not in expect:
            raise SystemExit(f"docker {method} {target}: {status} {text[:400]!r}")
        return json.loads(text) if text else None

    def import_image(self, server):
        tar = subprocess.run(["tar", "-C", os.path.dirname(server), "--transform", "s,.*,server,", "-cf", "-", os.path.basename(server)],
                             check=True, capture_output=True).stdout
        repository, _, tag = self.IMAGE.rpartition(":")
        connection = UnixConnection(self.socket)
        connection.request("POST", f"/images/create?fromSrc=-&repo={repository}&tag={tag}&changes=ENTRYPOINT%20%5B%22/server%22%5D", tar,
                           {"Content-Type": "application/x-tar"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or b'"error"' in body:
            raise SystemExit(f"docker import: {answer.status} {body[:300]!r}")
        connection.close()

    def containers(self, label):
        filters = json.dumps({"label": [label]}).replace('"', "%22").replace(" ", "")
        return self.json("GET", f"/containers/json?all=1&filters={filters}")

    def remove_containers(self, label):
        ids = [container["Id"] for container in self.containers(label)]
        in_parallel(8, ids, lambda id: self.request("DELETE", f"/containers/{id}?force=1&v=1"))

    def stop(self):
        if self.process.poll() is None:
            try:
                for container in self.json("GET", "/containers/json?all=1"):
                    self.request("DELETE", f"/containers/{container['Id']}?force=1&v=1")
            except (OSError, http.client.HTTPException, SystemExit):
                pass
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for mount in ("data", "exec/netns/default"):
            subprocess.run(["umount", "-l", f"{self.directory}/{mount}"], capture_output=True)


class Containerd:
    """A containerd of the bench's own, with the image of `work.server()`. One at a time: containers of two would share a cgroup."""

    IMAGE, SPACE = "docker.io/mcpfleet-bench/server:1", "mcpfleet-bench"

    def __init__(self, work):
        self.directory = work.path("containerd")
        self.socket = os.path.join(self.directory, "containerd.sock")
        os.makedirs(self.directory)
        daemon = shutil.which("containerd", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if daemon is None:
            skip("no containerd on this machine (Debian: containerd)")
        with open(f"{self.directory}/config.toml", "w") as file:
            file.write(f'version = 2\nroot = "{self.directory}/root"\nstate = "{self.directory}/state"\n'
                       f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{self.socket}"\n')
        work.ends.append(self.stop)
        with open(f"{self.directory}/log", "w") as log:
            self.process = subprocess.Popen([daemon, "--config", f"{self.directory}/config.toml", "--log-level", "warn"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        wait_for(lambda: os.path.exists(self.socket) and self.ctr("version", check=False).returncode == 0, 30, "containerd answers")
        plugins = self.ctr("plugins", "ls").stdout
        self.snapshotter = "overlayfs" if any("overlayfs" in line and line.rstrip().endswith("ok") for line in plugins.splitlines()) else "native"
        self.import_image(work.server())

    def ctr(self, *arguments, check=True):
        return subprocess.run(["ctr", "--address", self.socket, "--namespace", self.SPACE, *arguments], capture_output=True, text=True, timeout=120, check=check)

    def import_image(self, server):
        with tempfile.TemporaryDirectory() as place:
            subprocess.run(["tar", "-C", os.path.dirname(server), "--transform", "s,.*,server,", "-cf", f"{place}/layer.tar", os.path.basename(server)], check=True)
            with open(f"{place}/layer.tar", "rb") as layer:
                digest = hashlib.sha256(layer.read()).hexdigest()
            machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
            files = {"config.json": {"architecture": machine, "os": "linux", "config": {"Entrypoint": ["/server"]},
                                     "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}},
                     "manifest.json": [{"Config": "config.json", "RepoTags": [self.IMAGE], "Layers": ["layer.tar"]}]}
            for name, content in files.items():
                with open(f"{place}/{name}", "w") as file:
                    json.dump(content, file)
            subprocess.run(["tar", "-C", place, "-cf", f"{place}/image.tar", "layer.tar", *files], check=True)
            self.ctr("images", "import", "--no-unpack", f"{place}/image.tar")

    @contextlib.contextmanager
    def events(self):
        """Lines of `ctr events`, from now on."""
        with subprocess.Popen(["ctr", "--address", self.socket, "--namespace", self.SPACE, "events"], stdout=subprocess.PIPE, text=True) as watch:
            time.sleep(0.3)  # it says nothing when it is ready
            try:
                yield watch.stdout
            finally:
                watch.kill()

    def tasks(self):
        return [line.split()[0] for line in self.ctr("tasks", "ls").stdout.splitlines()[1:]]

    def stop(self):
        if self.process.poll() is not None:
            return
        for task in self.tasks():
            self.ctr("tasks", "kill", "--signal", "SIGKILL", task, check=False)
            self.ctr("tasks", "delete", "--force", task, check=False)
        self.process.terminate()
        self.process.wait(20)


class Starts(threading.Thread):
    """Container starts (or ends) that the engine reports, with its own time: the same watch for whoever makes them."""

    def __init__(self, engine, event="start"):
        super().__init__(daemon=True)
        self.times, self.changed = {}, threading.Condition()
        self.connection = UnixConnection(engine.socket, timeout=600)
        self.connection.request("GET", f"/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22{event}%22%5D%7D")
        self.answer = self.connection.getresponse()
        self.start()

    def run(self):
        try:
            while line := self.answer.readline():
                event = json.loads(line)
                with self.changed:
                    self.times[event["Actor"]["ID"]] = event["timeNano"] / 1e9
                    self.changed.notify_all()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass

    def reset(self):
        with self.changed:
            self.times.clear()

    def wait(self, count, timeout=180):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.times) >= count, timeout):
                raise SystemExit(f"{len(self.times)} of {count} containers were started in {timeout} s")
            return max(self.times.values())


class CountingProxy:
    """Passes TCP connections on to a port of loopback and keeps (time, connection, to the client?, bytes) of every piece."""

    def __init__(self, work, port):
        self.target, self.pieces, self.watches = port, [], set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        work.ends.append(self.listener.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        number = 0
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=self.serve, args=(client, number), daemon=True).start()

    def serve(self, client, number):
        server = socket.create_connection(("127.0.0.1", self.target))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client and data.startswith(b"GET /v1/watch"):
                        self.watches.add(number)
                    self.pieces.append((time.time(), number, source is server, len(data)))
                    (client if source is server else server).sendall(data)
        except OSError:
            pass
        finally:
            client.close()
            server.close()


def in_parallel(width, items, work):
    """work(item) for each, `width` at a time; the first error is raised."""
    queue, lock, errors = list(reversed(items)), threading.Lock(), []

    def run():
        while True:
            with lock:
                if not queue or errors:
                    return
                item = queue.pop()
            try:
                work(item)
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(width)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
