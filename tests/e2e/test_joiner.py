"""A node that was admitted, and then finds nobody. What admits it is a stand-in, since the cluster is not there; that
knows it as a learner from its first configuration. Whole joins are in test_joining.py."""

import http.server
import json
import re
import subprocess
import threading

from cluster import RAFTD, Cluster, wait_for


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
        self._answer(201, self.server.ticket)

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, {"id": 4, "role": "learner", "config_index": 1})

    def log_message(self, *_):
        pass


class Joiner:
    """Node 4 of a cluster of which it is told nothing but where to ask."""

    def __init__(self, directory):
        self.cluster = Cluster(directory, size=4, learners=(4,))
        self.first, self.node = self.cluster.nodes[:3], self.cluster.nodes[3]
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Admission)
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
