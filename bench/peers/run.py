"""hinet beside its peers, all measured in this call, in turn, on two threads.

Training: the paper-size network. The peers are given the input of width 320 (no embedding
tables to look up or update), which favours them. Reading: KuaiRand's log repeated 20 times
with its user and video tables, every column encoded, against the fastest way found in polars.
Usage: run.py [--rounds N] [--seconds S] [--json]
"""

import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BENCH = ROOT / "build/release/hinet_bench"
DATA = ROOT.parent / "shared/data/kuairand-pure-late"
COPIES = 20
# Peers choose their own kernels; what forces old ones for other programs is taken out.
ENV = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")} | {"POLARS_MAX_THREADS": "2"}


def run_json(*command):
    done = subprocess.run([str(c) for c in command], env=ENV, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def peer(name, seconds):
    rates = run_json(sys.executable, HERE / name, "--threads", 2, "--seconds", seconds)
    return max(rates.values())


def training(rounds, seconds):
    """Rows a second of each round, ours and theirs side by side; the ratios' medians."""
    rows = []
    for _ in range(rounds):
        ours = run_json(BENCH, "--json", "--seconds", seconds, "train")
        rows.append(
            {
                "hinet": ours["train.rows_per_s"],
                "torch_best": peer("torch_best.py", seconds),
                "torch_plain": peer("torch_plain.py", seconds),
            }
        )
        print(rows[-1], file=sys.stderr)
    ratio = lambda name: statistics.median(r["hinet"] / r[name] for r in rows)
    return {
        "hinet_rows_per_s": statistics.median(r["hinet"] for r in rows),
        "torch_best_rows_per_s": statistics.median(r["torch_best"] for r in rows),
        "torch_plain_rows_per_s": statistics.median(r["torch_plain"] for r in rows),
        "hinet_of_torch_best (goal 1.9)": ratio("torch_best"),
        "hinet_of_torch_plain (goal 2.2)": ratio("torch_plain"),
    }


def columns_of(path):
    with open(path, newline="") as file:
        return next(csv.reader(file))


def write_config(path, log, users, videos):
    """Every column of the log and of both tables as an id feature."""
    features = [f"  log.{c}: {{kind: id, column: log.{c}}}" for c in columns_of(log) if c != "is_click"]
    features += [f"  u.{c}: {{kind: id, column: users.{c}}}" for c in columns_of(users) if c != "user_id"]
    features += [f"  v.{c}: {{kind: id, column: videos.{c}}}" for c in columns_of(videos) if c != "video_id"]
    path.write_text(
        f"log: {log}\ntables:\n  users: {{files: {users}, key: user_id, side: user}}\n"
        f"  videos: {{files: {videos}, key: video_id, side: item}}\n"
        "split: {by: random, validation: 0, test: 0}\ntasks: {click: is_click}\nfeatures:\n"
        + "\n".join(features).replace(" u.", " u_").replace(" v.", " v_").replace("  log.", "  l_")
        + "\n"
    )


def reading(rounds):
    users, videos = DATA / "user_features_pure.csv", DATA / "video_features_basic_pure.csv"
    with tempfile.TemporaryDirectory() as folder:
        log, config = pathlib.Path(folder) / "log.csv", pathlib.Path(folder) / "config.yaml"
        lines = (DATA / "log_standard_4_25_to_5_08_pure.csv").read_bytes()
        header, body = lines.split(b"\n", 1)
        with open(log, "wb") as file:
            file.write(header + b"\n")
            for _ in range(COPIES):
                file.write(body)
        write_config(config, log, users, videos)
        out = []
        for _ in range(rounds):
            ours = run_json(BENCH, "--json", "--config", config, "read")
            theirs = {
                way: run_json(sys.executable, HERE / "polars_read.py", way, log, users, videos)
                for way in ("categories_tables_first", "tables_first", "bare")
            }
            out.append((ours, theirs))
            print(ours, theirs, file=sys.stderr)
        megabytes = log.stat().st_size / 1e6
        best = lambda theirs: min(theirs[w]["seconds"] for w in theirs if w != "bare")
        return {
            "log_mb": megabytes,
            **{f"hinet {k}": statistics.median(o[k] for o, _ in out) for k in out[0][0]},
            "polars_encode_s": statistics.median(best(t) for _, t in out),
            "polars_bare_mb_per_s": statistics.median(megabytes / t["bare"]["seconds"] for _, t in out),
            "polars_peak_mb": max(t[w]["peak_mb"] for _, t in out for w in t if w != "bare"),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("what", nargs="*", default=["train", "read"])
    options = parser.parse_args()
    figures = {}
    if "train" in options.what:
        figures |= training(options.rounds, options.seconds)
    if "read" in options.what:
        if DATA.is_dir():
            figures |= reading(options.rounds)
        else:
            print(f"reading: skipped, {DATA} is not here", file=sys.stderr)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:44} {value:12.4g}")


if __name__ == "__main__":
    main()
