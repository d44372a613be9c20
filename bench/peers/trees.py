"""LightGBM beside `hinet experiment examples/experiments/NAME.yaml`: the same rows and split (MovieLens: a
random split of its own), the same features as numbers (smoothed rates and counts of keys, without
a row's own fold; attributes), one model for each task.

Usage: trees.py NAME [--data FOLDER] [--seeds N] [--trials N] [--threads N], NAME one of kuairand, movielens,
simulated. Options are drawn at random and chosen by the mean validation AUC of the cells on seed 1.
One JSON line a seed on standard output: the validation and test AUC of every (scenario, task).
"""

import argparse
import json
import pathlib
import sys
from typing import NamedTuple

import lightgbm
import numpy as np
import pandas
from sklearn.metrics import roc_auc_score

SMOOTHING = 20
ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


class Log(NamedTuple):
    """`rows` has, besides its columns, `scenario` (text), `part` (0 train, 1 validation, 2 test) and
    `fold` (what a training row's rates leave out)."""

    rows: pandas.DataFrame
    tasks: list
    keys: list  # of lists of columns
    attributes: list


def kuairand(folder):
    log = pandas.read_csv(folder / "log_standard_4_25_to_5_08_pure.csv").drop_duplicates()
    log = log[log.tab.isin((1, 0, 4, 6, 2))]
    videos = pandas.read_csv(folder / "video_features_basic_pure.csv")
    videos["tag"] = videos.tag.astype(str).str.split(",").str[0]
    users = pandas.read_csv(folder / "user_features_pure.csv")
    history = pandas.read_csv(folder / "user_history_before_4_25.csv")
    for column in ("watch_seq", "like_seq", "long_watch_seq"):
        history[column] = history[column].fillna("").astype(str).str.split().str.len()
    videos = videos.drop(columns=[c for c in videos if c != "video_id" and c in log])
    rows = log.merge(videos, on="video_id", how="left").merge(users, on="user_id", how="left").merge(
        history, on="user_id", how="left", suffixes=("", "_history"))
    rows["scenario"] = "tab" + rows.tab.astype(str)
    rows["part"] = (rows.date > 20220504).astype(int) + (rows.date > 20220506)
    rows["fold"] = rows.date
    return Log(rows, ["is_click", "long_view"],
               [["user_id"], ["video_id"], ["author_id"], ["music_id"], ["tag"], ["user_id", "tab"], ["video_id", "tab"]],
               ["tab", "hourmin", "video_duration", "history_len", "last_time_ms", "watch_seq", "like_seq", "long_watch_seq",
                "user_active_degree", "is_live_streamer", "is_video_author", "follow_user_num_range", "fans_user_num_range",
                "friend_user_num_range", "register_days_range", "video_type", "upload_type", "music_type"])


def movielens(folder):
    def table(name, columns):
        return pandas.read_csv(folder / name, sep="::", engine="python", names=columns, encoding="latin-1")
    rows = pandas.read_csv(folder / "ratings_no_timestamp.csv").merge(
        table("users.dat", ["user_id", "gender", "age", "occupation", "zip"]), on="user_id").merge(
        table("movies.dat", ["movie_id", "title", "genres"]), on="movie_id")
    rows["genre"] = rows.genres.str.split("|").str[0]
    rows["year"] = rows.title.str.extract(r"\((\d{4})\)$")[0].astype(float)
    rows["scenario"] = np.select([rows.age <= 18, rows.age == 25], ["young", "twenties"], "older")
    rows["good"], rows["best"] = (rows.rating > 3).astype(int), (rows.rating > 4).astype(int)
    draw = np.random.default_rng(1)
    rows["part"] = draw.choice(3, len(rows), p=(0.8, 0.1, 0.1))
    rows["fold"] = draw.integers(0, 5, len(rows))
    return Log(rows, ["good", "best"],
               [["user_id"], ["movie_id"], ["zip"], ["user_id", "genre"], ["movie_id", "scenario"], ["movie_id", "gender"],
                ["genre", "scenario"]],
               ["gender", "age", "occupation", "genre", "year"])


def simulated(folder):
    rows = pandas.read_csv(folder / "log.csv").merge(pandas.read_csv(folder / "users.csv"), on="user_id").merge(
        pandas.read_csv(folder / "items.csv"), on="item_id")
    rows["category_recently"] = [f"|{recent}|".count(f"|{category}|") for recent, category in zip(rows.recent_categories, rows.category)]
    rows["part"] = (rows.date >= 20240112).astype(int) + (rows.date >= 20240113)
    rows["fold"] = np.random.default_rng(1).integers(0, 5, len(rows))
    return Log(rows, ["click", "order"],
               [["user_id"], ["item_id"], ["item_id", "scenario"], ["user_id", "scenario"], ["user_id", "category"],
                ["shop_id", "scenario"], ["category", "scenario"], ["brand", "scenario"]],
               ["scenario", "age", "city", "level", "hour", "position", "category", "brand", "price", "shop_rating",
                "category_recently"])


SOURCES = {"kuairand": (kuairand, SHARED / "kuairand-pure-late"), "movielens": (movielens, SHARED / "ml-1m"),
           "simulated": (simulated, ROOT / "runs" / "platform")}


def rates(log, rows, train, own):
    """Smoothed rate of each task and count of each key; `own`: without the row's own fold."""
    out = {}
    for key in log.keys:
        def totals(by):
            groups = train.groupby(by)
            found = groups[log.tasks].sum()
            found["n"] = groups.size()
            return rows[by].merge(found, left_on=by, right_index=True, how="left")[[*log.tasks, "n"]].fillna(0).to_numpy()
        sums = totals(key) - (totals([*key, "fold"]) if own else 0)
        name = "_".join(key)
        for t, task in enumerate(log.tasks):
            out[f"{name}_{task}_rate"] = (sums[:, t] + SMOOTHING * train[task].mean()) / (sums[:, -1] + SMOOTHING)
        out[f"{name}_n"] = sums[:, -1]
    return pandas.DataFrame(out, index=rows.index)


def encode(log, splits):
    """The inputs of each split; texts become categories, known from the training rows alone."""
    parts = [pandas.concat([rows[[c for c in log.attributes if c in rows]], rates(log, rows, splits[0], rows is splits[0])], axis=1)
             for rows in splits]
    for column in [c for c in parts[0] if not pandas.api.types.is_numeric_dtype(parts[0][c])]:
        kinds = pandas.CategoricalDtype(sorted(parts[0][column].dropna().astype(str).unique()))
        for part in parts:
            part[column] = part[column].astype(str).astype(kinds)
    return parts


def cells(log, rows, scores):
    return {f"{scenario}/{task}": roc_auc_score(rows[task][rows.scenario == scenario], scores[task][(rows.scenario == scenario).to_numpy()])
            for scenario in log.rows.scenario.unique() for task in log.tasks}


def fit(log, splits, features, options, seed, threads):
    found = [{}, {}]
    for task in log.tasks:
        model = lightgbm.train(
            dict(objective="binary", verbose=-1, seed=seed, num_threads=threads, bagging_freq=1, **options),
            lightgbm.Dataset(features[0], splits[0][task]), 2000,
            valid_sets=[lightgbm.Dataset(features[1], splits[1][task])],
            callbacks=[lightgbm.early_stopping(50, verbose=False)])
        for k in (0, 1):
            found[k][task] = model.predict(features[k + 1])
    return cells(log, splits[1], found[0]), cells(log, splits[2], found[1])


def proposals(n):
    draw = np.random.default_rng(1)
    yield dict(learning_rate=0.05, num_leaves=31, min_data_in_leaf=100, feature_fraction=0.5, bagging_fraction=0.9)
    for _ in range(n - 1):
        yield dict(learning_rate=float(10 ** draw.uniform(-2, -1)), num_leaves=int(draw.integers(7, 64)),
                   min_data_in_leaf=int(draw.integers(20, 400)), feature_fraction=float(draw.uniform(0.3, 1)),
                   bagging_fraction=float(draw.uniform(0.5, 1)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SOURCES)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    o = parser.parse_args()
    read, folder = SOURCES[o.name]
    log = read(o.data or folder)
    splits = [log.rows[log.rows.part == part] for part in range(3)]
    features = encode(log, splits)
    best = None
    for options in proposals(o.trials):
        mean = np.mean(list(fit(log, splits, features, options, 1, o.threads)[0].values()))
        print(f"validation {mean:.4f} {options}", file=sys.stderr)
        best = max(best or (mean, options), (mean, options), key=lambda pair: pair[0])
    for seed in range(1, o.seeds + 1):
        validation, test = fit(log, splits, features, best[1], seed, o.threads)
        print(json.dumps({"data": o.name, "model": "lightgbm", "seed": seed, "options": best[1],
                          "validation": {"mean": float(np.mean(list(validation.values()))), "cells": validation},
                          "test": {"mean": float(np.mean(list(test.values()))), "cells": test}}))


if __name__ == "__main__":
    main()
