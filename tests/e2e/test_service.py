"""The process as systemd and an operator see it: readiness, watchdog, signals, exit statuses, configuration errors."""

import os
import re
import signal
import socket
import subprocess

import pytest

from cluster import RAFTD, TIMEOUT_S, free_ports, wait_for
from faults import can_trace, injecting


class NotifySocket:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.seen = []

    def wait(self, word):
        self.socket.settimeout(TIMEOUT_S)
        while not any(word in line for line in self.seen):
            self.seen += self.socket.recv(4096).decode().splitlines()
        return next(line for line in self.seen if word in line)


def test_systemd_hears_ready_status_watchdog_reloading_and_stopping(make_cluster, workdir):
    notify = NotifySocket(workdir / "notify")
    cluster = make_cluster(1)
    node = cluster.nodes[0]
    node.start(env={"NOTIFY_SOCKET": str(workdir / "notify"), "WATCHDOG_USEC": "2000000"})
    notify.wait("READY=1")
    notify.wait("WATCHDOG=1")
    cluster.wait_leader()
    notify.seen.clear()
    node.process.send_signal(signal.SIGHUP)
    notify.wait("RELOADING=1")
    notify.wait("READY=1")
    node.process.send_signal(signal.SIGTERM)
    notify.wait("STOPPING=1")
    assert node.ended() == 0


@pytest.mark.skipif(not can_trace(), reason="needs strace and the right to trace")
def test_a_long_start_says_how_far_it_is_in_the_log_and_to_systemd(make_cluster, workdir):
    cluster = make_cluster(1, extra='[snapshot]\nentries = 20\n').start()
    node = cluster.nodes[0]
    for i in range(60):
        assert node.put(f"k{i % 10}", str(i) * 50000).status in (200, 201)
    wait_for(lambda: list(node.data_dir.glob("snapshot-*")), "a snapshot is made")
    node.kill()
    said = len(node.log())
    notify = NotifySocket(workdir / "notify")
    node.start(env={"NOTIFY_SOCKET": str(workdir / "notify")}, wrapper=injecting("pread64:delay_enter=300000"))
    assert re.fullmatch(r"STATUS=recovering: \d+ % of \d+ MiB read, \d+ MiB/s, now (log|snapshot)-\d.*",
                        notify.wait("STATUS=recovering"))
    assert int(notify.wait("EXTEND_TIMEOUT_USEC=").split("=")[1]) >= 10_000_000
    assert not any("READY=1" in line for line in notify.seen)
    notify.wait("READY=1")
    assert " info recovering: " in node.log()[said:]
    node.kill()


def test_sighup_changes_the_log_level_and_names_what_needs_a_restart(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    config = node.dir / "node.toml"
    text = config.read_text()
    config.write_text(re.sub('heartbeat_interval = ".*"', 'heartbeat_interval = "40ms"', text)
                      + '\n[logging]\nlevel = "debug"\n')
    node.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "raft.heartbeat_interval" in node.log(), "the key that needs a restart is named")
    limits = text.replace('[raft]', '[raft]\nmax_pending_bytes = "2MiB"')
    config.write_text(limits + '\n[limits]\nvalue_bytes = 10\n')
    node.process.send_signal(signal.SIGHUP)
    wait_for(lambda: node.put("big", "x" * 11).status == 413, "a limit changes at once")
    assert node.log().count("needs a restart") == 1
    config.write_text("id = \n")
    node.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "not reloaded" in node.log(), "a broken file changes nothing and is said")
    assert node.put("k", "v").status == 201


def test_a_second_sigterm_ends_the_process_by_that_signal(make_cluster):
    cluster = make_cluster(3).start()
    leader = cluster.wait_leader()
    for n in cluster.nodes:
        if n is not leader:
            n.pause()
    slow = socket.create_connection(("127.0.0.1", leader.http_port))
    slow.sendall(b"PUT /kv/a?timeout=9s HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
    leader.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping" in leader.log(), "it says that it stops")
    if leader.alive():
        leader.process.send_signal(signal.SIGTERM)
    assert leader.ended() in (-signal.SIGTERM, 0)
    slow.close()


def test_a_one_line_configuration_runs(workdir):
    config = workdir / "one.toml"
    client, peer = free_ports(2)
    config.write_text(f'data_dir = "{workdir}/data"\n')
    process = subprocess.Popen([RAFTD, "--config", str(config), "--set", f"client.listen=127.0.0.1:{client}",
                                "--set", f"peer.listen=127.0.0.1:{peer}"], stderr=subprocess.PIPE, text=True)
    line = ""
    while "listening for clients" not in line:
        line = process.stderr.readline()
        assert line, "it ended"
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT_S) == 0


@pytest.mark.parametrize("text, words", [
    ("data_dir = 3\n", ("1:", "data_dir")),
    ('data_dir = "/x"\n[raft]\nelection_timout = "1s"\n', ("3:", "election_timout")),
    ('data_dir = "/x"\n[raft]\nelection_timeout = "60ms"\n', ("election_timeout", "heartbeat")),
    ("", ("data_dir",)),
    ("data_dir = \n", ("1:",)),
])
def test_a_configuration_error_is_one_sentence_with_its_place_and_78(workdir, text, words):
    config = workdir / "bad.toml"
    config.write_text(text)
    for arguments in (["--config", str(config)], ["check-config", str(config)]):
        result = subprocess.run([RAFTD, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S)
        assert result.returncode == 78, result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
        for word in words:
            assert word in result.stderr


def test_wrong_usage_is_64():
    for arguments in ([], ["frobnicate"], ["--config"], ["get"]):
        assert subprocess.run([RAFTD, *arguments], capture_output=True, timeout=TIMEOUT_S).returncode == 64, arguments


def cli(node, *arguments, stdin=None):
    return subprocess.run([RAFTD, *arguments], capture_output=True, timeout=TIMEOUT_S, input=stdin,
                          env={**os.environ, "RAFTD_ENDPOINTS": f"http://127.0.0.1:{node.http_port}"})


def test_the_command_line_client_puts_gets_lists_and_deletes(make_cluster):
    cluster = make_cluster(3).start()
    node = cluster.follower()
    assert cli(node, "put", "a/1", "hello").returncode == 0
    assert cli(node, "put", "a/2", "-", stdin=b"\x00\xff").returncode == 0
    assert cli(node, "get", "a/1").stdout == b"hello"
    assert cli(node, "get", "a/2").stdout == b"\x00\xff"
    assert cli(node, "get", "none").returncode == 1
    assert cli(node, "ls", "a/", "--keys").stdout == b"a/1\na/2\n"
    assert cli(node, "put", "a/1", "x", "--cas", "99999").returncode == 1
    assert cli(node, "del", "a/1").stdout == b"1\n"
    assert cli(node, "del", "--prefix", "a/").stdout == b"1\n"
    assert cli(node, "members").returncode == 0
    assert cli(node, "health").returncode == 0
    assert b"leader" in cli(cluster.wait_leader(), "status").stdout


def test_describe_reads_beside_a_running_node_and_refuses_a_wrong_path(make_cluster, workdir):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    assert node.put("shown", "value").status == 201
    logs = cli(node, "describe", "logs", str(node.data_dir))
    assert logs.returncode == 0, logs
    assert b'key: "shown"' in logs.stdout
    metadata = cli(node, "describe", "metadata", str(node.data_dir))
    assert metadata.returncode == 0
    assert b"voters" in metadata.stdout
    described = cli(node, "describe", "node", f"http://127.0.0.1:{node.http_port}")
    assert described.returncode == 0
    assert b"Persistence Info" in described.stdout
    assert cli(node, "describe", "logs", str(workdir / "nothing")).returncode != 0
    assert node.put("after", "x").status == 201


def test_no_endpoint_is_exit_2(workdir):
    result = subprocess.run([RAFTD, "get", "a", "--endpoints", "127.0.0.1:1", "--timeout", "1s"], capture_output=True,
                            timeout=TIMEOUT_S)
    assert result.returncode == 2
