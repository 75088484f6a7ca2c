"""Memory and exactness under input that means harm: junk by the megabyte, a session for every record, event ids that
collide under an unkeyed hash. Good records are among all of it, and every one of them has to be in the rows.

hostile.py --program PROGRAM --work DIR [--image PROGRAM] [--sessions N]

The worker and the embedded endpoint are processes of their own; the memory is the worker's peak (VmHWM by wait4).
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from base64 import b64encode

from endpoint import AWS, STREAM, Endpoint

GOOD = 1_000
COLLIDING = 160_000
JUNK_RECORDS = 10
MINUTE = "2026-03-01T12:00:%02dZ"


def report(session, number, event_id=None):
    """A report of one viewer."""
    record = {"eventType": "metrics_update", "sessionId": session, "channelId": "c", "timestamp": MINUTE % (number % 60),
              "currentViewers": 1}
    if event_id:
        record["eventId"] = event_id
    return json.dumps(record)


def good():
    return [report("st-good", number, f"good-{number}") for number in range(GOOD)]


def junk(write, _):
    """A megabyte of lines of one letter between good ones, ten times. As a stream's record it is one; see `send_junk`."""
    for number in range(JUNK_RECORDS):
        write("x\n" * 500_000)
        for line in good()[number::JUNK_RECORDS]:
            write(line + "\n")
    return {"st-good": GOOD}


def send_junk(endpoint):
    """Puts each megabyte with the good lines behind it as one record; `generate` would make a record of each line."""
    for number in range(JUNK_RECORDS):
        data = "x\n" * 500_000 + "".join(line + "\n" for line in good()[number::JUNK_RECORDS])
        endpoint.kinesis("PutRecord", StreamName=STREAM, PartitionKey="k", Data=b64encode(data.encode()).decode())
        time.sleep(1.1)  # a shard takes a megabyte a second


def sessions(write, count):
    """A session for every record of a minute."""
    for number in range(count):
        write(report(f"st-{number}", number) + "\n")
    for line in good():
        write(line + "\n")
    return {"st-good": GOOD, "st-0": 1, f"st-{count - 1}": 1}


def colliding(write, _):
    """Ids whose first half is 2^64 / phi: all alike for a multiplicative hash."""
    for number in range(COLLIDING):
        write(report("st-colliding", number, f"243f6a88-85a3-08d3-{number >> 48:04x}-{number:012x}") + "\n")
    for line in good():
        write(line + "\n")
    return {"st-good": GOOD, "st-colliding": COLLIDING}


def run(command):
    """Runs a command to its end; returns seconds and peak memory in MiB."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=os.environ | AWS)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}: {said[-2000:]}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def counted(path, wanted):
    """Reads rows; returns the records of the sessions that are looked for, and how many rows there are."""
    found, rows = dict.fromkeys(wanted, 0), 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            rows += 1
            if row["session_id"] in found:
                found[row["session_id"]] += row["records"]
    return found, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--image", help="what is measured, if not PROGRAM: the image's binary has no endpoint")
    parser.add_argument("--work", required=True)
    parser.add_argument("--sessions", type=int, default=100_000)
    args = parser.parse_args()
    measured = args.image or args.program
    folder = os.path.join(args.work, "hostile")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    source, rows = os.path.join(folder, "input.ndjson"), os.path.join(folder, "rows.ndjson")
    print(f"{'input':<24} {'by':<8} {'seconds':>8} {'peak MiB':>9} {'rows':>9}", flush=True)
    for make in (junk, colliding, sessions):
        name = f"{args.sessions} sessions" if make is sessions else make.__name__
        with open(source, "w", encoding="utf-8") as file:
            wanted = make(file.write, args.sessions)
        endpoint = Endpoint(args.program)
        live = ["--endpoint-url", endpoint.url]
        if make is junk:
            send_junk(endpoint)
        else:
            run([args.program, "--quiet", "generate", *live, "--input", source])
        settings = ["stream.shard_budget=false", "tables.writes_per_s=0", "ops.listen=",
                    f"objects.rejects=file:{folder}/rejects"]
        worker = run([measured, "--quiet", "worker", "--until-drained", *live,
                      *(word for setting in settings for word in ("--set", setting))])
        run([args.program, "--quiet", "rows", *live, "--out", rows])
        endpoint.close()
        check(name, "worker", worker, counted(rows, wanted), wanted)
        replay = run([measured, "--quiet", "replay", source, "--rows-out", rows, "--allow-rejects"])
        check(name, "replay", replay, counted(rows, wanted), wanted)
    shutil.rmtree(folder)


def check(name, by, figures, result, wanted):
    found, rows = result
    print(f"{name:<24} {by:<8} {figures[0]:>8.1f} {figures[1]:>9.0f} {rows:>9}", flush=True)
    if found != wanted:
        sys.exit(f"{name} by {by}: {found} instead of {wanted}")


if __name__ == "__main__":
    main()
