"""The client's side of watch, lock and elect with real programs and signals: a scripted server stands for the cluster,
so that it can break off, lie and fall silent where a test wants it to."""

import json
import os
import pathlib
import signal
import socket
import socketserver
import subprocess
import threading

import pytest

from cluster import RAFTD, TIMEOUT_S, wait_for


class Server:
    """Each request goes to a function of (method, path, body), which gives the answer: a status and an object, or
    bytes that are sent as they are; after them the connection is closed."""

    def __init__(self, answer):
        self.asked = []
        owner = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                method, path, _ = self.rfile.readline().decode().split(" ")
                length = 0
                while (line := self.rfile.readline().decode().strip().lower()):
                    if line.startswith("content-length:"):
                        length = int(line.split(":")[1])
                body = self.rfile.read(length)
                owner.asked.append((method, path.split("&timeout")[0].split("?timeout")[0]))
                said = answer(method, path, body)
                if isinstance(said, tuple):
                    text = json.dumps(said[1]).encode()
                    said = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (said[0], len(text), text)
                self.wfile.write(said)

        class Listener(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.listener = Listener(("127.0.0.1", 0), Handler)
        self.url = f"127.0.0.1:{self.listener.server_address[1]}"
        threading.Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()


@pytest.fixture
def serve():
    servers = []

    def start(answer):
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def start():
    """start(arguments...) gives a running raftd; it ends with the test."""
    running = []

    def run(*arguments, **options):
        running.append(subprocess.Popen([os.path.abspath(RAFTD), *map(str, arguments)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options))
        return running[-1]

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
            process.communicate()


def finish(process, status):
    out, error = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == status, error
    return out, error.decode()


def stream(lines):
    """The beginning of a watch that never says that it has ended."""
    return b"HTTP/1.1 200 OK\r\nRaftd-Revision: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%s\n\r\n" % (len(text) + 1, text) for text in (json.dumps(line).encode() for line in lines))


def put(revision, key, value, last=True):
    return {"type": "put", "revision": revision, "last": last, "item": {"key": key, "value": value, "mod": revision}}


COMPACTED = {"type": "compacted", "compact_revision": 90}


def locks(held=True, ttl_ms=1000):
    """Answers for /lock and /election; held: what a renewal hears."""

    def answer(method, path, body):
        if method == "DELETE":
            return 200, {"released": True, "revision": 60}
        if "keepalive" in path and not held:
            return 409, {"error": "lock_lost", "message": "somebody took it", "status": 409, "outcome": "none"}
        return 200, {"name": "l", "token": 57, "lease": "1", "owner": "o", "expires_in_ms": ttl_ms}

    return answer


def there(path):
    return lambda: pathlib.Path(path).exists()


def test_a_watch_goes_on_at_another_endpoint_and_repeats_nothing(serve, start):
    one = serve(lambda *_: stream([put(7, "a", "1"), put(8, "b", "2", False)]) + b"5\r\n{\"ty")
    two = serve(lambda *_: stream([put(8, "b", "2", False), put(8, "c", "3"), COMPACTED]))
    process = start("watch", "--prefix", "", "--endpoints", f"{one.url},{two.url}")
    out, error = finish(process, 1)
    assert out == b"put\t7\ta\t1\nput\t8\tb\t2\nput\t8\tc\t3\n"
    assert "up to revision 90 is forgotten" in error
    assert one.asked == [("GET", "/watch/?prefix")]
    assert two.asked == [("GET", "/watch/?prefix&after=7")]


def test_a_watch_prints_at_once_and_ends_by_a_signal(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start("watch", "a", "--endpoints", f"127.0.0.1:{listener.getsockname()[1]}")
        connection, _ = listener.accept()
        with connection:  # It stays open: this stream is not cut.
            connection.sendall(stream([put(7, "a", "1")]))
            assert process.stdout.readline() == b"put\t7\ta\t1\n"
            process.send_signal(signal.SIGTERM)
            finish(process, -signal.SIGTERM)


def test_a_watch_ends_when_nobody_reads_it(serve, start):
    server = serve(lambda *_: stream([put(r, "a", "1") for r in range(7, 5000)]))
    process = start("watch", "a", "--endpoints", server.url)
    process.stdout.readline()
    process.stdout.close()
    process.wait(TIMEOUT_S)
    assert process.returncode == 74
    assert b"standard output" in process.stderr.read()


def test_a_command_runs_for_each_change_one_after_the_other(serve, start, workdir):
    events = [put(7, "a", "one"), put(8, "a\u0000", "x\u0000y"),
              {"type": "expire", "revision": 9, "last": True, "item": {"key": "b", "mod": 9}}, COMPACTED]
    server = serve(lambda *_: stream(events))
    script = ('test ! -e busy || echo overlap >> log; : > busy; '
              'echo "$RAFTD_EVENT $RAFTD_REVISION ${RAFTD_KEY-none} ${RAFTD_VALUE-none} $(od -An -tx1 | tr -d " \\n")" '
              '>> log; sleep 0.05; rm busy')
    process = start("watch", "a", "--endpoints", server.url, "--", "sh", "-c", script, cwd=workdir)
    out, _ = finish(process, 1)
    assert out == b""
    assert (workdir / "log").read_text() == "put 7 a one 6f6e65\nput 8 none none 780079\nexpire 9 b none \n"


def test_a_signal_during_a_command_is_its_own_and_ends_the_watch(serve, start, workdir):
    server = serve(lambda *_: stream([put(7, "a", "1"), put(8, "a", "2")]))
    process = start("watch", "a", "--endpoints", server.url, "--", "sh", "-c",
                    "trap 'echo told >> log; exit 0' TERM; : > ready; while :; do sleep 0.01; done", cwd=workdir)
    wait_for(there(workdir / "ready"), "the command runs")
    process.send_signal(signal.SIGTERM)
    finish(process, 128 + signal.SIGTERM)
    assert (workdir / "log").read_text() == "told\n"


def test_a_command_that_is_not_there_ends_the_watch(serve, start):
    server = serve(lambda *_: stream([put(7, "a", "1")]))
    _, error = finish(start("watch", "a", "--endpoints", server.url, "--", "raftd-no-such"), 127)
    assert error.startswith("raftd: raftd-no-such: it cannot be run")


def test_a_job_runs_under_its_lock_and_its_status_is_ours(serve, start):
    server = serve(locks(ttl_ms=30000))
    process = start("lock", "a/b", "--endpoints", server.url, "--", "sh", "-c", 'echo "$RAFTD_FENCE"; exit 7')
    out, error = finish(process, 7)
    assert (out, error) == (b"a%2Fb=57\n", "")
    assert [method for method, _ in server.asked] == ["POST", "DELETE"]
    assert server.asked[1] == ("DELETE", "/lock/a%2Fb?token=57")
    for name, status in (("raftd-no-such", 127), ("/", 126)):
        finish(start("lock", "a", "--endpoints", server.url, "--", name), status)
        assert server.asked[-1][0] == "DELETE"
    finish(start("lock", "a", "--endpoints", server.url, "--", "sh", "-c", "kill -KILL $$"), 128 + signal.SIGKILL)


def test_a_lock_is_renewed_while_its_job_runs(serve, start, workdir):
    server = serve(locks(ttl_ms=4000))
    process = start("lock", "l", "--ttl", "4s", "--endpoints", server.url, "--", "sh", "-c",
                    "while ! test -e stop; do sleep 0.01; done", cwd=workdir)
    renewed = lambda: sum("keepalive" in path for _, path in server.asked)
    wait_for(lambda: renewed() >= 4, "four renewals, for longer than the ttl")
    (workdir / "stop").touch()
    _, error = finish(process, 0)
    assert error == ""


def test_a_job_whose_lock_is_lost_is_told_so(serve, start):
    server = serve(locks(held=False))
    process = start("lock", "l", "--ttl", "1s", "--endpoints", server.url, "--", "sleep", "60")
    _, error = finish(process, 128 + signal.SIGTERM)
    assert error == "raftd: lock l is lost (somebody took it); sleep is told to end\n"
    assert [method for method, _ in server.asked] == ["POST", "POST"]


def test_a_job_is_told_when_the_cluster_has_been_silent_for_the_ttl(serve, start, workdir):
    server = serve(locks(ttl_ms=3000))
    process = start("lock", "l", "--ttl", "3s", "--endpoints", server.url, "--", "sh", "-c",
                    "trap '' TERM; : > ready; while ! test -e stop; do sleep 0.01; done; exit 5", cwd=workdir)
    wait_for(there(workdir / "ready"), "the job runs")
    server.close()
    # It ignores that it is told, and is waited for.
    assert b"is lost (it was not renewed for 3s: " in process.stderr.readline()
    assert process.poll() is None
    (workdir / "stop").touch()
    finish(process, 5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_the_jobs(serve, start, workdir, number):
    server = serve(locks(ttl_ms=30000))
    process = start("lock", "l", "--endpoints", server.url, "--", "sh", "-c",
                    f"trap 'exit 9' {number.name[3:]}; : > ready; while :; do sleep 0.01; done", cwd=workdir)
    wait_for(there(workdir / "ready"), "the job runs")
    process.send_signal(number)
    finish(process, 9)
    assert server.asked[-1][0] == "DELETE"


def test_who_is_elected_says_so_and_resigns_at_a_signal(serve, start):
    server = serve(locks(ttl_ms=30000))
    process = start("elect", "db", "10.0.0.5:5432", "--endpoints", server.url)
    assert process.stdout.readline() == b"57\n"
    process.send_signal(signal.SIGINT)
    finish(process, 0)
    assert server.asked[-1] == ("DELETE", "/election/db?token=57")
    lost = serve(locks(held=False))
    out, error = finish(start("elect", "db", "v", "--ttl", "1s", "--endpoints", lost.url), 1)
    assert (out, error) == (b"57\n", "raftd: election db is lost: somebody took it\n")
