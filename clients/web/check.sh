#!/usr/bin/env bash
# The reporter against a telemetry API: clients/web/check.sh target/debug/ivs-processor
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "$0")"
node --test

state=$(mktemp -d)
"$program" -q local --calm --channels 1 --viewers 1 --state "$state/state" --port 0 --page-port 0 >"$state/out" 2>&1 &
local=$!
trap 'kill "$local" 2>/dev/null; wait "$local" 2>/dev/null; rm -rf "$state"' EXIT

for _ in $(seq 600); do
  url=$(sed -n 's/^telemetry *POST \([^ ]*\).*/\1/p' "$state/out")
  [[ -n $url ]] && break
  kill -0 "$local" || { cat "$state/out"; exit 1; }
  sleep 0.1
done
[[ -n $url ]] || { echo "local does not name its telemetry API"; cat "$state/out"; exit 1; }
node live.mjs "$url" local st-web 250

count='const lines = require("fs").readFileSync(0, "utf8").trim().split("\n").filter(Boolean);
  console.log(lines.reduce((sum, line) => sum + JSON.parse(line).player_records, 0))'
for _ in $(seq 600); do
  counted=$(AWS_ENDPOINT_URL=${url%/telemetry} "$program" -q rows --session st-web --format ndjson | node -e "$count")
  ((counted >= 250)) && break
  sleep 0.1
done
((counted == 250)) || { echo "the rows hold $counted of 250 reports"; exit 1; }
echo "the rows hold all 250 reports"
