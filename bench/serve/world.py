"""What bench/serve serves: a paper-size model over 50 features (25 of user and context, 25 of
the item, input width 320), the small simulated platform, and request bodies for both. Everything
is made by the program itself and by a seeded generator; nothing is downloaded."""

import csv
import json
import random
import subprocess

IDS = 9  # of each side, width 16; the other 16 features of a side are numbers: 9 * 16 + 16 = 160 columns
USER_NUMBERS, CONTEXT_NUMBERS, ITEM_NUMBERS = 11, 5, 16
SCENARIOS = ["home", "search", "deals", "video", "local", "gifts"]
ID_VALUES = 2000

PAPER_MODEL = """model:
  name: hinet
  experts: 5
  expert_units: [128, 64]
  task_shared: 2
  task_own: 2
  task_units: [128, 64]
  tower_units: [128, 64]
train: {rate: 0.001, batch: 2048, epochs: 1, patience: 0, seed: 1}
"""

SMALL_MODEL = ["--set", "train.epochs=1", "--set", "train.batch=512", "--set", "model.experts=2",
               "--set", "model.expert_units=[16, 8]", "--set", "model.task_units=[8]", "--set", "model.tower_units=[8]"]


def names(side):
    ids = [f"{side}_id{k}" for k in range(IDS)]
    if side == "user":
        return ids, [f"user_n{k}" for k in range(USER_NUMBERS)] + [f"context_n{k}" for k in range(CONTEXT_NUMBERS)]
    return ids, [f"item_n{k}" for k in range(ITEM_NUMBERS)]


def id_of(rng):
    return f"v{rng.randrange(ID_VALUES)}"


def number_of(rng):
    return round(rng.lognormvariate(1, 1), 4)


def paper_config():
    lines = ["log: log.csv", "split: {by: random, validation: 0.1, test: 0.1}",
             f"scenario: {{column: scenario, values: [{', '.join(SCENARIOS)}]}}",
             "tasks: {click: click, order: order}", "user: user_id0", "features:"]
    for side in ("user", "item"):
        ids, numbers = names(side)
        lines += [f"  {name}: {{kind: id, width: 16, side: {side}}}" for name in ids]
        lines += [f"  {name}: {{kind: number, scaling: log1p-zscore, side: {'context' if name[0] == 'c' else side}}}" for name in numbers]
    return "\n".join(lines) + "\n" + PAPER_MODEL


def make_paper(hinet, folder, rows=12000):
    """A bundle of the paper's size at folder/run/best.hn; what it has learnt does not matter here."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle = folder / "run" / "best.hn"
    if bundle.exists():
        return bundle
    rng = random.Random(1)
    sides = [names("user"), names("item")]
    header = ["scenario", *(name for ids, numbers in sides for name in ids + numbers), "click", "order"]
    with open(folder / "log.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for _ in range(rows):
            click = rng.random() < 0.2
            cells = [x for ids, numbers in sides for x in [id_of(rng) for _ in ids] + [number_of(rng) for _ in numbers]]
            writer.writerow([rng.choice(SCENARIOS), *cells, int(click), int(click and rng.random() < 0.3)])
    (folder / "config.yaml").write_text(paper_config())
    subprocess.run([hinet, "train", folder / "config.yaml", "--out", folder / "run", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return bundle


def paper_bodies(path, n=64, candidates=200, seed=2):
    """Requests that send every feature: 25 of user and context, 25 for each candidate."""
    rng = random.Random(seed)
    user_ids, user_numbers = names("user")
    item_ids, item_numbers = names("item")
    with open(path, "w", encoding="utf-8") as file:
        for k in range(n):
            user = {"id": id_of(rng), **{x: id_of(rng) for x in user_ids[1:]}, **{x: number_of(rng) for x in user_numbers if x[0] == "u"}}
            items = [{"id": f"item{c}", **{x: id_of(rng) for x in item_ids}, **{x: number_of(rng) for x in item_numbers}}
                     for c in range(candidates)]
            file.write(json.dumps({"request_id": f"r{k}", "scenario": rng.choice(SCENARIOS), "user": user,
                                   "context": {x: number_of(rng) for x in user_numbers if x[0] == "c"}, "candidates": items},
                                  separators=(",", ":")) + "\n")
    return path


def make_small(hinet, folder):
    """The simulated platform with tables of users and items, and a model that scores in microseconds."""
    bundle = folder / "run" / "best.hn"
    if bundle.exists():
        return bundle
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([hinet, "simulate", "--rows", "40000", "--seed", "5", "--out", folder, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([hinet, "train", folder / "config.yaml", "--out", folder / "run", "--quiet", *SMALL_MODEL],
                   check=True, stdout=subprocess.DEVNULL)
    return bundle


def small_bodies(path, folder, n=500, candidates=10, seed=3):
    rng = random.Random(seed)
    with open(folder / "log.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    items = sorted({row["item_id"] for row in rows})
    with open(path, "w", encoding="utf-8") as file:
        for k in range(n):
            row = rng.choice(rows)
            file.write(json.dumps({
                "request_id": f"r{k}", "scenario": row["scenario"],
                "user": {"id": row["user_id"], "recent_categories": row["recent_categories"].split("|")},
                "context": {"hour": int(row["hour"])},
                "candidates": [{"id": item, "position": p} for p, item in enumerate(rng.sample(items, candidates))]}) + "\n")
    return path
