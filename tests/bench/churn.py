#!/usr/bin/python3
"""A long life in a short time: keys are overwritten as fast as three nodes take it, and nothing may grow.

  churn.py [--bulk] [--overwrites 100000000 --keys 100000 --vsize 100 --conns 64 --every 60]

The generator is `raftd bench put`; with --bulk wrk, which writes a hundred keys in each transaction. Memory and disk of each node
are sampled twice a second; a line every --every seconds shows their peaks. The history is short, so that the state has its size
soon. Ends with 1 when a peak is above what the configuration allows (see state.py), or, after a quarter of the overwrites and a
million of them, above what was needed until then by more than --growth per cent and, on the disk, a segment of the log."""
import argparse
import concurrent.futures
import signal
import sys
import time

import txn
from bench import work_dir
from cluster import rss_kib
from load import raftd_bench, wrk
from state import MIB, Nodes, bounds, effective, metrics, status

WARM_OVERWRITES = 1_000_000  # Of several snapshots on each node.
HISTORY = '[history]\nage = "10s"\nbytes = "8MiB"\n'


class Peaks:
    """The most that each node had, in MiB, since the last look."""

    def __init__(self, cl):
        self.cl, self.rss, self.disk = cl, [0] * cl.n, [0] * cl.n

    def sample(self):
        for i, pid in enumerate(self.cl.pids()):
            self.rss[i] = max(self.rss[i], rss_kib(pid)["VmRSS"] // 1024)
            self.disk[i] = max(self.disk[i], sum(self.cl.disk_bytes(i).values()) // MIB)


def put_singly(port, a):
    kinds, said = raftd_bench(port, "put", "--connections", a.conns, "--keys", a.keys, "--value-size", a.vsize, secs=a.every)
    if said["errors"]:
        print(f"# {said['errors']}")
    return sum(kind["count"] for kind in kinds.values())


def put_in_bulk(port, a):
    said = wrk(f"http://127.0.0.1:{port}", txn.raftd([f"{i:03d}" for i in range(txn.PUTS)]), a.conns, a.every, max(1, a.keys // txn.PUTS), a.vsize)
    errors = {k: n for k, n in said.items() if k.startswith("err_") and n}
    if errors:
        print(f"# {errors}")
    return (said["requests"] - said["err_status"]) * txn.PUTS


def put_for(cl, peaks, a):
    """Overwrites that were answered."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        load = pool.submit(put_in_bulk if a.bulk else put_singly, cl.http[cl.leader()], a)
        while not load.done():
            peaks.sample()
            time.sleep(0.5)
    return load.result()


def churn(cl, a):
    """What grew; nothing: good."""
    print("| overwrites | per second | keys | snapshots | RSS MiB | bound | disk MiB | bound |\n" + "|---" * 8 + "|", flush=True)
    done, warm, config = 0, None, effective(cl)
    while done < a.overwrites:
        peaks, begin = Peaks(cl), time.monotonic()
        count = put_for(cl, peaks, a)
        if count == 0:
            return "no put was answered"
        done += count
        s = status(cl.http[cl.leader()])
        disk_bound, memory_bound = (bound / MIB for bound in bounds(config, s))
        made = sum(int(metrics(port)["raftd_snapshots_total"]) for port in cl.http)
        print(f"| {done:,} | {count / (time.monotonic() - begin):,.0f} | {s['keys']:,} | {made} | {' '.join(map(str, peaks.rss))} | {memory_bound:.0f} | "
              f"{' '.join(map(str, peaks.disk))} | {disk_bound:.0f} |", flush=True)
        most = {"memory": max(peaks.rss), "disk": max(peaks.disk)}
        if most["memory"] > memory_bound or most["disk"] > disk_bound:
            return f"{most} MiB is more than the configuration allows"
        if warm is None or done <= max(a.overwrites / 4, WARM_OVERWRITES):
            warm = {k: max(v, (warm or most)[k]) for k, v in most.items()}
        for what, value in most.items():
            if value > warm[what] * (1 + a.growth / 100) + (config["log.segment_bytes"] / MIB if what == "disk" else 0):
                return f"{what} grew from {warm[what]} to {value} MiB"
    return None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bulk", action="store_true")
    p.add_argument("--overwrites", type=int, default=100_000_000)
    p.add_argument("--keys", type=int, default=100_000)
    p.add_argument("--vsize", type=int, default=100)
    p.add_argument("--conns", type=int, default=64)
    p.add_argument("--every", type=int, default=60)
    p.add_argument("--growth", type=float, default=20)
    p.add_argument("--nodes", type=int, default=3)
    p.add_argument("--dir")
    a = p.parse_args()
    with work_dir(a.dir) as base:
        cl = Nodes(a.nodes, base, HISTORY)
        try:
            cl.start()
            grew = churn(cl, a)
        finally:
            cl.clean()
    print(grew or "nothing grew")
    sys.exit(1 if grew else 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # So that finally: ends the servers.
    main()
