"""Measures hinet against its peers: PyTorch in training, onnxruntime in answering a request, polars
in reading a log.

All runs of a round follow one another, ours first, with the same number of threads; a ratio is
taken within a round. Usage: run.py [--only train|request|read] [--rounds N] [--seconds S]
[--inputs given|embeddings] [--threads N] [--bench PROGRAM] [--json FILE].
The table goes to standard output, what is going on to standard error.
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
ROOT = HERE.parent.parent
DATA = ROOT.parent / "shared" / "data" / "kuairand-pure-late"
LOG, USERS, VIDEOS = (
    DATA / name
    for name in ("log_standard_4_25_to_5_08_pure.csv", "user_features_pure.csv", "video_features_basic_pure.csv")
)
REPEATS = 20
LABEL = "is_click"
WAYS = ["categories_tables_first", "tables_first", "categories"]  # all are in polars_read.py; these are the fast ones


def environment(threads):
    """The user's own, without what pins libraries to other kernels or thread numbers."""
    env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
        env[name] = str(threads)
    return env


def figures(command, threads):
    """The JSON that a program prints."""
    command = [str(word) for word in command]
    print("$ " + " ".join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, env=environment(threads), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


class Ratio:
    """Ours against a peer's, round by round; `speed` figures are better when larger."""

    def __init__(self, name, unit, goal=None, speed=True):
        self.name, self.unit, self.goal, self.speed = name, unit, goal, speed
        self.ours, self.peers = [], []

    def add(self, ours, peer):
        self.ours.append(ours)
        self.peers.append(peer)

    def ratios(self):
        pairs = zip(self.ours, self.peers)
        return [ours / peer if self.speed else peer / ours for ours, peer in pairs]

    def as_dict(self):
        ratios = self.ratios()
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": statistics.median(self.ours),
            "peer": statistics.median(self.peers),
            "ratio": statistics.median(ratios),
            "best": max(ratios),
            "worst": min(ratios),
            "rounds": len(ratios),
            "goal": self.goal,
        }


# ---- Training ------------------------------------------------------------------------


def torch_rate(program, options):
    """The best rate over batch sizes and, for embeddings, over sparse and dense ones."""
    inputs = ["given"] if options.inputs == "given" else ["sparse", "dense"]
    rates = []
    for kind in inputs:
        command = [sys.executable, HERE / program, "--threads", options.threads, "--seconds", options.seconds]
        rates += figures(command + ["--inputs", kind], options.threads).values()
    return max(rates)


def measure_train(options):
    best = Ratio("train / best-effort PyTorch", "rows/s", 1.9)
    plain = Ratio("train / plain PyTorch", "rows/s", 2.2)
    for _ in range(options.rounds):
        ours = figures([options.bench, "--json", "--seconds", options.seconds, "train"], options.threads)
        rate = ours["train.rows_per_s"]
        best.add(rate, torch_rate("torch_best.py", options))
        plain.add(rate, torch_rate("torch_plain.py", options))
    return [best, plain]


# ---- A request -----------------------------------------------------------------------


def measure_request(options):
    """One thread each; the fastest of a round against the fastest, and the medians."""
    goals = {"plain": 2.5, "best": 1.8}
    names = {"plain": "onnxruntime, plain export", "best": "onnxruntime, best graph"}
    rows = {}
    for peer in goals:
        rows[peer, "fastest"] = Ratio(f"200 candidates / {names[peer]}", "ms", goals[peer], speed=False)
        rows[peer, "median"] = Ratio("  medians", "ms", speed=False)
        rows[peer, "all"] = Ratio("  ours with all rows in full", "ms", speed=False)
    limit = Ratio("  of the FMA limit, user's part once", "ms", speed=False)
    for _ in range(options.rounds):
        ours = figures([options.bench, "--json", "--seconds", options.seconds, "request"], 1)
        theirs = figures([sys.executable, HERE / "onnx_request.py", "--seconds", options.seconds], 1)
        for peer in goals:
            rows[peer, "fastest"].add(ours["request.once_ms"], theirs[peer]["fastest"])
            rows[peer, "median"].add(ours["request.once_median_ms"], theirs[peer]["median"])
            rows[peer, "all"].add(ours["request.all_ms"], theirs[peer]["fastest"])
        limit.add(ours["request.once_ms"], ours["request.once_limit_ms"])
    return [*rows.values(), limit]


# ---- Reading -------------------------------------------------------------------------


def header(path):
    with open(path, newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def write_log(path):
    head, body = LOG.read_bytes().split(b"\n", 1)
    with open(path, "wb") as file:
        file.write(head + b"\n")
        for _ in range(REPEATS):
            file.write(body)


def write_config(path, log):
    """Every column is an id, but the label, which is encoded as what it is."""
    lines = [
        f"log: {{files: {json.dumps(str(log))}}}",
        "tables:",
        f"  users: {{files: {json.dumps(str(USERS))}, key: user_id, side: user}}",
        f"  videos: {{files: {json.dumps(str(VIDEOS))}, key: video_id, side: item}}",
        "split: {by: random, validation: 0.01, test: 0.01}",
        "scenario: {column: tab, values: {tab0: 0, tab1: 1, tab2: 2, tab4: 4, tab6: 6}, others: rest}",
        f"tasks: {{{LABEL}: {LABEL}}}",
        "features:",
    ]
    for table, file in (("log", LOG), ("users", USERS), ("videos", VIDEOS)):
        lines += [f"  {table}_{name}: {{kind: id, column: {table}.{name}}}" for name in header(file) if name != LABEL]
    path.write_text("\n".join(lines + ["model: {name: mixed}"]) + "\n", encoding="utf-8")


def polars(way, log, options, write=()):
    return figures([sys.executable, HERE / "polars_read.py", way, *write, log, USERS, VIDEOS], options.threads)


def measure_read(options):
    """polars keeps the codes in memory, so what is compared first is ours without the writing;
    then both with it."""
    encode = Ratio("read, join, encode / polars' fastest way", "s", 3.0, speed=False)
    ways = {way: Ratio(f"  the same / {way}", "s", speed=False) for way in WAYS}
    cpu = Ratio("  CPU time of it", "s", speed=False)
    write = Ratio("and written / fastest way and its IPC file", "s", speed=False)
    memory = Ratio("  peak memory", "MB", speed=False)
    bare = Ratio("bare reading / polars read_csv", "s", speed=False)
    with tempfile.TemporaryDirectory(prefix="hinet-peers-") as folder:
        log, config, codes = (pathlib.Path(folder) / name for name in ("log.csv", "config.yaml", "codes.ipc"))
        write_log(log)
        write_config(config, log)
        for _ in range(options.rounds):
            command = [options.bench, "--json", "--threads", options.threads, "--rounds", 1, "--config", config, "read"]
            ours = figures(command, options.threads)
            theirs = {way: polars(way, log, options, ["--write", codes]) for way in WAYS}
            fastest = min(theirs.values(), key=lambda one: one["seconds"])
            encode.add(ours["read.encode"], fastest["seconds"])
            cpu.add(ours["read.encode_cpu"], fastest["cpu_seconds"])
            write.add(ours["read.prepare"], fastest["seconds"] + fastest["write_seconds"])
            memory.add(ours["read.peak_memory"], fastest["peak_mb"])
            for way in WAYS:
                ways[way].add(ours["read.encode"], theirs[way]["seconds"])
            bare.add(ours["read.bare"], polars("bare", log, options)["seconds"])
    return [encode, *ways.values(), cpu, write, memory, bare]


# ---- The whole -----------------------------------------------------------------------


def show(rows):
    print(f"{'':44} {'unit':>7} {'hinet':>9} {'peer':>9} {'median':>8} {'best':>7} {'goal':>6}")
    for row in rows:
        goal = f"{row['goal']:.1f}x" if row["goal"] else ""
        print(
            f"{row['name']:44} {row['unit']:>7} {row['ours']:9.5g} {row['peer']:9.5g}"
            f" {row['ratio']:7.2f}x {row['best']:6.2f}x {goal:>6}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["train", "request", "read"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="for each measurement of a training step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--inputs",
        choices=["given", "embeddings"],
        default="given",
        help="PyTorch's input: given counts less work for it than we have; or 20 tables of 10,000 rows",
    )
    parser.add_argument("--bench", default=ROOT / "build" / "release" / "hinet_bench")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    ratios = []
    if options.only in (None, "train"):
        ratios += measure_train(options)
    if options.only in (None, "request"):
        ratios += measure_request(options)
    if options.only in (None, "read"):
        if LOG.exists():
            ratios += measure_read(options)
        else:
            print(f"reading is skipped: {LOG} is not there", file=sys.stderr)
    rows = [ratio.as_dict() for ratio in ratios]
    show(rows)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
