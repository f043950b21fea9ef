"""A node that joins, on its own side: its directory, its start, its first links. What admits it is a stand-in, and the
cluster knows it as a learner from its first configuration."""

import http.server
import json
import re
import subprocess
import threading

from cluster import RAFTD, Cluster, wait_for
from load import put_many
from test_backup import raftd


class Admission(http.server.BaseHTTPRequestHandler):
    """Gives one ticket, and takes whoever shows it."""

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self._answer(503, {"error": "no_leader", "message": "there is no leader", "outcome": "none"})

    def do_POST(self):
        self.server.asked.append(self.path.split("?")[0])
        self._answer(201, self.server.ticket)

    def do_PUT(self):
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(201, {"id": 4, "role": "learner", "config_index": 1})

    def log_message(self, *_):
        pass


class Joiner:
    """Node 4 of a cluster of which it is told nothing but where to ask."""

    def __init__(self, directory):
        self.cluster = Cluster(directory, size=4, learners=(4,))
        self.first, self.node = self.cluster.nodes[:3], self.cluster.nodes[3]
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Admission)
        self.server.asked = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.config = directory / "joiner.toml"
        text = self.cluster.config_text(self.node)
        without_members = re.sub(r"members = \[\n.*?\n\]\n", "", text, flags=re.DOTALL)
        self.config.write_text(re.sub(r"\Aid = 4\n", "", without_members))

    def make_ticket(self, cluster_id):
        self.server.ticket = {
            "id": 4, "name": "db4", "role": "learner", "token": "Rk0s", "cluster_id": cluster_id, "cluster_name": "e2e",
            "members": [{"id": n.id, "peer": f"127.0.0.1:{n.peer_port}"} for n in self.first]}

    def run(self, *command):
        with open(self.node.log_path, "ab") as log:
            self.node.process = subprocess.Popen([RAFTD, *command, "--config", str(self.config)],
                                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def close(self):
        self.cluster.close()
        self.server.shutdown()
        self.server.server_close()


def persisted(node):
    return node.request("GET", "/admin/debug").json()["raft_log"]["persisted"]


def names_in(node):
    return {path.name for path in node.data_dir.iterdir()}


def test_a_node_joins_and_is_a_node_like_any_other_afterwards(tmp_path):
    joiner = Joiner(tmp_path)
    try:
        for node in joiner.first:
            node.start()
        leader = joiner.cluster.wait_leader()
        put_many(leader.http_port, [f"k{i}" for i in range(50)], b"x")
        joiner.make_ticket(leader.status()["cluster_id"])
        joiner.run("join", joiner.url)
        wait_for(lambda: joiner.node.status() and joiner.node.get("k49", "?consistency=stale").body == b"x", "it has the log")
        assert [joiner.server.asked[0], joiner.server.asked[1]["ticket"]] == ["/cluster/tickets", "Rk0s"]
        assert joiner.node.status()["id"] == 4 and joiner.node.status()["name"] == "db4"
        assert "TICKET" in names_in(joiner.node)
        wait_for(lambda: persisted(joiner.node) >= leader.status()["last_index"], "its disk has it")
        joiner.node.kill()
        again = raftd("join", joiner.url, "--config", str(joiner.config))
        assert again.returncode == 0 and b"has joined cluster" in again.stderr, again
        assert len(joiner.server.asked) == 2
        leader.put("later", b"y")
        joiner.run("--join", joiner.url)  # As systemd has it.
        joiner.cluster.wait_applied()
        assert joiner.node.get("later", "?consistency=stale").body == b"y"
        assert "TICKET" not in names_in(joiner.node)
        assert joiner.node.stop() == 0
    finally:
        joiner.close()


def test_a_node_that_has_joined_waits_for_its_cluster_and_never_campaigns(tmp_path):
    joiner = Joiner(tmp_path)
    try:
        for node in joiner.first:
            node.start()
        joiner.make_ticket(joiner.cluster.wait_leader().status()["cluster_id"])
        for node in joiner.first:
            node.kill()
        joiner.run("join", joiner.url)
        wait_for(lambda: joiner.node.log().count("no connection to node") >= 3, "it dials all three")
        joiner.node.kill()
        joiner.run()  # Plainly: the ticket says whom to dial.
        wait_for(lambda: joiner.node.log().count("no connection to node") >= 6, "it dials all three again")
        late = 5 * joiner.cluster.election_timeout_ms / 1000
        status = wait_for(lambda: (s := joiner.node.status()) and s["uptime_s"] > late and s, "a voter would campaign")
        assert (status["term"], status["role"], status["last_index"]) == (0, "starting", 0), status
        for node in joiner.first:
            node.start()
        leader = joiner.cluster.wait_leader()
        leader.put("k", b"x")
        joiner.cluster.wait_applied()
        assert joiner.node.get("k", "?consistency=stale").body == b"x"
    finally:
        joiner.close()
