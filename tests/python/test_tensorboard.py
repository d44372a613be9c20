"""`hinet train --tensorboard`: TensorBoard itself reads what was written."""

import math
import signal
import subprocess

import pytest
from conftest import SMALL
from tensorboard.backend.event_processing import event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

MORE = [*SMALL, "--set", "train.weighting=uncertainty", "--set", "train.batch=1024", "--threads", "2"]


def scalars(folder):
    """{tag: [(step, value)]} of all files of a folder."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def cells_of(report, split):
    return {f"{cell['scenario']}/{cell['task']}": cell for cell in report[split]["cells"]}


def test_tensorboard_reads_a_training(hinet, demo, tmp_path):
    board = tmp_path / "board"
    report = hinet.json("train", demo.config, "--out", tmp_path / "run", "--tensorboard", board, *MORE)
    found = scalars(board)
    last = report["epochs"][-1]
    assert [step for step, _ in found["train/loss"]] == list(range(1, last["step"] + 1))
    for tag in ("loss/click", "loss/order", "weight/click", "weight/order", "train/rate", "train/rows_per_s"):
        assert len(found[tag]) == last["step"]
    assert [step for step, _ in found["validation/auc"]] == [record["step"] for record in report["epochs"]]
    for metric in ("auc", "log_loss"):
        for record, (_, value) in zip(report["epochs"], found[f"validation/{metric}"]):
            assert value == pytest.approx(record["validation"][metric], rel=1e-6)
        for cell, metrics in cells_of(report, "test").items():
            if metrics[metric] is None:  # no row of one class
                assert f"test/{metric}/{cell}" not in found
            else:
                assert found[f"test/{metric}/{cell}"] == [(last["step"], pytest.approx(metrics[metric], rel=1e-6))]
    for task, weight in last["weights"].items():
        assert found[f"weight/{task}"][-1][1] == pytest.approx(weight, rel=1e-6)
    # the loss that is minimised, of the tasks' losses: exp(-s)·L + s/2 with s from before the step
    before = {task: found[f"weight/{task}"][-2][1] for task in last["weights"]}
    expected = sum(w * found[f"loss/{task}"][-1][1] - math.log(w) / 2 for task, w in before.items())
    assert found["train/loss"][-1][1] == pytest.approx(expected, rel=1e-5)


def test_a_resumed_training_has_each_step_once(hinet, demo, tmp_path):
    """Stopped by SIGINT in its middle, and gone on with: TensorBoard shows one curve."""
    board, args = tmp_path / "board", [*MORE, "--set", "train.epochs=12", "--set", "train.patience=0"]
    command = [hinet.path, "train", str(demo.config), "--out", str(tmp_path / "run"), "--tensorboard", str(board), *args]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        for line in process.stderr:
            if line.startswith(b"epoch 2 "):
                process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    report = hinet.json("train", demo.config, "--out", tmp_path / "run", "--resume", "--tensorboard", board, *args)
    assert len(list(board.iterdir())) == 2
    found = scalars(board)
    last = report["epochs"][-1]["step"]
    assert [step for step, _ in found["train/loss"]] == list(range(1, last + 1))
    assert [step for step, _ in found["validation/auc"]] == [record["step"] for record in report["epochs"]]


def test_runs_of_one_folder_are_told_apart(hinet, demo, tmp_path):
    for name in ("one", "two"):
        hinet("train", demo.config, "--out", tmp_path / name, "--tensorboard", tmp_path / "boards" / name, *MORE, "--quiet")
    runs = event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "boards")).Reload().Runs()
    assert sorted(runs) == ["one", "two"]
