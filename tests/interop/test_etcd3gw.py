"""OpenStack's client library, unchanged, on raftd and on etcd: the same calls with the same outcome."""

import threading

import pytest

from servers import ETCD, ETCD_ABSENT, EtcdCluster, raftd_cluster, wait_for

etcd3gw = pytest.importorskip("etcd3gw", reason="apt-get install python3-etcd3gw")
exceptions = pytest.importorskip("etcd3gw.exceptions")
PATIENCE_S = 20
NOT_WITHOUT_ETCD = pytest.mark.skipif(not ETCD, reason=ETCD_ABSENT)


@pytest.fixture(scope="module", params=[pytest.param("etcd", marks=NOT_WITHOUT_ETCD), "raftd"])
def client(request, module_dir):
    """On raftd with the library's own default of a path, /v3alpha/, which etcd has given up; and on a follower."""
    if request.param == "etcd":
        cluster = EtcdCluster(module_dir / "etcd").start()
        yield etcd3gw.Etcd3Client(host="127.0.0.1", port=cluster.nodes[0].http_port, api_path="/v3/")
    else:
        cluster = raftd_cluster(module_dir / "raftd", 3)
        yield etcd3gw.client(host="127.0.0.1", port=cluster.follower().http_port)
    cluster.close()


@pytest.fixture(autouse=True)
def nothing_of_others(client):
    client.delete_prefix("t/")


def test_what_is_put_is_got_replaced_and_deleted(client):
    assert client.get("t/a") == []
    assert client.put("t/a", "1")
    assert client.get("t/a") == [b"1"]
    [(value, about)] = client.get("t/a", metadata=True)
    assert (value, about["version"]) == (b"1", "1") and about["create_revision"] == about["mod_revision"]
    assert not client.create("t/a", "2")
    assert client.create("t/b", "2")
    assert not client.replace("t/a", "wrong", "3")
    assert client.replace("t/a", "1", "3")
    assert client.get("t/a") == [b"3"]
    assert client.delete("t/a")
    assert not client.delete("t/a")
    assert client.put("t/bytes", bytes(range(256)))
    assert client.get("t/bytes") == [bytes(range(256))]


def test_a_prefix_is_listed_sorted_and_deleted_as_one(client):
    for key, value in (("t/1", "c"), ("t/2", "a"), ("t/3", "b"), ("u", "not this")):
        client.put(key, value)
    assert [value for value, _ in client.get_prefix("t/")] == [b"c", b"a", b"b"]
    assert [value for value, _ in client.get_prefix("t/", sort_order="descend", sort_target="value")] == [b"c", b"b", b"a"]
    assert [about["key"] for _, about in client.get_prefix("t/", sort_order="descend")] == [b"t/3", b"t/2", b"t/1"]
    assert len(client.get_all()) >= 4
    assert client.delete_prefix("t/")
    assert client.get_prefix("t/") == []
    assert client.get("u") == [b"not this"]


def test_a_transaction_takes_the_branch_that_its_comparison_says(client):
    def encoded(text):
        return etcd3gw.utils._encode(text)
    request = {
        "compare": [{"key": encoded("t/a"), "result": "EQUAL", "target": "VALUE", "value": encoded("1")}],
        "success": [{"request_put": {"key": encoded("t/a"), "value": encoded("2")}}],
        "failure": [{"request_put": {"key": encoded("t/a"), "value": encoded("1")}},
                    {"request_range": {"key": encoded("t/a")}}],
    }
    first = client.transaction(request)
    assert "succeeded" not in first
    assert first["responses"][1]["response_range"]["kvs"][0]["value"] == encoded("1")
    assert client.transaction(request)["succeeded"]
    assert client.get("t/a") == [b"2"]


def test_a_lease_holds_its_keys_is_refreshed_and_takes_them_along(client):
    lease = client.lease(ttl=100)
    client.put("t/a", "1", lease)
    client.put("t/b", "2", lease)
    assert sorted(lease.keys()) == [b"t/a", b"t/b"]
    assert 90 < lease.ttl() <= 100
    assert lease.refresh() == 100
    assert lease.revoke()
    assert client.get_prefix("t/") == []
    assert lease.refresh() == -1
    assert lease.ttl() == -1
    with pytest.raises(exceptions.Etcd3Exception):
        client.put("t/a", "1", lease)


def test_a_lock_is_held_by_one_until_it_is_released(client):
    first, second = client.lock(id="one", ttl=100), client.lock(id="one", ttl=100)
    assert first.acquire()
    assert not second.acquire()
    assert first.is_acquired() and not second.is_acquired()
    assert first.refresh() == 100
    assert not second.release()
    assert first.release()
    assert second.acquire()
    assert second.release()


def test_a_lock_whose_lease_ends_is_free(client):
    first, second = client.lock(id="two", ttl=2), client.lock(id="two", ttl=100)
    assert first.acquire()
    wait_for(second.acquire, "the lease has expired")
    assert second.release()


def test_a_watch_tells_puts_and_deletes_in_order_until_it_is_cancelled(client):
    events, cancel = client.watch_prefix("t/")
    client.put("t/a", "1")
    client.put("t/b", "2")
    client.put("u", "not this")
    client.delete("t/a")
    seen = [next(events) for _ in range(3)]
    assert [(e.get("type", "PUT"), e["kv"]["key"], e["kv"].get("value")) for e in seen] == [
        ("PUT", b"t/a", b"1"), ("PUT", b"t/b", b"2"), ("DELETE", b"t/a", None)]
    cancel()
    assert list(events) == []


def test_a_watch_begins_where_it_is_told_to(client):
    client.put("t/a", "1")
    [(_, about)] = client.get("t/a", metadata=True)
    client.put("t/a", "2")
    event = client.watch_once("t/a", timeout=PATIENCE_S, start_revision=about["mod_revision"])
    assert event["kv"]["value"] == b"1"
    events, cancel = client.watch("t/a", start_revision=about["mod_revision"])
    assert [next(events)["kv"]["value"] for _ in range(2)] == [b"1", b"2"]
    cancel()


def test_many_watch_one_key(client):
    watches = [client.watch("t/a") for _ in range(10)]
    client.put("t/a", "for all")
    assert [next(events)["kv"]["value"] for events, _ in watches] == [b"for all"] * 10
    for _, cancel in watches:
        cancel()


def test_a_watch_once_waits_for_its_event(client):
    seen = []
    waiting = threading.Thread(
        target=lambda: seen.append(client.watch_once("t/a", timeout=PATIENCE_S, start_revision=revision + 1)))
    client.put("t/a", "0")
    [(_, about)] = client.get("t/a", metadata=True)
    revision = int(about["mod_revision"])
    waiting.start()
    client.put("t/a", "1")
    waiting.join(PATIENCE_S)
    assert [e["kv"]["value"] for e in seen] == [b"1"]


def test_status_and_members_are_as_the_library_expects_them(client):
    status = client.status()
    assert all(int(part) >= 0 for part in status["version"].split("."))
    assert int(status["leader"]) > 0 and int(status["header"]["revision"]) > 0
    assert all(member["clientURLs"][0].startswith("http://") for member in client.members())
