"""The small form of `make demo-online`: the whole way from a log to a rollout, with a server, an
experiment and simulated users. Too small to find a gain; what is checked is that it hangs together."""

import csv
import json
import os
import pathlib
import subprocess

import pytest
from conftest import ROOT, SMALL

SCENARIOS = ["home", "search", "deals", "video", "local", "gifts"]


@pytest.fixture(scope="module")
def demo_online(hinet, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo-online")
    env = {**os.environ, "HINET": str(pathlib.Path(hinet.path).resolve()), "ROWS": "40k", "AA": "1500", "AB": "2500",
           "ROLLOUT": "500", "TRAIN": " ".join(word.replace(" ", "") for word in SMALL)}
    done = subprocess.run([ROOT / "scripts" / "demo-online.sh", folder], env=env, capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    return folder, done.stdout, json.loads((folder / "report.json").read_text())


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_report_is_printed_and_kept(demo_online):
    folder, printed, figures = demo_online
    text = (folder / "report.txt").read_text()
    assert text in printed and "intervals cover the true gain" in text
    assert [row["scenario"] for row in figures["gains"]] == [None, *SCENARIOS]
    for row in figures["gains"]:
        assert row["low"] < row["gain"] < row["high"] and row["true_gain_error"] > 0
        assert row["covered"] == (row["low"] <= row["true_gain"] <= row["high"])


def test_phases_are_whole_and_split_as_configured(demo_online):
    folder, _, _ = demo_online
    for phase, requests in (("aa", 1500), ("ab", 2500)):
        live = json.loads((folder / f"live-{phase}.json").read_text())
        assert (live["answered"], live["failed"], live["fallbacks"]) == (requests, 0, 0)
        rows = rows_of(folder / f"joined-{phase}.csv")
        assert len(rows) == 10 * requests and len({row["request_id"] for row in rows}) == requests
        arms = {(row["arm_ranking"], row["model"]) for row in rows}
        assert arms == {("control", "current"), ("treatment", "current" if phase == "aa" else "candidate")}
        of_user = {}
        for row in rows:
            assert of_user.setdefault(row["user"], row["arm_ranking"]) == row["arm_ranking"]
        for task in ("click", "order"):
            happened = rows_of(folder / f"live-{phase}" / f"{task}s.csv")
            assert sum(row[task] == "1" for row in rows) == len(happened) > 0
            assert {row[task] for row in rows} == {"0", "1"}
        abtest = json.loads((folder / f"abtest-{phase}.json").read_text())
        assert not abtest["sample_ratio"]["mismatch"] and abtest["users_in_several_arms"] == 0
        assert abtest["cuped"] == (phase == "ab")


def test_the_same_users_have_the_same_arm_in_both_phases(demo_online):
    folder, _, _ = demo_online
    arms = [{row["user"]: row["arm_ranking"] for row in rows_of(folder / f"joined-{phase}.csv")} for phase in ("aa", "ab")]
    both = arms[0].keys() & arms[1].keys()
    assert len(both) > 50 and all(arms[0][user] == arms[1][user] for user in both)


def test_the_rollout_fails_no_request(demo_online):
    _, _, figures = demo_online
    rollout = figures["rollout"]
    assert (rollout["failed"], rollout["fallbacks"]) == (0, 0)
    assert list(rollout["versions"]) == ["1", "2"] and sum(rollout["versions"].values()) == rollout["answered"] >= 500


def test_training_on_reads_what_was_shown(demo_online):
    folder, _, figures = demo_online
    online = rows_of(folder / "data" / "online.csv")
    assert len(online) == 10 * (1500 + 2500)
    assert {row["position"] for row in online} == {str(position) for position in range(10)}
    assert figures["online_auc"]["before"] > 0.5 and figures["online_auc"]["after"] > 0.5
