"""Everything at random at once, from a seed: no history that is not linearizable, no write that is lost.

RAFTD_NEMESIS_SECONDS (default 8) and RAFTD_NEMESIS_SEED choose another run; the seed of a run is printed."""

import os
import random
import time

from cluster import wait_for
from nemesis import Nemesis
from test_cluster import write_until_acknowledged
from workload import Workload, check_linearizable, read_register

SECONDS = float(os.environ.get("RAFTD_NEMESIS_SECONDS", "8"))
SEED = int(os.environ.get("RAFTD_NEMESIS_SEED") or random.SystemRandom().randrange(1 << 32))
UNKNOWN_SHARE_MAX = 0.2
OK_MIN = 300


def read_everywhere(cluster, keys, value_bytes=0):
    rows = []
    for key in keys:
        for n in cluster.nodes:
            row = {"node": n.id, "key": key, "op": "get", "value": None, "call": time.monotonic_ns(), "outcome": "ok"}
            # All is healed, but on a busy machine a leader may still change.
            answer = wait_for(lambda: (a := n.get(key, "?timeout=10s")).status != 503 and a, "an answer", 30)
            assert answer.status in (200, 404), answer
            _, row["out"] = read_register(answer.status, True, answer.body, value_bytes)
            rows.append(row | {"return": time.monotonic_ns()})
    return rows


def content(node):
    return node.request("GET", "/kv/?list&consistency=stale&limit=10000").json()["items"]


def test_under_random_faults_every_history_is_linearizable_and_all_nodes_end_alike(make_cluster):
    print(f"RAFTD_NEMESIS_SEED={SEED} RAFTD_NEMESIS_SECONDS={SECONDS}")
    cluster = make_cluster(3, proxied=True).start()
    first_term = cluster.wait_leader().status()["term"]
    workload = Workload(cluster.nodes, clients=8, keys=4, seed=SEED).start()
    nemesis = Nemesis(cluster, workload, SEED)
    started = time.monotonic()
    nemesis.run(SECONDS)
    write_until_acknowledged(cluster, "healed", "x")
    took = time.monotonic() - started
    history = workload.stop() + nemesis.queued
    last_term = cluster.wait_leader().status()["term"]

    outcomes = [r["outcome"] for r in history]
    known, unknown = outcomes.count("ok"), outcomes.count("unknown")
    print(f"{took:.0f} s, {len(history)} operations: {known} ok, {unknown} unknown, the rest without effect; "
          f"terms {first_term}..{last_term}, {nemesis.answered_after_stop} of {len(nemesis.queued)} queued reads answered; "
          f"faults {dict(nemesis.fired)}")
    # A test that nothing happened in proves nothing.
    assert all(nemesis.fired[kind] for kind in nemesis.kinds)
    assert last_term > first_term
    assert known >= OK_MIN
    assert unknown <= UNKNOWN_SHARE_MAX * len(history)

    wait_for(lambda: all(n.status() for n in cluster.nodes), "every node answers")
    keys = sorted({r["key"] for r in history})
    why = check_linearizable(history + read_everywhere(cluster, keys[-40:]))
    assert why is None, why
    cluster.wait_applied()
    assert content(cluster.nodes[0]) == content(cluster.nodes[1]) == content(cluster.nodes[2])


def test_the_same_eyes_see_that_stale_reads_are_not_linearizable(make_cluster):
    cluster = make_cluster(3, proxied=True).start()
    workload = Workload(cluster.nodes, clients=6, keys=2, seed=5, consistency="consistency=stale").start()
    wait_for(lambda: workload.acknowledged_count() >= 50, "writes")
    behind = cluster.follower()
    cluster.isolate(behind)

    def stale_reads():
        with workload.lock:
            return sum(r["node"] == behind.id and r["op"] == "get" and r["outcome"] == "ok" for r in workload.history)
    goal = workload.acknowledged_count() + 100
    wait_for(lambda: workload.acknowledged_count() >= goal, "the others go on", 30)
    reads = stale_reads() + 20
    wait_for(lambda: stale_reads() >= reads, "reads of what the node had before", 30)
    assert check_linearizable(workload.stop()), "the checker is blind"
