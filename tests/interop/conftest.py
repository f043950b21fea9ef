import pathlib
import shutil
import tempfile

import pytest


@pytest.fixture(scope="module")
def module_dir():
    """A folder for the servers' data and logs."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="raftd-interop-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
