"""Locks whose holders or waiters are gone without a word: time ends them, and the next in the queue has its turn."""

import time
from concurrent.futures import ThreadPoolExecutor

from cluster import wait_for
from test_locks import acquire, held, wait_for_waiters


def test_a_lock_that_is_not_kept_goes_to_who_waits_and_its_fence_is_worth_nothing(make_cluster):
    cluster = make_cluster(3).start()
    node = cluster.follower()
    began = time.monotonic()
    old = acquire(node, "job", "?ttl=1s&owner=dead").json()["token"]
    got = acquire(cluster.wait_leader(), "job", "?wait=60s&owner=next")
    assert got.status == 200 and got.json()["token"] > old
    assert time.monotonic() - began >= 1.0
    assert node.request("PUT", "/kv/a", "1", {"Raftd-Fence": f"job={old}"}).status == 412
    assert node.request("POST", f"/lock/job/keepalive?token={old}").status == 409


def test_a_lock_that_is_kept_outlives_its_time(make_cluster):
    cluster = make_cluster(3).start()
    node = cluster.follower()
    token = acquire(node, "job", "?ttl=5s").json()["token"]
    end = time.monotonic() + 8
    while time.monotonic() < end:
        assert node.request("POST", f"/lock/job/keepalive?token={token}").status == 200
        time.sleep(0.2)  # The beat of a client.
    assert held(node, "job")["token"] == token


def test_who_waited_at_a_node_that_died_is_passed_over_and_who_waits_elsewhere_stays(make_cluster):
    cluster = make_cluster(3).start()
    leader = cluster.wait_leader()
    dies, stays = [n for n in cluster.nodes if n is not leader]
    token = acquire(stays, "job", "?ttl=10m&owner=h0").json()["token"]
    with ThreadPoolExecutor(2) as pool:
        def doomed():
            try:
                acquire(dies, "job", "?wait=5m&owner=doomed")
            except OSError:
                pass
        pool.submit(doomed)
        wait_for_waiters(leader, "job", ["doomed"])
        waits = pool.submit(acquire, stays, "job", "?wait=5m&owner=waits", 300.0)
        wait_for_waiters(leader, "job", ["doomed", "waits"])
        dies.kill()
        wait_for_waiters(leader, "job", ["waits"], 40)  # Its place has ended.
        assert stays.request("DELETE", f"/lock/job?token={token}").status == 200
        assert waits.result(60).json()["owner"] == "waits"
