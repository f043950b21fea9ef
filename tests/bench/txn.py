#!/usr/bin/python3
"""Transactions beside etcd's, in one interleaved run (see bench.py): one guard and two puts, and 100 puts in one.

  txn.py [TARGETS] [--conns 64 --reps 3 --secs 4]

Ratios are raftd's to the first target's; of the cell bulk, requests per second times 100 are keys per second.
"""
import argparse
import base64
import json
import signal
import sys

import bench
from cluster import TARGETS

PUTS = 100


def etcd_key(prefix):
    """A base64 key of {k} behind three bytes, so that {k64} can follow them as it is."""
    assert len(prefix) == 3
    return base64.b64encode(prefix.encode()).decode() + "{k64}"


def etcd(puts, guards=()):
    return {"method": "POST", "path": "/v3/kv/txn", "body": json.dumps({
        "compare": [{"key": etcd_key(k), "target": "VERSION", "result": "NOT_EQUAL", "version": "999999999"} for k in guards],
        "success": [{"request_put": {"key": etcd_key(k), "value": "{v64}"}} for k in puts]})}


def raftd(puts, guards=()):
    return {"method": "POST", "path": "/txn", "body": json.dumps({
        "if": [{"key": k + "{k}", "version": {"!=": 999999999}} for k in guards],
        "then": [{"put": k + "{k}", "value": "{v}"} for k in puts]})}


def add_operations():
    for name, make in (("etcd", etcd), ("raftd", raftd)):
        TARGETS[name]["ops"]["txn"] = make(["one", "two"], ["one"])
        TARGETS[name]["ops"]["bulk"] = make([f"{i:03d}" for i in range(PUTS)])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("targets", nargs="?", default="etcd,raftd")
    p.add_argument("--conns", type=int, default=64)
    p.add_argument("--reps", type=int, default=3)
    p.add_argument("--secs", type=int, default=4)
    p.add_argument("--nodes", type=int, default=3)
    p.add_argument("--retries", type=int, default=1)
    p.add_argument("--gate-s", type=float, default=4)
    p.add_argument("--vsize", type=int, default=100)
    p.add_argument("--json")
    p.add_argument("--dir")
    a = p.parse_args()
    add_operations()
    # The generator holds every request that it will send: of the large ones there are few.
    with bench.work_dir(a.dir) as a.dir:
        for a.cells, a.keys in ((f"txn@{a.conns}", 10000), (f"bulk@{max(1, a.conns // 4)}", 200)):
            bench.cmd_ratio(a)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # So that finally: ends the servers.
    main()
