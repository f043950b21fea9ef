"""Members that are removed learn of it and end; a member leaves by itself."""

from cluster import wait_for
from load import put_many
from test_backup import raftd
from test_members import REMOVED, endpoints, removed, roles, seen_by


def test_a_removed_member_is_told_writes_it_down_and_ends(make_cluster):
    cluster = make_cluster().start().wait_published()
    gone = cluster.follower()
    others = [n for n in cluster.nodes if n is not gone]
    put_many(gone.http_port, [f"k{i}" for i in range(20)], b"x")
    assert removed(others[0], gone.id)
    assert gone.ended() == REMOVED
    assert f"node {gone.id} was removed from the cluster" in gone.log()
    assert "was removed" in (gone.data_dir / "REMOVED").read_text()
    gone.start()
    assert gone.ended() == REMOVED
    assert "join as a new member with an empty data directory" in gone.log()
    assert set(roles(others[1])) == {n.id for n in others}
    assert others[1].get("k19").body == b"x"


def test_a_member_that_is_asked_to_remove_itself_says_that_it_is_done(make_cluster):
    cluster = make_cluster(5).start().wait_published()
    for gone in (cluster.follower(), cluster.wait_leader()):
        assert removed(gone, gone.id)
        assert gone.ended() == REMOVED
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
        assert gone.ended() == REMOVED


def test_a_follower_and_a_leader_leave_and_writes_go_on(make_cluster):
    cluster = make_cluster(4).start().wait_published()
    leader = cluster.wait_leader()
    follower = cluster.follower()
    asked = follower.request("POST", "/cluster/leave")
    assert asked.status == 202 and asked.json() == {"leaving": True}, asked
    assert follower.ended() == 0
    assert raftd("leave", "--timeout=60s", endpoints(leader)).stdout == b"left\n"
    assert leader.ended() == 0
    rest = [n for n in cluster.nodes if n not in (leader, follower)]
    assert set(roles(rest[0])) == {n.id for n in rest}
    put_many(rest[1].http_port, [f"k{i}" for i in range(20)], b"x")
    for gone in (leader, follower):
        assert "has left the cluster" in gone.log()
        gone.start()
        assert gone.ended() == REMOVED
    raftd("leave", endpoints(*rest), expect=64)


def test_who_cannot_leave_tries_on_and_leaves_when_enough_are_back(make_cluster):
    cluster = make_cluster().start().wait_published()
    stays = cluster.wait_leader()
    leaver, dead = [n for n in cluster.nodes if n is not stays]
    dead.kill()
    wait_for(lambda: seen_by(stays)[dead.id]["state"] == "unreachable", "it is missed")
    assert leaver.request("POST", "/cluster/leave").status == 202
    wait_for(lambda: "has not left the cluster yet and tries on" in leaver.log(), "it says why it is there")
    assert leaver.request("POST", "/cluster/leave").status == 202
    assert stays.put("k", b"x").status in (200, 201)
    dead.start()
    assert leaver.ended() == 0
    assert set(roles(stays)) == {stays.id, dead.id}


def test_the_only_voter_stays(make_cluster):
    cluster = make_cluster(1).start()
    refused = cluster.nodes[0].request("POST", "/cluster/leave")
    assert refused.status == 409 and refused.json()["error"] == "last_voter", refused
    raftd("leave", endpoints(cluster.nodes[0]), expect=1)
    assert cluster.nodes[0].put("k", b"x").status == 201
