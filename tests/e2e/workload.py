"""Concurrent clients on registers, their history, and whether it is linearizable.

Each operation is a row {"key", "op", "value", "call", "return", "outcome", "out"}: op is "put" or "get"; outcome is
"ok", "none" (certainly without effect) or "unknown" (may take effect at any time after call, or never)."""

import http.client
import random
import threading
import time


def stretched(value, size):
    """The value over and over, so that it has about so many bytes."""
    return (value + " ") * (size // (len(value) + 1)) if size else value


def shrunk(body, size):
    """What stretched() was given; a body that it did not make stays as it is, and is nobody's value."""
    value = body.partition(" ")[0]
    return value if stretched(value, size) == body else body


class Workload:
    """Clients that put unique values and get, each sticking to a node for a while.

    With value_bytes the values are about so large on the wire; the history has them short."""

    def __init__(self, nodes, clients=6, keys=5, seed=1, consistency="", timeout_s=1.0, value_bytes=0):
        self.nodes, self.keys, self.consistency, self.timeout_s, self.seed = nodes, keys, consistency, timeout_s, seed
        self.value_bytes = value_bytes
        self.history = []
        self.acknowledged_writes = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.epoch = 0
        self.threads = [
            threading.Thread(target=self._client, args=(n, random.Random(seed * 1000 + n)), daemon=True)
            for n in range(clients)]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(30)
        return self.history

    def rotate_keys(self):
        """From now on other keys: many unknown outcomes on one key make a search hopeless."""
        self.epoch += 1

    def acknowledged(self):
        return [r for r in self.history if r["op"] == "put" and r["outcome"] == "ok"]

    def acknowledged_count(self):
        return self.acknowledged_writes

    def keys_now(self):
        return [f"w{self.seed}-{self.epoch}-{n}" for n in range(self.keys)]

    def _client(self, number, rng):
        sequence = 0
        node, left, connection = None, 0, None
        while not self.stopping.is_set():
            if left == 0:
                node, left = rng.choice(self.nodes), rng.randint(5, 40)
                connection = None
            left -= 1
            key = rng.choice(self.keys_now())
            op = rng.choice(("put", "get"))
            value = None
            if op == "put":
                sequence += 1
                value = f"{number}.{sequence}"
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=self.timeout_s + 1)
            row = {"client": number, "node": node.id, "key": key, "op": op, "value": value, "call": time.monotonic_ns(), "out": None}
            row["outcome"], row["out"] = self._ask(connection, op, key, value)
            row["return"] = time.monotonic_ns()
            if row["outcome"] != "ok":
                connection.close()
                connection, left = None, 0
                time.sleep(0.02)
            with self.lock:
                self.history.append(row)
                self.acknowledged_writes += row["op"] == "put" and row["outcome"] == "ok"

    def _ask(self, connection, op, key, value):
        timeout = f"timeout={int(self.timeout_s * 1000)}ms"
        query = f"?{timeout}" + (f"&{self.consistency}" if self.consistency and op == "get" else "")
        try:
            connection.connect() if connection.sock is None else None
        except OSError:
            return "none", None
        try:
            body = stretched(value, self.value_bytes) if op == "put" else None
            connection.request("PUT" if op == "put" else "GET", f"/kv/{key}{query}", body)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return ("unknown" if op == "put" else "none"), None
        if op == "put":
            if answer.status in (200, 201):
                return "ok", None
            return ("unknown" if b'"outcome":"unknown"' in body else "none"), None
        return read_register(answer.status, answer.headers.get("Raftd-Error") == "not_found", body, self.value_bytes)


def read_register(status, not_found, body, value_bytes=0):
    """Outcome and value of a get."""
    if status == 200:
        return "ok", shrunk(body.decode(), value_bytes)
    return ("ok" if status == 404 and not_found else "none"), None


def check_linearizable(history, steps_max=3_000_000):
    """None, or why the history of some key is not linearizable. Raises if a search does not end within steps_max.

    Wing and Gong's search with Lowe's memo: a state is (which operations have taken effect, value)."""
    by_key = {}
    for row in history:
        if row["outcome"] == "none":
            continue
        if row["op"] == "get" and row["outcome"] != "ok":
            continue
        by_key.setdefault(row["key"], []).append(row)
    for key, rows in sorted(by_key.items()):
        read = {r["out"] for r in rows if r["op"] == "get"}
        # A write of unknown outcome whose value nobody saw puts no bound on anything.
        rows = [r for r in rows if not (r["outcome"] == "unknown" and r["value"] not in read)]
        why = _check_register(rows, steps_max)
        if why:
            return f"key {key}: {why}"
    return None


def _check_register(rows, steps_max):
    rows = sorted(rows, key=lambda r: r["call"])
    count = len(rows)
    returns = [r["return"] if r["outcome"] == "ok" else float("inf") for r in rows]
    must = sum(1 << i for i, r in enumerate(rows) if r["outcome"] == "ok")
    seen = set()
    stack = [(0, 0, None)]  # (first not yet done, mask of done, value)
    steps = 0
    furthest = 0
    while stack:
        first, done, value = stack.pop()
        if done & must == must:
            return None
        steps += 1
        if steps > steps_max:
            raise AssertionError("the search for a linearization did not end: the history is too concurrent to check")
        furthest = max(furthest, first)
        horizon = float("inf")
        i = first
        while i < count and rows[i]["call"] <= horizon:
            if not done >> i & 1:
                horizon = min(horizon, returns[i])
                row = rows[i]
                if row["op"] == "put" or row["out"] == value:
                    new_value = row["value"] if row["op"] == "put" else value
                    new_done = done | 1 << i
                    new_first = first
                    while new_first < count and new_done >> new_first & 1:
                        new_first += 1
                    state = (new_done, new_value)
                    if state not in seen:
                        seen.add(state)
                        stack.append((new_first, new_done, new_value))
            i += 1
    row = rows[min(furthest, count - 1)]
    return f"no order explains {count} operations; stuck near {row}"
