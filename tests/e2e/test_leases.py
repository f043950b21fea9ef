"""Keys that end by time, on real nodes: through changes of leaders, pauses and restarts, and against bad requests."""

import http.client
import threading
import time

import pytest

from cluster import Cluster, wait_for


@pytest.fixture
def three(tmp_path):
    cluster = Cluster(tmp_path).start()
    yield cluster
    cluster.close()


def ok(ask, *statuses):
    """Asks again while the cluster has no leader; the answer, which has one of the statuses."""
    def answered():
        answer = ask()
        assert answer.status in (*statuses, 429, 503, 504), answer
        return answer if answer.status in statuses else None
    return wait_for(answered, f"an answer of {statuses}")


def put(node, key, query=""):
    return ok(lambda: node.put(key, b"v", query), 200, 201).json()


def there(node, key):
    return ok(lambda: node.get(key), 200, 404).status == 200


def grant(node, query):
    return ok(lambda: node.request("POST", f"/lease?{query}"), 201).json()["id"]


def keep(node, lease):
    return ok(lambda: node.request("POST", f"/lease/{lease}/keepalive"), 200, 404).status == 200


def leases(node):
    return {row["id"]: row for row in ok(lambda: node.request("GET", "/lease"), 200).json()["leases"]}


def transfer(cluster, to):
    """Until that node leads."""
    def leads():
        if (s := to.status()) and s["role"] == "leader":
            return True
        to.request("POST", f"/cluster/transfer?to={to.id}&timeout=3s")
        return False
    wait_for(leads, "it leads", pause=0.1)


def test_a_key_with_a_time_to_live_is_there_for_that_long_and_then_gone(three):
    leader, follower = three.wait_leader(), three.follower()
    begun = time.monotonic()
    answer = put(follower, "a", "?ttl=8s")
    assert answer["created"] and answer["ttl"] == 8
    assert put(leader, "b")["revision"] == answer["revision"] + 1
    shown = leader.get("a")
    assert shown.headers["Raftd-Lease"] == answer["lease"] and 1 <= int(shown.headers["Raftd-Ttl"]) <= 8
    item = follower.get("a", "?meta").json()
    assert item["lease"] == answer["lease"] and 1 <= item["ttl"] <= 8
    assert follower.get("", "?list").json()["items"][0]["lease"] == answer["lease"]
    assert leader.status()["leases"] == 1
    wait_for(lambda: not there(follower, "a"), "it is gone")
    assert time.monotonic() - begun >= 8.0
    assert there(leader, "b")
    wait_for(lambda: all(n.status()["leases"] == 0 for n in three.nodes), "no node has the lease")


def test_leases_end_in_the_order_of_their_deadlines_each_with_all_its_keys(three):
    node = three.follower()
    long, short = grant(node, "ttl=10s"), grant(node, "ttl=8s&id=77")
    assert short == "77"
    for key, lease in (("a", long), ("b", short), ("c", long), ("d", short)):
        put(node, key, f"?lease={lease}")
    last = put(node, "other")["revision"]
    assert node.request("GET", f"/lease/{short}?keys").json()["keys"] == [{"key": "b"}, {"key": "d"}]
    wait_for(lambda: not there(node, "c"), "both are over")
    assert node.get("b", f"?rev={last + 1}").status == node.get("d", f"?rev={last + 1}").status == 404
    assert node.get("a", f"?rev={last + 1}").status == 200
    assert node.get("a", f"?rev={last + 2}").status == node.get("c", f"?rev={last + 2}").status == 404
    assert put(node, "other")["revision"] == last + 3


def test_a_lease_that_is_kept_alive_lives_through_changes_of_leaders_and_ends_when_nobody_does(three):
    lease = grant(three.nodes[0], "ttl=10s")
    put(three.nodes[0], "alive", f"?lease={lease}")
    stopping, missed = threading.Event(), []

    def beat():
        while not stopping.is_set():
            for node in three.nodes:
                try:
                    if node.request("POST", f"/lease/{lease}/keepalive?timeout=1s").status == 404:
                        missed.append(node.id)
                except (OSError, http.client.HTTPException):
                    pass
            stopping.wait(0.2)
    beating = threading.Thread(target=beat)
    beating.start()
    try:
        for _ in range(3):
            transfer(three, three.follower())
        leader = three.wait_leader()
        leader.kill()
        three.wait_leader()
        leader.start()
        wait_for(leader.status, "it answers")
        assert there(three.follower(), "alive")
    finally:
        stopping.set()
        beating.join()
    assert not missed
    wait_for(lambda: not there(three.follower(), "alive"), "it ends")


def test_time_goes_on_under_another_leader(three):
    """Else a life would begin anew with each change."""
    lease = grant(three.follower(), "ttl=60s")

    def left_ms():
        return leases(three.follower())[lease]["remaining_ms"]
    wait_for(lambda: left_ms() < 55_000, "some of it is over")
    for _ in range(4):
        transfer(three, three.follower())
        assert left_ms() < 59_000


def test_the_pause_of_a_leader_cuts_no_lease_short(three):
    """Another one leads when it goes on, with what it has missed."""
    leader = three.wait_leader()
    lease = grant(leader, "ttl=8s")
    put(leader, "a", f"?lease={lease}")
    other = three.follower()
    leader.pause()
    wait_for(lambda: (s := other.status()) and s["leader"] and s["leader"]["id"] != leader.id, "another one leads")
    begun = time.monotonic()
    assert keep(other, lease)
    leader.resume()
    wait_for(lambda: not there(other, "a"), "it ends")
    assert time.monotonic() - begun >= 8.0
    wait_for(lambda: leader.status()["leases"] == 0, "the one that was paused knows it")


def test_a_cluster_that_stands_still_ends_nothing_before_its_clients_can_speak(three):
    """All three are stopped for longer than the lease lives: no time goes by, so that the next beat is in time."""
    lease = grant(three.nodes[0], "ttl=5s")
    put(three.nodes[0], "a", f"?lease={lease}")
    for node in three.nodes:
        node.pause()
    time.sleep(6)  # Longer than it lives.
    for node in three.nodes:
        node.resume()
    assert keep(three.nodes[0], lease) and there(three.nodes[1], "a")


def test_leases_survive_a_restart_and_a_snapshot(three):
    leader = three.wait_leader()
    lease = grant(leader, "ttl=600s")
    for i in range(20):
        put(leader, f"k{i:02}", f"?lease={lease}")
    own = put(leader, "own", "?ttl=500s")["lease"]
    for node in three.nodes:
        assert node.request("POST", "/admin/snapshot", timeout=30).status == 200
    for node in three.nodes:
        assert node.stop() == 0
    for node in three.nodes:
        node.start()
    three.wait_leader()
    node = three.follower()
    assert set(leases(node)) == {lease, own}
    assert leases(node)[lease]["keys"] == 20 and 0 < leases(node)[lease]["remaining_ms"] <= 600_000
    assert ok(lambda: node.request("DELETE", f"/lease/{lease}"), 200).json()["deleted"] == 20
    assert set(leases(node)) == {own}
    ok(lambda: node.request("DELETE", "/kv/own"), 200)
    assert leases(node) == {}


def test_a_long_list_of_leases_and_one_with_many_keys_come_whole(three):
    node = three.follower()
    connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=30)

    def ask(method, path):
        connection.request(method, path, b"v" if method == "PUT" else None)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (200, 201), answer.status
    for i in range(2500):
        ask("POST", f"/lease?ttl=600s&id={i + 1}")
        ask("PUT", f"/kv/{'k' * 40}{i}?lease=1")
    connection.close()
    assert list(leases(node)) == [str(i + 1) for i in range(2500)]
    answer = node.request("GET", "/lease/1?keys").json()
    assert len({item["key"] for item in answer["keys"]}) == 2500
    revoked = node.request("DELETE", "/lease/1").json()
    assert revoked["deleted"] == 2500
    assert node.get("", "?list&count").json()["count"] == 0
    assert node.get("", f"?list&count&rev={revoked['revision'] - 1}").json()["count"] == 2500 - 2048


def test_bad_requests_get_their_answers_and_leave_nothing(three):
    node = three.follower()
    for method, path, status in [
            ("POST", "/lease", 400), ("POST", "/lease?ttl=0", 400), ("POST", "/lease?ttl=1e3", 400),
            ("POST", "/lease?ttl=9000000001", 400), ("POST", "/lease?ttl=1s&id=0", 400),
            ("POST", "/lease?ttl=1s&id=18446744073709551617", 400), ("POST", "/lease?tll=1s", 400),
            ("POST", "/lease/1", 405), ("PUT", "/lease", 405), ("POST", "/lease/1/2/keepalive", 404),
            ("POST", "/lease/1/keepalive", 404), ("GET", "/lease/1", 404), ("GET", "/lease/1?keys", 404),
            ("DELETE", "/lease/1", 200), ("GET", "/lease/" + "1" * 4000, 400), ("GET", "/lease/..", 400),
            ("PUT", "/kv/a?lease=1", 404), ("PUT", "/kv/a?ttl=1s&lease=1", 400), ("PUT", "/kv/a?ttl=", 400),
            ("PUT", "/kv/a?keep_lease&ttl=2s", 400)]:
        assert ok(lambda: node.request(method, path), status).status == status, (method, path)
    assert not there(node, "a") and leases(node) == {}
    grant(node, "ttl=9000000000s&id=9223372036854775807")
    again = node.request("POST", "/lease?ttl=1s&id=9223372036854775807")
    assert again.status == 409 and again.json()["error"] == "lease_exists"
    assert keep(node, 9223372036854775807)
    assert put(node, "a", "?lease=9223372036854775807")["ttl"] == 9000000000
