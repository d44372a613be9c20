#!/bin/bash
# Runs clang-tidy, the one gating analyzer (.clang-tidy), over the library and the
# program: scripts/lint.sh BUILD_FOLDER, which holds compile_commands.json.
set -eu
cd "$(dirname "$0")/.."

find src -name '*.c' -print0 | sort -z |
    xargs -0 -P "$(nproc)" -n 1 clang-tidy --quiet -p "$1"
