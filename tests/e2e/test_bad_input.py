"""What clumsy and hostile clients and peers send: the right refusal or a closed connection, and the node lives on."""

import os
import random
import socket
import time

import pytest

from cluster import TIMEOUT_S


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    from cluster import Cluster
    cluster = Cluster(tmp_path_factory.mktemp("bad"), 1)
    cluster.start()
    yield cluster.nodes[0]
    assert cluster.nodes[0].alive()
    assert cluster.nodes[0].put("alive", "yes").status in (200, 201)
    cluster.close()


def raw(port, data, wait=TIMEOUT_S, half_close=True, until=None):
    """Sends bytes, gives everything that comes back until the other side closes, or `until`, or `wait` is over."""
    with socket.create_connection(("127.0.0.1", port), wait) as s:
        out = b""
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # It was answered before all was sent, and given up: the answer is there to read.
        try:
            while (until is None or until not in out) and (part := s.recv(65536)):
                out += part
        except OSError:
            pass
    return out


def status_of(answer):
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else None


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET /kv/a HTTP/1.1\r\n\r\n", 400),
    (b"GET /kv/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET /kv/a HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"BREW /kv/a HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    (b"get /kv/a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
    (b"PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400),
    (b"PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"PUT /kv/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    (b"PUT /kv/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"GET /kv/a HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n", 400),
    (b"GET /kv/a HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
    (b"GET /kv/a HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", 400),
    (b"GET /kv/%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /kv/?meta HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /kv/a?no_such=1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /kv/a?meta&meta HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"PUT /kv/a?cas=x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 400),
    (b"PUT /kv/a HTTP/1.1\r\nHost: a\r\nIdempotency-Key:\r\nContent-Length: 0\r\n\r\n", 400),
    (b"PUT /kv/a HTTP/1.1\r\nHost: a\r\nIdempotency-Key: " + b"k" * 129 + b"\r\nContent-Length: 0\r\n\r\n", 400),
    (b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    (b"TRACE /kv/a HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    (b"PUT /kv/a HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\nx", 417),
    (b"PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
    (b"GET /kv/" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET /kv/a HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n", 431),
    (b"GET /kv/a HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 70 + b"\r\n", 431),
])
def test_a_malformed_or_forbidden_request_gets_its_status(node, request_bytes, status):
    answer = raw(node.http_port, request_bytes)
    assert status_of(answer) == status, answer[:300]


def test_a_body_shorter_than_announced_has_no_effect(node):
    raw(node.http_port, b"PUT /kv/short HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nonly5")
    assert node.get("short").status == 404


def test_bytes_after_the_announced_body_are_the_next_request_not_part_of_it(node):
    answer = raw(node.http_port, b"PUT /kv/long HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcdefgh\r\n\r\n")
    assert status_of(answer) in (200, 201)
    assert b"HTTP/1.1 400" in answer
    assert node.get("long").body == b"abc"


def test_a_body_that_nobody_asked_for_is_read_and_the_connection_goes_on(node):
    # So does Patroni with every request.
    version = b"GET /version HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    chunked = b"POST /txn HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = [b'{"then":[{"put":"chu', b'nked","value":"1"}]}', b""]
    chunked += b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    out = raw(node.http_port, version + chunked + version)
    assert out.count(b"HTTP/1.1 200 OK\r\n") == 3, out
    assert out.count(b'"etcdserver":') == 2
    assert node.get("chunked").body == b"1"


def test_binary_keys_and_values_come_back_exactly(node):
    key = "".join(f"%{b:02X}" for b in range(256))
    value = os.urandom(100_000)
    assert node.put(key, value).status == 201
    assert node.get(key).body == value


def test_a_key_over_the_limit_is_413_and_at_the_limit_is_kept(node):
    assert node.put("k" * 2049, "x").status == 413
    assert node.put("k" * 2048, "x").status == 201


def test_random_bytes_on_the_client_port_never_end_the_node(node):
    rng = random.Random(5)
    for _ in range(200):
        raw(node.http_port, rng.randbytes(rng.randrange(1, 3000)), wait=1.0)
    assert node.get("alive").status in (200, 404)


def test_a_slow_client_does_not_hold_up_others(node):
    slow = socket.create_connection(("127.0.0.1", node.http_port))
    slow.sendall(b"PUT /kv/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx")
    for i in range(50):
        assert node.put(f"fast{i}", "x").status == 201
    slow.close()


@pytest.mark.skipif(os.environ.get("RAFTD_SANITIZE", "") != "", reason="a sanitizer's own memory is not the node's")
def test_a_client_that_never_reads_is_bounded(node):
    assert node.put("big", b"x" * 1_000_000).status == 201
    before = node.rss_kib()
    s = socket.create_connection(("127.0.0.1", node.http_port))
    s.setblocking(False)
    sent = 0
    end = time.monotonic() + 2
    request = b"GET /kv/big HTTP/1.1\r\nHost: a\r\n\r\n"
    while time.monotonic() < end and sent < 2000 * len(request):
        try:
            sent += s.send(request * 10)
        except BlockingIOError:
            time.sleep(0.01)
    assert node.rss_kib() - before < 48 * 1024
    assert node.get("big").status == 200
    s.close()


def test_random_bytes_on_the_peer_port_never_end_the_node(node):
    rng = random.Random(6)
    for _ in range(100):
        raw(node.peer_port, (b"RFTDPEER" if rng.random() < 0.5 else b"") + rng.randbytes(rng.randrange(1, 2000)), wait=0.3)
    assert node.alive()
