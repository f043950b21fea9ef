"""Requests with an Idempotency-Key take effect once, however often and wherever they are sent: over kill -9 of the
leader, restarts, snapshots, and at several nodes at once. The version of a key counts the writes that it has had.

RAFTD_RETRY_KILLS (default 6) says how many kills the workload has, RAFTD_KILLS_SEED which; the seed is printed."""

import http.client
import os
import random
import threading

from cluster import wait_for

KILLS = int(os.environ.get("RAFTD_RETRY_KILLS", "6"))
SEED = int(os.environ.get("RAFTD_KILLS_SEED") or random.SystemRandom().randrange(1 << 32))
CLIENTS, COUNTERS = 4, 3


def once(node, key, path, body, method="PUT", timeout=10.0):
    return node.request(method, path, body, headers={"Idempotency-Key": key}, timeout=timeout)


def replayed(answer):
    return answer.headers.get("Idempotency-Replayed") == "true"


def try_once(node, key, path, body):
    """The answer if there is one that tells what became of the request, else None."""
    try:
        answer = once(node, key, path + "?timeout=1s", body, timeout=2.0)
    except (OSError, http.client.HTTPException):
        return None
    return answer if answer.status in (200, 201) else None


def insist(nodes, key, path, body):
    """Sends the same request to one node after the other until one says what became of it."""
    turn = iter(range(1_000_000))
    return wait_for(lambda: try_once(nodes[next(turn) % len(nodes)], key, path, body), f"an answer to {key}")


def version_of(node, key):
    return node.request("GET", f"/kv/{key}?meta").json()["version"]


def test_a_request_that_is_sent_again_has_the_answer_of_the_first_time(make_cluster):
    cluster = make_cluster(3).start()
    cluster.wait_leader()
    first = once(cluster.follower(), "order-7", "/kv/n", "6")
    assert first.status == 201 and not replayed(first)
    for node in cluster.nodes:
        again = once(node, "order-7", "/kv/n?timeout=3s", "6")
        assert again.status == 201 and replayed(again)
        assert again.body == first.body
        for name in ("Raftd-Revision", "Raftd-Index", "ETag"):
            assert again.headers[name] == first.headers[name], name
        other = once(node, "order-7", "/kv/n", "7")
        assert other.status == 422 and other.json()["error"] == "idempotency_mismatch"
    refused = once(cluster.follower(), "order-8", "/kv/n?cas=99", "8")
    assert refused.status == 412
    cluster.wait_leader().put("n", "9")
    again = once(cluster.wait_leader(), "order-8", "/kv/n?cas=99", "8")
    assert again.status == 412 and replayed(again) and again.json()["item"]["value"] == "6"
    follower = cluster.follower()
    redirect = once(follower, "order-9", "/kv/n?redirect", "10")
    assert redirect.status == 307 and not replayed(redirect)
    sent = once(cluster.wait_leader(), "order-9", "/kv/n?redirect", "10")
    assert sent.status == 200 and not replayed(sent)
    assert replayed(once(follower, "order-9", "/kv/n", "10"))
    assert version_of(follower, "n") == 3


def test_a_write_counts_once_over_the_kill_of_its_leader_and_a_restart_of_all(make_cluster):
    cluster = make_cluster(3).start()
    leader = cluster.wait_leader()
    first = once(leader, "one", "/kv/n", "v")
    assert first.status == 201
    leader.kill()
    living = [n for n in cluster.nodes if n is not leader]
    again = insist(living, "one", "/kv/n", "v")
    assert replayed(again) and again.body == first.body
    for node in living:
        assert node.request("POST", "/admin/snapshot").status == 200
    leader.start()
    for node in living:
        node.kill()
    for node in living:
        node.start()
    cluster.wait_leader()
    for node in cluster.nodes:
        again = insist([node], "one", "/kv/n", "v")
        assert replayed(again) and again.body == first.body
        assert version_of(node, "n") == 1
    cluster.wait_applied()


def test_the_same_request_in_flight_at_all_nodes_is_applied_once_and_all_have_its_answer(make_cluster):
    cluster = make_cluster(3).start()
    cluster.wait_leader()
    rounds = 40
    for i in range(rounds):
        answers = []

        def send(node, key=f"round-{i}", found=answers):
            found.append(once(node, key, "/kv/n", "v"))

        threads = [threading.Thread(target=send, args=(n,)) for n in cluster.nodes * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(answers) == len(threads)
        assert len({(a.status, a.body, a.headers["Raftd-Index"]) for a in answers}) == 1, answers
        assert sum(not replayed(a) for a in answers) == 1
    assert version_of(cluster.wait_leader(), "n") == rounds


class Counting:
    """Clients that write counters, each request until it is answered, and now and then once more afterwards."""

    def __init__(self, nodes):
        self.nodes, self.asked, self.wrong = nodes, [0] * COUNTERS, []
        self.revisions, self.replays = [], 0
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()

    def _client(self, number):
        rng = random.Random(SEED + number)
        count = 0
        while not self.stopping.is_set():
            count += 1
            counter, key = rng.randrange(COUNTERS), f"client-{number}-{count}"
            with self.lock:
                self.asked[counter] += 1
            path, nodes = f"/kv/counter{counter}", rng.sample(self.nodes, len(self.nodes))
            answer = insist(nodes, key, path, key)
            again = try_once(rng.choice(self.nodes), key, path, key) if rng.random() < 0.2 else None
            with self.lock:
                self.revisions.append(answer.json()["revision"])
                self.replays += replayed(answer)
                if again is not None and (not replayed(again) or again.body != answer.body):
                    self.wrong.append((key, answer, again))


def test_clients_that_retry_everything_under_kills_count_exactly(make_cluster):
    print(f"RAFTD_RETRY_KILLS={KILLS} RAFTD_KILLS_SEED={SEED}")
    cluster = make_cluster(3, extra="[snapshot]\nentries = 200\n").start()
    cluster.wait_leader()
    rng = random.Random(SEED)
    counting = Counting(cluster.nodes)
    for i in range(KILLS):
        done = len(counting.revisions)
        wait_for(lambda least=done + 50: len(counting.revisions) > least, "progress")
        victim = cluster.wait_leader() if i % 2 == 0 else rng.choice(cluster.nodes)
        victim.kill()
        cluster.wait_leader()
        victim.start()
    counting.stop()
    assert not counting.wrong, counting.wrong[0]
    assert len(set(counting.revisions)) == len(counting.revisions) == sum(counting.asked)
    cluster.wait_applied()
    for counter, asked in enumerate(counting.asked):
        assert [version_of(n, f"counter{counter}") for n in cluster.nodes] == [asked] * len(cluster.nodes)
    print(f"{sum(counting.asked)} requests, {counting.replays} answered by a replay alone")
