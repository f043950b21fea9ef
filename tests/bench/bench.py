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
import argparse, contextlib, json, os, shutil, signal, sys, tempfile, time
from cells import Lanes, table
from cluster import cpu_total, fsync_probe
from load import wrk
from measures import failover, memory, recover, startup

@contextlib.contextmanager
def work_dir(given):
    """A directory of this run's own, unless one is given."""
    path = given or tempfile.mkdtemp(prefix="raftd-bench-"); os.makedirs(path, exist_ok=True)
    try: yield path
    finally:
        if not given: shutil.rmtree(path, ignore_errors=True)

def cmd_ratio(a):
    names = a.targets.split(","); cells = a.cells.split(","); data = {}; log = open(a.json, "a") if a.json else None
    lanes = Lanes(names, a)
    try: lanes.run(cells, data, log)
    finally: lanes.clean()
    table(cells, names, data)

def cmd_report(a):
    """The table again from a --json file."""
    data = {}; names = []; cells = []
    for l in open(a.targets):
        r = json.loads(l); data.setdefault((r["cell"], r["target"]), []).append(r)
        if r["target"] not in names: names.append(r["target"])
        if r["cell"] not in cells: cells.append(r["cell"])
    table(cells, names, data)

def each(a, measured):
    for n in a.targets.split(","): print(json.dumps(measured(n)), flush=True)
def cmd_memory(a): each(a, lambda n: memory(n, a.nodes, a.dir, a.nkeys, a.vsize))
def cmd_startup(a): each(a, lambda n: startup(n, a.nodes, a.dir, a.reps))
def cmd_failover(a): each(a, lambda n: failover(n, a.dir, a.reps))
def cmd_recover(a): each(a, lambda n: recover(n, a.nodes, a.dir, a.nkeys, a.vsize))
def cmd_weather(a):
    b = cpu_total(); time.sleep(1); c = cpu_total(); print(json.dumps({"busy_cores": round(c[0] - b[0], 2), "steal": round(c[1] - b[1], 2), "fsync": fsync_probe(a.dir), "load": os.getloadavg()}))
def cmd_url(a):
    print(json.dumps(wrk(a.targets, {"method": a.method, "path": a.path, "body": a.body, "headers": a.headers}, a.conns, a.secs, a.keys, a.vsize, check=True)))

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))      # so that finally: ends the servers
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cmd", choices=["weather", "ratio", "memory", "startup", "failover", "recover", "url", "report"]); p.add_argument("targets", nargs="?", default="")
    p.add_argument("--cells", default="put@1,put@16,put@64,put@256,get@1,get@64"); p.add_argument("--reps", type=int, default=3); p.add_argument("--secs", type=int, default=4); p.add_argument("--nodes", type=int, default=3)
    p.add_argument("--dir", default=None); p.add_argument("--keys", type=int, default=10000); p.add_argument("--vsize", type=int, default=100); p.add_argument("--nkeys", type=int, default=100000); p.add_argument("--json")
    p.add_argument("--retries", type=int, default=1, help="repeats of a cell that other processes spoilt"); p.add_argument("--gate-s", type=float, default=4, help="how long to wait at most for others to be quiet"); p.add_argument("--conns", type=int, default=64); p.add_argument("--method", default="PUT"); p.add_argument("--path", default="/kv/{k}"); p.add_argument("--body", default="{v}"); p.add_argument("--headers", default="")
    a = p.parse_args()
    with work_dir(a.dir) as a.dir: globals()["cmd_" + a.cmd](a)
