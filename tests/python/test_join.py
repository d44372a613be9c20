"""`hinet join` against the same join in pandas, on random logs full of edge cases: repeated
requests and items, events early, late, at the very edge of a window, repeated, and of nobody;
texts that need quotes; lines without features. And its bounds: memory, bad lines, options."""

import csv
import gzip
import io
import json
import random

import pandas as pd
import pytest
import xxhash

FIXED = ["request_id", "time_ms", "user", "item", "scenario", "position", "model", "version"]
T0 = 1_700_000_000_000
MINUTE = 60_000
WINDOWS = {"click": 30 * MINUTE, "order": 7 * 24 * 60 * MINUTE}
WINDOW_TEXT = {"click": "30m", "order": "7d"}
STRANGE = ["plain", "with,comma", 'with "quotes"', "two\nlines", "carriage\rreturn", "Größe", "用户", " blank ", "'"]


# ---- Random logs ---------------------------------------------------------------------------


class Logs:
    """Exposures as dictionaries in the order of their lines, and events by task."""

    def __init__(self, seed, requests=300):
        self.random = random.Random(seed)
        self.exposures = [self.exposure(n) for n in range(requests)]
        for _ in range(requests // 10):  # retries and replays of a request, before and after it
            again = dict(self.random.choice(self.exposures))
            again["time_ms"] += self.random.choice([-5000, 0, 0, 7000])
            again["items"] = self.random.sample(again["items"], k=self.random.randint(0, len(again["items"])))
            self.exposures.insert(self.random.randint(0, len(self.exposures)), again)
        self.events = {task: self.events_of(task) for task in WINDOWS}

    def exposure(self, n):
        r = self.random
        request = r.choice([f"r{n}", n, f"r,{n}", f'r"{n}'])
        line = {"request_id": request, "time_ms": T0 + r.randint(0, 10 * 24 * 60) * MINUTE // r.choice([1, 7]),
                "user": r.choice([f"u{r.randint(1, 50)}", r.randint(1, 50)]), "scenario": r.choice(["home", "sea,rch", None]),
                "arms": {k: r.choice(["a", "b"]) for k in ("ranking", "price") if r.random() < 0.7}, "model": "m",
                "version": r.choice(["1", "2"]), "fallback": None, "items": []}
        sampled = r.random() < 0.6
        if sampled:
            line["user_features"] = {"age": r.choice([None, r.randint(1, 99), 31.5]), "city": r.choice(STRANGE)}
            line["context"] = {"hour": r.randint(0, 23), "both": r.choice([True, False]), "tags": ["x", 3, None, "y"]}
        for position in range(r.randint(0, 6)):
            item = {"id": r.choice([f"i{r.randint(1, 9)}", r.randint(1, 9)]), "position": position + 1, "score": 0.5}
            if sampled and r.random() < 0.8:
                item["features"] = {"price": r.choice([1.1, 1e-7, 123456789.25, 7, 1e22]), "position": 99, "both": "own"}
            line["items"].append(item)
        return line

    def events_of(self, task):
        r, window, events = self.random, WINDOWS[task], []
        for line in self.exposures:
            for item in line["items"]:
                for _ in range(r.choice([0, 0, 1, 1, 2])):
                    after = r.choice([0, 1, -1, -2000, window - 1, window, r.randint(0, window), r.randint(-9999, 2 * window)])
                    events.append((line["request_id"], item["id"], line["time_ms"] + after, r.choice(["", 1, 2.5, 0.1])))
            if r.random() < 0.1:
                events.append((line["request_id"], "never shown", line["time_ms"], ""))
        events += [("nobody's", "i1", T0, 3)] * 3
        r.shuffle(events)
        return events

    # ---- to files ----

    def write(self, folder):
        """Exposures in three files, plain and gzip; clicks as CSV, orders in two files of both kinds."""
        cut = len(self.exposures) // 3
        for n, part in enumerate((self.exposures[:cut], self.exposures[cut:2 * cut], self.exposures[2 * cut:])):
            text = "".join(json.dumps(line, ensure_ascii=n == 0) + "\n" for line in part).encode()
            (folder / f"exposures-{n}.jsonl{'.gz' if n == 1 else ''}").write_bytes(gzip.compress(text) if n == 1 else text)
        clicks, orders = self.events["click"], self.events["order"]
        (folder / "clicks.csv").write_text(csv_of(clicks, ["request_id", "item", "time_ms", "value"]))
        (folder / "orders-0.jsonl").write_text("".join(
            json.dumps({"time_ms": t, "item": i, "request_id": r, **({"value": v} if v != "" else {})}) + "\n"
            for r, i, t, v in orders[: len(orders) // 2]))
        (folder / "orders-1.csv.gz").write_bytes(gzip.compress(csv_of(
            [(t, v, "unused", r, i) for r, i, t, v in orders[len(orders) // 2:]],
            ["time_ms", "revenue", "more", "request_id", "item_id"]).encode()))
        return [folder / "exposures-*", "--event", f"click={folder}/clicks.csv:30m", "--event", f"order={folder}/orders-*:7d"]


def csv_of(rows, header):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


# ---- The oracle ----------------------------------------------------------------------------


def cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list):
        return "|".join(cell(v) for v in value if v is not None)
    if isinstance(value, float):
        return next(text for digits in (15, 16, 17) if float(text := f"{value:.{digits}g}") == value)
    return str(value)


def shown_of(logs):
    """A row for each item shown, before repeated requests are left out."""
    rows, groups = [], {}
    for number, line in enumerate(logs.exposures):
        found = [("user", line.get("user_features") or {}), ("context", line.get("context") or {})]
        for index, item in enumerate(line["items"]):
            row = {name: cell(line.get(name)) for name in FIXED} | {f"arm_{k}": v for k, v in line["arms"].items()}
            row |= {"item": cell(item["id"]), "position": cell(item["position"])}
            for group, features in [*found, ("item", item.get("features") or {})]:
                for name, value in features.items():
                    order = ["user", "context", "item"]
                    groups[name] = max(groups.get(name, "user"), group, key=order.index)
                    if value is not None:
                        row["f:" + name] = cell(value)
            high_low = xxhash.xxh3_128_intdigest(row["request_id"].encode())
            rows.append({**row, "line": number, "index": index, "time": line["time_ms"], "hash": high_low,
                         "place": item["position"]})
        for _, features in found:
            for name in features:
                groups.setdefault(name, "user" if name in ("age", "city") else "context")
    return pd.DataFrame(rows), groups


def kept_of(logs):
    """Of each request the earliest line (which may have no items), and of each item there the first."""
    lines = pd.DataFrame({"request_id": [cell(e["request_id"]) for e in logs.exposures],
                          "time": [e["time_ms"] for e in logs.exposures], "line": range(len(logs.exposures))})
    first = lines.sort_values(["time", "line"]).drop_duplicates("request_id")
    shown, groups = shown_of(logs)
    kept = shown.merge(first[["line"]], on="line")
    return kept.sort_values(["line", "index"]).drop_duplicates(["request_id", "item"]), groups, len(lines) - len(first)


def label(kept, events, task, now, skew):
    """The columns of a task, and how many events were what."""
    window = WINDOWS[task]
    events = pd.DataFrame([(cell(r), cell(i), t, cell(v)) for r, i, t, v in events],
                          columns=["request_id", "item", "when", "value"])
    met = events.reset_index().merge(kept[["request_id", "item", "time"]], on=["request_id", "item"])
    after = met["when"] - met["time"]
    within = met[(after >= -skew) & (after < window)].sort_values(["when", "index"])
    used = within.drop_duplicates(["request_id", "item"])
    counts = {"events": len(events), "matched": len(used), "duplicates": len(within) - len(used),
              "early": int((after < -skew).sum()), "late": int((after >= window).sum()), "unmatched": len(events) - len(met)}
    joined = kept.merge(used[["request_id", "item", "value"]].assign(hit="1"), on=["request_id", "item"], how="left")
    joined.index = kept.index
    passed = now - kept["time"] >= window
    hit = joined["hit"] == "1"
    text = pd.Series("", index=kept.index).mask(passed, "0").mask(hit, "1")
    value = pd.Series("", index=kept.index).mask(passed, "0").mask(hit, joined["value"].fillna(""))
    return text, value, counts


def latest(logs):
    return max([e["time_ms"] for e in logs.exposures] + [t for events in logs.events.values() for _, _, t, _ in events])


def expected(logs, now=None, skew=0, complete=False):
    kept, groups, duplicates = kept_of(logs)
    now = latest(logs) if now is None else now
    counts = {}
    for task, events in logs.events.items():
        kept[task], kept[f"{task}_value"], counts[task] = label(kept, events, task, now, skew)
    if complete:
        kept = kept[now - kept["time"] >= max(WINDOWS.values())]
    kept = kept.sort_values(["time", "hash", "place", "index"])
    features = sorted(groups, key=lambda name: (["user", "context", "item"].index(groups[name]), name))
    arms = sorted(c for c in kept if c.startswith("arm_"))
    table = kept[FIXED + arms + ["f:" + f for f in features] + ["click", "click_value", "order", "order_value"]]
    names = [f"{groups[f]}_{f}" if f in FIXED else f for f in features]
    return table.set_axis(FIXED + arms + names + list(table.columns[-4:]), axis=1).fillna(""), counts, duplicates


def read(path):
    """Python's own reader of CSV, for pandas' reads a carriage return within quotes as a line end."""
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    return pd.DataFrame(rows, columns=head)


def assert_equal(found, table):
    pd.testing.assert_frame_equal(found.reset_index(drop=True).astype(object), table.reset_index(drop=True).astype(object))


# ---- Tests -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_the_same_as_pandas(hinet, tmp_path, seed):
    logs = Logs(seed)
    report = hinet.json("join", *logs.write(tmp_path), "--out", tmp_path / "joined.csv")
    table, counts, duplicates = expected(logs)
    assert_equal(read(tmp_path / "joined.csv"), table)
    assert report["rows"] == len(table) > 500 and report["now_ms"] == latest(logs)
    assert report["exposures"]["duplicate_requests"] == duplicates > 10
    for event in report["events"]:
        task = event["task"]
        assert {key: event[key] for key in counts[task]} == counts[task]
        assert event["positives"] == (table[task] == "1").sum()
        assert event["immature"] == (table[task] == "").sum()
        assert all(counts[task].values())  # the random logs have every case


@pytest.mark.parametrize("now,skew,complete", [(T0 + 5 * 24 * 60 * MINUTE, 0, False), (T0 + 8 * 24 * 60 * MINUTE, 2000, True),
                                               (T0 + 30 * 24 * 60 * MINUTE, 1, False), (T0 - 1, 0, False)])
def test_now_skew_and_complete(hinet, tmp_path, now, skew, complete):
    logs = Logs(seed=now % 1000 + skew)
    hinet("join", *logs.write(tmp_path), "--out", tmp_path / "joined.csv", "--now", now, "--skew", f"{skew}ms",
          *(["--complete"] if complete else []), "--quiet")
    table, _, _ = expected(logs, now, skew, complete)
    assert_equal(read(tmp_path / "joined.csv"), table)


def test_chosen_and_renamed_columns(hinet, tmp_path):
    logs = Logs(7)
    hinet("join", *logs.write(tmp_path), "--out", tmp_path / "joined.csv", "--columns", "price,absent,age", "--quiet",
          "--rename", "user=user_id", "--rename", "item=item_id", "--rename", "price=cost", "--rename", "item_id=x", expect=2)
    hinet("join", *logs.write(tmp_path), "--out", tmp_path / "joined.csv", "--columns", "price,absent,age", "--quiet",
          "--rename", "user=user_id", "--rename", "item=item_id", "--rename", "price=cost")
    table, _, _ = expected(logs)
    wanted = table.rename(columns={"user": "user_id", "item": "item_id", "price": "cost"}).assign(absent="")
    arms = [c for c in table if c.startswith("arm_")]
    fixed = ["user_id" if c == "user" else "item_id" if c == "item" else c for c in FIXED]
    assert_equal(read(tmp_path / "joined.csv"),
                 wanted[fixed + arms + ["cost", "absent", "age", "click", "click_value", "order", "order_value"]])


@pytest.mark.parametrize("renames,words", [
    (["usr=user_id"], 'no column "usr" to rename; did you mean "user"?'), (["user"], "expected OLD=NEW"), (["=x"], "expected OLD=NEW"),
    (["user="], "expected OLD=NEW"), (["user=item"], "already there"), (["user=click"], "already there"),
    (["user=order_value"], "already there"), (["user=a", "item=a"], "already there"), (["user=a", "user=b"], "second time")])
def test_renames_that_cannot_be(hinet, tmp_path, renames, words):
    args = Logs(5, requests=30).write(tmp_path)
    hinet.fails(2, words, "join", *args, "--out", tmp_path / "joined.csv", *(a for r in renames for a in ("--rename", r)))
    assert not (tmp_path / "joined.csv").exists()


def test_little_memory_gives_the_same_bytes(hinet, tmp_path):
    """Some 15,000 rows and as many events through the least memory that may be given: sorted on disk."""
    logs = Logs(11, requests=5_000)
    args = logs.write(tmp_path)
    hinet("join", *args, "--out", tmp_path / "a.csv", "--quiet")
    hinet("join", *args, "--out", tmp_path / "b.csv", "--quiet", "--memory", "1M", "--temp", tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert_equal(read(tmp_path / "a.csv"), expected(logs)[0])
    assert not [p for p in tmp_path.iterdir() if "tmp" in p.name]


def test_without_out_the_log_goes_to_standard_output(hinet, tmp_path):
    logs = Logs(3, requests=40)
    args = logs.write(tmp_path)
    done = hinet("join", *args)
    hinet("join", *args, "--out", tmp_path / "joined.csv", "--quiet")
    assert done.stdout == (tmp_path / "joined.csv").read_bytes()
    assert b"rows of" in done.stderr


def test_bad_lines_are_named_and_may_be_allowed(hinet, tmp_path):
    good = json.dumps({"request_id": "r1", "time_ms": T0, "user": "u", "items": [{"id": "i1"}]}) + "\n"
    (tmp_path / "e.jsonl").write_text(good + "{broken\n" + '{"request_id": "r2", "time_ms": "soon", "items": []}\n')
    (tmp_path / "c.csv").write_text(f"request_id,item,time_ms\nr1,i1,{T0}\nr1,i1\nr1,i1,never\n")
    args = ["join", tmp_path / "e.jsonl", "--event", f"click={tmp_path}/c.csv:1h", "--out", tmp_path / "j.csv"]
    message = hinet.fails(65, "e.jsonl:2:", *args)
    assert "JSON" in message
    hinet.fails(65, "c.csv:4", *args, "--bad-lines", 3)
    report = hinet.json(*args, "--bad-lines", 4)
    assert report["bad_lines"] == 4 and report["rows"] == 1 and report["events"][0]["positives"] == 1
    assert [e.split(": ")[0].split("/")[-1] for e in report["bad_examples"]][0].startswith("e.jsonl:2")


def test_a_joined_log_trains(hinet, demo, tmp_path):
    """The log, renamed to what the demonstration's config expects, through check."""
    header, rows = demo.log_lines()
    names = header.split(",")
    lines, clicks, orders = [], [], []
    for n, row in enumerate(rows[:3000]):
        at = dict(zip(names, row.split(",")))
        time = T0 + n * 1000
        lines.append(json.dumps({
            "request_id": f"q{n}", "time_ms": time, "user": at["user_id"], "scenario": at["scenario"], "model": "m",
            "version": "1", "user_features": {"recent_categories": at["recent_categories"].split("|")},
            "context": {"hour": int(at["hour"]), "date": at["date"]},
            "items": [{"id": at["item_id"], "position": int(at["position"])}]}))
        if at["click"] == "1":
            clicks.append((f"q{n}", at["item_id"], time + 5))
        if at["order"] == "1":
            orders.append((f"q{n}", at["item_id"], time + 9))
    (tmp_path / "e.jsonl").write_text("\n".join(lines))
    for name, events in (("clicks.csv", clicks), ("orders.csv", orders)):
        (tmp_path / name).write_text(csv_of(events, ["request_id", "item", "time_ms"]))
    hinet("join", tmp_path / "e.jsonl", "--event", f"click={tmp_path}/clicks.csv:10m", "--event",
          f"order={tmp_path}/orders.csv:10m", "--rename", "user=user_id", "--rename", "item=item_id", "--now", T0 + 10**9,
          "--out", tmp_path / "online.csv", "--quiet")
    joined = read(tmp_path / "online.csv")
    for name in ("user_id", "item_id", "scenario", "hour", "date", "recent_categories", "position", "click", "order"):
        column = names.index(name)
        assert list(joined[name]) == [row.split(",")[column] for row in rows[:3000]], name
    checked = hinet.text("check", demo.config, "--set", f"log.files=[{tmp_path}/online.csv]")
    assert "3,000" in checked or "3000" in checked
