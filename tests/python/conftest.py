"""What the Python tests share: the built program, a way to run it, and one small trained
demo. `HINET` names the program; the default is the release build's."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"

# A model that trains in a second or two; the figures are compared, not admired.
SMALL = [
    "--set", "train.epochs=2", "--set", "train.batch=512", "--set", "model.experts=2",
    "--set", "model.expert_units=[16, 8]", "--set", "model.task_units=[8]", "--set", "model.tower_units=[8]",
]


class Program:
    """Runs the program and checks its exit code; the sentence on stderr is shown if it differs."""

    def __init__(self, path):
        self.path = str(path)

    def __call__(self, *args, expect=0, stdin=None, cwd=None, env=None):
        done = subprocess.run(
            [self.path, *map(str, args)], input=stdin, capture_output=True, cwd=cwd,
            env={**os.environ, **(env or {})}, timeout=300, check=False)
        assert done.returncode == expect, (args, done.returncode, done.stderr.decode()[-2000:])
        return done

    def text(self, *args, **kwargs):
        return self(*args, **kwargs).stdout.decode()

    def json(self, *args, **kwargs):
        return json.loads(self.text(*args, "--json", **kwargs))

    def fails(self, code, words, *args, **kwargs):
        """The exit code, a sentence with these words on stderr, and nothing on stdout."""
        done = self(*args, expect=code, **kwargs)
        message = done.stderr.decode()
        assert words in message, message
        assert done.stdout == b""
        return message


@pytest.fixture(scope="session")
def hinet():
    path = pathlib.Path(os.environ.get("HINET", ROOT / "build" / "release" / "hinet"))
    if not path.exists():
        pytest.skip(f"{path} is not built: run `make` first, or name the program in HINET")
    return Program(path)


class Demo:
    """A simulated platform and a small HiNet trained on it."""

    def __init__(self, hinet, folder):
        self.folder = folder
        self.config = folder / "config.yaml"
        self.run = folder / "run"
        self.truth = hinet.json("simulate", "--rows", 40000, "--seed", 5, "--out", folder, "--quiet")
        self.report = hinet.json("train", self.config, "--out", self.run, "--threads", 2, *SMALL)
        self.best = self.run / "best.hn"
        self.header, rows = self.log_lines()
        date = self.header.split(",").index("date")
        self.test_rows = [row for row in rows if row.split(",")[date] >= "20240113"]

    def log_lines(self):
        lines = (self.folder / "log.csv").read_text().splitlines()
        return lines[0], lines[1:]

    def write_test_csv(self, path):
        path.write_text("\n".join([self.header, *self.test_rows]) + "\n")
        return path


@pytest.fixture(scope="session")
def demo(hinet, tmp_path_factory):
    return Demo(hinet, tmp_path_factory.mktemp("demo"))
