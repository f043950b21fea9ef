"""Snapshots of real processes: a log that stays short, starts from a snapshot, followers that were away too long."""

import concurrent.futures

from cluster import wait_for

SMALL = '[snapshot]\nentries = 300\nbytes = "4MiB"\n[history]\nbytes = "1MiB"\n'
VALUE = 16 * 1024


def value_of(i):
    return (f"value {i} " * (VALUE // 8))[:VALUE]


def write(node, first, last, keys=40):
    """Writes i to key i % keys for i in first..last, eight at a time; the last value of each key."""
    def one(start):
        for i in range(first + start, last + 1, 8):
            assert node.put(f"k{i % keys}", value_of(i)).status in (200, 201)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    # Eight writers: a key (keys is a multiple of 8) always belongs to the same one.
    return {f"k{i % keys}": value_of(i) for i in range(first, last + 1)}


def check(node, expected):
    for key, value in expected.items():
        assert node.get(key).body == value.encode(), key


def files(node, prefix):
    return sorted(p.name for p in node.data_dir.glob(prefix + "*") if not p.name.endswith(".tmp"))


def test_the_log_stays_short_and_a_restart_goes_on_from_the_snapshot(make_cluster):
    cluster = make_cluster(3, extra=SMALL).start()
    leader, expected, written = cluster.wait_leader(), {}, 0

    def write_more():
        # A node whose disk was slow drops the log of its first snapshot with the one that follows the last of these.
        nonlocal written
        expected.update(write(leader, written + 1, written + 2400))
        written += 2400
        cluster.wait_applied()
        return all(node.status()["first_index"] > 800 for node in cluster.nodes)

    wait_for(write_more, "the log is dropped behind the snapshots")
    for node in cluster.nodes:
        wait_for(lambda: len(files(node, "snapshot-")) == 2, "the newest two snapshots stay")
        wait_for(lambda: len(files(node, "log-")) <= 5, "few segments stay")
    for node in cluster.nodes:
        node.kill()
    for node in cluster.nodes:
        node.start()
    cluster.wait_leader()
    for node in cluster.nodes:
        assert "restored the snapshot at index" in node.log()
        check(node, expected)
    metrics = cluster.nodes[0].request("GET", "/metrics").body.decode()
    assert "raftd_snapshots_total" in metrics


def test_a_follower_that_was_away_too_long_gets_a_snapshot_and_goes_on(make_cluster):
    cluster = make_cluster(3, extra=SMALL).start()
    leader, away = cluster.wait_leader(), cluster.follower()
    expected = write(leader, 1, 40)
    cluster.wait_applied()
    away.kill()
    expected |= write(leader, 41, 2800)
    wait_for(lambda: leader.status()["first_index"] > 200, "the leader no longer has what the follower needs")
    away.start()
    cluster.wait_applied()
    assert "snapshot: installed the one at index" in away.log()
    check(away, expected)
    other = next(n for n in cluster.nodes if n not in (leader, away))
    expected |= write(leader, 2801, 2840)
    cluster.wait_applied()
    leader.kill()
    cluster.wait_leader()
    check(away, expected)
    check(other, expected)
    away.kill()
    away.start()
    cluster.wait_leader()
    check(away, expected)


def test_a_follower_that_is_killed_while_it_receives_a_snapshot_gets_it_in_the_end(make_cluster):
    cluster = make_cluster(3, extra=SMALL).start()
    leader, away = cluster.wait_leader(), cluster.follower()
    away.kill()
    expected = write(leader, 1, 3000, keys=400)
    wait_for(lambda: leader.status()["first_index"] > 200, "the leader has dropped the beginning")
    for moment in ("receives the one", "receives the one", "installed the one"):
        away.start()
        wait_for(lambda: moment in away.log(), f"it {moment}")
        away.kill()
    away.start()
    cluster.wait_applied()
    check(away, expected)
    assert not files(away, "incoming-")


def test_a_transfer_over_a_slow_link_that_breaks_goes_on_where_it_was(make_cluster):
    cluster = make_cluster(3, proxied=True, extra=SMALL).start()
    leader, away = cluster.wait_leader(), cluster.follower()
    away.kill()
    expected = write(leader, 1, 3000, keys=400)
    assert leader.request("POST", "/admin/snapshot").status == 200  # The newest: none is made meanwhile.
    wait_for(lambda: leader.status()["first_index"] > 200, "the leader has dropped the beginning")
    for proxy in cluster.proxies:
        proxy.pause = 0.05
    away.start()
    incoming = lambda: sum(p.stat().st_size for p in away.data_dir.glob("incoming-*"))
    term = leader.status()["term"]
    for part in (1 << 20, 2 << 20):
        wait_for(lambda: incoming() > part, f"more than {part} bytes have come")
        cluster.isolate(away)
        wait_for(lambda: next(m for m in leader.status()["members"] if m["id"] == away.id)["state"] != "snapshot",
                 "the leader sees that the link is gone")
        cluster.heal()
    cluster.wait_applied(60)
    assert away.log().count("snapshot: receives the one") == 1, "it did not begin anew"
    assert away.log().count("snapshot: installed the one") == 1
    assert not files(away, "incoming-")
    assert leader.status()["term"] == term and leader.status()["role"] == "leader"
    check(away, expected)


def test_a_damaged_snapshot_is_replaced_by_the_one_before_or_refused_with_65(make_cluster):
    cluster = make_cluster(1, extra=SMALL).start()
    node = cluster.nodes[0]
    expected = write(node, 1, 2400)
    wait_for(lambda: node.status()["first_index"] > 800 and len(files(node, "snapshot-")) == 2, "two snapshots")
    node.kill()
    flip(node.data_dir / files(node, "snapshot-")[-1])
    node.start()
    cluster.wait_leader()
    assert "the one before it is taken" in node.log()
    check(node, expected)
    node.kill()
    for name in files(node, "snapshot-"):
        flip(node.data_dir / name)
    node.start()
    assert node.ended() == 65
    last = node.log().splitlines()[-1]
    assert "snapshot-" in last and "chunk at offset" in last and "does not make up for it" in last


def flip(path):
    with path.open("r+b") as f:
        f.seek(path.stat().st_size // 2)
        byte = f.read(1)[0]
        f.seek(path.stat().st_size // 2)
        f.write(bytes([byte ^ 1]))
