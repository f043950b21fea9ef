"""Transactions: see asking.py for how a shape is written."""

from asking import Ask, R
from stories_kv import compact, get, grant, put


def txn(success=None, failure=None, compare=None):
    parts = {"compare": compare, "success": success, "failure": failure}
    return Ask("/v3/kv/txn", {k: v for k, v in parts.items() if v is not None})


def op_put(key, value="1", **options):
    return {"request_put": {"key": key, "value": value, **options}}


def op_get(key, **options):
    return {"request_range": {"key": key, **options}}


def op_delete(key, **options):
    return {"request_delete_range": {"key": key, **options}}


def op_txn(success=None, failure=None, compare=None):
    return {"request_txn": txn(success, failure, compare).body}


def test(key, target, result, **operand):
    return txn(compare=[{"key": key, "target": target, "result": result, **operand}])


def nested(depth):
    body = txn([op_get("a")])
    for _ in range(depth):
        body = txn([{"request_txn": body.body}])
    return body


RESULTS = ("EQUAL", "GREATER", "LESS", "NOT_EQUAL")
OPERANDS = {"VERSION": ("version", 1), "CREATE": ("create_revision", R(1)), "MOD": ("mod_revision", R(1)),
            "VALUE": ("value", "one"), "LEASE": ("lease", 5005)}
# a and b at 1 and 2, c at 3 with a lease.
SOME = [put("a", "one"), put("b", "two"), grant(5005), put("c", "three", lease=5005)]

STORIES = {
    "txn: a delete without an end": [put("a"), txn([op_put("x"), op_delete("\0", range_end="\0")])],
    "txn: compared": SOME + [
        test(key, target, result, **dict([OPERANDS[target]]))
        for target in OPERANDS for key in ("a", "c", "missing") for result in RESULTS
    ] + [
        test("missing", "VERSION", "EQUAL", version=0),
        test("missing", "CREATE", "EQUAL", create_revision="0"),
        test("missing", "MOD", "LESS", mod_revision=1),
        test("missing", "VALUE", "EQUAL"),
        test("missing", "VALUE", "NOT_EQUAL", value="x"),
        test("missing", "VALUE", "LESS", value="x"),
        test("missing", "LEASE", "EQUAL", lease=0),
        test("a", "VALUE", "EQUAL", value="one"),
        test("a", "VALUE", "LESS", value="onf"),
        test("a", "VALUE", "GREATER", value="on"),
        test("a", 3, 0, value="one"),
        test("a", "CREATE", 1, createRevision=R(0)),
        test("a", 1, "EQUAL", create_revision=R(1)),
        txn(compare=[{"key": "a"}]),
        txn(compare=[{"key": "missing"}]),
        txn(compare=[{"key": "a", "target": "VALUE"}]),
        txn(compare=[{"key": "a", "target": "MOD"}]),
        txn(compare=[{"key": "a", "target": "MOD", "version": 1}]),
        txn(compare=[{}]),
        txn(compare=[{"target": "MOD", "mod_revision": 1}]),
        Ask("/v3/kv/txn", {"compare": [{"key": "a", "target": "NONE"}]}, compare="code"),
        Ask("/v3/kv/txn", {"compare": [{"key": "a", "result": "SAME"}]}, compare="code"),
        txn(compare=[{"key": "a", "target": "VERSION", "version": 1}, {"key": "b", "target": "VERSION", "version": 1}]),
        txn(compare=[{"key": "a", "target": "VERSION", "version": 1}, {"key": "b", "target": "VERSION", "version": 2}]),
    ],
    "txn: compared over ranges": SOME + [
        test("a", "VERSION", "EQUAL", version=1, range_end="d"),
        test("a", "MOD", "GREATER", mod_revision=R(0), range_end="d"),
        test("a", "MOD", "GREATER", mod_revision=R(1), range_end="d"),
        test("a", "CREATE", "LESS", create_revision=R(4), rangeEnd="d"),
        test("a", "VALUE", "NOT_EQUAL", value="four", range_end="d"),
        test("a", "VALUE", "NOT_EQUAL", value="two", range_end="d"),
        test("a", "LEASE", "EQUAL", lease=0, range_end="c"),
        test("a", "LEASE", "EQUAL", lease=0, range_end="d"),
        test("a", "VERSION", "EQUAL", version=1, range_end="\0"),
        test("\0", "VERSION", "EQUAL", version=1, range_end="\0"),
        test("x", "VERSION", "EQUAL", version=0, range_end="z"),
        test("x", "VERSION", "GREATER", version=0, range_end="z"),
        test("x", "CREATE", "EQUAL", create_revision=0, range_end="z"),
        test("x", "MOD", "LESS", mod_revision=R(1), range_end="z"),
        test("x", "VALUE", "EQUAL", range_end="z"),
        test("x", "VALUE", "NOT_EQUAL", value="v", range_end="z"),
        test("d", "VERSION", "EQUAL", version=0, range_end="a"),
    ],
    "txn: operations": SOME + [
        txn(),
        txn([]),
        txn([], [], []),
        txn([op_put("n"), op_get("n"), op_delete("n"), op_get("n")]),
        txn([op_put("a", "2", prev_kv=True)]),
        txn([op_delete("a", prev_kv=True)]),
        txn([op_delete("a")]),
        txn([op_get("b"), op_get("missing"), op_get("a", range_end="z", keys_only=True)]),
        txn([op_put("p1"), op_put("p2"), op_put("p3", "3", prev_kv=True), op_get("p", range_end="q")]),
        txn([op_delete("p1"), op_delete("p1"), op_get("p", range_end="q", count_only=True)]),
        txn([op_delete("p", range_end="q", prev_kv=True)]),
        txn([op_put("b", "taken")], [op_put("b", "not taken")], [{"key": "b", "target": "VERSION", "version": 1}]),
        txn([op_put("b", "taken")], [op_put("b", "not taken"), op_get("b")],
            [{"key": "b", "target": "VERSION", "version": 1}]),
        txn(failure=[op_put("never")]),
        get("never"),
        txn([op_get("b", sort_order="DESCEND", range_end="\0", limit=1)]),
        txn([op_get("b", min_mod_revision=R(99), range_end="\0")]),
        Ask("/v3/kv/txn", {"success": [{"requestPut": {"key": "camel", "value": "1", "prevKv": True}},
                                       {"requestRange": {"key": "camel", "keysOnly": True}},
                                       {"requestDeleteRange": {"key": "camel", "prevKv": True}}]}),
        Ask("/v3/kv/txn", {"success": [{"requestTxn": {"success": [{"requestPut": {"key": "deep"}}]}}]}),
        txn([op_put("leased", lease=5005), op_get("leased")]),
        txn([op_put("leased", "2", ignore_lease=True, prev_kv=True)]),
        txn([{"request_put": {"key": "leased", "ignore_value": True, "lease": 5, "prev_kv": True}}]),
        get("leased"),
        txn([op_get("last"), op_put("last"), op_get("last")]),
        txn([op_get("last")]),
    ],
    "txn: nested": SOME + [
        txn([op_txn([op_put("n1"), op_get("n1")])]),
        txn([op_txn()]),
        txn([op_txn([op_put("x")], [op_put("x"), op_put("y")], [{"key": "a", "target": "VERSION", "version": 9}]),
             op_get("y")]),
        txn([op_txn([op_txn([op_txn([op_put("deep")])])]), op_get("deep"), op_put("n2")]),
        txn([op_put("seen", "by the inner"),
             op_txn([op_get("seen")], [], [{"key": "seen", "target": "VERSION", "result": "GREATER", "version": 0}])]),
        txn([op_txn([op_put("x")], [op_put("x")])]),
        txn([op_txn([op_put("x")]), op_txn([op_put("y")])]),
        txn([op_txn([op_put("x")]), op_put("x")]),
        txn([op_txn([op_put("x")]), op_txn([op_put("x")])]),
        txn([op_txn([op_delete("w", range_end="z")]), op_put("x")]),
        txn([op_txn([op_get("a")])], [op_txn([op_get("b")])], [{"key": "a", "target": "VERSION", "version": 9}]),
        nested(1),
        nested(3),
        nested(8),
    ],
    "txn: refused": SOME + [
        txn([{}]),
        txn(failure=[{}]),
        txn([{"nope": {}}]),
        txn([{"request_put": None}]),
        txn([{"request_put": {}}]),
        txn([{"request_range": {}}]),
        txn([{"request_delete_range": {}}]),
        txn(failure=[{"request_put": {}}]),
        txn([op_txn([{}])]),
        txn([op_txn([{"request_put": {}}])]),
        txn([op_txn(compare=[{}])]),
        txn([op_put("x"), op_put("x")]),
        txn([op_put("x"), op_delete("x")]),
        txn([op_delete("x"), op_put("x")]),
        txn([op_delete("w", range_end="y"), op_put("x")]),
        txn([op_put("x"), op_delete("w", range_end="x")]),
        txn(failure=[op_put("x"), op_put("x")]),
        txn([op_get("a")] * 128),
        txn([op_get("a")] * 129),
        txn(failure=[op_get("a")] * 129),
        txn(compare=[{"key": "a", "target": "VERSION", "version": 1}] * 128),
        txn(compare=[{"key": "a", "target": "VERSION", "version": 1}] * 129),
        txn([op_txn([op_get("a")] * 28)] + [op_get("a")] * 99),
        txn([op_txn([op_get("a")] * 29)] + [op_get("a")] * 99),
        txn([op_put("x", lease=77)]),
        txn([op_put("y"), op_put("x", lease=77)]),
        txn(failure=[op_put("x", lease=77)]),
        txn([op_put("x", ignore_lease=True)]),
        txn([op_put("y"), {"request_put": {"key": "x", "ignore_value": True}}]),
        txn([op_put("a", "x", ignore_value=True)]),
        txn(failure=[op_put("a", "x", ignore_value=True)]),
        txn([op_put("a", "x", lease=5005, ignore_lease=True)]),
        txn([op_get("a", revision=R(99))]),
        txn([op_put("y"), op_get("a", revision=R(99))]),
        txn(failure=[op_get("a", revision=R(99))]),
        txn([op_get("a", revision=R(1))]),
        txn([op_put("b", "new"), op_get("b", revision=R(2))]),
        compact(R(3)),
        txn([op_get("a", revision=R(1))]),
        txn([op_put("y"), op_get("a", revision=R(1))]),
        txn([op_txn([op_get("a", revision=R(1))])]),
        txn(failure=[op_get("a", revision=R(1))]),
        get("a", "\0"),
        Ask("/v3/kv/txn", '{"success":{"request_put":{}}}', compare="code"),
        Ask("/v3/kv/txn", '{"success":[1]}', compare="code"),
        Ask("/v3/kv/txn", '{"success":[[]]}', compare="code"),
        Ask("/v3/kv/txn", '{"success":"x"}', compare="code"),
        Ask("/v3/kv/txn", '{"compare":{}}', compare="code"),
        Ask("/v3/kv/txn", '{"compare":null,"success":null}'),
        Ask("/v3/kv/txn", '{"success":[{"request_put":1}]}', compare="code"),
    ],
}
