#!/bin/bash
# The whole way of a model to its users, on a simulated platform whose truth is known: a log, two
# models trained on it, an A/A phase, an A/B test, the gain that it finds beside the true one,
# training on what was shown, and the winner rolled out under traffic.
#   scripts/demo-online.sh [FOLDER]        (make demo-online; ten minutes on two cores)
# Smaller by ROWS, AA, AB, ROLLOUT (requests), TRAIN and RETRAIN (options of hinet train); HINET is
# the program. The report is FOLDER/report.txt, its figures FOLDER/report.json.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-demo-online}
HINET=${HINET:-$here/../build/release/hinet}
ROWS=${ROWS:-1M} AA=${AA:-20000} AB=${AB:-40000} ROLLOUT=${ROLLOUT:-2000}
read -ra TRAIN <<<"${TRAIN:-}"
read -ra RETRAIN <<<"${RETRAIN:---set train.epochs=1}"

# Progress is for people; a log gets the headings only.
quiet=()
[ -t 2 ] || quiet=(--quiet)

say() { printf '\n== %s (%ds)\n' "$*" $SECONDS; }
helper() { python3 "$here/demo_online.py" "$@"; }

# ---- A server: started with a config, stopped by SIGTERM ------------------------------------

servers=()
stop_servers() {
    local pid failed=0
    for pid in "${servers[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${servers[@]}"; do wait "$pid" || failed=1; done
    servers=()
    return $failed
}
trap 'stop_servers || true' EXIT

# start NAME: serves $out/NAME.yaml; its URL is in $url.
start() {
    local ready=$out/$1.ready n
    rm -f "$ready"
    "$HINET" serve "$out/$1.yaml" --ready-file "$ready" 2>"$out/$1.log" &
    local pid=$!
    servers+=("$pid")
    for ((n = 0; n < 600; n++)); do
        [ -f "$ready" ] && break
        if ! kill -0 "$pid" 2>/dev/null; then
            echo "the server of $out/$1.yaml ended:" >&2
            tail -n 3 "$out/$1.log" >&2
            return 1
        fi
        sleep 0.1
    done
    url=http://127.0.0.1:$(sed 's/.*"port": *\([0-9]*\).*/\1/' "$ready")
}

# config NAME TREATMENT: both arms of one experiment; without TREATMENT, all users get `current`.
# A demonstration on a busy machine is no test of latency: deadlines are generous.
config() {
    cat <<YAML
listen: 127.0.0.1:0
models: {current: models/current, candidate: models/candidate}
model: ${3:-current}
fusion: order # what the team wants more of
deadline_ms: 10000
poll_seconds: 0.5
exposures: exposures-$1
YAML
    [ -z "${2:-}" ] || cat <<YAML
experiments:
  ranking:
    arms:
      control: {share: 0.5, model: current}
      treatment: {share: 0.5, model: $2}
YAML
}

# live NAME FIRST REQUESTS: users come to $url; what they do goes to $out/live-NAME.
live() {
    "$HINET" simulate --serve "$url" --data "$out/data" --first "$2" --requests "$3" \
        --out "$out/live-$1" --json --quiet >"$out/live-$1.json"
}

# join_logs NAME: exposures, clicks and orders of a phase. Simulated users are quick: all that they will
# ever do is in the logs, so every window has passed. (A real log that ends so long before --now
# would have lost its end: join warns, into join-NAME.log.)
join_logs() {
    "$HINET" join "$out/exposures-$1/*" --event click="$out/live-$1*/clicks.csv":10m \
        --event order="$out/live-$1*/orders.csv":1h --now $((($(date +%s) + 4000) * 1000)) \
        --out "$out/joined-$1.csv" --quiet --json >"$out/join-$1.json" 2>"$out/join-$1.log"
}

# put BUNDLE MODEL VERSION: written under another name, then renamed, so that it is there whole.
put() {
    mkdir -p "$out/models/$2"
    cp "$1" "$out/models/$2/.new"
    mv "$out/models/$2/.new" "$out/models/$2/$3.hn"
}

# Users keep coming, $ROLLOUT requests a round, until $out/enough is there when a round ends.
traffic() {
    local round=0
    until [ -f "$out/enough" ]; do
        live "rollout-$round" $((AA + AB + round * ROLLOUT)) "$ROLLOUT"
        round=$((round + 1))
    done
}

# loaded NAME VERSION: waits until the server of NAME says that it serves VERSION.
loaded() {
    local n
    for ((n = 0; n < 600; n++)); do
        grep -q "\"action\":\"loaded\".*\"version\":\"$2\"" "$out/$1.log" && return 0
        sleep 0.1
    done
    echo "version $2 was not taken; see $out/$1.log" >&2
    return 1
}

# ---- The story ----------------------------------------------------------------------------------

rm -rf "$out"/{data,models,base,hinet,next,enough} "$out"/{exposures,live,joined,join}-* "$out"/*.json
mkdir -p "$out"

say "A platform of six scenarios, and its log of $ROWS impressions"
"$HINET" simulate --rows "$ROWS" --seed 1 --out "$out/data" --quiet >"$out/simulate.txt"

say "The baseline: a model for each scenario"
"$HINET" train "$out/data/config.yaml" --set model.name=single "${TRAIN[@]}" --out "$out/base" \
    --json "${quiet[@]}" >"$out/train-base.json"
say "HiNet: one model for all scenarios, on the same log"
"$HINET" train "$out/data/config.yaml" "${TRAIN[@]}" --out "$out/hinet" --json "${quiet[@]}" \
    >"$out/train-hinet.json"
put "$out/base/best.hn" current 1
put "$out/hinet/best.hn" candidate 1

say "A/A: $AA requests, both arms served by the baseline"
config aa current >"$out/aa.yaml"
start aa
live aa 0 "$AA"
stop_servers
join_logs aa
"$HINET" abtest "$out/joined-aa.csv" --control control --json >"$out/abtest-aa.json"

say "A/B: $AB requests, the treatment served by HiNet"
config ab candidate >"$out/ab.yaml"
start ab
live ab "$AA" "$AB"
stop_servers
join_logs ab
"$HINET" abtest "$out/joined-ab.csv" --control control --pre "$out/joined-aa.csv" \
    >"$out/abtest-ab.txt"
"$HINET" abtest "$out/joined-ab.csv" --control control --pre "$out/joined-aa.csv" --json \
    >"$out/abtest-ab.json"

say "The truth: the same requests to both models, each list's expected orders"
config truth-a "" current >"$out/truth-a.yaml"
config truth-b "" candidate >"$out/truth-b.yaml"
start truth-a
first=$url
start truth-b
"$HINET" simulate --serve "$first" --against "$url" --data "$out/data" --first "$AA" \
    --requests "$AB" --out "$out/live-truth" --json --quiet >"$out/truth.json"
stop_servers

say "Training on, on the old log and what was shown"
helper log "$out/joined-aa.csv" "$out/joined-ab.csv" "$out/data/online.csv"
winner=$(helper winner "$out/abtest-ab.json")
"$HINET" train "$out/data/config.yaml" --init "$out/$winner/best.hn" "${TRAIN[@]}" \
    --set "model.name=$([ "$winner" = base ] && echo single || echo hinet)" \
    --set 'log.files=[log.csv, online.csv]' "${RETRAIN[@]}" \
    --set 'split={by: column, validation: "date == 20240116", test: "date == 20240117"}' \
    --out "$out/next" --json "${quiet[@]}" >"$out/train-next.json"
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "date") d = i } NR == 1 || $d == 20240117' \
    "$out/data/online.csv" >"$out/data/online-test.csv"
"$HINET" eval "$out/$winner/best.hn" "$out/data/online-test.csv" --json --quiet >"$out/eval-before.json"
"$HINET" eval "$out/next/best.hn" "$out/data/online-test.csv" --json --quiet >"$out/eval-after.json"

say "Rolling it out: a new version of the served model, while users come"
config rollout >"$out/rollout.yaml"
start rollout
traffic &
coming=$!
sleep 1
put "$out/next/best.hn" current 2
loaded rollout 2
sleep 1
touch "$out/enough"
wait "$coming"
stop_servers
join_logs rollout

say "What came out"
helper report "$out" | tee "$out/report.txt"
