"""Range, put, deleterange and compaction: see asking.py for how a shape is written."""

from asking import Ask, R


def put(key, value="", **options):
    body = {"key": key, **({"value": value} if value else {}), **options}
    return Ask("/v3/kv/put", body)


def get(key, range_end=None, **options):
    return Ask("/v3/kv/range", {"key": key, **({"range_end": range_end} if range_end else {}), **options})


def delete(key, range_end=None, **options):
    return Ask("/v3/kv/deleterange", {"key": key, **({"range_end": range_end} if range_end else {}), **options})


def every(**options):
    return get("\0", "\0", **options)


def compact(revision, **options):
    return Ask("/v3/kv/compaction", {"revision": revision, **options})


def grant(lease, ttl=600):
    return Ask("/v3/lease/grant", {"ID": lease, "TTL": ttl})


# a: 1; b: 2, 4; c: 3; k/1: 5, k/2: 6; and d, which is gone.
SOME = [put("a", "delta"), put("b", "x"), put("c", "alpha"), put("b", "charlie"), put("k/1", "bravo"), put("k/2", "echo"),
        put("d", "gone"), delete("d")]

STORIES = {
    "put": [
        put("a", "1"),
        put("a", "2"),
        put("a", "3", prev_kv=True),
        put("a", "4", prevKv=True),
        put("empty"),
        put("empty", prev_kv=True),
        put("new", "1", prev_kv=True),
        put("\0", "zero byte"),
        put("".join(map(chr, range(256))), "".join(map(chr, range(255, -1, -1))), prev_kv=True),
        get("".join(map(chr, range(256)))),
        Ask("/v3/kv/put", {}),
        Ask("/v3/kv/put", {"key": "", "value": "x"}),
        Ask("/v3/kv/put", {"value": "x"}),
        put("a", lease=77),
        put("a", lease="77"),
        put("a", lease=-1),
        put("a", ignore_value=True),
        put("a", ignore_value=True, prev_kv=True),
        put("a", "x", ignore_value=True),
        put("missing", ignore_value=True),
        put("missing", "x", ignore_lease=True),
        put("a", lease=5005, ignore_lease=True),
        put("a", "x", lease=5005, ignore_value=True, ignore_lease=True),
        put("missing", lease=77, ignore_value=True),
        put("a", ignore_value=True, ignore_lease=True, prev_kv=True),
        grant(5005),
        put("a", "leased", lease=5005, prev_kv=True),
        get("a"),
        put("a", "kept", ignore_lease=True, prev_kv=True),
        get("a"),
        put("a", ignoreValue=True, lease="5005", prevKv=True),
        put("a", "bare", prev_kv=True),
        get("a"),
        put("a", lease=0, prev_kv=True),
        put("a", lease=None, value="x"),
        every(keys_only=True),
    ],
    "range: keys and ends": SOME + [
        get("a"),
        get("missing"),
        get("d"),
        get("a", "c"),
        get("a", "cc"),
        get("c", "a"),
        get("a", "a"),
        get("x", "z"),
        get("k/", "k0"),
        get("k/", "k0", limit=1),
        get("b", "\0"),
        get("\0", "\0"),
        get("\0", "c"),
        get("zz", "\0"),
        get("\0"),
        Ask("/v3/kv/range", {}),
        Ask("/v3/kv/range", {"range_end": "c"}),
        Ask("/v3/kv/range", {"range_end": "\0"}),
        Ask("/v3/kv/range", {"key": "", "range_end": "c"}),
        Ask("/v3/kv/range", {"key": "a", "rangeEnd": "c"}),
        get("b", serializable=True),
        every(serializable=True, keys_only=True),
        every(serializable=False, keysOnly=True),
    ],
    "range: limits and counts": SOME + [
        every(keys_only=True),
        every(count_only=True),
        every(countOnly=True, limit=2),
        every(count_only=True, keys_only=True),
        every(limit=2),
        every(limit="2", keys_only=True),
        every(limit=5),
        every(limit=4),
        every(limit=6),
        every(limit=0, keys_only=True),
        every(limit=-1, keys_only=True),
        every(limit="9223372036854775807", keys_only=True),
        get("a", count_only=True),
        get("missing", count_only=True),
        get("a", limit=1),
        get("x", "z", count_only=True),
    ],
    "range: sorted": SOME + [
        every(keys_only=True, sort_order=order, sort_target=target)
        for target in ("KEY", "VERSION", "CREATE", "MOD", "VALUE") for order in ("NONE", "ASCEND", "DESCEND")
    ] + [
        every(keysOnly=True, sortOrder="DESCEND", sortTarget="MOD"),
        every(keys_only=True, sort_order=2, sort_target=3),
        every(keys_only=True, sort_order=1),
        every(keys_only=True, sort_target=4),
        every(keys_only=True, sort_order="DESCEND", limit=2),
        every(keys_only=True, sort_order="DESCEND", sort_target="MOD", limit=1),
        *(every(keys_only=only, sort_target=target, limit=limit)
          for target in ("CREATE", "MOD", "VALUE", "VERSION") for limit in (1, 2) for only in (True, False)),
        every(sort_target="MOD", limit=1, max_create_revision=R(100)),
        every(keys_only=True, sort_order="ASCEND", sort_target="VALUE", limit=3, revision=R(4)),
        every(count_only=True, sort_order="DESCEND", sort_target="MOD"),
        every(sort_order="DESCEND", sort_target="VERSION", min_mod_revision=R(3)),
        get("a", sort_order="DESCEND"),
        get("x", "z", sort_order="DESCEND", sort_target="VALUE"),
        Ask("/v3/kv/range", {"key": "a", "sort_order": "descend"}, compare="code"),
        Ask("/v3/kv/range", {"key": "a", "sort_order": "2"}, compare="code"),
        Ask("/v3/kv/range", {"key": "a", "sort_target": "LEASE"}, compare="code"),
        every(keys_only=True, sort_order=None, sort_target=None),
        every(keys_only=True, sort_order=7),
        every(keys_only=True, sort_order=7, sort_target="MOD"),
    ],
    "range: filtered by revision": SOME + [
        every(keys_only=True, min_mod_revision=R(4)),
        every(keys_only=True, max_mod_revision=R(4)),
        every(keys_only=True, minModRevision=R(3), maxModRevision=R(5)),
        every(keys_only=True, min_create_revision=R(3)),
        every(keys_only=True, max_create_revision=R(2)),
        every(keys_only=True, minCreateRevision=R(2), maxCreateRevision=R(2)),
        every(keys_only=True, min_mod_revision=R(4), max_create_revision=R(2)),
        every(keys_only=True, min_mod_revision=R(99)),
        every(keys_only=True, max_mod_revision=R(4), limit=1),
        every(keys_only=True, max_mod_revision=R(1), limit=1),
        every(keys_only=True, min_mod_revision=R(6), limit=2),
        every(count_only=True, min_mod_revision=R(4)),
        every(keys_only=True, min_mod_revision=-1),
        get("a", min_mod_revision=R(4)),
    ],
    "range: the past": SOME + [
        get("b", revision=R(2)),
        get("b", revision=R(3)),
        get("b", revision=R(4)),
        get("b", revision=R(1)),
        get("d", revision=R(7)),
        get("d", revision=R(8)),
        every(revision=R(4), keys_only=True),
        every(revision=R(7), keys_only=True),
        every(revision=R(7), count_only=True),
        every(revision=R(7), limit=2, keys_only=True),
        every(revision=R(4), serializable=True),
        get("a", revision=0),
        get("a", revision=-1),
        get("a", revision=R(8)),
        get("a", revision=R(9)),
        get("missing", revision=R(9)),
        get("a", revision=R(9), count_only=True),
        get("a", revision="9223372036854775807"),
        get("a", revision=R(99), serializable=True),
    ],
    "deleterange": SOME + [
        delete("missing"),
        delete("a"),
        delete("a"),
        delete("b", prev_kv=True),
        delete("b", prevKv=True),
        delete("k/", "k0", prev_kv=True),
        delete("c", "a"),
        delete("c", "c"),
        Ask("/v3/kv/deleterange", {}),
        Ask("/v3/kv/deleterange", {"range_end": "z"}),
        Ask("/v3/kv/deleterange", {"range_end": "\0"}),
        put("x"), put("y", "1"), put("z"),
        delete("y", "\0", prev_kv=True),
        delete("\0", "\0"),
        delete("\0", "\0"),
        put("x", "again"),
        get("x"),
    ],
    "compaction": SOME + [
        compact(R(99)),
        compact(R(4)),
        compact(R(4)),
        compact(R(3)),
        compact("1"),
        compact(0),
        compact(-1),
        Ask("/v3/kv/compaction", {}),
        get("b", revision=R(3)),
        get("b", revision=R(4)),
        get("d", revision=R(7)),
        get("b", revision=R(3), serializable=True),
        every(revision=R(4), keys_only=True),
        get("b"),
        compact(R(7), physical=True),
        get("d", revision=R(7)),
        get("d", revision=R(6)),
        compact(R(8)),
        get("d", revision=R(8)),
        get("a", revision=R(8)),
        delete("\0", "\0"),
        compact(R(9)),
        every(revision=R(9)),
        put("a", "1"),
        get("a"),
    ],
    "sizes": [
        Ask("/v3/kv/put", {"key": "big", "value": "x" * 1_000_000}),
        get("big", keys_only=True),
        Ask("/v3/kv/put", {"key": "k" * 1000, "value": "v"}),
        get("k" * 1000, keys_only=True),
        Ask("/v3/kv/put", {"key": "bigger", "value": "x" * 1_800_000}),
        get("bigger"),
    ],
}
