"""The records of a run: made beforehand by the program's own generator, put at a constant rate."""
import json
import threading
import time
from base64 import b64encode

from endpoint import STREAM

PACE_S = 0.25
# A call takes 500 records, and a shard 1,000 a second.
MAX_RECORDS = 500
# One record in so many is put twice, side by side: both go to one shard, whatever is split or merged meanwhile.
REPEATED = 50


def prepare(source, path):
    """Writes what will be put, line by line, and returns it as pairs of partition key and line.

    The generator's own repeats are left out: the filter of duplicates is the shard's, so one whose original went to a
    shard that was split since counts, and when that happens depends on the machine."""
    records, seen = [], set()
    with open(source, "rb") as file, open(path, "wb") as out:
        for number, line in enumerate(file):
            line = line.rstrip(b"\n")
            key, event_id = names(line)
            if event_id in seen:
                continue
            if event_id:
                seen.add(event_id)
            for _ in range(2 if event_id and number % REPEATED == 0 else 1):
                records.append((key or f"line-{number}", line))
                out.write(line + b"\n")
    return records


def names(line):
    """Returns a record's session and the id of its event, where it has them."""
    try:
        record = json.loads(line)
    except ValueError:
        return None, None
    return record.get("sessionId"), record.get("eventId") or record.get("id")


class Sender(threading.Thread):
    """Puts records at a constant rate until all are put."""

    def __init__(self, endpoint, records, seconds):
        super().__init__(daemon=True)
        self.endpoint, self.records, self.seconds = endpoint, records, seconds
        self.sent, self.put_again, self.error = 0, 0, None

    def run(self):
        began = time.monotonic()
        try:
            while self.sent < len(self.records):
                time.sleep(PACE_S)
                due = min(1.0, (time.monotonic() - began) / self.seconds)
                while self.sent < int(len(self.records) * due):
                    to = min(self.sent + MAX_RECORDS, int(len(self.records) * due))
                    # A record and its repeat go in one call.
                    while to < len(self.records) and self.records[to] == self.records[to - 1]:
                        to += 1
                    self.put(self.records[self.sent:to])
                    self.sent = to
        except (OSError, ValueError, KeyError) as error:
            self.error = f"{type(error).__name__}: {error}"

    def put(self, records):
        """Puts records; those that a shard has no room for are put again."""
        while records:
            entries = [{"PartitionKey": key, "Data": b64encode(line).decode()} for key, line in records[:MAX_RECORDS]]
            rest = records[MAX_RECORDS:]
            answer = self.endpoint.kinesis("PutRecords", StreamName=STREAM, Records=entries)
            refused = [record for record, result in zip(records, answer["Records"]) if "ErrorCode" in result]
            self.put_again += len(refused)
            records = refused + rest
            if refused:
                time.sleep(PACE_S)
