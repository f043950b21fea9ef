"""What `make install` puts where, and that what it installs is of one piece."""

import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest

from cluster import RAFTD, TIMEOUT_S, free_ports

ROOT = pathlib.Path(__file__).resolve().parents[2]


def installed_files(prefix):
    return {
        f"{prefix}/bin/raftd": 0o755,
        f"{prefix}/share/man/man8/raftd.8": 0o644,
        f"{prefix}/share/man/man5/raftd.toml.5": 0o644,
        f"{prefix}/share/doc/raftd/examples/raftd.toml": 0o644,
        f"{prefix}/share/doc/raftd/copyright": 0o644,
        f"{prefix}/share/bash-completion/completions/raftd": 0o644,
        f"{prefix}/lib/sysusers.d/raftd.conf": 0o644,
        f"{prefix}/lib/systemd/system/raftd.service": 0o644,
        f"{prefix}/lib/systemd/system/raftd@.service": 0o644,
        "/etc/raftd/raftd.toml": 0o644,
    }


def install(destination, prefix):
    """Of the binary under test; it is built already."""
    build = pathlib.Path(RAFTD).resolve().parent
    result = subprocess.run(
        ["make", "-C", str(ROOT), "-o", "all", "install", f"DESTDIR={destination}", f"PREFIX={prefix}", f"BUILD={build}"],
        capture_output=True, text=True, timeout=TIMEOUT_S)
    assert result.returncode == 0, result.stderr
    return {"/" + str(p.relative_to(destination)): stat.S_IMODE(p.stat().st_mode)
            for p in destination.rglob("*") if not p.is_dir()}


@pytest.fixture(autouse=True)
def needs_make():
    if shutil.which("make") is None:
        pytest.skip("needs make")


@pytest.mark.parametrize("prefix", ["/usr", "/usr/local"])
def test_make_install_puts_each_file_where_it_belongs_and_nothing_else(workdir, prefix):
    assert install(workdir, prefix) == installed_files(prefix)
    for unit in ("raftd.service", "raftd@.service"):
        text = (workdir / prefix[1:] / "lib/systemd/system" / unit).read_text()
        assert f"ExecStart={prefix}/bin/raftd --config /etc/raftd/" in text
        assert "RestartPreventExitStatus=64 65 73 75 78\n" in text


def test_the_units_keep_their_data_apart_and_differ_in_nothing_else():
    one, many = ((ROOT / "conf" / name).read_text().splitlines() for name in ("raftd.service", "raftd@.service"))
    many = [line for line in many if line not in one and not line.startswith("#")]
    assert [line.replace(" (%i)", "").replace("raftd-%i", "raftd").replace("%i.toml", "raftd.toml") for line in many] == [
        line for line in one if line.startswith(("Description=", "ExecStart=", "StateDirectory=", "RuntimeDirectory="))]
    directories = [line for line in one + many if line.startswith(("StateDirectory=", "RuntimeDirectory="))]
    assert not any("/" in line for line in directories), "no node's files are within another's data directory"


def test_a_second_installation_keeps_the_configuration_of_the_machine(workdir):
    install(workdir, "/usr")
    (workdir / "etc/raftd/raftd.toml").write_text("# mine\n")
    install(workdir, "/usr")
    assert (workdir / "etc/raftd/raftd.toml").read_text() == "# mine\n"


def test_the_installed_configuration_runs_as_it_is_but_for_paths_and_ports(workdir):
    install(workdir, "/usr")
    config = workdir / "etc/raftd/raftd.toml"
    client, peer = free_ports(2)
    program = str(workdir / "usr/bin/raftd")
    checked = subprocess.run([program, "check-config", str(config)], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert checked.returncode == 0, checked.stderr
    assert re.search(r'^data_dir = "/var/lib/raftd"', checked.stdout, re.M)
    process = subprocess.Popen(
        [program, "--config", str(config), "--set", f"data_dir={workdir}/data", "--set", f"client.listen=127.0.0.1:{client}",
         "--set", f"peer.listen=127.0.0.1:{peer}"], stderr=subprocess.PIPE, text=True, env={**os.environ, "JOURNAL_STREAM": ""})
    try:
        for line in process.stderr:
            if "this node leads" in line:
                break
        else:
            raise AssertionError("it ended")
        endpoint = ["--endpoints", f"http://127.0.0.1:{client}"]
        assert subprocess.run([program, "put", "k", "v", *endpoint], capture_output=True, timeout=TIMEOUT_S).returncode == 0
        assert subprocess.run([program, "get", "k", *endpoint], capture_output=True, timeout=TIMEOUT_S).stdout == b"v"
    finally:
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="to give up privileges one must have them")
def test_it_runs_as_nobody_without_any_capability(make_cluster, workdir):
    for directory in (workdir, *workdir.glob("*")):
        os.chmod(directory, 0o755)
    program = workdir / "raftd"
    shutil.copy(RAFTD, program)
    cluster = make_cluster(1)
    os.chmod(cluster.dir, 0o755)
    node = cluster.nodes[0]
    os.chown(node.dir, 65534, 65534)
    node.start(wrapper=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
                        "--bounding-set=-all", "--inh-caps=-all"], program=str(program))
    cluster.wait_leader()
    assert node.put("k", "v").status == 201
    status = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
    assert re.search(r"^Uid:\s+65534\s", status, re.M)
    assert re.search(r"^CapEff:\s+0+$", status, re.M)
    assert node.data_dir.stat().st_uid == 65534
    assert node.stop() == 0
