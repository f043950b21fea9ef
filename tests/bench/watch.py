#!/usr/bin/python3
"""Many watchers on one node while keys are written: how much each costs, and how late they hear.

  watch.py [--watchers 10000 --writes 5000 --secs 10 --slow 10 --keys N --nodes 1 --dir D]

Each watcher is a connection with GET /watch of one key (--keys of them, by default one each); --slow per cent of them watch
everything and do not read. One process writes at a fixed rate and notes the revision of each key and when it was answered; this
one reads, with epoll. At the end every watcher that reads must have seen exactly the revisions of its key, in order: else the
script ends with 1. Lateness is from the answer to the writer to the moment at which the watcher's line was read, so that it
may be below 0. Both processes print how much of a processor they took: near 1, it is they who limit. RAFTD names the program;
with --nodes 3 the watchers are at a follower. Processes are ended by their PID; loops are bounded in time and count."""
import argparse, array, http.client, json, multiprocessing, os, re, select, shutil, signal, socket, subprocess, sys, tempfile, time
from handover import free_ports

REVISION, ETAG = re.compile(rb'"revision":(\d+),"last":true'), re.compile(rb'HTTP/1.1 (\d+).*?ETag: "(\d+)"', re.S)

class Nodes:
    def __init__(self, directory, count):
        self.http, peer, self.p = (ports := free_ports(2 * count))[:count], ports[count:], []
        members = ", ".join(f'{{ id = {i + 1}, peer = "127.0.0.1:{peer[i]}", client = "http://127.0.0.1:{self.http[i]}" }}' for i in range(count))
        for i in range(count):
            with open(f"{directory}/n{i}.toml", "w") as f:
                f.write(f'id = {i + 1}\ndata_dir = "{directory}/n{i}"\n[client]\nlisten = "127.0.0.1:{self.http[i]}"\nmax_connections = 30000\n'
                        f'[peer]\nlisten = "127.0.0.1:{peer[i]}"\n[cluster]\nname = "watch"\nmembers = [{members}]\n')
            with open(f"{directory}/log{i}", "ab") as log:
                self.p.append(subprocess.Popen([os.environ.get("RAFTD", "build/raftd"), "--config", f"{directory}/n{i}.toml"],
                                               stdin=subprocess.DEVNULL, stdout=log, stderr=log))
    def get(self, i, path):
        c = http.client.HTTPConnection("127.0.0.1", self.http[i], timeout=5)
        try:
            c.request("GET", path)
            return c.getresponse().read()
        finally: c.close()
    def leader(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                s = json.loads(self.get(0, "/status"))
                if s["leader"]: return s["leader"]["id"] - 1
            except (OSError, ValueError, http.client.HTTPException): pass
            time.sleep(0.05)
        sys.exit("no leader")
    def rss(self, i): return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.p[i].pid}/status").read())[1])
    def cpu(self, i):
        f = open(f"/proc/{self.p[i].pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")
    def end(self):
        for p in self.p: p.send_signal(signal.SIGTERM)
        for p in self.p: p.wait(30)

def write(port, keys, rate, secs, results):
    """Pipelined in small groups over a few connections, at a fixed rate; what was answered when."""
    conns = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
    waiting, seen, buffers = [[] for _ in conns], [], [b""] * len(conns)
    poll = select.epoll()
    for c in conns:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(c, select.EPOLLIN)
    at, begin, sent, stalled, turn = {c.fileno(): i for i, c in enumerate(conns)}, time.monotonic(), 0, 0, 0
    total = int(rate * secs)
    while len(seen) < total and time.monotonic() - begin < 4 * secs + 10:
        due = min(total, int((time.monotonic() - begin) * rate))
        for _ in range(len(conns)):
            if sent >= due: break
            i, turn = turn % len(conns), turn + 1
            if len(waiting[i]) > 0:
                stalled += 1
                continue
            group = range(sent, min(due, sent + 16))
            waiting[i] = [k * 7919 % keys for k in group]
            conns[i].sendall(b"".join(b"PUT /kv/w/%d HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n%020d" % (k, n) for k, n in zip(waiting[i], group)))
            sent += len(group)
        for fd, _ in poll.poll(0.001):
            i = at[fd]
            buffers[i] += conns[i].recv(65536)
            now = time.monotonic_ns()
            found = list(ETAG.finditer(buffers[i]))
            if not found: continue
            for m in found: seen.append((int(m[2]), waiting[i].pop(0), now))
            buffers[i] = buffers[i][found[-1].end():]
    results.put((seen, time.process_time() / (time.monotonic() - begin), (time.monotonic() - begin), stalled))

def open_watchers(port, args, keys):
    conns, slow = [], args.watchers * args.slow // 100
    for i in range(args.watchers):
        s = socket.socket()
        lazy = i < slow
        if lazy: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", port))
        target = b"w/?prefix" if lazy else b"w/%d" % (i % keys)
        s.sendall(b"GET /watch/" + target + b" HTTP/1.1\r\nHost: h\r\nAccept: application/x-ndjson\r\n\r\n")
        conns.append(s)
    for s in conns:  # The head, so that all of them watch before the first write.
        if not s.recv(4096).startswith(b"HTTP/1.1 200"): sys.exit("a watch was refused")
    return conns, slow

def read(conns, slow, writer, results, patience):
    poll, got, buffers, times = select.epoll(), {}, {}, {}
    for i, s in enumerate(conns[slow:], slow):
        s.setblocking(False)
        poll.register(s, select.EPOLLIN)
        got[s.fileno()], buffers[s.fileno()], times[s.fileno()] = array.array("Q"), b"", array.array("Q")
    by_fd, end, done, quiet = {s.fileno(): s for s in conns[slow:]}, time.monotonic() + patience, None, 0
    begin, cpu = time.monotonic(), time.process_time()
    while time.monotonic() < end and quiet < 20:
        events = poll.poll(0.05, 4096)
        if done is None and not results.empty(): done = results.get()
        quiet = quiet + 1 if done and not events else 0
        for fd, _ in events:
            data = by_fd[fd].recv(65536)
            if not data: sys.exit("a watch ended")
            now = time.monotonic_ns()
            data = buffers[fd] + data
            cut = data.rfind(b"\n") + 1
            buffers[fd] = data[cut:]
            for m in REVISION.finditer(data, 0, cut):
                got[fd].append(int(m[1]))
                times[fd].append(now)
    return got, times, done, (time.process_time() - cpu) / (time.monotonic() - begin)

def quantiles(late):
    late.sort()
    return " ".join(f"{name} {late[min(len(late) - 1, int(len(late) * q))] / 1e6:.2f}" for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)))

def main():
    p = argparse.ArgumentParser()
    for name, default in (("watchers", 10000), ("writes", 5000), ("secs", 10), ("slow", 10), ("keys", 0), ("nodes", 1)):
        p.add_argument(f"--{name}", type=int, default=default)
    p.add_argument("--dir", default=None)
    args = p.parse_args()
    keys, directory = args.keys or args.watchers, tempfile.mkdtemp(prefix="raftd-watch-", dir=args.dir)
    nodes = Nodes(directory, args.nodes)
    try:
        leader = nodes.leader()
        here = leader if args.nodes == 1 else (leader + 1) % args.nodes
        time.sleep(1)
        before = nodes.rss(here)
        conns, slow = open_watchers(nodes.http[here], args, keys)
        time.sleep(1)
        print(f"{args.watchers} watchers, {slow} of them slow, {keys} keys; memory of an idle one: "
              f"{(nodes.rss(here) - before) * 1024 / args.watchers:.0f} B; /status says {json.loads(nodes.get(here, '/status'))['watchers']}")
        results = multiprocessing.Queue()
        writer = multiprocessing.Process(target=write, args=(nodes.http[leader], keys, args.writes, args.secs, results))
        cpu, begin = nodes.cpu(here), time.monotonic()
        writer.start()
        got, times, done, own = read(conns, slow, writer, results, 5 * args.secs + 30)
        writer.join(10)
        if done is None: sys.exit("the writer did not end")
        spent = (nodes.cpu(here) - cpu) / (time.monotonic() - begin)
        seen, writer_cpu, took, stalled = done
        answered, wanted = {}, {}
        for revision, key, at in seen:
            answered[revision] = at
            wanted.setdefault(key, []).append(revision)
        wrong, late, delivered = 0, [], 0
        for i, s in enumerate(conns[slow:], slow):
            mine = got[s.fileno()]
            if list(mine) != sorted(wanted.get(i % keys, [])): wrong += 1
            delivered += len(mine)
            late.extend(t - answered[r] for r, t in zip(mine, times[s.fileno()]) if r in answered)
        print(f"{len(seen)} writes in {took:.1f} s ({len(seen) / took:.0f}/s; {stalled} waits for an answer), {delivered} events delivered")
        print(f"ms after the writer's answer: {quantiles(late)}")
        print(f"processors: node {spent:.2f}, reader {own:.2f}, writer {writer_cpu:.2f}; memory of the node {nodes.rss(here) // 1024} MiB")
        print("every watcher saw each event once, in order" if not wrong else f"{wrong} WATCHERS DID NOT SEE WHAT THEY SHOULD")
        sys.exit(1 if wrong else 0)
    finally:
        nodes.end()
        shutil.rmtree(directory, ignore_errors=True)

main()
