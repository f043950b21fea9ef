"""The node of the highest priority leads whenever it can, and nobody waits for it when it cannot."""

import threading
import time

from cluster import wait_for
from load import RETRYABLE


class Writer:
    """One client of one node that writes without a pause: how often it was done, and what else it was told."""

    def __init__(self, node):
        self.node, self.done, self.refusals = node, 0, {}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _write(self):
        while not self.stopping.is_set():
            answer = self.node.put("k", str(self.done), "?timeout=1s")
            if answer.status in (200, 201):
                self.done += 1
                continue
            error = answer.json()["error"]
            self.refusals[error] = self.refusals.get(error, 0) + 1
            time.sleep(0.005)

    def wait_more(self, writes=20):
        goal = self.done + writes
        wait_for(lambda: self.done >= goal, f"{writes} more writes are acknowledged")

    def stop(self):
        self.stopping.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


def test_the_node_of_highest_priority_leads_again_when_it_has_come_back_while_writes_go_on(make_cluster):
    cluster = make_cluster(3)
    preferred, other, client = cluster.nodes
    other.start()
    client.start()
    wait_for(lambda: cluster.leader() in (other, client), "one of the two leads")
    preferred.start("--set", "raft.priority=10")
    wait_for(lambda: cluster.leader() is preferred, "the node of the highest priority leads")
    writer = Writer(client)
    writer.wait_more()
    preferred.kill()
    wait_for(lambda: cluster.leader() in (other, client), "another one leads while it is away")
    writer.wait_more()
    preferred.start("--set", "raft.priority=10")
    wait_for(lambda: cluster.leader() is preferred, "it leads again")
    term = preferred.status()["term"]
    writer.wait_more()
    writer.stop()
    assert set(writer.refusals) <= RETRYABLE, writer.refusals
    assert cluster.leader() is preferred
    assert preferred.status()["term"] == term, "and stays leader"
    assert any("higher priority" in n.log() for n in (other, client))
    cluster.wait_applied()
