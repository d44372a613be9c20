#!/bin/bash
# Installs the Debian packages that building and testing need, those only that are
# missing; with sudo when not root. Debian 12 is the reference; other systems see the list.
set -eu

packages="gcc clang cmake ninja-build make pkg-config libdnnl-dev libfyaml-dev libjansson-dev libyajl-dev
libxxhash-dev libzstd-dev zlib1g-dev libcmocka-dev python3 python3-venv valgrind clang-format
clang-tidy libclang-rt-14-dev libmicrohttpd-dev libhiredis-dev libcurl4-openssl-dev redis-server prometheus curl
zstd wrk"

if ! command -v dpkg >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This system has no apt-get; install what corresponds to:" $packages >&2
    exit 1
fi

missing=""
for package in $packages; do
    dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then as_root="sudo"; fi
echo "Installing:$missing" >&2
$as_root apt-get update -q
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing
