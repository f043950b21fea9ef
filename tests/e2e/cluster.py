"""Real raftd processes on loopback: configuration, start, signals, HTTP, and a proxy that can cut peer links."""

import http.client
import json
import os
import random
import signal
import socket
import struct
import subprocess
import threading
import time

import msgpack

RAFTD = os.environ.get("RAFTD", "build/raftd")
# A build with a sanitizer is several times slower.
ELECTION_TIMEOUT_MS = 1000 if os.environ.get("RAFTD_SANITIZE") else 300
PATIENCE = 3  # The machine may have other things to do.
TIMEOUT_S = 20 * PATIENCE  # Of what takes no time where it works.
# Below what the kernel hands out to those that connect, or bind to port 0.
PORTS = range(24000, 32000)
reserved = []  # One abstract socket a port, which names it: taken until this process ends.


def port_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_ports(count):
    """Ports that no other test has while this process lives, not even while the node that they are for is down."""
    ports = []
    for port in random.sample(PORTS, len(PORTS)):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0raftd-test-port-{port}")
        except OSError:
            name.close()
            continue
        reserved.append(name)
        if port_free(port):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError(f"no {count} free ports in {PORTS}")


def wait_for(condition, what, seconds=20.0, pause=0.01):
    """Waits until condition() is true and returns its value; fails with `what` after `seconds` of a quiet machine."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds * PATIENCE} s: {what}")
        time.sleep(pause)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"Answer({self.status}, {self.body[:200]!r})"


class Proxy:
    """Stands before one node's peer port. Reads who dials from the hello, so that links between pairs can be cut.

    pause: seconds after each 64 KiB, for a link that is slow."""

    pause = 0.0

    def __init__(self, target_id, listen_port, target_port, cut):
        self.target_id, self.target_port, self.cut = target_id, target_port, cut
        self.live = []
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", listen_port))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            first = b""
            while len(first) < 16 or len(first) < 16 + struct.unpack_from("<I", first, 8)[0]:
                data = client.recv(65536)
                if not data:
                    client.close()
                    return
                first += data
            length = struct.unpack_from("<I", first, 8)[0]
            dialler = hello_node_id(first[16 : 16 + length])
            pair = frozenset((dialler, self.target_id))
            if pair in self.cut:
                client.close()
                return
            server = socket.create_connection(("127.0.0.1", self.target_port), 2)
            server.settimeout(None)  # A link that is idle stays.
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.live.append((pair, client, server))
            server.sendall(first)
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server)
        except OSError:
            client.close()

    def _copy(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                if self.pause:
                    time.sleep(self.pause * len(data) / 65536)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def drop_cut(self):
        with self.lock:
            for pair, client, server in self.live:
                if pair in self.cut:
                    for s in (client, server):
                        try:
                            s.shutdown(socket.SHUT_RDWR)
                        except OSError:
                            pass

    def close(self):
        self.listener.close()
        self.cut.update({pair for pair, _, _ in self.live})
        self.drop_cut()


def hello_node_id(body):
    """The node id in a peer's hello; its place is the schema's (wire/hello.h)."""
    fields = msgpack.unpackb(body, raw=True)
    return fields[HELLO_NODE_ID]


HELLO_NODE_ID = 4


class Node:
    def __init__(self, cluster, node_id, http_port, peer_port):
        self.cluster, self.id, self.http_port, self.peer_port = cluster, node_id, http_port, peer_port
        self.dir = cluster.dir / f"n{node_id}"
        self.dir.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.log_path = self.dir / "log"

    def start(self, *extra, env=None, wrapper=(), program=RAFTD):
        assert self.process is None or self.process.poll() is not None
        # The leak checker cannot work in a process that is traced.
        traced = {"ASAN_OPTIONS": "detect_leaks=0"} if wrapper and "strace" in wrapper[0] else {}
        config = self.dir / "node.toml"
        config.write_text(self.cluster.config_text(self))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*wrapper, program, "--config", str(config), *extra],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **traced, **(env or {})})
        return self

    @property
    def data_dir(self):
        return self.dir / "data"

    def log(self):
        return self.log_path.read_text(errors="replace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def ended(self):
        """Its exit status, once it has ended."""
        return self.process.wait(TIMEOUT_S)

    def stop(self):
        """SIGTERM; returns the exit status."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def request(self, method, path, body=None, headers=None, timeout=10.0):
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout)
        try:
            try:
                connection.request(method, path, body, headers or {})
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:
                    raise  # There was no connection yet.
                # It was answered before all was sent, and given up: the answer is there to read.
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, key, query=""):
        return self._once_led("GET", key, query)

    def put(self, key, value, query=""):
        return self._once_led("PUT", key, query, value)

    def _once_led(self, method, key, query, value=None):
        """Asks again while there is no leader, which a busy machine may lose at any time; unless the query has a timeout."""
        def answered():
            answer = self.request(method, f"/kv/{key}{query}", value)
            wait = answer.status == 503 and "timeout=" not in query and answer.json()["error"] == "no_leader"
            return None if wait else answer
        return wait_for(answered, f"node {self.id} knows a leader")

    def status(self):
        """/status, or None while the node does not answer."""
        try:
            return self.request("GET", "/status", timeout=2.0).json()
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def rss_kib(self, which="VmRSS"):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(which + ":"):
                return int(line.split()[1])
        raise AssertionError("no " + which)


class Machine(Node):
    """A node that no list of members names: it comes to its cluster with a command, and learns there who it is."""

    def __init__(self, cluster, name):
        super().__init__(cluster, name, *free_ports(2))

    def join(self, asked, *options):
        return self.start("join", f"http://127.0.0.1:{asked.http_port}", *options)

    def names(self):
        """What is in its data directory."""
        try:
            return {path.name for path in self.data_dir.iterdir()}
        except FileNotFoundError:
            return set()

    def member_id(self):
        """As it says itself; None while it does not answer."""
        status = self.status()
        return status and status["id"]


class Cluster:
    def __init__(self, directory, size=3, proxied=False, extra="", client="", learners=(),
                 election_timeout_ms=ELECTION_TIMEOUT_MS):
        self.learners = learners
        self.dir, self.extra, self.client, self.election_timeout_ms = directory, extra, client, election_timeout_ms
        ports = free_ports(3 * size)
        self.nodes = [Node(self, i + 1, ports[i], ports[size + i]) for i in range(size)]
        self.machines = []
        self.cut_pairs = set()
        self.advertised = {n.id: n.peer_port for n in self.nodes}
        self.proxies = []
        if proxied:
            for n in self.nodes:
                self.advertised[n.id] = ports[2 * size + n.id - 1]
                self.proxies.append(Proxy(n.id, self.advertised[n.id], n.peer_port, self.cut_pairs))

    def config_text(self, node):
        known = ",\n".join(
            f'  {{ id = {n.id}, peer = "127.0.0.1:{self.advertised[n.id]}", client = "http://127.0.0.1:{n.http_port}"'
            + (', role = "learner" }' if n.id in self.learners else " }")
            for n in self.nodes)
        own_id, members = (f"id = {node.id}", f"members = [\n{known}\n]") if node in self.nodes else ("", "")
        return f"""{own_id}
data_dir = "{node.data_dir}"
[client]
listen = "127.0.0.1:{node.http_port}"
{self.client}
[peer]
listen = "127.0.0.1:{node.peer_port}"
[cluster]
name = "e2e"
{members}
[raft]
heartbeat_interval = "{self.election_timeout_ms // 6}ms"
election_timeout = "{self.election_timeout_ms}ms"
[log]
segment_bytes = "8MiB"
{self.extra}
"""

    def start(self):
        for n in self.nodes:
            n.start()
        self.wait_leader()
        wait_for(lambda: all(n.status() for n in self.nodes), "every node answers")
        return self

    def wait_published(self):
        """Until each member has said through the log who it is. Before anything is written."""
        first = 2 + len(self.nodes)  # The members, and what a leader begins with.
        wait_for(lambda: all((s := n.status()) and s["applied_index"] >= first for n in self.live()), "all are known")
        return self

    def machine(self, name):
        """One that can join, with its own name; it ends with the cluster."""
        self.machines.append(Machine(self, name))
        return self.machines[-1]

    def live(self):
        return [n for n in self.nodes if n.alive()]

    def leader(self):
        """The node that a majority calls its leader, or None; of one that is dead they do not know it yet."""
        votes = {}
        for n in self.live():
            s = n.status()
            if s and s["leader"]:
                key = (s["term"], s["leader"]["id"])
                votes[key] = votes.get(key, 0) + 1
        for (_, leader_id), count in votes.items():
            if count > len(self.nodes) // 2:
                return next((n for n in self.live() if n.id == leader_id), None)
        return None

    def wait_leader(self, seconds=20.0):
        return wait_for(self.leader, "a leader", seconds)

    def follower(self):
        leader = self.wait_leader()
        return next(n for n in self.live() if n is not leader)

    def wait_applied(self, seconds=30.0):
        """Until every live node has applied what the furthest has committed."""
        def same():
            states = [n.status() for n in self.live()]
            if any(s is None for s in states):
                return False
            last = max(s["last_index"] for s in states)
            return all(s["applied_index"] == last for s in states)
        wait_for(same, "all nodes have applied everything", seconds)

    def isolate(self, node):
        for other in self.nodes:
            if other is not node:
                self.cut_pairs.add(frozenset((node.id, other.id)))
        for p in self.proxies:
            p.drop_cut()

    def cut_pair(self, one, other):
        self.cut_pairs.add(frozenset((one.id, other.id)))
        for p in self.proxies:
            p.drop_cut()

    def heal(self):
        self.cut_pairs.clear()

    def close(self):
        for n in self.nodes + self.machines:
            if n.alive():
                n.process.send_signal(signal.SIGCONT)
                n.kill()
        for p in self.proxies:
            p.close()
