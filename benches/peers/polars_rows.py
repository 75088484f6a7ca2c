"""The rows in Polars: scan_ndjson with a schema, streaming engine. It fails at the first line that is no JSON."""
import os

from query import COLUMNS, arguments

args = arguments()
os.environ["POLARS_MAX_THREADS"] = str(args.threads)
import polars as pl  # noqa: E402  (it reads the variable above once)

texts = ["sessionId", "timestamp", "type", "eventType", "eventId", "playerId"]
integers = ["bitrate", "bufferingMs", "droppedFrames", "latencyMs", "currentViewers"]
schema = dict.fromkeys(texts, pl.String) | dict.fromkeys(integers, pl.Int64) | {"frameRate": pl.Float64}
rows = pl.scan_ndjson(args.files, schema=schema, ignore_errors=True)
rows = rows.filter(pl.col("sessionId").is_not_null() & pl.col("timestamp").is_not_null())
if args.dedupe:
    rows = pl.concat([rows.filter(pl.col("eventId").is_not_null()).unique("eventId", keep="any"),
                      rows.filter(pl.col("eventId").is_null())])
is_player, is_backend = pl.col("type") == "player_telemetry", pl.col("eventType") == "metrics_update"


def figures(column, name, of):
    values = pl.col(column).filter(of)
    return [pl.when(values.count() > 0).then(values.sum()).alias(f"{name}_sum_bps"),
            values.min().alias(f"{name}_min_bps"), values.max().alias(f"{name}_max_bps")]


viewers = pl.col("currentViewers")
latency = pl.col("latencyMs")
minute = (pl.col("timestamp").str.head(16) + ":00").str.to_datetime("%Y-%m-%dT%H:%M:%S").dt.epoch("s")
rows.group_by(pl.col("sessionId").alias("session_id"), minute.alias("window_start")).agg(
    pl.len().alias("records"), is_backend.sum().alias("gauges"),
    pl.when(viewers.count() > 0).then(viewers.sum()).alias("viewers_sum"),
    viewers.min().alias("viewers_min"), viewers.max().alias("viewers_max"),
    viewers.drop_nulls().get(pl.col("timestamp").filter(viewers.is_not_null()).arg_max(), null_on_oob=True)
    .alias("viewers_last"),
    *figures("bitrate", "bitrate", is_backend), *figures("bitrate", "player_bitrate", is_player),
    pl.col("frameRate").filter(is_backend).sum().alias("frame_rate_sum"),
    pl.col("frameRate").filter(is_player).sum().alias("player_frame_rate_sum"),
    is_player.sum().alias("player_records"), pl.col("playerId").drop_nulls().approx_n_unique().alias("players"),
    pl.col("droppedFrames").sum().alias("dropped_frames"), pl.col("bufferingMs").sum().alias("buffering_ms"),
    latency.max().alias("latency_max_ms"),
    *(latency.quantile(q / 100, "nearest").alias(f"latency_p{q}_ms") for q in (50, 95, 99)),
).select(COLUMNS).sort("session_id", "window_start").sink_csv(args.out, engine="streaming")
