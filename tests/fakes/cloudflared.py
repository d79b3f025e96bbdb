#!/usr/bin/python3
"""Stands for cloudflared: takes the arguments that mcplet gives, reads the two files, serves /ready and /config on its
metrics port, and does what its credentials ask for beside what a tunnel has in them. What it found it prints.

  "Probe": ["203.0.113.10:443", "eth0=192.0.2.2:80"]   connects there, by the interface when one is named
  "Names": ["outside.test"]                            resolves them
  "Ask": "/default/weather/healthz"                    asks the gateway for it by each host name, until it answers 200
  "Exit": 3          ends at once with this code
  "Connected": 0     connections that /ready tells; default 4
  "Remote": true     /config tells of another configuration than the file's
"""
import http.client
import http.server
import json
import os
import re
import signal
import socket
import sys
import threading
import time


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def probe(text):
    device, _, address = text.rpartition("=")
    host, port = address.split(":")
    connection = socket.socket()
    connection.settimeout(2)
    try:
        if device:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        connection.connect((host, int(port)))
        say("probe", text, "reached")
    except OSError as error:
        say("probe", text, "refused:", error)
    connection.close()


def resolve(name):
    try:
        say("name", name, socket.gethostbyname(name))
    except OSError as error:
        say("name", name, "unknown:", error)


class Gateway(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("gateway", timeout=5)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(self.path)


def ask(service, hostname, path):
    last = None
    for _ in range(600):
        try:
            gateway = Gateway(service.removeprefix("unix:"))
            gateway.request("GET", path, headers={"Host": hostname})
            status = gateway.getresponse().status
        except OSError as error:
            status = str(error)
        if status != last:
            say("gateway", hostname, status)
        last = status
        if status == 200:
            return
        time.sleep(0.05)


CATCH_ALL = re.compile(r'\n  - service: "http_status:404"\n$')


def main():
    if "--version" in sys.argv:
        print("cloudflared version 0.0.0 (a stand-in)")
        return
    if sys.argv[-2:] == ["ingress", "validate"]:
        print("Validating rules from", option("--config"))
        if not CATCH_ALL.search(open(option("--config")).read()):
            print("Validation failed: the last ingress rule must match all URLs")
            sys.exit(1)
        print("OK")
        return
    signal.signal(signal.SIGTERM, lambda *_: (say("terminated"), os._exit(0)))
    config = open(option("--config")).read()
    credentials = json.load(open(option("--credentials-file")))
    say("started", " ".join(sys.argv[1:]))
    if "Exit" in credentials:
        say("cannot go on")
        sys.exit(credentials["Exit"])
    rules = [dict(zip(("hostname", "service"), rule))
             for rule in re.findall(r'- hostname: "(\S+)"\n\s+service: "(\S+)"', config)]
    if not CATCH_ALL.search(config):
        say("the last rule is no catch-all")
        sys.exit(1)

    class Metrics(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, body = 404, {}
            if self.path == "/ready":
                connected = credentials.get("Connected", 4)
                status = 200 if connected else 503
                body = {"status": status, "readyConnections": connected, "connectorId": credentials["TunnelID"]}
            elif self.path == "/config":
                own = rules + [{"hostname": "", "service": "http_status:404"}]
                other = [{"hostname": "", "service": "http://192.168.0.1"}]
                remote = credentials.get("Remote", False)
                status, body = 200, {"version": 7 if remote else -1, "config": {
                    "ingress": other if remote else own, "warp-routing": {}, "originRequest": {}}}
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    host, port = option("--metrics").split(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for text in credentials.get("Probe", []):
        probe(text)
    for name in credentials.get("Names", []):
        resolve(name)
    if "Ask" in credentials:
        for rule in rules:
            ask(rule["service"], rule["hostname"], credentials["Ask"])
    say("done")
    while True:
        signal.pause()


main()
