"""What every peer's file has in common: arguments and columns (those of `ivs-processor rows` that all can make)."""
import argparse
import glob

EXACT = ["records", "gauges", "viewers_sum", "viewers_min", "viewers_max", "viewers_last", "bitrate_sum_bps",
         "bitrate_min_bps", "bitrate_max_bps", "player_records", "player_bitrate_sum_bps",
         "player_bitrate_min_bps", "player_bitrate_max_bps", "dropped_frames", "buffering_ms", "latency_max_ms"]
FLOATS = ["frame_rate_sum", "player_frame_rate_sum"]
ESTIMATES = ["players", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms"]
COLUMNS = ["session_id", "window_start"] + EXACT + FLOATS + ESTIMATES


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", required=True, help="a glob")
    parser.add_argument("--out", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dedupe", action="store_true")
    args = parser.parse_args()
    args.files = sorted(glob.glob(args.files))
    return args
