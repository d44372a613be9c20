"""Drift: what a trained bundle remembers of its validation split, against NumPy's quantiles and
counts; and the PSI that a server tells, against NumPy's of the rows that were sent to it."""

import json
import re

import numpy as np
import pytest

from pack import read_pack
from test_serve import Server

SCENARIOS = ["home", "search", "deals", "video", "local", "gifts"]
TASKS = ["click", "order"]


def profile_of(path):
    sections = read_pack(path, b"BNDL")
    return json.loads(bytes(sections["profile"]))


def logit(p):
    p = np.asarray(p, float)
    return np.log(p) - np.log1p(-p)


@pytest.fixture(scope="module")
def profile(demo):
    return profile_of(demo.best)


@pytest.fixture(scope="module")
def log(demo):
    names = demo.header.split(",")
    return [dict(zip(names, line.split(","))) for line in demo.log_lines()[1]]


def histogram(profile, scenario, name):
    of = profile["scenarios"][SCENARIOS.index(scenario)]["histograms"]
    return of[len(profile["inputs"]) + TASKS.index(name) if name in TASKS else profile["inputs"].index(name)]


def ids_by_first_appearance(log, column):
    """A vocabulary's ids, by its definition in src/data/schema.h."""
    ids = {}
    for row in log:
        if row["date"] < "20240112" and row[column] != "":
            ids.setdefault(row[column], 2 + len(ids))
    return ids


def test_scores_are_the_validation_splits(hinet, demo, log, profile):
    rows = [row for row in log if row["date"] == "20240112"]
    csv = demo.header + "\n" + "".join(",".join(row.values()) + "\n" for row in rows)
    scored = hinet.text("predict", demo.best, "-", stdin=csv.encode()).splitlines()[1:]
    p = np.array([line.split(",")[-2:] for line in scored], float)
    for scenario in SCENARIOS:
        here = np.array([row["scenario"] == scenario for row in rows])
        n = int(here.sum())
        assert n <= 2048, "the demo has grown: the profile is a sample now"
        if n < 100:
            assert profile["scenarios"][SCENARIOS.index(scenario)] is None
            continue
        assert profile["scenarios"][SCENARIOS.index(scenario)]["rows"] == n
        for t, task in enumerate(TASKS):
            found = histogram(profile, scenario, task)
            x = np.sort(logit(p[here, t]))
            cuts = np.unique(x[np.arange(1, 10) * n // 10])
            assert np.allclose(found["cuts"], cuts[cuts > x[0]], rtol=1e-5, atol=1e-5)
            assert sum(found["counts"]) == n
            assert np.abs(np.array(found["counts"]) - n / 10).max() <= 3


def test_features_are_the_validation_splits(log, profile):
    ids = ids_by_first_appearance(log, "hour")
    for scenario in SCENARIOS:
        rows = [row for row in log if row["date"] == "20240112" and row["scenario"] == scenario]
        if len(rows) < 100:
            continue
        found = histogram(profile, scenario, "hour")
        counted = np.bincount([ids.get(row["hour"], 1) for row in rows], minlength=40)
        assert found["counts"][:2] == counted[:2].tolist()
        top = found["counts"][2:-1]
        assert top == counted[found["ids"]].tolist()
        assert sorted(top) == sorted(counted[2:])[-len(top):]
        assert sum(found["counts"]) == len(rows)


def test_a_profile_can_be_left_out(hinet, demo, tmp_path):
    hinet("train", demo.config, "--out", tmp_path, "--set", "train.profile=false", "--set", "train.epochs=1",
          "--set", "model.experts=1", "--set", "model.expert_units=[4]", "--set", "model.task_units=[4]", "--quiet")
    assert "profile" not in read_pack(tmp_path / "best.hn", b"BNDL")


# ---- The server's PSI ----------------------------------------------------------------------

MASK = (1 << 64) - 1


def mix64(z):
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
    return z ^ z >> 31


def drawn(n):
    """The rows, of n in the order of scoring, that one worker counts: see src/serve/drift.c."""
    at, draws, found = 0, 0, []
    while at < n:
        found.append(at)
        draws += 1
        at += 1 + mix64(draws) % 31
    return found


def psi(expected, actual):
    expected, actual = np.array(expected, float) + 0.5, np.array(actual, float) + 0.5
    p, q = expected / expected.sum(), actual / actual.sum()
    return ((q - p) * np.log(q / p)).sum()


def gauges(server, name):
    text = server.ask("GET", "/metrics")[2].decode()
    found = {}
    for line in text.splitlines():
        if line.startswith(name + "{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            assert labels.pop("model") == "default"
            found[tuple(labels.values())] = float(line.split()[-1])
    return found


@pytest.fixture(scope="module")
def served(hinet, demo, tmp_path_factory):
    """A server with one worker, the rows that it was asked to score, and their logits."""
    home = tmp_path_factory.mktemp("drift")
    (home / "serve.yaml").write_text(f"listen: 127.0.0.1:0\nworkers: 1\ncalibration: off\nmodels: {demo.best}\n")
    server = Server(hinet, home, home / "serve.yaml")
    names = demo.header.split(",")
    rows = [dict(zip(names, line.split(","))) for line in demo.test_rows]
    items = sorted({row["item_id"] for row in rows})
    sent = []
    for k in range(90):
        base, scenario = rows[k * 17 % len(rows)], ["home", "search"][k % 2]
        candidates = [items[(k * 131 + i) % len(items)] for i in range(min(150, len(items)))]
        status, _, body = server.ask("POST", "/v1/rank", {
            "scenario": scenario, "user": {"id": base["user_id"]}, "context": {"hour": 3},
            "candidates": [{"id": item, "position": 1 + i % 8} for i, item in enumerate(candidates)]})
        assert status == 200, body
        p = {item["id"]: item["p"] for item in json.loads(body)["items"]}
        sent += [(scenario, [logit(p[item][task]) for task in TASKS]) for item in candidates]
    yield server, sent
    if server.process.poll() is None:
        assert server.stop() == 0


def test_psi_of_scores_is_numpys(served, profile):
    server, sent = served
    counted = [sent[i] for i in drawn(len(sent))]
    rows, found = gauges(server, "hinet_drift_rows"), gauges(server, "hinet_drift_score_psi")
    for scenario in ("home", "search"):
        logits = np.array([x for s, x in counted if s == scenario])
        assert rows[(scenario,)] == len(logits) >= 200
        for t, task in enumerate(TASKS):
            of = histogram(profile, scenario, task)
            buckets = np.searchsorted(of["cuts"], logits[:, t], side="right")
            expected = psi(of["counts"], np.bincount(buckets, minlength=len(of["counts"])))
            assert found[(scenario, task)] == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_psi_of_a_feature_is_numpys(served, profile, log):
    server, sent = served
    ids = ids_by_first_appearance(log, "hour")
    found = gauges(server, "hinet_drift_feature_psi")
    for scenario in ("home", "search"):
        of = histogram(profile, scenario, "hour")
        actual = np.zeros(len(of["counts"]))
        place = 2 + of["ids"].index(ids["3"]) if ids["3"] in of["ids"] else len(actual) - 1
        actual[place] = sum(s == scenario for s, _ in [sent[i] for i in drawn(len(sent))])
        assert found[(scenario, "hour")] == pytest.approx(psi(of["counts"], actual), rel=1e-6)
        assert found[(scenario, "hour")] > 0.25 > found[(scenario, "scenario")]
    inputs = {name for scenario, name in found if scenario == "home"}
    assert inputs == set(profile["inputs"])


def test_few_rows_tell_nothing(served):
    server, _ = served
    for name in ("hinet_drift_score_psi", "hinet_drift_feature_psi"):
        assert {labels[0] for labels in gauges(server, name)} == {"home", "search"}
    assert gauges(server, "hinet_drift_rows").get(("deals",), 0) == 0
