"""Elections on real nodes: who follows one on any node hears of each change, once, and goes on elsewhere."""

import socket
from concurrent.futures import ThreadPoolExecutor

from cluster import TIMEOUT_S, wait_for


class Followed:
    """GET /election/{name}?watch on a raw socket, event by event."""

    def __init__(self, node, name, headers=""):
        self.socket = socket.create_connection(("127.0.0.1", node.http_port), TIMEOUT_S)
        self.socket.sendall(f"GET /election/{name}?watch HTTP/1.0\r\nHost: h\r\n{headers}\r\n".encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.id = None
        while self.file.readline() not in (b"\r\n", b""):
            pass

    def event(self):
        """The next event's name and data, as a browser would see it; None at the end."""
        name = data = None
        while line := self.file.readline().decode():
            line = line.rstrip("\r\n")
            if line == "" and data is not None:
                return name, data
            field, _, value = line.partition(": ")
            if field == "id":
                self.id = value
            elif field == "event":
                name = value
            elif field == "data":
                data = value
        return None

    def close(self):
        self.file.close()
        self.socket.close()


def stand(node, query):
    return node.request("POST", f"/election/db?{query}", timeout=90)


def test_a_follower_hears_of_each_change_and_goes_on_at_another_node(make_cluster):
    cluster = make_cluster(3).start()
    one, other = cluster.nodes[0], cluster.nodes[1]
    watch = Followed(one, "db")
    assert watch.status == 200
    assert watch.event() == ("vacant", '{"name":"db","elected":false,"candidates":0}')
    token = stand(other, "value=a&owner=h1&ttl=60s").json()["token"]
    name, data = watch.event()
    assert name == "elected" and f'"token":{token},"owner":"h1","value":"a"' in data
    assert watch.id == str(token)
    watch.close()
    put = other.request("PUT", f"/election/db?token={token}", "b").json()["revision"]
    wait_for(lambda: int(cluster.nodes[2].get("x").headers["Raftd-Revision"]) >= put, "the third node has it")
    watch = Followed(cluster.nodes[2], "db", f"Last-Event-ID: {watch.id}\r\n")
    name, data = watch.event()
    assert name == "value" and '"value":"b"' in data and watch.id == str(put)
    with ThreadPoolExecutor(1) as pool:
        next_one = pool.submit(stand, one, "value=c&owner=h2&wait=60s")
        wait_for(lambda: one.request("GET", "/election/db").json()["candidates"] == 1, "a candidate")
        assert other.request("DELETE", f"/election/db?token={token}").status == 200
        assert watch.event()[0] == "vacant"
        name, data = watch.event()
        assert name == "elected" and '"owner":"h2","value":"c"' in data
        assert next_one.result(60).json()["token"] == int(watch.id)
    watch.close()


def test_a_read_waits_for_a_change_of_an_election(make_cluster):
    cluster = make_cluster(3).start()
    node = cluster.follower()
    token = stand(node, "value=a&ttl=60s").json()["token"]
    assert node.request("GET", f"/election/db?wait=100ms&after={token}").status == 304
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(node.request, "GET", f"/election/db?wait=60s&after={token}", timeout=90)
        assert node.request("DELETE", f"/election/db?token={token}").status == 200
        assert waiting.result(60).json() == {"name": "db", "elected": False, "candidates": 0}
