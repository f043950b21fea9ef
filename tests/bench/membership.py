#!/usr/bin/python3
"""What clients notice of changing members, and how long a new one takes to become a voter.

  membership.py replace [--size 5 --clients 4]         every member by a new machine, one after the other, with one command each
  membership.py join    [--mib 1024 --value-kib 100]   from the command on an empty directory to a voter

Real processes on loopback. Clients keep a connection each, put 100 bytes and at once again when that is answered; who is
refused, or whose node ends, asks the next node a millisecond later. "nobody" is the longest time between two acknowledged
writes whoever made them, "one client" the longest that a single client waited. A write is failed if its answer is no and
does not say that it can be sent again; one whose connection ended before its answer is counted by itself: its outcome is
unknown. RAFTD names the program. Processes are ended by their PID; loops are bounded in time."""
import argparse
import collections
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

RETRYABLE = {"transferring", "no_leader", "leader_lost", "superseded", "timeout", "not_ready", "shutting_down", "overloaded"}
REMOVED = 75
LAG_MAX = 1024  # What a learner may lack when it becomes a voter.
PATIENCE_S = 900


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def wait_for(condition, what, pause=0.005):
    end = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"not within {PATIENCE_S} s: {what}")
        time.sleep(pause)
    return value


class Node:
    """One process. founders: all first members; empty for one that joins. more: lines of its configuration."""

    def __init__(self, directory, name, founders=(), more=""):
        self.dir = pathlib.Path(directory, name)
        self.dir.mkdir(parents=True)
        self.http, self.peer = free_ports(2)
        self.founders, self.more, self.id, self.process = founders, more, None, None

    def start(self, *command):
        members = ", ".join(f'{{ id = {i + 1}, peer = "127.0.0.1:{n.peer}", client = "http://127.0.0.1:{n.http}" }}'
                            for i, n in enumerate(self.founders))
        if self.founders:
            self.id = self.founders.index(self) + 1
        config = self.dir / "node.toml"
        config.write_text((f"id = {self.id}\n" if self.id else "") + f'data_dir = "{self.dir}/data"\n'
                          f'[client]\nlisten = "127.0.0.1:{self.http}"\n[peer]\nlisten = "127.0.0.1:{self.peer}"\n'
                          f'[cluster]\nname = "membership"\n' + (f"members = [{members}]\n" if members else "") + self.more)
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen([os.environ.get("RAFTD", "build/raftd"), "--config", config, *command],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path):
        """JSON; None while there is no answer of 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            return json.loads(body) if answer.status == 200 else None
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def leads(self):
        return (s := self.get("/status")) and s["role"] == "leader"

    def holds(self, prefix):
        try:
            return any(n.startswith(prefix) and not n.endswith(".tmp") for n in os.listdir(self.dir / "data"))
        except FileNotFoundError:
            return False


def found(directory, size, more=""):
    """A cluster that has a leader whom all follow."""
    nodes = []
    nodes.extend(Node(directory, f"n{i + 1}", nodes, more) for i in range(size))
    for node in nodes:
        node.start()
    wait_for(lambda: all((s := n.get("/status")) and s["leader"] for n in nodes), "a leader")
    return nodes


def leader_of(nodes):
    return wait_for(lambda: next((n for n in nodes if n.leads()), None), "a leader")


def end(nodes):
    for node in nodes:
        if node.process and node.process.poll() is None:
            node.process.kill()
            node.process.wait()


class Client(threading.Thread):
    def __init__(self, number, nodes):
        super().__init__(daemon=True)
        self.number, self.nodes, self.at = number, nodes, number
        self.acknowledged, self.told, self.failed, self.cut = [], collections.Counter(), [], 0
        self.stopping = threading.Event()

    def run(self):
        connection = None
        while not self.stopping.is_set():
            if connection is None:
                nodes = list(self.nodes)
                connection = http.client.HTTPConnection("127.0.0.1", nodes[self.at % len(nodes)].http, timeout=10)
                try:
                    connection.connect()
                    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                except OSError:
                    connection = self.elsewhere(connection)
                    continue
            try:
                connection.request("PUT", f"/kv/member/{self.number}/{len(self.acknowledged) % 1000}?timeout=2s", b"v" * 100)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                self.cut += 1
                connection = self.elsewhere(connection)
                continue
            if answer.status in (200, 201):
                self.acknowledged.append(time.perf_counter())
            else:
                self.refused(json.loads(body))
                connection = self.elsewhere(connection)

    def refused(self, told):
        self.told[told["error"]] += 1
        if told["error"] not in RETRYABLE:
            self.failed.append(told)

    def elsewhere(self, connection):
        connection.close()
        self.at += 1
        time.sleep(0.001)
        return None


class Load:
    """Clients that write for as long as the block lasts."""

    def __init__(self, nodes, count):
        self.clients = [Client(i, nodes) for i in range(count)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            client.join(20)

    def failed(self):
        return [told for c in self.clients for told in c.failed]

    def cut(self):
        return sum(c.cut for c in self.clients)

    def told(self):
        return sum((c.told for c in self.clients), collections.Counter())

    def seen(self, begin, finish):
        """(writes, the longest gap of all, the longest of one client), of gaps that end or begin in between."""
        def inside(times):
            before = max((t for t in times if t < begin), default=begin)
            return [before, *(t for t in times if begin <= t <= finish), finish]
        one = [inside(list(c.acknowledged)) for c in self.clients]
        everybody = inside(sorted(t for c in self.clients for t in list(c.acknowledged)))
        longest = lambda times: max(b - a for a, b in zip(times, times[1:]))
        return len(everybody) - 2, longest(everybody), max(map(longest, one))


def join(machine, asked, *options):
    machine.start("join", f"http://127.0.0.1:{asked.http}", "--timeout=60s", *options)


def role_of(machine, asked):
    """What the cluster says that it is; None before it is a member."""
    machine.id = machine.id or ((s := machine.get("/status")) and s["id"])
    member = machine.id and asked.get(f"/cluster/members/{machine.id}")
    return member and member["role"]


def replace(a, directory):
    nodes = found(directory, a.size)
    everything = list(nodes)
    begun_load = os.getloadavg()[0]
    rows = []
    try:
        leader = leader_of(nodes)
        order = [n for n in nodes if n is not leader]
        order.insert(a.size // 2, leader)
        with Load(nodes, a.clients) as load:
            wait_for(lambda: all(len(c.acknowledged) > 100 for c in load.clients), "clients write")
            calm_begin = time.perf_counter()
            time.sleep(3)  # What the machine does by itself: load, not a wait for a condition.
            rows.append(("nothing", "", "", *load.seen(calm_begin, time.perf_counter()), load.cut()))
            for old in order:
                role = "leader" if old.leads() else "follower"
                new = Node(directory, f"instead-of-{old.id}")
                everything.append(new)
                asked = next(n for n in nodes if n is not old)
                cut, begin = load.cut(), time.perf_counter()
                join(new, asked, f"--replaces={old.id}")
                wait_for(lambda: role_of(new, asked) == "voter", "the new one votes")
                status = wait_for(lambda: old.process.poll() is not None and [old.process.returncode], "the old one ends")[0]
                if status != REMOVED:
                    raise SystemExit(f"node {old.id} ended with {status}; see {old.dir}/log")
                nodes[nodes.index(old)] = new
                finish = time.perf_counter()
                time.sleep(0.5)  # Clients of the old one find another.
                rows.append((f"{old.id} by {new.id}", role, f"{finish - begin:.1f}", *load.seen(begin, time.perf_counter()), load.cut() - cut))
        lost = [n for n in nodes if not n.get("/kv/member/?list&count")]
    finally:
        end(everything)
    print(f"{a.size} members replaced, {a.clients} clients; machine load {begun_load:.1f} before, {os.getloadavg()[0]:.1f} after\n")
    print("| replaced | was | s | writes | gap, nobody ms | gap, one client ms | cut off |\n" + "|---" * 7 + "|")
    for what, role, seconds, writes, everybody, one, cut in rows:
        print(f"| {what} | {role} | {seconds} | {writes} | {everybody * 1e3:.0f} | {one * 1e3:.0f} | {cut} |")
    print(f"\nfailed writes: {len(load.failed())} {load.failed()[:3]}; refused, to be sent again: {dict(load.told())}; nodes that do not read: {len(lost)}")
    return 0 if not load.failed() and not lost else 1


def fill(nodes, mib, value_kib):
    """So many MiB of values, eight at a time."""
    count, value = mib * 1024 // value_kib, os.urandom(value_kib * 1024)
    leader = leader_of(nodes)

    def some(first):
        connection = http.client.HTTPConnection("127.0.0.1", leader.http, timeout=60)
        for i in range(first, count, 8):
            answered = None
            while answered not in (200, 201):
                connection.request("PUT", f"/kv/state/{i:08}?timeout=30s", value)
                answer = connection.getresponse()
                answered, _ = answer.status, answer.read()
        connection.close()
    threads = [threading.Thread(target=some, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(PATIENCE_S)


def time_join(a, directory):
    more = f'[snapshot]\nbytes = "{max(1, a.mib // 4)}MiB"\n'  # So that the log does not have everything.
    nodes, machine = found(directory, 3, more), Node(directory, "new", more=more)
    try:
        fill(nodes, a.mib, a.value_kib)
        wait_for(lambda: all((s := n.get("/status")) and s["first_index"] > 1 for n in nodes), "the log is dropped behind a snapshot")
        leader = leader_of(nodes)
        load_before = os.getloadavg()[0]
        with Load(nodes, a.clients) as load:
            wait_for(lambda: all(len(c.acknowledged) > 100 for c in load.clients), "clients write")
            begin = last = time.perf_counter()
            phases = []

            def phase(name, condition):
                nonlocal last
                wait_for(condition, name)
                now = time.perf_counter()
                phases.append((name, now - last))
                last = now

            def lag():
                member = next((m for m in leader.get("/status")["members"] if m["id"] == machine.id), None)
                return LAG_MAX + 1 if member is None or member["state"] != "replicate" else member["lag"]
            join(machine, leader)
            phase("ticket, admitted", lambda: role_of(machine, leader))
            phase("snapshot received", lambda: machine.holds("snapshot-"))
            phase("caught up", lambda: lag() <= LAG_MAX)
            phase("voter", lambda: role_of(machine, leader) == "voter")
            writes, everybody, one = load.seen(begin, last)
    finally:
        end([*nodes, machine])
    print(f"{a.mib} MiB in values of {a.value_kib} KiB, {a.clients} clients; machine load {load_before:.1f} before, {os.getloadavg()[0]:.1f} after\n")
    print("| phase | s |\n|---|---|")
    for name, seconds in [*phases, ("all", last - begin)]:
        print(f"| {name} | {seconds:.2f} |")
    print(f"\nwrites meanwhile: {writes}, gap of nobody {everybody * 1e3:.0f} ms, of one client {one * 1e3:.0f} ms; failed: {len(load.failed())}")
    return 0 if not load.failed() else 1


def main():
    a = argparse.ArgumentParser()
    a.add_argument("what", choices=("replace", "join"))
    a.add_argument("--size", type=int, default=5)
    a.add_argument("--clients", type=int, default=4)
    a.add_argument("--mib", type=int, default=1024)
    a.add_argument("--value-kib", type=int, default=100)
    a.add_argument("--dir")
    a = a.parse_args()
    directory = a.dir or tempfile.mkdtemp(prefix="raftd-membership-")
    status = (replace if a.what == "replace" else time_join)(a, directory)
    if not a.dir:
        shutil.rmtree(directory, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
