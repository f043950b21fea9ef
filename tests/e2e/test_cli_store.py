"""What people type, on a real cluster: counters, lives of keys, transactions, leases, watches, locks and elections."""

import json
import os
import signal
import subprocess
import threading

import pytest

from cluster import PATIENCE, RAFTD, TIMEOUT_S, wait_for


@pytest.fixture
def cluster(make_cluster):
    return make_cluster(3).start()


@pytest.fixture
def cli(cluster):
    """cli(arguments..., expect=0) gives what it prints; cli.start(...) gives it running."""
    running = []
    everyone = ",".join(f"127.0.0.1:{n.http_port}" for n in cluster.nodes)

    def start(*arguments, endpoints=everyone, **options):
        options = {"stdin": subprocess.DEVNULL, **options}
        patience = () if "--timeout" in arguments else ("--timeout", "30s")
        running.append(subprocess.Popen([os.path.abspath(RAFTD), "--endpoints", endpoints, *patience, *map(str, arguments)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options))
        return running[-1]

    def run(*arguments, expect=0, input=None, **options):
        if input is not None:
            options["stdin"] = subprocess.PIPE
        process = start(*arguments, **options)
        out, error = process.communicate(input, timeout=30 * PATIENCE)
        assert process.returncode == expect, (out, error)
        return out.decode()

    run.start = start
    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
            process.communicate()


def lines_of(process):
    """What it has printed so far, as it comes."""
    lines = []

    def read():
        for line in process.stdout:
            lines.append(line.decode().rstrip("\n"))

    threading.Thread(target=read, daemon=True).start()
    return lines


def test_counters(cli):
    assert cli("incr", "n") == "1\n"
    assert cli("incr", "n", "41") == "42\n"
    assert cli("incr", "n", "-50") == "-8\n"
    revision = cli("put", "n", "seven")
    cli("incr", "n", expect=1)
    assert cli("incr", "m", "5", "--if-exists", expect=1) == ""
    cli("put", "n", "1", "--cas", revision.strip())


def test_a_key_lives_as_long_as_its_ttl_or_its_lease(cli):
    cli("put", "short", "v", "--ttl", "1s")
    lease = cli("lease", "grant", "60s").strip()
    cli("put", "a", "1", "--lease", lease)
    cli("put", "b", "2", "--lease", lease)
    assert f"{lease}\t60\t2\n" in cli("lease", "list")
    assert cli("lease", "keepalive", lease, "--once") == "60\n"
    assert cli("lease", "revoke", lease) == "2\n"
    assert cli("lease", "revoke", lease) == "0\n"
    cli("lease", "keepalive", lease, expect=1)
    cli("get", "a", expect=1)
    wait_for(lambda: cli("ls", "short", "--keys") == "", "the key with the ttl is gone")


def test_a_lease_is_kept_alive_until_a_signal(cli):
    lease = cli("lease", "grant", "5s").strip()
    cli("put", "a", "1", "--lease", lease)
    keeper = cli.start("lease", "keepalive", lease)
    said = lines_of(keeper)
    wait_for(lambda: len(said) >= 5, "it is renewed for longer than its ttl")
    assert cli("get", "a") == "1"
    keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(TIMEOUT_S) == 0
    wait_for(lambda: cli("ls", "a", "--keys") == "", "its key is gone")


def test_transactions(cli, workdir):
    swap = json.dumps({"if": [{"key": "a", "exists": False}], "then": [{"put": "a", "value": "1"}],
                       "else": [{"get": "a"}]})
    (workdir / "swap").write_text(swap)
    assert json.loads(cli("txn", workdir / "swap"))["succeeded"] is True
    again = json.loads(cli("txn", input=swap.encode(), expect=1))
    assert again["results"][0]["item"]["value"] == "1"
    cli("txn", input=b'{"then":[{"put":"a"', expect=1)


def test_a_watch_misses_and_repeats_nothing_while_its_nodes_restart(cluster, cli):
    watch = cli.start("watch", "--prefix", "w/", "--timeout", "60s")
    said = lines_of(watch)
    # It is there once it has seen something.
    wait_for(lambda: cli("incr", "w/begin") and said, "the watch has begun")
    cli("del", "w/begin")
    for i in range(3):
        victim = cluster.nodes[i]
        cli("put", f"w/{i}a", "before")
        victim.kill()
        cli("put", f"w/{i}b", "while", "--timeout", "30s")
        victim.start()
        cluster.wait_leader()
        wait_for(victim.status, "the node answers")
    cli("put", "w/end", "now")
    wait_for(lambda: said and "w/end" in said[-1], "the last change is there")
    keys = [line.split("\t")[2] for line in said if "w/begin" not in line]
    assert keys == ["w/0a", "w/0b", "w/1a", "w/1b", "w/2a", "w/2b", "w/end"]
    revisions = [int(line.split("\t")[1]) for line in said]
    assert revisions == sorted(set(revisions))


def test_a_command_runs_for_each_change(cli, workdir):
    watch = cli.start("watch", "k", "--", "sh", "-c", 'echo "$RAFTD_EVENT $RAFTD_KEY $(cat)" >> log', cwd=workdir)
    log = workdir / "log"
    wait_for(lambda: cli("put", "k", "first") and log.exists(), "the watch has begun")
    cli("del", "k")
    cli("put", "k", "last")
    wait_for(lambda: log.read_text().endswith("delete k \nput k last\n"), "each change has had its run")
    assert watch.poll() is None


def test_one_at_a_time_under_a_lock(cli, workdir):
    script = "mkdir busy || echo overlap >> log; echo x >> log; sleep 0.05; rmdir busy"
    jobs = [cli.start("lock", "l", "--", "sh", "-c", script, cwd=workdir) for _ in range(6)]
    for job in jobs:
        assert job.wait(60 * PATIENCE) == 0
    assert (workdir / "log").read_text() == "x\n" * 6


def test_a_lock_that_somebody_holds(cli, workdir):
    holder = cli.start("lock", "l", "--", "sh", "-c", ": > held; sleep 60", cwd=workdir)
    wait_for((workdir / "held").exists, "the lock is held")
    assert cli("lock", "l", "--wait", "0s", "--", "echo", "no", expect=1) == ""
    holder.send_signal(signal.SIGTERM)
    assert holder.wait(TIMEOUT_S) == 128 + signal.SIGTERM
    assert cli("lock", "l", "--wait", "0s", "--", "echo", "yes") == "yes\n"


def test_what_is_written_with_a_lost_fence_is_refused(cluster, cli):
    fence = cli("lock", "l", "--", "sh", "-c", 'echo "$RAFTD_FENCE"').strip()
    answer = cluster.nodes[0].request("PUT", "/kv/a", "late", {"Raftd-Fence": fence})
    assert answer.status == 412
    port = cluster.nodes[0].http_port
    curl = f'exec curl -sfX PUT -d held -H "Raftd-Fence: $RAFTD_FENCE" http://127.0.0.1:{port}/kv/a'
    cli("lock", "l", "--", "sh", "-c", curl)
    assert cli("get", "a") == "held"


def test_a_lock_outlives_the_leader(cluster, cli, workdir):
    holder = cli.start("lock", "l", "--ttl", "12s", "--", "sh", "-c",
                       ": > held; while ! test -e stop; do sleep 0.01; done", cwd=workdir)
    wait_for((workdir / "held").exists, "the lock is held")
    waiter = cli.start("lock", "l", "--", "echo", "mine")
    leader = cluster.wait_leader()
    leader.kill()
    left_ms = []

    def renewed():
        answer = cluster.wait_leader().request("GET", "/lock/l")
        if answer.status == 200:
            left_ms.append(answer.json()["expires_in_ms"])
        return left_ms and left_ms[-1] > min(left_ms)
    wait_for(renewed, "the new leader has it renewed", pause=0.1)
    assert holder.poll() is None
    (workdir / "stop").touch()
    assert holder.wait(TIMEOUT_S) == 0
    out, error = waiter.communicate(timeout=30 * PATIENCE)
    assert (waiter.returncode, out) == (0, b"mine\n"), error


def test_an_election_changes_hands(cli):
    first = cli.start("elect", "db", "one")
    first.stdout.readline()
    second = cli.start("elect", "db", "two")
    cli("elect", "db", "three", "--wait", "0s", expect=1)
    first.send_signal(signal.SIGTERM)
    assert first.wait(TIMEOUT_S) == 0
    assert int(second.stdout.readline()) > 0


def test_a_write_that_is_tried_again_counts_once(cluster, cli):
    """Leaders die while counters are counted up: each command that says it has counted has, exactly once."""
    done = 0
    for round in range(3):
        leader = cluster.wait_leader()
        for i in range(20):
            if i == 5:
                leader.kill()
            process = cli.start("incr", "n", "--timeout", "30s")
            out, error = process.communicate(timeout=60 * PATIENCE)
            assert process.returncode == 0, error
            done += 1
            assert int(out) == done
        leader.start()
        wait_for(leader.status, "the node answers")
