"""Backup and restore with real processes: snapshots over HTTP, the commands that save, inspect and restore them,
export and import, and the way back after a majority is lost."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time

from cluster import RAFTD, wait_for

SMALL = '[snapshot]\nentries = 100000\nbytes = "64MiB"\n'
BINARY = bytes(range(256))


def stream(node, path="/admin/snapshot"):
    """Status, headers, body and trailers of a chunked answer; http.client throws trailers away."""
    with socket.create_connection(("127.0.0.1", node.http_port), 30) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        raw = b""
        while data := s.recv(1 << 20):
            raw += data
    head, _, rest = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    status = int(lines[0].split()[1])
    if headers.get("transfer-encoding") != "chunked":
        return status, headers, rest, {}
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            break
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    trailers = dict(line.split(": ", 1) for line in rest.decode().split("\r\n") if line)
    return status, headers, body, {k.lower(): v for k, v in trailers.items()}


def fill(node, count, value=b"v" * 1000):
    def one(start):
        for i in range(start, count, 8):
            assert node.put(f"k{i:06}", value + str(i).encode()).status in (200, 201)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))


def test_a_node_streams_a_snapshot_with_its_sum_behind_it(make_cluster):
    cluster = make_cluster(3).start()
    fill(cluster.wait_leader(), 2000)
    cluster.wait_applied()
    for node in cluster.nodes:
        status, headers, body, trailers = stream(node)
        assert status == 200
        assert headers["content-type"] == "application/octet-stream"
        index, term = int(headers["raftd-snapshot-index"]), int(headers["raftd-snapshot-term"])
        assert index >= 2000
        assert headers["content-disposition"] == f'attachment; filename="raftd-{index}-{term}.snap"'
        assert trailers["raftd-snapshot-sha256"] == hashlib.sha256(body).hexdigest()
        assert body[:8] == b"RFTDSNP1"
        assert struct.unpack_from("<QQ", body, 32) == (index, term)
        assert len(body) > 2000 * 1000
        head = node.request("HEAD", "/admin/snapshot")
        assert head.status == 200 and head.body == b""


def test_a_snapshot_is_made_on_demand_and_found_on_the_disk(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node, 200)
    applied = node.status()["applied_index"]
    made = node.request("POST", "/admin/snapshot").json()
    assert made["index"] >= applied
    file = node.data_dir / made["file"]
    assert file.stat().st_size == made["bytes"]
    assert struct.unpack_from("<QQ", file.read_bytes(), 32) == (made["index"], made["term"])
    # Nothing was applied since: it is the same one, and no second is made.
    assert node.request("POST", "/admin/snapshot", "{}").json() == made
    refused = node.request("POST", "/admin/snapshot", '{"index":1}')
    assert refused.status == 400 and refused.json()["field"] == "index"
    assert node.request("POST", "/admin/snapshot?index=1").status == 400
    assert node.request("DELETE", "/admin/snapshot").headers["Allow"] == "GET, HEAD, POST, OPTIONS"


def test_writes_go_on_while_a_slow_client_reads_a_snapshot_and_it_shows_none_of_them(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node, 1500, b"before" * 2000)
    before = node.rss_kib()
    readers = []
    for _ in range(4):
        s = socket.create_connection(("127.0.0.1", node.http_port), 30)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(b"GET /admin/snapshot HTTP/1.0\r\nHost: x\r\n\r\n")
        assert s.recv(12) == b"HTTP/1.1 200"
        readers.append(s)
    # As many as may be: a fifth is told so, and is let in when another has gone away.
    refused = node.request("GET", "/admin/snapshot")
    assert refused.status == 429 and refused.json()["error"] == "overloaded"
    assert refused.json()["limit"] == "snapshots" and refused.headers["Retry-After"]
    fill(node, 300, b"after" * 20)
    assert node.rss_kib() - before < 64 * 1024
    readers.pop().close()

    def admitted():
        return node.request("HEAD", "/admin/snapshot").status == 200
    wait_for(admitted, "a place is free again")
    body = b""
    while data := readers[0].recv(1 << 20):
        body += data
    body = body.partition(b"\r\n\r\n")[2]
    assert b"before" in body and b"after" not in body
    for s in readers:
        s.close()
    wait_for(admitted, "all places are free again")
    assert node.get("k000001").body == b"after" * 20 + b"1"


def test_a_node_that_stops_ends_a_snapshot_without_its_end_mark(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node, 1500, b"x" * 10000)
    s = socket.create_connection(("127.0.0.1", node.http_port), 30)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.sendall(b"GET /admin/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
    assert s.recv(12) == b"HTTP/1.1 200"
    node.process.send_signal(signal.SIGTERM)
    raw = b""
    while data := s.recv(1 << 20):
        raw += data
    assert not raw.endswith(b"\r\n\r\n") and len(raw) < 10_000_000
    assert node.process.wait(30) == 0
