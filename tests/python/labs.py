"""Experiments on a small simulated platform, and what their tests ask of them."""

import json
import subprocess
import time

SMALL = """
set:
  train: {epochs: 2, batch: 512, patience: 0, keep_optimizer: false}
  model: {experts: 2, expert_units: [16, 8], bottom_units: [8], task_units: [8], tower_units: [8]}
"""


class Lab:
    """A platform, and experiments on it."""

    def __init__(self, hinet, folder):
        self.hinet, self.folder = hinet, folder
        hinet("simulate", "--rows", 20000, "--seed", 5, "--out", folder / "platform", "--quiet")

    def write(self, name, text):
        path = self.folder / f"{name}.yaml"
        path.write_text("base: {sim: platform/config.yaml}\n" + text)
        return path

    def args(self, path, *more):
        return ["experiment", path, "--out", self.folder / path.stem, "--jobs", 2, *more]

    def run(self, path, *more):
        return self.hinet.json(*self.args(path, *more))

    def lines(self, path, **having):
        lines = [json.loads(line) for line in (self.folder / path.stem / "results.jsonl").read_text().splitlines()]
        return [line for line in lines if all(line[key] == value for key, value in having.items())]


def rows_of(table):
    return {row["name"]: row for row in table["data"][0]["models"]}


LONGER = SMALL.replace("epochs: 2", "epochs: 8") + "models: [hinet, shared-bottom]\nseeds: 2\n"


def figures(table):
    """The table without what a clock has measured."""
    for data in table["data"]:
        for row in data["models"]:
            for key in ("seconds", "memory_bytes"):
                row.pop(key)
    return {key: value for key, value in table.items() if key not in ("experiment",)}


def start(lab, path, *more):
    return subprocess.Popen([lab.hinet.path, *map(str, lab.args(path, *more)), "--quiet"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def children_of(pid):
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, check=False)
    return [int(line) for line in done.stdout.split()]


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def begun(lab, path):
    """A training has got somewhere."""
    return any(f.stat().st_size > 0 for f in (lab.folder / path.stem / "runs").glob("*/history.jsonl"))
