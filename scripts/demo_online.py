#!/usr/bin/env python3
"""What scripts/demo-online.sh does not leave to the program: the joined log in the columns of the
platform's own log, who won, and the report. The standard library is enough."""

import csv
import json
import pathlib
import sys

METRIC = "ctcvr"  # decided before the test: orders an impression; every request shows ten


def of_all(comparisons, scenario=None, metric=METRIC):
    """The comparison of a scope, narrowed by the time before where there is one."""
    for comparison in comparisons:
        if comparison["scenario"] == scenario and comparison["metric"] == metric:
            return {**comparison, **comparison.get("cuped", {})}
    return None


# ---- From the joined log to the platform's ---------------------------------------------------


def write_log(sources, target):
    """Day 15 for training; the last tenth in time is for the test, the tenth before validates.
    The platform counts positions from 0, the exposure log from 1."""
    columns = ["request_id", "date", "hour", "user_id", "scenario", "recent_categories", "position", "item_id",
               "click", "order"]
    rows = []
    for source in sources:
        with open(source, newline="") as file:
            rows += csv.DictReader(file)
    with open(target, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for n, row in enumerate(rows):
            part = n / len(rows)
            date = 20240115 if part < 0.8 else 20240116 if part < 0.9 else 20240117
            writer.writerow([row["request_id"], date, row["hour"], row["user"], row["scenario"],
                             row["recent_categories"], int(row["position"]) - 1, row["item"], row["click"], row["order"]])


# ---- Who won --------------------------------------------------------------------------------------


def verdict(abtest):
    overall = of_all(abtest["comparisons"])
    if abtest["sample_ratio"]["mismatch"]:
        return "base", "The sample ratio is wrong: nothing is decided, the baseline stays."
    if overall["gain_low"] is not None and overall["gain_low"] > 0:
        return "hinet", "HiNet won: the interval over all scenarios is above zero."
    if overall["gain_high"] is not None and overall["gain_high"] < 0:
        return "base", "The baseline won: the interval over all scenarios is below zero."
    return "base", "Nobody won: the interval over all scenarios holds zero, the baseline stays."


# ---- The report -----------------------------------------------------------------------------------

LEGEND = """
gain, from, to  what the experiment found: orders an impression in HiNet's arm over the baseline's, less one, and its 95 % interval.
                The user is the unit. CUPED takes out how users differed before, by what each did in the A/A phase.
p               how often chance alone would give a difference of this size.
true gain       what no real platform knows: both models ranked the same requests, and the simulator's hidden truth says how many
                orders each list is worth. s.e. is the standard error of having drawn these requests.
covered         whether the interval holds the true gain.
sample ratio    whether the arms have as many users as they should; below 0.001 something loses users, and nothing else counts.
Everything else: docs/experiments.md."""


def percent(x):
    return "-" if x is None else f"{100 * x:+.2f} %"


def table(rows):
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    for n, row in enumerate(rows):
        print("  ".join(cell.ljust(w) if c == 0 else cell.rjust(w) for c, (cell, w) in enumerate(zip(row, widths))))
        if n == 0:
            print("-" * (sum(widths) + 2 * len(widths) - 2))


def gains(abtest, truth):
    """A row a scope: what the test found beside what is true."""
    for true in truth["true_gain"]:
        found = of_all(abtest["comparisons"], true["scenario"]) or {}
        low, high = found.get("gain_low"), found.get("gain_high")
        known = None not in (low, high, true["order_gain"])
        yield {"scenario": true["scenario"], "gain": found.get("gain"), "low": low, "high": high,
               "p": found.get("p"), "p_holm": found.get("p_holm"), "true_gain": true["order_gain"],
               "true_gain_error": true["order_gain_error"],
               "covered": low <= true["order_gain"] <= high if known else None}


def print_aa(abtest):
    ps = [c["p"] for c in abtest["comparisons"] if c["p"] is not None]
    overall = of_all(abtest["comparisons"])
    print(f"A/A: {abtest['users']} users, sample ratio p = {abtest['sample_ratio']['p']:.3g}; {sum(p < 0.05 for p in ps)} of "
          f"{len(ps)} comparisons below 0.05 (5 % are expected), least p by Holm "
          f"{min((c['p_holm'] for c in abtest['comparisons'] if c['p_holm'] is not None), default=1):.2g}; orders "
          f"{percent(overall['gain'])} [{percent(overall['gain_low'])}, {percent(overall['gain_high'])}].")


def print_ab(abtest, rows):
    print(f"A/B: {abtest['users']} users, sample ratio p = {abtest['sample_ratio']['p']:.3g}, "
          f"{abtest['users_in_several_arms']} users in both arms.\n")
    print("Orders (an impression), HiNet over a model for each scenario, 95 % intervals, CUPED by the A/A phase:\n")
    lines = [["scenario", "gain", "from", "to", "p", "true gain", "± s.e.", "covered"]]
    for row in rows:
        error, p = row["true_gain_error"], row["p"]
        lines.append([row["scenario"] or "(all)", percent(row["gain"]), percent(row["low"]), percent(row["high"]),
                      "-" if p is None else f"{p:.2g}", percent(row["true_gain"]),
                      "-" if error is None else f"{100 * error:.2f} %", {True: "yes", False: "no", None: "-"}[row["covered"]]])
    table(lines)
    known = [row["covered"] for row in rows if row["covered"] is not None]
    print(f"\n{sum(known)} of {len(known)} intervals cover the true gain; 95 % of such intervals do.")
    print(LEGEND)


def versions_of(joined):
    """Requests by version, in the order of time."""
    counts, seen = {}, set()
    with open(joined, newline="") as file:
        for row in csv.DictReader(file):
            if row["request_id"] not in seen:
                seen.add(row["request_id"])
                counts[row["version"]] = counts.get(row["version"], 0) + 1
    return counts


def mean_auc(report):
    cells = report["test"]["cells"] if "test" in report else report["cells"]
    found = [cell["auc"] for cell in cells if cell["auc"] is not None]
    return sum(found) / len(found) if found else None


def report(folder):
    def load(name):
        return json.loads((folder / f"{name}.json").read_text())

    aa, ab = load("abtest-aa"), load("abtest-ab")
    rounds = [json.loads(path.read_text()) for path in folder.glob("live-rollout-*.json")]
    rollout = {name: sum(one[name] for one in rounds) for name in ("answered", "failed", "fallbacks")}
    rows = list(gains(ab, load("truth")))
    winner, words = verdict(ab)
    before, after = mean_auc(load("eval-before")), mean_auc(load("eval-after"))
    base, hinet = mean_auc(load("train-base")), mean_auc(load("train-hinet"))
    versions = versions_of(folder / "joined-rollout.csv")
    figures = {
        "auc": {"base": base, "hinet": hinet}, "gains": rows, "winner": winner,
        "online_auc": {"before": before, "after": after}, "rollout": {**rollout, "versions": versions}}
    (folder / "report.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(f"Test AUC, mean of twelve cells: a model for each scenario {base:.4f}, HiNet {hinet:.4f}.")
    print_aa(aa)
    print_ab(ab, rows)
    print(f"\n{words}")
    print(f"Trained on what was shown too: mean AUC on the last tenth of the exposures {before:.4f} before, {after:.4f} after.")
    shown = ", ".join(f"{n} by version {version}" for version, n in versions.items())
    print(f"Rollout: {rollout['answered']} requests answered ({shown}), {rollout['failed']} failed, "
          f"{rollout['fallbacks']} by a fallback.")


def main():
    command, *args = sys.argv[1:]
    if command == "log":
        write_log(args[:-1], args[-1])
    elif command == "winner":
        print(verdict(json.loads(pathlib.Path(args[0]).read_text()))[0])
    else:
        report(pathlib.Path(args[0]))


main()
