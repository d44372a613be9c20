#!/bin/bash
# Runs every fuzz target for some seconds from its corpus: scripts/fuzz.sh SECONDS.
# New inputs stay in build/fuzz/corpus; a crash leaves its input there and ends the run.
set -eu
cd "$(dirname "$0")/.."

seconds=$1
for target in build/fuzz/fuzz_*; do
    [ -x "$target" ] || continue
    name=$(basename "$target")
    mkdir -p "build/fuzz/corpus/$name"
    corpus="fuzz/corpus/${name#fuzz_}"
    [ -d "$corpus" ] || corpus=""
    echo "$name" >&2
    "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/" "build/fuzz/corpus/$name" $corpus
done
