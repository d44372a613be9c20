"""Tasks that come after others, through the program: what is refused, what is told, and that no
row has a purchase more likely than the click before it."""

import csv
import io

import pytest
from conftest import SMALL

AFTER = ["--set", "tasks.order.after=click"]


@pytest.fixture(scope="module")
def bundle(hinet, demo, tmp_path_factory):
    run = tmp_path_factory.mktemp("order")
    hinet("train", demo.config, "--out", run, "--quiet", *SMALL, *AFTER, "--set", "model.name=shared-bottom",
          "--set", "model.bottom_units=[16, 8]", "--set", "train.golden_rows=8")
    return run / "best.hn"


def test_a_purchase_is_never_likelier_than_its_click(hinet, demo, bundle, tmp_path):
    rows = demo.write_test_csv(tmp_path / "test.csv").read_text().splitlines()
    scenario = rows[0].split(",").index("scenario")
    for line in rows[1:200]:  # the same impressions where no model has been
        cells = line.split(",")
        cells[scenario] = "nowhere"
        rows.append(",".join(cells))
    log = tmp_path / "more.csv"
    log.write_text("\n".join(rows) + "\n")
    scored = list(csv.DictReader(io.StringIO(hinet.text("predict", bundle, log))))
    assert len(scored) == len(rows) - 1
    assert sum(row["scenario"] == "nowhere" for row in scored) == 199
    shares = [float(row["p_order"]) / float(row["p_click"]) for row in scored]
    assert all(0 < share < 1 for share in shares)
    assert max(shares) - min(shares) > 0.1  # not one constant


def test_info_tells_the_order(hinet, bundle):
    assert "order (order; after click)" in hinet.text("info", bundle)
    tasks = hinet.json("info", bundle)["tasks"]
    assert [task.get("after") for task in tasks] == [None, "click"]


def test_check_finds_nothing_wrong_with_the_demo(hinet, demo):
    assert hinet.json("check", demo.config, *AFTER)["order"] == [
        {"task": "order", "after": "click", "without": 0, "unlabelled": 0}]
    assert hinet.json("check", demo.config)["order"] == []


def test_orders_that_cannot_be_are_refused(hinet, demo, tmp_path):
    for sets, words in [
        (["tasks.order.after=clik"], 'did you mean "click"?'),
        (["tasks.order.after=order"], "comes after"),
        (["tasks.order.after=click", "tasks.click.after=order"], "comes after"),
    ]:
        args = [part for one in sets for part in ("--set", one)]
        hinet.fails(78, words, "train", demo.config, "--out", tmp_path / "run", *args)
