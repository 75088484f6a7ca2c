"""Makes an archive of player telemetry: archive.py --out DIR --records N [--seed S].

The same arguments give the same bytes. DIR/plain, DIR/gzip (level 6) and DIR/zstd (level 3) hold the same
lines in parts of 400,000 records, in arrival order, and DIR/clean the plain ones without those that are no
JSON. Two hours, 200 channels by Zipf popularity, 1,000 sessions; 66.7 % player telemetry, 32.8 %
metrics_update, 0.5 % IVS stream events; 1 % exact duplicates within 20 s, 5 % out of order by up to 90 s, one
line in 10,000 spoilt (cut, no JSON, a comma lost, a comma too many).
"""
import argparse
import bisect
import collections
import gzip
import json
import os
import random

import zstandard

SPAN_MS = 2 * 3600 * 1000
START_S = 1748779200  # 2025-06-01T12:00:00Z
PART = 400_000
LADDER = [("1080p", 6_000_000, 60.0), ("720p", 3_000_000, 60.0), ("480p", 1_200_000, 30.0), ("360p", 630_000, 30.0)]
STATES = ["PLAYING"] * 18 + ["BUFFERING", "READY"]


def stamp(ms):
    seconds, ms = divmod(ms, 1000)
    return f"2025-06-01T{12 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}Z"


def name(rng, length):
    return "".join(rng.choices("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", k=length))


def uuid(rng):
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def telemetry(rng, channel, session, ms):
    resolution, bitrate, rate = rng.choice(LADDER)
    state = rng.choice(STATES)
    latency = 1500 + rng.randrange(2400) + (rng.randrange(26_000) if rng.random() < 0.02 else 0)
    return (f'{{"schemaVersion":1,"type":"player_telemetry","eventId":"{uuid(rng)}","sessionId":"{session}",'
            f'"channelId":"{channel[0]}","playerId":"p-{rng.randrange(channel[1]):010x}","timestamp":"{stamp(ms)}",'
            f'"state":"{state}","bitrate":{bitrate - rng.randrange(bitrate // 10)},'
            f'"frameRate":{round(rate - rng.random(), 2)},"droppedFrames":{rng.choice((0, 0, 0, 0, 7))},'
            f'"bufferingMs":{rng.randrange(8000) if state == "BUFFERING" else 0},"latencyMs":{latency},'
            f'"resolution":"{resolution}","country":"DE","device":"web-chrome"}}')


def gauge(rng, channel, session, ms):
    # A function of session and millisecond, so that the last value has one answer even among ties.
    viewers = channel[1] + hash((len(session), ms)) % (channel[1] // 2 + 1)
    return (f'{{"eventType":"metrics_update","sessionId":"{session}","channelId":"{channel[0]}",'
            f'"timestamp":"{stamp(ms)}","currentViewers":{viewers},"bitrate":{5_500_000 + rng.randrange(900_000)},'
            f'"frameRate":{59 + rng.randrange(101) / 100},"chatMessagesPerMinute":{rng.randrange(channel[1] // 10 + 5)},'
            f'"cpuUsage":{rng.randrange(2000, 8000) / 100},"memoryUsage":{rng.randrange(3000, 7000) / 100}}}')


def lifecycle(rng, channel, session, ms):
    return (f'{{"version":"0","id":"{uuid(rng)}","detail-type":"IVS Stream State Change","source":"aws.ivs",'
            f'"account":"123456789012","time":"{stamp(ms)[:19]}Z","region":"us-west-2","resources":'
            f'["arn:aws:ivs:us-west-2:123456789012:channel/{channel[0]}"],"detail":{{"event_name":'
            f'"Stream {rng.choice(("Start", "End"))}","channel_name":"c","stream_id":"{session}"}}}}')


def spoilt(rng, line):
    kind = rng.randrange(10)
    if kind < 6:
        return line[:1 + rng.randrange(len(line) - 2)]
    return ["### restarted ###", "not json: {]", line.replace(',"', '"', 1), line[:-1] + ",}"][kind - 6]


def lines(records, seed):
    rng = random.Random(seed)
    channels, weights, total = [], [], 0.0
    for rank in range(1, 201):
        audience = max(20, int(records / rank / 5.9 * 2 / 3 / 480))
        channels.append((name(rng, 12), audience, [f"st-{name(rng, 22)}" for _ in range(5)]))
        total += 1 / rank
        weights.append(total)
    recent = collections.deque(maxlen=65_536)
    for index in range(records):
        arrival = index * SPAN_MS // records
        while recent and arrival - recent[0][0] > 20_000:
            recent.popleft()
        if recent and rng.random() < 0.01:
            yield rng.choice(recent)[1], True
            continue
        channel = channels[bisect.bisect_left(weights, rng.random() * total)]
        session = channel[2][min(4, arrival * 5 // SPAN_MS)]
        ms = max(0, arrival - rng.randrange(1, 90_000)) if rng.random() < 0.05 else arrival
        kind = rng.random()
        make = telemetry if kind < 0.667 else gauge if kind < 0.995 else lifecycle
        line = make(rng, channel, session, ms)
        if make is not lifecycle and rng.random() < 0.0001:
            yield spoilt(rng, line), False
            continue
        if make is telemetry:
            recent.append((arrival, line))
        yield line, True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for folder in ("plain", "gzip", "zstd", "clean"):
        os.makedirs(os.path.join(args.out, folder), exist_ok=True)
    size, part, held, clean = 0, 0, [], []

    def flush():
        nonlocal size, part
        text = ("\n".join(held) + "\n").encode()
        size += len(text)
        bodies = {"plain": ("", text), "clean": ("", ("\n".join(clean) + "\n").encode()),
                  "gzip": (".gz", gzip.compress(text, 6, mtime=0)),
                  "zstd": (".zst", zstandard.ZstdCompressor(level=3).compress(text))}
        for folder, (ending, body) in bodies.items():
            with open(os.path.join(args.out, folder, f"part-{part:05}.ndjson{ending}"), "wb") as out:
                out.write(body)
        part += 1
        held.clear()
        clean.clear()

    for line, is_good in lines(args.records, args.seed):
        held.append(line)
        if is_good:
            clean.append(line)
        if len(held) == PART:
            flush()
    if held:
        flush()
    with open(os.path.join(args.out, "manifest.json"), "w") as out:
        json.dump({"records": args.records, "seed": args.seed, "bytes": size}, out)


if __name__ == "__main__":
    main()
