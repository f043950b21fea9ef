#!/usr/bin/python3
"""What a million leases cost, and how exactly they end.

  leases.py [--leases 1000000] [--ttl 600] [--secs 30] [--sample 300] [--how transfer|kill] [--election 1000] [--dir D]

Three raftd processes on loopback. Keys with a time to live are made (each has a lease of its own), then
  idle    nobody does anything: what do the leases cost by being there?
  beats   each lease is kept alive three times in its life, evenly over the time, through a follower
  expiry  a sample of other keys, with lives of 8 to 20 seconds, is watched while the leader changes three times: how much
          later than it should each goes; the beats go on meanwhile
CPU is that of the processes (user and system), in per cent of one core. RAFTD names the program. Processes are ended by
their PID; loops are bounded in time and count."""
import argparse, os, random, shutil, socket, statistics, tempfile, threading, time
from handover import Trio

HZ = os.sysconf("SC_CLK_TCK")
PIPELINED = 16  # Requests of one connection in progress.
BEATERS = 4     # Connections that keep leases alive.

def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ
def rss_mib(pid):
    return int(next(l for l in open(f"/proc/{pid}/status") if l.startswith("VmRSS:")).split()[1]) / 1024

class Pipe:
    """One connection with requests in flight; answers are only counted by their status."""
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port)); self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s.settimeout(20); self.buffer = b""
    def answers(self, count):
        statuses = []
        while len(statuses) < count:
            end = self.buffer.find(b"\r\n\r\n")
            if end >= 0:
                head = self.buffer[:end].lower()
                length = int(head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]) if b"content-length: " in head else 0
                if len(self.buffer) >= end + 4 + length:
                    statuses.append(int(head[9:12])); self.buffer = self.buffer[end + 4 + length:]
                    continue
            data = self.s.recv(1 << 16)
            if not data: raise OSError("closed")
            self.buffer += data
        return statuses
    def ask(self, requests):
        self.s.sendall(b"".join(requests))
        return self.answers(len(requests))

def request(method, path, body=b""):
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

def fill(port, count, ttl, threads=8):
    """Keys k0..., each with a lease of its own. Returns seconds."""
    begun, failed = time.monotonic(), []
    def part(k):
        pipe = Pipe(port)
        for first in range(k * PIPELINED, count, threads * PIPELINED):
            wanted = [request("PUT", f"/kv/k{i}?ttl={ttl}s&timeout=20s", b"v") for i in range(first, min(first + PIPELINED, count))]
            failed.extend(s for s in pipe.ask(wanted) if s not in (200, 201))
    workers = [threading.Thread(target=part, args=(k,)) for k in range(threads)]
    for w in workers: w.start()
    for w in workers: w.join()
    if failed: raise SystemExit(f"{len(failed)} writes failed: {failed[:5]}")
    return time.monotonic() - begun

class Beater(threading.Thread):
    """Keeps `count` leases alive, each `per_life` times in its life, in bursts of what one connection may have in flight."""
    def __init__(self, port, first, count, ttl, per_life=3):
        super().__init__(daemon=True)
        self.port, self.first, self.count, self.rate = port, first, count, count * per_life / ttl
        self.done, self.refused, self.latency, self.stopping = 0, 0, [], threading.Event()
    def run(self):
        pipe, at, begun, sent = None, 0, time.monotonic(), 0
        while not self.stopping.is_set():
            due = int((time.monotonic() - begun) * self.rate) - sent
            if due < PIPELINED:
                self.stopping.wait(PIPELINED / self.rate)
                continue
            if due > self.rate: sent += due - int(self.rate)  # It fell behind by more than a second: those are left out.
            try:
                if pipe is None: pipe = Pipe(self.port)
                asked = time.monotonic()
                statuses = pipe.ask([request("POST", f"/lease/{self.first + (at + i) % self.count}/keepalive") for i in range(PIPELINED)])
                self.latency.append(time.monotonic() - asked)
                self.done += statuses.count(200); self.refused += len(statuses) - statuses.count(200)
            except OSError: pipe = None
            at += PIPELINED; sent += PIPELINED

def measure(trio, secs, name, beaters=()):
    pids = [p.pid for p in trio.p]; before = [cpu_s(p) for p in pids]; done = sum(b.done for b in beaters)
    t = time.monotonic(); time.sleep(secs); took = time.monotonic() - t
    cpu = [100 * (cpu_s(p) - b) / took for p, b in zip(pids, before)]
    leader = trio.settled()
    shown = ", ".join(f"{'leader' if i == leader else 'follower'} {c:.1f} %" for i, c in enumerate(cpu))
    print(f"{name:8} {shown}; beats {(sum(b.done for b in beaters) - done) / took:,.0f}/s")

def make_sample(port, count):
    """Key to (when it was asked for, when the answer came, its life)."""
    pipe, made = Pipe(port), {}
    for i in range(count):
        life = random.randrange(8, 21); asked = time.monotonic()
        assert pipe.ask([request("PUT", f"/kv/sample/{i}?ttl={life}s", b"v")])[0] in (200, 201)
        made[f"sample/{i}"] = (asked, time.monotonic(), life)
    return made

def listed(port):
    s = socket.create_connection(("127.0.0.1", port)); s.settimeout(5)
    s.sendall(b"GET /kv/sample/?list&keys&limit=10000&timeout=1s HTTP/1.0\r\nHost: x\r\nAccept: text/plain\r\n\r\n")
    text = b""
    while data := s.recv(1 << 16): text += data
    s.close()
    head, _, body = text.partition(b"\r\n\r\n")
    return set(body.decode().split()) if b" 200 " in head[:16] else None

def change_leader(trio, how):
    leader = trio.settled()
    if how == "kill":
        trio.p[leader].kill(); trio.p[leader].wait(); time.sleep(3); trio.start(leader)
    else:
        Pipe(trio.http[leader]).ask([request("POST", "/cluster/transfer?timeout=5s")])

def expiry(trio, count, how):
    made, gone = make_sample(trio.http[trio.settled()], count), {}
    changes = iter([4, 8, 12]); change_at, begun, worker = next(changes), time.monotonic(), None
    end = begun + 120
    while len(gone) < count and time.monotonic() < end:
        if change_at and time.monotonic() - begun > change_at:
            worker = threading.Thread(target=change_leader, args=(trio, how)); worker.start(); change_at = next(changes, None)
        live = None
        for port in trio.http:  # The first that can: a node that was killed does not answer.
            try: live = listed(port)
            except OSError: continue
            if live is not None: break
        now = time.monotonic()
        for key in made:
            if live is not None and key not in live: gone.setdefault(key, now)
        time.sleep(0.02)
    if worker: worker.join()
    late = sorted(gone[k] - answered - life for k, (_, answered, life) in made.items() if k in gone)
    early = sum(gone[k] - asked < life for k, (asked, _, life) in made.items() if k in gone)
    print(f"expiry   {len(gone)} of {count} went, {early} of them early; late by p50 {1000 * statistics.median(late):.0f}, "
          f"p99 {1000 * late[int(.99 * (len(late) - 1))]:.0f}, max {1000 * late[-1]:.0f} ms, through 3 changes of leader ({how})")

def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--leases", type=int, default=1_000_000); a.add_argument("--ttl", type=int, default=600)
    a.add_argument("--secs", type=int, default=30); a.add_argument("--sample", type=int, default=300)
    a.add_argument("--how", choices=("transfer", "kill"), default="transfer"); a.add_argument("--election", type=int, default=1000)
    a.add_argument("--dir"); o = a.parse_args()
    directory = o.dir or tempfile.mkdtemp(prefix="raftd-leases-"); os.makedirs(directory, exist_ok=True)
    trio = Trio(directory, o.election)
    try:
        for i in range(3): trio.start(i)
        leader = trio.settled(); empty = [rss_mib(p.pid) for p in trio.p]
        took = fill(trio.http[leader], o.leases, o.ttl)
        leader = trio.settled()
        full = [rss_mib(p.pid) for p in trio.p]
        print(f"fill     {o.leases:,} keys with a lease each in {took:.1f} s; memory of a node {empty[leader]:.0f} -> {full[leader]:.0f} MiB, "
              f"{(full[leader] - empty[leader]) * 2**20 / o.leases:.0f} B each")
        measure(trio, o.secs, "idle")
        share = o.leases // BEATERS
        beaters = [Beater(trio.http[(leader + 1) % 3], 1 + k * share, share, o.ttl) for k in range(BEATERS)]
        for b in beaters: b.start()
        time.sleep(1)
        measure(trio, o.secs, "beats", beaters)
        expiry(trio, o.sample, o.how)
        for b in beaters: b.stopping.set()
        for b in beaters: b.join(30)
        latency = sorted(l for b in beaters for l in b.latency)
        print(f"beats    {sum(b.done for b in beaters):,} kept, {sum(b.refused for b in beaters):,} refused; {PIPELINED} at once answered in p50 "
              f"{1000 * statistics.median(latency):.1f}, p99 {1000 * latency[int(.99 * len(latency))]:.1f} ms")
    finally:
        trio.end()
        if not o.dir: shutil.rmtree(directory, ignore_errors=True)

if __name__ == "__main__": main()
