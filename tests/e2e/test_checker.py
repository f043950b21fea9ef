"""The linearizability checker itself: it accepts what is, and refuses what is not."""

import random

from workload import check_linearizable


def row(op, call, ret, value=None, out=None, outcome="ok", key="k"):
    return {"key": key, "op": op, "value": value, "out": out, "call": call, "return": ret, "outcome": outcome}


def test_a_stale_read_after_an_acknowledged_write_is_refused():
    assert check_linearizable([row("put", 0, 1, "a"), row("put", 2, 3, "b"), row("get", 4, 5, out="a")])


def test_a_lost_acknowledged_write_is_refused():
    assert check_linearizable([row("put", 0, 1, "a"), row("get", 2, 3, out=None)])


def test_two_reads_that_see_two_concurrent_writes_in_opposite_orders_are_refused():
    assert check_linearizable([
        row("put", 0, 100, "a"), row("put", 0, 100, "b"),
        row("get", 10, 20, out="a"), row("get", 30, 40, out="b"), row("get", 50, 60, out="a")])


def test_a_concurrent_write_may_be_seen_or_not():
    for out in ("a", None):
        assert check_linearizable([row("put", 0, 10, "a"), row("get", 5, 6, out=out)]) is None


def test_a_write_of_unknown_outcome_may_take_effect_late_or_never():
    unknown = row("put", 0, 1, "a", outcome="unknown")
    assert check_linearizable([unknown, row("get", 5, 6, out=None), row("get", 7, 8, out="a")]) is None
    assert check_linearizable([unknown, row("get", 5, 6, out=None)]) is None
    assert check_linearizable([unknown, row("get", 5, 6, out="a"), row("get", 7, 8, out=None)])


def test_histories_made_by_a_real_register_are_accepted_and_with_one_swapped_read_refused():
    rng = random.Random(7)
    for _ in range(50):
        value, rows, now = None, [], 0
        for n in range(30):
            at = now + rng.random()
            if rng.random() < 0.5:
                value = f"v{n}"
                rows.append(row("put", at - rng.random(), at + rng.random(), value))
            else:
                rows.append(row("get", at - rng.random(), at + rng.random(), out=value))
            now = at
        assert check_linearizable(rows) is None
        rows.append(row("put", now + 5, now + 6, "last"))
        rows.append(row("get", now + 7, now + 8, out=value))
        assert check_linearizable(rows)
