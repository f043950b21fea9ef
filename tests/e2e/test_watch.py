"""Watches and long-polls of the real binary: each event once, in order, resumed anywhere; slow, vanished and hostile clients."""

import json
import os
import socket
import threading
import time

import pytest

from cluster import TIMEOUT_S, wait_for
from test_bad_input import raw, status_of


class Stream:
    """A watch on a raw socket: its head, and its lines as they come. `receive` bytes of buffer, for one that is slow."""

    def __init__(self, node, target, accept="application/x-ndjson", headers="", receive=0):
        self.socket = socket.socket()
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(("127.0.0.1", node.http_port))
        self.socket.sendall(f"GET /watch/{target} HTTP/1.1\r\nHost: h\r\nAccept: {accept}\r\n{headers}\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline()) != b"\r\n":
            name, value = line.decode().split(":", 1)
            self.headers[name.lower()] = value.strip()
        self.rest = b""
        self.whole = False  # It ended as it should.

    def line(self):
        """The next line; None at the end."""
        while b"\n" not in self.rest:
            size = self.file.readline()
            if not size or int(size, 16) == 0:
                self.whole = bool(size)
                return None
            self.rest += self.file.read(int(size, 16))
            self.file.read(2)
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode()

    def event(self, *kinds):
        """The next line of ndjson that is no heartbeat, or of one of these kinds."""
        while (line := self.line()) is not None:
            event = json.loads(line)
            if event["type"] in kinds if kinds else event["type"] != "hb":
                return event
        return None

    def until(self, revision):
        """All events up to this revision."""
        events = []
        while not events or events[-1]["revision"] < revision:
            events.append(self.event("put", "delete"))
            assert events[-1] is not None
        return events

    def close(self):
        self.file.close()
        self.socket.close()


def revision_of(answer):
    return int(answer.headers["Raftd-Revision"])


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    from cluster import Cluster
    cluster = Cluster(tmp_path_factory.mktemp("watch"), 1, client='idle_timeout = "1s"\n')
    cluster.start().wait_published()
    yield cluster.nodes[0]
    assert cluster.nodes[0].alive()
    assert cluster.nodes[0].put("alive", "yes").status in (200, 201)
    cluster.close()


def test_an_event_source_gets_what_it_can_come_back_with(node):
    stream = Stream(node, "sse/?prefix&init", accept="text/event-stream")
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-cache"
    first = stream.line()
    assert first.startswith("id: ")
    assert [stream.line(), stream.line(), stream.line()] == ["event: progress", f'data: {{"revision":{first[4:]}}}', ""]
    revision = revision_of(node.put("sse/a", "1"))
    assert [stream.line() for _ in range(4)] == [
        f"id: {revision}", "event: put",
        f'data: {{"key":"sse/a","value":"1","mod":{revision},"create":{revision},"version":1}}', ""]
    stream.close()
    node.request("DELETE", "/kv/sse/a")
    again = Stream(node, "sse/?prefix&init", "text/event-stream", f"Last-Event-ID: {revision}\r\n")
    assert [again.line() for _ in range(4)] == [
        f"id: {revision + 1}", "event: delete", f'data: {{"key":"sse/a","mod":{revision + 1}}}', ""]
    again.close()


def test_init_shows_one_revision_and_then_every_write_that_was_going_on(node):
    for i in range(300):
        node.put(f"init/{i}", "0")
    stop = threading.Event()
    written = []

    def write():
        while not stop.is_set():
            written.append(revision_of(node.put(f"init/{len(written) % 300}", f"{len(written) + 1}")))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            stream = Stream(node, "init/?prefix&init")
            state = {}
            while (event := stream.event())["type"] == "snapshot":
                state[event["item"]["key"]] = event["item"]["mod"]
            assert event["type"] == "progress"
            at = event["revision"]
            assert len(state) == 300 and max(state.values()) <= at
            goal = len(written) + 5
            wait_for(lambda: len(written) >= goal, "writes go on")
            last = written[goal - 1]
            got = [e["revision"] for e in stream.until(last)]
            assert got == [r for r in written[:] if at < r <= got[-1]]
            assert all(r <= at for r in state.values())
            stream.close()
    finally:
        stop.set()
        writer.join()


def test_a_watch_goes_on_at_another_node_where_it_ended(make_cluster):
    cluster = make_cluster(3).start().wait_published()
    nodes = cluster.nodes
    stream = Stream(nodes[0], "r/?prefix")
    written = [revision_of(nodes[i % 3].put(f"r/{i % 7}", str(i))) for i in range(50)]
    got = [e["revision"] for e in stream.until(written[29])]
    assert nodes[0].stop() == 0
    while event := stream.event():
        got.append(event["revision"])
    assert stream.whole, "a node that stops ends its streams"
    cluster.wait_leader()
    written.append(revision_of(wait_for(
        lambda: (a := nodes[1].put("r/x", "x")).status == 201 and a, "a new leader takes writes")))
    again = Stream(nodes[1], f"r/?prefix&after={got[-1]}")
    got += [e["revision"] for e in again.until(written[-1])]
    assert got == written
    again.close()


def test_a_follower_that_takes_a_snapshot_leaves_no_gap(make_cluster):
    cluster = make_cluster(3, extra='[snapshot]\nentries = 200\n').start().wait_published()
    follower = cluster.follower()
    leader = cluster.wait_leader()
    resumed = Stream(follower, "s/?prefix")
    first = revision_of(leader.put("s/0", "0"))
    assert resumed.until(first)[-1]["revision"] == first
    follower.stop()
    written = [revision_of(leader.put(f"s/{i % 10}", str(i))) for i in range(700)]
    follower.start()
    wait_for(lambda: (s := follower.status()) and s["revision"] >= written[-1], "it has caught up")
    again = Stream(follower, f"s/?prefix&after={first}")
    assert [e["revision"] for e in again.until(written[-1])] == written
    again.close()


def test_history_that_is_gone_is_410_or_a_reset(make_cluster):
    cluster = make_cluster(1, extra='[history]\nage = "1s"\n').start().wait_published()
    node = cluster.nodes[0]
    old = revision_of(node.put("a", "1"))
    slow = Stream(node, "?prefix&init", receive=4096)
    slow_without = Stream(node, "?prefix", receive=4096)
    idle = Stream(node, "idle")
    large = "v" * 20000

    def floor():
        for i in range(10):
            node.put("a", large + str(i))
        lines = node.request("GET", "/metrics").body.decode().splitlines()
        return next(int(float(line.split()[1])) for line in lines if line.startswith("raftd_compact_revision "))

    wait_for(lambda: floor() > old + 100, "what the slow ones have not read has left the history")
    refused = node.request("GET", f"/watch/a?after={old}")
    assert refused.status == 410 and refused.json()["compact_revision"] > old + 100
    assert idle.event("progress")["revision"] > old, "who hears nothing is told where it is"
    kinds = []
    while (event := slow.event("reset", "progress")) is not None:
        kinds.append(event["type"])
        if kinds[-2:] == ["reset", "progress"]:
            break
    assert kinds[-2:] == ["reset", "progress"]
    last = None
    while (event := slow_without.event()) is not None:
        last = event
    assert last["type"] == "compacted" and slow_without.whole
    for stream in (slow, slow_without, idle):
        stream.close()


def test_a_slow_reader_keeps_its_place_and_costs_nobody_else_anything(node):
    slow = [Stream(node, "slow/?prefix", receive=4096) for _ in range(20)]
    fast = Stream(node, "slow/?prefix")
    before = node.rss_kib()
    value = "v" * 10000
    written = [revision_of(node.put(f"slow/{i % 10}", value)) for i in range(600)]
    assert [e["revision"] for e in fast.until(written[-1])] == written
    # A sanitizer's own memory is not the node's.
    assert os.environ.get("RAFTD_SANITIZE") or node.rss_kib() - before < 20 * 300 + 30000
    time_out = time.monotonic() + 2.5  # Longer than idle_timeout: they are not hung up on.
    wait_for(lambda: time.monotonic() > time_out, "the idle timeout has passed")
    for stream in slow:
        assert [e["revision"] for e in stream.until(written[-1])] == written
        stream.close()
    fast.close()


def test_a_client_that_vanishes_is_forgotten(node):
    wait_for(lambda: node.status()["watchers"] == 0, "nobody watches")
    streams = [Stream(node, f"v/{i}") for i in range(50)]
    polls = []
    for i in range(20):
        s = socket.create_connection(("127.0.0.1", node.http_port))
        s.sendall(b"GET /kv/v?wait=60s&after=1000000 HTTP/1.1\r\nHost: h\r\n\r\n")
        polls.append(s)
    wait_for(lambda: node.status()["watchers"] == 70, "all of them watch")
    for s in streams[:25]:
        s.close()
    for s in streams[25:]:
        s.socket.shutdown(socket.SHUT_WR)
    for s in polls[:10]:
        s.close()
    for s in polls[10:]:
        s.shutdown(socket.SHUT_WR)
        assert s.recv(4096).startswith(b"HTTP/1.1 304 ")
    wait_for(lambda: node.status()["watchers"] == 0, "nobody watches any more")


def test_long_polls_answer_at_the_change_or_when_their_time_is_over(make_cluster):
    cluster = make_cluster(3).start().wait_published()
    leader, follower = cluster.wait_leader(), cluster.follower()
    mod = revision_of(leader.put("p", "1"))
    for asked in (leader, follower):
        answers = {}

        def ask(name, path, headers=None):
            answers[name] = asked.request("GET", path, headers=headers or {}, timeout=30)

        threads = [threading.Thread(target=ask, args=arguments) for arguments in (
            ("tag", "/kv/p?wait=20s", {"If-None-Match": f'"{mod}"'}),
            ("after", f"/kv/p?wait=20s&after={mod}"),
            ("list", f"/kv/p?list&wait=20s&after={mod}"))]
        for t in threads:
            t.start()
        wait_for(lambda: asked.status()["watchers"] == 3, "they wait")
        leader.put("other", "1")
        time_over = asked.request("GET", f"/kv/p?wait=300ms&after={mod}")
        assert (time_over.status, time_over.body) == (304, b"")
        assert len(answers) == 0
        mod = revision_of(leader.put("p", "2"))
        for t in threads:
            t.join()
        assert [answers[n].status for n in ("tag", "after", "list")] == [200, 200, 200]
        assert answers["tag"].headers["ETag"] == f'"{mod}"' and answers["after"].body == b"2"
        assert answers["list"].json()["items"][0]["mod"] == mod


def test_a_node_that_stops_lets_nobody_wait(make_cluster):
    cluster = make_cluster(1)
    node = cluster.nodes[0].start("--set", "shutdown_timeout=10m")  # If it waited for them, the test would, too.
    cluster.wait_leader()
    stream = Stream(node, "a")
    stuck = Stream(node, "b?init", receive=4096)
    poll = socket.create_connection(("127.0.0.1", node.http_port))
    poll.settimeout(TIMEOUT_S)
    poll.sendall(b"GET /kv/a?wait=60s&after=100000 HTTP/1.1\r\nHost: h\r\n\r\n")
    wait_for(lambda: node.status()["watchers"] == 3, "they wait")
    assert node.stop() == 0
    assert stream.event() is None and stream.whole
    assert poll.recv(4096).startswith(b"HTTP/1.1 503 ")
    stuck.close()


def test_there_are_no_more_watchers_than_the_limit(make_cluster):
    cluster = make_cluster(1, extra="[limits]\nwatchers = 5\nwait = \"2s\"\n").start()
    node = cluster.nodes[0]
    streams = [Stream(node, "a") for _ in range(5)]
    assert [s.status for s in streams] == [200] * 5
    refused = node.request("GET", "/watch/a")
    assert refused.status == 429 and refused.json()["limit"] == "limits.watchers"
    assert node.request("GET", "/kv/a?wait=1s&after=1").status == 429
    assert node.request("GET", "/kv/a?wait=3s&after=1").status == 400
    assert node.status()["watchers"] == 5
    streams[0].close()
    wait_for(lambda: node.status()["watchers"] == 4, "one has gone")
    assert Stream(node, "a").status == 200


@pytest.mark.parametrize("request_line, status", [
    (b"GET /watch/ HTTP/1.1", 400), (b"GET /watch/%zz HTTP/1.1", 400), (b"GET /watch/a?after=-1 HTTP/1.1", 400),
    (b"GET /watch/a?after=99999999999999999999 HTTP/1.1", 400), (b"GET /watch/a?filter=all HTTP/1.1", 400),
    (b"GET /watch/a?init&init HTTP/1.1", 400), (b"GET /watch/" + b"k" * 2049 + b" HTTP/1.1", 413),
    (b"POST /watch/a HTTP/1.1", 405), (b"GET /watch/a HTTP/1.1\r\nAccept: image/png", 406),
    (b"GET /watch/a HTTP/1.1\r\nLast-Event-ID: x", 400), (b"GET /kv/a?wait=1s HTTP/1.1", 400),
    (b"GET /kv/a?wait=1e9s&after=1 HTTP/1.1", 400)])
def test_hostile_requests_are_refused(node, request_line, status):
    answer = raw(node.http_port, request_line + b"\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == status


def test_head_gives_the_head_and_an_old_client_a_stream_until_the_end(node):
    answer = raw(node.http_port, b"HEAD /watch/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", half_close=False)
    assert status_of(answer) == 200 and answer.endswith(b"\r\n\r\n") and b"text/event-stream" in answer
    node.put("old", "1")
    first = b"\r\n\r\nevent: snapshot\ndata: {"
    answer = raw(node.http_port, b"GET /watch/old?init HTTP/1.0\r\nHost: h\r\n\r\n", half_close=False, until=first)
    assert b"Transfer-Encoding" not in answer and first in answer


def test_pipelined_watches_wait_their_turn_and_nobody_falls_over(node):
    s = socket.create_connection(("127.0.0.1", node.http_port))
    s.sendall(b"GET /watch/a?init HTTP/1.1\r\nHost: h\r\n\r\n" * 40)
    wait_for(lambda: node.status()["watchers"] >= 16, "sixteen of them watch")
    for i in range(100):
        node.put("a", str(i))
    assert node.status()["watchers"] <= 17
    s.close()
    wait_for(lambda: node.status()["watchers"] == 0, "they are forgotten")
