"""Nodes whose states differ: a snapshot is changed offline, so that a real node starts with another state."""

import struct

from cluster import wait_for

SMALL = '[snapshot]\nentries = 100\nbytes = "1MiB"\n'
RIGHT, WRONG = b"the right value", b"the wrong value"
CRC_TABLE = []


def crc32c(data, crc=0):
    if not CRC_TABLE:
        for byte in range(256):
            for _ in range(8):
                byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
            CRC_TABLE.append(byte)
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def forge(path):
    """Turns RIGHT to WRONG in a snapshot, and leaves its hash out, as if it were from before there were hashes."""
    data = path.read_bytes()
    body_bytes, meta_bytes, chunk_bytes = struct.unpack_from("<QII", data, 48)
    rest, body = data[64 + meta_bytes:], b""
    while len(body) < body_bytes:
        size = min(chunk_bytes, body_bytes - len(body))
        body, rest = body + rest[:size], rest[size + 4:]
    assert body[-18:-17] == b"h" and body[-9:-8] == b"e" and body.count(RIGHT) == 1
    records = struct.unpack("<Q", body[-8:])[0] - 1
    body = body[:-18].replace(RIGHT, WRONG) + b"e" + struct.pack("<Q", records)
    chunks = [body[at:at + chunk_bytes] for at in range(0, len(body), chunk_bytes)]
    crcs = [struct.pack("<I", crc32c(chunk)) for chunk in chunks]
    digest = crc32c(b"".join(crcs))
    head = data[:12] + bytes(4) + data[16:48] + struct.pack("<Q", len(body)) + data[56:64 + meta_bytes]
    head = head[:12] + struct.pack("<I", crc32c(head)) + head[16:]
    body = b"".join(chunk + crc for chunk, crc in zip(chunks, crcs))
    path.write_bytes(head + body + struct.pack("<II", digest, ~digest & 0xFFFFFFFF))


def snapshots(node):
    return sorted(p for p in node.data_dir.glob("snapshot-*") if p.suffix != ".tmp")


def write(node, count):
    for i in range(count):
        node.put(f"k{i % 10}", f"value {i}")


def start_with_other_state(cluster, node):
    """Every node has a snapshot with the right value; then this one starts from one with the wrong value."""
    leader = cluster.wait_leader()
    assert leader.put("fixed", RIGHT).status == 201
    write(leader, 250)
    cluster.wait_applied()
    wait_for(lambda: snapshots(node), "it has a snapshot")
    wait_for(lambda: not list(node.data_dir.glob("*.tmp")), "and makes none")
    node.kill()
    for path in snapshots(node):
        forge(path)
    node.start()
    cluster.wait_leader()
    cluster.wait_applied()
    assert "restored the snapshot at index" in node.log()


def test_a_follower_with_another_state_is_found_out_and_gets_the_right_one_by_itself(make_cluster):
    cluster = make_cluster(3, extra=SMALL).start()
    cluster.wait_leader()
    node = cluster.follower()
    start_with_other_state(cluster, node)
    assert node.get("fixed", "?consistency=stale").body == WRONG  # Nobody can know it yet.
    leader = cluster.wait_leader()
    write(leader, 130)
    wait_for(lambda: "state: hash mismatch at index" in node.log(), "it finds that it differs")
    wait_for(lambda: "this node serves again" in node.log(), "it has another state")
    assert "snapshot: installed the one at index" in node.log()
    cluster.wait_applied()
    wait_for(lambda: node.request("GET", "/readyz").status == 200, "it is ready")
    for each in cluster.nodes:
        assert each.get("fixed").body == RIGHT
        assert each.status()["warnings"] == []
    metrics = node.request("GET", "/metrics").body.decode()
    assert "\nraftd_hash_mismatches_total 1\n" in metrics and "\nraftd_state_reloads_total 1\n" in metrics
    # And what it had is not on its disk any more.
    wait_for(lambda: all(WRONG not in p.read_bytes() for p in snapshots(node)), "the wrong snapshots are gone")
    node.kill()
    node.start()
    cluster.wait_applied()
    assert node.get("fixed", "?consistency=stale").body == RIGHT


def test_two_nodes_that_differ_both_refuse_and_say_so_until_one_is_taken_away(make_cluster):
    cluster = make_cluster(2, extra=SMALL).start()
    cluster.wait_leader()
    start_with_other_state(cluster, cluster.follower())
    leader = cluster.wait_leader()
    for _ in range(200):
        if leader.put("k", "x").status == 503:
            break
    for node in cluster.nodes:
        wait_for(lambda: "hash_mismatch" in node.status()["warnings"], "it says so")
        assert "state: hash mismatch at index" in node.log()
        for path in ("/kv/fixed", "/kv/fixed?consistency=stale"):
            answer = node.request("GET", path)
            assert answer.status == 503 and answer.json()["error"] == "not_ready", answer
        assert node.put("k", "y").status == 503
        ready = node.request("GET", "/readyz")
        assert ready.status == 503 and ready.json()["checks"]["recovered"] is False
        assert node.request("GET", "/health").json()["reason"] == "ALARM CORRUPT"
        assert node.request("GET", "/livez").status == 200
    assert any("no quorum to tell which is right" in node.log() for node in cluster.nodes)
