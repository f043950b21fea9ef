"""Moments to kill a real node in: while it makes a snapshot, drops the log behind one, sends or receives one, starts.

The directory says which moment it is, and what is left in it says afterwards what the kill hit."""

import collections
import random
import time

from cluster import wait_for


def names(node):
    try:
        return [p.name for p in node.data_dir.iterdir()]
    except OSError:
        return []


def whole_snapshots(node):
    return sorted(n for n in names(node) if n.startswith("snapshot-") and not n.endswith(".tmp"))


def makes_snapshot(node):
    return any(n.startswith("snapshot-") and n.endswith(".tmp") for n in names(node))


def receives(node):
    return any(n.startswith("incoming-") for n in names(node))


def running(node):
    """True; fails with its last words if it has ended by itself, which would take somebody's help."""
    assert node.alive(), f"node {node.id} ended with {node.process.returncode}: {node.log().splitlines()[-1]}"
    return True


class Killer:
    """kill -9, each time at a moment of the seed's; whatever was killed is started again, and nothing else is done."""

    AWAY_SECONDS = 4.0  # Longer than a leader keeps what a silent follower needs.

    def __init__(self, cluster, workload, seed):
        self.cluster, self.workload, self.rng = cluster, workload, random.Random(seed)
        self.fired = collections.Counter()
        self.hit = collections.Counter()
        self.kills = 0
        self.moments = {
            "snapshot": self.in_snapshot, "compaction": self.in_compaction, "receiver": self.of_receiver,
            "sender": self.of_sender, "all": self.of_all, "start": self.in_start,
        }

    def run(self, kills):
        """Every moment once, in an order of the seed's, then any of them until there were so many kills."""
        order = self.rng.sample(sorted(self.moments), len(self.moments))
        while order or self.kills < kills:
            moment = order.pop() if order else self.rng.choice(sorted(self.moments))
            self.workload.rotate_keys()
            goal = self.workload.acknowledged_count() + 20
            wait_for(lambda: self.workload.acknowledged_count() >= goal, f"writes go on, before: {moment}", 30)
            self.moments[moment]()
            self.fired[moment] += 1
            for node in self.cluster.nodes:
                wait_for(lambda: running(node) and node.status(), f"node {node.id} answers again after: {moment}", 30)

    def any_node(self):
        return self.rng.choice(self.cluster.nodes)

    def kill(self, node, within_s):
        """Within so many seconds from now; then counts what the node was at, to go by its directory."""
        time.sleep(self.rng.uniform(0.0, within_s))
        node.kill()
        self.kills += 1
        self.hit["unfinished snapshot"] += makes_snapshot(node)
        self.hit["superfluous snapshot"] += len(whole_snapshots(node)) > 2
        self.hit["unfinished transfer"] += receives(node)

    def in_snapshot(self):
        node = self.any_node()
        wait_for(lambda: makes_snapshot(node), "it makes a snapshot", 30, pause=0.001)
        self.kill(node, 0.1)
        node.start()

    def in_compaction(self):
        """Once a snapshot is there under its name, older files go."""
        node = self.any_node()
        before = whole_snapshots(node)[-1:]
        wait_for(lambda: whole_snapshots(node)[-1:] != before, "it has made a snapshot", 30, pause=0.0002)
        self.kill(node, 0.01)
        node.start()

    def of_all(self):
        wait_for(lambda: any(makes_snapshot(n) for n in self.cluster.nodes), "one makes a snapshot", 30, pause=0.001)
        for node in self.rng.sample(self.cluster.nodes, len(self.cluster.nodes)):
            self.kill(node, 0.01)
        for node in self.cluster.nodes:
            node.start()

    def in_start(self):
        node = self.any_node()
        self.kill(node, 0.1)
        node.start()
        self.kill(node, 0.2)
        node.start()

    def send_away(self):
        """A follower that is down until nobody has the entries that it needs; and that entry's index."""
        away = self.cluster.follower()
        last = away.status()["last_index"]
        self.kill(away, 0.1)
        time.sleep(self.AWAY_SECONDS)
        wait_for(lambda: all(n.status()["first_index"] > last + 1 for n in self.cluster.live()),
                 "the others have dropped what it needs", 60)
        return away

    def start_until_it_receives(self, away):
        away.start()
        wait_for(lambda: running(away) and receives(away), "it receives a snapshot", 30, pause=0.001)

    def of_receiver(self):
        away = self.send_away()
        for _ in range(self.rng.randint(1, 3)):
            self.start_until_it_receives(away)
            self.kill(away, 0.2)
            if whole_snapshots(away) and not receives(away):
                break  # It was there before the kill: it may not need another one.
        away.start()

    def of_sender(self):
        away = self.send_away()
        self.start_until_it_receives(away)
        sender = self.cluster.leader()
        if sender and sender is not away:
            self.hit["sender in a transfer"] += receives(away)
            self.kill(sender, 0.1)
            sender.start()
