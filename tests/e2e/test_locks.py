"""Locks and elections on real nodes: one holder at a time, first come first served, whoever goes away."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster import wait_for


def acquire(node, name, query="", timeout=90.0):
    return node.request("POST", f"/lock/{name}{query}", timeout=timeout)


def held(node, name):
    return node.request("GET", f"/lock/{name}").json()


def release(node, name, token):
    return node.request("DELETE", f"/lock/{name}?token={token}")


def wait_for_waiters(node, name, owners, seconds=20.0):
    def they_wait():
        answer = node.request("GET", f"/lock/{name}")
        return answer.status == 200 and [w["owner"] for w in answer.json()["waiters"]] == owners
    wait_for(they_wait, f"{owners} wait for {name}", seconds)


def send_only(node, method, path):
    """A request whose answer nobody reads."""
    s = socket.create_connection(("127.0.0.1", node.http_port))
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    return s


def test_two_never_hold_a_lock_and_no_write_of_theirs_is_lost(make_cluster):
    cluster = make_cluster(3).start()
    clients, rounds = 6, 5
    tokens, lock = [], threading.Lock()

    def work(i):
        node = cluster.nodes[i % 3]
        for _ in range(rounds):
            got = acquire(node, "job", f"?wait=60s&ttl=30s&owner=c{i}")
            assert got.status == 200, got
            token = got.json()["token"]
            before = node.get("counter")
            count = int(before.body) if before.status == 200 else 0
            written = node.request("PUT", "/kv/counter", str(count + 1), {"Raftd-Fence": f"job={token}"})
            assert written.status in (200, 201), written
            with lock:
                tokens.append(token)
            assert release(node, "job", token).status == 200

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(work, range(clients)))
    assert cluster.nodes[0].get("counter").body == str(clients * rounds).encode()
    assert tokens == sorted(tokens) and len(set(tokens)) == clients * rounds
    assert held(cluster.nodes[1], "job") == {"name": "job", "held": False, "waiters": []}


def test_the_leader_dies_while_others_wait_and_they_are_served_in_their_order(make_cluster):
    cluster = make_cluster(3).start()
    leader = cluster.wait_leader()
    one, other = [n for n in cluster.nodes if n is not leader]
    holder = acquire(one, "job", "?ttl=60s&owner=h0").json()
    with ThreadPoolExecutor(3) as pool:
        waiting = []
        for i, node in enumerate([one, other, one]):
            waiting.append(pool.submit(acquire, node, "job", f"?wait=60s&owner=w{i}"))
            wait_for_waiters(one, "job", [f"w{k}" for k in range(i + 1)])
        leader.kill()
        wait_for(lambda: (new := cluster.leader()) and new is not leader, "another leader")
        token = holder["token"]
        for i, each in enumerate(waiting):
            assert not each.done()
            wait_for(lambda t=token: release(other, "job", t).status == 200, "the lock is released")
            got = each.result(60)
            assert got.status == 200, got
            assert got.json()["owner"] == f"w{i}" and got.json()["token"] > token
            token = got.json()["token"]
            wait_for_waiters(other, "job", [f"w{k}" for k in range(i + 1, 3)])


def test_a_wait_that_ends_gives_the_place_back_and_names_the_holder(make_cluster):
    cluster = make_cluster(3).start()
    node = cluster.follower()
    acquire(node, "job", "?owner=h0")
    began = time.monotonic()
    late = acquire(node, "job", "?wait=300ms&owner=w0")
    assert time.monotonic() - began >= 0.3
    assert late.status == 409 and late.headers["Raftd-Error"] == "locked"
    assert late.json()["owner"] == "h0" and late.json()["waiters"] == 0
    assert held(node, "job")["waiters"] == []


def test_a_client_that_vanishes_while_it_waits_leaves_the_queue(make_cluster):
    cluster = make_cluster(3).start()
    node = cluster.follower()
    token = acquire(node, "job", "?owner=h0").json()["token"]
    gone = send_only(node, "POST", "/lock/job?wait=5m&owner=gone")
    wait_for_waiters(node, "job", ["gone"])
    with ThreadPoolExecutor(1) as pool:
        stays = pool.submit(acquire, cluster.wait_leader(), "job", "?wait=60s&owner=stays")
        wait_for_waiters(node, "job", ["gone", "stays"])
        gone.close()
        wait_for_waiters(node, "job", ["stays"])
        release(node, "job", token)
        assert stays.result(60).json()["owner"] == "stays"


def test_a_client_that_vanishes_at_once_holds_nothing(make_cluster):
    cluster = make_cluster(3).start()
    for node in cluster.nodes:
        names = [f"l{node.id}-{i}" for i in range(20)]
        node.pause()  # Else it may have answered before the client is gone, and then the client has the lock.
        for name in names:
            send_only(node, "POST", f"/lock/{name}?ttl=10m&owner=gone").close()
        node.resume()
        for name in names:
            taken = wait_for(lambda: (a := acquire(node, name, "?wait=60s&ttl=10m&owner=next")).status != 503 and a, "an answer")
            assert taken.json()["owner"] == "next"
    listed = cluster.wait_leader().request("GET", "/lock").json()["locks"]
    assert {lock["owner"] for lock in listed} == {"next"}


def test_a_holder_that_lost_its_lock_cannot_write(make_cluster):
    cluster = make_cluster(3).start()
    node = cluster.follower()
    old = acquire(node, "job").json()["token"]
    fenced = {"Raftd-Fence": f"job={old}"}
    assert node.request("PUT", "/kv/state", "1", fenced).status == 201
    assert node.request("DELETE", "/lock/job?force").status == 200
    assert node.request("PUT", "/kv/state", "2", fenced).status == 412
    new = acquire(node, "job").json()["token"]
    assert new > old
    for method, path in [("PUT", "/kv/state"), ("DELETE", "/kv/state"), ("DELETE", "/kv/?prefix&all"),
                         ("POST", "/lock/other"), ("DELETE", f"/lock/job?token={new}")]:
        refused = node.request(method, path, headers=fenced)
        assert refused.status == 412, (method, path, refused)
        assert refused.headers["Raftd-Error"] == "fenced"
        assert refused.json()["name"] == "job" and refused.json()["token"] == old
    assert node.get("state").body == b"1"
    assert held(node, "other")["held"] is False
    assert node.request("PUT", "/kv/state", "3", {"Raftd-Fence": f"job={new}"}).status == 200


def test_an_election_has_a_leader_with_a_value_that_it_can_change(make_cluster):
    cluster = make_cluster(3).start()
    node, other = cluster.nodes[:2]
    assert other.request("GET", "/election/db").json() == {"name": "db", "elected": False, "candidates": 0}
    won = node.request("POST", "/election/db?owner=h1&ttl=20s", "10.0.0.5:5432").json()
    assert won["value"] == "10.0.0.5:5432" and won["owner"] == "h1"
    lost = other.request("POST", "/election/db?value=x")
    assert lost.status == 409 and lost.json()["value"] == "10.0.0.5:5432"
    token = won["token"]
    assert other.request("PUT", f"/election/db?token={token}", "10.0.0.6:5432").status == 200
    seen = other.request("GET", "/election/db").json()
    assert seen["value"] == "10.0.0.6:5432" and seen["token"] == token and seen["elected"] is True
    kept = node.request("POST", f"/election/db/keepalive?token={token}&ttl=50s").json()
    assert kept["token"] == token and 40_000 < kept["expires_in_ms"] <= 50_000
    assert node.put("a", "1", "").status == 201
    fence = {"Raftd-Fence": f"election:db={token}"}
    assert node.request("PUT", "/kv/a", "2", fence).status == 200
    assert other.request("DELETE", f"/election/db?token={token}").json()["released"] is True
    assert node.request("PUT", "/kv/a", "3", fence).status == 412
    assert other.request("PUT", f"/election/db?token={token}", "y").status == 409


def test_locks_of_any_name_are_listed_and_none_is_a_key(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    names = ["a%2Fb", "keepalive", "%00", "%FF", "..", "x" * 512, "election%3Ax"]
    for name in names:
        assert acquire(node, name, "?owner=%FF%00").status == 200
    listed = node.request("GET", "/lock").json()["locks"]
    assert len(listed) == len(names) and all(lock["held"] for lock in listed)
    assert {lock.get("name", lock.get("name64")) for lock in listed} == {
        "a/b", "keepalive", "\0", "/w==", "..", "x" * 512, "election:x"}
    assert node.request("GET", "/kv/?list").json()["items"] == []


@pytest.mark.parametrize("method,path,status", [
    ("POST", "/lock/", 404), ("POST", "/lock/a/b", 404), ("POST", "/lock/" + "x" * 513, 413),
    ("POST", "/lock/%", 400), ("POST", "/lock/a?ttl=0", 400), ("POST", "/lock/a?ttl=999999999999h", 400),
    ("POST", "/lock/a?wait=11m", 400), ("POST", "/lock/a?owner=" + "o" * 257, 400), ("POST", "/lock/a?tll=1s", 400),
    ("DELETE", "/lock/a", 400), ("DELETE", "/lock/a?token=18446744073709551616", 400),
    ("DELETE", "/lock/a?token=1", 409), ("DELETE", "/lock/a?force", 409), ("PUT", "/lock/a", 405),
    ("POST", "/lock/a/keepalive?token=18446744073709551615", 409), ("PUT", "/election/a?token=1", 409),
    ("GET", "/lock?x", 400), ("PATCH", "/lock/a", 405)])
def test_bad_requests_leave_nothing_behind(make_cluster, method, path, status):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    assert node.request(method, path).status == status
    assert node.request("GET", "/lock").json()["locks"] == []
