"""raftd repair with real processes: a node whose log is damaged inside comes back without forgetting what it promised."""

import time

from cluster import ELECTION_TIMEOUT_MS, Cluster, wait_for
from load import put_many
from test_backup import raftd, tree

SMALL = '[snapshot]\nentries = 1000000\n'  # None is made, so that all of it is the log's.


def damaged_cluster(tmp_path, extra=SMALL):
    """Three nodes, the third of which is stopped, with a bit flipped in the midst of its log."""
    cluster = Cluster(tmp_path, extra=extra).start()
    leader = cluster.wait_leader()
    put_many(leader.http_port, [f"key-{i}" for i in range(300)], b"value")
    cluster.wait_applied()
    node = cluster.follower()
    node.stop()
    return cluster, node


def segment_with(node, text):
    """The segment that holds this text, and where."""
    for path in sorted(node.data_dir.glob("log-*")):
        at = path.read_bytes().find(text)
        if at >= 0:
            return path, at
    raise AssertionError(f"no segment holds {text}")


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def persisted(node):
    return node.request("GET", "/admin/debug").json()["raft_log"]["persisted"]


def config(node):
    return f"--config={node.dir / 'node.toml'}"


def content(node):
    """Every file; LOCK says who was there last."""
    return {name: data for name, data in tree(node.data_dir).items() if name != "LOCK"}


def refused_start(node):
    node.log_path.unlink()
    node.start()
    assert node.ended() == 65
    assert node.log().endswith("raftd repair, see raftd(8)\n")
    return node.log()


def test_a_damaged_follower_is_repaired_and_catches_up(tmp_path):
    cluster, node = damaged_cluster(tmp_path)
    try:
        path, at = segment_with(node, b"key-100")
        flip(path, at)
        assert path.name in refused_start(node)
        told = raftd("repair", config(node)).stdout.decode()
        assert path.name in told and "set aside: " + path.name in told
        assert (node.data_dir / ("damaged-" + path.name)).exists() and not path.exists()
        put_many(cluster.wait_leader().http_port, ["later"], b"yes")
        node.start()
        cluster.wait_applied()
        assert node.get("key-100", "?consistency=stale").body == b"value"
        assert node.get("later", "?consistency=stale").body == b"yes"
        assert "the log was repaired" in node.log()
        # Whole again, once its disk has it: nothing is remembered, and it counts like any other.
        wait_for(lambda: persisted(node) >= node.status()["commit_index"], "its disk has all of it")
        node.stop()
        node.start()
        cluster.wait_applied()
        assert not (node.data_dir / "REPAIR").exists()
        assert raftd("describe", "metadata", node.data_dir).returncode == 0
        others = [n for n in cluster.nodes if n is not node]
        others[0].kill()
        leader = cluster.wait_leader()
        assert leader.put("without-the-first", "ok").status in (200, 201)
    finally:
        cluster.close()


def test_a_repaired_node_does_not_make_a_leader_of_one_that_lacks_what_it_acknowledged(tmp_path):
    cluster, node = damaged_cluster(tmp_path)
    try:
        leader = cluster.wait_leader()
        behind = next(n for n in cluster.nodes if n is not node and n is not leader)
        node.start()
        cluster.wait_applied()
        behind.kill()
        assert leader.put("only-on-two", "kept").status in (200, 201)
        node.stop()
        path, at = segment_with(node, b"key-100")
        flip(path, at)
        raftd("repair", config(node))
        leader.kill()  # It and the damaged one held the write.
        behind.start()
        node.start()
        wait_for(lambda: node.status(), "it listens")
        end = time.monotonic() + 10 * ELECTION_TIMEOUT_MS / 1000  # Nobody may win in all that time.
        while time.monotonic() < end:
            assert not (behind.status() or {}).get("leader") and not (node.status() or {}).get("leader")
        leader.start()
        cluster.wait_leader()
        cluster.wait_applied()
        for each in cluster.nodes:
            assert each.get("only-on-two").body == b"kept"
    finally:
        cluster.close()


def test_a_good_log_is_left_alone_and_what_cannot_be_repaired_is_refused(tmp_path):
    cluster, node = damaged_cluster(tmp_path)
    try:
        before = content(node)
        assert b"nothing to repair" in raftd("repair", config(node)).stdout
        assert content(node) == before
        leader = cluster.wait_leader()
        in_use = raftd("repair", config(leader), expect=73)
        assert in_use.stderr.decode().startswith(f"raftd: data directory {leader.data_dir} is locked"), in_use
        for path in node.data_dir.glob("log-*"):
            path.write_bytes(b"\7" * path.stat().st_size)
        before = content(node)
        hopeless = raftd("repair", config(node), expect=65)
        assert b"replace this member" in hopeless.stderr
        assert content(node) == before
        raftd("repair", expect=64)
        raftd("repair", "--config", tmp_path / "none.toml", expect=78)
    finally:
        cluster.close()


def test_the_only_voter_is_refused(tmp_path):
    cluster = Cluster(tmp_path, size=1, extra=SMALL).start()
    try:
        node = cluster.wait_leader()
        put_many(node.http_port, [f"key-{i}" for i in range(300)], b"value")
        node.stop()
        path, at = segment_with(node, b"key-100")
        flip(path, at)
        assert b"the only voter" in raftd("repair", config(node), expect=65).stderr
    finally:
        cluster.close()
