"""Many requests from one thread: keep-alive connections under one epoll, every answer accounted for. And one client that
writes for as long as it is let."""

import http.client
import json
import re
import select
import socket
import threading
import time
import types

RETRYABLE = {"transferring", "no_leader", "leader_lost", "superseded", "timeout", "not_ready", "shutting_down"}


def put_many(port, keys, value, connections=32, seconds=120.0):
    """PUTs value at each key, again while a leader is lost; returns how many were acknowledged with 200 or 201."""
    keys = iter(keys)
    again = []
    poll = select.epoll()
    state = {}
    acknowledged = 0
    outstanding = 0

    def send_next(s):
        nonlocal outstanding
        key = again.pop() if again else next(keys, None)
        state[s.fileno()].key = key
        if key is not None:
            s.sendall(b"PUT /kv/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (key.encode(), len(value), value))
            outstanding += 1

    for _ in range(connections):
        s = socket.create_connection(("127.0.0.1", port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(s.fileno(), select.EPOLLIN)
        state[s.fileno()] = types.SimpleNamespace(socket=s, data=b"", key=None)
        send_next(s)
    end = time.monotonic() + seconds
    while outstanding and time.monotonic() < end:
        for fd, _ in poll.poll(1.0):
            entry = state[fd]
            data = entry.socket.recv(65536)
            assert data, "the node closed a connection under load"
            entry.data += data
            head = entry.data.find(b"\r\n\r\n")
            if head < 0:
                continue
            length = int(re.search(rb"[Cc]ontent-[Ll]ength: (\d+)", entry.data[:head])[1])
            body = entry.data[head + 4:]
            if len(body) < length:
                continue
            status = int(entry.data[9:12])
            entry.data = b""
            outstanding -= 1
            if status in (200, 201):
                acknowledged += 1
            elif json.loads(body)["error"] in RETRYABLE:
                again.append(entry.key)
            send_next(entry.socket)
    for entry in state.values():
        entry.socket.close()
    assert outstanding == 0, f"{outstanding} requests without an answer"
    return acknowledged


class Writer:
    """Puts one key after the other, each with its own name as value, and at another node whenever one refuses.

    with Writer(nodes) as writer: ...; nodes may be changed meanwhile."""

    def __init__(self, nodes):
        self.nodes, self.acknowledged, self.refused = list(nodes), [], []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(30)

    def _write(self):
        number = 0
        while not self.stopping.is_set():
            key = f"written-{len(self.acknowledged)}"
            node = self.nodes[number % len(self.nodes)]
            try:
                answer = node.put(key, key)
            except (OSError, http.client.HTTPException):
                number += 1
                continue
            if answer.status in (200, 201):
                self.acknowledged.append(key)
                continue
            number += 1
            if answer.json()["error"] not in RETRYABLE:
                self.refused.append(answer)

    def check(self, node):
        """After it has stopped: nothing that was acknowledged is lost, and nothing was refused for good."""
        assert self.acknowledged and not self.refused, self.refused[:3]
        listed = node.request("GET", "/kv/written-?list", headers={"Accept": "application/x-ndjson"}).body.splitlines()
        assert json.loads(listed.pop())["end"]
        there = {item["key"]: item["value"] for item in map(json.loads, listed)}
        lost = [key for key in self.acknowledged if there.get(key) != key]
        assert not lost, lost[:10]
