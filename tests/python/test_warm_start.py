"""What a warm start or a resumption must refuse, through the program: numbers of other ids."""

import pytest

SET = ("--set", "train.batch=512", "--set", "train.epochs=2", "--set", "train.patience=0", "--threads", "1", "--quiet")


@pytest.fixture(scope="module")
def platform(hinet, tmp_path_factory):
    folder = tmp_path_factory.mktemp("warm")
    hinet("simulate", "--rows", "6000", "--out", folder)
    return folder


def test_resuming_needs_the_same_ids(hinet, platform, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for path in platform.iterdir():
        if path.is_file():
            (other / path.name).write_bytes(path.read_bytes())
    header, *rows = (platform / "log.csv").read_text().splitlines()
    (other / "log.csv").write_text("\n".join([header, *rows[::-1]]) + "\n")
    config, run = platform / "config.yaml", tmp_path / "run"
    hinet("train", other / "config.yaml", *SET, "--out", tmp_path / "first")
    begin = ("train", config, *SET, "--out", run, "--init", tmp_path / "first" / "best.hn")
    hinet(*begin, "--until-epoch", "1", expect=130)
    # Without the same --init the dataset is prepared anew, and its ids are others.
    hinet.fails(78, "same --init", "train", config, *SET, "--out", run, "--resume")
    hinet(*begin, "--resume")


def test_features_of_a_warm_start_stand_in_their_order(hinet, platform, tmp_path):
    config = platform / "config.yaml"
    hinet("train", config, *SET, "--out", tmp_path / "first")
    lines = config.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  item_id:"))
    moved = platform / "moved.yaml"
    moved.write_text("\n".join(lines[:at] + lines[at + 1:at + 3] + [lines[at]] + lines[at + 3:]) + "\n")
    hinet.fails(78, "another order", "train", moved, *SET, "--out", tmp_path / "second", "--init",
                tmp_path / "first" / "best.hn")


def test_hashes_of_another_size_begin_anew(hinet, platform, tmp_path):
    config = platform / "config.yaml"
    few, more = ("--set", "features.item_id.hash=500"), ("--set", "features.item_id.hash=1000")
    plain = tuple(word for word in SET if word != "--quiet")
    hinet("train", config, *SET, *few, "--out", tmp_path / "first")
    start = ("--init", tmp_path / "first" / "best.hn")
    same = hinet("train", config, *plain, *few, "--out", tmp_path / "same", *start)
    other = hinet("train", config, *plain, *more, "--out", tmp_path / "other", *start)
    assert b"not kept" not in same.stderr
    assert b"not kept: item_id" in other.stderr
