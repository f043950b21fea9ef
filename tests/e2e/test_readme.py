"""The README's tour: each of its lines is executed against a cluster with the ports that it names."""

import pathlib
import re
import socket
import subprocess

import pytest

from cluster import RAFTD, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOUR_PORTS = (2379, 22379, 32379, 2380, 22380, 32380)


def tour_lines():
    block = re.search(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
    return [line for line in block.splitlines() if line.strip()]


def port_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def test_every_line_of_the_tour_works_against_make_run(make_cluster):
    if not all(map(port_free, TOUR_PORTS)):
        pytest.skip("the tour's ports are in use on this machine")
    cluster = make_cluster(3)
    for node, port in zip(cluster.nodes, (2379, 22379, 32379)):
        node.http_port = port
    cluster.start()
    outputs = []
    for line in tour_lines():
        # A revision in the tour is that of a cluster on which nothing else was written.
        command = line.replace("build/raftd", RAFTD).split("  #")[0]
        command = command.replace("curl ", "curl -sS --fail-with-body " if "cas=" not in line else "curl -sS ")
        result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, timeout=20)
        assert result.returncode == 0, f"{line}\n{result.stdout[-500:]!r}\n{result.stderr[-500:]!r}"
        outputs.append(result.stdout)
    assert outputs[1] == (ROOT / "README.md").read_bytes()
    assert wait_for(cluster.leader, "a leader after the transfer")
