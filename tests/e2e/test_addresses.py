"""Nodes whose addresses change are found again, and the members in the log follow."""

from cluster import free_ports, wait_for
from load import put_many


def peers(node):
    answer = node.request("GET", "/cluster")
    return {m["id"]: m["peer"] for m in answer.json()["members"]} if answer.status == 200 else None


def wanted(cluster):
    return {n.id: f"127.0.0.1:{n.peer_port}" for n in cluster.nodes}


def move(cluster, nodes):
    """New ports for them, as their files say from now on."""
    ports = free_ports(2 * len(nodes))
    for n in nodes:
        n.http_port, n.peer_port = ports.pop(), ports.pop()
        cluster.advertised[n.id] = n.peer_port


def test_a_cluster_whose_addresses_all_changed_finds_itself_by_its_new_list(make_cluster):
    cluster = make_cluster().start()
    put_many(cluster.nodes[0].http_port, [f"k{i}" for i in range(50)], b"x")
    before = wanted(cluster)
    for n in cluster.nodes:
        assert n.stop() == 0
    move(cluster, cluster.nodes)
    assert not set(wanted(cluster).values()) & set(before.values())
    cluster.start()
    for n in cluster.nodes:
        wait_for(lambda n=n: peers(n) == wanted(cluster), "the log has the new addresses")
        assert n.get("k49").body == b"x"
    cluster.nodes[0].kill()
    cluster.nodes[0].start()
    cluster.wait_applied()


def test_one_node_that_moves_is_found_by_what_it_announces(make_cluster):
    for place in (0, 2):  # The one that is dialled by all, the one that dials all.
        cluster = make_cluster().start()
        node = cluster.nodes[place]
        node.stop()
        [node.peer_port] = free_ports(1)  # The list in the file stays as it was.
        node.start("--set", f"peer.advertise=127.0.0.1:{node.peer_port}")
        others = [n for n in cluster.nodes if n is not node]
        wait_for(lambda: peers(others[0]) == wanted(cluster), "the log has its new address")
        others[0].kill()  # Now the moved one is needed.
        wait_for(lambda: others[1].put("k", b"x").status in (200, 201), "a write", 30)
        wait_for(lambda: node.get("k").body == b"x", "it follows")
