"""Members that are removed learn of it and end; a member leaves by itself."""

from cluster import wait_for
from load import put_many
from test_members import REMOVED, removed, roles


def ended(node, seconds=60):
    return node.process.wait(seconds)


def test_a_removed_member_is_told_writes_it_down_and_ends(make_cluster):
    cluster = make_cluster().start().wait_published()
    gone = cluster.follower()
    others = [n for n in cluster.nodes if n is not gone]
    put_many(gone.http_port, [f"k{i}" for i in range(20)], b"x")
    assert removed(others[0], gone.id)
    assert ended(gone) == REMOVED
    assert f"node {gone.id} was removed from the cluster" in gone.log()
    assert "was removed" in (gone.data_dir / "REMOVED").read_text()
    gone.start()
    assert ended(gone) == REMOVED
    assert "join as a new member with an empty data directory" in gone.log()
    assert set(roles(others[1])) == {n.id for n in others}
    assert others[1].get("k19").body == b"x"


def test_a_member_that_is_asked_to_remove_itself_says_that_it_is_done(make_cluster):
    cluster = make_cluster(5).start().wait_published()
    for gone in (cluster.follower(), cluster.wait_leader()):
        assert removed(gone, gone.id)
        assert ended(gone) == REMOVED
        assert (gone.data_dir / "REMOVED").exists()
        rest = next(n for n in cluster.nodes if n.alive())
        assert gone.id not in roles(rest)


def test_a_member_that_was_away_hears_of_its_removal_when_it_is_back(make_cluster):
    for place in (0, 2):  # The one that is dialled, the one that dials.
        cluster = make_cluster().start().wait_published()
        gone = cluster.nodes[place]
        rest = cluster.nodes[1]
        gone.pause()
        wait_for(lambda: (s := rest.status()) and s["leader"] and s["leader"]["id"] != gone.id, "another one leads")
        assert removed(rest, gone.id)
        gone.resume()
        assert ended(gone) == REMOVED
