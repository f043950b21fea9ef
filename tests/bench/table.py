#!/usr/bin/python3
"""make bench: every workload beside etcd where it is installed, in one run, and what is to be reached.

  table.py [--short] [--minutes 25] [--only SECTION,...] [--reps 3 --secs 3] [--json F]

Sections: cells (with open loops and watches), redis, bulk, sizes, counts, memory, failover, startup, binary, snapshot, recover. Each is
bounded; none begins after --minutes. RAFTD names the program."""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

import goals
import measures
import txn
from allowed import allowed
from bench import work_dir
from cells import Lanes, ratio, table
from cluster import HERE
from counts import counts
from load import raftd_bench
from single_redis import REDIS, redis_puts

MAIN = ["put@1", "put@16", "put@64", "put@256", "get@1", "get@16", "get@64", "get@256"]
MORE = ["fget@64", "sget@64", "mixed@64", "list@64", "txn@64"]
SIZES = [f"{op}@64/{size}" for size in (16, 128, 1024) for op in ("put", "get")]
TURNS = 3
ETCDS_PACE = '[raft]\nelection_timeout = "1000ms"\nheartbeat_interval = "100ms"\n'


class Run:
    def __init__(self, a):
        self.a, self.data, self.others = a, {}, {}
        self.targets = (["etcd"] if shutil.which("etcd") else []) + ["raftd"]
        self.names = (["etcd", "etcd-v2"] if "etcd" in self.targets else []) + ["raftd"]
        if a.short:
            self.names = self.targets

    def both(self, measured, key, name=None):
        """Measures each target; notes raftd's share of etcd's."""
        found = {n: measured(n) for n in self.targets}
        for said in found.values():
            print(json.dumps(said), flush=True)
        values = {n: statistics.median(v) if isinstance(v := said[key], list) else v for n, said in found.items()}
        if name and "etcd" in values:
            self.others[name] = values["raftd"] / values["etcd"]
        return found, values

    def compare(self, cell, key="rps", base="etcd"):
        return ratio(self.data.get((cell, base), []), self.data.get((cell, "raftd"), []), key)

    def with_lanes(self, names, cells, then=lambda lanes: None, **changed):
        lanes = Lanes(names, argparse.Namespace(**{**vars(self.a), **changed}))
        try:
            lanes.run(cells, self.data, self.a.log)
            then(lanes)
        finally:
            lanes.clean()
        print(flush=True)
        table(cells, names, self.data)
        print(flush=True)

    def in_turns(self, names, cell, beside):
        """raftd's rate and what beside() gives right behind it, some times: a minute later this disk has another rate."""
        lanes, data, found = Lanes(names, argparse.Namespace(**{**vars(self.a), "reps": 1})), {}, []
        try:
            for _ in range(TURNS):
                lanes.run([cell], data, self.a.log)
                found.append(beside())
        finally:
            lanes.clean()
        print(flush=True)
        table([cell], names, data)
        print(flush=True)
        return [r["rps"] for r in data[cell, "raftd"]], found

    def cells(self):
        self.with_lanes(self.names, MAIN + ([] if self.a.short else MORE), lambda lanes: self.short_loads(lanes.clusters["raftd"]))
        for op in ("put", "get"):
            self.others[f"CPU per {op} at 64"] = self.compare(f"{op}@64", "cpu_us_per_req")
        if ("fget@64", "raftd") in self.data:
            rps = lambda cell: statistics.median(r["rps"] for r in self.data[cell, "raftd"])
            self.others["get through a follower, to the leader's"] = rps("fget@64") / rps("get@64")

    def short_loads(self, cl):
        """What only raftd bench does, on a cluster that is up: an open loop, and a fan-out."""
        if self.a.short:
            return
        port = cl.http[cl.leader()]
        print("\n| raftd bench | per second | p50 us | p99 us | p99.9 us | max us | never sent | errors |\n|" + "---|" * 8)
        for op in ("put", "get"):
            closed = statistics.median(r["rps"] for r in self.data[f"{op}@64", "raftd"])
            for share in (0.25, 0.5, 0.75):
                self.open_line(f"{op}, open loop, {share:.0%} of its rate at 64", port, op, "--rate", int(closed * share))
        for watchers in (64, 256, 1000):
            self.open_line(f"watch, {watchers} watchers, 100 puts/s", port, "watch", "--connections", watchers, "--rate", 100)

    def open_line(self, title, port, *arguments):
        kinds, said = raftd_bench(port, *arguments)
        for kind, r in kinds.items():
            print(f"| {title}: {kind} | {r['per_second']:,} | {r['p50_us']:,} | {r['p99_us']:,} | {r['p999_us']:,} | {r['max_us']:,} | "
                  f"{said['never_sent']:,} | {said['errors'] or 'none'} |", flush=True)

    def bulk(self):
        cell = "bulk@16"
        self.with_lanes(self.targets, [cell], keys=200)
        for n in self.targets:
            print(f"{n}: {txn.PUTS * statistics.median(r['rps'] for r in self.data[cell, n]):,.0f} keys/s in transactions of {txn.PUTS} puts")

    def sizes(self):
        self.with_lanes(self.targets, SIZES, reps=2)
        for op, name in (("put", "64 KiB puts, to what disk and loopback allow"), ("get", "64 KiB gets, to what loopback allows")):
            rates, found = self.in_turns(self.targets, f"{op}@16/65536", lambda: allowed(self.a.dir))
            for f in found:
                print(f"64 KiB values a second: disk allows {f['disk_per_s']:,}, loopback {f['loopback_per_s']:,}; "
                      f"the load generator takes {f['generator_per_s']:,} from a server that only sends")
            self.others[name] = statistics.median(r / f[op] for r, f in zip(rates, found))
        print(f"64 KiB gets, to what the load generator takes: {statistics.median(r / f['generator_per_s'] for r, f in zip(rates, found)):.2f}")

    def counts(self):
        for n in self.targets:
            said = counts(n, self.a.dir, secs=self.a.secs)
            print(json.dumps(said), flush=True)
        for op in ("put", "get"):
            if f"syscalls_per_{op}" in said:
                self.others[f"system calls per {op}, all nodes"] = said[f"syscalls_per_{op}"]["all"]
        self.others["fdatasyncs per 1,000 puts"] = said["fdatasyncs_per_1000_puts"]

    def memory(self):
        found, _ = self.both(lambda n: measures.memory(n, 3, self.a.dir, 100_000), "after_MiB", "RSS with 100,000 keys")
        self.others["RSS idle, MiB"] = max(found["raftd"]["idle_MiB"])

    def failover(self):
        _, values = self.both(lambda n: measures.failover(n, self.a.dir, self.a.reps + 2), "median_ms", "write gap after kill -9")
        said = measures.failover("raftd", self.a.dir, self.a.reps + 2, ETCDS_PACE)
        print(json.dumps({**said, "target": "raftd at 1000/100 ms"}))
        if "etcd" in values:
            self.others["write gap, raftd at 1000/100 ms"] = said["median_ms"] / values["etcd"]

    def startup(self):
        found, _ = self.both(lambda n: measures.startup(n, 3, self.a.dir, self.a.reps + 1), "first_median_ms", "first write, new cluster")
        if "etcd" in found:
            self.others["first write, restart"] = found["raftd"]["restart_median_ms"] / found["etcd"]["restart_median_ms"]

    def recover(self):
        self.both(lambda n: measures.recover(n, 3, self.a.dir, 1_000_000), "restart_s_after_KILL", "first write, restart with 1,000,000 keys")

    def snapshot(self):
        """Writes and stalls while a snapshot of 100 MiB is made."""
        subprocess.run([sys.executable, "-B", HERE + "/state.py", "stalls", "--nkeys", "100000", "--secs", "45", "--dir", f"{self.a.dir}/state"], timeout=240)

    def redis(self):
        if not all(map(shutil.which, REDIS)):
            print(f"not installed: {' or '.join(REDIS)}")
            return
        rates, found = self.in_turns(["raftd"], "put@64", lambda: redis_puts(self.a.dir, count=50_000))
        for puts in found:
            print(f"one Redis node, appendfsync always, 64 connections: {json.dumps(puts)}")
        self.others["put at 64, to one Redis node"] = statistics.median(r / puts["rps"] for r, puts in zip(rates, found))

    def binary(self):
        """With libuv, whether it is linked in or not."""
        program, stripped = shutil.which(os.environ.get("RAFTD", "raftd")), f"{self.a.dir}/stripped"
        subprocess.check_call(["strip", "-o", stripped, program])
        size = os.path.getsize(stripped)
        for line in subprocess.check_output(["ldd", program], text=True).splitlines():
            if "libuv" in line:
                size += os.path.getsize(os.path.realpath(line.split()[2]))
        self.others["stripped binary, MB"] = size / 1e6

    def goals(self):
        both = {cell: (self.compare(cell), self.compare(cell, "p99_us")) for cell in MAIN}
        print("\nRatios to etcd's JSON gateway, unless a row says what else; PASS and MISS stand behind what they are about.\n")
        print(goals.table(both, self.others))


FULL = ["cells", "redis", "bulk", "sizes", "counts", "memory", "failover", "startup", "binary", "snapshot", "recover"]
SHORT = ["cells", "redis", "counts", "memory", "failover", "startup", "binary"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--short", action="store_true")
    p.add_argument("--minutes", type=float, default=25)
    p.add_argument("--only", default="")
    p.add_argument("--reps", type=int)
    p.add_argument("--secs", type=int)
    p.add_argument("--dir")
    p.add_argument("--json")
    a = p.parse_args()
    a.nodes, a.keys, a.vsize = 3, 10_000, 100
    a.reps, a.secs, a.retries, a.gate_s = a.reps or (1 if a.short else 3), a.secs or (2 if a.short else 3), 0, 0.5 if a.short else 2
    begin, sections = time.monotonic(), a.only.split(",") if a.only else SHORT if a.short else FULL
    a.log = open(a.json, "a") if a.json else None
    txn.add_operations()
    with work_dir(a.dir) as a.dir:
        run = Run(a)
        if "etcd" not in run.targets:
            print("etcd is not installed: there is nothing to compare with")
        for name in sections:
            if time.monotonic() - begin > 60 * a.minutes:
                print(f"left out for want of time: {name}")
                continue
            print(f"\n## {name} ({time.monotonic() - begin:.0f} s)\n", flush=True)
            getattr(run, name)()
        run.goals()
    print(f"\n{time.monotonic() - begin:.0f} s; etcd's gRPC interface is not measured here: README.md")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # So that finally: ends the servers.
    main()
