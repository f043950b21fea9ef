"""The README's tours: each of their lines is executed, on the ports that they name."""

import pathlib
import os
import re
import subprocess

import pytest

from cluster import RAFTD, TIMEOUT_S, port_free, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOUR_PORTS = (2379, 22379, 32379, 2380, 22380, 32380)
GROWING_PORTS = [10000 + 1000 * n + port for n in range(1, 6) for port in (379, 380)]


def tour_lines(number=0):
    block = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[number]
    return [line for line in block.splitlines() if line.strip()]


def tour_commands(number):
    """Lines that belong together, each without its remark."""
    commands = []
    for line in tour_lines(number):
        text = re.split(r"\s+# ", line)[0]
        if line.startswith(" "):
            commands[-1] += "\n" + text
        else:
            commands.append(text)
    return [command.replace("build/raftd", os.path.abspath(RAFTD)) for command in commands]


def cluster_of_the_tour(make_cluster):
    if not all(map(port_free, TOUR_PORTS)):
        pytest.skip("the tour's ports are in use on this machine")
    cluster = make_cluster(3)
    for node, port in zip(cluster.nodes, (2379, 22379, 32379)):
        node.http_port = port
    cluster.start()
    return cluster


def test_every_line_of_the_tour_works_against_make_run(make_cluster):
    cluster = cluster_of_the_tour(make_cluster)
    outputs = []
    for line in tour_lines():
        # The revision in the tour is that of a cluster on which nothing else was written.
        command = line.replace("build/raftd", RAFTD).split("  #")[0].replace("curl ", "curl -sS --fail-with-body ")
        result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, timeout=TIMEOUT_S)
        assert result.returncode == 0, f"{line}\n{result.stdout[-500:]!r}\n{result.stderr[-500:]!r}"
        outputs.append(result.stdout)
    assert outputs[1] == (ROOT / "README.md").read_bytes()
    assert wait_for(cluster.leader, "a leader after the transfer")


def without_haste(command, out):
    """A person who waits for a second has seen by then what a loaded machine takes longer for."""
    curl = "curl -sS http://127.0.0.1:2379"
    awaited = {"elect": [f"{curl}/election/db | grep -q '\"elected\":true'"],
               "watch": [f"{curl}/status | grep -q '\"watchers\":1'", f"grep -q delete {out}"]}
    word = re.search(r"raftd (\w+) ", command)
    for condition in awaited.get(word and word[1], []):
        command = command.replace("sleep 1;", f"until {condition}; do sleep 0.1; done;", 1)
    return command.replace("ttl=30s", "ttl=300s").replace(" -m 2 ", " -m 5 ")


def test_every_line_of_the_coordination_works_against_make_run(make_cluster, workdir):
    cluster_of_the_tour(make_cluster)
    outputs = []
    for number, command in enumerate(tour_commands(1)):
        out = workdir / f"out{number}"
        command = without_haste(command.replace("curl ", "curl -sS --fail-with-body "), out)
        with out.open("w") as file:
            result = subprocess.run(["bash", "-c", command], cwd=ROOT, stdout=file, stderr=file, timeout=TIMEOUT_S)
        # Some end a program that goes on until it is told to stop.
        assert result.returncode == 0 or command.endswith("wait"), f"{command}\n{out.read_text()}"
        outputs.append(out.read_text())
    put, touched, there, watched, txn, once, again, lock, under, elected, followed = outputs
    assert '"ttl":30' in put and '"ttl":30' in touched
    assert there == "svc/web/a\n"
    assert "event: snapshot" in watched and "event: progress" in watched
    assert '"succeeded":true' in txn
    assert '"value":2' in once and again == once
    assert '"token":' in lock
    assert "only one of us runs this" in under
    assert '"elected":true' in elected and "10.0.0.5:5432" in elected
    assert "delete svc/web/a" in followed


def test_every_line_for_users_of_etcd_works_against_make_run(make_cluster):
    cluster_of_the_tour(make_cluster)
    outputs = []
    for command in tour_commands(3):
        command = command.replace("curl ", "curl -sS --fail-with-body ").replace(" -m 2 ", " -m 5 ")
        result = subprocess.run(["bash", "-c", command], capture_output=True, timeout=TIMEOUT_S, text=True)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        outputs.append(result.stdout)
    put, native, ranged, txn, lease, watched = outputs
    assert '"header":{' in put and native == "bar"
    assert '"value":"YmFy"' in ranged and '"count":"1"' in ranged
    assert '"succeeded":true' in txn and '"response_put"' in txn
    assert '"TTL":"20"' in lease
    assert '"created":true' in watched and '"value":"YmF6"' in watched


def test_every_line_of_the_growing_works_from_one_node_to_five_and_back_to_three(tmp_path):
    if not all(map(port_free, GROWING_PORTS)):
        pytest.skip("the ports are in use on this machine")
    script = ["set -e", "trap 'kill $(jobs -p) || true; wait' EXIT"]
    waits = 0
    for line in tour_lines(2):
        command, _, remark = line.partition("  # ")
        command = command.rstrip().replace("build/raftd", os.path.abspath(RAFTD))
        voters = re.search(r"(\d) voters", remark)
        if voters:  # A person looks again.
            waits += 1
            command = f'until [ "$({command} | grep -c " voter ")" = {voters[1]} ]; do sleep 0.1; done'
        elif command.startswith("sleep 1; "):
            command = f"until {command[9:]}; do sleep 0.1; done"
        script.append(command)
    assert waits == 3
    result = subprocess.run(["bash", "-c", "\n".join(script)], cwd=tmp_path, capture_output=True, timeout=180, text=True)
    logs = "".join(path.read_text() for path in sorted(tmp_path.glob("demo/*.log")))
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}\n{logs}"
    assert re.fullmatch(r"2\s*hello\s*left\s*removed\s*hello\s*", result.stdout), result.stdout
    assert "has left the cluster" in (tmp_path / "demo/n1.log").read_text()
