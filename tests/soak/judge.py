"""What has to hold at the end. Each judgment adds lines to the table, and findings where something is wrong."""
import glob
import itertools
import json
import os
import subprocess
import time

from endpoint import AWS

# The most that the spared worker may hold in the last quarter of the run, by what it held in the second, when it was
# warm: the first fills caches and the memory of event ids.
MEMORY_FACTOR = 1.25
# The most of a worker at any time: the connections of 64 writers and ten shards, and their files.
MAX_DESCRIPTORS = 256
MAX_THREADS = 64
# The lines that an epoch leaves in the logs; the last of one that was killed may be half.
STEPS_OF_EPOCH = 4
# At rest nothing waits longer than this for its row.
LAG_MS = 15_000
OUTCOMES = ("read", "accepted", "duplicate", "rejected")


def run(program, *args):
    """Runs a command of the program; returns its exit code and what it printed."""
    ended = subprocess.run([program, "--quiet", *args], capture_output=True, text=True, env=os.environ | AWS, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def last_json(text):
    """Returns the last of some JSON lines, or nothing."""
    lines = text.strip().splitlines()
    return json.loads(lines[-1]) if lines else {}


class Judge:
    """Findings and the table."""

    def __init__(self, program, endpoint, fleet):
        self.program, self.endpoint, self.fleet = program, endpoint, fleet
        self.live = ["--endpoint-url", endpoint.url]
        self.findings, self.table, self.epochs = [], [], 0

    def note(self, name, says):
        self.table.append((name, says))

    def check(self, holds, finding):
        if not holds:
            self.findings.append(finding)

    def tasks(self, open_shards, within_s):
        """Waits until the workers run one task for each open shard, hold as many leases, and have caught up."""
        began = time.monotonic()
        while True:
            wrong, tasks = self.unrest(open_shards())
            took_s = time.monotonic() - began
            if not wrong or took_s > within_s:
                break
            time.sleep(1)
        self.note("at rest", f"{tasks} shard tasks for {len(open_shards())} open shards, after {took_s:.0f} s")
        self.findings += [f"after {within_s} s without trouble: {problem}" for problem in wrong]

    def unrest(self, open_shards):
        """Returns what is not as it is at rest, and how many tasks there are."""
        wrong, running = [], []
        for worker in self.fleet.alive:
            status = worker.status()
            if status is None:
                wrong.append(f"{worker.name} does not answer")
                continue
            tasks = [shard for shard in status["shards"] if shard["task"]]
            running += [shard["shard"] for shard in tasks]
            held = status["fleet"]["held"]
            if held != len(tasks):
                wrong.append(f"{worker.name} holds {held} leases and runs {len(tasks)} tasks")
            late = [f"{shard['shard']} of {worker.name} lags by {shard['task']['lagMs']} ms" for shard in tasks
                    if shard["task"]["lagMs"] > LAG_MS]
            wrong += late
        wanted = sorted(shard for _, shard in open_shards)
        if sorted(running) != wanted:
            wrong.append(f"tasks run for {sorted(running)}, open are {wanted}")
        return wrong, len(running)

    def memory(self, worker, seconds):
        """Compares the last quarter of the run with the second one."""
        warm, last = ([sample for sample in worker.samples if begin <= sample[0] / seconds < begin + 0.25]
                      for begin in (0.25, 0.75))
        if not warm or not last:
            self.findings.append(f"{worker.name} was not there all the time: no word on memory")
            return
        before, after = (max(sample[1] for sample in part) for part in (warm, last))
        self.note(f"memory of {worker.name}",
                  f"{before / 1024:.0f} MiB at most in the second quarter, {after / 1024:.0f} in the last")
        self.check(after <= before * MEMORY_FACTOR,
                   f"the memory of {worker.name} grew from {before} to {after} KiB, more than {MEMORY_FACTOR} times")

    def handles(self):
        """Looks for descriptors and threads that no worker gives back; they come and go with calls."""
        samples = [sample for worker in self.fleet.all for sample in worker.samples]
        for field, name, most in ((2, "descriptors", MAX_DESCRIPTORS), (3, "threads", MAX_THREADS)):
            found = max(sample[field] for sample in samples)
            self.note(name, f"{found} of a worker at most")
            self.check(found <= most, f"a worker had {found} {name}, more than {most}")

    def leases(self):
        code, out, error = run(self.program, "leases", "verify", *self.live)
        self.check(code == 0, f"`leases verify` ends with {code}: {(out + error).strip()}")

    def archive(self):
        """Audits both tables against the archive."""
        code, out, error = run(self.program, "audit", "--json", *self.live, os.path.join(self.fleet.folder, "archive"))
        self.check(code == 0, f"`audit` ends with {code}: {out.strip()} {error.strip()}")
        summary = last_json(out).get("summary", {}) if code in (0, 1, 2) and out else {}
        self.note("audit", f"{summary.get('right', 0)} rows right of {summary.get('rowsInTables', 0)} in both tables")
        self.check(summary.get("aheadOfArchive") == 0, f"rows hold more than the archive: {summary}")

    def rows(self, sent):
        """Compares the rows, byte by byte, with what `replay` makes of the records that were sent; returns its counts."""
        wanted, found = (os.path.join(self.fleet.folder, name) for name in ("wanted.csv", "found.csv"))
        code, out, error = run(self.program, "replay", "--json", sent, "--rows-out", wanted)
        self.check(code == 0, f"`replay` ends with {code}: {error.strip()}")
        summary = last_json(out)["summary"]
        code, _, error = run(self.program, "rows", *self.live, "--out", found)
        self.check(code == 0, f"`rows` ends with {code}: {error.strip()}")
        with open(wanted, encoding="utf-8") as left, open(found, encoding="utf-8") as right:
            pairs = list(itertools.zip_longest(left, right, fillvalue=""))
        differing = [pair for pair in pairs if pair[0] != pair[1]]
        self.note("rows", f"{len(pairs) - 1 - len(differing)} of {len(pairs) - 1} exact to the byte")
        if differing:
            left, right = differing[0]
            self.findings.append(f"{len(differing)} rows differ (diff {wanted} {found}), first: "
                                 f"{left.strip()} is {right.strip()}")
        return [summary[name] for name in OUTCOMES]

    def account(self, wanted):
        """Sums up what the epochs say of their records, each epoch once; all runs of an epoch must say the same."""
        epochs = {}
        for worker in self.fleet.all:
            for fields in worker.messages():
                if fields.get("message") != "emitted":
                    continue
                counts = [fields[name] for name in OUTCOMES]
                before = epochs.setdefault((fields["shard"], fields["to"]), counts)
                self.check(before == counts, f"the epoch of {fields['shard']} up to {fields['to']} came to {before} and {counts}")
        found = [sum(column) for column in zip(*epochs.values())]
        self.note("records", ", ".join(f"{count} {name}" for name, count in zip(OUTCOMES, found)))
        self.note("epochs", str(len(epochs)))
        self.epochs = len(epochs)
        self.check(found == wanted, f"{OUTCOMES} are {found}, sent were {wanted}")
        rejects = glob.glob(os.path.join(self.fleet.folder, "rejects", "**", "*.rejects.ndjson"), recursive=True)
        kept = 0
        for path in rejects:
            with open(path, "rb") as file:
                kept += sum(1 for _ in file)
        self.check(kept == wanted[-1], f"{kept} rejected records are kept, {wanted[-1]} were sent")

    def outbox(self):
        waiting = waiting_files(self.fleet.folder)
        self.check(not waiting, f"{len(waiting)} objects were left in the outbox, such as {waiting[:1]}")

    def trace(self):
        code, out, error = run(self.program, "check-trace", "--json", *(worker.log for worker in self.fleet.all))
        judged = {"steps": 0, "findings": []} | last_json(out)
        steps, broken = judged["steps"], judged["findings"]
        self.note("trace", f"{steps} steps in {len(self.fleet.all)} logs, {len(broken)} findings")
        self.findings += [f"check-trace: {one['invariant']}: {one['says']}" for one in broken]
        self.check(code == 0, f"`check-trace` ends with {code}: {error.strip()}")
        self.check(steps >= self.epochs * STEPS_OF_EPOCH,
                   f"check-trace judged {steps} steps of {self.epochs} epochs: it passes lines over")


def waiting_files(folder):
    """Returns the objects of the outbox."""
    found = glob.glob(os.path.join(folder, "rejects", "outbox", "**"), recursive=True)
    return [path for path in found if os.path.isfile(path)]
