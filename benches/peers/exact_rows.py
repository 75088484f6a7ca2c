"""The rows by the standard library alone, in integers and sets: what the others are measured by."""
import calendar
import csv
import json
import math
from array import array

from query import COLUMNS, arguments


class Row:
    """What a window's figures need; whole numbers as sums, the rest value by value."""

    def __init__(self):
        self.bounds = {}
        self.last = None
        self.gauges = self.players = self.dropped_frames = self.buffering_ms = 0
        self.frame_rates, self.player_frame_rates, self.latencies = array("d"), array("d"), array("q")
        self.names = set()

    def bound(self, name, value):
        total, least, most = self.bounds.get(name, (0, value, value))
        self.bounds[name] = (total + value, min(least, value), max(most, value))

    def add_gauge(self, record, time):
        self.gauges += 1
        self.bound("bitrate", record["bitrate"])
        self.bound("viewers", record["currentViewers"])
        self.last = max(self.last or (time, 0), (time, record["currentViewers"]))
        self.frame_rates.append(record["frameRate"])

    def add_player(self, record):
        self.players += 1
        self.bound("player_bitrate", record["bitrate"])
        self.player_frame_rates.append(record["frameRate"])
        self.dropped_frames += record["droppedFrames"]
        self.buffering_ms += record["bufferingMs"]
        self.latencies.append(record["latencyMs"])
        self.names.add(record["playerId"])

    def columns(self):
        row = {"records": self.gauges + self.players, "gauges": self.gauges, "player_records": self.players,
               "players": len(self.names), "dropped_frames": self.dropped_frames, "buffering_ms": self.buffering_ms}
        for name, unit in (("bitrate", "_bps"), ("player_bitrate", "_bps"), ("viewers", "")):
            if name in self.bounds:
                for end, value in zip(("sum", "min", "max"), self.bounds[name]):
                    row[f"{name}_{end}{unit}"] = value
        if self.gauges:
            row |= {"viewers_last": self.last[1], "frame_rate_sum": math.fsum(self.frame_rates)}
        if self.players:
            latency = sorted(self.latencies)
            row |= {"latency_max_ms": latency[-1], "player_frame_rate_sum": math.fsum(self.player_frame_rates)}
            row |= {f"latency_p{q}_ms": latency[int(q / 100 * (len(latency) - 1))] for q in (50, 95, 99)}
        return row


args = arguments()
windows, seen = {}, set()
for path in args.files:
    with open(path, "rb") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            is_player, is_backend = record.get("type") == "player_telemetry", record.get("eventType") == "metrics_update"
            if not (is_player or is_backend):
                continue
            if args.dedupe and "eventId" in record:
                event_id = int(record["eventId"].replace("-", ""), 16)
                if event_id in seen:
                    continue
                seen.add(event_id)
            time = record["timestamp"]
            row = windows.setdefault((record["sessionId"], time[:16]), Row())
            if is_player:
                row.add_player(record)
            else:
                row.add_gauge(record, time)

with open(args.out, "w", newline="") as out:
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for (session, minute), row in sorted(windows.items()):
        at = calendar.timegm((int(minute[:4]), int(minute[5:7]), int(minute[8:10]), int(minute[11:13]), int(minute[14:16]), 0))
        writer.writerow({"session_id": session, "window_start": at} | row.columns())
