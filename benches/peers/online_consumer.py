"""A plain consumer as tutorials have it: boto3, json.loads, a dict of windows, a put_item for each.

No duplicates are dropped, no rejects kept and no sketches made; a crash counts records twice or loses them.
online_consumer.py --endpoint-url URL --stream NAME --table NAME --records N
"""
import argparse
import decimal
import json
import time

import boto3

FLUSH_S = 5

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--endpoint-url", required=True)
parser.add_argument("--stream", required=True)
parser.add_argument("--table", required=True)
parser.add_argument("--records", type=int, required=True)
args = parser.parse_args()
kinesis = boto3.client("kinesis", endpoint_url=args.endpoint_url)
table = boto3.resource("dynamodb", endpoint_url=args.endpoint_url).Table(args.table)
windows, changed, bad = {}, set(), 0


def minute(stamp):
    if isinstance(stamp, (int, float)):
        return int(stamp) // 60_000 * 60
    return int(time.mktime(time.strptime(stamp[:16], "%Y-%m-%dT%H:%M")) - time.timezone)


def process(data):
    session, stamp = data["sessionId"], data["timestamp"]
    key = session, minute(stamp)
    window = windows.setdefault(key, {
        "records": 0, "bitrateSum": 0, "frameRateSum": 0.0, "bufferingMs": 0, "latencies": [], "players": set(),
        "currentViewers": None, "viewersAt": "", "chat": 0})
    changed.add(key)
    window["records"] += 1
    window["bitrateSum"] += data.get("bitrate", 0)
    window["frameRateSum"] += data.get("frameRate", 0)
    if "playerId" in data:
        window["players"].add(data["playerId"])
        window["bufferingMs"] += data.get("bufferingMs", 0)
        window["latencies"].append(data.get("latencyMs", 0))
    elif str(stamp) >= window["viewersAt"]:
        window["currentViewers"], window["viewersAt"] = data.get("currentViewers"), str(stamp)
        window["chat"] += data.get("chatMessagesPerMinute", 0)


def flush():
    for key in changed:
        window = windows[key]
        latencies = sorted(window["latencies"])
        rank = lambda p: latencies[int(p * (len(latencies) - 1))] if latencies else 0
        number = lambda value: decimal.Decimal(str(value or 0))
        table.put_item(Item={
            "sessionId": key[0], "metricTimestamp": key[1], "records": window["records"],
            "bitrate": number(window["bitrateSum"] / window["records"]),
            "frameRate": number(round(window["frameRateSum"] / window["records"], 3)),
            "bufferingMs": window["bufferingMs"], "activePlayers": len(window["players"]),
            "currentViewers": number(window["currentViewers"]), "chatMessages": window["chat"],
            "latencyP50Ms": rank(0.5), "latencyP95Ms": rank(0.95), "latencyP99Ms": rank(0.99)})
    changed.clear()


iterators = {}
for shard in kinesis.list_shards(StreamName=args.stream)["Shards"]:
    iterators[shard["ShardId"]] = kinesis.get_shard_iterator(
        StreamName=args.stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
read, flushed = 0, time.monotonic()
while read < args.records:
    for shard, iterator in iterators.items():
        answer = kinesis.get_records(ShardIterator=iterator, Limit=1_000)
        iterators[shard] = answer["NextShardIterator"]
        for record in answer["Records"]:
            read += 1
            try:
                data = json.loads(record["Data"])
                if "timestamp" in data:
                    process(data)
            except (ValueError, KeyError, TypeError):
                bad += 1
        if time.monotonic() - flushed >= FLUSH_S:
            flush()
            flushed = time.monotonic()
flush()
