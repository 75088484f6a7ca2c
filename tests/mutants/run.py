#!/usr/bin/env python3
"""Applies each deliberate fault of mutants.toml to a copy of the sources and runs its suite, which must fail.

    run.py                  all of them
    run.py --suite fleet    those of some suites
    run.py --sample COMMIT  two of them, chosen by a commit's hash
    run.py --name TEXT      those whose name contains the text
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "target" / "mutants"
# A target folder of its own: cargo tells crates apart by their place in the workspace, so in a shared one
# it would take what was built from a fault for fresh.
TARGET = COPY / "target"
SIM = ["test", "--workspace", "--test", "sim", "--"]

# What each suite runs, and how many seeds of the simulator.
SUITES = {
    "model": (["test", "-p", "kinesis-model", "--lib"], 0),
    "core": (["test", "-p", "ivs-core", "--lib"], 0),
    "fleet": (["test", "-p", "kinesis-fleet", "--lib"], 0),
    "processor": (["test", "-p", "ivs-processor", "--lib", "--", "items::", "sink::", "worker::"], 0),
    "commands": (["test", "-p", "ivs-processor", "--lib", "--", "commands::"], 0),
    "page": (["test", "-p", "ivs-processor", "--lib", "--", "page::"], 0),
    "emulator": (["test", "-p", "ivs-emulator", "--lib"], 0),
    "contract": (["test", "--workspace", "--test", "contract"], 0),
    "granted": (["test", "--workspace", "--test", "e2e", "--", "granted::"], 0),
    "sim-quick": (SIM + ["every_seed_keeps"], 3_000),
    "sim": (SIM + ["every_seed_keeps", "every_seed_of_a_fleet"], 40_000),
    "shell": (SIM + ["every_seed_of_the_shell"], 10_000),
    "worker": (SIM + ["beyond_a_workers_memory", "task_panics"], 0),
}
# A fault may make a suite wait for ever: that is caught, too.
PATIENCE_S = 1_800


def copy_sources():
    """Makes the copy as the working tree is; files that did not change keep their times."""
    COPY.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    names = [name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]
    for name in names:
        to, data = COPY / name, (ROOT / name).read_bytes()
        if not to.is_file() or to.read_bytes() != data:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(data)


def run(suite):
    """Runs a suite on the copy; returns how it went and what it said."""
    arguments, seeds = SUITES[suite]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), "SIM_SEEDS": str(seeds)}
    command = [os.environ.get("CARGO", "cargo"), *arguments]
    try:
        done = subprocess.run(
            command, cwd=COPY, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return "caught", "it did not come to an end"
    output = done.stdout + done.stderr
    if done.returncode == 0:
        return "survived", output
    if "test result: FAILED" in output:
        failed = [line.strip() for line in output.splitlines() if line.strip().startswith("test ")]
        failed = [line for line in failed if "FAILED" in line]
        return "caught", failed[0] if failed else "a test failed"
    if "(signal: " in output and "\ntest " in output:
        return "caught", "the tests ended by a signal"
    return "broken", output


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--suite", action="append", choices=SUITES)
    parser.add_argument("--sample", metavar="COMMIT")
    parser.add_argument("--name", default="")
    wanted = parser.parse_args()
    mutants = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())["mutant"]
    mutants = [m for m in mutants if wanted.name in m["name"]]
    mutants = [m for m in mutants if not wanted.suite or m["suite"] in wanted.suite]
    if wanted.sample:
        # The quick suites: a sample must not cost a build of everything.
        mutants = [m for m in mutants if m["suite"] in ("model", "core")]
        key = lambda m: hashlib.sha256((wanted.sample + m["name"]).encode()).digest()
        mutants = sorted(mutants, key=key)[:2]
    if not mutants:
        sys.exit("mutants: none is chosen")
    copy_sources()
    missed = []
    for mutant in mutants:
        path = COPY / mutant["file"]
        source = path.read_text()
        if source.count(mutant["find"]) != 1:
            sys.exit(f"mutants: `{mutant['name']}` does not fit {mutant['file']} any more")
        began = time.monotonic()
        path.write_text(source.replace(mutant["find"], mutant["replace"]))
        try:
            outcome, says = run(mutant["suite"])
        finally:
            path.write_text(source)
        seconds = time.monotonic() - began
        last = says.splitlines()[-1] if says else ""
        print(f"{outcome:8} {seconds:5.0f} s  {mutant['suite']:9} {mutant['name']}: {last}", flush=True)
        if outcome != "caught":
            missed.append(mutant["name"])
            print("\n".join(says.splitlines()[-15:]), flush=True)
    print(f"{len(mutants) - len(missed)} of {len(mutants)} caught")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
