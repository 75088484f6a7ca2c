"""Our replay, DuckDB and Polars over the same files on the same query, in turn: see README.md.

run.py --replay PROGRAM --work DIR [--records N] [--rounds N] [--threads N]
"""
import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import threading
import time

from figures import note
from query import ESTIMATES, EXACT, FLOATS

HERE = os.path.dirname(os.path.abspath(__file__))
GLOBS = {"plain": "plain/*.ndjson", "zstd": "zstd/*.zst", "gzip": "gzip/*.gz"}


def once(command):
    """Wall and CPU seconds and peak memory (MiB) of a whole process; None if it failed."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = []
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()))
    reader.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    reader.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        print(f"  failed: {' '.join(command)}: {said[0].decode(errors='replace').strip()[-300:]}", file=sys.stderr)
        return None
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def rows(path):
    with open(path, newline="") as lines:
        return {(row["session_id"], row["window_start"]): row for row in csv.DictReader(lines)}


def number(text):
    return float(text) if text else 0.0


def agree(name, path, want):
    """Compares a file with the exact rows; says what differs."""
    have = rows(path)
    wrong = [f"{len(want.keys() - have.keys())} rows missing, {len(have.keys() - want.keys())} extra"] \
        if have.keys() != want.keys() else []
    both = want.keys() & have.keys()
    for column in EXACT + FLOATS:
        slack = 1e-9 if column in FLOATS else 0.0
        bad = sum(abs(number(have[k][column]) - number(want[k][column])) > slack * abs(number(want[k][column]))
                  for k in both)
        if bad:
            wrong.append(f"{column}: {bad} rows differ")
    large = [k for k in both if int(want[k]["player_records"]) >= 200]
    errors = {column: [abs(number(have[k][column]) / number(want[k][column]) - 1) for k in large] for column in ESTIMATES}
    middle = ", ".join(f"{column} {statistics.median(found):.2%}" for column, found in errors.items() if found)
    print(f"  {name:14} {'exact' if not wrong else '; '.join(wrong)}   (median error of estimates: {middle})")
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replay", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    data = os.path.join(args.work, f"archive-{args.records}")
    if not os.path.exists(os.path.join(data, "manifest.json")):
        print(f"making an archive of {args.records} records in {data}")
        subprocess.run([sys.executable, os.path.join(HERE, "archive.py"), "--out", data, "--records", str(args.records)],
                       check=True)
    manifest = json.load(open(os.path.join(data, "manifest.json")))
    python = [sys.executable]

    def peer(name, form, dedupe):
        folder = "clean/*.ndjson" if name == "polars" and form == "plain" else GLOBS[form]
        command = python + [os.path.join(HERE, f"{name}_rows.py"), "--files", os.path.join(data, folder),
                            "--threads", str(args.threads), "--out", out(name, form, dedupe)]
        return command + ["--dedupe"] * dedupe

    def out(name, form, dedupe):
        return os.path.join(args.work, f"{name}-{form}{'-dedupe' * dedupe}.csv")

    def ours(form, dedupe):
        horizon = [] if dedupe else ["--set", "epoch.dedupe_horizon_ms=0"]
        return [args.replay, "replay", os.path.join(data, form), "--threads", str(args.threads),
                "--rows-out", out("replay", form, dedupe)] + horizon

    cases = [(form, False) for form in GLOBS] + [("plain", True)]
    measured = {}
    for turn in range(args.rounds):
        for form, dedupe in cases:
            for name in ("replay", "duckdb", "polars"):
                if name == "polars" and form != "plain":
                    continue  # it stops at the first spoilt line, and only the plain files come without
                result = once(ours(form, dedupe) if name == "replay" else peer(name, form, dedupe))
                if result:
                    measured.setdefault((form, dedupe, name), []).append(result)
    print(f"{manifest['records']} records, {manifest['bytes'] / 1e6:.0f} MB of text, {args.threads} threads, "
          f"median of {args.rounds} rounds in turn")
    print(f"{'':22}{'M rec/s':>9}{'MB/s':>8}{'CPU s/M':>9}{'MiB':>7}{'CPU, peer/replay':>18}")
    for (form, dedupe, name), runs in sorted(measured.items()):
        wall, cpu, peak = (statistics.median(run[i] for run in runs) for i in range(3))
        base = measured.get((form, dedupe, "replay"))
        ratio = f"{cpu / statistics.median(run[1] for run in base):.2f}" if base else "-"
        case = f"{form}{' dedupe' * dedupe} {name}"
        print(f"{case:22}{manifest['records'] / wall / 1e6:9.2f}{manifest['bytes'] / wall / 1e6:8.0f}"
              f"{cpu / manifest['records'] * 1e6:9.3f}{peak:7.0f}{ratio:>18}")
        note("replay", f"{form}{' dedupe' * dedupe}", name, {
            "M rec/s": manifest["records"] / wall / 1e6, "CPU s/M": cpu / manifest["records"] * 1e6, "peak MiB": peak})
    print("against the exact rows:")
    is_right = True
    for dedupe in (False, True):
        exact = os.path.join(args.work, f"exact{'-dedupe' * dedupe}.csv")
        command = python + [os.path.join(HERE, "exact_rows.py"), "--files", os.path.join(data, GLOBS["plain"]), "--out", exact]
        subprocess.run(command + ["--dedupe"] * dedupe, check=True)
        want = rows(exact)
        for form, case_dedupe, name in sorted(measured):
            if case_dedupe == dedupe:
                right = agree(f"{name} {form}", out(name, form, dedupe), want)
                is_right = is_right and (right or name != "replay")
    sys.exit(0 if is_right else "our own rows are wrong")


if __name__ == "__main__":
    main()
