"""A cluster as its users see it: any node serves any request, whatever is killed, cut off or restarted."""

import os
import statistics
import threading
import time

import pytest

from cluster import wait_for
from load import put_many
from workload import Workload, check_linearizable


def write_until_acknowledged(cluster, key, value, seconds=20.0):
    """As a client with retries: any live node, again until one acknowledges."""
    def attempt():
        for n in cluster.live():
            try:
                if n.put(key, value, "?timeout=500ms").status in (200, 201):
                    return True
            except OSError:
                pass
        return False
    wait_for(attempt, f"a write of {key} is acknowledged", seconds)


def let_work(workload, writes=15):
    """Until the workload has had this many more writes acknowledged: a fault that nobody meets proves nothing."""
    goal = len(workload.acknowledged()) + writes
    wait_for(lambda: len(workload.acknowledged()) >= goal, f"{writes} more acknowledged writes", 30)


def verify(cluster, workload):
    """The end of every fault test: all nodes agree, every acknowledged write is there, the history is linearizable."""
    history = workload.stop()
    cluster.wait_leader()
    wait_for(lambda: all(n.status() for n in cluster.live()), "every node answers")
    write_until_acknowledged(cluster, "after", "faults")
    final = []
    for key in sorted({r["key"] for r in history}):
        for n in cluster.live():
            call = time.monotonic_ns()
            a = n.get(key, "?timeout=10s")
            assert a.status in (200, 404), a
            final.append({"key": key, "op": "get", "value": None, "call": call, "return": time.monotonic_ns(),
                          "outcome": "ok", "out": a.body.decode() if a.status == 200 else None})
    acknowledged = [r for r in history if r["op"] == "put" and r["outcome"] == "ok"]
    assert len(acknowledged) > 50, "the workload did too little to prove anything"
    why = check_linearizable(history + final)
    assert why is None, why


@pytest.mark.parametrize("size", [1, 3, 5])
def test_any_node_takes_a_write_and_any_node_reads_it_back_byte_for_byte(make_cluster, size):
    cluster = make_cluster(size).start()
    value = bytes(range(256)) * 40
    for n in cluster.nodes:
        assert n.put(f"k{n.id}", value).status == 201
        for other in cluster.nodes:
            assert other.get(f"k{n.id}").body == value
    assert all(n.stop() == 0 for n in cluster.nodes)


def test_a_single_node_keeps_its_data_over_kill_and_restart(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    for i in range(100):
        assert node.put(f"k{i}", str(i)).status == 201
    node.kill()
    node.start()
    cluster.wait_leader()
    for i in range(100):
        assert node.get(f"k{i}").body == str(i).encode()


def test_kill_9_of_the_leader_in_a_loop_loses_no_acknowledged_write(make_cluster):
    cluster = make_cluster(3).start()
    workload = Workload(cluster.nodes, seed=1).start()
    gaps = []
    for round_number in range(8):
        leader = cluster.wait_leader()
        others = [n for n in cluster.nodes if n is not leader]
        leader.kill()
        killed = time.monotonic()

        def try_write():
            for n in others:
                try:
                    if n.put("probe", "x", "?timeout=250ms").status in (200, 201):
                        return True
                except OSError:
                    pass
            return False
        wait_for(try_write, "the remaining nodes take writes", 20, pause=0.003)
        gaps.append((time.monotonic() - killed) * 1000)
        workload.rotate_keys()
        leader.start()
        wait_for(leader.status, "the killed node answers again")
        let_work(workload)
    print(f"kill -9 of the leader to the next acknowledged write: median {statistics.median(gaps):.0f} ms, "
          f"each {[round(g) for g in gaps]}, election timeout {cluster.election_timeout_ms} ms")
    verify(cluster, workload)


def test_a_leader_stopped_past_the_election_timeout_answers_no_stale_read(make_cluster):
    cluster = make_cluster(3).start()
    workload = Workload(cluster.nodes, seed=2).start()
    for _ in range(4):
        leader = cluster.wait_leader()
        leader.pause()
        others = [n for n in cluster.nodes if n is not leader]
        wait_for(lambda: any((n.status() or {}).get("role") == "leader" for n in others), "another leader")
        leader.resume()
        wait_for(cluster.leader, "one leader again")
        workload.rotate_keys()
        let_work(workload)
    verify(cluster, workload)


def test_cut_and_healed_peer_links_lose_nothing_and_depose_no_healthy_leader(make_cluster):
    cluster = make_cluster(3, proxied=True, election_timeout_ms=1000).start()  # A leader is healthy on a slow disk, too.
    workload = Workload(cluster.nodes, seed=3).start()
    leader = cluster.wait_leader()
    cluster.isolate(leader)
    others = [n for n in cluster.nodes if n is not leader]
    wait_for(lambda: any((n.status() or {}).get("role") == "leader" for n in others), "the majority elects")
    wait_for(lambda: leader.status()["role"] != "leader", "the isolated leader steps down")
    answer = leader.get("any", "?timeout=300ms")
    assert answer.status in (503, 504), "an isolated node must not answer a linearizable read"
    cluster.heal()
    workload.rotate_keys()
    cluster.wait_leader()
    let_work(workload, 40)
    follower = cluster.follower()
    term = cluster.wait_leader().status()["term"]
    cluster.isolate(follower)
    time.sleep(cluster.election_timeout_ms * 5 / 1000)  # The fault's length, not a wait for a condition.
    cluster.heal()
    wait_for(lambda: (follower.status() or {}).get("leader"), "the follower finds the leader again")
    assert cluster.wait_leader().status()["term"] == term, "PreVote: a returning node deposes nobody"
    verify(cluster, workload)


def test_all_nodes_killed_at_once_and_restarted_have_every_acknowledged_write(make_cluster):
    cluster = make_cluster(3).start()
    for round_number in range(3):
        workload = Workload(cluster.nodes, seed=4 + round_number, clients=4).start()
        wait_for(lambda: len(workload.acknowledged()) > 60, "enough writes")
        for n in cluster.nodes:
            n.kill()
        for n in cluster.nodes:
            n.start()
        cluster.wait_leader()
        verify(cluster, workload)


def test_a_follower_down_for_50000_writes_catches_up(make_cluster):
    cluster = make_cluster(3).start()
    leader, follower = cluster.wait_leader(), cluster.follower()
    follower.kill()
    keys = [f"bulk{i}" for i in range(50_000)]
    assert put_many(leader.http_port, keys, b"v" * 100) == 50_000
    follower.start()
    last = leader.status()["last_index"]
    wait_for(lambda: (follower.status() or {}).get("applied_index", 0) >= last, "the follower has everything", 60)
    assert follower.get("bulk49999", "?consistency=stale").body == b"v" * 100
    count = follower.request("GET", "/kv/bulk?list&count").json()["count"]
    assert count == 50_000


@pytest.mark.skipif(os.environ.get("RAFTD_SANITIZE", "") != "", reason="a sanitizer's own memory is not the node's")
def test_a_paused_follower_does_not_grow_the_others_memory(make_cluster):
    cluster = make_cluster(3).start()
    leader, follower = cluster.wait_leader(), cluster.follower()
    put_many(leader.http_port, [f"warm{i}" for i in range(5_000)], b"v" * 1000)
    before = leader.rss_kib()
    follower.pause()
    # The same 200 keys over and over: the store stays small, only the log and history grow.
    put_many(leader.http_port, [f"k{i % 200}" for i in range(40_000)], b"v" * 1000)
    grown = leader.rss_kib() - before
    follower.resume()
    assert grown < (64 + 64 + 48) * 1024, f"grown by {grown} KiB: log cache 64 MiB, history 64 MiB, the rest"
    last = leader.status()["last_index"]
    wait_for(lambda: (follower.status() or {}).get("applied_index", 0) >= last, "the follower has everything", 60)


def test_clients_that_hang_up_under_load_harm_nobody(make_cluster):
    cluster = make_cluster(3).start()
    import socket

    def rude(port):
        for _ in range(200):
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(b"PUT /kv/rude HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            s.close()
    threads = [threading.Thread(target=rude, args=(n.http_port,)) for n in cluster.nodes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    write_until_acknowledged(cluster, "after", "rude")
    assert all(n.alive() for n in cluster.nodes)


def test_redirect_keeps_path_and_query_and_names_the_leader(make_cluster):
    cluster = make_cluster(3).start()
    leader, follower = cluster.wait_leader(), cluster.follower()
    for method in ("PUT", "DELETE", "GET", "POST"):
        a = follower.request(method, "/kv/a%2Fb?redirect&timeout=3s", b"x" if method != "GET" else None)
        assert a.status == 307
        assert a.headers["Location"] == f"http://127.0.0.1:{leader.http_port}/kv/a%2Fb?redirect&timeout=3s"


def test_sigterm_hands_leadership_over_and_exits_0(make_cluster):
    cluster = make_cluster(3).start()
    leader = cluster.wait_leader()
    term = leader.status()["term"]
    assert leader.stop() == 0
    other = cluster.wait_leader()
    assert other is not leader
    assert other.status()["term"] == term + 1, "one transfer, not a series of elections"
    leader.start()
    cluster.wait_leader()
    write_until_acknowledged(cluster, "k", "v")


def test_the_node_of_highest_priority_follows_a_leader_that_died_and_is_not_waited_for_when_it_is_gone(make_cluster):
    cluster = make_cluster(3)
    first, other, preferred = cluster.nodes
    first.start()
    other.start()
    preferred.start("--set", "raft.priority=10")
    cluster.wait_leader()
    wait_for(lambda: all(n.status() for n in cluster.nodes), "every node answers")
    followed = []
    for round_number in range(4):
        if cluster.wait_leader() is not first:
            wait_for(lambda: preferred.request("POST", "/cluster/transfer?to=1").status == 200, "the first node leads")
        cluster.wait_applied()
        first.kill()
        followed.append(wait_for(lambda: cluster.leader() not in (None, first) and cluster.leader(), "another leader"))
        first.start()
        wait_for(lambda: (first.status() or {}).get("leader"), "it follows")
    # Soft: a node that gets no processor for a while is not waited for.
    assert followed.count(preferred) >= 3, [n.id for n in followed]
    wait_for(lambda: other.request("POST", f"/cluster/transfer?to={preferred.id}").status == 200, "the preferred one leads")
    preferred.kill()
    write_until_acknowledged(cluster, "without", "it")


def test_a_transfer_by_request_moves_leadership_to_the_node_asked_for(make_cluster):
    cluster = make_cluster(3).start()
    target = cluster.follower()
    a = cluster.nodes[0].request("POST", f"/cluster/transfer?to={target.id}")
    assert a.status == 200, a
    assert a.json()["leader"] == target.id
    assert cluster.wait_leader() is target


def test_a_node_of_another_cluster_is_refused_with_one_clear_line(make_cluster, workdir):
    first = make_cluster(3).start()
    second = make_cluster(3)
    stranger = second.nodes[2]
    second.advertised[1] = first.advertised[1]  # Mis-wired: it dials a node of the first cluster.
    stranger.start()
    wait_for(lambda: "cluster" in stranger.log() and "refused" in stranger.log(), "a line about the refusal")
    assert first.wait_leader()


def test_an_emptied_data_directory_under_a_known_id_is_refused_with_exit_75(make_cluster):
    import shutil
    cluster = make_cluster(3).start()
    node = cluster.follower()
    # The first configuration, the leader's no-op, and what each of the three has published of itself.
    wait_for(lambda: all(n.status()["applied_index"] >= 5 for n in cluster.nodes), "the members have published")
    cluster.wait_applied()
    node.stop()
    shutil.rmtree(node.data_dir)
    node.start()
    assert node.ended() == 75, node.log()[-500:]
    assert "remove" in node.log()
    write_until_acknowledged(cluster, "k", "v")
