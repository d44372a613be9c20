"""From the server's exposures to a joined log and a replay: the real server, users of the
simulator in front of it, and what both commands make of the files it leaves."""

import csv
import json
import shutil

import pytest
from conftest import SMALL
from test_serve import Server


@pytest.fixture(scope="module")
def served(hinet, demo, tmp_path_factory):
    """A folder with exposures, clicks and orders of 150 requests, and of two requests more: one
    that says an item's price itself, and one of a scenario that nobody knows."""
    home = tmp_path_factory.mktemp("replay")
    (home / "models").mkdir()
    shutil.copy(demo.best, home / "models" / "7.hn")
    (home / "serve.yaml").write_text(
        "listen: 127.0.0.1:0\nmodels: {main: models}\n"
        "exposures: {dir: exposures, features: 1, flush_seconds: 0.05, file_bytes: 4096}\n"
        "experiments: {ranking: {arms: {a: {share: 0.5}, b: {share: 0.5, calibration: false}}}}\n")
    server = Server(hinet, home, home / "serve.yaml")
    live = hinet.json("simulate", "--serve", f"http://127.0.0.1:{server.port}", "--data", demo.folder, "--requests", 150,
                      "--out", home / "live", "--quiet")
    assert live["answered"] == 150
    for body in ({"request_id": "dear", "scenario": "home", "user": {"id": "1"}, "context": {"hour": 3},
                  "candidates": [{"id": "1"}, {"id": "2", "price": 98765.5}, {"id": "3"}]},
                 {"request_id": "new", "scenario": "moon", "user": {"id": "1"}, "context": {"hour": 3},
                  "candidates": [{"id": "1"}, {"id": "no such item"}]}):
        status, _, answer = server.ask("POST", "/v1/rank", body)
        assert status == 200, answer
    assert server.stop() == 0
    assert len(list((home / "exposures").iterdir())) > 1
    return home


def test_the_same_bundle_gives_the_same_numbers(hinet, demo, served):
    report = hinet.json("replay", served / "exposures" / "*", demo.best)
    assert report["counts"]["scored"] == report["counts"]["lines"] == 152
    assert report["counts"]["rows"] == 150 * 10 + 5
    assert report["counts"]["unknown_fields"] == 0
    assert 20 < report["counts"]["uncalibrated"] < 132  # arm b
    assert report["differing_rows"] == 0 and report["max_difference"] < 1e-8
    assert [(v["model"], v["version"]) for v in report["versions"]] == [("main", "7")]
    assert {s["scenario"] for s in report["scenarios"]} == {*demo.truth["scenarios"], "(unknown)"}
    for scenario in report["scenarios"]:
        assert all(abs(psi) < 1e-9 for psi in scenario["psi"].values())


def test_a_value_that_is_not_the_tables_is_named(hinet, demo, served):
    report = hinet.json("replay", served / "exposures" / "*", demo.best)
    assert report["first_differing_feature"] == "items.price"
    assert 'request "dear", item "2"' in report["first_difference"] and "98765.5" in report["first_difference"]
    prices = next(f for f in report["features"] if f["feature"] == "items.price")
    assert (prices["compared"], prices["differing"]) == (1, 1)
    assert "items.price" in hinet.text("replay", served / "exposures" / "*", demo.best)


def test_another_model_is_told_from_skew(hinet, demo, served, tmp_path):
    hinet("train", demo.config, "--out", tmp_path, "--quiet", *SMALL, "--set", "train.seed=9", "--set", "train.epochs=1")
    report = hinet.json("replay", served / "exposures" / "*", tmp_path / "best.hn")
    assert report["differing_rows"] > 1000 and report["max_difference"] > 1e-4
    assert report["unexplained"] == report["looked_into"] > 0
    assert max(s["psi"]["click"] for s in report["scenarios"]) > 0.01
    none = hinet.json("replay", served / "exposures" / "*", tmp_path / "best.hn", "--model-version", "8")
    assert none["counts"]["other_models"] == 152 and none["counts"]["rows"] == 0


def test_join_of_what_the_server_logged(hinet, served, tmp_path):
    live = served / "live"
    report = hinet.json("join", served / "exposures" / "*", "--event", f"click={live}/clicks.csv:1h", "--event",
                        f"order={live}/orders.csv:1h", "--out", tmp_path / "joined.csv", "--now", 10**15)
    with (tmp_path / "joined.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == report["rows"] == 1505
    for task, name in (("click", "clicks"), ("order", "orders")):
        with (live / f"{name}.csv").open(newline="") as file:
            events = {(e["request_id"], e["item"]) for e in csv.DictReader(file)}
        assert events and events == {(r["request_id"], r["item"]) for r in rows if r[task] == "1"}
    assert {r["arm_ranking"] for r in rows} == {"a", "b"} and {r["version"] for r in rows} == {"7"}
    assert all(r["hour"] and r["scenario"] for r in rows if r["request_id"].startswith("live-"))
    assert {r["position"] for r in rows} == {str(n) for n in range(1, 11)}


def test_abtest_reads_the_joined_log(hinet, served, tmp_path):
    live = served / "live"
    hinet("join", served / "exposures" / "*", "--event", f"click={live}/clicks.csv:1h", "--event",
          f"order={live}/orders.csv:1h", "--out", tmp_path / "joined.csv", "--now", 10**15, "--quiet")
    assert json.loads(hinet.text("abtest", tmp_path / "joined.csv", "--layer", "ranking", "--json"))
