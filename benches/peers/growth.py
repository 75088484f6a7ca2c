"""How replay grows with sessions and with records: CPU for each million records, and peak memory.

growth.py --replay PROGRAM --work DIR [--records N ...] [--sessions N ...] [--threads N]
Ten minutes of player telemetry; every minute has the sessions given, as far as it has records.
"""
import argparse
import os
import random
import shutil

from figures import note
from run import once

MINUTES = 10


def make(path, records, sessions):
    """Writes the file; records come in the order of their times, sessions at random."""
    rng = random.Random(1)
    with open(path, "w") as out:
        for n in range(records):
            ms = n * MINUTES * 60_000 // records
            session = rng.randrange(sessions)
            out.write(
                f'{{"schemaVersion":1,"type":"player_telemetry","eventId":"{n:08x}-0000-4000-a000-{rng.getrandbits(48):012x}",'
                f'"sessionId":"st-{session:022d}","channelId":"c{session // 5:011d}","playerId":"p-{rng.getrandbits(40):010x}",'
                f'"timestamp":"2025-06-01T12:{ms // 60_000:02}:{ms // 1_000 % 60:02}.{ms % 1_000:03}Z","state":"PLAYING",'
                f'"bitrate":{2_900_000 + n % 90_001},"frameRate":59.{n % 97},"droppedFrames":0,"bufferingMs":0,'
                f'"latencyMs":{1_500 + n % 2_399},"resolution":"720p","country":"DE","device":"web-chrome"}}\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replay", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--records", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--sessions", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    folder = os.path.join(args.work, "growth")
    print(f"{'records':>12}{'sessions/min':>14}{'CPU s/M':>9}{'MiB':>7}")
    for records in args.records:
        for sessions in args.sessions:
            os.makedirs(folder, exist_ok=True)
            make(os.path.join(folder, "archive.ndjson"), records, sessions)
            run = once([args.replay, "replay", folder, "--threads", str(args.threads), "--rows-out",
                        os.path.join(args.work, "growth.csv")])
            shutil.rmtree(folder)
            if run:
                _, cpu, peak = run
                print(f"{records:12,}{sessions:14,}{cpu / records * 1e6:9.3f}{peak:7.0f}", flush=True)
                note("growth", f"{records:,} records, {sessions:,} sessions/min", "replay",
                     {"CPU s/M": cpu / records * 1e6, "peak MiB": peak})


main()
