"""Members are removed and promoted on real nodes, while clients write."""

import json

from cluster import Cluster, wait_for
from load import put_many
from test_backup import raftd

REMOVED = 75  # Exit status of a node that is no member any more.


def endpoints(*nodes):
    return "--endpoints=" + ",".join(f"127.0.0.1:{n.http_port}" for n in nodes)


def roles(node):
    answer = wait_for(lambda: (a := node.request("GET", "/cluster")).status == 200 and a, "it confirms its members")
    return {m["id"]: m["role"] for m in answer.json()["members"]}


def seen_by(leader):
    return {m["id"]: m for m in leader.status()["members"]}


def removed(node, member):
    """Asks as a client does: again where the answer says so, since a loaded machine changes its leader by itself."""
    unknown = False

    def answered():
        nonlocal unknown
        answer = node.request("DELETE", f"/cluster/members/{member}")
        unknown = unknown or answer.status == 504
        assert answer.status in (200, 409, 503, 504), answer
        return answer.json() if answer.status == 200 else None
    return wait_for(answered, "it is removed")["removed"] or unknown


def test_five_become_three_become_one_and_writes_go_on(tmp_path):
    cluster = Cluster(tmp_path, size=5).start().wait_published()
    try:
        leader = cluster.wait_leader()
        put_many(leader.http_port, [f"a{i}" for i in range(50)], b"x")
        first, second, third, fourth = [n for n in cluster.nodes if n is not leader]
        assert removed(second, f"n{first.id}")  # Asked of a follower, by name.
        assert removed(leader, second.id)
        assert not removed(leader, second.id)
        assert set(roles(third)) == {leader.id, third.id, fourth.id}
        for gone in (first, second):
            assert gone.ended() == REMOVED
        put_many(third.http_port, [f"b{i}" for i in range(50)], b"x")
        assert removed(leader, leader.id)  # It hands over.
        next_leader = wait_for(lambda: next((n for n in (third, fourth) if n.status()["role"] == "leader"), None),
                               "another one leads")
        other = third if next_leader is fourth else fourth
        put_many(next_leader.http_port, [f"c{i}" for i in range(50)], b"x")
        assert removed(next_leader, other.id)
        assert roles(next_leader) == {next_leader.id: "voter"}
        last = next_leader.request("DELETE", f"/cluster/members/{next_leader.id}")
        assert last.status == 409 and last.json()["error"] == "last_voter"
        for key in ("a49", "b49", "c49"):
            assert next_leader.get(key).body == b"x"
        assert other.ended() == REMOVED
        next_leader.kill()
        next_leader.start()  # It is the only member, whatever its file says.
        wait_for(lambda: (s := next_leader.status()) and s["role"] == "leader", "it leads alone")
        assert next_leader.get("c0").body == b"x"
        assert roles(next_leader) == {next_leader.id: "voter"}
    finally:
        cluster.close()


def test_a_removal_that_would_leave_no_majority_that_answers_is_refused(tmp_path):
    cluster = Cluster(tmp_path).start()
    try:
        leader = cluster.wait_leader()
        dead, live = [n for n in cluster.nodes if n is not leader]
        dead.kill()
        wait_for(lambda: seen_by(leader)[dead.id]["state"] == "unreachable", "it is missed")
        refused = leader.request("DELETE", f"/cluster/members/{live.id}")
        assert refused.status == 503 and refused.json()["error"] == "not_ready", refused
        assert leader.put("still", b"x").status in (200, 201)
        assert removed(leader, dead.id)
        assert set(roles(leader)) == {leader.id, live.id}
    finally:
        cluster.close()


def test_a_learner_is_promoted_once_it_has_the_log(tmp_path):
    cluster = Cluster(tmp_path, size=4, learners=(4,))
    learner = cluster.nodes[3]
    for node in cluster.nodes[:3]:
        node.start()
    try:
        leader = cluster.wait_leader()
        put_many(leader.http_port, [f"k{i}" for i in range(50)], b"x")
        assert roles(leader)[4] == "learner"
        early = leader.request("POST", "/cluster/members/4/promote")
        assert early.status == 409 and early.json()["error"] == "not_caught_up", early
        learner.start()
        cluster.wait_applied()
        wait_for(lambda: seen_by(leader)[4]["lag"] == 0 and seen_by(leader)[4]["state"] == "replicate", "it has said so")
        assert learner.get("k49", "?consistency=stale").body == b"x"
        said = raftd("member", "promote", "n4", endpoints(learner))
        assert said.stdout == b"voter\n"
        assert roles(learner) == {1: "voter", 2: "voter", 3: "voter", 4: "voter"}
        others = [n for n in cluster.nodes[:3] if n is not leader]
        others[0].kill()
        assert leader.put("with-the-fourth", b"x").status in (200, 201)  # Three of four.
        assert raftd("member", "remove", str(others[0].id), endpoints(leader)).stdout == b"removed\n"
        listed = json.loads(raftd("members", "--output=json", endpoints(learner)).stdout)
        assert {m["id"] for m in listed["members"]} == {1, 2, 3, 4} - {others[0].id}
    finally:
        cluster.close()
