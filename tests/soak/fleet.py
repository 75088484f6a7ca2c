"""Workers as processes: started, killed, looked at."""
import json
import os
import signal
import subprocess
import time
from urllib.request import urlopen

from endpoint import AWS

# One call in ten fails, each of them in one of the ways there are, and one reading in twenty finds its iterator expired.
FAULTS = ["chaos.lost_requests_percent=2", "chaos.lost_replies_percent=2", "chaos.delays_percent=2",
          "chaos.throttles_percent=2", "chaos.errors_percent=1", "chaos.resets_percent=1",
          "chaos.expired_iterators_percent=5"]
# Long enough that a busy machine does not lose leases by itself.
FAILOVER_MS = 8_000
MEMORY_MB = 128
LOG = "info,ivs_processor::worker::shard_task=debug"


class Worker:
    """One process."""

    def __init__(self, name, command, log):
        self.name, self.log, self.ops = name, log, None
        with open(log, "wb") as file:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file,
                                            env=os.environ | AWS | {"IVS_LOG": LOG})
        # Seconds of the run, resident KiB, open file descriptors, threads.
        self.samples = []

    def sample(self, at_s):
        """Notes what the process holds; nothing if it is gone."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
                fields = dict(line.split(":", 1) for line in file)
            resident_kib, threads = (int(fields[name].split()[0]) for name in ("VmRSS", "Threads"))
            descriptors = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except (OSError, KeyError):
            return
        self.samples.append((at_s, resident_kib, descriptors, threads))

    def messages(self):
        """Yields the fields of each line of its log; one that was killed leaves its last line half."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    yield json.loads(line)["fields"]
                except (ValueError, KeyError):
                    continue

    def has_started(self):
        return any(fields.get("message") == "worker started" for fields in self.messages())

    def status(self):
        """Returns what its operations server says of the worker; `None` while there is no answer."""
        if self.ops is None:
            found = (fields["address"] for fields in self.messages()
                     if fields.get("message") == "operations server started")
            self.ops = next(found, None)
        try:
            with urlopen(f"http://{self.ops}/status", timeout=10) as answer:
                return json.load(answer)["worker"]
        except (OSError, ValueError, KeyError):
            return None


class Fleet:
    """Workers that share the stream; the first one is never killed."""

    def __init__(self, program, url, folder, seed):
        self.program, self.url, self.folder, self.seed = program, url, folder, seed
        self.alive, self.all, self.kills, self.refused, self.findings = [], [], 0, 0, []

    def start(self, *more, faults=True):
        """Starts one more worker, with faults of its own."""
        number = len(self.all)
        settings = ["epoch.interval_ms=2000", "stream.poll_interval_ms=200", "tables.writes_per_s=0",
                    f"fleet.failover_ms={FAILOVER_MS}", f"worker.memory_mb={MEMORY_MB}", "ops.listen=127.0.0.1:0",
                    f"fleet.worker_id=w{number}", f"objects.rejects=file://{self.folder}/rejects",
                    f"objects.archive=file://{self.folder}/archive"]
        if faults:
            settings += [*FAULTS, f"chaos.seed={self.seed * 1_000 + number}"]
        command = [self.program, "worker", *more, "--endpoint-url", self.url, "--log-json",
                   *(word for setting in settings for word in ("--set", setting))]
        worker = Worker(f"w{number}", command, os.path.join(self.folder, f"w{number}.log"))
        self.all.append(worker)
        self.alive.append(worker)
        return worker

    def kill_one(self, random):
        """SIGKILL to one of those but the first, and another in its place."""
        victim = random.choice(self.alive[1:])
        victim.process.kill()
        victim.process.wait()
        self.alive.remove(victim)
        self.kills += 1
        self.start()

    def watch(self, at_s):
        """Samples all, and replaces those that ended. Faults may keep one from starting; one that had started may not
        end."""
        for worker in list(self.alive):
            worker.sample(at_s)
            if worker.process.poll() is None:
                continue
            self.alive.remove(worker)
            if worker.has_started():
                self.findings.append(f"{worker.name} ended by itself, exit code {worker.process.returncode}; see {worker.log}")
            self.refused += 1
            self.start()

    def pause(self):
        """Holds all processes still while something changes under them."""
        for worker in self.alive:
            worker.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        for worker in self.alive:
            worker.process.send_signal(signal.SIGCONT)

    def stop(self, within_s):
        """SIGTERM to all, each of which has to end well."""
        for worker in self.alive:
            worker.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + within_s
        for worker in self.alive:
            try:
                code = worker.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                code = f"none within {within_s} s"
            if code != 0:
                self.findings.append(f"{worker.name} did not stop in order, exit code {code}; see {worker.log}")
        self.alive = []

    def close(self):
        """Kills what still runs."""
        for worker in self.alive:
            worker.process.kill()
            worker.process.wait()
