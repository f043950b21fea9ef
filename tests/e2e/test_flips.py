"""One flipped bit, anywhere in a real data directory: the right state, or a refusal that says where. Never another state.

A node writes a log of several segments and snapshots, and stays at rest until it has written its idle mark, which makes
damage to anything acknowledged provable. Each flip is made in a copy, which a real node then starts from.

RAFTD_FLIPS (default 24) says how many, RAFTD_FLIPS_SEED where. A run prints what became of them, by kind of place."""

import collections
import os
import pathlib
import random
import re
import shutil
import struct
import tempfile

import pytest

from cluster import Cluster, wait_for
from load import put_many
from test_kills import content

FLIPS = int(os.environ.get("RAFTD_FLIPS", "24"))
SEED = int(os.environ.get("RAFTD_FLIPS_SEED") or random.SystemRandom().randrange(1 << 32))
SMALL = '[snapshot]\nentries = 1000000\nbytes = "4MiB"\n[history]\nbytes = "1MiB"\n'
BLOCK, SNAPSHOT_HEAD = 4096, 64
HARD_STATE, FRAME_BYTES_MAX = 2, 4 << 20


def frames(data):
    """(offset, end, end of its padding, kind of the first record) of each frame that a segment's bytes hold."""
    at, found = BLOCK, []
    while data[at:at + 4] == b"RFRM":
        payload_bytes, = struct.unpack_from("<I", data, at + 32)
        end = at + 48 + payload_bytes
        padded = (end + BLOCK - 1) // BLOCK * BLOCK
        found.append((at, end, padded, data[at + 48 + 8]))
        at = padded
    return found


def places(directory):
    """Where bits are: kind of place to list of (file name, first offset, end)."""
    found = collections.defaultdict(list)
    snapshots = sorted(p.name for p in directory.glob("snapshot-*"))
    segments = sorted(directory.glob("log-*"))
    used = {p.name: frames(p.read_bytes()) for p in segments}
    last_used = [name for name in used if used[name]][-1]
    for path in directory.iterdir():
        size = path.stat().st_size
        if path.name in snapshots:
            kind = "newest snapshot" if path.name == snapshots[-1] else "older snapshot"
            found[kind + ", head"].append((path.name, 0, SNAPSHOT_HEAD + 24))
            found[kind].append((path.name, SNAPSHOT_HEAD + 24, size))
        elif path.name in used and used[path.name]:
            found["segment header"].append((path.name, 0, 128))
            for at, end, padded, _ in used[path.name]:
                last = padded == used[path.name][-1][2]
                found["frame" if not last else "last frame" if path.name == last_used else "seal"].append((path.name, at, end))
                if end < padded:
                    found["padding"].append((path.name, end, padded))
            if padded < size:
                found["zeros behind the log"].append((path.name, padded, size))
        elif size:
            found["prepared segment" if path.name in used else path.name].append((path.name, 0, size))
    return found


# Of a hundred flips so many, where there are such places.
SHARES = {"frame": 40, "padding": 4, "newest snapshot": 14, "IDENTITY": 6, "older snapshot": 6, "segment header": 6, "last frame": 5,
          "newest snapshot, head": 5, "older snapshot, head": 2, "seal": 4, "zeros behind the log": 4,
          "prepared segment": 3, "reserve": 2, "LOCK": 1}


def history_of(node, revision):
    """All keys as they were at this revision."""
    return node.request("GET", f"/kv/?list&consistency=stale&limit=10000&rev={revision}").json()["items"]


class Original:
    """A lone node that wrote, was stopped and was killed; its files, and the state that they hold."""

    def __init__(self, cluster):
        self.node = cluster.start().nodes[0]
        self.write(1, 900)
        self.node.stop()
        self.node.start()
        cluster.wait_leader()
        self.write(901, 1500)
        self.node.kill()
        self.node.start()
        cluster.wait_leader()
        self.write(1501, 1700)
        # The next segment is made when this one is half full, however large it is.
        wait_for(lambda: self.next_is_prepared() or self.write_large(), "the next segment is prepared", pause=0.2)
        wait_for(self.is_marked, "the node is idle and says so in its log")
        status = self.node.status()
        self.last_index, self.term, self.revision = status["last_index"], status["term"], status["revision"]
        self.content, self.history = content(self.node), history_of(self.node, self.revision - 20)
        self.node.kill()
        assert len(list(self.node.data_dir.glob("snapshot-*"))) == 2

    def write(self, first, last):
        """Small values and large ones, and some deletes."""
        for i in range(first, last + 1):
            if i % 50 == 0:
                assert self.node.request("DELETE", f"/kv/k{i // 2 % 97}").status == 200
            else:
                value = f"value {i} " * (2000 if i % 5 == 0 else 50)
                assert self.node.put(f"k{i % 97}", value).status in (200, 201)

    def write_large(self):
        assert put_many(self.node.http_port, [f"large{i % 9}" for i in range(60)], b"x" * 16384) == 60

    def segments(self):
        return [frames(p.read_bytes()) for p in sorted(self.node.data_dir.glob("log-*")) if not p.name.endswith(".tmp")]

    def next_is_prepared(self):
        return not self.segments()[-1]

    def is_marked(self):
        at, end, _, kind = [s for s in self.segments() if s][-1][-1]
        return kind == HARD_STATE and end - at == 48 + 32  # Every frame begins with it; the mark has nothing else.


def outcome_of(node, original, name, offset):
    """Starts from the damaged copy: what the start did about it. Raises if it serves anything else than the right state."""
    node.log_path.unlink(missing_ok=True)
    node.start()
    status = wait_for(lambda: not node.alive() or ((s := node.status()) and s["leader"] and s), "it answers, or ends")
    log = node.log()
    if status is True:
        assert node.process.returncode == 65, log[-2000:]
        last = log.splitlines()[-1]
        assert name in last, last
        if name != "IDENTITY":
            where = [int(n) for n in re.findall(r"offset (\d+)", last)]
            assert where and "index" in last, last
            # A frame or a chunk that holds the flip, or the flip itself. A bit in a segment that was prepared makes the
            # one before it end too early.
            named_first = last.index(name) < last.index("offset")
            assert not named_first or any(begin <= offset <= begin + FRAME_BYTES_MAX for begin in where), last
        return "refused with 65"
    try:
        assert status["last_index"] > original.last_index and status["term"] > original.term, status
        assert content(node, "linearizable") == original.content, log
        assert history_of(node, original.revision - 20) == original.history, log
    finally:
        node.kill()
    if "the one before it is taken" in log:
        return "right: older snapshot and log"
    return "right: end of the log cut off" if "cut off" in log else "right: nothing to repair"


@pytest.fixture
def memory_dir():
    """A folder in memory where there is one: so many starts need no disk."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = tempfile.mkdtemp(prefix="raftd-e2e-", dir=base)
    yield pathlib.Path(path)
    shutil.rmtree(path, ignore_errors=True)


def test_no_flipped_bit_makes_a_node_serve_anything_but_the_right_state(make_cluster, memory_dir):
    print(f"RAFTD_FLIPS={FLIPS} RAFTD_FLIPS_SEED={SEED}")
    original = Original(make_cluster(1, extra=SMALL))
    found = places(original.node.data_dir)
    node = Cluster(memory_dir, 1, extra=SMALL).nodes[0]
    rng = random.Random(SEED)
    table = collections.Counter()
    # Every kind of place once, then by their shares.
    kinds = sorted(set(found) & set(SHARES))
    assert len(kinds) >= 10, kinds
    draws = kinds + rng.choices(kinds, [SHARES[k] for k in kinds], k=max(0, FLIPS - len(kinds)))
    for kind in draws:
        name, begin, end = rng.choices(found[kind], [e - b for _, b, e in found[kind]])[0]
        offset, bit = rng.randrange(begin, end), rng.randrange(8)
        shutil.rmtree(node.data_dir, ignore_errors=True)
        shutil.copytree(original.node.data_dir, node.data_dir)
        os.chmod(node.data_dir, 0o700)
        with (node.data_dir / name).open("r+b") as f:
            f.seek(offset)
            byte = f.read(1)[0]
            f.seek(offset)
            f.write(bytes([byte ^ 1 << bit]))
        try:
            table[kind, outcome_of(node, original, name, offset)] += 1
        except AssertionError as error:
            node.kill()
            raise AssertionError(f"bit {bit} at offset {offset} of {name} ({kind}): {error}") from error
    for (kind, outcome), count in sorted(table.items()):
        print(f"{kind:24} {outcome:32} {count}")
    # What nobody needs may be damaged without harm; what everything is built on may not.
    assert all(outcome == "refused with 65" for kind, outcome in table if kind == "IDENTITY")
    assert table["frame", "refused with 65"] > 0
    assert table["newest snapshot", "right: older snapshot and log"] > 0
