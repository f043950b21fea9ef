"""Transactions and counters on real processes: sums that many clients move stay, and hostile bodies change nothing."""

import json
import random
import threading

import pytest


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    from cluster import Cluster
    made = Cluster(tmp_path_factory.mktemp("txn"), 3)
    made.start()
    yield made
    assert all(node.alive() for node in made.nodes)
    made.close()


def txn(node, body, query=""):
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return node.request("POST", "/txn" + query, data)


def in_threads(count, work):
    """work(i) in each; what one of them raises is raised here."""
    errors = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_transfers_between_accounts_keep_their_sum(cluster):
    accounts = [f"account/{i}" for i in range(4)]
    for name in accounts:
        assert txn(cluster.nodes[0], {"then": [{"put": name, "value": "100"}]}).status == 200
    moved = [0] * 6

    def sum_of(node):
        answer = txn(node, {"then": [{"list": "account/"}]})
        assert answer.status == 200, answer
        return sum(int(item["value"]) for item in answer.json()["results"][0]["items"])

    def transfer(i):
        rng = random.Random(i)
        node = cluster.nodes[i % 3]
        for _ in range(40):
            source, target = rng.sample(accounts, 2)
            read = txn(node, {"then": [{"get": source}, {"get": target}]}).json()["results"]
            mine, yours = (result["item"] for result in read)
            amount = rng.randint(1, 30)
            answer = txn(node, {
                "if": [{"key": source, "mod": mine["mod"]}, {"key": target, "mod": yours["mod"]}],
                "then": [{"put": source, "value": str(int(mine["value"]) - amount)},
                         {"put": target, "value": str(int(yours["value"]) + amount)}]})
            assert answer.status == 200, answer
            moved[i] += answer.json()["succeeded"]
            assert sum_of(node) == 400

    in_threads(6, transfer)
    assert sum(moved) > 0
    assert sum_of(cluster.nodes[1]) == 400


def test_increments_from_many_clients_count_exactly(cluster):
    def count(i):
        node = cluster.nodes[i % 3]
        for n in range(30):
            if n % 3 == 0:
                answer = txn(node, {"then": [{"incr": "counter", "by": 2}, {"incr": "other", "by": -1}]})
            else:
                answer = node.request("POST", "/kv/counter?incr")
            assert answer.status in (200, 201), answer

    in_threads(8, count)
    assert cluster.nodes[2].get("counter").body == str(8 * (10 * 2 + 20)).encode()
    assert cluster.nodes[0].get("other").body == str(-8 * 10).encode()


def test_what_cannot_be_done_leaves_nothing(cluster):
    node = cluster.nodes[1]
    assert node.put("word", "no number").status in (200, 201)
    answer = txn(node, {"then": [{"put": "left", "value": "1"}, {"delete": "word"},
                                 {"txn": {"then": [{"put": "x", "value": "1", "lease": "999999"}]}}]})
    assert (answer.status, answer.json()["error"]) == (404, "lease_not_found")
    answer = txn(node, {"then": [{"put": "left", "value": "1"}, {"incr": "word"}]})
    assert (answer.status, answer.json()["key"]) == (409, "word")
    for each in cluster.nodes:
        assert each.get("left").status == 404
        assert each.get("word").body == b"no number"


def test_a_large_delete_in_a_transaction_is_all_or_nothing(cluster):
    node = cluster.nodes[0]
    for start in range(0, 10000, 500):
        ops = [{"put": f"many/{i:05d}", "value": ""} for i in range(start, start + 500)]
        assert txn(node, {"then": ops}).status == 200
    answer = txn(node, {"then": [{"delete_prefix": "many/"}, {"put": "word", "value": "x"}, {"incr": "text"}]})
    assert answer.status == 200
    assert answer.json()["results"][0]["deleted"] == 10000
    assert node.request("GET", "/kv/many/?list&count").json()["count"] == 0


HOSTILE = {
    "huge": (b'{"then":[' + b'{"get":"a"},' * 120000 + b'{"get":"a"}]}', 413),
    "too huge": (b'{"then":[{"put":"a","value":"' + b"x" * 1600 * 1024 + b'"}]}', 413),
    "deep": (b'{"then":[{"txn":' * 200 + b"{}" + b"}]}" * 200, 400),
    "deep lists": (b'{"if":' + b"[" * 100000, 400),
    "binary": (bytes(range(256)) * 64, 400),
    "truncated": (b'{"then":[{"put":"hostile","value":"x"}', 400),
    "nul": (b'{"then":[{"put":"hostile","value":"x"}]}\0', 400),
    "many fields": (b"{" + b",".join(b'"f%d":1' % i for i in range(100000)) + b"}", 400),
    "number": (b'{"if":[{"key":"a","mod":1' + b"0" * 400 + b"}]}", 400),
    "array": (b"[]", 400),
    "twice": (b'{"then":[{"put":"hostile","value":"1"},{"put":"hostile","value":"2"}]}', 400),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_refused_and_changes_nothing(cluster, name):
    body, status = HOSTILE[name]
    node = cluster.nodes[0]
    before = node.get("hostile").headers.get("Raftd-Revision")
    answer = txn(node, body)
    assert answer.status == status, answer
    assert answer.json()["outcome"] == "none"
    after = node.get("hostile")
    assert after.status == 404
    assert after.headers.get("Raftd-Revision") == before


def test_guards_that_contradict_each_other_are_false(cluster):
    answer = txn(cluster.nodes[0], {"if": [{"key": "word", "exists": True}, {"key": "word", "exists": False}],
                                    "then": [{"put": "hostile", "value": "1"}]}, "?strict")
    assert answer.status == 412, answer
