#!/usr/bin/python3
"""Side-by-side benchmark of replicated key/value servers on loopback.  Python >= 3.11 standard library + wrk 4.1.

  bench.py weather
  bench.py ratio  A,B[,C] --cells put@1,put@64,get@64 [--reps 3 --secs 4 --nodes 3 --dir D --keys 10000 --vsize 100] [--json F]
  bench.py memory A,B     [--nkeys 100000]
  bench.py startup A,B    [--reps 5]
  bench.py failover A,B   [--reps 5]
  bench.py recover A,B    [--nkeys 1000000]
  bench.py report F.json                                   (the table again)
  bench.py url URL --method PUT --path /kv/{k} --body {v} --conns 64   (a server that is already running)

Every server is started by this script on 127.0.0.1 and is ended by its PID.  Loops are bounded in time and count.
"""
import argparse, base64, http.client, json, os, re, shutil, signal, socket, statistics, subprocess, sys, threading, time, tomllib
HERE = os.path.dirname(os.path.abspath(__file__))
HZ = os.sysconf("SC_CLK_TCK"); NCPU = os.cpu_count()
TARGETS = tomllib.load(open(os.environ.get("BENCH_TARGETS", HERE + "/targets.toml"), "rb"))

def proc_cpu(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return int(f[11]) / HZ, int(f[12]) / HZ
def rss_kib(pid):
    m = dict(re.findall(r"^(\w+):\s+(\d+) kB", open(f"/proc/{pid}/status").read(), re.M))
    return {k: int(m.get(k, 0)) for k in ("VmRSS", "VmHWM", "RssAnon", "RssFile")}
def pss_kib(pid):
    try: return int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1])
    except (OSError, TypeError): return None
def cpu_total():
    v = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
    return (sum(v) - v[3] - v[4]) / HZ, v[7] / HZ       # busy (steal included), steal
def fsync_probe(d, n=300, size=4096, max_s=1.0):
    """The disk's weather: append+fdatasync latencies in microseconds."""
    p = f"{d}/probe.{os.getpid()}"; fd = os.open(p, os.O_CREAT | os.O_WRONLY | os.O_TRUNC); b = b"x" * size; l = []; t0 = time.perf_counter()
    for i in range(n):
        a = time.perf_counter(); os.pwrite(fd, b, i * size); os.fdatasync(fd); l.append((time.perf_counter() - a) * 1e6)
        if time.perf_counter() - t0 > max_s: break
    os.close(fd); os.unlink(p); l.sort()
    return {"n": len(l), "p50_us": round(l[len(l) // 2]), "p99_us": round(l[int(len(l) * .99)]), "max_us": round(l[-1])}
def idle_gate(limit=0.25, wait=4):
    """Wait (bounded) until other work leaves the machine alone; returns cores busy just now."""
    end = time.time() + wait
    while True:
        a = cpu_total()[0]; time.sleep(0.4); b = (cpu_total()[0] - a) / 0.4
        if b < limit or time.time() > end: return round(b, 2)

def http_req(port, r, timeout=2.0):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request(r.get("method", "GET"), r["path"], r.get("body"), {"Content-Type": "application/json"} if r.get("body") else {})
        a = c.getresponse(); return a.status, a.read()
    finally: c.close()

class Cluster:
    def __init__(self, name, n, base, port0):
        self.name, self.t, self.n = name, TARGETS[name], n
        self.dir = f"{base}/bench-{name}"; shutil.rmtree(self.dir, ignore_errors=True); os.makedirs(self.dir)
        self.http = [port0 + 2 * i for i in range(n)]; self.peer = [port0 + 2 * i + 1 for i in range(n)]; self.p = [None] * n
        for i in range(n): os.makedirs(f"{self.dir}/n{i}")
    def sub(self, s, i):
        members = ",\n".join(f'  {{ id = {k + 1}, peer = "127.0.0.1:{self.peer[k]}", client = "http://127.0.0.1:{self.http[k]}" }}' for k in range(self.n))
        m = {"i": i, "n1": i + 1, "dir": f"{self.dir}/n{i}", "http": self.http[i], "peer": self.peer[i], "RAFTD": os.environ.get("RAFTD", "raftd"),
             "peers_etcd": ",".join(f"n{k}=http://127.0.0.1:{self.peer[k]}" for k in range(self.n)), "members_raftd": members, "HERE": HERE, "peer_ports": ",".join(map(str, self.peer))}
        return re.sub(r"\{(\w+)\}", lambda x: str(m.get(x[1], x[0])), s)
    def start_one(self, i):
        if self.t.get("file"): open(f"{self.dir}/n{i}/{self.t['file']}", "w").write(self.sub(self.t["text"], i))
        self.p[i] = subprocess.Popen([self.sub(a, i) for a in self.t["cmd"]], stdout=open(f"{self.dir}/log{i}", "ab"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    def start(self, wait=30):
        t0 = time.perf_counter()
        for i in self.t.get("start_order", range(self.n)):
            if i < self.n:
                self.start_one(i)
                if self.t.get("start_order"): time.sleep(0.7)
        return self.wait_write(t0, wait)
    def wait_write(self, t0, wait=30):
        """Seconds from t0 to the first write accepted anywhere."""
        while time.perf_counter() - t0 < wait:
            for i in range(self.n):
                if self.p[i] is None or self.p[i].poll() is not None: continue
                try:
                    if 200 <= http_req(self.http[i], self.t["probe"], 1.0)[0] < 300: return time.perf_counter() - t0
                except OSError: pass
                except http.client.HTTPException: pass
            time.sleep(0.002)
        raise SystemExit(f"{self.name}: no write in {wait} s; see {self.dir}/log*")
    def leader(self, wait=10):
        if "fixed_leader" in self.t: return self.t["fixed_leader"]
        end = time.time() + wait
        while time.time() < end:
            for i in range(self.n):
                if self.p[i] is None: continue
                try:
                    s, b = http_req(self.http[i], self.t["leader"]); j = json.loads(b)
                    if eval(self.t["leader"]["expr"], {"j": j}): return i
                except (OSError, ValueError, KeyError, http.client.HTTPException): pass
            time.sleep(0.05)
        raise SystemExit(f"{self.name}: no leader")
    def pids(self): return [p.pid for p in self.p if p and p.poll() is None]
    def cpu(self): c = [proc_cpu(p) for p in self.pids()]; return sum(a for a, _ in c), sum(b for _, b in c)
    def stop(self, sig=signal.SIGTERM):
        for p in self.p:
            if p and p.poll() is None: p.send_signal(sig)
        for p in self.p:
            if p:
                try: p.wait(8)
                except subprocess.TimeoutExpired: p.kill(); p.wait()
        self.p = [None] * self.n
    def clean(self): self.stop(); shutil.rmtree(self.dir, ignore_errors=True)

def wrk(url, op, conns, secs, keys=10000, vsize=100, seq=False, check=False, threads=1):
    env = dict(os.environ, B_METHOD=op.get("method", "PUT"), B_PATH=op["path"], B_BODY=op.get("body", ""), B_HEADERS=op.get("headers", ""),
               B_KEYS=str(keys), B_VSIZE=str(vsize), B_SEQ="1" if seq else "0", B_CHECK="1" if check else "0")
    a = ["wrk", f"-t{threads}", f"-c{conns}", f"-d{secs}s", "--timeout", "10s", "-s", HERE + "/load.lua", url]
    p = subprocess.Popen(a, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = p.communicate(timeout=secs + 60)[0]
    for l in out.splitlines():
        if l.startswith("RESULT "): return json.loads(l[7:])
    raise SystemExit("wrk failed: " + out[-500:])

def measure(cl, opname, conns, secs, keys, vsize):
    """One cell: gate, load, CPU of the servers, and the foreign CPU that spoils it."""
    op = cl.t["ops"][opname]; port = cl.http[cl.leader()]
    gate = idle_gate()
    # the generator alone decides its children's CPU time: RUSAGE_CHILDREN
    import resource
    r0 = resource.getrusage(resource.RUSAGE_CHILDREN); c0 = cl.cpu(); b0, s0 = cpu_total(); t0 = time.time()
    r = wrk(f"http://127.0.0.1:{port}", op, conns, secs, keys, vsize)
    dt = time.time() - t0; b1, s1 = cpu_total(); c1 = cl.cpu(); r1 = resource.getrusage(resource.RUSAGE_CHILDREN)
    gen = r1.ru_utime + r1.ru_stime - r0.ru_utime - r0.ru_stime
    u, s = c1[0] - c0[0], c1[1] - c0[1]; n = max(r["requests"], 1)
    foreign = max(0.0, (b1 - b0) - u - s - gen) / dt
    r.update(target=cl.name, op=opname, conns=conns, nodes=cl.n, cpu_us_per_req=round((u + s) / n * 1e6, 1), user_us=round(u / n * 1e6, 1), sys_us=round(s / n * 1e6, 1),
             srv_cores=round((u + s) / dt, 2), gen_cores=round(gen / dt, 2), foreign_cores=round(foreign, 2), steal=round((s1 - s0) / dt, 2), gate=gate,
             errors=r["err_connect"] + r["err_read"] + r["err_write"] + r["err_status"] + r["err_timeout"])
    return r

def med(rows, k): return statistics.median(r[k] for r in rows)
def table(cells, names, data, out=sys.stdout):
    cols = ("rps", "p50_us", "p99_us", "p999_us", "cpu_us_per_req", "foreign_cores")
    print(f"Ratios are medians of per-repetition ratios to {names[0]} (neighbours in time); the other columns are medians.\n", file=out)
    print("| cell | target | runs (clean) | " + " | ".join(cols) + " | rps min..max | ratio rps | ratio p99 | ratio cpu |", file=out)
    print("|" + "---|" * (len(cols) + 7), file=out)
    for c in cells:
        base = {r["rep"]: r for r in data.get((c, names[0])) or []}
        for n in names:
            rows = data.get((c, n)) or []
            if not rows: continue
            m = {k: med(rows, k) for k in cols}
            pair = [(r, base[r["rep"]]) for r in rows if r["rep"] in base]
            pair = [(r, b) for r, b in pair if max(r["foreign_cores"], b["foreign_cores"]) < FOREIGN] or pair
            q = lambda k: f"{statistics.median(r[k] / max(b[k], 0.1) for r, b in pair):.2f}" if pair else "-"
            print(f"| {c} | {n} | {len(rows)} ({sum(r['foreign_cores'] < FOREIGN for r in rows)}) | " + " | ".join(f"{m[k]:,.0f}" if k != "foreign_cores" else f"{m[k]:.2f}" for k in cols) +
                  f" | {min(r['rps'] for r in rows):,.0f}..{max(r['rps'] for r in rows):,.0f} | {q('rps')} | {q('p99_us')} | {q('cpu_us_per_req')} |", file=out)
FOREIGN = 0.25

def cmd_ratio(a):
    names = a.targets.split(","); cells = a.cells.split(","); data = {}; cls = []; log = open(a.json, "a") if a.json else None
    try:
        for k, n in enumerate(names):
            cl = Cluster(n, a.nodes, a.dir, 21000 + 100 * k); cls.append(cl); s = cl.start(); print(f"# {n}: up in {s*1000:.0f} ms, leader n{cl.leader()}", flush=True)
            wrk(f"http://127.0.0.1:{cl.http[cl.leader()]}", cl.t["ops"]["put"], 32, 2, a.keys, a.vsize, seq=True)      # fill and warm
        for cell in cells:
            opn, c = cell.split("@")
            for rep in range(a.reps):
                order = cls if rep % 2 == 0 else cls[::-1]                      # ABBA against drift
                w = fsync_probe(a.dir)
                for cl in order:
                    if opn not in cl.t["ops"]: continue
                    for attempt in range(1 + a.retries):
                        r = measure(cl, opn, int(c), a.secs, a.keys, a.vsize)
                        if r["foreign_cores"] < FOREIGN: break
                    r["rep"] = rep; r["fsync_p50_us"] = w["p50_us"]; r["fsync_p99_us"] = w["p99_us"]; data.setdefault((cell, cl.name), []).append(r)
                    if log: log.write(json.dumps(r) + "\n"); log.flush()
                    print(f"# {cell} {cl.name}: {r['rps']:.0f}/s p50 {r['p50_us']} p99 {r['p99_us']} us, cpu {r['cpu_us_per_req']} us/req, srv {r['srv_cores']} gen {r['gen_cores']} foreign {r['foreign_cores']} cores, err {r['errors']}, fsync p50 {w['p50_us']} p99 {w['p99_us']}", flush=True)
    finally:
        for cl in cls:
            cl.clean()
    table(cells, names, data)

def cmd_report(a):
    """The table again from a --json file."""
    data = {}; names = []; cells = []
    for l in open(a.targets):
        r = json.loads(l); c = f"{r['op']}@{r['conns']}"; data.setdefault((c, r["target"]), []).append(r)
        if r["target"] not in names: names.append(r["target"])
        if c not in cells: cells.append(c)
    table(cells, names, data)

def cmd_memory(a):
    for n in a.targets.split(","):
        cl = Cluster(n, a.nodes, a.dir, 21000)
        try:
            cl.start(); time.sleep(2); L = cl.leader(); idle = [rss_kib(p) for p in cl.pids()]; c0 = cl.cpu(); time.sleep(5); c1 = cl.cpu()
            done = fill(cl, a.nkeys, a.vsize); time.sleep(2); aft = [rss_kib(p) for p in cl.pids()]; ps = [pss_kib(p) for p in cl.pids()]
            print(json.dumps({"target": n, "leader": L, "keys": done, "idle_MiB": [round(x["VmRSS"] / 1024, 1) for x in idle], "idle_cpu_ms_per_s": round((sum(c1) - sum(c0)) / 5 * 1000, 1),
                              "after_MiB": [round(x["VmRSS"] / 1024, 1) for x in aft], "after_pss_MiB": [round((x or 0) / 1024, 1) for x in ps], "peak_MiB": [round(x["VmHWM"] / 1024, 1) for x in aft],
                              "disk_MiB": [round(int(subprocess.check_output(["du", "-sk", f"{cl.dir}/n{i}"]).split()[0]) / 1024, 1) for i in range(cl.n)]}), flush=True)
        finally: cl.clean()

def fill(cl, nkeys, vsize, conns=64, max_s=400):
    """Exactly nkeys distinct keys, each once, over `conns` keep-alive connections (threads share one counter); own client, as wrk cannot stop at a count."""
    op = cl.t["ops"]["put"]; port = cl.http[cl.leader()]; v = b"v" * vsize; v64 = base64.b64encode(v).decode(); vs = v.decode()
    def req(i):
        k = f"key{i:08d}"; m = {"k": k, "k64": base64.b64encode(k.encode()).decode(), "v": vs, "v64": v64}
        f = lambda s: re.sub(r"\{(k|k64|v|v64)\}", lambda x: m[x[1]], s)
        b = f(op["body"]).encode(); h = op.get("headers", "Content-Type: application/json")
        return f"{op['method']} {f(op['path'])} HTTP/1.1\r\nHost: x\r\n{h}\r\nContent-Length: {len(b)}\r\n\r\n".encode() + b
    import select
    ep = select.epoll(); socks = {}; nxt = done = bad = 0; t0 = time.time()
    for _ in range(conns):
        s = socket.create_connection(("127.0.0.1", port)); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); s.setblocking(False); ep.register(s.fileno(), select.EPOLLIN); socks[s.fileno()] = [s, b""]
        if nxt < nkeys: s.send(req(nxt)); nxt += 1
    while done < nkeys and time.time() - t0 < max_s:
        for fd, _ in ep.poll(5):
            e = socks[fd]; d = e[0].recv(65536)
            if not d: raise SystemExit("fill: connection closed")
            e[1] += d; h = e[1].find(b"\r\n\r\n")
            if h < 0: continue
            m = re.search(rb"[Cc]ontent-[Ll]ength: (\d+)", e[1][:h]); need = h + 4 + (int(m[1]) if m else 0)
            if m is None and b"chunked" in e[1][:h].lower() and not e[1].endswith(b"0\r\n\r\n"): continue
            if m and len(e[1]) < need: continue
            if not e[1].startswith(b"HTTP/1.1 2"): bad += 1
            e[1] = b""; done += 1
            if nxt < nkeys: e[0].send(req(nxt)); nxt += 1
    for s, _ in socks.values(): s.close()
    print(f"# fill {cl.name}: {done} keys, {bad} bad, {done/(time.time()-t0):.0f}/s", flush=True)
    return done - bad

def cmd_startup(a):
    for n in a.targets.split(","):
        first, again = [], []
        for _ in range(a.reps):
            cl = Cluster(n, a.nodes, a.dir, 21000)
            try:
                idle_gate(); first.append(cl.start()); cl.stop(); t0 = time.perf_counter()
                for i in cl.t.get("start_order", range(cl.n)):
                    if i < cl.n: cl.start_one(i)
                again.append(cl.wait_write(t0))
            finally: cl.clean()
        print(json.dumps({"target": n, "nodes": a.nodes, "first_ms": [round(x * 1000) for x in first], "restart_ms": [round(x * 1000) for x in again], "first_median_ms": round(statistics.median(first) * 1000), "restart_median_ms": round(statistics.median(again) * 1000)}), flush=True)

def cmd_failover(a):
    for n in a.targets.split(","):
        res = []; cl = Cluster(n, 3, a.dir, 21000)
        try:
            cl.start(); time.sleep(1.5)
            for _ in range(a.reps):
                idle_gate(); L = cl.leader(); stopev = threading.Event(); hit = []
                def poll(i):
                    while not stopev.is_set():
                        try:
                            if 200 <= http_req(cl.http[i], cl.t["probe"], 0.25)[0] < 300: hit.append(time.perf_counter()); stopev.set(); return
                        except (OSError, http.client.HTTPException): pass
                        time.sleep(0.003)
                t0 = time.perf_counter(); cl.p[L].send_signal(signal.SIGKILL); cl.p[L].wait()
                th = [threading.Thread(target=poll, args=(i,)) for i in range(cl.n) if i != L]
                [t.start() for t in th]; stopev.wait(20); stopev.set(); [t.join() for t in th]
                res.append(min(hit) - t0 if hit else float("nan")); cl.start_one(L); time.sleep(2.5)
        finally: cl.clean()
        print(json.dumps({"target": n, "failover_ms": [round(x * 1000) for x in res], "median_ms": round(statistics.median(res) * 1000), "max_ms": round(max(res) * 1000)}), flush=True)

def cmd_recover(a):
    for n in a.targets.split(","):
        cl = Cluster(n, a.nodes, a.dir, 21000)
        try:
            cl.start(); done = fill(cl, a.nkeys, a.vsize); time.sleep(1); out = []
            for sig in (signal.SIGTERM, signal.SIGKILL):
                cl.stop(sig); t0 = time.perf_counter()
                for i in range(cl.n): cl.start_one(i)
                out.append(round(cl.wait_write(t0, 120), 3)); time.sleep(1)
            mem = [round(rss_kib(p)["VmRSS"] / 1024) for p in cl.pids()]
            print(json.dumps({"target": n, "nodes": a.nodes, "entries": done, "restart_s_after_TERM": out[0], "restart_s_after_KILL": out[1], "rss_MiB": mem,
                              "disk_MiB": [int(subprocess.check_output(["du", "-sk", f"{cl.dir}/n{i}"]).split()[0]) // 1024 for i in range(cl.n)]}), flush=True)
        finally: cl.clean()

def cmd_weather(a):
    b = cpu_total(); time.sleep(1); c = cpu_total(); print(json.dumps({"busy_cores": round(c[0] - b[0], 2), "steal": round(c[1] - b[1], 2), "fsync": fsync_probe(a.dir), "load": os.getloadavg()}))
def cmd_url(a):
    print(json.dumps(wrk(a.targets, {"method": a.method, "path": a.path, "body": a.body, "headers": a.headers}, a.conns, a.secs, a.keys, a.vsize, check=True)))

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))      # so that finally: ends the servers
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cmd", choices=["weather", "ratio", "memory", "startup", "failover", "recover", "url", "report"]); p.add_argument("targets", nargs="?", default="")
    p.add_argument("--cells", default="put@1,put@16,put@64,put@256,get@1,get@64"); p.add_argument("--reps", type=int, default=3); p.add_argument("--secs", type=int, default=4); p.add_argument("--nodes", type=int, default=3)
    p.add_argument("--dir", default=os.path.join(os.environ.get("TMPDIR", "/tmp"), "raftd-bench")); p.add_argument("--keys", type=int, default=10000); p.add_argument("--vsize", type=int, default=100); p.add_argument("--nkeys", type=int, default=100000); p.add_argument("--json")
    p.add_argument("--retries", type=int, default=1, help="repeats of a cell that other processes spoilt"); p.add_argument("--conns", type=int, default=64); p.add_argument("--method", default="PUT"); p.add_argument("--path", default="/kv/{k}"); p.add_argument("--body", default="{v}"); p.add_argument("--headers", default="")
    a = p.parse_args(); os.makedirs(a.dir, exist_ok=True); globals()["cmd_" + a.cmd](a)
