"""The command line by itself: help, options, mistakes, where output goes."""

import json
import os
import pathlib
import pty
import select
import subprocess

import pytest
from conftest import ROOT, SHARED

COMMANDS = ["check", "train", "eval", "predict", "info", "report", "experiment", "serve", "features", "join", "replay",
            "abtest", "simulate", "config", "help"]
CODES = ["0  success", "1  the work", "2  the command line", "65", "66", "73", "74", "78", "130"]


def test_help_names_every_command(hinet):
    text = hinet.text("--help")
    assert text == hinet.text("help") == hinet.text("-h")
    for command in COMMANDS:
        assert f"\n  {command} " in text
    for code in CODES:
        assert f" {code}" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_example_and_exit_codes(hinet, command):
    text = hinet.text(command, "--help")
    assert text.startswith(f"usage: hinet {command}")
    assert f"Example:\n  hinet {command}" in text or f"| hinet {command}" in text
    assert "Exit codes:" in text and "--help" in text
    assert text == hinet.text("help", command) == hinet.text(command, "-h")
    assert max(map(len, text.splitlines())) <= 100


def test_without_a_command_help_goes_to_stderr(hinet):
    done = hinet(expect=2)
    assert done.stdout == b"" and b"usage: hinet" in done.stderr


def test_version(hinet):
    header = (ROOT / "include" / "hinet.h").read_text()
    version = header.split('#define HN_VERSION "')[1].split('"')[0]
    assert hinet.text("--version") == f"hinet {version}\n"


@pytest.mark.parametrize("args, words", [
    (["trian", "x"], "did you mean train?"),
    (["chekc", "x"], "did you mean check?"),
    (["frobnicate"], "no command"),
    (["train"], "CONFIG is missing"),
    (["train", "a", "b"], '"b" is one argument too many'),
    (["train", "a", "--sett", "x=1"], "did you mean --set?"),
    (["train", "a", "--thread=2"], "did you mean --threads?"),
    (["train", "a", "-x"], "unknown option"),
    (["info", "b", "--threads", "2"], "unknown option"),
    (["train", "a", "--set"], "KEY=VALUE is missing"),
    (["train", "a", "--set", "epochs"], "expected KEY=VALUE"),
    (["train", "a", "--set", "=3"], "expected KEY=VALUE"),
    (["train", "a", "--json=yes"], "takes none"),
    (["train", "a", "--threads", "0"], "1 to 256"),
    (["train", "a", "--until-epoch", "0"], "--until-epoch"),
    (["experiment", "a", "--jobs", "none"], "--jobs"),
    (["experiment"], "EXPERIMENT.yaml is missing"),
    (["train", "a", "--threads", "257"], "1 to 256"),
    (["train", "a", "--threads", "two"], "1 to 256"),
    (["train", "a", "--threads", "1.5"], "1 to 256"),
    (["train", "a", "--memory", "2X"], "--memory"),
    (["train", "a", "--memory", "10"], "at least 1M"),
    (["train", "a", "--memory", "-1G"], "--memory"),
    (["simulate", "--rows", "999"], "1000 to 10000000000"),
    (["simulate", "--rows", "1e11"], "1000 to 10000000000"),
    (["simulate", "--rows", "1000.5"], "whole number"),
    (["simulate", "--rows", "nan"], "whole number"),
    (["simulate", "--seed", "-1"], "--seed"),
    (["simulate", "--seed", "18446744073709551616"], "--seed"),
    (["simulate", "x"], "too many"),
    (["predict", "b"], "missing"),
    (["eval", "b", "c.yaml", "d.csv"], "beside it"),
    (["eval", "b", "c.csv", "--set", "a=b"], "--set changes a config"),
    (["help", "nothing"], "no command"),
])
def test_mistakes_are_told_and_end_with_2(hinet, args, words):
    hinet.fails(2, words, *args)


def test_options_may_stand_anywhere_and_have_two_forms(hinet, tmp_path):
    a = hinet.text("simulate", "--rows", "2k", "--seed=7", "--out", tmp_path / "a", "--json", "--threads=1")
    b = hinet.text("simulate", "--json", f"--out={tmp_path / 'b'}", "--seed", "7", "--rows=2000")
    assert a == b
    assert json.loads(a)["rows"] == 2000
    assert (tmp_path / "a" / "log.csv").read_bytes() == (tmp_path / "b" / "log.csv").read_bytes()


def test_double_dash_ends_options(hinet, tmp_path):
    hinet.fails(66, "--json", "check", "--", "--json", cwd=tmp_path)


def test_data_on_stdout_logs_on_stderr(hinet, tmp_path):
    done = hinet("simulate", "--rows", 3000, "--out", tmp_path)
    assert b"Bayes AUC" in done.stdout
    assert b"Bayes" not in done.stderr


def test_a_full_disk_is_74(hinet):
    for args in (["--version"], ["help"], ["info", "--models"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([hinet.path, *args], stdout=full, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 74, args
        assert b"standard output" in done.stderr


def test_a_reader_that_leaves_is_no_error(hinet):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([hinet.path, "config"], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_out_that_cannot_be_made_is_73(hinet, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    hinet.fails(73, "file", "simulate", "--rows", 1000, "--out", file)
    hinet.fails(73, "file", "simulate", "--rows", 1000, "--out", file / "below")


def test_absent_inputs_are_66(hinet, tmp_path):
    for args in (["check", "none.yaml"], ["train", "none.yaml"], ["info", "none.hn"],
                 ["eval", "none.hn"], ["predict", "none.hn", "-"]):
        hinet.fails(66, "none.", *args, cwd=tmp_path)


def on_terminal(args):
    """Runs with a terminal as standard error; gives what it showed."""
    main, end = pty.openpty()
    with subprocess.Popen(args, stderr=end, stdout=subprocess.DEVNULL) as process:
        os.close(end)
        shown = b""
        while True:
            ready, _, _ = select.select([main], [], [], 60)
            try:
                piece = os.read(main, 65536) if ready else b""
            except OSError:
                break
            if not piece:
                break
            shown += piece
    os.close(main)
    assert process.returncode == 0
    return shown.decode()


def test_a_bar_on_a_terminal_and_none_elsewhere(hinet, tmp_path):
    args = [hinet.path, "simulate", "--rows", "300k", "--out", str(tmp_path)]
    shown = on_terminal(args)
    assert "simulate [#" in shown and "rows/s" in shown
    assert shown.endswith("\r\x1b[K")  # the bar is gone when the command ends
    assert on_terminal([*args, "--quiet"]) == ""
    assert "\r" not in hinet(*args[1:]).stderr.decode()


def test_config_prints_the_reference_and_a_resolved_config(hinet, tmp_path):
    assert (ROOT / "docs" / "config.md").read_text().strip() == hinet.text("config").strip()
    hinet("simulate", "--rows", 1000, "--out", tmp_path)
    text = hinet.text("config", tmp_path / "config.yaml", "--set", "train.epochs=17")
    assert "epochs: 17" in text and "weight_decay" in text
    assert str(tmp_path) not in text
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(text)
    assert hinet.text("config", resolved) == text


def test_models_lists_the_models(hinet):
    text = hinet.text("info", "--models")
    for name in ("hinet", "shared-bottom", "mmoe", "ple", "single", "mixed", "hmoe", "cross-stitch", "star", "pepnet",
                 "aitm", "m3oe", "hinet+"):
        assert name in text
    assert len(hinet.json("info", "--models")["models"]) == 13
    hinet.fails(2, "either BUNDLE or --models", "info")
    hinet.fails(2, "either BUNDLE or --models", "info", "run.hn", "--models")


def test_bad_configs_are_78(hinet, tmp_path):
    hinet("simulate", "--rows", 1000, "--out", tmp_path)
    config = tmp_path / "config.yaml"
    message = hinet.fails(78, "did you mean", "check", config, "--set", "train.epoch=3")
    assert "epochs" in message
    hinet.fails(78, "train", "train", config, "--set", "train.batch=many")
    bad = tmp_path / "bad.yaml"
    bad.write_text(config.read_text().replace("epochs:", "epochz:"))
    line = next(n for n, text in enumerate(bad.read_text().splitlines(), 1) if "epochz" in text)
    assert f"bad.yaml:{line}:" in hinet.fails(78, "epochs", "check", bad)


@pytest.mark.parametrize("name", ["movielens", "kuairand", "aliexpress", "ali-ccp"])
def test_examples_are_good_configs(hinet, name):
    assert "features" in hinet.text("config", ROOT / "examples" / f"{name}.yaml")


@pytest.mark.parametrize("name", ["aliexpress", "ali-ccp"])
def test_the_samples_pass_check(hinet, name):
    if not pathlib.Path(SHARED / "data" / "format-samples").exists():
        pytest.skip("../shared/data is not here")
    report = hinet.json("check", ROOT / "examples" / f"{name}.yaml")
    assert report["log"]["rows"] > 0 and report["log"]["bad"] == 0
