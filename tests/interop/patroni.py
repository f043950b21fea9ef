#!/usr/bin/python3
"""Patroni and PostgreSQL on raftd, and on etcd beside it: patroni.py [raftd] [etcd]

Two database nodes on three nodes of a store: bootstrap, replica, switchover, kill -9 of the primary and its Patroni,
kill -9 of the store's leader, restart of each of the store's nodes in turn. Ends with a table of what took how long,
and with status 1 at the first thing that does not happen in time. Everything is in a folder of its own, on free ports,
and ends with this process. The database runs as postgres where this is run by root."""

import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2

from servers import ETCD, ETCD_ABSENT, EtcdCluster, free_ports, raftd_cluster, wait_for

BIN = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
# The shortest that Patroni's rule lets through: ttl >= loop_wait + 2 * retry_timeout.
TTL_S, LOOP_WAIT_S, RETRY_TIMEOUT_S = 12, 2, 5
KILLS = 3
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"


def as_postgres():
    """What stands before a command that must not be run by root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]


class Database:
    """A PostgreSQL and its Patroni."""

    def __init__(self, directory, name, store_ports):
        self.name = name
        self.port, self.api_port = free_ports(2)
        self.dir = directory / name
        self.data = self.dir / "data"
        self.dir.mkdir()
        self.config = self.dir / "patroni.yml"
        self.config.write_text(json.dumps(self.configuration(store_ports), indent=1))
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in (self.dir, self.config):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self.process = None

    def configuration(self, store_ports):
        address = f"127.0.0.1:{self.port}"
        api = f"127.0.0.1:{self.api_port}"
        user = {"username": "postgres", "password": "none is asked for"}
        return {  # JSON is YAML.
            "scope": "interop", "name": self.name,
            "restapi": {"listen": api, "connect_address": api},
            "etcd3": {"hosts": [f"127.0.0.1:{port}" for port in store_ports]},
            "bootstrap": {
                "dcs": {"ttl": TTL_S, "loop_wait": LOOP_WAIT_S, "retry_timeout": RETRY_TIMEOUT_S,
                        "postgresql": {"use_pg_rewind": True, "parameters": {"shared_buffers": "16MB"}}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": address, "connect_address": address, "data_dir": str(self.data), "bin_dir": str(BIN),
                "pgpass": str(self.dir / "pgpass"), "authentication": {"superuser": user, "replication": user},
                "parameters": {"unix_socket_directories": str(self.dir)},
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
            },
        }

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen([*as_postgres(), "/usr/bin/python3", "/usr/bin/patroni", str(self.config)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir)

    def status(self):
        """What Patroni says of itself; {} while it says nothing."""
        return self.api("GET", "/patroni")[1]

    def api(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=30)
        try:
            connection.request(method, path, body and json.dumps(body))
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()

    def is_primary(self):
        status = self.status()
        return status.get("state") == "running" and status.get("role") in ("master", "primary")

    def query(self, sql):
        """The first value of the answer; None where there is no answer."""
        try:
            connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname="postgres",
                                          connect_timeout=2)
        except psycopg2.Error:
            return None
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchone()[0]
        except psycopg2.Error:
            return None
        finally:
            connection.close()

    def server_processes(self):
        """PostgreSQL's, which is no child of ours: by their working directory."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "cwd") == str(self.data):
                    found.append(int(entry.name))
            except OSError:
                pass  # It has ended meanwhile.
        return found

    def kill(self):
        """As a machine that fails: Patroni first, so that it sees nothing of the rest."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.server_processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for(lambda: not self.server_processes(), f"PostgreSQL of {self.name} is gone")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                pass
        self.kill()


class Writer:
    """Writes rows to whichever is the primary, one after another; notes when which was acknowledged."""

    def __init__(self, databases):
        self.where = {"host": ",".join("127.0.0.1" for _ in databases), "user": "postgres", "dbname": "postgres",
                      "port": ",".join(str(d.port) for d in databases), "target_session_attrs": "read-write",
                      "connect_timeout": 2}
        self.acknowledged, self.failures = [], 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection, row = None, 0
        while not self.ending.wait(0.02):
            row += 1
            try:
                if connection is None:
                    connection = psycopg2.connect(**self.where)
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO written VALUES (%s)", (row,))
                self.acknowledged.append((time.monotonic(), row))
            except psycopg2.Error:
                self.failures += 1
                if connection is not None:
                    connection.close()
                connection = None

    def first_after(self, when):
        """When the first row after that was acknowledged."""
        def found():
            last = self.acknowledged[-1:]
            return last and last[0][0] > when and next(t for t, _ in self.acknowledged if t > when)
        return wait_for(found, "a write is acknowledged", 90)

    def longest_gap(self, since):
        times = [since] + [t for t, _ in self.acknowledged if t > since]
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def stop(self):
        self.ending.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


class Trial:
    """The whole course of events on one store; figures: what took how long, in seconds."""

    def __init__(self, directory, store):
        self.store, self.figures, self.last_kill = store, {}, 0.0
        self.databases = [Database(directory, name, [n.http_port for n in store.nodes]) for name in ("pg1", "pg2")]
        self.writer = None

    def note(self, what, *seconds):
        """The median."""
        self.figures[what] = statistics.median(seconds)
        print(f"  {what}: {', '.join(f'{s:.2f}' for s in seconds)} s", flush=True)

    def primary(self):
        return next((d for d in self.databases if d.is_primary()), None)

    def other(self, database):
        return next(d for d in self.databases if d is not database)

    def wait_streaming(self):
        """Until the primary has its replica, and the replica all that was written before."""
        def streams():
            primary = self.primary()
            return primary and primary.query(STREAMING) == 1 and primary
        primary = wait_for(streams, "the replica streams", 90, pause=0.1)
        written = primary.query("SELECT count(*) FROM written")
        wait_for(lambda: (self.other(primary).query("SELECT count(*) FROM written") or 0) >= written,
                 "the replica has what was written", 60, pause=0.1)
        return primary

    def run(self):
        self.bootstrap()
        self.switchover()
        self.note(f"kill -9 of the primary to the next write, median of {KILLS}",
                  *(self.fail_over() for _ in range(KILLS)))
        self.without(self.kill_leader, "kill -9 of the store's leader: longest time between two writes")
        self.without(self.restart_each, "restart of each of the store's nodes in turn: the same")
        self.writer.stop()
        self.nothing_is_lost()

    def bootstrap(self):
        begin = time.monotonic()
        first, second = self.databases
        first.start()
        wait_for(first.is_primary, "the first database is primary", 120, pause=0.1)
        self.note("bootstrap of the primary", time.monotonic() - begin)
        begin = time.monotonic()
        assert first.query("CREATE TABLE written (row bigint); SELECT 1") == 1
        second.start()
        self.wait_streaming()
        self.note("bootstrap of the replica", time.monotonic() - begin)
        self.writer = Writer(self.databases)
        self.writer.first_after(begin)

    def switchover(self):
        old = self.wait_streaming()
        new = self.other(old)
        begin = time.monotonic()
        status, said = old.api("POST", "/switchover", {"leader": old.name, "candidate": new.name})
        assert status == 200, f"switchover: {status} {said}"
        wait_for(new.is_primary, "the candidate is primary", 60, pause=0.05)
        now = time.monotonic()
        self.writer.first_after(now)
        self.note("switchover: longest time between two writes", self.writer.longest_gap(begin))
        assert self.wait_streaming() is new

    def fail_over(self):
        old = self.wait_streaming()
        killed = time.monotonic()
        old.kill()
        # What was on its way is acknowledged before the kill is complete.
        begin = time.monotonic()
        self.last_kill = first = self.writer.first_after(begin)
        assert self.primary() is self.other(old), "the replica is the primary"
        old.start()
        assert self.wait_streaming() is self.other(old)
        return first - killed

    def without(self, disturb, what):
        """The databases do not notice: the primary stays, on its timeline, and no write fails."""
        primary = self.wait_streaming()
        before, failures, begin = primary.status(), self.writer.failures, time.monotonic()
        disturb()
        self.see_the_store()
        self.writer.first_after(time.monotonic())
        self.note(what, self.writer.longest_gap(begin))
        after = primary.status()
        assert (after["role"], after["timeline"]) == (before["role"], before["timeline"]), f"{before} {after}"
        assert self.writer.failures == failures, "a write failed"
        assert self.wait_streaming() is primary

    def kill_leader(self):
        leader = self.store.wait_leader()
        leader.kill()
        self.outlive_a_lease()
        leader.start()
        self.store.wait_leader()

    def restart_each(self):
        for node in self.store.nodes:
            node.stop()
            node.start()
            wait_for(node.status, f"the store's node {node.id} is back", 60)
            self.store.wait_leader()
            self.see_the_store()
        self.outlive_a_lease()

    def outlive_a_lease(self):
        """So that no database is what it is by a lease from before."""
        self.see_the_store(TTL_S + LOOP_WAIT_S)

    def see_the_store(self, seconds=1):
        """Until each database has heard of it that much later than now."""
        begin = time.time()
        for database in self.databases:
            wait_for(lambda d=database: (d.status().get("dcs_last_seen") or 0) > begin + seconds,
                     f"{database.name} sees the store", 60, pause=0.1)

    def nothing_is_lost(self):
        """Of what was acknowledged since the last kill; before, replication is asynchronous."""
        primary = self.wait_streaming()
        rows = [row for when, row in self.writer.acknowledged if when > self.last_kill]
        kept = primary.query(f"SELECT count(DISTINCT row) FROM written WHERE row >= {rows[0]}")
        assert kept >= len(rows), f"{len(rows)} rows were acknowledged, {kept} are there"

    def close(self):
        if self.writer and self.writer.thread.is_alive():
            self.writer.ending.set()
        for database in reversed(self.databases):
            database.stop()


def store_of(name, directory):
    if name == "etcd":
        assert ETCD, ETCD_ABSENT
        return EtcdCluster(directory / "store", 3).start()
    return raftd_cluster(directory / "store", 3, election_timeout_ms=500)


def trial_of(name, directory):
    print(f"{name}:", flush=True)
    store = store_of(name, directory)
    trial = Trial(directory, store)
    try:
        trial.run()
    finally:
        trial.close()
        store.close()
    return trial.figures


def main(names):
    figures, directory = {}, pathlib.Path(tempfile.mkdtemp(prefix="raftd-patroni-"))
    directory.chmod(0o755)  # For postgres.
    try:
        for name in names:
            (directory / name).mkdir()
            figures[name] = trial_of(name, directory / name)
    except BaseException:
        print(f"data and logs are kept in {directory}", file=sys.stderr)
        raise
    shutil.rmtree(directory)
    print(f"\nPatroni with ttl {TTL_S} s, loop_wait {LOOP_WAIT_S} s; in seconds")
    print(f"{'':75}" + "".join(f"{name:>8}" for name in names))
    for what in figures[names[0]]:
        print(f"{what:75}" + "".join(f"{figures[name][what]:8.2f}" for name in names))


if __name__ == "__main__":
    main(sys.argv[1:] or (["etcd"] if ETCD else []) + ["raftd"])
