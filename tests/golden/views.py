#!/usr/bin/env python3
"""Writes the golden archive of views and, by its own count in whole numbers and fractions, the rows it must give.

`views/archive.ndjson` is player telemetry of three sessions over five minutes, shuffled within half a minute, one record
in twenty sent twice; `views/rows.ndjson` has the figures of views, breakdowns and score of each session and minute, by
the words of docs/metrics.md. Nothing of the program is used. After a change: python3 tests/golden/views.py
"""
import json
import pathlib
import random
from collections import defaultdict
from fractions import Fraction

HERE = pathlib.Path(__file__).parent / "views"
START_MS = 1_748_779_200_000  # 2025-06-01T12:00:00Z
# The default lists know these; Atlantis and the fridge are other, and a version without a list is not counted.
DEVICES = [("ios", "ios"), ("Android", "android"), ("web-chrome", "windows"), ("fridge", "plan9")]
COUNTRIES = ["JP", "us", "BR", "Atlantis", None]
LISTED = {"ios", "android", "web-chrome", "windows", "JP", "US", "BR", "ivs", "cloudfront", "1080p", "720p", "360p"}
RENDITIONS = [("1080p", 6_000_000), ("720p", 2_400_000), ("360p", 630_000)]
DIMENSIONS = [("device", "device"), ("os", "os"), ("country", "country"), ("cdn", "cdn"), ("rendition", "resolution")]


def view(rng, session, number):
    """The records of one play request."""
    device, system = rng.choice(DEVICES)
    labels = {"device": device, "os": system, "cdn": rng.choice(["ivs", "cloudfront"]), "playerVersion": "1.56.1"}
    country = rng.choice(COUNTRIES)
    if country is not None:
        labels["country"] = country
    at_ms, count = START_MS + rng.randrange(240_000), 0

    def record(ahead_ms, state, **told):
        nonlocal at_ms, count
        at_ms, count = at_ms + ahead_ms, count + 1
        return {
            "type": "player_telemetry", "schemaVersion": 1, "eventId": f"{session}-{number}-{count}",
            "sessionId": session, "channelId": f"ch-{session}", "playerId": f"p{number}", "viewId": f"v{number}",
            "timestamp": at_ms, "state": state, **told, **labels,
        }

    if rng.random() < 0.9:
        yield record(0, "BUFFERING", viewEvent="attempt")
    fate = rng.random()
    if fate < 0.2:
        kind = rng.choice([{}, {"failureKind": "technical"}, {"failureKind": "business"}])
        yield record(900, "IDLE", viewEvent="failure", **kind)
        return
    if fate < 0.32:
        yield record(2_500, "IDLE", viewEvent="end", viewStarted=False)
        return
    startup_ms = rng.randrange(300, 9_000)
    yield record(startup_ms, "PLAYING", viewEvent="start", startupMs=startup_ms)
    for _ in range(rng.randrange(1, 8)):
        resolution, bitrate = rng.choice(RENDITIONS)
        stalled_ms = rng.choice([0, 0, 0, 0, rng.randrange(1, 4_000)])
        yield record(10_000, "PLAYING", bitrate=bitrate, resolution=resolution, bufferingMs=stalled_ms,
                     playingMs=10_000 - stalled_ms, rebufferCount=int(stalled_ms > 0), latencyMs=2_100)
    if fate < 0.45:
        yield record(100, "IDLE", viewEvent="error", errorCode="ErrorNetwork")
    elif fate < 0.75:
        yield record(100, "ENDED", viewEvent="end", **rng.choice([{}, {"viewStarted": True}]))


def archive():
    rng = random.Random(16)
    records = [record for session in ("st-1", "st-2", "st-3") for number in range(14)
               for record in view(rng, session, number)]
    records += rng.sample(records, len(records) // 20)
    return sorted(records, key=lambda record: record["timestamp"] + rng.randrange(30_000))


class Row:
    """The figures of a session and minute."""

    def __init__(self):
        self.count = defaultdict(int)
        self.startups, self.bitrates, self.views = [], [], set()
        self.playing_ms = self.stalled_ms = 0
        self.watched = False
        self.slices = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))

    def add(self, record):
        outcome = self.outcome(record)
        self.count[outcome] += 1
        self.count["told"] += "viewEvent" in record
        playing_ms, stalled_ms = record.get("playingMs"), record.get("bufferingMs", 0)
        self.startups += [record["startupMs"]] if "startupMs" in record else []
        self.bitrates += [record["bitrate"]] if "bitrate" in record else []
        if playing_ms is not None:
            self.playing_ms, self.stalled_ms = self.playing_ms + playing_ms, self.stalled_ms + stalled_ms
            self.watched = True
        if record["state"] == "PLAYING" or outcome == "starts" or playing_ms:
            self.views.add(record["viewId"])
        for dimension, member in DIMENSIONS:
            if member in record:
                of = self.slices[dimension][listed(record[member])]
                of["records"] += 1
                of["attempts"] += outcome == "attempts"
                of["starts"] += outcome == "starts"
                of["failures"] += outcome in ("technical", "broken")
                of["playingMs"] += playing_ms or 0
                of["stalledMs"] += stalled_ms if playing_ms is not None else 0
                of["stalls"] += record.get("rebufferCount", 0)

    @staticmethod
    def outcome(record):
        match record.get("viewEvent"):
            case "attempt":
                return "attempts"
            case "start":
                return "starts"
            case "failure":
                return "business" if record.get("failureKind") == "business" else "technical"
            case "error":
                return "broken"
            case "end":
                return "exits" if record.get("viewStarted") is False else "ended"
            case _:
                return None

    def score(self):
        failed = self.count["technical"] + self.count["broken"]
        outcomes = self.count["starts"] + self.count["technical"] + self.count["business"]
        views = max(self.count["attempts"], outcomes, failed)
        view_ms = self.playing_ms + self.stalled_ms
        if not view_ms and not views:
            return None
        parts = [(20, mean(self.startups), 1_000, 8_000), (15, mean(self.bitrates), 3_000_000, 0),
                 (40, Fraction(self.stalled_ms, view_ms) if view_ms else None, 0, Fraction(1, 10)),
                 (25, Fraction(failed, views) if views else None, 0, Fraction(1, 10))]
        known = [(weight, straight(value, good, bad)) for weight, value, good, bad in parts if value is not None]
        return 100 * sum(weight * part for weight, part in known) / sum(weight for weight, _ in known)

    def columns(self):
        told = self.count["told"] > 0
        score = self.score()
        names = {"view_starts": "starts", "start_failures_technical": "technical", "start_failures_business": "business",
                 "exits_before_start": "exits", "playback_failures": "broken", "views_ended": "ended"}
        counts = {column: self.count[name] if told else None for column, name in names.items()}
        return counts | {
            "view_attempts": self.count["attempts"] or None,
            "concurrent_views": len(self.views) or None,
            "view_time_ms": self.playing_ms + self.stalled_ms if self.watched else None,
            "experience_score": None if score is None else round(float(score), 6),
            "breakdowns": self.slices,
        }


def listed(value):
    by_case = {each.lower(): each for each in LISTED}
    return by_case.get(value.lower(), "other")


def mean(values):
    return Fraction(sum(values), len(values)) if values else None


def straight(value, good, bad):
    return min(max((bad - value) / Fraction(bad - good), Fraction(0)), Fraction(1))


def rows(records):
    found, seen = defaultdict(Row), set()
    for record in records:
        if record["eventId"] not in seen:
            seen.add(record["eventId"])
            found[record["sessionId"], record["timestamp"] // 60_000 * 60].add(record)
    return [{"session_id": session, "window_start": start} | row.columns()
            for (session, start), row in sorted(found.items())]


def write(name, objects):
    HERE.joinpath(name).write_text("".join(json.dumps(each, sort_keys=True) + "\n" for each in objects))


if __name__ == "__main__":
    RECORDS = archive()
    write("archive.ndjson", RECORDS)
    write("rows.ndjson", rows(RECORDS))
