"""hinet experiment, end to end on a small simulated platform: the grid, what is and is not run again, the
search; and the table's statistics against NumPy, SciPy, scikit-learn and statsmodels, from the result lines
and the files of scores."""

import csv
import io
import json
import math
import os
import time

import numpy as np
import pack
import pytest
from labs import SMALL, Lab, figures, rows_of, start
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests


@pytest.fixture(scope="module")
def lab(hinet, tmp_path_factory):
    return Lab(hinet, tmp_path_factory.mktemp("lab"))


GRID = SMALL + """
models:
  hinet: {}
  mmoe: {}
  ple: {}
  wide towers: {like: hinet, set: {model.tower_units: [16]}}
seeds: [1, 4, 6]
"""


@pytest.fixture(scope="module")
def grid(lab):
    path = lab.write("grid", GRID)
    return path, lab.run(path)


# ---- The grid -------------------------------------------------------------------------------------

def test_every_model_and_seed_has_a_result(lab, grid):
    path, table = grid
    lines = lab.lines(path)
    assert {(line["model"], line["seed"]) for line in lines} == {
        (m, s) for m in ("hinet", "mmoe", "ple", "wide towers") for s in (1, 4, 6)}
    assert len(lines) == len({line["key"] for line in lines}) == 12
    assert table["failed"] == []
    for line in lines:
        assert line["status"] == "done" and line["kind"] == "run" and line["version"] and line["finished"]
        assert line["seconds"] > 0 and line["memory_bytes"] > 0 and line["parameters"] > 0
        assert {"auc", "gauc", "log_loss", "calibration", "rows", "positives"} <= set(line["test"]["cells"][0])
    row = rows_of(table)["wide towers"]
    assert row["network"] == "hinet" and "model.tower_units=[16]" in row["set"]


def test_a_run_is_what_train_gives(lab, grid):
    """The same figures, bit for bit, as the command by hand."""
    path, _ = grid
    line = lab.lines(path, model="mmoe", seed=4)[0]
    sets = [word for option in line["set"] for word in ("--set", option)]
    report = lab.hinet.json("train", lab.folder / "platform" / "config.yaml", *sets, "--set", "train.seed=4",
                            "--out", lab.folder / "by-hand", "--quiet")
    assert report["test"] == line["test"] and report["validation"] == line["validation"]


def test_means_ranks_and_files(lab, grid):
    path, table = grid
    data = table["data"][0]
    for name, row in rows_of(table).items():
        lines = lab.lines(path, model=name)
        means = [line["test"]["mean"]["auc"] for line in lines]
        assert row["auc"]["mean"] == pytest.approx(np.mean(means), abs=1e-12)
        assert row["auc"]["sd"] == pytest.approx(np.std(means, ddof=1), abs=1e-12)
        for c, cell in enumerate(row["cells"]):
            values = [line["test"]["cells"][c]["auc"] for line in lines]
            if None not in values:
                assert cell["auc"]["mean"] == pytest.approx(np.mean(values), abs=1e-12)
    order = sorted(rows_of(table).values(), key=lambda row: -row["auc"]["mean"])
    assert [row["rank"] for row in order] == [1, 2, 3, 4]
    folder = lab.folder / path.stem
    assert json.loads((folder / "table.json").read_text()) == table
    found = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))
    assert len(found) == 4 * (len(data["cells"]) + 1)
    mean = next(row for row in found if row["model"] == "ple" and row["scenario"] == "mean")
    assert float(mean["auc"]) == pytest.approx(rows_of(table)["ple"]["auc"]["mean"], abs=1e-9)
    text, markdown = (folder / "table.txt").read_text(), (folder / "table.md").read_text()
    for name, row in rows_of(table).items():
        assert name in text and f"{row['auc']['mean']:.4f}" in text and f"| {name} |" in markdown
    widths = {line.count("|") for line in markdown.splitlines() if line.startswith("|")}
    assert len(widths) == 1
    latex = (folder / "table.tex").read_text()
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 5 and len({line.count("&") for line in rows}) == 1
    for form, name in (("text", "table.txt"), ("csv", "table.csv"), ("markdown", "table.md"), ("latex", "table.tex")):
        assert lab.hinet.text(*lab.args(path, "--format", form, "--quiet")) == (folder / name).read_text()


def test_differences_are_student_t_with_holm(lab, grid):
    path, table = grid
    first = {line["seed"]: line["test"] for line in lab.lines(path, model="hinet")}
    found, raw = [], []
    for name, row in rows_of(table).items():
        if name == "hinet":
            assert "difference" not in row
            continue
        other = {line["seed"]: line["test"] for line in lab.lines(path, model=name)}
        d = np.array([other[s]["mean"]["auc"] - first[s]["mean"]["auc"] for s in first])
        test = stats.ttest_1samp(d, 0)
        low, high = test.confidence_interval(0.95)
        got = row["difference"]
        assert got["n"] == 3 and got["method"] == "t over seeds"
        assert [got["mean"], got["low"], got["high"], got["p"]] == pytest.approx(
            [d.mean(), low, high, test.pvalue], rel=1e-9, abs=1e-14)
        cell = np.array([other[s]["cells"][0]["auc"] - first[s]["cells"][0]["auc"] for s in first])
        assert row["cells"][0]["difference"]["p"] == pytest.approx(stats.ttest_1samp(cell, 0).pvalue, rel=1e-9)
        found.append(got["p_holm"])
        raw.append(got["p"])
    assert found == pytest.approx(multipletests(raw, method="holm")[1], rel=1e-12)


# ---- What is run again ----------------------------------------------------------------------------

def test_what_is_done_is_not_run_again(lab, grid):
    path, table = grid
    before = lab.lines(path)
    assert lab.run(path) == table
    assert lab.lines(path) == before


def test_a_changed_config_is_run_and_the_old_one_is_kept(lab, grid):
    path, table = grid
    before = lab.lines(path)
    changed = lab.run(lab.write("grid", GRID.replace("tower_units: [16]", "tower_units: [24]")))
    now = lab.lines(path)
    assert now[: len(before)] == before and len(now) == len(before) + 3
    assert {line["model"] for line in now[len(before):]} == {"wide towers"}
    assert rows_of(changed)["wide towers"] != rows_of(table)["wide towers"]
    assert rows_of(changed)["mmoe"]["cells"] == rows_of(table)["mmoe"]["cells"]
    assert lab.run(lab.write("grid", GRID)) == table
    assert lab.lines(path) == now


def test_kept_lines_are_enough(lab, grid):
    """On another machine: nothing is run, and the table is the same."""
    path, table = grid
    folder = lab.folder / "kept"
    folder.mkdir()
    (folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lab.lines(path)))
    assert lab.hinet.json("experiment", path, "--out", folder) == table
    assert not (folder / "runs").exists()


def test_changed_data_are_run(lab, hinet, tmp_path):
    other = Lab(hinet, tmp_path)
    path = other.write("d", SMALL + "models: [shared-bottom]\n")
    other.run(path)
    log = tmp_path / "platform" / "log.csv"
    os.utime(log, (1, 1))  # another time, the same content
    other.run(path)
    assert len(other.lines(path)) == 1
    header, *rows = log.read_text().splitlines()
    log.write_text("\n".join([header, *rows[:-1000]]) + "\n")
    other.run(path)
    assert len({line["key"] for line in other.lines(path)}) == 2


# ---- One seed: the bootstrap ------------------------------------------------------------------------

def read_scores(path):
    sections = pack.read_pack(path, b"SCOR")
    scenarios, tasks, stride = (int(n) for n in sections["scores/shape"])
    record = np.dtype([("user", "<u8"), ("weight", "<f4"), ("logit", "<f4", tasks), ("scenario", "<u2"),
                       ("label", "u1", tasks)])
    assert record.itemsize == stride
    return scenarios, tasks, np.frombuffer(sections["scores/rows"], record)


def weighted_auc(logits, labels, weights):
    """scikit-learn's, but quick enough for a bootstrap."""
    _, group = np.unique(logits, return_inverse=True)
    up = np.bincount(group, weights * (labels == 1))
    down = np.bincount(group, weights * (labels == 0))
    pairs = up.sum() * down.sum()
    return (up * (np.cumsum(down) - down / 2)).sum() / pairs if pairs > 0 else math.nan


def cell_aucs(rows, scenarios, tasks, weights, auc=weighted_auc):
    aucs = []
    for s in range(scenarios):
        for t in range(tasks):
            mine = (rows["scenario"] == s) & (rows["label"][:, t] < 2)
            aucs.append(auc(rows["logit"][mine, t], rows["label"][mine, t], weights[mine]))
    return np.array(aucs)


def sklearn_auc(logits, labels, weights):
    return roc_auc_score(labels, logits, sample_weight=weights) if len(set(labels)) == 2 else math.nan


def test_with_one_seed_the_interval_is_by_user(lab, grid):
    path = lab.write("one", GRID.replace("[1, 4, 6]", "[4]"))
    table = lab.run(path)
    keys = {line["model"]: line["key"] for line in lab.lines(path)}
    first, other = (read_scores(lab.folder / "one" / "runs" / keys[name] / "test.scores") for name in ("hinet", "mmoe"))
    scenarios, tasks, a = first
    b = other[2]
    assert (a["user"] == b["user"]).all() and (a["label"] == b["label"]).all()
    line = lab.lines(path, model="hinet")[0]
    ones = np.ones(len(a))
    cells = [cell["auc"] for cell in line["test"]["cells"]]
    mine = cell_aucs(a, scenarios, tasks, ones, sklearn_auc)
    assert [c for c in cells if c is not None] == pytest.approx(mine[~np.isnan(mine)], abs=1e-9)
    got = rows_of(table)["mmoe"]["difference"]
    assert got["method"] == "bootstrap by user"
    assert got["mean"] == pytest.approx(np.nanmean(cell_aucs(b, scenarios, tasks, ones) - mine), abs=1e-9)
    users, unit = np.unique(a["user"], return_inverse=True)
    assert got["n"] == len(users)
    rng, samples = np.random.default_rng(1), []
    for _ in range(200):
        times = np.bincount(rng.integers(0, len(users), len(users)), minlength=len(users)).astype(float)[unit]
        samples.append(np.nanmean(cell_aucs(b, scenarios, tasks, times) - cell_aucs(a, scenarios, tasks, times)))
    width = np.subtract(*np.quantile(samples, [0.975, 0.025]))
    assert got["high"] - got["low"] == pytest.approx(width, rel=0.25)
    assert got["low"] == pytest.approx(np.quantile(samples, 0.025), abs=0.2 * width)
    assert lab.run(path) == table  # and it is the same every time


# ---- The search -------------------------------------------------------------------------------------

SEARCH = SMALL.replace("epochs: 2", "epochs: 4") + """
models:
  shared-bottom: {}
  mmoe: {search: {model.experts: {integer: [1, 4]}}}
  small: {like: mmoe, set: {model.tower_units: [4]}}
seeds: [1]
search:
  train.rate: {log: [0.0003, 0.01]}
trials: 4
"""


def check_search(lab, path, table):
    assert [s["model"] for s in table["search"]] == ["shared-bottom", "mmoe"]
    for search in table["search"]:
        assert search["epochs"] == [1, 2, 4]
        reached = sorted(len(trial["metric"]) for trial in search["trials"])
        assert reached == [1, 1, 2, 3]
        firsts = [trial["metric"][0] for trial in search["trials"]]
        assert {t["trial"] for t in search["trials"] if len(t["metric"]) > 1} == set(np.argsort(firsts)[-2:])
        assert len(search["trials"][search["best"]]["metric"]) == 3
        assert all(t["metric"] == sorted(t["metric"]) for t in search["trials"])  # the best so far
        best = search["trials"][search["best"]]["set"]
        assert rows_of(table)[search["model"]]["set"] == best
    small = rows_of(table)["small"]["set"]
    assert [o for o in small if not o.startswith("model.tower_units=[4]")] == rows_of(table)["mmoe"]["set"]
    # The trials' lines know nothing of the test split.
    trials = lab.lines(path, kind="trial")
    assert trials and not any("test" in line for line in trials)


def test_models_with_other_features_are_compared_too(lab):
    """Their prepared data are others, their test rows the same."""
    path = lab.write("features", SMALL + """
models:
  shared-bottom: {}
  without rates: {like: shared-bottom, set: {features: {user_rate: null, item_rate: null}}}
""")
    table = lab.run(path)
    assert len(list((lab.folder / "features" / "data").glob("*.hnd"))) == 2
    assert rows_of(table)["without rates"]["difference"]["method"] == "bootstrap by user"


def test_the_search_is_the_same_however_it_goes(lab):
    path = lab.write("search", SEARCH)
    table = lab.run(path, "--search")
    check_search(lab, path, table)
    before = lab.lines(path)
    assert lab.run(path, "--search") == table and lab.lines(path) == before
    # One at a time, and killed on the way.
    other = lab.write("search-killed", SEARCH)
    for _ in range(3):
        process = start(lab, other, "--search")
        time.sleep(1)
        process.kill()
        process.communicate()
    again = lab.hinet.json("experiment", other, "--out", lab.folder / "search-killed", "--jobs", 1, "--search")
    assert figures(again) == figures(table)


def test_searches_of_equal_options_share_their_trials(lab):
    """The one that is over first leaves the other its checkpoints."""
    path = lab.write("twins", SEARCH.replace("""  mmoe: {search: {model.experts: {integer: [1, 4]}}}
  small: {like: mmoe, set: {model.tower_units: [4]}}
""", "  twin: {model: shared-bottom}\n"))
    table = lab.run(path, "--search")
    assert table["failed"] == []
    one, other = table["search"]
    assert one["trials"] == other["trials"] and one["best"] == other["best"]
    assert not list((lab.folder / "twins" / "trials").glob("*/*.hn"))  # and then they go


def test_more_trials_add_to_those_that_were(lab):
    path = lab.write("search", SEARCH.replace("trials: 4", "trials: 6"))
    before = {line["key"] for line in lab.lines(path, kind="trial", until=1)}
    lab.run(path, "--search")
    after = [line["key"] for line in lab.lines(path, kind="trial", until=1)]
    assert len(before) == 8 and len(after) == 12 and before < set(after)
