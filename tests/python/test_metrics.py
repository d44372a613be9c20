"""Metrics where they are easily wrong: many equal predictions, sample weights, absent labels,
users of one class. Expected values are scikit-learn's on the program's own predictions."""

import csv
import io
import random

import pytest
from sklearn.metrics import log_loss, roc_auc_score

CONFIG = """
log: {files: log.csv}
split: {by: column, validation: "day == 2", test: "day == 3"}
scenario: {column: tab, values: {home: a, search: b}}
tasks: {click: click, buy: {label: buy, weight: 2}}
weight: weight
user: user
features: {item: id, tab: id}
model: {experts: 2, expert_units: [4], task_units: [4], tower_units: [], scenario_width: 2}
train: {epochs: 1, batch: 64}
"""
COLUMNS = ["day", "tab", "user", "item", "weight", "click", "buy"]


def platform_rows(n):
    """Four items, so that predictions are equal in crowds; some labels are empty."""
    draw = random.Random(7)
    for _ in range(n):
        item = draw.randrange(4)
        click = int(draw.random() < 0.2 + 0.15 * item)
        buy = "" if draw.random() < 0.3 else click * int(draw.random() < 0.5)
        if draw.random() < 0.1:
            click = ""
        yield [draw.choice([1, 1, 2, 3]), draw.choice("aab"), f"u{draw.randrange(60)}", f"i{item}",
               draw.choice([0.25, 1, 1.5, 3]), click, buy]


@pytest.fixture(scope="module")
def evaluated(hinet, tmp_path_factory):
    """Cells as `eval` says them, and the predicted rows of the test split."""
    folder = tmp_path_factory.mktemp("metrics")
    rows = [list(map(str, row)) for row in platform_rows(3000)]
    for name, chosen in {"log.csv": rows, "test.csv": [row for row in rows if row[0] == "3"]}.items():
        (folder / name).write_text("\n".join(map(",".join, [COLUMNS, *chosen])) + "\n")
    (folder / "config.yaml").write_text(CONFIG)
    hinet("train", folder / "config.yaml", "--out", folder / "run", "--quiet")
    best = folder / "run" / "best.hn"
    report = hinet.json("eval", best, folder / "test.csv")["test"]
    scored = list(csv.DictReader(io.StringIO(hinet.text("predict", best, folder / "test.csv"))))
    tabs = {"home": "a", "search": "b"}
    return [(cell, [(int(r[cell["task"]]), float(r["p_" + cell["task"]]), float(r["weight"]), r["user"])
                    for r in scored if r["tab"] == tabs[cell["scenario"]] and r[cell["task"]]])
            for cell in report["cells"]], report


def columns(rows):
    return [list(column) for column in zip(*rows)]


def test_cells_are_scikit_learns(evaluated):
    cells, report = evaluated
    assert len(cells) == 4
    for cell, rows in cells:
        y, p, w, _ = columns(rows)
        assert len(set(p)) <= 4 < len(p)
        assert (cell["rows"], cell["positives"]) == (len(y), sum(y))
        assert cell["auc"] == pytest.approx(roc_auc_score(y, p, sample_weight=w), abs=1e-9)
        assert cell["log_loss"] == pytest.approx(log_loss(y, p, sample_weight=w), rel=1e-6)
        weighted = sum(a * b for a, b in zip(w, p)) / sum(a * b for a, b in zip(w, y))
        assert cell["calibration"] == pytest.approx(weighted, rel=1e-6)
        # Weights and ties must matter here, or this test proves nothing about them.
        assert abs(cell["auc"] - roc_auc_score(y, p)) > 1e-4
    mean = sum(cell["auc"] for cell, _ in cells) / len(cells)
    assert report["mean"]["auc"] == pytest.approx(mean, abs=1e-12)


def test_gauc_weighs_users_with_both_classes_by_their_rows_weights(evaluated):
    """Each row counts by its sample weight, in a user's AUC and in the mean over users. Without
    a weight column that is the number of rows, which test_end_to_end.py has."""
    for cell, rows in evaluated[0]:
        users = {}
        for row in rows:
            users.setdefault(row[3], []).append(row)
        both = [columns(user) for user in users.values() if len({row[0] for row in user}) == 2]
        assert 0 < len(both) < len(users)
        areas = [(sum(w), roc_auc_score(y, p, sample_weight=w)) for y, p, w, _ in both]
        assert cell["gauc"] == pytest.approx(sum(n * a for n, a in areas) / sum(n for n, _ in areas), abs=1e-9)
