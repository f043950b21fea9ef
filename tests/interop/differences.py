"""Where raftd's answer is not etcd 3.4's, and why. Everything else is equal; what is never compared is in asking.py."""

import json
import pathlib
from dataclasses import dataclass

from asking import Ask, text_of
from stories_kv import get
from stories_other import ODD, RANGE, TOKEN
from stories_txn import op_delete, op_put, txn
from stories_watch import FROM_THE_COMPACTION, WATCHES_THAT_ARE_COMPACTED

GOLDEN = json.loads(pathlib.Path(__file__).with_name("golden.json").read_text())


@dataclass
class Difference:
    """reason, and what raftd's answer is: part of etcd's exchanged, or another answer as a whole."""

    reason: str
    part: dict | None = None
    answer: dict | None = None

    def wanted(self, etcds):
        return self.answer if self.answer is not None else {**etcds, **self.part}


def error(code, text, status=400):
    return {"status": status, "json": {"error": text, "message": text, "code": code}}


def as_asked(story, request):
    """What etcd answers to another request, which raftd takes this one for."""
    return next(answer for asked, answer in GOLDEN[story] if asked == text_of(request))


MALFORMED = Difference("malformed JSON is code 3, also in a stream", answer={"status": 400, "code": 3})
ENDED = Difference("the stream ends after what has been compacted: a client that overlooks it does not wait for ever",
                   part={"ended": True})
REVISION_THEN = as_asked("watch: refused", FROM_THE_COMPACTION)["watches"]["0"]["told"][0]["header"]
NOT_ENABLED = error(9, "etcdserver: authentication is not enabled")

DIFFERENCES = {
    "lease": {
        '/v3/lease/keepalive {"ID":': MALFORMED,
        '/v3/lease/keepalive {"ID":"x"}': MALFORMED,
    },
    "watch: refused": {
        **{text_of(watch): ENDED for watch in WATCHES_THAT_ARE_COMPACTED},
        text_of(FROM_THE_COMPACTION): Difference(
            "what the compacted revision itself did is not all there any more (etcd leaves out its deletes): who begins "
            "there is told so, and where all is there",
            answer={"watches": {"0": {"told": [
                {"header": REVISION_THEN, "created": True},
                {"header": "no revision", "canceled": True, "compact_revision": "R+5"}], "events": []}}, "ended": True}),
        **{request: MALFORMED for request, answer in GOLDEN["watch: refused"] if answer.get("code") == 2},
    },
    "txn: a delete without an end": {
        text_of(txn([op_put("x"), op_delete("\0", range_end="\0")])): Difference(
            "a put inside a deleted range is refused, whatever the range's end",
            answer=error(3, "etcdserver: duplicate key given in txn request")),
    },
    "auth": {
        request: Difference("authentication is not enabled, whatever is asked of it", answer=NOT_ENABLED)
        for request, answer in GOLDEN["auth"]
        if request.startswith("/v3/auth/") and request != "/v3/auth/disable {}" and answer != NOT_ENABLED
    } | {
        text_of(TOKEN): Difference("a token is not looked at where there is no authentication",
                                   answer={"status": 200, "json": {"header": "R+0"}}),
    },
    "json: read": {
        f'{RANGE} {{"key":"_-_-"}}': Difference(
            "base64 for URLs is read, too", answer=as_asked("json: read", Ask(RANGE, '{"key":"/+/+"}'))),
        f'{RANGE} {{"key":"Zm9v","keysOnly":true,"keys_only":false}}': Difference(
            "of two spellings of a field the last counts", answer=as_asked("json: read", Ask(RANGE, '{"key":"Zm9v"}'))),
        **{text_of(Ask(RANGE, body)): Difference(reason, answer={"status": 400, "code": 3})
           for reason, bodies in ODD.items() for body in bodies},
    },
    "range: sorted": {
        text_of(get("\0", "\0", keys_only=True, sort_order=7, **options)): Difference(
            "an order that there is not is refused, as in etcd 3.5", answer=error(3, "etcdserver: invalid sort option"))
        for options in ({}, {"sort_target": "MOD"})
    },
    "http": {
        f"/v3alpha{path} {body}": Difference("/v3alpha is served, as /v3 is", answer=answer) for path, body, answer in (
            ("/kv/range", '{"key": "foo"}', as_asked("http", Ask("/v3beta/kv/range", {"key": "foo"}))),
            ("/kv/txn", "{}", as_asked("http", Ask("/v3/kv/txn", {}))),
            ("/lease/keepalive", '{"ID": 1}', as_asked("http", Ask("/v3/lease/keepalive", {"ID": 1}))))
    },
}

