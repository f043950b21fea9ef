"""What is to be reached, and whether it is: ratios to etcd's JSON gateway of the same run, unless a row says what else.

Of each row the value is compared with what it must be and with the goal; of some more is better, of others less."""

# Cell: the rate and the 99th percentile that it must have, and those of the goal.
CELLS = {
    "put@1": (2, 0.5, 3, 0.2), "put@16": (4.5, 0.3, 7, 0.12), "put@64": (5, 0.3, 8, 0.15), "put@256": (6, 0.3, 10, 0.12),
    "get@1": (5, 0.2, 8, 0.05), "get@16": (9, 0.2, 15, 0.06), "get@64": (6, 0.2, 9, 0.1), "get@256": (7, 0.2, 11, 0.08),
}
# Others: must, goal; more: more is better.
OTHERS = {
    "CPU per put at 64": (0.15, 0.08, False),
    "CPU per get at 64": (0.12, 0.07, False),
    "RSS idle, MiB": (9, 5, False),
    "RSS with 100,000 keys": (0.3, 0.15, False),
    "write gap after kill -9": (0.4, 0.1, False),
    "write gap, raftd at 1000/100 ms": (1, 0.2, False),
    "first write, new cluster": (0.5, 0.15, False),
    "first write, restart": (0.5, 0.15, False),
    "first write, restart with 1,000,000 keys": (0.3, 0.1, False),
    "put at 64, to one Redis node": (0.7, 1, True),
    "get through a follower, to the leader's": (0.5, 0.5, True),
    "64 KiB puts, to what disk and loopback allow": (0.6, 0.85, True),
    "64 KiB gets, to what loopback allows": (0.6, 0.85, True),
    "system calls per put, all nodes": (3.0, 2.4, False),
    "system calls per get, all nodes": (2.6, 2.2, False),
    "fdatasyncs per 1,000 puts": (120, 60, False),
    "stripped binary, MB": (3, 1, False),
}


def mark(value, bound, more):
    return "PASS" if (value >= bound if more else value <= bound) else "MISS"


def line(name, value, must, goal, more):
    if value is None:
        return f"| {name} | not measured | {must:g} | | {goal:g} | |"
    return f"| {name} | {value:.3g} | {must:g} | {mark(value, must, more)} | {goal:g} | {mark(value, goal, more)} |"


def table(cells, others):
    """cells: cell to ratios of rate and p99. others: name to value. What is absent was not measured."""
    lines = ["| what | measured | must | | goal | |", "|---|---|---|---|---|---|"]
    for cell, (must_rate, must_p99, goal_rate, goal_p99) in CELLS.items():
        rate, p99 = cells.get(cell, (None, None))
        lines.append(line(f"{cell} rate", rate, must_rate, goal_rate, True))
        lines.append(line(f"{cell} p99", p99, must_p99, goal_p99, False))
    lines += [line(name, others.get(name), *bounds) for name, bounds in OTHERS.items()]
    return "\n".join(lines)
