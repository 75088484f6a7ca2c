"""The rows by the standard library alone, in integers and sets: what the others are measured by."""
import calendar
import csv
import json
import math

from query import COLUMNS, arguments

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
                if record["eventId"] in seen:
                    continue
                seen.add(record["eventId"])
            time = record["timestamp"]
            key = (record["sessionId"], time[:16])
            row = windows.setdefault(key, {"gauges": [], "players": []})
            row["players" if is_player else "gauges"].append((time, record))


def of(records, name):
    return [record[name] for _, record in records]


def bounds(row, name, values):
    if values:
        row |= {f"{name}_sum_bps": sum(values), f"{name}_min_bps": min(values), f"{name}_max_bps": max(values)}


with open(args.out, "w", newline="") as out:
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for (session, minute), found in sorted(windows.items()):
        gauges, players = found["gauges"], found["players"]
        at = calendar.timegm((int(minute[:4]), int(minute[5:7]), int(minute[8:10]), int(minute[11:13]), int(minute[14:16]), 0))
        row = {"session_id": session, "window_start": at, "records": len(gauges) + len(players),
               "gauges": len(gauges), "player_records": len(players), "players": len(set(of(players, "playerId"))),
               "dropped_frames": sum(of(players, "droppedFrames")), "buffering_ms": sum(of(players, "bufferingMs"))}
        bounds(row, "bitrate", of(gauges, "bitrate"))
        bounds(row, "player_bitrate", of(players, "bitrate"))
        if gauges:
            viewers = of(gauges, "currentViewers")
            last = max((time, record["currentViewers"]) for time, record in gauges)[1]
            row |= {"viewers_sum": sum(viewers), "viewers_min": min(viewers), "viewers_max": max(viewers),
                    "viewers_last": last, "frame_rate_sum": math.fsum(of(gauges, "frameRate"))}
        if players:
            latency = sorted(of(players, "latencyMs"))
            row |= {"latency_max_ms": latency[-1], "player_frame_rate_sum": math.fsum(of(players, "frameRate"))}
            row |= {f"latency_p{q}_ms": latency[int(q / 100 * (len(latency) - 1))] for q in (50, 95, 99)}
        writer.writerow(row)
