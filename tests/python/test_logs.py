"""What odd logs, pipes and comparisons come to, through the program."""

import os

import pytest

ROWS = [f"{i},{i % 7},{i % 3},{'s' if i % 4 else ''},{i % 2}" for i in range(400)]
CONFIG = """
log: {{files: [{files}]{more}}}
split: {{by: random, validation: 0.2, test: 0.2, seed: 1}}
scenario: {{column: tab, values: {{a: 0, b: 1, c: 2}}}}
tasks: {{click: y}}
features: {{user: {{kind: id, column: u}}}}
model: {{name: mixed, bottom_units: [4], tower_units: [4]}}
train: {{epochs: 1, batch: 64}}
"""


@pytest.fixture
def log(tmp_path):
    """A function that writes rows to a.csv, and a config with `more` of the log."""
    def write(rows=ROWS, files="a.csv", more="", header="u,x,tab,kind,y", features=None):
        (tmp_path / "a.csv").write_bytes(("\n".join([header, *rows]) + "\n").encode())
        text = CONFIG.format(files=files, more=more)
        (tmp_path / "c.yaml").write_text(text if features is None else text.replace(
            "user: {kind: id, column: u}", features))
        return tmp_path / "c.yaml"
    return write


def checked(hinet, config):
    return hinet.json("check", config, "--threads", "1")["log"]


def test_a_zero_in_a_cell_is_trained_on(hinet, log, tmp_path):
    config = log([row.replace(",", "\0,", 1) for row in ROWS])
    for _ in range(2):
        hinet("train", config, "--out", tmp_path / "run", "--quiet")


def test_duplicates_are_lines_under_the_same_header(hinet, log, tmp_path):
    config = log(files="a.csv, b.csv, b2.csv", more=", drop_duplicates: true")
    (tmp_path / "b.csv").write_text("\n".join(["x,u,tab,kind,y", *ROWS]) + "\n")
    (tmp_path / "b2.csv").write_text("\n".join(["x,u,tab,kind,y", *ROWS[:50]]) + "\n")
    assert checked(hinet, config)["duplicates"] == 50


def test_a_filter_may_ask_for_the_empty_cell(hinet, log):
    assert checked(hinet, log(more=", filter: [\"kind in ['', t]\"]"))["filtered"] == 300
    assert checked(hinet, log(more=", filter: [\"kind != ''\"]"))["filtered"] == 100
    assert checked(hinet, log(more=", filter: [\"kind == s\"]"))["filtered"] == 100


def test_a_pipe_with_a_name_is_refused_at_once(hinet, log, tmp_path):
    config = log(files="pipe")
    os.mkfifo(tmp_path / "pipe")
    hinet.fails(66, "cannot be read twice", "check", config)


def test_a_label_is_no_feature_by_any_spelling(hinet, log):
    for column in ("y", "log.y"):
        hinet.fails(78, "label", "check", log(features=f"leak: {{kind: number, column: {column}}}"))


def test_a_table_may_have_a_column_of_the_labels_name(hinet, log, tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i},{i * 0.1}\n" for i in range(7)))
    config = log(features="average: {kind: number, column: t.y}")
    config.write_text(config.read_text() + "tables: {t: {files: t.csv, key: x, side: item}}\n")
    assert hinet.json("check", config)["features"][0]["missing"]["train"] == 0


def test_a_sampling_rate_that_is_nothing_is_a_bad_row(hinet, log):
    rows = [row.replace(f",{i % 7},", ",1e-50,") for i, row in enumerate(ROWS)]
    hinet.fails(65, "above 0", "check", log(rows, more=", sampling_column: x"))


def test_bad_rows_are_named_whatever_they_hold(hinet, log, tmp_path):
    config = log(more=", bad_rows: 5", features="x: {kind: number}")
    with open(tmp_path / "a.csv", "ab") as file:
        file.write(b"1,caf\xe9,0,s,1\n")
    (example,) = checked(hinet, config)["bad_examples"]
    assert "a.csv:402" in example
