"""No space left: for a follower, the leader, everybody, at a start. Nothing acknowledged is lost, and it ends by itself."""

import pytest

from cluster import wait_for
from faults import SmallDisk, can_mount
from load import put_many

pytestmark = pytest.mark.skipif(not can_mount(), reason="small disks are mounted, which needs root")

DISK_MIB = 36  # Log files of 8 MiB, of which three are there soon after a start.
VALUE = b"v" * 100_000
ROUNDS_MAX = 400


@pytest.fixture
def small_disks():
    """small_disks(nodes): a disk of its own for each node that has not been started yet."""
    disks = []

    def make(nodes):
        made = [SmallDisk(n, DISK_MIB) for n in nodes]
        disks.extend(made)
        return made

    yield make
    for d in disks:
        d.close()


def is_full(node):
    return "disk_full" in (node.status() or {"warnings": []})["warnings"]


class Writer:
    """Puts ever new values and remembers what each key may hold, by what was answered."""

    def __init__(self):
        self.count, self.acknowledged, self.kept = 0, 0, {}

    def put(self, node, timeout="5s"):
        self.count += 1
        key, value = f"k{self.count % 20}", b"%d." % self.count + VALUE
        answer = node.put(key, value, f"?timeout={timeout}")
        if answer.status in (200, 201):
            self.kept[key] = {value}
            self.acknowledged += 1
        elif answer.json()["outcome"] == "unknown":
            self.kept[key] = {value, *self.kept.get(key, {None})}
        return answer

    def put_until(self, node, condition, timeout="5s"):
        """Until the condition holds for an answer. An election meanwhile is nobody's fault."""
        for _ in range(ROUNDS_MAX):
            if condition(self.put(node, timeout)):
                return
        raise AssertionError("it did not come to that")

    def put_more(self, node, count):
        goal = self.acknowledged + count
        wait_for(lambda: self.put(node) and self.acknowledged >= goal, f"{count} more writes", 60, pause=0)

    def verify(self, nodes):
        for n in nodes:
            for key, values in self.kept.items():
                answer = n.get(key, "?timeout=20s")
                assert (answer.body if answer.status == 200 else None) in values, f"{key} at node {n.id}: {answer.status} {answer.body[:300]}"


def test_a_full_follower_says_so_and_the_others_go_on_without_it(make_cluster, small_disks):
    cluster = make_cluster(3)
    disk = small_disks(cluster.nodes[:1])[0]
    cluster.start()
    full, others = cluster.nodes[0], cluster.nodes[1:]

    def follows():
        return cluster.wait_leader() is not full or full.request("POST", "/cluster/transfer").status == 200
    wait_for(follows, "another node leads")
    disk.fill()
    writer = Writer()
    writer.put_until(others[0], lambda answer: is_full(full))
    not_ready = full.request("GET", "/readyz")
    assert not_ready.status == 503
    assert not_ready.json()["checks"]["disk"] is False
    assert full.request("GET", "/health").status == 503
    wait_for(lambda: all(n.request("GET", "/readyz").status == 200 for n in others), "the others are ready")
    assert "no space left" in full.log()
    # It would never hear what became of a write.
    refused = wait_for(lambda: (a := full.put("through-the-full-one", "x")).status == 503 and a, "it refuses writes")
    assert refused.json()["error"] == "not_ready" and refused.json()["outcome"] == "none"
    writer.put_more(others[1], 30)
    disk.free()
    last = others[0].status()["last_index"]
    wait_for(lambda: (full.status() or {}).get("applied_index", 0) >= last, "it has caught up by itself", 30)
    wait_for(lambda: full.request("GET", "/readyz").status == 200, "it is ready again", 10)
    writer.verify(cluster.nodes)


def test_a_full_leader_refuses_writes_without_effect_and_gives_up_leadership(make_cluster, small_disks):
    cluster = make_cluster(3)
    disks = small_disks(cluster.nodes)
    cluster.start()
    leader = cluster.wait_leader()
    disk = disks[leader.id - 1]
    disk.fill()
    writer = Writer()
    writer.put_until(leader, lambda answer: is_full(leader))
    wait_for(lambda: leader.get("k1").status == 200, "reads go on")
    wait_for(lambda: cluster.leader() not in (None, leader), "another node leads", 30)
    for n in cluster.nodes:
        if n is not leader:
            wait_for(lambda n=n: writer.put(n).status in (200, 201), f"writes through node {n.id} go on", 10)
    assert writer.put(leader).status == 503, "it could not tell its clients what became of their writes"
    disk.free()
    wait_for(lambda: not is_full(leader), "it has found the space", 10)
    cluster.wait_applied()
    writer.verify(cluster.nodes)


def test_when_every_disk_is_full_reads_go_on_and_writes_resume_when_there_is_space(make_cluster, small_disks):
    cluster = make_cluster(3)
    disks = small_disks(cluster.nodes)
    cluster.start()
    leader = cluster.wait_leader()
    for d in disks:
        d.fill()
    writer = Writer()
    # Some may have been taken by the leader's disk and not by the others': those may still happen.
    writer.put_until(leader, lambda answer: all(map(is_full, cluster.nodes)), "500ms")
    assert writer.acknowledged > 10
    wait_for(lambda: cluster.wait_leader().put("refused", "x", "?timeout=500ms").status == 507, "writes are refused")
    for n in cluster.nodes:
        assert n.put("refused", "x", "?timeout=500ms").json()["outcome"] == "none"
    key, values = next(iter(writer.kept.items()))
    wait_for(lambda: cluster.wait_leader().get(key).body in values, "reads go on")
    for d in disks:
        d.free()
    wait_for(lambda: cluster.nodes[0].put("again", "x", "?timeout=1s").status in (200, 201), "writes resume", 20)
    cluster.wait_applied()
    writer.verify(cluster.nodes)


def test_a_node_killed_again_and_again_on_a_full_disk_starts_each_time_and_loses_nothing(make_cluster, small_disks):
    cluster = make_cluster(1)
    node = cluster.nodes[0]
    disk = small_disks([node])[0]
    cluster.start()
    disk.fill()
    writer = Writer()
    writer.put_until(node, lambda answer: answer.status == 507)
    for start in range(4):
        node.kill()
        disk.fill()
        assert disk.bytes_free() == 0
        node.start()
        wait_for(lambda: is_full(node), "it answers and says so")
        assert node.request("GET", "/readyz").status == 503
        assert node.put("refused", "x", "?timeout=500ms").status in (503, 507)
        if start == 0 and node.status().get("leader"):
            # Nearly always there was room for the vote for itself. Alone, and without, it cannot know what is committed.
            writer.verify([node])
    disk.free()
    wait_for(lambda: node.put("again", "x", "?timeout=1s").status in (200, 201), "writes resume", 20)
    writer.verify([node])


def test_a_follower_restarted_on_a_full_disk_serves_linearizable_reads(make_cluster, small_disks):
    cluster = make_cluster(3)
    disk = small_disks(cluster.nodes[:1])[0]
    # What a member publishes of itself may come after a hundred writes, and then the full one lacks it.
    cluster.start().wait_published()
    full, other = cluster.nodes[0], cluster.nodes[1]
    assert put_many(other.http_port, [f"old{i}" for i in range(100)], b"x" * 1000) == 100
    cluster.wait_applied()
    full.kill()
    disk.fill()
    assert disk.bytes_free() == 0
    full.start()
    wait_for(lambda: (full.status() or {}).get("leader"), "it follows", 10)
    assert full.get("old99").body == b"x" * 1000
    assert full.alive()
