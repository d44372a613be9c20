"""`hinet report` from outside: the page is HTML that a browser, a screen reader and a phone can use,
its data are the figures that `hinet eval` gives, and intervals, curves and the cost of features are
what NumPy and scikit-learn make of the program's own predictions."""

import csv
import html.parser
import io
import json
import math
import re

import numpy as np
import pytest
from conftest import SMALL
from scipy.stats import poisson
from sklearn.metrics import roc_auc_score

MASK = (1 << 64) - 1
STREAM_REPORT = 12  # HN_STREAM_REPORT
TASKS = ["click", "order"]


@pytest.fixture(scope="module")
def reported(hinet, demo, tmp_path_factory):
    """The page and the data of the demo's run, measured on all rows of its test split's file."""
    folder = tmp_path_factory.mktemp("report")
    rows = demo.write_test_csv(folder / "test.csv")
    data = hinet.json("report", demo.run, "--data", rows, "-o", folder / "report.html", "--quiet")
    return data, (folder / "report.html").read_text(), rows


@pytest.fixture(scope="module")
def predicted(hinet, demo, reported):
    """(scenario, task) → labels, probabilities and users of the cell, in the log's order."""
    rows = list(csv.DictReader(io.StringIO(hinet.text("predict", demo.best, reported[2]))))
    cells = {}
    for row in rows:
        for task in TASKS:
            if row[task] != "":
                cells.setdefault((row["scenario"], task), []).append(
                    (int(row[task]), float(row[f"p_{task}"]), row["user_id"]))
    return cells


# ---- The page -----------------------------------------------------------------------------

VOID = {"meta", "link", "br", "hr", "img", "input"}
SVG_EMPTY = {"path", "line", "rect"}


class Page(html.parser.HTMLParser):
    """Elements with their parents; every element must be closed by its own end tag."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, attrs)
        self.elements.append((tag, dict(attrs), list(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in SVG_EMPTY, tag
        self.elements.append((tag, dict(attrs), list(self.open)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open, self.getpos())
        self.open.pop()

    def handle_data(self, data):
        self.text.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attrs for name, attrs, _ in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(reported):
    return Page(reported[1])


def test_the_page_is_well_formed_and_alone(page, reported):
    text = reported[1]
    assert text.startswith("<!DOCTYPE html>")
    assert [a.get("lang") for a in page.all("html")] == ["en"]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    # Nothing is fetched, and nothing runs.
    assert not page.all("link") and not page.all("img") and not page.all("iframe")
    assert [a.get("type") for a in page.all("script")] == ["application/json"]
    assert not re.search(r"https?://|url\(|@import", text)
    ids = [a["id"] for _, a, _ in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link["href"][0] == "#" and link["href"][1:] in ids


def test_the_page_can_be_heard_and_walked(page):
    headings = [tag for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == "h1" and headings.count("h1") == 1
    for before, after in zip(headings, headings[1:]):
        assert int(after[1]) <= int(before[1]) + 1
    for tag, attrs, parents in page.elements:
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or (attrs["role"] == "img" and attrs["aria-label"])
        if tag == "th":
            assert attrs["scope"] in {"col", "row", "colgroup"}
        if tag == "figure":
            assert "main" in parents
        if attrs.get("class") == "scroll":  # what scrolls can be reached by keyboard and has a name
            assert attrs["tabindex"] == "0" and attrs["role"] == "region" and attrs["aria-label"]
    assert len(page.all("figcaption")) == len(page.all("figure")) > 20
    assert len(page.all("caption")) == len(page.all("table")) >= 3
    sections = [a["id"] for a in page.all("section")]
    assert sections == ["overview", "cells", "curves", "learning", "san", "gates", "features", "data",
                        "reproduce", "methods"]


def test_no_picture_has_a_number_that_is_none(page, reported):
    assert not re.search(r'"[^"]*\b(nan|inf)\b[^"]*"', re.sub(r"<script.*?</script>", "", reported[1], flags=re.S))
    for tag, attrs, _ in page.elements:
        if tag in SVG_EMPTY:
            for name in ("x", "y", "x1", "x2", "y1", "y2", "width", "height"):
                if name in attrs:
                    assert math.isfinite(float(attrs[name]))


def test_the_data_stand_in_the_page(page, reported):
    data = json.loads("".join(text for tag, text in page.text if tag == "script"))
    assert data == reported[0]


def test_the_config_in_the_page_is_the_bundles(page, hinet, demo):
    wanted = hinet.json("info", demo.best)["config"]
    assert wanted in "".join(text for tag, text in page.text if tag == "pre")


# ---- Figures ------------------------------------------------------------------------------

def test_figures_are_evals(hinet, demo, reported):
    measured = reported[0]["runs"][0]["measured"]
    expected = hinet.json("eval", demo.best, reported[2])["test"]
    for key in ("auc", "gauc", "log_loss"):
        assert measured["mean"][key] == expected["mean"][key]
    assert len(measured["cells"]) == len(expected["cells"])
    for mine, theirs in zip(measured["cells"], expected["cells"]):
        for key, value in theirs.items():
            assert mine[key] == value, (key, mine, theirs)


def test_the_same_rows_from_the_prepared_dataset(hinet, demo, reported):
    own = hinet.json("report", demo.run, "--quiet")["runs"][0]
    given = reported[0]["runs"][0]
    assert own["rows_of"] == "test" and given["rows_of"] == "files"
    for mine, theirs in zip(own["measured"]["cells"], given["measured"]["cells"]):
        # Rows are numbered otherwise in the file, but users are the same: so are the intervals.
        assert mine == theirs
    assert own["gates"] == given["gates"]


def test_rate_in_each_bin(reported, predicted):
    """Tenths of the rows by probability, ties together; scikit-learn's curve has other bins."""
    for cell in reported[0]["runs"][0]["measured"]["cells"]:
        y, p, _ = (np.array(x) for x in zip(*predicted[cell["scenario"], cell["task"]]))
        order, at = np.argsort(p, kind="stable"), 0
        for b in cell["bins"]:
            chosen = order[at:at + b["rows"]]
            at += b["rows"]
            assert b["predicted"] == pytest.approx(p[chosen].mean(), abs=2e-6)
            assert b["low"] <= b["rate"] <= b["high"]
        assert at == len(y)
        assert sum(b["rows"] * b["rate"] for b in cell["bins"]) == pytest.approx(y.sum(), abs=1e-2)


def test_area_below_the_roc_curve(reported):
    for cell in reported[0]["runs"][0]["measured"]["cells"]:
        if cell["auc"] is None:
            assert cell["roc"] == [] and cell["interval"] is None
            continue
        x, y = np.array(cell["roc"]).T
        assert (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        assert np.trapezoid(y, x) == pytest.approx(cell["auc"], abs=0.01)


# ---- Intervals ----------------------------------------------------------------------------

def mix(z):
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def rnd(seed, stream, counter):
    return mix(mix(mix(seed) ^ (stream * 0xD1342543DE82EF95) & MASK) ^ counter)


def weighted_auc(y, p, w):
    return roc_auc_score(y, p, sample_weight=w) if 0 < (w * y).sum() < w.sum() else np.nan


def test_intervals_are_the_documented_replicates(reported, predicted):
    """The very replicates, made anew from curves.h's words, for the two smallest cells."""
    import xxhash
    cells = [c for c in reported[0]["runs"][0]["measured"]["cells"] if c["interval"]]
    quantile = poisson(1).ppf((np.arange(1 << 16) + 0.5) / (1 << 16)).astype(int)
    for cell in sorted(cells, key=lambda c: c["rows"])[:2]:
        y, p, users = zip(*predicted[cell["scenario"], cell["task"]])
        y, p = np.array(y), np.array(p)
        base = [rnd(1, STREAM_REPORT, xxhash.xxh3_64_intdigest(u.encode())) for u in users]
        found = []
        for b in range(400):
            bits = np.array([mix((u + b // 4) & MASK) >> 16 * (b % 4) & 0xFFFF for u in base])
            found.append(weighted_auc(y, p, quantile[bits]))
        found = np.array(found)
        found = found[~np.isnan(found)]
        expected = np.quantile(found, [0.025, 0.975])
        # predict prints probabilities to some digits, so that few pairs may become ties
        assert cell["interval"] == pytest.approx(list(expected), abs=2e-4)


def test_intervals_are_as_wide_as_an_ordinary_bootstraps(reported, predicted):
    """Users drawn with replacement by NumPy: the same width within the noise of 400 draws."""
    draw = np.random.default_rng(1)
    cells = sorted(reported[0]["runs"][0]["measured"]["cells"], key=lambda c: -c["rows"])
    ratios = []
    for cell in cells[:4]:
        y, p, users = (np.array(x) for x in zip(*predicted[cell["scenario"], cell["task"]]))
        names, index = np.unique(users, return_inverse=True)
        found = [weighted_auc(y, p, np.bincount(draw.integers(len(names), size=len(names)),
                                                minlength=len(names))[index]) for _ in range(400)]
        low, high = np.nanquantile(found, [0.025, 0.975])
        ratios.append((cell["interval"][1] - cell["interval"][0]) / (high - low))
        assert 0.75 < ratios[-1] < 1.33
    assert 0.87 < np.mean(ratios) < 1.15


# ---- What a feature costs -----------------------------------------------------------------

def permutation(n, seed, stream, counter):
    key, out = rnd(seed, stream, counter), list(range(n))
    for i in range(n, 1, -1):
        j = rnd(key, stream, i) * i >> 64
        out[i - 1], out[j] = out[j], out[i - 1]
    return out


SMALL_CONFIG = """
log: {files: log.csv}
split: {by: column, validation: "day == 2", test: "day == 3"}
scenario: {column: tab, values: {home: a, search: b}}
tasks: {click: click}
features:
  item: id
  price: number
  tags: {kind: list, delimiter: " "}
model: {experts: 2, expert_units: [8], task_units: [4], tower_units: [], scenario_width: 2}
train: {epochs: 6, batch: 32, rate: 0.01, embedding_rate: 0.05}
"""


@pytest.fixture(scope="module")
def small(hinet, tmp_path_factory):
    """A log whose clicks follow all three features, and a model of it; no user column."""
    folder = tmp_path_factory.mktemp("small-report")
    draw = np.random.default_rng(3)
    rows = []
    for _ in range(1500):
        item, price, tags = draw.integers(8), draw.normal(), draw.choice(4, draw.integers(0, 3), replace=False)
        z = (item % 3 - 1) + 0.8 * price + (1.2 if 2 in tags else -0.3)
        rows.append([str(draw.choice([1, 1, 2, 3])), draw.choice(["a", "b"]), f"i{item}", f"{price:.3f}",
                     " ".join(f"t{t}" for t in tags), str(int(draw.random() < 1 / (1 + np.exp(-z))))])
    header = ["day", "tab", "item", "price", "tags", "click"]
    for name, chosen in {"log.csv": rows, "test.csv": [r for r in rows if r[0] == "3"]}.items():
        (folder / name).write_text("\n".join(map(",".join, [header, *chosen])) + "\n")
    (folder / "config.yaml").write_text(SMALL_CONFIG)
    hinet("train", folder / "config.yaml", "--out", folder / "run", "--quiet")
    return folder, header, [r for r in rows if r[0] == "3"]


def test_cost_of_features_is_that_of_permuted_columns(hinet, small):
    """The file's column permuted by the documented permutation, and `hinet eval` on that file."""
    folder, header, rows = small
    data = hinet.json("report", folder / "run", "--data", folder / "test.csv", "--seed", 5, "--quiet")
    found = data["runs"][0]["permutation"]
    whole = hinet.json("eval", folder / "run" / "best.hn", folder / "test.csv", "--quiet")["test"]
    assert found["rows"] == len(rows) and found["auc"] == pytest.approx(whole["mean"]["auc"], abs=1e-12)
    assert sorted(f["name"] for f in found["features"]) == ["item", "price", "tags"]
    assert all(f["drop"] > 0.005 for f in found["features"])
    for feature in found["features"]:
        column, drops = header.index(feature["name"]), []
        for repeat in range(found["repeats"]):
            origin = permutation(len(rows), 5, STREAM_REPORT, repeat)
            mixed = [[*row[:column], rows[origin[r]][column], *row[column + 1:]] for r, row in enumerate(rows)]
            (folder / "mixed.csv").write_text("\n".join(map(",".join, [header, *mixed])) + "\n")
            now = hinet.json("eval", folder / "run" / "best.hn", folder / "mixed.csv", "--quiet")["test"]
            drops.append(whole["mean"]["auc"] - now["mean"]["auc"])
        assert feature["drop"] == pytest.approx(np.mean(drops), abs=1e-9)
        assert feature["deviation"] == pytest.approx(np.std(drops, ddof=1), abs=1e-9)


def test_without_users_rows_are_drawn(hinet, small, tmp_path):
    folder, _, _ = small
    data = hinet.json("report", folder / "run", "-o", tmp_path / "r.html", "--quiet")
    assert data["runs"][0]["measured"]["by_user"] is False
    assert "the config names no user" in (tmp_path / "r.html").read_text()


def test_a_sample_is_at_most_so_many_rows(hinet, small):
    folder, _, rows = small
    data = hinet.json("report", folder / "run", "--rows", 100, "--quiet")["runs"][0]
    assert 40 < data["permutation"]["rows"] <= 100 < len(rows)
    assert data["measured"]["rows"] == len(rows)  # figures and intervals are of all rows


# ---- Several runs, and the program --------------------------------------------------------

def test_runs_are_compared_pair_by_pair(hinet, demo, predicted, tmp_path):
    hinet("train", demo.config, "--out", tmp_path / "ple", "--quiet", *SMALL, "--set", "model.name=ple")
    data = hinet.json("report", demo.run, tmp_path / "ple", "-o", tmp_path / "r.html", "--quiet")
    page = Page((tmp_path / "r.html").read_text())
    assert "comparison" in [a["id"] for a in page.all("section")]
    [other] = data["comparison"]["runs"]
    a, b = (run["measured"] for run in data["runs"])
    assert other["comparable"] and other["label"] == "ple"
    assert other["mean"]["difference"] == pytest.approx(b["mean"]["auc"] - a["mean"]["auc"], abs=1e-12)
    width = lambda cell: cell["interval"][1] - cell["interval"][0]
    known = [(c, x, y) for c, x, y in zip(other["cells"], a["cells"], b["cells"]) if c["interval"]]
    paired = [width(c) for c, _, _ in known]
    alone = [math.hypot(width(x), width(y)) for _, x, y in known]
    # The same users in both: what they have in common is no part of the difference.
    assert sum(paired) < 0.8 * sum(alone)


def test_one_seed_is_one_page(hinet, demo, tmp_path):
    pages = []
    for threads in (1, 3):
        hinet("report", demo.run, "-o", tmp_path / "r.html", "--threads", threads, "--quiet")
        pages.append((tmp_path / "r.html").read_bytes())
    assert pages[0] == pages[1] == hinet("report", demo.run, "--quiet").stdout
    assert str(demo.folder).encode() not in pages[0]


def test_mistakes_are_told(hinet, demo, tmp_path):
    hinet.fails(66, "has no best.hn", "report", tmp_path)
    hinet.fails(2, "RUN is missing", "report")
    hinet.fails(66, "none.csv", "report", demo.run, "--data", tmp_path / "none.csv", "--quiet")
    target = tmp_path / "kept.html"
    target.write_text("as it was")
    hinet("report", demo.run, "--data", tmp_path / "none.csv", "-o", target, "--quiet", expect=66)
    assert target.read_text() == "as it was"
