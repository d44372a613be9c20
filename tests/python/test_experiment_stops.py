"""hinet experiment when it is stopped or something fails: kill -9 and going on, Ctrl-C, runs that fail, what
is told before anything runs."""

import json
import os
import signal
import time

import pytest
from labs import LONGER, SMALL, Lab, begun, children_of, figures, is_gone, rows_of, start, wait_for


@pytest.fixture(scope="module")
def lab(hinet, tmp_path_factory):
    return Lab(hinet, tmp_path_factory.mktemp("lab"))


# ---- Stops ----------------------------------------------------------------------------------------

def test_kill_minus_nine_and_going_on_gives_the_same_table(lab):
    undisturbed = lab.run(lab.write("undisturbed", LONGER))
    path = lab.write("killed", LONGER)
    for _ in range(2):
        process = start(lab, path)
        wait_for(lambda: process.poll() is not None or (children_of(process.pid) and begun(lab, path)))
        time.sleep(0.2)
        children = children_of(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda: all(map(is_gone, children)))  # nobody is left behind
    assert figures(lab.run(path)) == figures(undisturbed)
    assert len(lab.lines(path, status="done")) == 4 and not lab.lines(path, status="failed")


def test_killed_children_too(lab):
    """Everything at once, as a power cut: nothing has had time to write a checkpoint."""
    path = lab.write("cut", LONGER.replace("seeds: 2", "seeds: 1"))
    process = start(lab, path)
    wait_for(lambda: children_of(process.pid) and begun(lab, path))
    children = children_of(process.pid)
    for pid in (process.pid, *children):
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    results = lab.folder / "cut" / "results.jsonl"
    with open(results, "a", encoding="ascii") as file:
        file.write('{"kind":"run","key":"x","sta')  # a line that was cut
    table = lab.run(path)
    assert table["failed"] == []
    lines = [json.loads(line) for line in (lab.folder / "undisturbed" / "results.jsonl").read_text().splitlines()]
    reference = {line["model"]: line["test"] for line in lines if line["seed"] == 1}
    assert {line["model"]: line["test"] for line in lab.lines(path)} == reference


def test_ctrl_c_stops_in_order_and_ends_with_130(lab):
    path = lab.write("stopped", LONGER.replace("epochs: 8", "epochs: 200"))
    process = start(lab, path)
    wait_for(lambda: children_of(process.pid) and begun(lab, path))
    children = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130 and b"the same command goes on" in message
    assert all(map(is_gone, children))
    assert list((lab.folder / "stopped" / "runs").glob("*/checkpoint.hn"))
    assert not lab.lines(path)
    table = json.loads((lab.folder / "stopped" / "table.json").read_text())
    assert [row["done"] for row in table["data"][0]["models"]] == [0, 0] and table["failed"] == []


def test_ctrl_c_just_after_a_child_began_is_no_failure(lab):
    """Whether it has forked, become the program, or installed its handler by then."""
    path = lab.write("early", LONGER.replace("epochs: 8", "epochs: 200").replace("seeds: 2", "seeds: 1"))
    lab.run(lab.write("early", LONGER.replace("epochs: 8", "epochs: 1").replace("seeds: 2", "seeds: 1")))
    lab.write("early", LONGER.replace("epochs: 8", "epochs: 200").replace("seeds: 2", "seeds: 1"))
    for wait in (0, 0, 0.001, 0.002, 0.004, 0.008, 0.016):
        process = start(lab, path)
        listed = f"/proc/{process.pid}/task/{process.pid}/children"
        children = ""
        while not children and process.poll() is None:
            with open(listed, encoding="ascii") as file:
                children = file.read()
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
        assert not lab.lines(path, status="failed")


def test_two_at_a_time_in_one_folder_are_refused(lab):
    path = lab.write("twice", LONGER.replace("epochs: 8", "epochs: 200"))
    process = start(lab, path)
    wait_for(lambda: children_of(process.pid))
    lab.hinet.fails(1, "another hinet experiment is at work there", *lab.args(path))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_memory_is_shared(lab):
    """Once a training has shown what it needs, no second one begins beside it where there is no room."""
    path = lab.write("memory", LONGER.replace("models: [hinet, shared-bottom]", "models: [hinet]").replace("2\n", "5\n"))
    process = start(lab, path, "--memory", "45M")
    most = {True: 0, False: 0}
    results = lab.folder / "memory" / "results.jsonl"
    while process.poll() is None:
        enough = results.exists() and results.read_text().count("\n") >= 2
        most[enough] = max(most[enough], len(children_of(process.pid)))
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == 0 and len(lab.lines(path, status="done")) == 5
    assert min(line["memory_bytes"] for line in lab.lines(path)) > 45 << 19
    assert most == {False: 2, True: 1}


# ---- Failures -------------------------------------------------------------------------------------

def test_a_failing_model_is_told_and_stops_nobody(lab):
    path = lab.write("failing", SMALL + """
models:
  shared-bottom: {}
  wild: {model: shared-bottom, set: {train.rate: 100, train.optimizer: sgd, train.embedding_scale: 100}}
  mmoe: {}
""")
    table = lab.run(path)
    assert [(f["model"], f["seed"]) for f in table["failed"]] == [("wild", 1)]
    assert table["failed"][0]["error"]
    rows = rows_of(table)
    assert rows["wild"]["failed"] == 1 and rows["wild"]["rank"] is None and rows["mmoe"]["done"] == 1
    assert table["failed"][0]["error"] in (lab.folder / "failing" / "table.txt").read_text()
    assert lab.lines(path, status="failed")[0]["error"] == table["failed"][0]["error"]
    lab.run(path)  # it is tried again, the others are not
    assert len(lab.lines(path, status="failed")) == 2 and len(lab.lines(path, status="done")) == 2


def test_wrong_options_are_told_before_anything_runs(lab):
    for text, words in (
            ("models: {hinet: {}, mine: {like: hinet, set: {model.expert: 3}}}", "mine, seed 1: --set"),
            ("models: {hinet: {}, mine: {like: hinet, set: {model.expert: 3}}}", 'did you mean "experts"?'),
            ("models: {hinet: {set: {train.rate: fast}}}", "train.rate"),
            ("models: [hinet]\nsearch: {train.rate: [1, 200]}", "train.rate"),
            # What waits for a search, and what a search cannot judge.
            ("models: {hinet: {}, typo: {like: hinet, set: {model.sann: false}}}\nsearch: {train.rate: [0.001, 0.01]}",
             "typo, seed 1: --set"),
            ("models: {hinet: {set: {train.eval_every: 5}}}\nsearch: {train.rate: [0.001, 0.01]}",
             "train.eval_every: found 5; a search judges whole epochs: expected 0")):
        path = lab.write("wrong", SMALL + text)
        lab.hinet.fails(78, words, *lab.args(path, "--search"))
        assert not list((lab.folder / "wrong").glob("runs/*"))
        assert not list((lab.folder / "wrong").glob("trials/*"))
    lab.hinet.fails(2, "did you mean markdown?", *lab.args(path, "--format", "markdwn"))


def test_what_goes_ill_with_what_was_found_fails_alone(lab):
    """The second trial wins, for the first learns nothing; it has no shared experts, the other none of its own."""
    path = lab.write("late", SMALL.replace("train: {", "train: {rate: 1.0e-9, embedding_rate: 1.0e-9, ") + """
models:
  ple: {search: {model.task_shared: {choice: [0]}, train.rate: [0.003, 0.004], train.embedding_rate: [0.02, 0.03]}}
  none: {like: ple, set: {model.task_own: 0}}
trials: 2
""")
    table = lab.run(path, "--search")
    assert table["search"][0]["best"] == 1 and rows_of(table)["ple"]["done"] == 1
    failed, = table["failed"]
    assert failed["model"] == "none" and "both 0" in failed["error"]


def test_a_checkpoint_outlives_a_failure_that_is_not_its_own(lab):
    path = lab.write("full", LONGER.replace("epochs: 8", "epochs: 200").replace("[hinet, shared-bottom]", "[hinet]")
                     .replace("seeds: 2", "seeds: 1"))
    process = start(lab, path)
    wait_for(lambda: children_of(process.pid) and begun(lab, path))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    run, = (lab.folder / "full" / "runs").iterdir()
    (run / "best.hn").unlink(missing_ok=True)
    (run / "best.hn" / "in the way").mkdir(parents=True)
    table = lab.run(path)
    assert len(table["failed"]) == 1 and "best.hn" in table["failed"][0]["error"]
    assert (run / "checkpoint.hn").exists()
    assert len(lab.lines(path, status="failed")) == 1


def test_a_name_that_is_not_utf8_is_refused_before_anything_runs(lab):
    path = lab.write("named", SMALL + "models: [shared-bottom]\n")
    out = lab.folder / os.fsdecode(b"\xff")
    done = lab.hinet("experiment", path, "--out", out, expect=78)
    assert b"the name is not UTF-8" in done.stderr
    assert not out.exists()
