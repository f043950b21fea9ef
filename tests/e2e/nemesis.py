"""Faults drawn from a seed, one after the other, against a running cluster: killed, stopped, cut off, all at once."""

import collections
import random
import socket
import time

from cluster import wait_for
from workload import read_register


class QueuedReads:
    """Reads that wait in a stopped node's sockets, and what it answers once it runs again."""

    def __init__(self, node, keys):
        self.rows, self.open = [], []
        for key in keys:
            try:
                s = socket.create_connection(("127.0.0.1", node.http_port), 5)
            except OSError:
                continue
            s.settimeout(10)
            row = {"client": "queued", "node": node.id, "key": key, "op": "get", "value": None,
                   "call": time.monotonic_ns(), "outcome": "none", "out": None}
            s.sendall(b"GET /kv/%s?timeout=3s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % key.encode())
            self.open.append((s, row))

    def collect(self):
        for s, row in self.open:
            answer = b""
            try:
                while part := s.recv(65536):
                    answer += part
            except OSError:
                pass
            s.close()
            row["return"] = time.monotonic_ns()
            head, _, body = answer.partition(b"\r\n\r\n")
            row["outcome"], row["out"] = read_register(
                int(head[9:12] or b"0"), b"raftd-error: not_found" in head.lower(), body)
            self.rows.append(row)
        return self.rows


class Nemesis:
    """Each fault lasts as long as the seed says and is undone before the next one begins."""

    def __init__(self, cluster, workload, seed):
        self.cluster, self.workload, self.rng = cluster, workload, random.Random(seed)
        self.fired = collections.Counter()
        self.queued = []
        self.answered_after_stop = 0
        self.kinds = {
            "kill": self.kill, "kill leader": self.kill_leader, "stop leader": self.stop_leader, "stop": self.stop,
            "cut off leader": self.cut_leader, "cut off": self.cut, "cut one link": self.cut_link,
            "restart all": self.restart_all,
        }

    def run(self, seconds):
        """Every kind once, in an order of the seed's, then any of them until the time is over."""
        end = time.monotonic() + seconds
        order = self.rng.sample(sorted(self.kinds), len(self.kinds))
        while order or time.monotonic() < end:
            kind = order.pop() if order else self.rng.choice(sorted(self.kinds))
            self.workload.rotate_keys()
            self.let_work()
            self.kinds[kind]()
            self.fired[kind] += 1
            wait_for(self.cluster.leader, f"a leader after: {kind}", 30)

    def let_work(self):
        goal = self.workload.acknowledged_count() + 20
        wait_for(lambda: self.workload.acknowledged_count() >= goal, "writes go on after the last fault", 30)

    def last(self, least, most):
        time.sleep(self.rng.uniform(least, most))  # A fault's length.

    def any_node(self):
        return self.rng.choice(self.cluster.nodes)

    def leader(self):
        return self.cluster.leader() or self.any_node()

    def kill(self, node=None):
        node = node or self.any_node()
        node.kill()
        self.last(0.0, 0.8)
        node.start()
        wait_for(node.status, "the killed node answers again", 30)

    def kill_leader(self):
        self.kill(self.leader())

    def stop_leader(self):
        """Past the election timeout: it wakes up with requests before it, and must not think that it leads."""
        node = self.leader()
        node.pause()
        try:
            self.last(0.0, 0.2)
            queued = QueuedReads(node, self.workload.keys_now())
            self.last(0.5, 2.0)
        finally:
            node.resume()
        rows = queued.collect()
        self.answered_after_stop += sum(r["outcome"] == "ok" for r in rows)
        self.queued += rows

    def stop(self):
        node = self.any_node()
        node.pause()
        self.last(0.1, 1.0)
        node.resume()

    def cut(self, node=None):
        self.cluster.isolate(node or self.any_node())
        self.last(0.2, 1.2)
        self.cluster.heal()

    def cut_leader(self):
        self.cut(self.leader())

    def cut_link(self):
        pair = self.rng.sample(self.cluster.nodes, 2)
        self.cluster.cut_pair(*pair)
        self.last(0.2, 1.2)
        self.cluster.heal()

    def restart_all(self):
        for n in self.cluster.nodes:
            n.kill()
        for n in self.cluster.nodes:
            n.start()
        for n in self.cluster.nodes:
            wait_for(n.status, "every node answers again", 30)
