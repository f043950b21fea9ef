"""A follower whose link is slow: it gets a long log in the time that its bytes take, and elects nobody meanwhile."""

import concurrent.futures

from cluster import wait_for

LOG_ONLY = '[snapshot]\nentries = 1000000\nbytes = "1GiB"\n'
SECONDS_PER_64_KIB = 0.05


def write(node, count, size):
    def one(i):
        assert node.put(f"k{i}", chr(97 + i % 26) * size).status == 201
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(count)))


def catch_up(make_cluster, count, size):
    """A follower that was away comes back over a slow link; the cluster, that follower and its log of then."""
    cluster = make_cluster(3, proxied=True, extra=LOG_ONLY).start()
    leader, away = cluster.wait_leader(), cluster.follower()
    away.kill()
    write(leader, count, size)
    term, said, warned = leader.status()["term"], len(away.log()), len(leader.log())
    for proxy in cluster.proxies:
        proxy.pause = SECONDS_PER_64_KIB
    away.start()
    takes = count * size / 65536 * SECONDS_PER_64_KIB
    cluster.wait_applied(5 + takes)
    log = away.log()[said:]
    assert "snapshot: installed" not in log, "the log was sent"
    assert "lost the connection" not in log + leader.log()[warned:]
    assert log.count("raft: follows node") == 1
    assert "lost the leader" not in log
    assert leader.status()["term"] == term and leader.status()["role"] == "leader"
    return cluster, away


def test_a_long_log_arrives_over_a_slow_link_and_no_election_is_called(make_cluster):
    count = 450
    cluster, away = catch_up(make_cluster, count, 16 * 1024)
    for i in range(0, count, 50):
        assert away.get(f"k{i}").body == (chr(97 + i % 26) * 16 * 1024).encode()
    wait_for(lambda: away.put("after", "x").status == 201, "it forwards writes")


def test_a_value_that_takes_longer_than_an_election_timeout_on_its_way_costs_no_election(make_cluster):
    catch_up(make_cluster, 4, 1024 * 1024)
