"""raftd bench against a real cluster: what it says that it did is what the nodes saw."""

import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from cluster import RAFTD, TIMEOUT_S, wait_for


@pytest.fixture
def cluster(make_cluster):
    return make_cluster(3).start()


def start(*arguments, **variables):
    return subprocess.Popen([os.path.abspath(RAFTD), "bench", *map(str, arguments)], stdin=subprocess.DEVNULL,
                            env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def bench(*arguments, expect=0):
    """Results by kind, and the rest."""
    process = start(*arguments, "--output", "json")
    out, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == expect, error
    said = json.loads(out)
    return {result["kind"]: result for result in said["results"]}, said


def revision(node):
    return node.status()["revision"]


def url(node):
    return f"127.0.0.1:{node.http_port}"


def test_puts_are_as_many_as_the_store_got(cluster):
    leader = cluster.wait_leader()
    before = revision(leader)
    kinds, said = bench("put", "--endpoints", url(leader), "--seconds", 1, "--connections", 8, "--keys", 50, "--value-size", 16)
    assert (said["errors"], said["never_sent"]) == ({}, 0)
    assert kinds["put"]["count"] == revision(leader) - before > 0
    assert len(leader.request("GET", "/kv/bench/?list").json()["items"]) == min(50, kinds["put"]["count"])
    assert len(leader.get("bench/00000007").body) == 16
    put = kinds["put"]
    assert 0 < put["p50_us"] <= put["p90_us"] <= put["p99_us"] <= put["p999_us"] <= put["max_us"]


def test_each_workload_is_answered_by_any_node(cluster):
    follower = cluster.follower()
    for workload, options, kinds in (("txn", (), {"txn"}), ("get", ("--consistency", "stale"), {"get"}),
                                     ("mixed", (), {"get", "put", "both"}), ("list", (), {"list"})):
        found, said = bench(workload, "--endpoints", url(follower), "--seconds", 1, "--connections", 4, "--keys", 200, *options)
        assert set(found) == kinds and all(kind["count"] > 0 for kind in found.values())
        assert said["errors"] == {}
        if workload == "txn":
            assert found["txn"]["count"] == revision(cluster.leader()) - 1


def test_every_watch_sees_every_put(cluster):
    everyone = ",".join(url(node) for node in cluster.nodes)
    kinds, said = bench("watch", "--endpoints", everyone, "--seconds", 1, "--connections", 6, "--rate", 100)
    assert said["errors"] == {}
    assert kinds["put"]["count"] + said["never_sent"] == 100
    assert kinds["event"]["count"] == 6 * kinds["put"]["count"]


def test_at_a_rate_as_many_are_sent_as_are_due(cluster):
    process = start("get", "--seconds", 1, "--connections", 4, "--keys", 10, "--rate", 50, RAFTD_ENDPOINTS=url(cluster.follower()))
    out, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, error
    never_sent = re.search(rb"never sent: (\d+)", out)  # On a busy machine.
    kind, count = out.decode().splitlines()[1].split()[:2]
    assert (kind, int(count)) == ("get", 50 - (int(never_sent[1]) if never_sent else 0))


def test_a_stall_is_in_the_latency_of_all_that_were_due_meanwhile(make_cluster):
    leader = make_cluster(1).start().wait_leader()
    process = start("put", "--endpoints", url(leader), "--seconds", 4, "--connections", 2, "--rate", 100, "--output", "json",
                    "--timeout", "60s")
    before = revision(leader)
    wait_for(lambda: revision(leader) > before + 10, "the load runs")
    leader.pause()
    resume = threading.Timer(1, leader.resume)
    resume.start()
    out, error = process.communicate(timeout=TIMEOUT_S)
    resume.join()
    assert process.returncode == 0, error
    said = json.loads(out)
    put = said["results"][0]
    # Two connections had one request each in the stall, of the hundred that were due.
    assert (put["count"] + said["never_sent"], said["errors"]) == (400, {})
    assert put["p90_us"] > 100_000


def test_a_signal_ends_it_early_and_prints_what_there_is(cluster):
    leader = cluster.wait_leader()
    before = revision(leader)
    process = start("put", "--endpoints", url(leader), "--seconds", 3600)
    wait_for(lambda: revision(leader) > before + 100, "the load runs")
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, error
    assert int(out.decode().splitlines()[1].split()[1]) >= 100


def test_who_cannot_be_reached_or_says_no_is_told(cluster):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        process = start("put", "--endpoints", f"127.0.0.1:{nobody.getsockname()[1]}")
        _, error = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 2 and b"Connection refused" in error
    survivor = cluster.nodes[0]
    # Too large for a value: the node says so and closes, which is not said twice.
    kinds, said = bench("put", "--endpoints", url(survivor), "--seconds", 1, "--connections", 2, "--value-size", "1200KiB", expect=2)
    assert (kinds, set(said["errors"])) == ({}, {"status 413"})
    for node in cluster.nodes[1:]:
        node.kill()
    wait_for(lambda: not survivor.status()["leader"], "no leader is known")
    kinds, said = bench("put", "--endpoints", url(survivor), "--seconds", 1, "--connections", 2, expect=2)
    assert (kinds, set(said["errors"])) == ({}, {"status 503"})
