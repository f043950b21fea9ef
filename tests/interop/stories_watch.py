"""Watches: see asking.py for how a shape is written. Each is asked together with one of asking.END."""

from asking import Ask, R, Watch
from stories_kv import compact, delete, get, grant, put
from stories_lease import lease
from stories_txn import op_delete, op_put, txn


def create(key, range_end=None, **options):
    return {"create_request": {"key": key, **({"range_end": range_end} if range_end else {}), **options}}


def cancel(watch_id):
    return {"cancel_request": {"watch_id": watch_id}}


PROGRESS = {"progress_request": {}}
# Revisions 1 to 6 of the story.
PAST = [put("w", "1"), put("x", "2"), put("w", "3"), delete("w"), put("w", "5"), txn([op_put("w", "6"), op_put("x", "6")])]

WATCHES_THAT_ARE_COMPACTED = [
    Watch([create("w", start_revision=R(1))], canceled=1),
    Watch([create("w", start_revision=R(3))], canceled=1),
    Watch([create("w", start_revision=R(3)), create("x")], canceled=1),
]
# Of the revision that was compacted itself.
FROM_THE_COMPACTION = Watch([create("w", start_revision=R(4))], [], 3)

STORIES = {
    "watch: from now": [
        Watch([create("w")], [put("w", "1"), put("x", "2"), put("w", "3"), delete("w")], 3),
        Watch([create("w", prev_kv=True)], [put("w", "1"), put("w", "2"), delete("w"), delete("w")], 3),
        Watch([create("w", prevKv=True)], [put("w", "1"), put("w", "2")], 2),
        Watch([create("w", filters=["NOPUT"])], [put("w", "1"), delete("w")], 1),
        Watch([create("w", filters=["NODELETE"])], [put("w", "1"), delete("w")], 1),
        Watch([create("w", filters=[0, 1])], [put("w", "1"), delete("w")]),
        Watch([create("w", filters=[])], [put("w", "1"), delete("w")], 2),
        Watch([create("w", filters=[1])], [put("w", "1"), delete("w")], 1),
        Watch([create("w", filters=None)], [put("w", "1")], 1),
        Watch([create("a", "x")], [put("a"), put("w"), put("x"), put("zz")], 2),
        Watch([create("w", "\0")], [put("a"), put("w"), put("x")], 2),
        Watch([create("p/", "p0")], [put("p/1", "1"), put("p", "2"), put("p/", "3"), put("p0", "4")], 2),
        Watch([create("w", start_revision=0)], [put("w", "1")], 1),
        Watch([create("w", progress_notify=True, fragment=False)], [put("w", "1")], 1),
        Watch([create("w")], [txn([op_put("w"), op_put("x")])], 1),
        Watch([create("a", "\0", filters=["NOPUT"])], [txn([op_put("b"), op_delete("w"), op_delete("x")])], 2),
        Watch([create("a", "x")], [txn([op_put("b", "1"), op_delete("b2"), op_put("a", "2")]), delete("a", "x")], 4),
        Watch([create("w")], [grant(5005), put("w", "leased", lease=5005), lease("revoke", {"ID": 5005})], 2),
        Watch([create("a", "\0", prev_kv=True)],
              [put("w", "1"), delete("\0", "\0"), put("b", "2"), txn([op_put("b", "3"), op_put("c", "4")])], 6),
    ],
    "watch: from the past": PAST + [
        Watch([create("w", start_revision=R(1))], [], 5),
        Watch([create("w", start_revision=R(1), prev_kv=True)], [], 5),
        Watch([create("w", "y", start_revision=R(2))], [put("w", "more")], 7),
        Watch([create("w", startRevision=R(4))], [], 4),
        Watch([create("w", start_revision=R(6))], [put("w", "live")], 3),
        Watch([create("w", start_revision=R(1), filters=["NOPUT"])], [], 1),
        Watch([create("w", start_revision=R(1), filters=["NODELETE"], prev_kv=True)], [], 6),
        Watch([create("missing", start_revision=R(1))], [put("missing", "1")], 1),
        Watch([create("w", start_revision=R(19))], [put("w", "a"), put("w", "b"), put("w", "c"), put("w", "d")], 3),
        Watch([create("x", start_revision=R(99))], [put("x", "a")]),
        get("w"),
    ],
    "watch: several in one stream": [
        Watch([create("w"), create("x")], [put("w", "1"), put("x", "2"), txn([op_put("w", "3"), op_put("x", "3")])], 4),
        Watch([create("w"), create("w")], [put("w", "1")], 2),
        Watch([create("w", watch_id=7)], [put("w", "1")], 1),
        Watch([create("w", watch_id="7"), create("x", watch_id=2), create("y"), create("z")], [put("z", "1")], 1),
        Watch([create("w", watch_id=2)] + [create("x")] * 4, [put("x", "1")], 4),
        Watch([create("w"), create("x", watch_id=1), create("y")], [put("y", "1")], 1),
        Watch([create("w", watch_id=7), create("x", watch_id=7)], [put("w", "1"), put("x", "1")], 1),
        Watch([create("w"), cancel(0)], [put("w", "1")], canceled=1),
        Watch([create("w"), {"cancel_request": {}}], [put("w", "1")], canceled=1),
        Watch([create("w"), create("x"), cancel("1")], [put("w", "1"), put("x", "1")], 1, canceled=1),
        Watch([create("w"), cancel(0), create("x")], [put("w", "1"), put("x", "1")], 1, canceled=1),
        Watch([create("w", watch_id=3), cancel(3), create("x", watch_id=3)], [put("x", "1")], 1, canceled=1),
        Watch([create("w"), cancel(55)], [put("w", "1")], 1),
        Watch([create("w"), PROGRESS], [put("w", "1")], 1),
        Watch([PROGRESS]),
        Watch([create("w"), {}, {"nope": 1}], [put("w", "1")], 1),
        Watch([create("w"), " \n\t ", create("x")], [put("w", "1"), put("x", "2")], 2),
        Watch([{"createRequest": {"key": "w", "watchId": "9", "prevKv": True}}], [put("w", "1")], 1),
        Watch([create("w", watch_id=9), {"cancelRequest": {"watchId": 9}}], [put("w", "1")], canceled=1),
        Watch([create("w"), {"progressRequest": {}}], [put("w", "1")], 1),
    ],
    "watch: refused": PAST + [
        Watch([create("e", "e")], [put("e", "1")], canceled=1),
        Watch([create("f", "e")], [put("e", "1")], canceled=1),
        Watch([{"create_request": {}}], [put("\0", "1"), put("w")], 1),
        Watch([{"create_request": {"range_end": "x"}}], [put("w", "1")], 1),
        compact(R(4)),
        *WATCHES_THAT_ARE_COMPACTED,
        FROM_THE_COMPACTION,
        Watch([create("w", start_revision=R(5))], [], 3),
        Ask("/v3/watch", "x", compare="code"),
        Ask("/v3/watch", "[]", compare="code"),
        Ask("/v3/watch", '{"create_request":', compare="code"),
        Ask("/v3/watch", '{"create_request":{"key":1}}', compare="code"),
        Ask("/v3/watch", '{"create_request":{"key":"dw"}}', compare="code"),
        Ask("/v3/watch", '{"create_request":{"key":"dw==","start_revision":"x"}}', compare="code"),
        Ask("/v3/watch", '{"create_request":{"key":"dw==","filters":"NOPUT"}}', compare="code"),
        Ask("/v3/watch", '{"create_request":{"key":"dw==","filters":["NONE"]}}', compare="code"),
        Ask("/v3/watch", method="GET"),
    ],
}
