#!/usr/bin/env python3
"""Writes the golden archive of encoders and, by its own count, the summaries that it must give.

`encoder/archive.ndjson` is what a stream holds after EventBridge has lost some events of IVS and a worker with
`reconcile.enabled` has put them there; `encoder/summaries.json` has of each session what its summary says.
Nothing of the program is used. After a change: python3 tests/golden/encoder.py
"""
import json
import pathlib
from datetime import datetime, timedelta, timezone

HERE = pathlib.Path(__file__).parent / "encoder"
BASE = datetime(2025, 6, 1, 12, 0, 7, tzinfo=timezone.utc)
CHANNEL = "arn:aws:ivs:ap-northeast-1:111122223333:channel/"

OBS = {
    "video": {"codec": "avc1.4D401F", "encoder": "obs-output module", "avcProfile": "Main", "avcLevel": "3.1",
              "videoWidth": 1280, "videoHeight": 720, "targetFramerate": 30, "targetBitrate": 3_500_000},
    "audio": {"codec": "mp4a.40.2", "channels": 2, "sampleRate": 48_000, "targetBitrate": 160_000},
}
FULL_HD = {
    "video": {"codec": "avc1.640028", "encoder": "vMix", "avcProfile": "High", "avcLevel": "4.0",
              "videoWidth": 1920, "videoHeight": 1080, "targetFramerate": 60, "targetBitrate": 8_000_000},
    "audio": {"codec": "mp4a.40.2", "channels": 2, "sampleRate": 44_100, "targetBitrate": 320_000},
}
SOUND_ONLY = {"video": {}, "audio": {"codec": "mp4a.40.5", "channels": 1, "sampleRate": 22_050}}
PICTURES_ONLY = {"video": {"codec": "hvc1.1.6.L93.B0", "videoWidth": 854, "videoHeight": 480, "targetFramerate": 25}}

# Members of the event, and attributes of the summary.
NAMES = {
    "video": {"codec": "videoCodec", "avcProfile": "videoProfile", "avcLevel": "videoLevel", "videoWidth": "width",
              "videoHeight": "height", "targetFramerate": "frameRate", "targetBitrate": "videoBitrate",
              "encoder": "encoder"},
    "audio": {"codec": "audioCodec", "channels": "audioChannels", "sampleRate": "sampleRate",
              "targetBitrate": "audioBitrate"},
}


def event(stream, channel, second, source, detail_type, detail):
    time = (BASE + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "version": "0", "id": f"{source}-{stream}-{second}-{detail.get('event_name', 'encoder')}",
        "detail-type": detail_type, "source": source, "account": "111122223333", "time": time,
        "region": "ap-northeast-1", "resources": [CHANNEL + channel],
        "detail": {**detail, "channel_name": "", "stream_id": stream},
    }


def state(stream, channel, second, name, source="aws.ivs"):
    return event(stream, channel, second, source, "IVS Stream State Change", {"event_name": name})


def encoder(stream, channel, second, told):
    return event(stream, channel, second, "reconciler", "IVS Ingest Configuration", told)


def report(stream, channel, second, player):
    time = (BASE + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"type": "player_telemetry", "schemaVersion": 1, "eventId": f"{stream}-{second}-{player}",
            "sessionId": stream, "channelId": channel, "playerId": player, "timestamp": time, "state": "PLAYING",
            "bitrate": 2_400_000, "playingMs": 10_000, "bufferingMs": 0}


def lines():
    """The records, in the order in which they came."""
    yield state("st-whole", "one", 0, "Stream Start")
    yield encoder("st-whole", "one", 0, OBS)
    yield report("st-whole", "one", 10, "p1")
    yield report("st-whole", "one", 20, "p2")
    yield state("st-whole", "one", 600, "Stream End")
    # The encoder was changed while the stream ran; what was told later came first, and once more at the end.
    yield encoder("st-changed", "two", 300, FULL_HD)
    yield state("st-changed", "two", 0, "Stream Start")
    yield encoder("st-changed", "two", 0, OBS)
    # Nothing of it came by itself.
    yield state("st-lost", "three", 5, "Stream Start", source="reconciler")
    yield state("st-lost", "three", 3_605, "Stream End", source="reconciler")
    yield encoder("st-lost", "three", 5, FULL_HD)
    # IVS knows a part.
    yield state("st-sound", "four", 7, "Stream Start")
    yield encoder("st-sound", "four", 7, SOUND_ONLY)
    yield state("st-pictures", "five", 9, "Stream Start")
    yield encoder("st-pictures", "five", 9, PICTURES_ONLY)
    # Nobody asked about it.
    yield state("st-unasked", "six", 11, "Stream Start")
    yield report("st-unasked", "six", 21, "p3")
    # The rows of this one are an earlier release's (processor/src/items/fixtures).
    yield encoder("st-old", "ch1", 30, OBS)
    yield encoder("st-changed", "two", 300, FULL_HD)


def summaries(records):
    """What each session's summary says: the earliest start, the latest end, the latest settings."""
    found = {}
    for record in records:
        if "detail" not in record:
            continue
        stream = record["detail"]["stream_id"]
        time_s = int(datetime.fromisoformat(record["time"].replace("Z", "+00:00")).timestamp())
        session = found.setdefault(stream, {"starts": [], "ends": [], "told": []})
        match record["detail"].get("event_name"):
            case "Stream Start":
                session["starts"].append(time_s)
            case "Stream End":
                session["ends"].append(time_s)
            case None:
                told = {name: record["detail"][part][member] for part, names in NAMES.items()
                        for member, name in names.items() if member in record["detail"].get(part, {})}
                session["told"].append((time_s, told))
    return {stream: summary(session) for stream, session in found.items()}


def summary(session):
    starts, ends, told = session["starts"], session["ends"], session["told"]
    return {
        "startedAt": min(starts, default=None),
        "endedAt": max(ends, default=None),
        "ingestConfiguration": max(told, key=lambda each: each[0])[1] if told else None,
    }


if __name__ == "__main__":
    RECORDS = list(lines())
    (HERE / "archive.ndjson").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    text = json.dumps(summaries(RECORDS), indent=2, sort_keys=True)
    (HERE / "summaries.json").write_text(text + "\n")
