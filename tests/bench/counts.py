#!/usr/bin/python3
"""What one request costs in calls that can be counted: the same on every machine, but for how many requests share one.

  counts.py [TARGETS] [--conns 64 --secs 3]

System calls per put and per get, of the leader and of all nodes, by `perf stat` or, where the kernel does not allow that, by
`strace -c`, which slows the nodes down, so that more requests share a call; and fdatasyncs of the leader per 1,000 puts."""
import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile

from bench import work_dir
from cluster import Cluster
from load import wrk


class Syscalls:
    """Counts those of one process from here on."""

    EVENT = "raw_syscalls:sys_enter"

    def __init__(self, pid, tool):
        self.tool, self.out = tool, tempfile.NamedTemporaryFile("r", prefix="raftd-bench-")
        command = ["perf", "stat", "-x,", "-e", self.EVENT, "-o", self.out.name] if tool == "perf" else ["strace", "-c", "-f", "-qq", "-o", self.out.name]
        self.process = subprocess.Popen([*command, "-p", str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        with self.out as out:
            text = out.read()
        found = re.search(rf"^(\d+),[^,]*,{self.EVENT}", text, re.M) if self.tool == "perf" else re.search(r"^100\.00 +\S+ +\S+ +(\d+)", text, re.M)
        return int(found[1]) if found else None


def tool():
    """What this kernel lets us count with; None: nothing."""
    for name, command in (("perf", ["perf", "stat", "-x,", "-e", Syscalls.EVENT, "true"]), ("strace", ["strace", "-c", "true"])):
        try:
            if subprocess.run(command, capture_output=True, timeout=20).returncode == 0:
                return name
        except OSError:
            pass
    return None


def counts(name, base, conns=64, secs=3):
    cl, used, found = Cluster(name, 3, base), tool(), {"target": name, "counted_with": tool()}
    try:
        cl.start()
        leader = cl.leader()
        url = f"http://127.0.0.1:{cl.http[leader]}"
        wrk(url, cl.t["ops"]["put"], 32, 2, seq=True)
        for op in ("put", "get"):
            before = cl.fsyncs(leader)
            requests = wrk(url, cl.t["ops"][op], conns, secs)["requests"]
            if op == "put":
                found["fdatasyncs_per_1000_puts"] = round(1000 * (cl.fsyncs(leader) - before) / requests, 1)
            if used is None:
                continue
            counters = [Syscalls(p, used) for p in cl.pids()]
            requests = wrk(url, cl.t["ops"][op], conns, secs)["requests"]
            calls = [c.stop() for c in counters]
            if None not in calls:
                found[f"syscalls_per_{op}"] = {"leader": round(calls[leader] / requests, 2), "all": round(sum(calls) / requests, 2)}
    finally:
        cl.clean()
    return found


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("targets", nargs="?", default="etcd,raftd")
    p.add_argument("--conns", type=int, default=64)
    p.add_argument("--secs", type=int, default=3)
    p.add_argument("--dir")
    a = p.parse_args()
    with work_dir(a.dir) as base:
        for name in a.targets.split(","):
            print(json.dumps(counts(name, base, a.conns, a.secs)), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # So that finally: ends the servers.
    main()
