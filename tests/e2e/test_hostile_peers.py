"""Whoever reaches the peer port: one clear line in the log, a closed connection, no term that rises, no memory."""

import os
import random
import socket
import struct

import msgpack
import pytest

from cluster import TIMEOUT_S, hello_node_id, wait_for

MAGIC = b"RFTDPEER"
VERSION, OTHER_CLUSTER, WRONG_NODE, NOT_MEMBER, OWN_ID, INSTANCE = 1, 2, 3, 4, 5, 7


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(body):
    length = struct.pack("<I", len(body))
    return length + struct.pack("<I", crc32c(length + body)) + body


def talk(port, data):
    """Sends data; everything that comes back until the other side closes."""
    out = b""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as s:
        try:
            s.sendall(data)
            while part := s.recv(65536):
                out += part
        except ConnectionError:
            pass
    return out


def refusal(answer):
    """The reason and the sentence of a typed refusal."""
    assert answer.startswith(MAGIC), answer
    length, crc = struct.unpack_from("<II", answer, len(MAGIC))
    body = answer[len(MAGIC) + 8:]
    assert len(body) == length, "nothing follows a refusal"
    assert crc == crc32c(answer[8:12] + body)
    kind, _, _, _, reason, sentence = msgpack.unpackb(body, raw=False)
    assert kind == 101
    return reason, sentence


def warnings(node):
    return [line for line in node.log().splitlines() if " warn " in line]


@pytest.mark.parametrize("data, words", [
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "speaks HTTP"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "speaks HTTP"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "speaks TLS"),
    (b'{"jsonrpc":"2.0"}', "speaks JSON"),
    (bytes(range(1, 200)), "does not speak"),
    (b"\x00" * 4096, "does not speak"),
    (MAGIC + b"\xff" * 64, "not within"),
    (MAGIC + struct.pack("<II", 0xFFFFFFFF, 0), "not within"),
    (MAGIC + struct.pack("<II", 0, 0), "not within"),
    (MAGIC + struct.pack("<II", 5, 0) + b"12345", "crc is"),
    (MAGIC + frame(b"\xdd\xff\xff\xff\xff"), "malformed|hello"),
    (MAGIC + frame(b"\xdb\xff\xff\xff\xff"), "malformed|hello"),
    (MAGIC + frame(b"\x91" * 900 + b"\x00"), "malformed|hello"),
    (MAGIC + frame(b"\xc1"), "malformed|hello"),
    (MAGIC + frame(msgpack.packb([102])), "hello"),
], ids=["http", "http2", "tls", "json", "noise", "zeros", "ones", "huge", "empty", "checksum", "array32", "str32", "depth",
        "never-used", "welcome"])
def test_a_stranger_gets_one_line_that_says_what_it_is_and_a_closed_connection(make_cluster, data, words):
    node = make_cluster(1).start().nodes[0]
    before, rss, term = warnings(node), node.rss_kib(), node.status()["term"]
    assert len(talk(node.peer_port, data)) <= 1024
    wait_for(lambda: len(warnings(node)) > len(before), "a line")
    for _ in range(20):
        talk(node.peer_port, data)
    said = warnings(node)[len(before):]
    assert len(said) == 1, said
    assert any(word in said[0] for word in words.split("|")), said
    assert "127.0.0.1" in said[0], "who it was"
    assert node.status()["term"] == term
    if not os.environ.get("RAFTD_SANITIZE"):
        assert node.rss_kib() - rss < 8 * 1024


class Listener:
    """Takes one connection in place of a node and keeps the hello of whoever dialled."""

    def __init__(self, port):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(16)

    def hello(self):
        self.socket.settimeout(TIMEOUT_S)
        s, _ = self.socket.accept()
        with s:
            s.settimeout(TIMEOUT_S)
            data = b""
            while len(data) < 16 or len(data) < 16 + struct.unpack_from("<I", data, 8)[0]:
                part = s.recv(65536)
                assert part, "it closed before its hello"
                data += part
            length = struct.unpack_from("<I", data, 8)[0]
            return data[16:16 + length]

    def close(self):
        self.socket.close()


@pytest.fixture(scope="module")
def meeting(tmp_path_factory):
    """Two running nodes of three, and a hello as the first would say it to the second."""
    from cluster import Cluster
    cluster = Cluster(tmp_path_factory.mktemp("peers"), 3)
    cluster.start()
    # The first configuration, the leader's no-op, and what each of the three has published of itself.
    wait_for(lambda: all(n.status()["applied_index"] >= 5 for n in cluster.nodes), "the members have published")
    assert cluster.nodes[0].stop() == 0
    cluster.wait_leader()
    listener = Listener(cluster.nodes[0].peer_port)
    try:
        while hello_node_id(body := listener.hello()) != 2:
            pass
    finally:
        listener.close()
    fields = msgpack.unpackb(body, raw=False)
    fields[4], fields[5] = 1, 2
    yield cluster, fields
    cluster.close()


@pytest.mark.parametrize("field, value, reason, words", [
    (1, 2, VERSION, "version"),
    (3, "another", OTHER_CLUSTER, "cluster"),
    (2, b"0123456789abcdef", OTHER_CLUSTER, "different lists of members"),
    (5, 3, WRONG_NODE, "leads to"),
    (4, 77, NOT_MEMBER, "not a member"),
    (4, 2, OWN_ID, "node 2"),
    (6, 4711, INSTANCE, "data directory"),
], ids=["version", "cluster-name", "cluster-id", "other-node", "unknown-id", "own-id", "other-directory"])
def test_a_hello_that_does_not_fit_is_refused_with_its_reason_and_one_line(meeting, field, value, reason, words):
    cluster, fields = meeting
    node = cluster.nodes[1]
    term, before = node.status()["term"], warnings(node)
    wrong = list(fields)
    wrong[field] = value
    said, sentence = refusal(talk(node.peer_port, MAGIC + frame(msgpack.packb(wrong))))
    assert said == reason, sentence
    assert words in sentence
    for _ in range(10):
        talk(node.peer_port, MAGIC + frame(msgpack.packb(wrong)))
    # One line a minute for each peer and reason: both kinds of another cluster share theirs.
    expected = 0 if field == 2 else 1
    wait_for(lambda: len([line for line in warnings(node)[len(before):] if words in line]) == expected, "one line")
    assert node.status()["term"] == term
    assert node.put("still", "works").status in (200, 201)


def test_damaged_hellos_at_random_never_end_a_node_or_raise_its_term(meeting):
    cluster, fields = meeting
    node = cluster.nodes[1]
    term = node.status()["term"]
    rng = random.Random(8)
    whole = msgpack.packb(fields)
    for _ in range(150):
        body = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        body = bytes(body[:rng.randrange(1, len(body) + 1)] if rng.random() < 0.3 else body)
        with socket.create_connection(("127.0.0.1", node.peer_port), 10) as s:
            s.sendall(MAGIC + frame(body))
            s.settimeout(0.02)
            try:
                s.recv(4096)
            except OSError:
                pass
    assert node.alive()
    assert node.status()["term"] == term
    assert node.put("still", "works").status in (200, 201)


def test_connections_that_say_nothing_do_not_keep_a_real_peer_out(make_cluster):
    cluster = make_cluster(3).start()
    leader, follower = cluster.wait_leader(), cluster.follower()
    follower.stop()
    silent = [socket.create_connection(("127.0.0.1", leader.peer_port), 10) for _ in range(300)]
    follower.start()
    wait_for(lambda: (follower.status() or {}).get("leader"), "it follows", 15)
    assert follower.put("k", "v").status == 201
    for s in silent:
        s.close()
