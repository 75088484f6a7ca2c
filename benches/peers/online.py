"""Our worker and a plain Python consumer, each a process of its own, against the embedded endpoint as another:
see README.md.

online.py --program PROGRAM --work DIR [--records N] [--shards N] [--seconds N] [--peer-records N]
"""
import argparse
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import boto3
from botocore.config import Config

import archive
from figures import note

HERE = os.path.dirname(os.path.abspath(__file__))
STREAM = "ivs-events"
METRICS = "StreamingMetrics"
PEER_TABLE = "PlainConsumer"
# Keys that nothing checks; the endpoint is on loopback.
AWS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1",
       "AWS_DEFAULT_REGION": "us-east-1"}
RATE = 1_000
SESSIONS = 50


def cpu_s(pid):
    """User and system seconds of a process and its threads, so far."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Endpoint:
    """The embedded AWS as a process."""

    def __init__(self, args, name):
        self.folder = os.path.join(args.work, name)
        shutil.rmtree(self.folder, ignore_errors=True)
        # In memory: the disk is not what is measured.
        command = [args.program, "local", "--endpoint-only", "--port", "0", "--state", ":memory:",
                   "--shards", str(args.shards)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        env=os.environ | AWS)
        self.url = None
        for line in self.process.stdout:
            found = re.match(r"embedded AWS +(\S+)", line)
            self.url = found.group(1) if found else self.url
            if line.strip() == "":
                break
        if self.url is None:
            sys.exit("the endpoint did not start")

    def client(self, service):
        config = Config(max_pool_connections=16, retries={"mode": "standard"})
        return boto3.client(service, endpoint_url=self.url, region_name=AWS["AWS_REGION"], config=config,
                            aws_access_key_id="local", aws_secret_access_key="local")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)


def worker(args, endpoint, *more, interval_ms=None):
    """Our worker with its defaults, less Kinesis's limits, which the endpoint does not have."""
    rejects = os.path.join(endpoint.folder, "rejects")
    settings = ["stream.shard_budget=false", "tables.writes_per_s=0", "ops.listen=", f"objects.rejects=file:{rejects}"]
    settings += [f"epoch.interval_ms={interval_ms}"] if interval_ms else []
    command = [args.program, "--quiet", "worker", *more, "--endpoint-url", endpoint.url]
    return command + [word for setting in settings for word in ("--set", setting)]


def measured(command, endpoint, table):
    """Runs a process to its end, and asks for the first row of `table` meanwhile."""
    endpoint_before = cpu_s(endpoint.process.pid)
    dynamodb = endpoint.client("dynamodb")
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | AWS)
    first_row, over = [], threading.Event()

    def look():
        while not over.is_set():
            if dynamodb.scan(TableName=table, Limit=1)["Items"]:
                first_row.append(time.monotonic() - began)
                return
            time.sleep(0.05)

    looking = threading.Thread(target=look)
    looking.start()
    said = []
    reader = threading.Thread(target=lambda: said.append(process.stdout.read()))
    problems = []
    complaints = threading.Thread(target=lambda: problems.append(process.stderr.read()))
    reader.start()
    complaints.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    over.set()
    for thread in (looking, reader, complaints):
        thread.join()
    if process.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}: {problems[0][-2000:]}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024,
            "first": first_row[0] if first_row else float("nan"), "endpoint": cpu_s(endpoint.process.pid) - endpoint_before,
            "said": said[0]}


def lines(args):
    """The file of records: the archive's, moved to the two hours that ended with the last full one, because
    CloudWatch takes no old metrics."""
    path = os.path.join(args.work, f"online-{args.records}.ndjson")
    if not os.path.exists(path) or time.time() - os.path.getmtime(path) > 86_400:
        print(f"making {args.records} records in {path}", flush=True)
        begin = time.time() // 3_600 * 3_600 - 7_200
        hours = [(f"2025-06-01T{12 + hour}:", time.strftime("%Y-%m-%dT%H:", time.gmtime(begin + hour * 3_600)))
                 for hour in range(3)]
        with open(path + ".part", "w") as out:
            for line, _ in archive.lines(args.records, 1):
                for old, new in hours:
                    line = line.replace(old, new)
                out.write(line + "\n")
        os.rename(path + ".part", path)
    return path


def backlog(args):
    """Both consumers over the same backlog; exits if the worker's rows do not hold every record."""
    endpoint = Endpoint(args, "online-state")
    try:
        put = [args.program, "--quiet", "generate", "--input", lines(args), "--endpoint-url", endpoint.url]
        subprocess.run(put, check=True, stdout=subprocess.DEVNULL, env=os.environ | AWS)
        runs = {"worker": measured(worker(args, endpoint, "--until-drained"), endpoint, METRICS)}
        if args.peer_records:
            endpoint.client("dynamodb").create_table(
                TableName=PEER_TABLE, BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "sessionId", "KeyType": "HASH"},
                           {"AttributeName": "metricTimestamp", "KeyType": "RANGE"}],
                AttributeDefinitions=[{"AttributeName": "sessionId", "AttributeType": "S"},
                                      {"AttributeName": "metricTimestamp", "AttributeType": "N"}])
            consumer = [sys.executable, os.path.join(HERE, "online_consumer.py"), "--endpoint-url", endpoint.url,
                        "--stream", STREAM, "--table", PEER_TABLE, "--records", str(args.peer_records)]
            runs["python"] = measured(consumer, endpoint, PEER_TABLE)
        stats = json.loads(runs["worker"]["said"])
        rows = os.path.join(args.work, "online-rows.csv")
        subprocess.run([args.program, "--quiet", "rows", "--endpoint-url", endpoint.url, "--out", rows], check=True,
                       stdout=subprocess.DEVNULL, env=os.environ | AWS)
        with open(rows, newline="") as file:
            held = sum(int(row["records"]) for row in csv.DictReader(file))
        return runs, stats, held
    finally:
        endpoint.close()


def latency(args):
    """Milliseconds from put to readable of each record, at RATE records a second: the n-th record put for a row
    is readable when the row counts n."""
    endpoint = Endpoint(args, "online-live")
    process = None
    try:
        process = subprocess.Popen(worker(args, endpoint, interval_ms=args.interval_ms), stdout=subprocess.DEVNULL,
                                   env=os.environ | AWS)
        kinesis, dynamodb = endpoint.client("kinesis"), endpoint.client("dynamodb")
        # When each record was put, by row; and how many of a row's were seen.
        put, seen, delays, lock, over = {}, {}, [], threading.Lock(), threading.Event()

        def look():
            while not over.is_set():
                with lock:
                    wanted = [key for key, times in put.items() if seen.get(key, 0) < len(times)]
                for start in range(0, len(wanted), 100):
                    keys = [{"sessionId": {"S": s}, "metricTimestamp": {"N": str(m)}} for s, m in wanted[start:start + 100]]
                    answer = dynamodb.batch_get_item(RequestItems={METRICS: {
                        "Keys": keys, "ConsistentRead": True, "ProjectionExpression": "sessionId, metricTimestamp, #r",
                        "ExpressionAttributeNames": {"#r": "records"}}})
                    now = time.time()
                    for row in answer["Responses"][METRICS]:
                        key = row["sessionId"]["S"], int(row["metricTimestamp"]["N"])
                        count, before = int(row["records"]["N"]), seen.get(key, 0)
                        with lock:
                            delays.extend((now - at) * 1000 for at in put[key][before:count])
                        seen[key] = count
                time.sleep(0.1)

        looking = threading.Thread(target=look)
        # The worker has its leases before the first record counts.
        time.sleep(5)
        looking.start()
        began, sent = time.time(), 0
        while sent < RATE * args.seconds:
            entries, keys = [], []
            for n in range(sent, sent + RATE // 10):
                now_ms = int(time.time() * 1000)
                session = f"live-{n % SESSIONS}"
                body = {"type": "player_telemetry", "schemaVersion": 1, "eventId": f"e-{n}", "sessionId": session,
                        "channelId": f"c-{n % SESSIONS}", "playerId": f"p-{n % 997}", "timestamp": now_ms,
                        "state": "PLAYING", "bitrate": 3_000_000 + n % 1_000, "frameRate": 60, "latencyMs": 2_000 + n % 500}
                entries.append({"Data": json.dumps(body).encode(), "PartitionKey": session})
                keys.append((session, now_ms // 60_000 * 60))
            with lock:
                for key in keys:
                    put.setdefault(key, []).append(time.time())
            answer = kinesis.put_records(StreamName=STREAM, Records=entries)
            if answer["FailedRecordCount"]:
                sys.exit("the endpoint refused records")
            sent += len(entries)
            time.sleep(max(0.0, began + sent / RATE - time.time()))
        deadline = time.time() + args.interval_ms / 1000 + 30
        while len(delays) < sent and time.time() < deadline:
            time.sleep(0.1)
        over.set()
        looking.join()
        if len(delays) != sent:
            sys.exit(f"{sent - len(delays)} records of {sent} did not become readable")
        delays.sort()
        return {f"p{p}": delays[min(len(delays) - 1, len(delays) * p // 100)] for p in (50, 99)}
    finally:
        if process:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        endpoint.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--peer-records", type=int, default=200_000, help="records that the peer reads; 0: no peer")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=30, help="length of the run in real time; 0: none")
    parser.add_argument("--interval-ms", type=int, default=5_000, help="flush interval of that run")
    args = parser.parse_args()
    args.program, args.work = os.path.abspath(args.program), os.path.abspath(args.work)
    args.peer_records = min(args.peer_records, args.records)
    os.makedirs(args.work, exist_ok=True)
    runs, stats, held = backlog(args)
    print(f"{args.records} records put beforehand, {args.shards} shards; {stats['rowsWritten']} puts, "
          f"{stats['epochs']} epochs, {stats['rejected']} rejected")
    print(f"{'':10}{'CPU s/M':>9}{'rec/s':>10}{'first row s':>13}{'MiB':>7}{'endpoint CPU s/M':>18}")
    for name, run in runs.items():
        records = args.records if name == "worker" else args.peer_records
        print(f"{name:10}{run['cpu'] / records * 1e6:9.2f}{records / run['wall']:10.0f}{run['first']:13.2f}{run['peak']:7.0f}"
              f"{run['endpoint'] / records * 1e6:18.2f}")
        note("online", "backlog", name, {
            "M rec/s": records / run["wall"] / 1e6, "CPU s/M": run["cpu"] / records * 1e6, "peak MiB": run["peak"],
            "first row s": run["first"]})
    if args.seconds:
        found = latency(args)
        print(f"put to readable at {RATE} records/s, flush interval {args.interval_ms} ms: "
              f"p50 {found['p50']:.0f} ms, p99 {found['p99']:.0f} ms")
        note("online", f"{RATE} records/s", "worker", {"p50 ms": found["p50"], "p99 ms": found["p99"]})
    facts = stats["read"] - stats["rejected"] - stats["duplicate"] - held
    if stats["read"] < args.records or not 0 <= facts <= args.records // 50:
        sys.exit(f"the worker read {stats['read']} and accepted {stats['accepted']}, its rows hold {held}")


main()
