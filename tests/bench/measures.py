"""Memory, start, failover and restart of one target, each as a dictionary."""
import http.client, signal, statistics, threading, time
from cluster import Cluster, http_req, idle_gate, pss_kib, rss_kib
from load import fill

def memory(n, nodes, base, nkeys, vsize=100):
    cl = Cluster(n, nodes, base)
    try:
        cl.start(); time.sleep(2); L = cl.leader(); idle = [rss_kib(p) for p in cl.pids()]; c0 = cl.cpu(); time.sleep(5); c1 = cl.cpu()
        done = fill(cl, nkeys, vsize); time.sleep(2); aft = [rss_kib(p) for p in cl.pids()]; ps = [pss_kib(p) for p in cl.pids()]
        return {"target": n, "leader": L, "keys": done, "idle_MiB": [round(x["VmRSS"] / 1024, 1) for x in idle], "idle_cpu_ms_per_s": round((sum(c1) - sum(c0)) / 5 * 1000, 1),
                "after_MiB": [round(x["VmRSS"] / 1024, 1) for x in aft], "after_pss_MiB": [round((x or 0) / 1024, 1) for x in ps], "peak_MiB": [round(x["VmHWM"] / 1024, 1) for x in aft],
                "disk_MiB": [cl.disk_mib(i) for i in range(cl.n)]}
    finally: cl.clean()

def startup(n, nodes, base, reps):
    first, again = [], []
    for _ in range(reps):
        cl = Cluster(n, nodes, base)
        try:
            idle_gate(); first.append(cl.start()); cl.stop(); t0 = time.perf_counter()
            for i in cl.t.get("start_order", range(cl.n)):
                if i < cl.n: cl.start_one(i)
            again.append(cl.wait_write(t0))
        finally: cl.clean()
    return {"target": n, "nodes": nodes, "first_ms": [round(x * 1000) for x in first], "restart_ms": [round(x * 1000) for x in again],
            "first_median_ms": round(statistics.median(first) * 1000), "restart_median_ms": round(statistics.median(again) * 1000)}

def failover(n, base, reps, extra=""):
    """From kill -9 of the leader to the next write that another node accepts."""
    res = []; cl = Cluster(n, 3, base, extra)
    try:
        cl.start(); time.sleep(1.5)
        for _ in range(reps):
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
    return {"target": n, "failover_ms": [round(x * 1000) for x in res], "median_ms": round(statistics.median(res) * 1000), "max_ms": round(max(res) * 1000)}

def recover(n, nodes, base, nkeys, vsize=100):
    """From the start of all nodes with so many keys to the first write."""
    cl = Cluster(n, nodes, base)
    try:
        cl.start(); done = fill(cl, nkeys, vsize); time.sleep(1); out = []
        for sig in (signal.SIGTERM, signal.SIGKILL):
            cl.stop(sig); t0 = time.perf_counter()
            for i in range(cl.n): cl.start_one(i)
            out.append(round(cl.wait_write(t0, 120), 3)); time.sleep(1)
        return {"target": n, "nodes": nodes, "entries": done, "restart_s_after_TERM": out[0], "restart_s_after_KILL": out[1],
                "rss_MiB": [round(rss_kib(p)["VmRSS"] / 1024) for p in cl.pids()], "disk_MiB": [cl.disk_mib(i) for i in range(cl.n)]}
    finally: cl.clean()
