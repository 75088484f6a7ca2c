#!/usr/bin/env python3
"""A fleet of four under fire for minutes: one call in ten fails, workers are killed, the stream is split and merged,
CloudWatch and the archive are away in turn. In the end every row must be right, and nothing may have grown.

run.py --program PROGRAM --work DIR [--minutes N] [--seed N]

PROGRAM is `ivs-processor-under-test`: faults in calls are not in the program that is shipped.
"""
import argparse
import os
import random
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches"))

import fleet as fleets
import judge as judges
import traffic
import trouble as troubles
from endpoint import Endpoint

WORKERS = 4
SHARDS = 4
# Far beyond what it takes to catch up.
REST_S = 180


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--viewers", type=int, default=3_000, help="decides how many records there are")
    parser.add_argument("--keep", action="store_true", help="keep logs and files of a run without findings, too")
    args = parser.parse_args()
    program, seconds = os.path.abspath(args.program), int(args.minutes * 60)
    folder = os.path.join(os.path.abspath(args.work), "soak")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "archive"))
    made, sent = os.path.join(folder, "made.ndjson"), os.path.join(folder, "sent.ndjson")
    code, _, error = judges.run(program, "generate", "--for", f"{seconds}s", "--seed", str(args.seed), "--viewers",
                                str(args.viewers), "--channels", "60", "--out", made)
    if code != 0:
        sys.exit(f"nothing could be generated: {error}")
    records = traffic.prepare(made, sent)
    endpoint = Endpoint(program, SHARDS)
    fleet = fleets.Fleet(program, endpoint.url, folder, args.seed)
    try:
        judge = soak(args, seconds, endpoint, fleet, records, sent)
    finally:
        fleet.close()
        endpoint.close()
    for name, says in judge.table:
        print(f"{name:<24}{says}")
    findings = fleet.findings + judge.findings
    for finding in findings:
        print(f"finding: {finding}")
    if findings:
        sys.exit(f"{len(findings)} findings with seed {args.seed}; all is kept in {folder}")
    if not args.keep:
        shutil.rmtree(folder)


def soak(args, seconds, endpoint, fleet, records, sent):
    """Makes trouble for so long, lets the fleet come to rest, and judges it."""
    first = [fleet.start() for _ in range(WORKERS)][0]
    sender = traffic.Sender(endpoint, records, seconds)
    trouble = troubles.Trouble(endpoint, fleet, random.Random(args.seed))
    print(f"{len(records)} records to {WORKERS} workers over {seconds} s, seed {args.seed}", flush=True)
    sender.start()
    make_trouble(trouble, fleet, seconds)
    sender.join(REST_S)
    judge = judges.Judge(fleet.program, endpoint, fleet)
    judge.check(sender.sent == len(records), f"{sender.sent} of {len(records)} records were sent: {sender.error}")
    judge.note("kills", f"{trouble.counts['kill']}, {fleet.refused} starts that failed and were made again")
    judge.note("shards", f"{trouble.counts['split']} splits, {trouble.counts['merge']} merges")
    judge.note("outages", f"{trouble.counts['cloudwatch away']} of CloudWatch, {trouble.counts['archive away']} of the archive")
    judge.tasks(trouble.open_shards, REST_S)
    judge.memory(first, seconds)
    judge.handles()
    fleet.stop(REST_S)
    drain(fleet, judge)
    judge.leases()
    judge.archive()
    judge.account(judge.rows(sent))
    judge.outbox()
    judge.trace()
    return judge


def make_trouble(trouble, fleet, seconds):
    """Goes through the schedule, and looks at all workers every second."""
    began, steps = time.monotonic(), troubles.schedule(seconds)
    while (at_s := time.monotonic() - began) < seconds:
        while steps and steps[0][0] <= at_s:
            trouble.do(steps.pop(0)[1])
        fleet.watch(at_s)
        time.sleep(1)


def drain(fleet, judge):
    """Has one more worker, whose calls do not fail, read what is left and send what waits."""
    last = fleet.start("--until-drained", faults=False)
    until = time.monotonic() + REST_S
    while last.process.poll() is None and time.monotonic() < until:
        time.sleep(1)
    judge.check(last.process.poll() == 0, f"what was left could not be read: exit code {last.process.poll()}; see {last.log}")
    if last.process.poll() is not None:
        fleet.alive.remove(last)
    if judges.waiting_files(fleet.folder):
        fleet.start(faults=False)
        while judges.waiting_files(fleet.folder) and time.monotonic() < until:
            time.sleep(1)
        fleet.stop(REST_S)


if __name__ == "__main__":
    main()
