"""etcd and raftd on free loopback ports, side by side: what both can do is called the same.

raftd's are those of the end-to-end tests; an etcd ends with its stop(), and with SIGKILL only when that is asked for."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from cluster import Cluster, free_ports, wait_for  # noqa: E402

ETCD = shutil.which("etcd")
ETCD_ABSENT = "etcd is not installed: apt-get install etcd-server"


def post(port, path, body, method="POST", headers=None, timeout=20.0):
    """(status, headers, text) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        try:
            connection.request(method, path, body, headers or {})
        except (BrokenPipeError, ConnectionResetError):
            if connection.sock is None:
                raise  # There was no connection yet.
            # It was answered before all was sent, and given up: the answer is there to read.
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def call(port, path, body):
    """The JSON of an answer that has to be 200."""
    status, _, text = post(port, path, json.dumps(body))
    assert status == 200, f"{path} {body}: {status} {text}"
    return json.loads(text)


class EtcdNode:
    def __init__(self, cluster, number, client_port, peer_port):
        self.cluster, self.id, self.http_port, self.peer_port = cluster, number, client_port, peer_port
        self.dir = cluster.dir / f"etcd{number}"
        self.dir.mkdir(parents=True)
        self.process = None

    def start(self):
        assert not self.alive()
        client, peer = f"http://127.0.0.1:{self.http_port}", f"http://127.0.0.1:{self.peer_port}"
        members = ",".join(f"n{n.id}=http://127.0.0.1:{n.peer_port}" for n in self.cluster.nodes)
        # The environment may configure another etcd.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD_")}
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                [ETCD, "--name", f"n{self.id}", "--data-dir", str(self.dir / "data"), "--log-level", "warn",
                 "--listen-client-urls", client, "--advertise-client-urls", client,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", members],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def status(self):
        """The id of the member that this node calls its leader; None while it does not answer."""
        try:
            _, _, text = post(self.http_port, "/v3/maintenance/status", "{}", timeout=2.0)
            return json.loads(text)
        except (OSError, http.client.HTTPException, ValueError):
            return None


class EtcdCluster:
    def __init__(self, directory, size=1):
        self.dir = directory
        ports = free_ports(2 * size)
        self.nodes = [EtcdNode(self, i + 1, ports[2 * i], ports[2 * i + 1]) for i in range(size)]

    def start(self):
        for n in self.nodes:
            n.start()
        wait_for(self.serves, "etcd serves", 30)
        return self

    def serves(self):
        """Whether each node answers a range that a majority must agree to."""
        try:
            return all(post(n.http_port, "/v3/kv/range", '{"key":"AA=="}')[0] == 200 for n in self.nodes)
        except (OSError, http.client.HTTPException):
            return False

    def live(self):
        return [n for n in self.nodes if n.alive()]

    def leader(self):
        for n in self.live():
            s = n.status()
            if s and s.get("leader", "0") == s["header"]["member_id"]:
                return n
        return None

    def wait_leader(self):
        return wait_for(self.leader, "etcd has a leader", 30)

    def close(self):
        for n in self.nodes:
            if n.alive():
                n.process.send_signal(signal.SIGCONT)
                n.kill()


def raftd_cluster(directory, size=1, **options):
    """Started; a raftd that does not know etcd's API fails here and not in every test."""
    directory.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(directory, size, **options).start()
    status, _, text = post(cluster.nodes[0].http_port, "/v3/kv/range", '{"key":"AA=="}')
    assert status == 200, f"this raftd does not serve /v3/kv/range: {status} {text}"
    return cluster


def etcd_version():
    """As "3.4.23"; None where it is not installed."""
    if not ETCD:
        return None
    text = subprocess.run([ETCD, "--version"], capture_output=True, text=True, check=True).stdout
    return text.split()[2]
