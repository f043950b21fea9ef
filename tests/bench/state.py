#!/usr/bin/python3
"""What a large state costs: snapshots, transfers, restarts, and a long run against computed bounds.

  state.py stalls   [--nkeys 1000000 --vsize 1024 --secs 120]   writes/s and loop stalls with and without a snapshot being made
  state.py away     [--nkeys ... --secs ...]                    the same while a follower that was away too long gets a snapshot
  state.py restart  etcd,raftd [--nkeys ... --reps 3 --nodes 1] from the start of the process to the first write, same data, in turns
  state.py steady   [--nkeys 100000 --minutes 60]               full write load: disk and memory each minute against their bounds

All of it is on loopback, bounded in time, and ended by process id.  Needs as much memory and disk as the state, several times.
"""
import argparse
import collections
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time

import cluster
from bench import work_dir
from load import fill, wrk

MIB = 1 << 20
RAFTD = "raftd"
SAMPLE_S = 0.25


def metrics(port):
    """Name, or name{labels}, to number; None while the node does not answer."""
    try:
        text = cluster.http_req(port, {"path": "/metrics"}, 5.0)[1].decode()
    except (OSError, cluster.http.client.HTTPException):
        return None
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", text, re.M)}


def status(port):
    return json.loads(cluster.http_req(port, {"path": "/status"}, 5.0)[1])


LAG = "raftd_loop_lag_seconds"


def lag_buckets(m):
    """Upper bound in ms to the number of loop iterations that took longer than the bound before, and at most this."""
    found = sorted((float(le), m[f'{LAG}_bucket{{le="{le}"}}']) for le in re.findall(LAG + r'_bucket\{le="([^"]+)"', " ".join(m)))
    counts, before = {}, 0
    for le, total in found:
        counts[le * 1000], before = total - before, total
    return counts


def quantile(counts, q):
    """Bounds of the bucket that holds it, as text."""
    total, below, lower = sum(counts.values()), 0, 0.0
    for le in sorted(counts):
        below += counts[le]
        if total and below >= q * total:
            return f"{lower:g}..{le:g}"
        lower = le
    return "-"


def share_above(counts, ms):
    total = sum(counts.values())
    return sum(n for le, n in counts.items() if le > ms) / total if total else 0.0


class Period:
    """What was seen in all samples of one kind."""

    def __init__(self):
        self.seconds, self.writes, self.lag, self.worst = 0.0, 0.0, collections.Counter(), 0.0
        self.syncs, self.sync_s = 0.0, 0.0

    def add(self, seconds, before, now):
        """What changed between two answers of /metrics."""
        writes = now["raftd_applied_index"] - before["raftd_applied_index"]
        earlier = lag_buckets(before)
        lag = {le: n - earlier[le] for le, n in lag_buckets(now).items()}
        self.syncs += now["raftd_fsync_seconds_count"] - before["raftd_fsync_seconds_count"]
        self.sync_s += now["raftd_fsync_seconds_sum"] - before["raftd_fsync_seconds_sum"]
        self.seconds += seconds
        self.writes += writes
        self.lag.update(lag)
        self.worst = max([self.worst, *(le for le, n in lag.items() if n > 0)])

    def merge(self, other):
        self.seconds += other.seconds
        self.writes += other.writes
        self.lag.update(other.lag)
        self.worst = max(self.worst, other.worst)
        self.syncs += other.syncs
        self.sync_s += other.sync_s
        return self

    def rate(self):
        return self.writes / self.seconds if self.seconds else float("nan")

    def line(self, name):
        return (f"| {name} | {self.seconds:.0f} | {self.rate():,.0f} | {sum(self.lag.values()):,.0f} | {quantile(self.lag, .5)} | "
                f"{quantile(self.lag, .99)} | {quantile(self.lag, .999)} | {100 * share_above(self.lag, 10):.3f} % | <= {self.worst:g} | {1000 * self.sync_s / max(1, self.syncs):.2f} |")


HEADER = ("| | s | writes/s | loop iterations | p50 ms | p99 ms | p99.9 ms | above 10 ms | worst ms | mean fsync ms |\n" + "|---" * 10 + "|")


class Nodes(cluster.Cluster):
    """A cluster of raftd, and what its directories say."""

    def __init__(self, n, base, extra=""):
        super().__init__(RAFTD, n, base, extra)
        self.t["text"] = self.t["text"].replace('level = "warn"', 'level = "info"')

    def data(self, i):
        return f"{self.dir}/n{i}/data"

    def names(self, i):
        try:
            return os.listdir(self.data(i))
        except OSError:
            return []

    def makes_snapshot(self, i):
        return any(n.startswith("snapshot-") and n.endswith(".tmp") for n in self.names(i))

    def receives(self, i):
        return any(n.startswith("incoming-") for n in self.names(i))

    def disk_bytes(self, i):
        """By the first word of the name."""
        sizes = collections.Counter()
        for name in self.names(i):
            try:
                sizes[name.split("-")[0]] += os.stat(f"{self.data(i)}/{name}").st_blocks * 512
            except OSError:
                pass
        return sizes


class Load(threading.Thread):
    """wrk against one node for so many seconds."""

    def __init__(self, cl, i, a):
        super().__init__(daemon=True)
        self.args = (f"http://127.0.0.1:{cl.http[i]}", cl.t["ops"]["put"], a.conns, a.secs, a.nkeys, a.vsize)
        self.result = None

    def run(self):
        self.result = wrk(*self.args)


def watch(cl, i, load, kind_of):
    """Samples node i while the load runs. kind_of() says what goes on; a sample during which that changes is left out."""
    periods, before, kind, at = collections.defaultdict(Period), None, None, 0.0
    busy = cluster.cpu_total()[0], time.time()
    while load.is_alive():
        now_kind, now, m = kind_of(), time.perf_counter(), metrics(cl.http[i])
        if m and before and now_kind == kind:
            periods[kind].add(now - at, before, m)
        before, kind, at = m, now_kind, now
        time.sleep(SAMPLE_S)
    print(f"# busy cores meanwhile: {(cluster.cpu_total()[0] - busy[0]) / (time.time() - busy[1]):.2f} of {cluster.NCPU}", flush=True)
    return periods


def filled(a, extra=""):
    cl = Nodes(a.nodes, a.dir, extra)
    cl.start()
    fill(cl, a.nkeys, a.vsize, max_s=1800)
    return cl


def cmd_stalls(a):
    cl = filled(a)
    try:
        leader = cl.leader()
        load = Load(cl, leader, a)
        load.start()
        periods = watch(cl, leader, load, lambda: "snapshot here" if cl.makes_snapshot(leader) else
                        "snapshot elsewhere" if any(cl.makes_snapshot(i) for i in range(cl.n)) else "none")
        load.join()
        s = status(cl.http[cl.leader()])
        print(f"# {s['keys']} keys, {s['bytes'] / MIB:.0f} MiB, {a.conns} clients write {a.vsize} bytes; wrk: {load.result['rps']:.0f}/s, "
              f"p50 {load.result['p50_us']} p99 {load.result['p99_us']} p99.9 {load.result['p999_us']} max {load.result['max_us']} us, "
              f"{load.result['bad']} bad")
        print(HEADER)
        for name in sorted(periods):
            print(periods[name].line(name))
        if "none" in periods and "snapshot here" in periods:
            print(f"writes/s during a snapshot: {100 * periods['snapshot here'].rate() / periods['none'].rate():.0f} % of those without")
    finally:
        cl.clean()


def send_away(cl, i, a):
    """Stops node i until the others no longer have what it needs."""
    last = status(cl.http[i])["last_index"]
    cl.p[i].send_signal(signal.SIGKILL)
    cl.p[i].wait()
    cl.p[i] = None
    leader = cl.leader()
    t0 = time.time()
    while status(cl.http[leader])["first_index"] <= last + 1:
        if time.time() - t0 > 900:
            raise SystemExit("the log is not dropped")
        wrk(f"http://127.0.0.1:{cl.http[leader]}", cl.t["ops"]["put"], a.conns, 5, a.nkeys, a.vsize)
    print(f"# node {i + 1} was away for {time.time() - t0:.0f} s of load, until entry {last + 1} was dropped", flush=True)


class CatchUp(threading.Thread):
    """Starts node i and notes when it has received a snapshot, serves its state, and has applied what was committed then."""

    def __init__(self, cl, i, leader):
        super().__init__(daemon=True)
        self.cl, self.i, self.leader, self.times = cl, i, leader, {}
        self.bytes = 0

    def run(self):
        cl, i, t0 = self.cl, self.i, time.perf_counter()
        goal = status(cl.http[self.leader])["commit_index"]
        cl.start_one(i)
        while "full state" not in self.times and time.perf_counter() - t0 < 600:
            now = time.perf_counter() - t0
            if cl.receives(i):
                self.times.setdefault("first byte", now)
                self.times["last byte"] = now
                for name in cl.names(i):
                    if name.startswith("incoming-"):
                        try:
                            self.bytes = max(self.bytes, os.stat(f"{cl.data(i)}/{name}").st_size)
                        except OSError:
                            pass
            try:
                s = status(cl.http[i])
                if "first byte" in self.times and s["applied_index"] >= goal:
                    self.times["full state"] = now
            except (OSError, ValueError, cluster.http.client.HTTPException):
                pass
            time.sleep(0.02)


def cmd_away(a):
    cl = filled(a)
    try:
        leader = cl.leader()
        away = next(i for i in range(cl.n) if i != leader)
        for loaded in (False, True):
            send_away(cl, away, a)
            leader = cl.leader()
            catch_up = CatchUp(cl, away, leader)
            if loaded:
                load = Load(cl, leader, a)
                load.start()
                time.sleep(a.secs / 4)
                catch_up.start()
                periods = watch(cl, leader, load, lambda: "transfer and snapshot" if cl.receives(away) and cl.makes_snapshot(leader)
                                else "transfer" if cl.receives(away) else "snapshot" if cl.makes_snapshot(leader) else
                                "log" if catch_up.is_alive() and cl.p[away] else "none")
            else:
                catch_up.start()
            catch_up.join()
            t = catch_up.times
            print(f"{'with' if loaded else 'without'} load: " + json.dumps({
                "snapshot_MiB": round(catch_up.bytes / MIB), **{k.replace(" ", "_") + "_s": round(v, 2) for k, v in t.items()},
                "MiB_per_s": round(catch_up.bytes / MIB / max(t.get("last byte", 0) - t.get("first byte", 0), 0.001))}), flush=True)
            if loaded:
                load.join()
                print(f"# wrk: {load.result['rps']:.0f}/s, p99 {load.result['p99_us']} max {load.result['max_us']} us, {load.result['bad']} bad")
                print(HEADER)
                for name in sorted(periods):
                    print(periods[name].line(name))
                both = Period()
                for name in (n for n in periods if "transfer" in n):
                    both.merge(periods[name])
                print(both.line("transfer in all"))
                m = metrics(cl.http[away])
                print(f"# the follower's own loop since its start: p99.9 {quantile(lag_buckets(m), .999)} ms, "
                      f"worst <= {max(le for le, n in lag_buckets(m).items() if n):g} ms")
    finally:
        cl.clean()


def forget_pages(directory):
    """What is on the disk has to be read from there: the page cache forgets these files."""
    os.sync()
    for path, _, names in os.walk(directory):
        for name in names:
            fd = os.open(f"{path}/{name}", os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def cmd_restart(a):
    names, clusters, times = a.targets.split(","), [], collections.defaultdict(list)
    try:
        for name in names:
            cl = cluster.Cluster(name, a.nodes, a.dir)
            clusters.append(cl)
            cl.start()
            fill(cl, a.nkeys, a.vsize, max_s=1800)
            time.sleep(2)
            cl.stop(signal.SIGKILL)
        for rep in range(a.reps):
            for cl in clusters if rep % 2 == 0 else clusters[::-1]:
                forget_pages(cl.dir)
                gate, t0 = cluster.idle_gate(), time.perf_counter()
                for i in range(cl.n):
                    cl.start_one(i)
                ready = cl.wait_write(t0, 300)
                rss = [cluster.rss_kib(p)["VmRSS"] // 1024 for p in cl.pids()]
                busy = cluster.proc_cpu(cl.pids()[0])
                times[cl.name].append(ready)
                print(f"# {cl.name}: {ready:.2f} s to the first write, {sum(busy):.2f} s of CPU in the first node, RSS {rss} MiB, "
                      f"{gate} cores busy before", flush=True)
                cl.stop(signal.SIGKILL)
        for cl in clusters:
            disk = [int(subprocess.check_output(["du", "-sk", f"{cl.dir}/n{i}"]).split()[0]) // 1024 for i in range(cl.n)]
            print(json.dumps({"target": cl.name, "nodes": cl.n, "keys": a.nkeys, "value_bytes": a.vsize, "restart_s": [round(t, 2) for t in times[cl.name]],
                              "median_s": round(statistics.median(times[cl.name]), 2), "disk_MiB": disk}), flush=True)
        base = times[names[0]]
        for name in names[1:]:
            ratio = statistics.median(b / t for b, t in zip(base, times[name]))
            print(f"{name} is {ratio:.1f} times as fast as {names[0]} (median of the ratios of each repetition)")
    finally:
        for cl in clusters:
            cl.clean()


def effective(cl):
    """Keys of the configuration that the bounds need, in bytes and numbers."""
    text = subprocess.check_output([cl.t["cmd"][0].replace("{RAFTD}", os.environ.get("RAFTD", "raftd")), "check-config", f"{cl.dir}/n0/node.toml"], text=True)
    units, found = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": MIB, "GiB": 1 << 30}, {}
    for key, number, unit in re.findall(r'^([a-z_.]+) = "?(\d+)(B|KiB|MiB|GiB|)"?(?= )', text, re.M):
        found[key] = int(number) * units[unit]
    return found


def bounds(config, s):
    """Most bytes on the disk and in memory, from the configuration and the size of the state alone.

    Disk. A snapshot holds every key, the history, and 31 bytes for each item; keep of them stay, one is made and one may be
    received. The log reaches back to the older of two snapshots, and grows while a third is made, which takes less time than
    the distance of two; that is a quarter of the last snapshot, if that is more than asked for. An entry is as large as what
    it writes and 120 bytes; a frame holds as many as came while the one before it was synced, and is padded to 4 KiB: with
    many writers little. Four segments more are not full, prepared, in reserve, or not yet dropped.

    Memory. State and history with 300 bytes for each version that is kept, caches and queues as configured."""
    items = s["keys"] + config["history.bytes"] // max(1, s["bytes"] // max(1, s["keys"]))
    snapshot = s["bytes"] + config["history.bytes"] + 31 * items
    apart = max(config["snapshot.bytes"], snapshot // 4)
    log = max(3 * apart, 2 * config["snapshot.bytes"] + 64 * MIB + apart) * 5 // 4 + 4 * config["log.segment_bytes"]
    disk = (config["snapshot.keep"] + 2) * snapshot + log
    memory = s["bytes"] + config["history.bytes"] + 300 * items + config["log.cache_bytes"] + config["raft.max_pending_bytes"] + 64 * MIB
    return disk, memory


def cmd_steady(a):
    cl = filled(a)
    try:
        config, worst = effective(cl), collections.Counter()
        print("| minute | writes/s | keys | snapshots | disk MiB: log + snapshots | bound | RSS MiB | bound | peak RSS |\n" + "|---" * 9 + "|", flush=True)
        for minute in range(1, a.minutes + 1):
            leader, end, peak = cl.leader(), time.time() + 60, collections.Counter()
            load = Load(cl, leader, argparse.Namespace(**{**vars(a), "secs": 58}))
            load.start()
            while load.is_alive() or time.time() < end - 1:
                for i in range(cl.n):
                    sizes = cl.disk_bytes(i)
                    if sum(sizes.values()) > sum(peak.values()):
                        peak = sizes
                time.sleep(0.2)
            s = status(cl.http[leader])
            disk_bound, memory_bound = bounds(config, s)
            rss = [cluster.rss_kib(p) for p in cl.pids()]
            disk = sum(peak.values())
            worst["disk"] = max(worst["disk"], disk / disk_bound)
            worst["memory"] = max(worst["memory"], max(r["VmHWM"] for r in rss) * 1024 / memory_bound)
            made = sum(int(metrics(cl.http[i])["raftd_snapshots_total"]) for i in range(cl.n))
            print(f"| {minute} | {load.result['rps']:,.0f} | {s['keys']} | {made} | {(peak['log'] + peak['reserve']) / MIB:.0f} + {peak['snapshot'] / MIB:.0f} | "
                  f"{disk_bound / MIB:.0f} | {' '.join(str(r['VmRSS'] // 1024) for r in rss)} | {memory_bound / MIB:.0f} | "
                  f"{max(r['VmHWM'] for r in rss) // 1024} |", flush=True)
        print(f"highest share of the bounds: disk {100 * worst['disk']:.0f} %, memory {100 * worst['memory']:.0f} %")
        sys.exit(any(share > 1 for share in worst.values()))
    finally:
        cl.clean()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # So that finally: ends the servers.
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cmd", choices=["stalls", "away", "restart", "steady"])
    p.add_argument("targets", nargs="?", default="etcd,raftd")
    p.add_argument("--nodes", type=int, default=3)
    p.add_argument("--nkeys", type=int, default=1_000_000)
    p.add_argument("--vsize", type=int, default=1024)
    p.add_argument("--secs", type=int, default=120)
    p.add_argument("--conns", type=int, default=64)
    p.add_argument("--reps", type=int, default=3)
    p.add_argument("--minutes", type=int, default=60)
    p.add_argument("--dir")
    a = p.parse_args()
    with work_dir(a.dir) as a.dir:
        globals()["cmd_" + a.cmd](a)
