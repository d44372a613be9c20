#!/bin/bash
# Checks that libhinet.so exports what hinet.h declares, no more and no less:
# scripts/check-exports.sh LIBRARY HEADER
set -eu
export LC_ALL=C

library=$1 header=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Declarations start with HN_API; a name is what stands before the first parenthesis.
# Comments go first, then each declaration is put on one line.
sed -e 's|/\*.*\*/||' -e '/\/\*/,/\*\//d' "$header" | tr '\n' ' ' | tr ';' '\n' |
    sed -n 's/.*HN_API[^(]*[ *]\(hn_[a-z0-9_]*\)(.*/\1/p' | sort -u >"$scratch/declared"
nm -D --defined-only "$library" | awk '{print $3}' | sed 's/@.*//' |
    grep -v -x -e _init -e _fini | sort -u >"$scratch/exported" || true

status=0
for name in $(comm -13 "$scratch/declared" "$scratch/exported"); do
    echo "$library: exports $name, which $header does not declare; make it static or hidden" >&2
    status=1
done
for name in $(comm -23 "$scratch/declared" "$scratch/exported"); do
    echo "$library: lacks $name, which $header declares; write it or take it out" >&2
    status=1
done
[ -s "$scratch/declared" ] || { echo "$header: no declaration found" >&2; status=1; }
exit $status
