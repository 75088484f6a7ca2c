"""The embedded AWS as a process of its own, in memory, for scripts that have nothing but Python's standard library."""
import json
import os
import re
import signal
import subprocess
import sys
from urllib.request import Request, urlopen

# Keys that nothing checks; the endpoint is on loopback.
AWS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1"}
STREAM = "ivs-events"


class Endpoint:
    """A running endpoint."""

    def __init__(self, program, shards=2):
        command = [program, "local", "--endpoint-only", "--port", "0", "--state", ":memory:", "--shards", str(shards)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        env=os.environ | AWS)
        self.url = None
        for line in self.process.stdout:
            found = re.match(r"embedded AWS +(\S+)", line)
            self.url = found.group(1).rstrip("/") if found else self.url
            if line.strip() == "":
                break
        if self.url is None:
            sys.exit("the endpoint did not start")

    def kinesis(self, operation, **members):
        """Calls Kinesis, unsigned: the endpoint does not check signatures."""
        headers = {"X-Amz-Target": f"Kinesis_20131202.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        with urlopen(Request(self.url, json.dumps(members).encode(), headers), timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def fault(self, rule):
        """Has calls go wrong from now on."""
        urlopen(Request(f"{self.url}/_local/faults", json.dumps(rule).encode()), timeout=60).close()

    def clear_faults(self):
        """Has no more calls go wrong."""
        urlopen(Request(f"{self.url}/_local/faults", method="DELETE"), timeout=60).close()

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
