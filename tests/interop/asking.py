"""How a request shape is written, sent, and its answer made comparable.

A story is a list of steps on an empty keyspace. Keys and values are written as text (each character a byte) and
travel as base64; a revision is R(n): n revisions after that with which the story begins. The answers of two servers
are equal when they are so after what has to differ is taken out: ids, terms, what is left of a TTL."""

import base64
import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field

from servers import call, post, wait_for

# In auth/ "name" is text: those bodies are written as text.
BYTES = {"key", "range_end", "rangeEnd", "value", "name"}
STREAMS = ("/lease/keepalive", "/watch")
END = "~end"  # A key that each watch watches, too: when its event comes, those before have come.
END_KEY = base64.b64encode(END.encode()).decode()
END_WATCH = 4444
PATIENCE_S = 10.0
LATE_S = 5


class R(int):
    """A revision, counted from the story's beginning."""


@dataclass
class Ask:
    """One request. body: a dict, or the text of a body that is no JSON, or is so in its own way.

    compare: "exact"; "code" (status, and the code of an error: where texts describe a parser); "shape" (the answer
    has etcd's fields, of etcd's types)."""

    path: str
    body: object = None
    method: str = "POST"
    headers: dict = field(default_factory=dict)
    compare: str = "exact"
    show_headers: bool = False
    background: str = ""  # Sent from a thread of its own; Join(name) has the answer.


@dataclass
class Join:
    name: str


@dataclass
class Until:
    """Waits until as many keys have the prefix."""

    prefix: str
    count: int


@dataclass
class Watch:
    """Requests of one stream, then what happens to the keys; over when so many events and ends of watches have come."""

    requests: list
    actions: list = field(default_factory=list)
    events: int = 0
    canceled: int = 0


def prefix_end(prefix):
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def encode(value, base, own_id):
    """The body as it travels."""
    if isinstance(value, dict):
        return {k: bytes_of(v, base, own_id) if k in BYTES else encode(v, base, own_id) for k, v in value.items()}
    if isinstance(value, list):
        return [encode(v, base, own_id) for v in value]
    if isinstance(value, R):
        return str(base + int(value))
    return own_id if value == "{own id}" else value


def leases_in(value):
    """The leases that a body names."""
    if isinstance(value, dict):
        own = {int(v) for k, v in value.items() if k in ("ID", "lease") and re.fullmatch(r"-?\d+", str(v))}
        return own.union(*map(leases_in, value.values()))
    return set().union(*map(leases_in, value)) if isinstance(value, list) else set()


def bytes_of(value, base, own_id):
    if isinstance(value, str):
        return base64.b64encode(value.encode("latin-1")).decode()
    return encode(value, base, own_id)


def text_of(request):
    """The request as a line: how a shape is named in golden.json and in messages."""
    def plain(value):
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list):
            return [plain(v) for v in value]
        return f"R({int(value)})" if isinstance(value, R) else value

    if isinstance(request, Join):
        return f"join {request.name}"
    if isinstance(request, Until):
        return f"until {request.count} keys begin with {request.prefix}"
    if isinstance(request, Watch):
        lines = [body_text(plain(r)) for r in request.requests]
        return f"watch {' '.join(lines)} | {'; '.join(text_of(a) for a in request.actions)}"
    method = "" if request.method == "POST" else request.method + " "
    headers = f" {request.headers}" if request.headers else ""
    return f"{method}{request.path} {body_text(plain(request.body))}{headers}"


def body_text(body):
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    return text if len(text) <= 300 else f"{text[:120]}...{len(text)} characters...{text[-60:]}"


class Answers:
    """Makes the answers of one server in one story comparable."""

    def __init__(self, base):
        self.base = base
        self.cluster_ids = set()
        self.named = {0}  # The leases that requests have named; others are the server's choice.
        self.granted = 0  # The TTL of the lease that is looked at, where the answer says what is left of it.

    def revision(self, text):
        assert re.fullmatch(r"-?\d+", text), f"a revision is a decimal string: {text!r}"
        return f"R{int(text) - self.base:+}"

    def normal(self, value, name=""):
        if isinstance(value, dict):
            self.granted = int(value.get("grantedTTL", 0))
            return {k: self.header(v) if k == "header" else self.normal(v, k) for k, v in value.items()
                    if not (k == "details" and v == [])}
        if isinstance(value, list):
            items = [self.normal(v, name) for v in value]
            # In no order that a client could rely on.
            return sorted(items, key=json.dumps) if name in ("leases", "keys") else items
        if name in ("revision", "create_revision", "mod_revision", "compact_revision", "rev"):
            return self.revision(value)
        if name in ("key", "value", "name", "range_end", "keys", "prev_kvs") and isinstance(value, str):
            return self.plain(value)
        if name == "TTL" and self.granted:
            left = self.granted - int(value)
            return f"<what is left of {self.granted}>" if 0 <= left <= LATE_S else value
        if name in ("ID", "lease") and int(value) not in self.named:
            return "<chosen>"
        return value

    def plain(self, text):
        try:
            text = base64.b64decode(text, validate=True).decode("latin-1")
        except ValueError:
            return text  # A name that is not bytes.
        # A lock's key ends in its lease.
        lock = re.fullmatch(r"(own lease/)([0-9a-f]+)", text)
        return lock[1] + "<chosen>" if lock and int(lock[2], 16) not in self.named else text

    def header(self, header):
        """cluster, member and term are there and are numbers; they themselves differ."""
        header = dict(header)
        ids = [header.pop(k) for k in ("cluster_id", "member_id", "raft_term") if k in header]
        assert all(re.fullmatch(r"[1-9]\d*", i) for i in ids), f"ids and terms are positive decimal strings: {ids}"
        if ids:
            self.cluster_ids.add(ids[0])
            assert len(self.cluster_ids) == 1, "the cluster's id changes"
        assert len(ids) in (0, 3), f"a header has all of cluster_id, member_id, raft_term or none: {ids}"
        revision = self.revision(header.pop("revision")) if "revision" in header else "no revision"
        assert not header, f"a header has nothing else: {header}"
        return revision if ids else f"{revision} without ids"


def shape_of(value):
    if isinstance(value, dict):
        return {k: v if k == "header" else shape_of(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape_of(v) for v in value[:1]]
    if isinstance(value, str):
        return "<number>" if re.fullmatch(r"-?\d+|<chosen>", value) else "<text>"
    return f"<{type(value).__name__}>"


def has_shape(own, etcds):
    """Whether every field of etcd's is there."""
    if isinstance(etcds, dict) and isinstance(own, dict):
        return all(k in own and has_shape(own[k], v) for k, v in etcds.items())
    if isinstance(etcds, list) and isinstance(own, list):
        return len(own) == len(etcds) and all(has_shape(o, e) for o, e in zip(own, etcds))
    return own == etcds


def error_of(status, document):
    """One form for both generations of the gateway: etcd >= 3.6 answers code 9 with 400, 3.4 with 412."""
    if isinstance(document, dict) and "code" in document:
        if document["code"] == 9 and status == 412:
            status = 400
        assert document.get("error") == document.get("message"), f"error and message say the same: {document}"
    return status, document


def code_of(answer):
    """Status and code of an error, which a stream tells in its first message."""
    first = answer.get("messages", [{}])[0].get("error")
    if first:
        return {"status": first["http_code"], "code": first["grpc_code"]}
    return {"status": answer["status"], "code": answer.get("json", {}).get("code")}


class Server:
    """One node that requests go to; a story's steps run on it in turn."""

    def __init__(self, name, port):
        self.name, self.port = name, port
        listed = call(port, "/v3/cluster/member/list", {})
        self.own_id = listed["header"]["member_id"]

    def begin(self):
        """An empty keyspace without leases; returns the story's first revision."""
        for lease in call(self.port, "/v3/lease/leases", {}).get("leases", []):
            post(self.port, "/v3/lease/revoke", json.dumps(lease))
        answer = call(self.port, "/v3/kv/deleterange", {"key": "AA==", "range_end": "AA=="})
        self.answers = Answers(int(answer["header"]["revision"]))
        self.threads = {}

    def body(self, body):
        if body is None or isinstance(body, str):
            return body
        self.answers.named |= leases_in(body)
        return json.dumps(encode(body, self.answers.base, self.own_id))

    def run(self, step):
        """The comparable answer, or None where there is nothing to compare."""
        if isinstance(step, Until):
            key = {"key": step.prefix, "range_end": prefix_end(step.prefix), "count_only": True}
            body = encode(key, 0, "")
            wait_for(lambda: int(call(self.port, "/v3/kv/range", body).get("count", 0)) == step.count,
                     f"{step.count} keys begin with {step.prefix}")
            return None
        if isinstance(step, Join):
            thread, result = self.threads.pop(step.name)
            thread.join(PATIENCE_S)
            assert result, f"{self.name}: {step.name} is not answered"
            if isinstance(result[0], BaseException):
                raise result[0]
            return result[0]
        if isinstance(step, Watch):
            return self.watch(step)
        if step.background:
            result = []

            def ask():
                try:
                    result.append(self.ask(step))
                except BaseException as error:  # Told by Join.
                    result.append(error)
            thread = threading.Thread(target=ask, daemon=True)
            self.threads[step.background] = thread, result
            thread.start()
            return None
        return self.ask(step)

    def ask(self, step):
        body = self.body(step.body)
        status, headers, text = post(self.port, step.path, body and body.encode(), step.method, step.headers,
                                     PATIENCE_S)
        answer = {"status": status}
        if step.show_headers:
            answer["headers"] = shown(headers)
        if step.path.endswith(STREAMS) and status == 200 and text:
            assert headers.get("Transfer-Encoding") == "chunked", "a stream is chunked"
            documents = [json.loads(line) for line in text.splitlines()]
            assert text.endswith("\n") and len(documents) == text.count("\n"), f"a line per message: {text!r}"
            answer["messages"] = [self.answers.normal(d) for d in documents]
        elif text.startswith("{"):
            assert not (step.path.startswith("/v3") and text.endswith("\n")), f"a unary answer has no newline: {text!r}"
            answer["status"], document = error_of(status, json.loads(text))
            answer["json"] = self.answers.normal(document)
        else:
            answer["text"] = text.strip()
        if step.compare == "shape":
            answer = shape_of(answer) | {"status": status}
        if step.compare == "code":
            answer = code_of(answer)
        return answer

    def watch(self, step):
        # An "end" that is watched last is created last.
        requests = [r if isinstance(r, str) else self.body(r) for r in step.requests]
        requests.append(json.dumps(encode({"create_request": {"key": END, "watch_id": END_WATCH}}, 0, "")))
        with Stream(self.port, "".join(requests)) as stream:
            stream.read_until(lambda: stream.saw(END_WATCH, "created"))
            for action in step.actions:
                self.ask(action)
            # Also where the stream has ended, so that what follows is of the same revisions everywhere.
            call(self.port, "/v3/kv/put", encode({"key": END}, 0, ""))
            stream.read_until(lambda: stream.saw(END_WATCH, "events") and stream.events() >= step.events
                              and sum("canceled" in m["result"] for m in stream.messages) >= step.canceled)
            complete = {} if stream.complete else {"complete": False}
            return {"watches": self.per_watch(stream.messages), "ended": stream.ended, **complete}

    def per_watch(self, messages):
        """What each watch was told: its control messages and its events in order. Messages of different watches come
        in no order, and how many revisions one message has is the server's choice."""
        watches = {}
        for message in messages:
            result = message["result"]
            watch_id = result.pop("watch_id", "0")
            if watch_id == str(END_WATCH):
                continue
            told = watches.setdefault(watch_id, {"told": [], "events": []})
            events = result.get("events", [])
            if events:
                assert set(result) == {"header", "events"}, f"a message with events has nothing else: {set(result)}"
                revisions = [int(e["kv"]["mod_revision"]) for e in events]
                assert int(result["header"]["revision"]) >= max(revisions)
                assert revisions == sorted(revisions)
                assert revisions[0] > told.get("seen", 0), "a revision is not split over two messages"
                told["seen"] = revisions[-1]
                told["events"] += self.answers.normal([e for e in events if e["kv"]["key"] != END_KEY], "events")
            else:
                told["told"].append(self.answers.normal(result))
        for told in watches.values():
            told.pop("seen", None)
        return watches


HEADERS = ("Content-Type", "Grpc-Metadata-Content-Type", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin",
           "Access-Control-Allow-Headers")


def shown(headers):
    return {name: headers[name].split(";")[0] for name in HEADERS if name in headers}


class Stream:
    """A watch: reads chunk by chunk, and holds the server to one message a chunk."""

    def __init__(self, port, body):
        self.socket = socket.create_connection(("127.0.0.1", port))
        head = f"POST /v3/watch HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall((head + body).encode())
        self.bytes, self.messages = b"", []
        self.open = self.ended = False
        self.complete = True  # Nothing was waited for in vain.

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def saw(self, watch_id, what):
        return any(m.get("result", {}).get("watch_id") == str(watch_id) and what in m["result"] for m in self.messages)

    def events(self):
        """How many, those of END not among them."""
        return sum(e["kv"]["key"] != END_KEY for m in self.messages for e in m["result"].get("events", ()))

    def read_until(self, enough):
        """Until that, or the end of the stream, or of patience: what is missing then is seen in the comparison."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.ended and not enough():
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                self.complete = False
                return
            self.bytes += data
            self.ended = not data
            self.parse()

    def parse(self):
        if not self.open:
            head, found, rest = self.bytes.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.split()[1] == b"200", f"the watch is refused: {self.bytes}"
            assert b"transfer-encoding: chunked" in head.lower(), head
            self.bytes, self.open = rest, True
        while True:
            size, found, rest = self.bytes.partition(b"\r\n")
            if not found or len(rest) < int(size, 16) + 2:
                return
            chunk, self.bytes = rest[: int(size, 16)], rest[int(size, 16) + 2:]
            if not chunk:
                self.ended = True
                return
            assert chunk.endswith(b"\n") and chunk.count(b"\n") == 1, f"a chunk is one message and a newline: {chunk}"
            self.messages.append(json.loads(chunk))
