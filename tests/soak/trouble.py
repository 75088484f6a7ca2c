"""What happens to the fleet meanwhile, in an order that a seed decides."""
import os

from endpoint import STREAM

KILL_EVERY_S = 20
RESHARD_EVERY_S = 30
# Each of the two is away once in every such period, one after the other.
OUTAGES_EVERY_S = 60
AWAY_S = 15
MIN_SHARDS, MAX_SHARDS = 3, 10
HASH_KEYS = 2**128


def schedule(seconds):
    """Returns what to do when, in seconds of the run: all of it over some time before the end."""
    steps = [(at, "kill") for at in range(KILL_EVERY_S, seconds, KILL_EVERY_S)]
    steps += [(at, "reshard") for at in range(RESHARD_EVERY_S // 2, seconds, RESHARD_EVERY_S)]
    for begin in range(0, seconds, OUTAGES_EVERY_S):
        for at, what in ((begin + 7, "cloudwatch"), (begin + 37, "archive")):
            if at + AWAY_S < seconds:
                steps += [(at, f"{what} away"), (at + AWAY_S, f"{what} back")]
    return sorted(steps)


class Trouble:
    """Does the steps."""

    def __init__(self, endpoint, fleet, random):
        self.endpoint, self.fleet, self.random = endpoint, fleet, random
        self.folder = os.path.join(fleet.folder, "archive", STREAM)
        self.counts = dict.fromkeys(("kill", "split", "merge", "cloudwatch away", "archive away"), 0)

    def do(self, step):
        """Does one step."""
        if step == "kill":
            self.fleet.kill_one(self.random)
        elif step == "reshard":
            step = self.reshard()
        elif step == "cloudwatch away":
            self.endpoint.fault({"operation": "PutMetricData", "kind": "error"})
        elif step == "cloudwatch back":
            self.endpoint.clear_faults()
        elif step == "archive away":
            self.archive_away()
        elif step == "archive back":
            self.archive_back()
        if step in self.counts:
            self.counts[step] += 1

    def open_shards(self):
        """Returns the ids of the open shards with the first of their hash keys, in order."""
        shards = self.endpoint.kinesis("ListShards", StreamName=STREAM)["Shards"]
        is_open = (shard for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"])
        return sorted((int(shard["HashKeyRange"]["StartingHashKey"]), shard["ShardId"]) for shard in is_open)

    def reshard(self):
        """Splits a shard or merges two; says which, or `None` while the stream still changes."""
        summary = self.endpoint.kinesis("DescribeStreamSummary", StreamName=STREAM)["StreamDescriptionSummary"]
        if summary["StreamStatus"] != "ACTIVE":
            return None
        shards = self.open_shards()
        is_split = len(shards) <= MIN_SHARDS or (len(shards) < MAX_SHARDS and self.random.random() < 0.5)
        at = self.random.randrange(len(shards) - (0 if is_split else 1))
        start, shard = shards[at]
        if is_split:
            end = shards[at + 1][0] if at + 1 < len(shards) else HASH_KEYS
            self.endpoint.kinesis("SplitShard", StreamName=STREAM, ShardToSplit=shard,
                                  NewStartingHashKey=str((start + end) // 2))
            return "split"
        self.endpoint.kinesis("MergeShards", StreamName=STREAM, ShardToMerge=shard, AdjacentShardToMerge=shards[at + 1][1])
        return "merge"

    def archive_away(self):
        """Puts a file where the folder is: that refuses everybody, the superuser too."""
        self.fleet.pause()
        os.makedirs(self.folder, exist_ok=True)
        os.rename(self.folder, self.folder + ".aside")
        with open(self.folder, "wb"):
            pass
        self.fleet.go_on()

    def archive_back(self):
        self.fleet.pause()
        os.remove(self.folder)
        os.rename(self.folder + ".aside", self.folder)
        self.fleet.go_on()
