import os
import pathlib
import shutil
import tempfile

import pytest

from cluster import Cluster


@pytest.fixture
def workdir(request):
    """A folder of the test's own; kept, and named, when the test fails."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="raftd-e2e-"))
    yield path
    failed = getattr(request.node, "failed", False)
    if failed:
        print(f"data and logs are kept in {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True


@pytest.fixture
def make_cluster(workdir):
    """make_cluster(size, ...) gives a cluster that ends with the test."""
    clusters = []

    def make(size=3, **options):
        directory = workdir / f"c{len(clusters)}"
        directory.mkdir()
        clusters.append(Cluster(directory, size, **options))
        return clusters[-1]

    yield make
    for c in clusters:
        c.close()
    for c in clusters:
        for n in c.nodes + c.machines:
            text = n.log() if n.log_path.exists() else ""
            assert "assertion failed" not in text, f"node {n.id}: {text[-2000:]}"
            assert "Sanitizer" not in text, f"node {n.id}: {text[-2000:]}"
