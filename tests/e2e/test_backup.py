"""Backup and restore with real processes: snapshots over HTTP, the commands that save, inspect and restore them,
export and import, and the way back after a majority is lost."""

import concurrent.futures
import hashlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import threading

from cluster import RAFTD, wait_for

BINARY = bytes(range(256))


def raftd(*arguments, expect=0, stdin=None):
    """Runs a command; its standard output. Its exit status must be the one that is expected."""
    done = subprocess.run([RAFTD, *map(str, arguments)], input=stdin, capture_output=True, timeout=180)
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return done


def endpoint(node):
    return f"--endpoints=http://127.0.0.1:{node.http_port}"


def configure(node):
    """The node's configuration file, for commands that come before its first start."""
    path = node.dir / "node.toml"
    path.write_text(node.cluster.config_text(node))
    return path


def fields(done):
    """FIELD VALUE lines of a table without borders."""
    return {k: v for k, v in (line.split(None, 1) for line in done.stdout.decode().splitlines())}


def tree(directory):
    """Every file below, with its contents."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def save(node, path):
    return fields(raftd("snapshot", "save", path, endpoint(node)))


def stream(node, path="/admin/snapshot"):
    """Status, headers, body and trailers of a chunked answer; http.client throws trailers away."""
    with socket.create_connection(("127.0.0.1", node.http_port), 30) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        raw = b""
        while data := s.recv(1 << 20):
            raw += data
    head, _, rest = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    status = int(lines[0].split()[1])
    if headers.get("transfer-encoding") != "chunked":
        return status, headers, rest, {}
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            break
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    trailers = dict(line.split(": ", 1) for line in rest.decode().split("\r\n") if line)
    return status, headers, body, {k.lower(): v for k, v in trailers.items()}


def fill(node, count, value=b"v" * 1000):
    def one(start):
        for i in range(start, count, 8):
            assert node.put(f"k{i:06}", value + str(i).encode()).status in (200, 201)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))


def test_a_node_streams_a_snapshot_with_its_sum_behind_it(make_cluster):
    cluster = make_cluster(3).start()
    fill(cluster.wait_leader(), 2000)
    cluster.wait_applied()
    for node in cluster.nodes:
        status, headers, body, trailers = stream(node)
        assert status == 200
        assert headers["content-type"] == "application/octet-stream"
        index, term = int(headers["raftd-snapshot-index"]), int(headers["raftd-snapshot-term"])
        assert index >= 2000
        assert headers["content-disposition"] == f'attachment; filename="raftd-{index}-{term}.snap"'
        assert trailers["raftd-snapshot-sha256"] == hashlib.sha256(body).hexdigest()
        assert body[:8] == b"RFTDSNP1"
        assert struct.unpack_from("<QQ", body, 32) == (index, term)
        assert len(body) > 2000 * 1000
        head = node.request("HEAD", "/admin/snapshot")
        assert head.status == 200 and head.body == b""


def test_a_snapshot_is_made_on_demand_and_found_on_the_disk(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node, 200)
    applied = node.status()["applied_index"]
    made = node.request("POST", "/admin/snapshot").json()
    assert made["index"] >= applied
    file = node.data_dir / made["file"]
    assert file.stat().st_size == made["bytes"]
    assert struct.unpack_from("<QQ", file.read_bytes(), 32) == (made["index"], made["term"])
    # While nothing is applied it is the same one, and no second is made. The leader has a chore now and then.
    more = [made] + [node.request("POST", "/admin/snapshot", "{}").json() for _ in range(10)]
    assert any(one == next_one for one, next_one in itertools.pairwise(more))
    assert len({json.dumps(one) for one in more}) == len({one["index"] for one in more})
    refused = node.request("POST", "/admin/snapshot", '{"index":1}')
    assert refused.status == 400 and refused.json()["field"] == "index"
    assert node.request("POST", "/admin/snapshot?index=1").status == 400
    assert node.request("DELETE", "/admin/snapshot").headers["Allow"] == "GET, HEAD, POST, OPTIONS"


def test_writes_go_on_while_a_slow_client_reads_a_snapshot_and_it_shows_none_of_them(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node, 1500, b"before" * 2000)
    before = node.rss_kib()
    readers = []
    for _ in range(4):
        s = socket.create_connection(("127.0.0.1", node.http_port), 30)
        s.sendall(b"GET /admin/snapshot HTTP/1.0\r\nHost: x\r\n\r\n")
        assert s.recv(12) == b"HTTP/1.1 200"
        readers.append(s)
    # As many as may be: a fifth is told so, and is let in when another has gone away.
    refused = node.request("GET", "/admin/snapshot")
    assert refused.status == 429 and refused.json()["error"] == "overloaded"
    assert refused.json()["limit"] == "snapshots" and refused.headers["Retry-After"]
    fill(node, 300, b"after" * 20)
    assert node.rss_kib() - before < 64 * 1024
    readers.pop().close()

    def admitted():
        return node.request("HEAD", "/admin/snapshot").status == 200
    wait_for(admitted, "a place is free again")
    body = b""
    while data := readers[0].recv(1 << 20):
        body += data
    body = body.partition(b"\r\n\r\n")[2]
    assert b"before" in body and b"after" not in body
    for s in readers:
        s.close()
    wait_for(admitted, "all places are free again")
    assert node.get("k000001").body == b"after" * 20 + b"1"


def test_a_node_that_stops_ends_a_snapshot_without_its_end_mark(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node, 1500, b"x" * 10000)
    s = socket.create_connection(("127.0.0.1", node.http_port), 30)
    s.sendall(b"GET /admin/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
    assert s.recv(12) == b"HTTP/1.1 200"
    raw = b""
    while len(raw) < 1_000_000:
        raw += s.recv(1 << 16)
    node.process.send_signal(signal.SIGTERM)
    while data := s.recv(1 << 20):
        raw += data
    assert not raw.endswith(b"\r\n\r\n") and len(raw) < 15_000_000
    assert node.ended() == 0


def test_a_saved_snapshot_is_inspected_and_restored_to_three_nodes_of_a_new_cluster(make_cluster, workdir):
    old = make_cluster(3).start()
    fill(old.wait_leader(), 500)
    assert old.wait_leader().put("a%2Fb", BINARY).status == 201
    old.wait_applied()
    file = workdir / "backup.snap"
    saved = save(old.follower(), file)
    assert saved["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.stat().st_mode & 0o777 == 0o600 and not pathlib.Path(f"{file}.tmp").exists()
    seen = json.loads(raftd("snapshot", "inspect", file, "--json").stdout)
    assert seen["verdict"] == "good" and seen["keys"] == 501 and seen["sha256"] == saved["sha256"]
    assert str(seen["index"]) == saved["index"] and seen["members"] == "1, 2, 3" and seen["state"] == "kv/1"
    before = old.nodes[0].get("k000007")
    for node in old.nodes:
        node.stop()

    new = make_cluster(3)
    clusters = set()
    for node in new.nodes:
        clusters.add(fields(raftd("snapshot", "restore", file, "--config", configure(node)))["cluster"])
    assert len(clusters) == 1 and clusters != {saved["cluster"]}
    new.start()
    for node in new.nodes:
        assert node.get("a%2Fb").body == BINARY
        assert node.get("k000007").headers["Raftd-Mod-Revision"] == before.headers["Raftd-Mod-Revision"]
        assert node.status()["cluster_id"] in clusters
    # Every pair works with each other: each node leads once, and what it takes the others have.
    for leader in new.nodes:
        new.wait_leader().request("POST", f"/cluster/transfer?to={leader.id}")
        wait_for(lambda: new.leader() is leader, f"node {leader.id} leads")
        assert leader.put(f"by{leader.id}", "x").status == 201
        new.wait_applied()
    for node in new.nodes:
        node.kill()
    new.start()
    assert new.nodes[2].get("by1").body == b"x"


def test_restore_refuses_what_holds_data_and_takes_no_file_that_is_not_whole(make_cluster, workdir):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node, 300)
    file = workdir / "b.snap"
    save(node, file)
    config = node.dir / "node.toml"
    refused = raftd("snapshot", "restore", file, "--config", config, expect=73)
    assert b"is not empty" in refused.stderr and b"nothing is restored over it" in refused.stderr
    node.stop()
    before = tree(node.data_dir)
    raftd("snapshot", "restore", file, "--config", config, expect=73)
    assert tree(node.data_dir) == before

    target = make_cluster(1).nodes[0]
    good = file.read_bytes()
    bad = workdir / "bad.snap"
    for at in [0, 20, 70, 100, len(good) // 2, len(good) - 9, len(good) - 1]:
        bad.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
        for command in (["inspect", bad], ["restore", bad, "--config", configure(target)]):
            done = raftd("snapshot", *command, expect=65)
            assert str(bad).encode() in done.stderr, done
    for cut in [0, 1, 63, 64, 200, len(good) // 2, len(good) - 1]:
        bad.write_bytes(good[:cut])
        assert b"it ends at offset" in raftd("snapshot", "inspect", bad, expect=65).stderr
    bad.write_bytes(good + b"x")
    assert b"bytes after the end" in raftd("snapshot", "inspect", bad, expect=65).stderr
    assert b"damaged" in raftd("snapshot", "inspect", bad, expect=65).stdout
    assert not target.data_dir.exists()
    raftd("snapshot", "inspect", workdir / "none", expect=73)
    assert file.read_bytes() == good

    # Somebody else's files are not touched either; an empty directory is as good as none.
    target.data_dir.mkdir()
    (target.data_dir / "letter.txt").write_text("mine")
    assert b"letter.txt" in raftd("snapshot", "restore", file, "--config", configure(target), expect=73).stderr
    assert sorted(p.name for p in target.data_dir.iterdir()) == ["letter.txt"]
    (target.data_dir / "letter.txt").unlink()
    raftd("snapshot", "restore", file, "--config", configure(target))
    target.start()
    wait_for(target.status, "the restored node answers")
    assert target.cluster.wait_leader().get("k000299").status == 200


class Tamperer:
    """Answers GET /admin/snapshot with a body and a trailer of its own."""

    def __init__(self, body, trailer, ends=True):
        self.reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.reply += f"{len(body):x}\r\n".encode() + body + b"\r\n"
        if ends:
            self.reply += b"0\r\n" + trailer + b"\r\n"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.http_port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.recv(65536)
            client.sendall(self.reply)
            client.close()


def test_save_leaves_no_file_that_is_not_the_whole_snapshot_that_was_sent(make_cluster, workdir):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node, 100)
    file = workdir / "b.snap"
    file.write_bytes(b"an older one")
    good = stream(node)[2]
    sum_line = f"Raftd-Snapshot-Sha256: {hashlib.sha256(good).hexdigest()}\r\n".encode()
    flipped = good[:500] + bytes([good[500] ^ 1]) + good[501:]
    for liar, status, why in [
        (Tamperer(good, b""), 65, b"is missing"),
        (Tamperer(good, b"Raftd-Snapshot-Sha256: 00\r\n"), 65, b"sha256 is"),
        (Tamperer(flipped, sum_line), 65, b"crc"),
        (Tamperer(good[:-10], sum_line), 65, b"it ends at offset"),
        (Tamperer(good, sum_line, ends=False), 2, b"closed in the middle"),
    ]:
        done = raftd("snapshot", "save", file, endpoint(liar), "--timeout=1s", expect=status)
        liar.listener.close()
        assert why in done.stderr, done
        assert file.read_bytes() == b"an older one"
        assert [p.name for p in workdir.iterdir() if "b.snap" in p.name] == ["b.snap"]
    # The next endpoint is asked when one breaks off.
    broken = Tamperer(good, sum_line, ends=False)
    raftd("snapshot", "save", file, f"--endpoints=http://127.0.0.1:{broken.http_port},http://127.0.0.1:{node.http_port}")
    assert json.loads(raftd("snapshot", "inspect", file, "--json").stdout)["keys"] == 100
    raftd("snapshot", "save", workdir, endpoint(node), expect=64)
    raftd("snapshot", "save", workdir / "no" / "b.snap", endpoint(node), expect=74)
    node.stop()
    raftd("snapshot", "save", file, endpoint(node), expect=2)
    assert json.loads(raftd("snapshot", "inspect", file, "--json").stdout)["keys"] == 100


def test_export_and_import_carry_any_bytes_and_name_a_bad_line(make_cluster, workdir):
    one, two = make_cluster(1).start().nodes[0], make_cluster(1).start().nodes[0]
    assert one.put("bin%00%ff", BINARY).status == 201
    assert one.put("empty", b"").status == 201
    assert one.put("%C3%A4/%22", "text \u2028 \n\t".encode()).status == 201
    fill(one, 1200, b"v")
    out = raftd("export", endpoint(one)).stdout
    lines = [json.loads(line) for line in out.splitlines()]  # As bytes: U+2028 ends no line.
    assert len(lines) == 1203
    assert [line.get("key", "") for line in lines][:1] == [""] and "key64" in lines[0]
    assert set(lines[5]) == {"key", "value", "mod", "create", "version"}
    assert len(raftd("export", "k", endpoint(one)).stdout.splitlines()) == 1200
    assert raftd("import", endpoint(two), stdin=out).stdout == b"1203\n"
    again = [json.loads(line) for line in raftd("export", endpoint(two)).stdout.splitlines()]

    def content(items):
        return [{k: v for k, v in item.items() if k.startswith(("key", "value"))} for item in items]
    assert content(again) == content(lines)
    assert two.get("bin%00%ff").body == BINARY

    file = workdir / "x.ndjson"
    for bad, why in [
        (b"{", b"line 2"),
        (b'{"key":"a"}', b"it has no value"),
        (b'{"value":"a"}', b"it has no key"),
        (b'{"key":"","value":"a"}', b"its key is empty"),
        (b'{"key":"a","key64":"YQ==","value":""}', b"both key and key64"),
        (b'{"key64":"Y","value":""}', b"no base64"),
        (b'{"key":1,"value":""}', b"key is no text"),
        (b'{"key":"a","value":"","colour":"red"}', b"unknown field colour"),
        (b"[]", b"no JSON object"),
        (b'\xff\xfe', b"line 2"),
    ]:
        file.write_bytes(b'{"key":"first","value":"1"}\n' + bad + b"\n")
        done = raftd("import", file, endpoint(two), expect=1)
        assert b"line 2" in done.stderr and why in done.stderr, done
        assert two.get("first").status == 404  # A file is looked through before anything is written.
    done = raftd("import", endpoint(two), stdin=file.read_bytes(), expect=1)
    assert b"standard input: line 2" in done.stderr and b"1 were written" in done.stderr
    assert two.get("first").body == b"1"
    file.write_bytes(b"")
    assert raftd("import", file, endpoint(two)).stdout == b"0\n"
    raftd("import", workdir / "none", endpoint(two), expect=1)


def test_import_writes_many_lines_at_once_and_says_which_leases_it_leaves_behind(make_cluster, workdir):
    one, two = make_cluster(1).start().nodes[0], make_cluster(3).start().wait_published().nodes[0]
    lease = one.request("POST", "/lease?ttl=600s").json()["id"]
    for i in range(1000):
        assert one.put(f"k{i:03}", f"v{i}", f"?lease={lease}" if i % 10 == 0 else "").status == 201
    out = raftd("export", endpoint(one)).stdout
    before = int(two.get("none").headers["Raftd-Revision"])
    done = raftd("import", endpoint(two), stdin=out + out)
    assert done.stdout == b"2000\n"
    assert b"200 of 2000 had a lease and have none now" in done.stderr
    assert int(two.get("none").headers["Raftd-Revision"]) == before + 4  # 512, 488, 512, 488.
    item = two.get("k000", "?meta").json()
    assert (item["value"], item["version"], "lease" in item) == ("v0", 2, False)
    assert two.request("GET", "/kv/k?list&count").json()["count"] == 1000


def test_import_keeps_to_the_limits_of_the_node_and_names_the_line_that_is_beyond_them(make_cluster, workdir):
    node = make_cluster(1, extra='[limits]\ntxn_ops = 7\nvalue_bytes = 1000\n').start().nodes[0]
    file = workdir / "x.ndjson"

    def write(key, sizes):
        file.write_text("\n".join(json.dumps({"key": f"{key}{i:02}", "value": "v" * n}) for i, n in enumerate(sizes)))
    write("k", range(50))
    assert raftd("import", file, endpoint(node)).stdout == b"50\n"
    assert node.request("GET", "/kv/k?list&count").json()["count"] == 50
    write("n", [*range(30), 1001, *range(19)])
    done = raftd("import", file, endpoint(node), expect=1)
    assert b"x.ndjson: line 31: " in done.stderr and b"; 30 were written before" in done.stderr
    assert node.request("GET", "/kv/n?list&count").json()["count"] == 30


def lose_majority(make_cluster, keys=400):
    """Three nodes, of which only the first is left."""
    cluster = make_cluster(3).start()
    fill(cluster.wait_leader(), keys)
    cluster.wait_applied()
    for node in cluster.nodes:
        node.kill()
    return cluster, cluster.nodes[0]


def test_recover_refuses_while_a_majority_answers_and_a_dry_run_changes_nothing(make_cluster):
    cluster = make_cluster(3).start()
    fill(cluster.wait_leader(), 100)
    cluster.wait_applied()
    node = cluster.nodes[0]
    config = node.dir / "node.toml"
    assert b"is locked by process" in raftd("recover", "--config", config, "--yes", expect=73).stderr
    raftd("recover", "--config", config, "--dry-run", expect=73)
    node.kill()
    before = tree(node.data_dir)
    for flag in ("--yes", "--dry-run"):
        done = raftd("recover", "--config", config, flag, expect=1)
        assert b"a majority of the members answers" in done.stderr and b"member 2 answers" in done.stdout
    cluster.nodes[1].kill()
    done = raftd("recover", "--config", config, "--dry-run")
    assert b"member 2 does not answer" in done.stdout and b"member 3 answers" in done.stdout
    assert b"log ends at index" in done.stdout
    assert tree(node.data_dir) == before | {"LOCK": tree(node.data_dir)["LOCK"]}
    # Nobody at a terminal, and no --yes.
    assert b"--yes" in raftd("recover", "--config", config, expect=64).stderr
    assert tree(node.data_dir) == before | {"LOCK": tree(node.data_dir)["LOCK"]}
    node.start()
    cluster.wait_leader()
    assert node.get("k000099").status == 200


def test_what_is_left_of_a_cluster_goes_on_as_a_cluster_of_one(make_cluster):
    cluster, node = lose_majority(make_cluster)
    config = node.dir / "node.toml"
    old_id = raftd("recover", "--config", config, "--dry-run").stdout.split(b"of cluster ")[1][:16]
    done = raftd("recover", "--config", config, "--yes")
    assert b"done: cluster" in done.stdout
    aside = [p for p in node.data_dir.iterdir() if p.name.startswith("before-")]
    assert len(aside) == 1 and (aside[0] / "IDENTITY").exists() and list(aside[0].glob("log-*"))
    node.start()
    wait_for(lambda: (node.status() or {}).get("role") == "leader", "it leads alone")
    status = node.status()
    assert status["cluster_id"] != old_id.decode()
    for i in range(400):
        assert node.get(f"k{i:06}").body.endswith(str(i).encode())
    assert node.put("new", "1").status == 201
    members = node.request("GET", "/cluster").json()["members"]
    assert [m["id"] for m in members] == [1]
    # The others, should somebody start them after all, do not take part in it.
    for other in cluster.nodes[1:]:
        other.start()
    wait_for(lambda: all(n.status() for n in cluster.nodes[1:]), "the old ones answer")
    wait_for(lambda: any("cluster" in n.log() and "refus" in n.log() for n in cluster.nodes), "they refuse each other")
    assert node.get("new").body == b"1"
    node.kill()
    node.start()
    wait_for(lambda: node.status() and node.get("new").body == b"1", "it starts again")
    node.stop()
    assert b"nothing to recover" in raftd("recover", "--config", config, "--yes").stderr


def test_recover_refuses_where_the_cluster_goes_on_without_the_members_that_the_log_has(make_cluster):
    cluster = make_cluster(3).start().wait_published()
    away, stays, removed = cluster.nodes
    away.kill()
    for member in (away.id, removed.id):
        wait_for(lambda m=member: stays.request("DELETE", f"/cluster/members/{m}").status == 200, "it is removed")
    wait_for(lambda: removed.process.poll() == 75, "the removed node ends")
    # One of the three that it knows answers: no majority of those.
    done = raftd("recover", "--config", away.dir / "node.toml", "--yes", expect=1)
    assert b"refused" in done.stderr and b"member 2 answers" in done.stdout and b"member 3 does not" in done.stdout
    done = raftd("recover", "--config", removed.dir / "node.toml", "--yes", expect=75)
    assert b"none any more" in done.stderr
    stays.kill()
    raftd("recover", "--config", away.dir / "node.toml", "--dry-run")


def test_recover_takes_a_snapshot_and_all_of_the_log_behind_it(make_cluster):
    cluster = make_cluster(3, extra='[snapshot]\nentries = 300\nbytes = "4MiB"\n').start()
    fill(cluster.wait_leader(), 1100, b"w" * 9000)
    cluster.wait_applied()
    node = cluster.nodes[0]
    wait_for(lambda: node.status()["first_index"] > 1, "the log is dropped behind a snapshot")
    for n in cluster.nodes:
        n.kill()
    raftd("recover", "--config", node.dir / "node.toml", "--yes")
    node.start()
    wait_for(lambda: (node.status() or {}).get("role") == "leader", "it leads alone")
    assert all(node.get(f"k{i:06}").body.endswith(b"w" + str(i).encode()) for i in range(0, 1100, 7))


CALLS = "openat,renameat,pwrite64,pwritev2,fsync,fdatasync,mkdirat,unlinkat"


def killed(call, command):
    """Runs a command that is killed at the given call that changes a file, counted from 1. True: it was."""
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS}", "-e", f"inject={CALLS}:signal=KILL:when={call}",
         RAFTD, *map(str, command)],
        capture_output=True, timeout=180, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode in (0, -9, 137), done
    return done.returncode != 0


def test_recover_may_be_killed_at_any_call(make_cluster, workdir):
    _, node = lose_majority(make_cluster, keys=50)
    untouched = workdir / "untouched"
    shutil.copytree(node.data_dir, untouched)
    config = node.dir / "node.toml"
    finished, kept, call = 0, 0, 1
    while killed(call, ["recover", "--config", config, "--yes"]):
        if (node.data_dir / "founding").exists():
            # No start passes it by, and a second death while it is finished does no harm.
            refused = raftd("--config", config, expect=73).stderr
            assert b"run the same command again" in refused
            killed(call, ["recover", "--config", config, "--yes"])
            raftd("recover", "--config", config, "--yes")
            finished += 1
        elif any(node.data_dir.glob("before-*")):
            pass  # It was done but for the last words.
        else:
            # Nothing is lost of what was there: all but unfinished files is as it was.
            now = {k: v for k, v in tree(node.data_dir).items() if not k.endswith(".tmp") and k != "LOCK"}
            assert now == {k: v for k, v in tree(untouched).items() if k != "LOCK"}
            kept += 1
        if any(node.data_dir.glob("before-*")):
            seen = json.loads(raftd("describe", "metadata", node.data_dir, "--json").stdout)
            assert seen
            shutil.rmtree(node.data_dir)
            shutil.copytree(untouched, node.data_dir)
        call += 1
    assert kept > 5 and finished > 3, (kept, finished)
    node.start()
    wait_for(lambda: (node.status() or {}).get("role") == "leader", "it leads alone")
    assert node.get("k000049").status == 200


def test_restore_may_be_killed_at_any_call(make_cluster, workdir):
    source = make_cluster(1).start().nodes[0]
    fill(source, 50)
    file = workdir / "b.snap"
    save(source, file)
    node = make_cluster(1).nodes[0]
    config = configure(node)
    call = 1
    while killed(call, ["snapshot", "restore", file, "--config", config]):
        names = sorted(p.name for p in node.data_dir.iterdir()) if node.data_dir.exists() else []
        if "IDENTITY" in names:
            shutil.rmtree(node.data_dir)
        elif any(name.startswith("founding") for name in names):
            # It must not become an empty cluster by mistake.
            assert raftd("--config", config, expect=73).stderr
            if "founding" in names:
                raftd("snapshot", "restore", file, "--config", config)
                shutil.rmtree(node.data_dir)
        call += 1
    assert call > 10
    node.start()
    node.cluster.wait_leader()
    assert node.get("k000049").status == 200
