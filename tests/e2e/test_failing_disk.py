"""Disks that fail, are slow, or lose power, and processes killed at a chosen system call: nothing acknowledged is lost."""

import collections
import http.client
import itertools
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from cluster import wait_for
from faults import LoopDisk, can_mount, can_trace, injecting
from workload import Workload

NUMBERS = itertools.count(1)  # No value is written twice.
SYNCS = "fdatasync,pwritev2"  # Which one makes a frame durable depends on the file system.
needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace and the right to trace")


def put_until_refused(node, kept, count):
    """Puts up to count values until the node is gone or refuses. kept: what each key may hold, by what was answered."""
    for number in range(count):
        key, value = f"k{number % 20}", f"{next(NUMBERS)}"
        try:
            answer = node.put(key, value, "?timeout=2s")
            acknowledged = answer.status in (200, 201)
            none = not acknowledged and answer.json()["outcome"] == "none"
        except (OSError, http.client.HTTPException):
            acknowledged = none = False
        if acknowledged:
            kept[key] = {value}
        elif not none:
            kept[key] = {value, *kept.get(key, {None})}
        if not acknowledged:
            return


def verify(node, kept):
    for key, values in kept.items():
        answer = node.get(key)
        found = answer.body.decode() if answer.status == 200 else None
        assert found in values, f"{key}: {found!r} instead of {values}"


@needs_strace
def test_a_failed_sync_in_a_cluster_ends_that_node_with_74_and_the_others_go_on(make_cluster):
    cluster = make_cluster(3)
    cluster.nodes[0].start(wrapper=injecting(f"{SYNCS}:error=EIO:when=40+"))
    for n in cluster.nodes[1:]:
        n.start()
    cluster.wait_leader()
    failing, others = cluster.nodes[0], cluster.nodes[1:]
    workload = Workload(others, seed=11, clients=4).start()
    assert failing.ended() == 74
    assert "sync log-" in failing.log().splitlines()[-1]
    acknowledged = len(workload.acknowledged())
    wait_for(lambda: len(workload.acknowledged()) > acknowledged + 50, "the others go on", 20)
    failing.start()
    wait_for(lambda: (failing.status() or {}).get("leader"), "it takes part again", 10)
    history = workload.stop()
    cluster.wait_applied()
    last = {}
    for row in sorted((r for r in history if r["op"] == "put"), key=lambda r: r["call"]):
        last.setdefault(row["key"], []).append(row)
    for key, rows in last.items():
        assert failing.get(key).body == others[0].get(key).body
        assert failing.get(key).status == 200 or not any(r["outcome"] == "ok" for r in rows)


@needs_strace
def test_a_leader_whose_disk_is_slow_causes_no_storm_of_elections(make_cluster):
    # Half of the election timeout: heartbeats must not wait behind it, nor may followers lose patience.
    cluster = make_cluster(3, election_timeout_ms=1000)
    cluster.start()
    slow = cluster.follower()
    assert slow.stop() == 0
    slow.start(wrapper=injecting(f"{SYNCS}:delay_exit=500000:when=8+"))
    wait_for(lambda: (slow.status() or {}).get("leader"), "it follows")
    workload = Workload(cluster.nodes, seed=12, clients=4, timeout_s=5.0).start()
    changes = None
    # A machine with other things to do may cost an election; a storm comes each time.
    for _ in range(3):
        wait_for(lambda: cluster.nodes[0].request("POST", f"/cluster/transfer?to={slow.id}&timeout=20s",
                                                  timeout=30).status == 200, "the slow one leads", 60)
        term = slow.status()["term"]
        writes = workload.acknowledged_count()
        wait_for(lambda: "syncing the log took" in slow.log(), "its disk is slow, and it says so")
        time.sleep(4)  # The fault's length, not a wait for a condition.
        wait_for(lambda: workload.acknowledged_count() >= writes + 100, "writes through the slow leader", 60)
        changes = cluster.wait_leader().status()["term"] - term
        if changes <= 1:
            break
    workload.stop()
    assert changes <= 1, "leaders changed again and again"


CALLS = ("pwrite64", "pwritev2", "fdatasync", "fsync", "renameat", "ftruncate", "unlinkat", "openat", "mkdir")


class CrashSweep:
    """One node, killed at the k-th of some system call; what it has acknowledged since its directory was made."""

    def __init__(self, cluster, trace):
        self.cluster, self.node, self.trace = cluster, cluster.nodes[0], trace
        self.kept, self.killed = {}, collections.Counter()

    def forget(self):
        self.node.kill()
        shutil.rmtree(self.node.data_dir, ignore_errors=True)
        self.kept = {}

    def calls(self):
        """How often each call happens in a run without a fault."""
        self.node.start(wrapper=["/usr/bin/strace", "-D", "-qq", "-f", "-o", str(self.trace),
                                 "-e", "trace=" + ",".join(CALLS)])
        self.script()
        assert self.node.ended() == 0
        made = re.findall(r"^\d+ +(\w+)\(", self.trace.read_text(), re.M)
        return {call: made.count(call) for call in CALLS}

    def script(self):
        """Writes, a clean stop; less of it when the process is killed meanwhile."""
        wait_for(lambda: not self.node.alive() or (self.node.status() or {}).get("leader"), "it leads or is dead")
        put_until_refused(self.node, self.kept, 20)
        if self.node.alive():
            self.node.process.terminate()

    def kill_at(self, call, when):
        self.node.start(wrapper=injecting(f"{call}:signal=KILL:when={when}"))
        self.script()
        self.killed[call] += self.node.ended() == -signal.SIGKILL
        self.node.start()
        self.cluster.wait_leader()
        verify(self.node, self.kept)
        self.node.kill()


def sample(count):
    """Of the numbers 1..count: all if asked for, else the first (of a start), the last (of a stop), some between.

    strace counts the calls of each thread by itself, so that of many calls the higher numbers do not come."""
    if os.environ.get("RAFTD_CRASH_SWEEP") == "all":
        return range(1, count + 1)
    return sorted({1, 2, 4, count // 4, count // 2, count} & set(range(1, count + 1)))


@needs_strace
@pytest.mark.parametrize("fresh", [True, False], ids=["first-start", "later-start"])
def test_a_process_killed_at_any_call_on_its_files_starts_again_with_all_that_was_acknowledged(
        make_cluster, workdir, fresh):
    sweep = CrashSweep(make_cluster(1), workdir / "trace")
    sweep.calls()
    if fresh:
        sweep.forget()
    counts = sweep.calls()
    for call, count in counts.items():
        for when in sample(count):
            if fresh:
                sweep.forget()
            sweep.kill_at(call, when)
    print(f"calls in a run {counts}, killed at {dict(sweep.killed)}")
    assert sum(sweep.killed.values()) >= 12, "most kills did not happen"
    frames = ["pwritev2"] if counts["pwritev2"] else ["pwrite64"]
    assert all(sweep.killed[call] for call in frames + ["fdatasync", "openat", "ftruncate"])


@pytest.mark.skipif(not can_mount(), reason="mounting needs root")
def test_a_power_cut_loses_nothing_acknowledged(make_cluster, workdir):
    cluster = make_cluster(1)
    node = cluster.nodes[0]
    try:
        disk = LoopDisk(node, workdir / "image")
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"no ext4 on a loop device: {error}")
    try:
        cluster.start()
        kept = {}
        for _ in range(3):
            put_until_refused(node, kept, 50)
            disk.cut_power()
            put_until_refused(node, kept, 5)
            node.kill()
            disk.restore_power()
            node.start()
            cluster.wait_leader()
            verify(node, kept)
        assert len(kept) == 20
    finally:
        node.kill()
        disk.close()
