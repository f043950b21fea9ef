"""Disks as they are: torn, corrupt, full, locked, of somebody else. The sentence and the exit status that follow."""

import os
import subprocess

import pytest

from cluster import RAFTD, TIMEOUT_S, wait_for


def segments(node):
    return sorted(node.data_dir.glob("log-*"))


def newest_with_data(node):
    """The segment that holds the latest frames: the last that does not begin with zeros."""
    return [s for s in segments(node) if s.open("rb").read(8) != b"\0" * 8][-1]


def blocks_with_frames(path):
    data = path.read_bytes()
    return [at for at in range(0, len(data), 4096) if data[at:at + 4] == b"RFRM"]


def fill(node, count=50):
    for i in range(count):
        assert node.put(f"k{i}", f"v{i}").status in (200, 201)


def test_a_torn_tail_is_trimmed_kept_aside_and_nothing_acknowledged_is_lost(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node)
    node.kill()
    path = newest_with_data(node)
    end = blocks_with_frames(path)[-1] + 4096
    with path.open("r+b") as f:
        f.seek(end)
        f.write(b"RFRM" + os.urandom(200))  # A frame that a power cut left half written.
    node.start()
    cluster.wait_leader()
    assert list(node.data_dir.glob("torn-*")), "the torn bytes are kept aside"
    assert "cut off" in node.log()
    for i in range(50):
        assert node.get(f"k{i}").body == f"v{i}".encode()


def test_a_flipped_bit_before_the_last_frame_is_refused_with_65_and_names_file_and_offset(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node)
    node.kill()
    path = newest_with_data(node)
    at = blocks_with_frames(path)[3] + 60
    with path.open("r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 4]))
    node.start()
    assert node.ended() == 65
    last = node.log().splitlines()[-1]
    assert path.name in last, last
    assert str(at // 4096 * 4096) in last, last


def test_a_deleted_segment_is_refused_with_65(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node)
    node.stop()
    node.start()
    cluster.wait_leader()
    fill(node)
    node.stop()
    segments(node)[1].unlink()
    node.start()
    assert node.ended() == 65


def test_a_lost_log_never_becomes_a_fresh_node(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    fill(node)
    node.stop()
    for s in segments(node):
        s.unlink()
    node.start()
    assert node.ended() == 65


def test_a_stray_file_in_the_data_directory_is_a_question_not_noise(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    node.stop()
    (node.data_dir / "notes.txt").write_text("mine")
    node.start()
    assert node.ended() in (65, 73)
    assert "notes.txt" in node.log()


def test_a_second_process_on_the_same_directory_is_refused_with_73_and_the_pid(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    result = subprocess.run([RAFTD, "--config", str(node.dir / "node.toml"), "--set", "client.listen=127.0.0.1:1",
                             "--set", "peer.listen=127.0.0.1:2"], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert result.returncode == 73
    assert str(node.process.pid) in result.stderr


def test_another_id_or_cluster_name_for_the_same_directory_is_refused_with_73(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    node.stop()
    config = (node.dir / "node.toml").read_text()
    for old, new in (("id = 1", "id = 2"), ('name = "e2e"', 'name = "other"')):
        (node.dir / "other.toml").write_text(config.replace(old, new))
        result = subprocess.run([RAFTD, "--config", str(node.dir / "other.toml")], capture_output=True, text=True,
                                timeout=TIMEOUT_S)
        assert result.returncode == 73, result.stderr


def test_an_address_in_use_is_refused_with_69_and_named(make_cluster):
    cluster = make_cluster(1).start()
    node = cluster.nodes[0]
    other = make_cluster(1)
    other.nodes[0].http_port = node.http_port
    other.nodes[0].start()
    assert other.nodes[0].ended() == 69
    assert str(node.http_port) in other.nodes[0].log()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_stops_writes_with_507_keeps_reads_and_comes_back_by_itself(make_cluster):
    cluster = make_cluster(1)
    node = cluster.nodes[0]
    node.data_dir.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=700", "none", str(node.data_dir)], check=True)
    try:
        cluster.start()
        ballast = node.data_dir / "torn-00000000000000000001-00000000000000000000"  # A name that a start accepts.
        with ballast.open("wb") as f:
            try:
                while True:
                    f.write(b"x" * 65536)
                    f.flush()
            except OSError:
                pass
        refused = None
        for i in range(400):
            a = node.put(f"fill{i % 10}", b"v" * 100_000)
            if a.status == 507:
                refused = a
                break
            assert a.status in (200, 201), a
        assert refused is not None, "writes go on although no segment can be made"
        assert refused.json()["error"] == "disk_full"
        assert refused.json()["outcome"] == "none"
        assert node.get("fill0").status == 200
        assert "disk_full" in node.status()["warnings"]
        assert node.request("GET", "/readyz").status == 503
        ballast.unlink()
        wait_for(lambda: node.put("again", "x").status in (200, 201), "writes resume by themselves", 15)
        assert node.stop() == 0
    finally:
        node.kill()
        subprocess.run(["umount", "-l", str(node.data_dir)], check=False)


@pytest.mark.skipif(not os.path.exists("/usr/bin/strace"), reason="needs strace")
def test_a_failed_sync_ends_the_process_with_74_and_acknowledges_nothing_more(make_cluster):
    cluster = make_cluster(1)
    node = cluster.nodes[0]
    node.start(wrapper=["strace", "-qq", "-f", "-o", "/dev/null", "-e", "trace=fdatasync,pwritev2", "-e",
                        "inject=fdatasync,pwritev2:error=EIO:when=30+"])
    acknowledged = 0
    try:
        cluster.wait_leader()
        for i in range(200):
            if node.put(f"k{i}", "v").status not in (200, 201):
                break
            acknowledged = i + 1
    except OSError:
        pass
    assert node.ended() == 74
    assert "sync log-" in node.log()
    node.start()
    cluster.wait_leader()
    for i in range(acknowledged):
        assert node.get(f"k{i}").status == 200
