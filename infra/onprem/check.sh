#!/usr/bin/env bash
# Rules and configuration are valid, rules fire when they should, and a real Prometheus scrapes a real
# worker until an alert fires. Needs promtool and prometheus; amtool if it is there.
# check.sh [PROGRAM]: without one, only the files are checked.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=${1:-}
[ -z "$program" ] || program=$(cd "$(dirname "$program")" && pwd)/$(basename "$program")

command -v promtool >/dev/null || { echo "check.sh: promtool is missing (Debian: apt install prometheus)"; exit 1; }
cd "$here/prometheus"
promtool check config prometheus.yml
promtool test rules alerts.test.yml
if command -v amtool >/dev/null; then amtool check-config ../alertmanager/alertmanager.yml; fi
[ -n "$program" ] || exit 0

work=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
ops=$(free_port) prom=$(free_port) aws=$(free_port)

# 1. A worker with traffic. Epochs of a second, so that figures come at once.
cd "$work"
"$program" local --state "$work/state" --port "$aws" --for 10m --seed 7 \
  --set "ops.listen=127.0.0.1:$ops" --set epoch.interval_ms=1000 >local.log 2>&1 &
pids+=($!)

# 2. Prometheus with our files; only the port and the pace differ, and one threshold that any stream reaches.
mkdir prometheus
sed -e "s/127.0.0.1:9464/127.0.0.1:$ops/" -e 's/: 15s/: 1s/' "$here/prometheus/prometheus.yml" >prometheus/prometheus.yml
sed -E 's/(ivs_channel_chat_activity\[1m\]\)\)) > 100/\1 >= 0/; s/for: 7m/for: 1s/' "$here/prometheus/alerts.yml" >prometheus/alerts.yml
mkdir prometheus/targets && echo '[]' >prometheus/targets/workers.json
cmp -s prometheus/alerts.yml "$here/prometheus/alerts.yml" && { echo "check.sh: the rule of the chat alarm has changed; adapt the threshold above"; exit 1; }
prometheus --config.file=prometheus/prometheus.yml --storage.tsdb.path="$work/data" \
  --web.listen-address="127.0.0.1:$prom" >prometheus.log 2>&1 &
pids+=($!)

ask() { python3 - "$@" <<'PY'
import json, sys, urllib.request
url, test = sys.argv[1:]
try:
    data = json.load(urllib.request.urlopen(url, timeout=5))["data"]
except OSError:
    sys.exit(1)
sys.exit(0 if eval(test, {"data": data}) else 1)
PY
}
until_true() {
  local what=$1; shift
  for _ in $(seq 1 240); do
    ask "$@" && { echo "  seen: $what"; return; }
    sleep 0.5
  done
  echo "check.sh: not seen within two minutes: $what"
  tail -n 20 local.log prometheus.log
  exit 1
}
at="http://127.0.0.1:$prom/api/v1"
until_true "the worker is scraped" "$at/targets" 'any(t["health"] == "up" for t in data["activeTargets"])'
until_true "it owns shards" "$at/query?query=sum(ivs_processor_leases_held)" 'data["result"] and float(data["result"][0]["value"][1]) > 0'
until_true "it tells of channels" "$at/query?query=count(ivs_channel_current_viewers)" 'data["result"] and float(data["result"][0]["value"][1]) > 0'
until_true "an alert fires, for a channel" "$at/alerts" 'any(a["state"] == "firing" and a["labels"]["alertname"] == "LiveStreaming-ChatActivity" and a["labels"].get("channel") and a["annotations"]["runbook_url"].startswith("http") for a in data["alerts"])'
until_true "no other rule fails to evaluate" "$at/rules" 'all(r["health"] == "ok" for g in data["groups"] for r in g["rules"])'

# 3. Both formats are sound.
python3 - "$ops" <<'PY' | promtool check metrics
import sys, urllib.request
sys.stdout.buffer.write(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=5).read())
PY
echo "check.sh: all is well"
