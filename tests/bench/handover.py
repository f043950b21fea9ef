#!/usr/bin/python3
"""How long nobody's writes are acknowledged when the leader is ended: in order (SIGTERM), or killed (kill -9).

  handover.py [--rounds 10] [--election 500] [--dir D]

Three raftd processes on loopback. One client keeps a connection to a node that is not the leader, writes 100 bytes, and at
once again when it is answered; what is refused it writes again after a millisecond. The gap is the longest time between two
acknowledged writes that begins between the signal and the end of the process; "calm" is the same over half a second before
the signal: what the machine does by itself. The node is started again before the next round. Both ways take turns.
RAFTD names the program. Processes are ended by their PID; loops are bounded in time and count."""
import argparse, http.client, json, os, random, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

def free_ports(count):
    """Below those that the kernel gives to who connects, so that a node that is away does not lose its own."""
    ports = []
    for port in random.sample(range(20000, 32000), 12000):
        with socket.socket() as s:
            try: s.bind(("127.0.0.1", port))
            except OSError: continue
        ports.append(port)
        if len(ports) == count: return ports
    sys.exit("no free ports")

class Trio:
    def __init__(self, directory, election_ms):
        self.dir, ports = directory, free_ports(6)
        self.http, self.peer, self.p = ports[:3], ports[3:], [None] * 3
        members = ", ".join(f'{{ id = {i + 1}, peer = "127.0.0.1:{self.peer[i]}", client = "http://127.0.0.1:{self.http[i]}" }}' for i in range(3))
        for i in range(3):
            with open(f"{directory}/n{i}.toml", "w") as f:
                f.write(f'id = {i + 1}\ndata_dir = "{directory}/n{i}"\n[client]\nlisten = "127.0.0.1:{self.http[i]}"\n'
                        f'[peer]\nlisten = "127.0.0.1:{self.peer[i]}"\n[cluster]\nname = "handover"\nmembers = [{members}]\n'
                        f'[raft]\nelection_timeout = "{election_ms}ms"\nheartbeat_interval = "{election_ms // 6}ms"\n')
    def start(self, i):
        with open(f"{self.dir}/log{i}", "ab") as log:
            self.p[i] = subprocess.Popen([os.environ.get("RAFTD", "build/raftd"), "--config", f"{self.dir}/n{i}.toml"],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    def status(self, i):
        c = http.client.HTTPConnection("127.0.0.1", self.http[i], timeout=2)
        try:
            c.request("GET", "/status")
            return json.loads(c.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException): return None
        finally: c.close()
    def settled(self, seconds=30):
        """Waits until all three follow one leader and have applied the same; returns who that is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            s = [self.status(i) for i in range(3)]
            if all(x and x["leader"] for x in s) and len({(x["leader"]["id"], x["term"], x["applied_index"], x["last_index"]) for x in s}) == 1:
                return s[0]["leader"]["id"] - 1
            time.sleep(0.05)
        raise SystemExit(f"no leader that all follow in {seconds} s; see {self.dir}")
    def end(self):
        for p in self.p:
            if p and p.poll() is None: p.kill(); p.wait()

class Writer(threading.Thread):
    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.acked, self.told, self.stopping = port, [], [], threading.Event()
    def run(self):
        s = socket.create_connection(("127.0.0.1", self.port)); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); s.settimeout(10)
        request = b"PUT /kv/handover?timeout=2s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + b"v" * 100
        while not self.stopping.is_set():
            sent = time.perf_counter(); s.sendall(request); got = b""
            while b"\r\n\r\n" not in got: got += s.recv(65536)
            head, body = got.split(b"\r\n\r\n", 1)
            length = next(int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length"))
            while len(body) < length: body += s.recv(65536)
            now = time.perf_counter()
            if head[9:12] in (b"200", b"201"): self.acked.append(now)
            else:
                error = json.loads(body)["error"]
                self.told.append((error, now - sent))
                time.sleep(0.001)
        s.close()

def one_round(trio, sig, quiet_s=0.7):
    leader = trio.settled()
    writer = Writer(trio.http[(leader + 1) % 3]); writer.start()
    time.sleep(quiet_s)                                       # Load before the end, not a wait for a condition.
    before = len(writer.acked); began = time.perf_counter()
    trio.p[leader].send_signal(sig)
    exit_status = trio.p[leader].wait(20); exited = time.perf_counter() - began
    end = time.monotonic() + 20
    while time.monotonic() < end and sum(t > began + 0.5 for t in list(writer.acked)) < 20: time.sleep(0.05)
    time.sleep(0.1); writer.stopping.set(); writer.join(15)
    acked = writer.acked[max(before - 1, 0):]
    gap, at = max((b - a, a) for a, b in zip(acked, acked[1:]) if a <= began + exited)
    steady = sorted(b - a for a, b in zip(writer.acked, writer.acked[1:]) if began - 0.5 <= a < b <= began)
    trio.start(leader)
    return {"gap": gap, "at": at - began, "exit": exited, "status": exit_status, "told": writer.told,
            "p50": steady[len(steady) // 2], "calm": steady[-1]}

def main():
    a = argparse.ArgumentParser(); a.add_argument("--rounds", type=int, default=10); a.add_argument("--election", type=int, default=500)
    a.add_argument("--dir"); a.add_argument("-v", action="store_true"); a = a.parse_args()
    directory = a.dir or tempfile.mkdtemp(prefix="raftd-handover-"); os.makedirs(directory, exist_ok=True)
    trio = Trio(directory, a.election); ways = {"SIGTERM": (signal.SIGTERM, []), "kill -9": (signal.SIGKILL, [])}
    try:
        for i in range(3): trio.start(i)
        for n in range(a.rounds):
            for name, (sig, rows) in list(ways.items())[:: 1 if n % 2 == 0 else -1]:
                rows.append(one_round(trio, sig))
                if a.v: r = rows[-1]; print(f"{name:8} gap {r['gap'] * 1e3:7.1f} ms from {r['at'] * 1e3:7.1f} ms, exit {r['exit'] * 1e3:6.1f} ms ({r['status']}), calm {r['calm'] * 1e3:.1f} ms, refused {len(r['told'])}: {sorted({e for e, _ in r['told']})}", file=sys.stderr)
    finally: trio.end()
    print(f"| leader ended by | rounds | gap median ms | gap max ms | calm median ms | calm max ms | write p50 ms | refused or unknown, median | exit median ms |\n|{'---|' * 9}")
    for name, (_, rows) in ways.items():
        ms = lambda key, of=statistics.median: f"{of(r[key] for r in rows) * 1e3:.1f}"
        print(f"| {name} | {len(rows)} | {ms('gap')} | {ms('gap', max)} | {ms('calm')} | {ms('calm', max)} | {ms('p50')} | {statistics.median(len(r['told']) for r in rows):g} | {ms('exit')} |")
    if not a.dir: shutil.rmtree(directory, ignore_errors=True)

if __name__ == "__main__": main()
