"""The rows in DuckDB: one statement over read_json with a schema."""
import duckdb

from query import COLUMNS, arguments

args = arguments()
connection = duckdb.connect(config={"threads": args.threads, "preserve_insertion_order": False})
schema = """{sessionId: 'VARCHAR', timestamp: 'VARCHAR', type: 'VARCHAR', eventType: 'VARCHAR', eventId: 'VARCHAR',
 playerId: 'VARCHAR', bitrate: 'BIGINT', frameRate: 'DOUBLE', bufferingMs: 'BIGINT', droppedFrames: 'BIGINT',
 latencyMs: 'INTEGER', currentViewers: 'BIGINT'}"""
source = f"""(FROM read_json({args.files!r}, format='newline_delimited', ignore_errors=true, columns={schema})
 WHERE sessionId IS NOT NULL AND timestamp IS NOT NULL)"""
if args.dedupe:
    source = f"""(SELECT * FROM {source} WHERE eventId IS NULL UNION ALL BY NAME
 SELECT eventId, any_value(COLUMNS(* EXCLUDE eventId)) FROM {source} WHERE eventId IS NOT NULL GROUP BY eventId)"""
player, backend = "FILTER (type = 'player_telemetry')", "FILTER (eventType = 'metrics_update')"
connection.execute(f"""COPY (SELECT {", ".join(COLUMNS)} FROM (SELECT *,
  quantiles[1] latency_p50_ms, quantiles[2] latency_p95_ms, quantiles[3] latency_p99_ms FROM (
 SELECT sessionId session_id, epoch(CAST(timestamp[1:16] || ':00' AS TIMESTAMP))::BIGINT window_start,
  count(*) records, count(*) {backend} gauges,
  sum(currentViewers) viewers_sum, min(currentViewers) viewers_min, max(currentViewers) viewers_max,
  arg_max(currentViewers, (timestamp, currentViewers)) FILTER (currentViewers IS NOT NULL) viewers_last,
  sum(bitrate) {backend} bitrate_sum_bps, min(bitrate) {backend} bitrate_min_bps,
  max(bitrate) {backend} bitrate_max_bps, sum(frameRate) {backend} frame_rate_sum,
  count(*) {player} player_records, approx_count_distinct(playerId) players,
  sum(bitrate) {player} player_bitrate_sum_bps, min(bitrate) {player} player_bitrate_min_bps,
  max(bitrate) {player} player_bitrate_max_bps, sum(frameRate) {player} player_frame_rate_sum,
  coalesce(sum(droppedFrames), 0) dropped_frames, coalesce(sum(bufferingMs), 0) buffering_ms,
  max(latencyMs) latency_max_ms, approx_quantile(latencyMs, [0.5, 0.95, 0.99]) quantiles
 FROM {source} GROUP BY ALL)) ORDER BY session_id, window_start)
 TO '{args.out}' (FORMAT csv, HEADER true)""")
