"""From a log to scores: every command on one simulated platform, the figures recounted by
scikit-learn, the same bytes from every door, and every way of stopping and failing."""

import csv
import gzip
import io
import json
import math
import os
import shutil
import signal
import subprocess
import time

import pytest
from conftest import SMALL
from sklearn.metrics import log_loss, roc_auc_score

SCENARIOS = ["home", "search", "deals", "video", "local", "gifts"]
TASKS = ["click", "order"]


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def cells_of(report):
    return {(cell["scenario"], cell["task"]): cell for cell in report["cells"]}


def assert_same_cells(a, b, tolerance=0.0):
    a, b = cells_of(a), cells_of(b)
    assert a.keys() == b.keys()
    for key, cell in a.items():
        for name in ("auc", "gauc", "log_loss", "calibration", "rows", "positives"):
            x, y = cell[name], b[key][name]
            assert x == y or abs(x - y) <= tolerance, (key, name, x, y)


# ---- Figures ------------------------------------------------------------------------------


def test_check_counts_what_was_written(hinet, demo):
    report = hinet.json("check", demo.config)
    assert report["log"]["rows"] == 40000 and report["log"]["bad"] == 0
    assert {f["name"] for f in report["features"]} >= {"user_id", "item_id", "price", "recent_categories"}
    header, rows = demo.log_lines()
    rows = [dict(zip(header.split(","), row.split(","))) for row in rows]
    split_of = {"test": lambda d: d >= "20240113", "validation": lambda d: d == "20240112",
                "train": lambda d: d < "20240112"}
    cells = [c for c in report["cells"] if c["scenario"] in SCENARIOS]
    assert len(cells) == len(SCENARIOS) * len(TASKS) * 3
    for cell in cells:
        mine = [r for r in rows if r["scenario"] == cell["scenario"] and split_of[cell["split"]](r["date"])]
        assert cell["rows"] == len(mine), cell
        assert cell["positives"] == sum(r[cell["task"]] == "1" for r in mine), cell
    assert sorted(p.name for p in demo.folder.iterdir()) == [
        "config.yaml", "items.csv", "log.csv", "run", "truth.json", "users.csv"]


def test_predictions_have_the_metrics_that_eval_and_train_say(hinet, demo, tmp_path):
    test_csv = demo.write_test_csv(tmp_path / "test.csv")
    by_files = hinet.json("eval", demo.best, test_csv)
    by_config = hinet.json("eval", demo.best, demo.config)
    stored = hinet.json("eval", demo.best)
    assert_same_cells(by_files["test"], by_config["test"])
    assert_same_cells(by_config["test"], demo.report["test"])
    assert_same_cells(stored["test"], demo.report["test"])

    scored = rows_of(hinet.text("predict", demo.best, test_csv))
    assert len(scored) == len(demo.test_rows)
    cells, aucs = cells_of(by_files["test"]), []
    for (scenario, task), cell in cells.items():
        mine = [r for r in scored if r["scenario"] == scenario]
        y = [int(r[task]) for r in mine]
        p = [float(r[f"p_{task}"]) for r in mine]
        assert all(0 < x < 1 for x in p)
        assert (cell["rows"], cell["positives"]) == (len(y), sum(y))
        if 0 < sum(y) < len(y):
            auc = roc_auc_score(y, p)
            aucs.append(auc)
            assert cell["auc"] == pytest.approx(auc, abs=1e-9)
            assert cell["log_loss"] == pytest.approx(log_loss(y, p), abs=1e-6)
            assert cell["calibration"] == pytest.approx(sum(p) / sum(y), rel=1e-6)
        else:
            assert cell["auc"] is None
    assert by_files["test"]["mean"]["auc"] == pytest.approx(sum(aucs) / len(aucs), abs=1e-9)


def test_gauc_is_that_of_users_with_both_classes(hinet, demo, tmp_path):
    test_csv = demo.write_test_csv(tmp_path / "test.csv")
    cells = cells_of(hinet.json("eval", demo.best, test_csv)["test"])
    scored = rows_of(hinet.text("predict", demo.best, test_csv))
    for (scenario, task), cell in cells.items():
        users = {}
        for r in scored:
            if r["scenario"] == scenario:
                users.setdefault(r["user_id"], []).append((int(r[task]), float(r[f"p_{task}"])))
        both = [u for u in users.values() if 0 < sum(y for y, _ in u) < len(u)]
        if both:
            total = sum(len(u) * roc_auc_score([y for y, _ in u], [p for _, p in u]) for u in both)
            assert cell["gauc"] == pytest.approx(total / sum(map(len, both)), abs=1e-9)
        else:
            assert cell["gauc"] is None


def test_training_learns_something(demo):
    assert demo.report["test"]["mean"]["auc"] > 0.55
    assert demo.report["test"]["mean"]["auc"] < demo.truth["mean"]["bayes_auc"] + 0.02


def test_info_tells_the_model_the_metrics_and_the_san_table(hinet, demo):
    text = hinet.text("info", demo.best)
    assert "HiNet" in text
    for scenario in SCENARIOS:
        assert scenario in text
    report = json.dumps(hinet.json("info", demo.best))
    assert "san" in report and "item_id" in report


# ---- The same from every door --------------------------------------------------------------


def test_threads_and_memory_change_no_byte_of_a_bundle(hinet, demo, tmp_path):
    run = tmp_path / "one"
    hinet("train", demo.config, "--out", run, "--threads", 1, "--memory", "1G", "--quiet", *SMALL)
    for name in ("best.hn", "last.hn"):
        assert (run / name).read_bytes() == (demo.run / name).read_bytes()


def test_another_seed_gives_another_bundle(hinet, demo, tmp_path):
    run = tmp_path / "seed"
    hinet("train", demo.config, "--out", run, "--quiet", *SMALL, "--set", "train.seed=2")
    assert (run / "best.hn").read_bytes() != (demo.run / "best.hn").read_bytes()


def test_predict_is_the_same_from_files_pipes_and_compressed_files(hinet, demo, tmp_path):
    plain = demo.write_test_csv(tmp_path / "t.csv")
    expected = hinet("predict", demo.best, plain, "--threads", 1).stdout
    assert expected.count(b"\n") == len(demo.test_rows) + 1
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert hinet("predict", demo.best, packed).stdout == expected
    assert hinet("predict", demo.best, "-", "--threads", 3, stdin=plain.read_bytes()).stdout == expected
    assert hinet("predict", demo.best, "-", stdin=packed.read_bytes()).stdout == expected
    if shutil.which("zstd"):
        squeezed = tmp_path / "t.csv.zst"
        subprocess.run(["zstd", "-q", str(plain), "-o", str(squeezed)], check=True)
        assert hinet("predict", demo.best, squeezed).stdout == expected
    out = tmp_path / "scored.csv"
    assert hinet("predict", demo.best, plain, "--out", out).stdout == b""
    assert out.read_bytes() == expected
    assert [p.name for p in tmp_path.iterdir() if "tmp-" in p.name] == []


def test_several_files_are_scored_in_the_order_given(hinet, demo, tmp_path):
    half = len(demo.test_rows) // 2
    paths = [tmp_path / "b.csv", tmp_path / "a.csv"]
    for path, rows in zip(paths, (demo.test_rows[:half], demo.test_rows[half:])):
        path.write_text("\n".join([demo.header, *rows]) + "\n")
    whole = demo.write_test_csv(tmp_path / "whole.csv")
    assert hinet("predict", demo.best, *paths).stdout == hinet("predict", demo.best, whole).stdout


def test_files_whose_columns_differ_are_refused(hinet, demo, tmp_path):
    first = demo.write_test_csv(tmp_path / "first.csv")
    second = tmp_path / "second.csv"
    second.write_text("\n".join(",".join(reversed(row.split(","))) for row in [demo.header, *demo.test_rows[:3]]))
    assert hinet.text("predict", demo.best, second)
    done = hinet("predict", demo.best, first, second, expect=65)
    assert "second.csv" in done.stderr.decode() and "header" in done.stderr.decode()


def test_a_rows_score_does_not_depend_on_its_neighbours(hinet, demo):
    def score(rows):
        text = "\n".join([demo.header, *rows]) + "\n"
        return hinet.text("predict", demo.best, "-", stdin=text.encode()).splitlines()[1:]

    rows = demo.test_rows[:700]
    together = score(rows)
    assert score(rows[::-1]) == together[::-1]
    for k in (0, 1, 255, 256, 699):
        assert score(rows[k:k + 1]) == together[k:k + 1]


def test_predict_needs_no_labels_and_keeps_rows_as_they_are(hinet, demo):
    header = demo.header.split(",")
    keep = [k for k, name in enumerate(header) if name not in ("click", "order", "request_id", "time")]
    rows = [row.split(",") for row in demo.test_rows[:50]]
    text = ",".join(header[k] for k in keep) + ',note\r\n' + "".join(
        ",".join(row[k] for k in keep) + f',"a ""b"", {n}"\r\n' for n, row in enumerate(rows))
    scored = rows_of(hinet.text("predict", demo.best, "-", stdin=text.encode()))
    full = rows_of(hinet.text("predict", demo.best, "-",
                              stdin="\n".join([demo.header, *demo.test_rows[:50]]).encode()))
    for n, (a, b) in enumerate(zip(scored, full)):
        assert a["note"] == f'a "b", {n}'
        assert (a["p_click"], a["p_order"]) == (b["p_click"], b["p_order"])
    assert len(scored) == 50


def test_a_column_that_is_there_already_keeps_its_name(hinet, demo):
    rows = demo.test_rows[:3]
    text = "\n".join([demo.header + ',p_click,"p_click_"', *(row + ",7,8" for row in rows)]) + "\n"
    scored = rows_of(hinet.text("predict", demo.best, "-", stdin=text.encode()))
    plain = rows_of(hinet.text("predict", demo.best, "-", stdin="\n".join([demo.header, *rows]).encode()))
    for a, b in zip(scored, plain):
        assert (a["p_click"], a["p_click_"], a["p_click__"], a["p_order"]) == ("7", "8", b["p_click"], b["p_order"])


def test_unknown_scenarios_and_ids_are_scored_all_the_same(hinet, demo):
    header = demo.header.split(",")
    row = demo.test_rows[0].split(",")
    row[header.index("scenario")] = "moon"
    row[header.index("user_id")] = "99999999"
    text = "\n".join([demo.header, ",".join(row)])
    scored = rows_of(hinet.text("predict", demo.best, "-", stdin=text.encode()))
    assert 0 < float(scored[0]["p_click"]) < 1


def test_no_rows_give_a_header(hinet, demo):
    assert hinet.text("predict", demo.best, "-", stdin=demo.header.encode() + b"\n") == demo.header + ",p_click,p_order\n"


# ---- Stopping and going on --------------------------------------------------------------------

LONGER = [*SMALL, "--set", "train.epochs=6", "--set", "train.patience=0"]


@pytest.fixture(scope="module")
def undisturbed(hinet, demo, tmp_path_factory):
    run = tmp_path_factory.mktemp("undisturbed")
    hinet("train", demo.config, "--out", run, "--quiet", *LONGER)
    return run


def interrupted(hinet, demo, run, signal_number, after):
    """Starts training, waits until `after` evaluations are in the history, sends the signal."""
    history = run / "history.jsonl"
    with subprocess.Popen([hinet.path, "train", str(demo.config), "--out", str(run), *LONGER],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            if history.exists() and history.read_bytes().count(b"validation") >= after:
                process.send_signal(signal_number)
                break
            time.sleep(0.01)
        _, stderr = process.communicate(timeout=60)
    return process.returncode, stderr.decode()


@pytest.mark.parametrize("signal_number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_training_goes_on_to_the_same_bytes(hinet, demo, undisturbed, tmp_path, signal_number, code):
    run = tmp_path / "run"
    returned, stderr = interrupted(hinet, demo, run, signal_number, 1)
    assert returned == code, stderr
    if code == 130:
        assert "resume" in stderr or "checkpoint" in stderr
    hinet("train", demo.config, "--out", run, "--resume", "--quiet", *LONGER)
    for name in ("best.hn", "last.hn"):
        assert (run / name).read_bytes() == (undisturbed / name).read_bytes()


def test_warm_start_carries_weights_over(hinet, demo, tmp_path):
    config = demo.folder / "config.yaml"
    done = hinet("train", config, "--out", tmp_path / "warm", "--init", demo.best, "--json", *SMALL)
    warm = json.loads(done.stdout)
    # It starts where the other training ended, so its first epoch is ahead of the other's.
    assert warm["epochs"][0]["validation"]["auc"] > demo.report["epochs"][0]["validation"]["auc"]
    assert (tmp_path / "warm" / "best.hn").read_bytes() != demo.best.read_bytes()


# ---- Bad data and other failures -----------------------------------------------------------------


@pytest.fixture()
def dirty(demo, tmp_path):
    """The platform with three bad rows in the log, at lines 11, 101 and 1001."""
    for name in ("users.csv", "items.csv", "config.yaml"):
        shutil.copy(demo.folder / name, tmp_path / name)
    header, rows = demo.log_lines()
    rows[9] = rows[9] + ",one too many"
    rows[99] = "1,2,3"
    rows[999] = rows[999] + ","
    (tmp_path / "log.csv").write_text("\n".join([header, *rows]) + "\n")
    return tmp_path


def test_bad_rows_stop_or_are_counted(hinet, dirty):
    config = dirty / "config.yaml"
    message = hinet.fails(65, "log.csv:11:", "train", config, "--out", dirty / "run", *SMALL)
    assert "bad_rows" in message or "bad" in message
    config.write_text(config.read_text().replace("log:\n", "log:\n  bad_rows: 3\n"))
    report = hinet.json("check", config)
    assert (report["log"]["rows"], report["log"]["bad"]) == (40000, 3)
    shown = json.dumps(report)
    for line in (11, 101, 1001):
        assert f"log.csv:{line}:" in shown
    hinet("train", config, "--out", dirty / "run", "--quiet", *SMALL, "--set", "train.epochs=1")


def test_a_bad_row_ends_predict_with_65(hinet, demo):
    text = "\n".join([demo.header, demo.test_rows[0], "1,2", demo.test_rows[1]])
    done = hinet("predict", demo.best, "-", stdin=text.encode(), expect=65)
    assert ":3:" in done.stderr.decode()


def test_a_missing_column_is_named(hinet, demo):
    header = demo.header.split(",")
    k = header.index("item_id")
    rows = [",".join(f for n, f in enumerate(row.split(",")) if n != k) for row in [demo.header, *demo.test_rows[:2]]]
    message = hinet.fails(65, "item_id", "predict", demo.best, "-", stdin="\n".join(rows).encode())
    assert "position" in message  # the columns that are there


def test_damaged_bundles_are_65(hinet, demo, tmp_path):
    whole = demo.best.read_bytes()
    for name, data in {"cut": whole[:-1], "empty": b"", "other": b"PK\x03\x04" * 100,
                       "flipped": whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]}.items():
        path = tmp_path / f"{name}.hn"
        path.write_bytes(data)
        hinet.fails(65, f"{name}.hn", "predict", path, "-", stdin=b"")


def test_too_little_memory_is_refused_with_the_need(hinet, demo, tmp_path):
    done = hinet("train", demo.config, "--out", tmp_path, "--memory", "2M", *SMALL, expect=1)
    assert "memory" in done.stderr.decode()


def test_predict_to_a_full_disk_is_74_and_to_a_closed_pipe_nothing(hinet, demo, tmp_path):
    test_csv = demo.write_test_csv(tmp_path / "t.csv")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([hinet.path, "predict", str(demo.best), str(test_csv)], stdout=full,
                              stderr=subprocess.PIPE, check=False)
    assert done.returncode == 74
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([hinet.path, "predict", str(demo.best), str(test_csv)], stdout=writing,
                          stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.returncode == 0, done.stderr
    hinet.fails(73, "nowhere", "predict", demo.best, test_csv, "--out", tmp_path / "nowhere" / "x.csv")


def test_a_failed_predict_leaves_the_old_file(hinet, demo, tmp_path):
    out = tmp_path / "scored.csv"
    out.write_text("old")
    text = "\n".join([demo.header, demo.test_rows[0], "1,2"])
    hinet("predict", demo.best, "-", "--out", out, stdin=text.encode(), expect=65)
    assert out.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_metrics_of_one_class_are_null_and_json_is_strict(hinet, demo, tmp_path):
    header = demo.header.split(",")
    k = header.index("order")
    rows = [row.split(",") for row in demo.test_rows[:200]]
    for row in rows:
        row[k] = "0"
    path = tmp_path / "zeros.csv"
    path.write_text("\n".join([demo.header, *(",".join(r) for r in rows)]) + "\n")
    text = hinet.text("eval", demo.best, path, "--json")
    report = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    for cell in report["test"]["cells"]:
        if cell["task"] == "order" and cell["rows"]:
            assert cell["auc"] is None and cell["calibration"] is None
        assert cell["log_loss"] is None or math.isfinite(cell["log_loss"])
