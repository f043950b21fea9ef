"""Clusters of any target of targets.toml on loopback, and what the machine says of their processes."""
import http.client, json, os, re, shutil, signal, subprocess, time, tomllib
from handover import free_ports
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
    """Nodes of one target on loopback. extra: more of a node's configuration."""
    def __init__(self, name, n, base, extra=""):
        self.name, self.n = name, n
        self.t = dict(TARGETS[name], text=TARGETS[name].get("text", "") + extra)
        self.dir = f"{base}/bench-{name}"; shutil.rmtree(self.dir, ignore_errors=True); os.makedirs(self.dir)
        ports = free_ports(2 * n); self.http, self.peer, self.p = ports[:n], ports[n:], [None] * n
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
    def follower(self): return (self.leader() + 1) % self.n
    def metrics(self, i):
        """Name, or name{labels}, to number."""
        text = http_req(self.http[i], {"path": "/metrics"}, 5.0)[1].decode()
        return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", text, re.M)}
    def fsyncs(self, i): return self.metrics(i)[self.t["fsyncs"]]
    def disk_mib(self, i): return int(subprocess.check_output(["du", "-sk", f"{self.dir}/n{i}"]).split()[0]) // 1024
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
