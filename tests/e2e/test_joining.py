"""Machines join real clusters with the real commands, and clusters grow, shrink and replace their members.

That tickets expire is not here: the shortest one lasts a minute (unit/kv/membership_test.cc, unit/cli/join_test.cc)."""

import json

from cluster import ELECTION_TIMEOUT_MS, wait_for
from load import Writer
from test_backup import raftd
from test_members import REMOVED, endpoints, removed, roles, seen_by
from test_snapshot import SMALL, check, files, write

REFUSED = 1
OTHER_CLUSTER = 73
SPENT = "is not known, was used by another node, or has expired"


def becomes(machine, role, asked):
    """Waits until the cluster says so of the machine; returns its id."""
    def so():
        member = machine.member_id()
        return member if member and roles(asked).get(member) == role else None
    return wait_for(so, f"{machine.dir.name} is a {role}", 40)


def has(machine, key, value):
    return (status := machine.status()) and status["leader"] and machine.get(key, "?consistency=stale").body == value


def ticket(node, path, *options):
    """A ticket for another machine, in a file."""
    path.write_bytes(raftd("member", "add", "--ticket", *options, endpoints(node)).stdout)
    return path


def test_a_machine_joins_under_writes_and_votes_by_itself_and_a_learner_stays_one(make_cluster):
    cluster = make_cluster().start().wait_published()
    first = cluster.nodes[0]
    voter, learner = cluster.machine("voter"), cluster.machine("learner")
    with Writer(cluster.nodes) as writer:
        learner.join(first, "--learner")
        learner_id = becomes(learner, "learner", first)  # First: it has had its time when the other one votes.
        voter.join(first, "--name=db5")
        voter_id = becomes(voter, "voter", cluster.nodes[1])
    assert (learner_id, voter_id) == (4, 5) and voter.status()["name"] == "db5"
    assert roles(voter) == {1: "voter", 2: "voter", 3: "voter", voter_id: "voter", learner_id: "learner"}
    writer.check(voter)
    assert first.request("GET", "/cluster/tickets").json() == {"tickets": []}

    def configured():
        return first.request("GET", "/cluster").json()["config_index"]
    voter.kill()
    before = configured()
    assert voter.join(first).ended() == 0
    assert f"node {voter_id} has joined cluster" in voter.log()
    voter.start("--join", f"http://127.0.0.1:{first.http_port}")  # As systemd has it.
    wait_for(lambda: has(voter, "written-0", b"written-0"), "it is back")
    assert "TICKET" not in voter.names()
    assert first.request("GET", f"/cluster/members/{voter_id}").json()["role"] == "voter"
    assert configured() == before
    assert learner.stop() == 0 and voter.stop() == 0


def test_one_grows_to_five_and_shrinks_to_three_and_nothing_acknowledged_is_lost(make_cluster):
    cluster = make_cluster(1).start().wait_published()
    founder = cluster.nodes[0]
    machines = [cluster.machine(name) for name in ("a", "b", "c", "d")]
    with Writer([founder]) as writer:
        for machine in machines:  # All at once: their changes are made one after the other.
            machine.join(founder)
        ids = [becomes(machine, "voter", founder) for machine in machines]
        assert sorted(ids) == [2, 3, 4, 5]
        writer.nodes += machines
        for gone, member in ((founder, founder.id), (machines[0], ids[0])):
            writer.nodes.remove(gone)
            assert removed(machines[1], member)
            assert gone.ended() == REMOVED
        goal = len(writer.acknowledged) + 20
        wait_for(lambda: len(writer.acknowledged) >= goal, "writes go on")
    for machine in machines[1:]:
        assert set(roles(machine)) == set(ids[1:])
        writer.check(machine)


def test_one_ticket_on_two_machines_admits_one_whoever_comes_first(make_cluster):
    cluster = make_cluster(1).start().wait_published()
    node = cluster.nodes[0]
    for round_number in range(3):
        carried = ticket(node, cluster.dir / f"ticket{round_number}", "--learner")
        machines = [cluster.machine(f"{name}{round_number}") for name in ("a", "b")]
        for machine in machines:
            machine.join(node, f"--ticket={carried}")
        loser = wait_for(lambda: next((m for m in machines if not m.alive()), None), "one is refused")
        winner = next(m for m in machines if m is not loser)
        assert loser.process.wait() == REFUSED and SPENT in loser.log(), loser.log()
        assert becomes(winner, "learner", node) == 2 + round_number
        late = cluster.machine(f"late{round_number}")
        assert late.join(node, f"--ticket={carried}").ended() == REFUSED
        assert SPENT in late.log()
        assert "IDENTITY" not in loser.names() | late.names()
    assert set(roles(node)) == {1, 2, 3, 4}


def test_a_ticket_that_was_taken_back_is_refused_and_another_machine_gets_another_id(make_cluster):
    cluster = make_cluster(1).start().wait_published()
    node, machine = cluster.nodes[0], cluster.machine("a")
    carried = ticket(node, cluster.dir / "ticket")
    number = json.loads(carried.read_text())["id"]
    assert node.request("DELETE", f"/cluster/tickets/{number}").json() == {"deleted": 1}
    assert machine.join(node, f"--ticket={carried}").ended() == REFUSED
    assert SPENT in machine.log()
    machine.join(node, "--learner")  # The same directory: the old ticket in it is not in the way.
    assert becomes(machine, "learner", node) == number + 1


def test_a_joiner_that_is_killed_at_any_step_is_one_member_in_the_end(make_cluster):
    cluster = make_cluster(1).start().wait_published()
    node = cluster.nodes[0]
    node.put("k", b"x")
    steps = {
        "directory": lambda m: m.data_dir.exists(),
        "ticket": lambda m: "TICKET" in m.names(),
        "log": lambda m: any(name.startswith("log-") for name in m.names()),
        "identity": lambda m: "IDENTITY" in m.names(),
        "answering": lambda m: m.status(),
        "member": lambda m: has(m, "k", b"x"),
    }
    machines = [cluster.machine(f"killed-{name}") for name in steps] + [cluster.machine("killed-always")]
    for machine, step in zip(machines, steps.values()):
        machine.join(node, "--learner")
        wait_for(lambda: step(machine), f"the step of {machine.dir.name}", pause=0.0002)
        machine.kill()
    for step in steps.values():
        machines[-1].join(node, "--learner")
        wait_for(lambda: step(machines[-1]) or not machines[-1].alive(), "a step", pause=0.0002)
        machines[-1].kill()
    for machine in machines:
        machine.join(node, "--learner")
        wait_for(lambda: machine.status() or not machine.alive(), "it has joined, or had")
        if not machine.alive():
            assert machine.process.returncode == 0, machine.log()
            machine.start()
    ids = {becomes(machine, "learner", node) for machine in machines}
    assert len(ids) == len(machines) and set(roles(node)) == ids | {node.id}
    for machine in machines:
        wait_for(lambda: has(machine, "k", b"x"), f"{machine.dir.name} has the log")


def test_a_dead_member_is_replaced_by_one_command_and_its_directory_never_comes_back(make_cluster):
    cluster = make_cluster().start().wait_published()
    dead = cluster.follower()
    asked = cluster.wait_leader()
    machine = cluster.machine("new")
    dead.kill()
    with Writer(cluster.live()) as writer:
        machine.join(asked, f"--replaces={dead.id}")
        assert becomes(machine, "voter", asked) == 4
    now = {n.id: "voter" for n in cluster.live()} | {4: "voter"}
    wait_for(lambda: roles(asked) == now, "the old one is out")
    writer.check(machine)
    dead.start()
    assert dead.ended() == REMOVED
    assert dead.start().ended() == REMOVED
    assert asked.put("k", b"x").status == 201


def test_a_wiped_machine_at_its_old_address_has_to_say_whom_it_replaces(make_cluster):
    cluster = make_cluster().start().wait_published()
    wiped, asked = cluster.follower(), cluster.wait_leader()
    machine = cluster.machine("new")
    wiped.kill()
    machine.peer_port = wiped.peer_port
    assert machine.join(asked).ended() == REFUSED
    said = f"the peer address 127.0.0.1:{wiped.peer_port} is that of member {wiped.id}: to take its place, say that"
    assert said in machine.log(), machine.log()
    assert set(roles(asked)) == {n.id for n in cluster.nodes}
    machine.join(asked, f"--replaces={wiped.id}")  # The same directory.
    assert becomes(machine, "voter", asked) == 4
    now = {n.id: "voter" for n in cluster.live()} | {4: "voter"}
    wait_for(lambda: roles(asked) == now, "the old one is out")


def test_a_machine_takes_the_place_that_etcds_member_add_has_made(make_cluster):
    cluster = make_cluster().start().wait_published()
    asked, machine = cluster.wait_leader(), cluster.machine("new")
    body = json.dumps({"peerURLs": [f"http://127.0.0.1:{machine.peer_port}"]}).encode()
    added = int(asked.request("POST", "/v3/cluster/member/add", body).json()["member"]["ID"])
    assert machine.join(asked).ended() == REFUSED
    assert f"(raftd join --replaces {added})" in machine.log(), machine.log()
    machine.join(asked, f"--replaces={added}")
    own = becomes(machine, "voter", asked)
    wait_for(lambda: set(roles(asked)) == {n.id for n in cluster.nodes} | {own}, "the place that was kept is free")


def test_a_join_waits_for_leaders_and_for_the_changes_of_others(make_cluster):
    cluster = make_cluster().start().wait_published()
    asked = cluster.nodes[0]
    machines = [cluster.machine(f"m{n}") for n in range(5)]
    for node in cluster.nodes[1:]:
        node.pause()
    late = 3 * ELECTION_TIMEOUT_MS / 1000
    wait_for(lambda: (s := asked.status()) and not s["leader"] and s["uptime_s"] > late, "there is no leader")
    for machine in machines:
        machine.join(asked, "--learner")
    refused = b'path="/cluster",code="503"'
    wait_for(lambda: refused in asked.request("GET", "/metrics").body, "they ask, and are refused for now")
    for node in cluster.nodes[1:]:
        node.resume()
    ids = {becomes(machine, "learner", asked) for machine in machines}
    assert set(roles(asked)) == {1, 2, 3} | ids and len(ids) == 5


def test_who_joins_a_cluster_that_has_dropped_its_first_entries_gets_a_snapshot(make_cluster):
    cluster = make_cluster(extra=SMALL).start().wait_published()
    leader, machine = cluster.wait_leader(), cluster.machine("late")
    expected = write(leader, 1, 1200)
    wait_for(lambda: leader.status()["first_index"] > 1, "the log is dropped behind a snapshot")
    machine.join(leader, "--learner")
    becomes(machine, "learner", leader)
    wait_for(lambda: seen_by(leader)[4]["lag"] == 0, "it has all")
    assert files(machine, "snapshot-")
    machine.kill()
    machine.start()  # What names it is the snapshot alone.
    wait_for(lambda: (s := machine.status()) and s["leader"], "it is back")
    check(machine, expected)


def test_a_directory_of_another_cluster_is_refused_untouched(make_cluster):
    here, there = make_cluster(1).start().wait_published(), make_cluster(1).start().wait_published()
    machine = here.machine("a")
    machine.join(here.nodes[0], "--learner")
    member = becomes(machine, "learner", here.nodes[0])
    machine.kill()
    assert machine.join(there.nodes[0]).ended() == OTHER_CLUSTER
    assert "belongs to cluster" in machine.log()
    carried = ticket(there.nodes[0], there.dir / "ticket")
    assert machine.join(there.nodes[0], f"--ticket={carried}").ended() == OTHER_CLUSTER
    other = here.machine("b")
    assert other.join(here.nodes[0], f"--ticket={carried}").ended() == OTHER_CLUSTER
    assert other.join(here.nodes[0]).ended() == OTHER_CLUSTER
    assert "is of another cluster" in other.log()
    assert (set(roles(here.nodes[0])), set(roles(there.nodes[0]))) == ({1, member}, {1})
    machine.start()
    assert becomes(machine, "learner", here.nodes[0]) == member
