//! ListShards, and the ends of shards that were split or merged.

use aws_sdk_kinesis::types::{Shard, ShardFilter, ShardFilterType};

use super::super::answers::{Wanted as _, said, said_of_bounds};
use super::super::{Case, Found, World};
use super::{FIRST, MIDDLE, entry, texts};

/// The middle of the first of two shards.
const QUARTER: u128 = 1 << 126;

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "ListShards",
        name: "the shards of a stream adjoin and cover all hash keys",
        expected: "3 shards cover everything",
        rule: "API_HashKeyRange: both ends are in it; a shard for each of the 2^128 hash keys",
        run: |world| Box::pin(ranges(world)),
    },
    Case {
        calls: "ListShards",
        name: "the shards of a stream split all hash keys evenly",
        expected: "0, 113427455640312821154458202477256070485, 226854911280625642308916404954512140970",
        rule: "API_DescribeStream, Examples: the ranges of a stream of three shards",
        run: |world| Box::pin(even_ranges(world)),
    },
    Case {
        calls: "ListShards",
        name: "a list of shards has pages, and the next needs the token alone",
        expected: "1 1 1; refused",
        rule: "API_ListShards, NextToken: \"Don't specify StreamName [..] if you specify NextToken\"",
        run: |world| Box::pin(list_pages(world)),
    },
    Case {
        calls: "ListShards",
        name: "a page of shards has 1 to 10,000",
        expected: "refused, taken, refused",
        rule: "API_ListShards, MaxResults: \"Minimum value of 1. Maximum value of 10000.\"",
        run: |world| Box::pin(bounds_of_page(world)),
    },
    Case {
        calls: "ListShards SplitShard",
        name: "filters choose shards: open ones, those behind an id, all",
        expected: "1 2 3; 2 3; 0 1 2 3",
        rule: "API_ShardFilter: AT_LATEST, AFTER_SHARD_ID, FROM_TRIM_HORIZON",
        run: |world| Box::pin(filters(world)),
    },
    Case {
        calls: "SplitShard ListShards DescribeStreamSummary",
        name: "a split closes the parent and names it in both children",
        expected: "3 shards, 2 open; 0 closed; 1 of 0, 2 of 0",
        rule: "API_SplitShard; API_Shard: ParentShardId; EndingSequenceNumber of closed shards",
        run: |world| Box::pin(split(world)),
    },
    Case {
        calls: "MergeShards ListShards",
        name: "a merge closes both parents and names them in the child",
        expected: "3 shards, 1 open; 2 of 0 and 1",
        rule: "API_MergeShards; API_Shard: ParentShardId and AdjacentParentShardId",
        run: |world| Box::pin(merge(world)),
    },
    Case {
        calls: "GetRecords SplitShard",
        name: "a split parent is read to its end, which names the children and has no iterator",
        expected: "a b; ends; 1 of 0, 2 of 0",
        rule: "API_GetRecords: NextShardIterator is null at the end of a closed shard; ChildShards",
        run: |world| Box::pin(end_of_split(world)),
    },
    Case {
        calls: "GetRecords MergeShards",
        name: "both parents of a merge end with the one child",
        expected: "a; 2 of 0+1 | b; 2 of 0+1",
        rule: "API_GetRecords, ChildShards; API_ChildShard: ParentShards",
        run: |world| Box::pin(end_of_merge(world)),
    },
    Case {
        calls: "PutRecords SplitShard",
        name: "after a split records go to the children",
        expected: "1 2; old | low | high",
        rule: "Guide, kinesis-using-sdk-java-after-resharding: puts to the parent go to the children",
        run: |world| Box::pin(puts_after_split(world)),
    },
    Case {
        calls: "SplitShard",
        name: "a shard is split inside its range only, and only once",
        expected: "InvalidArgumentException, InvalidArgumentException, taken, not again",
        rule: "API_SplitShard: the new starting hash key must be in the range; a CLOSED shard is not split",
        run: |world| Box::pin(wrong_splits(world)),
    },
];

/// Returns the last digit of a shard's id.
fn digit(id: &str) -> &str {
    &id[id.len().saturating_sub(1)..]
}

fn digits(shards: &[Shard]) -> String {
    shards.iter().map(|shard| digit(shard.shard_id())).collect::<Vec<_>>().join(" ")
}

/// Returns first and last hash key of each shard, in order.
fn hash_keys(shards: &[Shard]) -> Vec<(u128, u128)> {
    let ranges = shards.iter().filter_map(Shard::hash_key_range).filter_map(|range| {
        Some((range.starting_hash_key().parse().ok()?, range.ending_hash_key().parse().ok()?))
    });
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_unstable();
    ranges
}

fn is_open(shard: &Shard) -> bool {
    let range = shard.sequence_number_range();
    range.is_none_or(|range| range.ending_sequence_number().is_none())
}

/// Returns the parents of shards that have some.
fn lineage(shards: &[Shard]) -> String {
    let children = shards.iter().filter_map(|shard| {
        let parents =
            [shard.parent_shard_id()?].into_iter().chain(shard.adjacent_parent_shard_id());
        let mut parents: Vec<_> = parents.map(digit).collect();
        parents.sort_unstable();
        Some(format!("{} of {}", digit(shard.shard_id()), parents.join(" and ")))
    });
    children.collect::<Vec<_>>().join(", ")
}

async fn ranges(world: &World) -> Found {
    world.create_stream("ranges", 3).await?;
    let ranges = hash_keys(&world.shards("ranges").await?);
    let adjoin = ranges.windows(2).all(|two| two[0].1.checked_add(1) == Some(two[1].0));
    let ends = (ranges.first().map(|one| one.0), ranges.last().map(|one| one.1));
    if adjoin && ends == (Some(0), Some(u128::MAX)) {
        return Ok(format!("{} shards cover everything", ranges.len()));
    }
    Ok(format!("{ranges:?}"))
}

async fn even_ranges(world: &World) -> Found {
    world.create_stream("even", 3).await?;
    let starts = hash_keys(&world.shards("even").await?);
    Ok(starts.iter().map(|range| range.0.to_string()).collect::<Vec<_>>().join(", "))
}

async fn list_pages(world: &World) -> Found {
    world.create_stream("pages", 3).await?;
    let list = world.kinesis.list_shards().stream_name("pages").max_results(1);
    let mut page = list.send().await?;
    let (mut counts, mut both) = (vec![], "no second page".to_owned());
    while counts.len() < 9 {
        counts.push(page.shards().len().to_string());
        let Some(token) = page.next_token else { break };
        let list = world.kinesis.list_shards().next_token(&token).max_results(1);
        if counts.len() == 1 {
            both = said_of_bounds(&list.clone().stream_name("pages").send().await);
        }
        page = list.send().await?;
    }
    Ok(format!("{}; {both}", counts.join(" ")))
}

async fn bounds_of_page(world: &World) -> Found {
    world.create_stream("page-bounds", 1).await?;
    let mut codes = vec![];
    for most in [0, 10_000, 10_001] {
        let list = world.kinesis.list_shards().stream_name("page-bounds").max_results(most);
        codes.push(said_of_bounds(&list.send().await));
    }
    Ok(codes.join(", "))
}

async fn filters(world: &World) -> Found {
    world.create_stream("filters", 2).await?;
    world.split_first("filters", QUARTER).await?;
    let id = "shardId-000000000001";
    let after = ShardFilter::builder().r#type(ShardFilterType::AfterShardId).shard_id(id);
    let mut found = vec![];
    for filter in [
        ShardFilter::builder().r#type(ShardFilterType::AtLatest),
        after,
        ShardFilter::builder().r#type(ShardFilterType::FromTrimHorizon),
    ] {
        let list = world.kinesis.list_shards().stream_name("filters");
        let listed = list.shard_filter(filter.build()?).send().await?;
        found.push(digits(listed.shards()));
    }
    Ok(found.join("; "))
}

async fn split(world: &World) -> Found {
    world.create_stream("split", 1).await?;
    world.split_first("split", MIDDLE).await?;
    let shards = world.shards("split").await?;
    let described = world.kinesis.describe_stream_summary().stream_name("split").send().await?;
    let open = described.stream_description_summary.wanted("summary")?.open_shard_count;
    let closed: Vec<_> = shards.iter().filter(|shard| !is_open(shard)).cloned().collect();
    let (all, closed) = (shards.len(), digits(&closed));
    Ok(format!("{all} shards, {open} open; {closed} closed; {}", lineage(&shards)))
}

async fn merge_both(world: &World, stream: &str) -> Result<(), super::Failed> {
    let merge = world.kinesis.merge_shards().stream_name(stream).shard_to_merge(FIRST);
    merge.adjacent_shard_to_merge("shardId-000000000001").send().await?;
    world.wait_until_active(stream).await
}

async fn merge(world: &World) -> Found {
    world.create_stream("merge", 2).await?;
    merge_both(world, "merge").await?;
    let shards = world.shards("merge").await?;
    let open = shards.iter().filter(|shard| is_open(shard)).count();
    Ok(format!("{} shards, {open} open; {}", shards.len(), lineage(&shards)))
}

/// Returns the records of a shard and, at its end, its children with their parents.
async fn to_the_end(
    world: &World,
    stream: &str,
    shard: &str,
) -> Result<[String; 2], super::Failed> {
    let (records, last) = world.read(world.oldest(stream, shard).await?).await?;
    if last.next_shard_iterator.is_some() {
        return Ok([texts(&records), "goes on".to_owned()]);
    }
    let mut children: Vec<_> = last.child_shards.unwrap_or_default();
    children.sort_by(|a, b| a.shard_id.cmp(&b.shard_id));
    let shown = children.iter().map(|child| {
        let mut parents: Vec<_> = child.parent_shards.iter().map(|id| digit(id)).collect();
        parents.sort_unstable();
        format!("{} of {}", digit(&child.shard_id), parents.join("+"))
    });
    Ok([texts(&records), shown.collect::<Vec<_>>().join(", ")])
}

async fn end_of_split(world: &World) -> Found {
    world.create_stream("end", 1).await?;
    world.put_texts("end", 0, &["a", "b"]).await?;
    world.split_first("end", MIDDLE).await?;
    let [records, children] = to_the_end(world, "end", FIRST).await?;
    Ok(format!("{records}; ends; {children}"))
}

async fn end_of_merge(world: &World) -> Found {
    world.create_stream("merged", 2).await?;
    world.put_texts("merged", 0, &["a"]).await?;
    world.put_texts("merged", u128::MAX, &["b"]).await?;
    merge_both(world, "merged").await?;
    let mut found = vec![];
    for shard in [FIRST, "shardId-000000000001"] {
        found.push(to_the_end(world, "merged", shard).await?.join("; "));
    }
    Ok(found.join(" | "))
}

async fn puts_after_split(world: &World) -> Found {
    world.create_stream("after", 1).await?;
    world.put_texts("after", 0, &["old"]).await?;
    world.split_first("after", MIDDLE).await?;
    let entries = vec![entry(b"low", 1)?, entry(b"high", u128::MAX)?];
    let put = world.put_records("after").set_records(Some(entries)).send().await?;
    let shards = put.records.iter().map(|result| digit(result.shard_id().unwrap_or("none")));
    let shards: Vec<_> = shards.collect();
    let mut found = vec![];
    for shard in ["shardId-000000000000", "shardId-000000000001", "shardId-000000000002"] {
        let (records, _) = world.read(world.oldest("after", shard).await?).await?;
        found.push(texts(&records));
    }
    Ok(format!("{}; {}", shards.join(" "), found.join(" | ")))
}

async fn wrong_splits(world: &World) -> Found {
    world.create_stream("wrong-splits", 2).await?;
    let split = |hash_key: u128| {
        let split = world.kinesis.split_shard().stream_name("wrong-splits").shard_to_split(FIRST);
        split.new_starting_hash_key(hash_key.to_string()).send()
    };
    let mut codes = vec![];
    for hash_key in [0, MIDDLE + 9, QUARTER] {
        codes.push(said(&split(hash_key).await));
        world.wait_until_active("wrong-splits").await?;
    }
    let again = said_of_bounds(&split(QUARTER + 9).await);
    codes.push(match again.as_str() {
        // AWS's page names both for a shard that is closed.
        "ResourceInUseException" | "refused" => "not again".to_owned(),
        _ => again,
    });
    Ok(codes.join(", "))
}
