#!/bin/bash
# Builds a preset and runs its tests: scripts/run-tests.sh PRESET [ctest options]. The
# results go to build/results/PRESET.xml, which scripts/count-tests.py sums up.
set -eu
cd "$(dirname "$0")/.."

preset=$1
shift
results=build/results/$preset.xml
mkdir -p build/results
# Until the tests have run, the result is that the build failed.
echo "<testsuite><testcase name=\"build\"><failure/></testcase></testsuite>" >"$results"
cmake --preset "$preset" >/dev/null
cmake --build "build/$preset"
rm "$results"
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$(nproc)" --timeout 600 \
    --test-output-size-passed 10000000 --test-output-size-failed 10000000 \
    --output-junit "$PWD/$results" "$@"
