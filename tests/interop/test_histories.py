"""Random operations, each to etcd and to raftd: the same answers, and afterwards the same past.

Each request goes to a node of its own choice of a raftd of three. SEED=n runs that history again; its length is LENGTH."""

import json
import os
import random

import pytest

from asking import Ask, R, Server, text_of
from servers import ETCD, ETCD_ABSENT, EtcdCluster, raftd_cluster
from stories_kv import compact, delete, every, get, put
from stories_txn import op_delete, op_get, op_put, op_txn, txn

LENGTH = int(os.environ.get("LENGTH", 300))
# The same ones whenever the tests run; HISTORIES=n: as many that nobody has seen yet.
NEW = [random.SystemRandom().randrange(10**9) for _ in range(int(os.environ.get("HISTORIES", 0)))]
SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else NEW or [1, 2]
KEYS = ["a", "a/1", "a/2", "b", "b/1", "c", "\0", "c\xff"]
LEASES = [1001, 2002, 3003]
PAST = 40  # Revisions that are looked at afterwards.

pytestmark = pytest.mark.skipif(not ETCD, reason=ETCD_ABSENT)


class Anywhere:
    """A server each of whose requests goes to one of its nodes, drawn at random."""

    def __init__(self, name, nodes, draw):
        self.name, self.draw = name, draw
        self.nodes = [Server(f"{name} {n.id}", n.http_port) for n in nodes]

    def begin(self):
        self.nodes[0].begin()
        for other in self.nodes[1:]:
            other.answers, other.threads = self.nodes[0].answers, {}

    def run(self, step):
        return self.draw.choice(self.nodes).run(step)


class History:
    """Draws requests; knows the revision that the story has come to, and what has been compacted."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.revision, self.floor = 0, 0

    def key(self):
        return self.draw.choice(KEYS)

    def span(self):
        """A key, and an end of one kind in three."""
        end = self.draw.choice([None, None, self.key(), "\0"])
        return {"key": self.key(), **({"range_end": end} if end else {})}

    def value(self):
        return f"{self.draw.randrange(1000)}"

    def past(self):
        """A revision; at times one that is compacted, or not there yet."""
        return R(self.draw.randint(max(1, self.floor - 2), self.revision + 2))

    def some(self, **options):
        return {k: v for k, v in options.items() if self.draw.random() < 0.3}

    def compare(self):
        target, operand, value = self.draw.choice([
            ("VERSION", "version", self.draw.randrange(4)), ("CREATE", "create_revision", self.past()),
            ("MOD", "mod_revision", self.past()), ("VALUE", "value", self.value()),
            ("LEASE", "lease", self.draw.choice([0, *LEASES]))])
        result = self.draw.choice(["EQUAL", "GREATER", "LESS", "NOT_EQUAL"])
        return {"target": target, "result": result, operand: value, **self.span()}

    def range_options(self):
        return self.some(limit=self.draw.randrange(5), keys_only=True, count_only=True, revision=self.past(),
                         sort_order=self.draw.choice(["ASCEND", "DESCEND"]), min_mod_revision=self.past(),
                         sort_target=self.draw.choice(["KEY", "VERSION", "CREATE", "MOD", "VALUE"]),
                         max_create_revision=self.past())

    def put_options(self):
        return self.some(prev_kv=True, lease=self.draw.choice([0, *LEASES, 4004]), ignore_lease=True)

    def operation(self, depth=0):
        # A delete within one transaction and a put within another beside it etcd 3.4 does not see, and does both.
        kind = self.draw.choice([0, 1, 2, 3] if depth == 0 else [0, 1, 3] if depth < 2 else [0, 1])
        if kind == 0:
            return op_put(self.key(), self.value(), **self.put_options())
        if kind == 1:
            return op_get(**self.span(), **self.range_options())
        if kind == 2:
            # What a delete without an end overlaps etcd 3.4 does not see; applied, it can be the end of that etcd.
            span = self.span()
            return op_delete(**span | ({"range_end": "d"} if "range_end" in span else {}), **self.some(prev_kv=True))
        return op_txn(*self.branches(depth + 1))

    def branches(self, depth=0):
        several = range(self.draw.randrange(4))
        return ([self.operation(depth) for _ in several], [self.operation(depth) for _ in several],
                [self.compare() for _ in range(self.draw.randrange(3))])

    def request(self):
        kind = self.draw.random()
        if kind < 0.35:
            return put(self.key(), self.value(), **self.put_options())
        if kind < 0.5:
            return get(**self.span(), **self.range_options())
        if kind < 0.6:
            return delete(**self.span(), **self.some(prev_kv=True))
        if kind < 0.9:
            return txn(*self.branches())
        if kind < 0.94:
            return Ask("/v3/lease/grant", {"ID": self.draw.choice(LEASES), "TTL": 600})
        if kind < 0.96:
            return Ask("/v3/lease/revoke", {"ID": self.draw.choice(LEASES)})
        if kind < 0.98:
            return Ask("/v3/lease/timetolive", {"ID": self.draw.choice(LEASES), "keys": True})
        return compact(R(self.draw.randint(self.floor, self.revision)))

    def learn(self, step, answer):
        header = answer.get("json", {}).get("header")
        if header:
            self.revision = int(header[1:])
        if step.path.endswith("compaction") and answer["status"] == 200:
            self.floor = int(step.body["revision"])


def same_answers(step, etcd, raftd, seed):
    etcds, own = etcd.run(step), raftd.run(step)
    assert own == etcds, f"SEED={seed}: {text_of(step)}\nbody:  {json.dumps(step.body)}\netcd:  {etcds}\nraftd: {own}"
    return own


@pytest.fixture(scope="module")
def both(module_dir):
    etcd = EtcdCluster(module_dir / "etcd")
    raftd = None
    try:
        etcd.start()
        raftd = raftd_cluster(module_dir / "raftd", 3)
        yield Server("etcd", etcd.nodes[0].http_port), raftd.nodes
    finally:
        etcd.close()
        if raftd:
            raftd.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations_leave_both_with_the_same_ranges_revisions_and_past(both, seed):
    etcd, nodes = both
    history = History(seed)
    raftd = Anywhere("raftd", nodes, random.Random(seed))
    etcd.begin()
    raftd.begin()
    for _ in range(LENGTH):
        step = history.request()
        history.learn(step, same_answers(step, etcd, raftd, seed))
    same_answers(every(), etcd, raftd, seed)
    revisions = range(history.floor - 1, history.revision + 2)
    for revision in history.draw.sample(revisions, min(PAST, len(revisions))):
        same_answers(every(revision=R(revision)), etcd, raftd, seed)
        same_answers(get(history.key(), revision=R(revision)), etcd, raftd, seed)
    for lease in LEASES:
        same_answers(Ask("/v3/lease/timetolive", {"ID": lease, "keys": True}), etcd, raftd, seed)
