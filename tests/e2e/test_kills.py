"""kill -9 while nodes make, send, receive and drop snapshots: nothing acknowledged is lost, nobody has to help.

RAFTD_KILLS (default 10) says how many, RAFTD_KILLS_SEED which; the seed of a run is printed."""

import http.client
import os
import random
import threading
import time

from cluster import wait_for
from killing import Killer, receives
from load import put_many
from test_cluster import write_until_acknowledged
from test_nemesis import read_everywhere
from workload import Workload, check_linearizable

KILLS = int(os.environ.get("RAFTD_KILLS", "10"))
SEED = int(os.environ.get("RAFTD_KILLS_SEED") or random.SystemRandom().randrange(1 << 32))
SMALL = '[snapshot]\nentries = 200\nbytes = "2MiB"\n[history]\nbytes = "1MiB"\n'
VALUE_BYTES = 16 * 1024
STATE = [f"state{i:04}" for i in range(400)]  # 25 MiB: a snapshot takes a while.
UNKNOWN_SHARE_MAX = 0.3


class Ledger:
    """One client that writes each key once: what was acknowledged must be there for ever, and nothing hides its loss."""

    def __init__(self, cluster):
        self.cluster, self.acknowledged, self.asked = cluster, [], 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join(30)

    def _write(self):
        while not self.stopping.is_set():
            self.asked += 1
            key = f"ledger/{self.asked}"
            node = self.cluster.nodes[self.asked % len(self.cluster.nodes)]
            try:
                answer = node.request("PUT", f"/kv/{key}?timeout=1s", key, timeout=2.0)
                if answer.status in (200, 201):
                    self.acknowledged.append(key)
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)


def content(node, consistency="stale"):
    """Every item, by default of a node's own state: key to value and revisions."""
    items, cursor = {}, ""
    while True:
        page = node.request("GET", f"/kv/?list&consistency={consistency}&limit=10000{cursor}").json()
        items |= {item["key"]: (item["value"], item["mod"], item["version"]) for item in page["items"]}
        if not page["more"]:
            return items
        cursor = f"&cursor={page['cursor']}"


def check_everything(cluster, ledger, history):
    cluster.wait_applied()
    keys = sorted({r["key"] for r in history})
    why = check_linearizable(history + read_everywhere(cluster, keys[-40:], VALUE_BYTES))
    assert why is None, why
    first, *others = [content(n) for n in cluster.nodes]
    assert all(other == first for other in others), "the nodes differ"
    lost = [key for key in ledger.acknowledged if first.get(key, ("",))[0] != key]
    assert not lost, f"{len(lost)} of {len(ledger.acknowledged)} acknowledged writes are lost, such as {lost[0]}"
    assert all(key in first for key in STATE)


def test_kills_in_the_midst_of_snapshots_compaction_and_transfers_lose_nothing(make_cluster):
    print(f"RAFTD_KILLS={KILLS} RAFTD_KILLS_SEED={SEED}")
    cluster = make_cluster(3, extra=SMALL).start()
    assert put_many(cluster.wait_leader().http_port, STATE, b"s" * 65536) == len(STATE)
    workload = Workload(cluster.nodes, clients=6, keys=4, seed=SEED, value_bytes=VALUE_BYTES).start()
    ledger = Ledger(cluster).start()
    killer = Killer(cluster, workload, SEED)
    started = time.monotonic()
    killer.run(KILLS)
    write_until_acknowledged(cluster, "after", "x")
    took = time.monotonic() - started
    ledger.stop()
    history = workload.stop()
    cluster.wait_applied()  # What is under way is installed, too.
    outcomes = [r["outcome"] for r in history]
    installed = sum(n.log().count("installed the one at index") for n in cluster.nodes)
    made = sum(n.log().count("snapshot: made at index") for n in cluster.nodes)
    print(f"{took:.0f} s, {killer.kills} kills {dict(killer.fired)}, in the midst of {dict(killer.hit)}; {made} snapshots "
          f"made, {installed} installed; {len(history)} operations: {outcomes.count('ok')} ok, "
          f"{outcomes.count('unknown')} unknown; {len(ledger.acknowledged)} of {ledger.asked} in the ledger acknowledged")
    # A test that nothing happened in proves nothing.
    assert all(killer.fired[moment] for moment in killer.moments)
    assert installed >= killer.fired["sender"] and made >= 3
    assert outcomes.count("unknown") <= UNKNOWN_SHARE_MAX * len(history)
    if KILLS >= 100:
        assert killer.hit["unfinished snapshot"] >= 10 and killer.hit["unfinished transfer"] >= 10, killer.hit

    wait_for(lambda: all(n.status() for n in cluster.nodes), "every node answers")
    check_everything(cluster, ledger, history)
    # What they have in memory they have on the disk.
    for node in cluster.nodes:
        node.kill()
    for node in cluster.nodes:
        node.start()
    cluster.wait_leader()
    check_everything(cluster, ledger, history)
    assert not any(receives(n) for n in cluster.nodes), "a transfer that ended leaves nothing"
