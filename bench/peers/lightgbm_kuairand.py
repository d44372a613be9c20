"""LightGBM on KuaiRand-Pure, late part, beside `hinet experiment examples/experiments/kuairand.yaml`:
the same rows and split, and the same features as numbers (smoothed rates and counts of seven keys
without a row's own day, lengths of the users' histories, attributes), one model for each task.

Usage: lightgbm_kuairand.py [--data FOLDER] [--seeds N] [--trials N] [--threads N]. Options are drawn at
random and chosen by the mean validation AUC of the cells on seed 1. One JSON line a seed on
standard output: the validation and test AUC of every (tab, task).
"""

import argparse
import json
import pathlib
import sys

import lightgbm
import numpy as np
import pandas
from sklearn.metrics import roc_auc_score

TABS, TASKS = (1, 0, 4, 6, 2), ("is_click", "long_view")
KEYS = {"user": ["user_id"], "video": ["video_id"], "author": ["author_id"], "music": ["music_id"], "tag": ["tag"],
        "user_tab": ["user_id", "tab"], "video_tab": ["video_id", "tab"]}
SMOOTHING = 20


def read(folder):
    log = pandas.read_csv(folder / "log_standard_4_25_to_5_08_pure.csv").drop_duplicates()
    log = log[log.tab.isin(TABS)]
    videos = pandas.read_csv(folder / "video_features_basic_pure.csv")
    videos["tag"] = videos.tag.astype(str).str.split(",").str[0]
    users = pandas.read_csv(folder / "user_features_pure.csv")
    history = pandas.read_csv(folder / "user_history_before_4_25.csv")
    for column in ("watch_seq", "like_seq", "long_watch_seq"):
        history[column] = history[column].fillna("").astype(str).str.split().str.len()
    videos = videos.drop(columns=[c for c in videos if c != "video_id" and c in log])
    return log.merge(videos, on="video_id", how="left").merge(users, on="user_id", how="left").merge(
        history, on="user_id", how="left", suffixes=("", "_history"))


def rates(rows, train, own):
    """Smoothed rate of each task and count of each key; `own`: without the row's own day."""
    out = {}
    for name, key in KEYS.items():
        def totals(by):
            groups = train.groupby(by)
            found = groups[list(TASKS)].sum()
            found["n"] = groups.size()
            return rows[by].merge(found, left_on=by, right_index=True, how="left")[[*TASKS, "n"]].fillna(0).to_numpy()
        sums = totals(key) - (totals([*key, "date"]) if own else 0)
        for t, task in enumerate(TASKS):
            out[f"{name}_{task}"] = (sums[:, t] + SMOOTHING * train[task].mean()) / (sums[:, 2] + SMOOTHING)
        out[f"{name}_n"] = sums[:, 2]
    return pandas.DataFrame(out, index=rows.index)


def inputs(rows, train, own):
    attributes = ["tab", "hourmin", "video_duration", "history_len", "last_time_ms", "watch_seq", "like_seq", "long_watch_seq",
                  "user_active_degree", "is_live_streamer", "is_video_author", "follow_user_num_range",
                  "fans_user_num_range", "friend_user_num_range", "register_days_range", "video_type", "upload_type", "music_type"]
    return pandas.concat([rows[[c for c in attributes if c in rows]], rates(rows, train, own)], axis=1)


def codes(parts):
    """Texts become categories, known from the training rows alone."""
    train = parts[0]
    for column in [c for c in train if not pandas.api.types.is_numeric_dtype(train[c])]:
        kinds = pandas.CategoricalDtype(sorted(train[column].dropna().astype(str).unique()))
        for part in parts:
            part[column] = part[column].astype(str).astype(kinds)
    return parts


def cells(rows, scores):
    return {f"tab{tab}/{task}": roc_auc_score(rows[task][rows.tab == tab], scores[task][(rows.tab == tab).to_numpy()])
            for tab in TABS for task in TASKS}


def fit(splits, features, options, seed, threads):
    found = [{}, {}]
    for task in TASKS:
        model = lightgbm.train(
            dict(objective="binary", verbose=-1, seed=seed, num_threads=threads, bagging_freq=1, **options),
            lightgbm.Dataset(features[0], splits[0][task]), 2000,
            valid_sets=[lightgbm.Dataset(features[1], splits[1][task])],
            callbacks=[lightgbm.early_stopping(50, verbose=False)])
        for k in (0, 1):
            found[k][task] = model.predict(features[k + 1])
    return cells(splits[1], found[0]), cells(splits[2], found[1])


def proposals(n):
    draw = np.random.default_rng(1)
    yield dict(learning_rate=0.05, num_leaves=31, min_data_in_leaf=100, feature_fraction=0.5, bagging_fraction=0.9)
    for _ in range(n - 1):
        yield dict(learning_rate=float(10 ** draw.uniform(-2, -1)), num_leaves=int(draw.integers(7, 64)),
                   min_data_in_leaf=int(draw.integers(20, 400)), feature_fraction=float(draw.uniform(0.3, 1)),
                   bagging_fraction=float(draw.uniform(0.5, 1)))


def main():
    here = pathlib.Path(__file__).resolve()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, default=here.parents[3] / "shared" / "data" / "kuairand-pure-late")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    o = parser.parse_args()
    log = read(o.data)
    splits = [log[log.date <= 20220504], log[(log.date > 20220504) & (log.date < 20220507)], log[log.date >= 20220507]]
    features = codes([inputs(rows, splits[0], rows is splits[0]) for rows in splits])
    best = None
    for options in proposals(o.trials):
        mean = np.mean(list(fit(splits, features, options, 1, o.threads)[0].values()))
        print(f"validation {mean:.4f} {options}", file=sys.stderr)
        best = max(best or (mean, options), (mean, options), key=lambda pair: pair[0])
    for seed in range(1, o.seeds + 1):
        validation, test = fit(splits, features, best[1], seed, o.threads)
        print(json.dumps({"model": "lightgbm", "seed": seed, "options": best[1],
                          "validation": {"mean": float(np.mean(list(validation.values()))), "cells": validation},
                          "test": {"mean": float(np.mean(list(test.values()))), "cells": test}}))


if __name__ == "__main__":
    main()
