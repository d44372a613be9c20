"""The calibration that training leaves in a bundle, against scikit-learn on the rows that it
was fitted on: the validation split, scored by `hinet predict`; and the golden rows and the
information that the bundle has about them."""

import csv
import io
import json

import numpy as np
import pytest
from conftest import SMALL
from pack import read_pack
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

TASKS = ["click", "order"]


def section(bundle, name):
    return json.loads(bytes(read_pack(bundle, b"BNDL")[name]))


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def validation(demo, tmp_path_factory):
    """A file with the validation split's rows."""
    header, rows = demo.log_lines()
    date = header.split(",").index("date")
    kept = [row for row in rows if row.split(",")[date] == "20240112"]
    path = tmp_path_factory.mktemp("validation") / "rows.csv"
    path.write_text("\n".join([header, *kept]) + "\n")
    return path


def cells(bundle, rows):
    """(number, logits, labels, where) of every cell, in the bundle's order."""
    scenarios = [s["name"] for s in bundle]
    for m, scenario in enumerate(scenarios):
        own = np.array([row["scenario"] == scenario for row in rows])
        for t, task in enumerate(TASKS):
            p = np.array([float(row[f"p_{task}"]) for row in rows])[own]
            y = np.array([int(row[task]) for row in rows])[own]
            yield m * len(TASKS) + t, np.log(p) - np.log1p(-p), y, own


def platt(x, y):
    """Least log loss against Platt's targets: each row once as a positive with its target's
    weight and once as a negative with the rest."""
    high, low = (y.sum() + 1) / (y.sum() + 2), 1 / ((1 - y).sum() + 2)
    target = np.where(y == 1, high, low)
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10000)
    model.fit(np.r_[x, x][:, None], np.r_[np.ones_like(y), np.zeros_like(y)],
              sample_weight=np.r_[target, 1 - target])
    return model.coef_[0, 0], model.intercept_[0]


def test_platt_is_scikit_learns(hinet, demo, validation):
    fits = section(demo.best, "calibration")
    assert fits["kind"] == "platt"
    scenarios = hinet.json("info", demo.best)["scenarios"]
    rows = rows_of(hinet.text("predict", demo.best, validation))
    calibrated = rows_of(hinet.text("predict", demo.best, validation, "--calibrate"))
    compared = 0
    for cell, x, y, own in cells(scenarios, rows):
        fit = fits["cells"][cell]
        if min(y.sum(), (1 - y).sum()) < 20:
            assert fit is None
            continue
        a, b = platt(x, y)
        found = np.array([float(row[f"p_{TASKS[cell % 2]}"]) for row in calibrated])[own]
        np.testing.assert_allclose(found, 1 / (1 + np.exp(-fit["a"] * x - fit["b"])), atol=2e-6)
        if a <= 0:  # the order stays: only the mean is fitted
            assert fit["a"] == 1
            continue
        assert abs(fit["a"] - a) < 1e-3 * max(1, abs(a)) and abs(fit["b"] - b) < 1e-3 * max(1, abs(b))
        np.testing.assert_allclose(found, 1 / (1 + np.exp(-a * x - b)), atol=1e-4)
        compared += 1
    assert compared >= 5


def test_isotonic_is_scikit_learns(hinet, demo, validation, tmp_path):
    hinet("train", demo.config, "--out", tmp_path, "--quiet", "--set", "train.calibration=isotonic", *SMALL)
    best = tmp_path / "best.hn"
    fits = section(best, "calibration")
    assert fits["kind"] == "isotonic"
    scenarios = hinet.json("info", best)["scenarios"]
    rows = rows_of(hinet.text("predict", best, validation))
    calibrated = rows_of(hinet.text("predict", best, validation, "--calibrate"))
    compared = 0
    for cell, x, y, own in cells(scenarios, rows):
        if fits["cells"][cell] is None:
            assert min(y.sum(), (1 - y).sum()) < 20
            continue
        expected = IsotonicRegression(out_of_bounds="clip").fit(x, y).predict(x)
        expected = np.clip(expected, 1 / (len(y) + 2), 1 - 1 / (len(y) + 2))
        found = np.array([float(row[f"p_{TASKS[cell % 2]}"]) for row in calibrated])[own]
        # equal up to the last digits of the text, which may part logits that are all but equal
        assert np.mean(np.abs(found - expected) < 1e-5) > 0.99
        compared += 1
    assert compared >= 5


def test_none_leaves_it_out(hinet, demo, validation, tmp_path):
    hinet("train", demo.config, "--out", tmp_path, "--quiet", "--set", "train.calibration=none",
          "--set", "train.golden_rows=0", "--set", "train.profile=false", *SMALL)
    best = tmp_path / "best.hn"
    assert not {"calibration", "golden", "profile"} & set(read_pack(best, b"BNDL"))
    assert (hinet.text("predict", best, validation, "--calibrate") == hinet.text("predict", best, validation)
            == hinet.text("predict", demo.best, validation))
    info = hinet.json("info", best)
    assert info["calibration"]["kind"] == "none" and info["golden"] == {"rows": 0, "problem": None}


def test_golden_rows_are_rows_of_the_log(hinet, demo, tmp_path):
    golden = section(demo.best, "golden")
    assert len(golden["rows"]) == 32
    names = [name.removeprefix("log.") for name in golden["columns"]]
    log = {tuple(row[name] for name in names): row for row in rows_of(demo.config.with_name("log.csv").read_text())}
    scenarios = [s["name"] for s in hinet.json("info", demo.best)["scenarios"]]
    assert {row["scenario"] for row in golden["rows"]} == set(range(6))
    whole = [log[tuple(row["cells"])] for row in golden["rows"]]
    assert all(row["date"] >= "20240112" for row in whole)
    assert [scenarios[row["scenario"]] for row in golden["rows"]] == [row["scenario"] for row in whole]
    path = tmp_path / "golden.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(whole[0]))
        writer.writeheader()
        writer.writerows(whole)
    for row, scored in zip(golden["rows"], rows_of(hinet.text("predict", demo.best, path)), strict=True):
        for task, logit in zip(TASKS, row["logits"], strict=True):
            assert float(scored[f"p_{task}"]) == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert "golden rows: 32, scored as when it was trained" in hinet.text("info", demo.best)
