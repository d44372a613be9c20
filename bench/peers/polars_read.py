"""The same reading in polars: log and tables from CSV, joined, every column dictionary-encoded.

One way a process, so that its peak memory is its own. Prints JSON: seconds, cpu_seconds,
peak_mb (resident), rows, columns; write_seconds to write the codes to --write FILE (IPC, not
compressed) and see them on disk, besides. Set POLARS_MAX_THREADS before it starts.
"""
import argparse
import json
import os
import resource
import time

import polars as pl


def scan_text(path):
    """All columns as text."""
    return pl.scan_csv(path, infer_schema=False)


def scan_categories(path):
    """All columns as categories, encoded while the text is read."""
    names = pl.scan_csv(path, n_rows=0).collect_schema().names()
    return pl.scan_csv(path, schema={name: pl.Categorical for name in names})


def joined(log, users, videos):
    both = log.join(users, on="user_id", how="left", maintain_order="left")
    return both.join(videos, on="video_id", how="left", maintain_order="left")


def codes(frame):
    return frame.select(pl.all().to_physical())


def categories(paths, engine):
    """Encoded while they are read, then joined by codes: one map of categories for all columns."""
    return codes(joined(*map(scan_categories, paths))).collect(engine=engine)


def text(paths, engine):
    """Joined as text, then encoded."""
    return codes(joined(*map(scan_text, paths)).with_columns(pl.all().cast(pl.Categorical))).collect(engine=engine)


def ranks(paths, engine):
    """Types inferred, joined, then each value's dense rank."""
    frame = joined(*map(pl.scan_csv, paths))
    return frame.with_columns(pl.all().rank("dense")).collect(engine=engine)


def tables_first(paths, engine):
    """The tables' columns are encoded before they are joined to millions of rows."""
    log, users, videos = map(pl.scan_csv, paths)
    users = users.with_columns(pl.all().exclude("user_id").rank("dense"))
    videos = videos.with_columns(pl.all().exclude("video_id").rank("dense"))
    both = joined(log, users, videos)
    return both.with_columns(pl.col(log.collect_schema().names()).rank("dense")).collect(engine=engine)


def categories_tables_first(paths, engine):
    """As `categories`, but the tables' columns are codes before they are joined."""
    log, users, videos = map(scan_categories, paths)
    users = users.with_columns(pl.all().exclude("user_id").to_physical())
    videos = videos.with_columns(pl.all().exclude("video_id").to_physical())
    return codes(joined(log, users, videos)).collect(engine=engine)


def bare(paths, engine):
    """The log's text alone, nothing encoded: polars' own read_csv."""
    return pl.read_csv(paths[0])


WAYS = {f.__name__: f for f in (categories, text, ranks, tables_first, categories_tables_first, bare)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--engine", choices=["in-memory", "streaming"], default="in-memory")  # the faster here
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("log")
    parser.add_argument("users")
    parser.add_argument("videos")
    options = parser.parse_args()
    begin, cpu = time.perf_counter(), time.process_time()
    frame = WAYS[options.way]([options.log, options.users, options.videos], options.engine)
    figures = {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": frame.height,
        "columns": frame.width,
    }
    if options.write:
        begin = time.perf_counter()
        with open(options.write, "wb") as file:
            frame.write_ipc(file)
            file.flush()
            os.fsync(file.fileno())
        figures["write_seconds"] = time.perf_counter() - begin
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
