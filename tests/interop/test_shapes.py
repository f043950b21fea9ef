"""The same requests to etcd and to raftd, and their answers side by side.

What etcd 3.4 answers is kept in golden.json, so that raftd is held to it where etcd is not installed, too; where it is,
the file has to be what it answers. An answer that differs has a row in differences.py, with the reason.
After a change of the stories: RECORD=1 with etcd installed writes golden.json."""

import json
import os
import pathlib

import pytest

import stories_kv
import stories_lease
import stories_other
import stories_txn
import stories_watch
from asking import Ask, Server, Until, Watch, has_shape, text_of
from servers import ETCD, ETCD_ABSENT, EtcdCluster, etcd_version, raftd_cluster

STORIES = {name: steps for room in (stories_kv, stories_txn, stories_lease, stories_watch, stories_other)
           for name, steps in room.STORIES.items()}
GOLDEN = pathlib.Path(__file__).with_name("golden.json")
RECORD = bool(os.environ.get("RECORD"))


@pytest.fixture(scope="module")
def etcd(module_dir):
    cluster = EtcdCluster(module_dir / "etcd")
    try:
        yield Server("etcd", cluster.start().nodes[0].http_port)
    finally:
        cluster.close()


@pytest.fixture(scope="module", params=[1, 3], ids=["one node", "a follower of three"])
def raftd(request, module_dir):
    """One node; or the requests go to a follower, which forwards or answers them itself."""
    cluster = raftd_cluster(module_dir / f"raftd{request.param}", request.param)
    try:
        node = cluster.nodes[0] if request.param == 1 else cluster.follower()
        yield Server(f"raftd, {request.param} nodes", node.http_port)
    finally:
        cluster.close()


def told(server, story):
    """[[request, answer], ...] of a story's steps that are compared."""
    server.begin()
    answers = [[text_of(step), server.run(step)] for step in STORIES[story]]
    return [told for told in answers if told[1] is not None]


def golden():
    return json.loads(GOLDEN.read_text())


def meant_to_differ(story):
    # It quotes golden.json, which RECORD=1 may have to write first.
    from differences import DIFFERENCES
    return DIFFERENCES.get(story, {})


def as_lines(stories):
    """JSON with a line per request."""
    parts = []
    for name, answers in stories.items():
        lines = ",\n".join("  " + json.dumps(answer) for answer in answers)
        parts.append(f" {json.dumps(name)}: [\n{lines}\n ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


@pytest.mark.skipif(not RECORD, reason="RECORD=1 writes golden.json")
def test_record_what_etcd_answers(etcd):
    stories = {story: told(etcd, story) for story in STORIES}
    late = [request for answers in stories.values() for request, answer in answers if answer.get("complete") is False]
    assert not late, "these watches expect more than etcd sends"
    GOLDEN.write_text(as_lines(stories))


@pytest.mark.skipif(not ETCD, reason=ETCD_ABSENT)
@pytest.mark.skipif(not (etcd_version() or "3.4.").startswith("3.4."), reason="golden.json is of etcd 3.4")
@pytest.mark.parametrize("story", STORIES)
def test_what_is_recorded_is_what_etcd_answers(etcd, story):
    assert told(etcd, story) == golden()[story], "golden.json is not what this etcd answers: RECORD=1 writes it anew"


@pytest.mark.parametrize("story", STORIES)
def test_raftd_answers_as_etcd_does_but_for_what_is_meant_to_differ(raftd, story):
    expected = golden()[story]
    differences = meant_to_differ(story)
    shapes = {text_of(step) for step in STORIES[story] if isinstance(step, Ask) and step.compare == "shape"}
    found = []
    for (request, etcds), (asked, own) in zip(expected, told(raftd, story), strict=True):
        assert request == asked, "golden.json is of other stories: RECORD=1 writes it anew"
        difference = differences.get(request)
        wanted = difference.wanted(etcds) if difference else etcds
        equal = has_shape(own, wanted) if request in shapes else own == wanted
        if not equal:
            found.append((request, etcds, own, difference))
    for request, etcds, own, difference in found:
        print(f"\n{request}\n etcd:  {json.dumps(etcds)}\n raftd: {json.dumps(own)}")
        if difference:
            print(f" meant: {json.dumps(difference.wanted(etcds))}: {difference.reason}")
    assert not found, f"{len(found)} of {len(expected)} answers of {raftd.name} differ: printed above, the first tells most"


def test_there_are_enough_shapes_and_each_difference_is_of_one_that_is_asked():
    shapes = {(step.path, text_of(step)) for steps in STORIES.values() for step in steps if isinstance(step, Ask)}
    shapes |= {("/v3/watch", text_of(step)) for steps in STORIES.values() for step in steps if isinstance(step, Watch)}
    print(f"{len(shapes)} request shapes, {len({path for path, _ in shapes})} paths")
    assert len(shapes) >= 150
    for story, steps in STORIES.items():
        asked = {text_of(step) for step in steps}
        assert set(meant_to_differ(story)) <= asked, f"{story}: {set(meant_to_differ(story)) - asked}"
