//! PutRecords.

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use super::super::answers::{Failed, Wanted as _, said_of_bounds};
use super::super::{Case, Found, World};
use super::{FIRST, MIDDLE, entry, texts};

/// The largest record that a stream takes unless it is told otherwise: data and partition key.
const RECORD_BYTES_MAX: usize = 1 << 20;

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "PutRecords",
        name: "results stand in the order of the entries",
        expected: "0 failed; 0 1 1 0 1",
        rule: "API_PutRecords: \"each record in the response array directly correlates\" with the request's",
        run: |world| Box::pin(order_of_results(world)),
    },
    Case {
        calls: "PutRecords GetRecords",
        name: "sequence numbers grow within a shard, and its records are read in their order",
        expected: "grow; a b c d",
        rule: "API_PutRecords: sequence numbers \"generally increase over time\"; always those of calls in turn",
        run: |world| Box::pin(sequence_numbers(world)),
    },
    Case {
        calls: "PutRecords",
        name: "a record goes to the shard of its partition key's MD5, or of its explicit hash key",
        expected: "1 0; 0 1",
        rule: "API_PutRecordsRequestEntry: MD5 maps the key to a 128-bit integer; ExplicitHashKey overrides",
        run: |world| Box::pin(routing(world)),
    },
    Case {
        calls: "PutRecords",
        name: "a put has 1 to 500 records",
        expected: "refused, taken, refused",
        rule: "API_PutRecords, Records: \"Minimum number of 1 item. Maximum number of 500 items.\"",
        run: |world| Box::pin(number_of_records(world)),
    },
    Case {
        calls: "PutRecords",
        name: "a record of 1 MiB with its partition key is taken, a larger one is refused",
        expected: "taken, refused",
        rule: "API_Record, Data: with the key \"must not exceed the maximum record size (1 MiB)\"",
        run: |world| Box::pin(size_of_record(world)),
    },
    Case {
        calls: "PutRecords",
        name: "a partition key has 1 to 256 letters",
        expected: "refused, taken, refused",
        rule: "API_PutRecordsRequestEntry, PartitionKey: \"Minimum length of 1. Maximum length of 256.\"",
        run: |world| Box::pin(partition_keys(world)),
    },
    Case {
        calls: "PutRecords",
        name: "an explicit hash key has 128 bits",
        expected: "taken, refused",
        rule: "API_PutRecordsRequestEntry, ExplicitHashKey: \"0|([1-9]\\d{0,38})\", a 128-bit integer",
        run: |world| Box::pin(hash_keys(world)),
    },
    Case {
        calls: "PutRecords GetRecords",
        name: "a record keeps its bytes and its key, and may be empty",
        expected: "[0, 255, 128] by é; [] by p",
        rule: "API_Record: Data of 0 to 10,485,760 bytes, \"opaque and immutable\"; PartitionKey",
        run: |world| Box::pin(contents(world)),
    },
];

/// Returns an entry without an explicit hash key.
fn keyed(data: &[u8], key: &str) -> Result<PutRecordsRequestEntry, Failed> {
    Ok(PutRecordsRequestEntry::builder().data(Blob::new(data)).partition_key(key).build()?)
}

/// Returns the last digit of each shard to which entries go.
async fn shards_of(
    world: &World,
    stream: &str,
    entries: Vec<PutRecordsRequestEntry>,
) -> Result<(i32, String), Failed> {
    let put = world.put_records(stream).set_records(Some(entries)).send().await?;
    let shards = put.records.iter().map(|result| match &result.shard_id {
        Some(shard) => &shard[shard.len() - 1..],
        None => result.error_code().unwrap_or("nothing"),
    });
    Ok((put.failed_record_count.unwrap_or(0), shards.collect::<Vec<_>>().join(" ")))
}

async fn order_of_results(world: &World) -> Found {
    world.create_stream("results", 2).await?;
    let entries = [0, u128::MAX, MIDDLE + 9, 9, u128::MAX].map(|hash_key| entry(b"x", hash_key));
    let entries = entries.into_iter().collect::<Result<_, _>>()?;
    let (failed, shards) = shards_of(world, "results", entries).await?;
    Ok(format!("{failed} failed; {shards}"))
}

async fn sequence_numbers(world: &World) -> Found {
    world.create_stream("sequence", 1).await?;
    let entries = [b"a", b"b"].map(|data| entry(data, 0));
    let entries = entries.into_iter().collect::<Result<_, _>>()?;
    let put = world.put_records("sequence").set_records(Some(entries)).send().await?;
    let mut numbers: Vec<String> =
        put.records.into_iter().filter_map(|result| result.sequence_number).collect();
    numbers.extend(world.put_texts("sequence", 7, &["c", "d"]).await?);
    // They are decimals of unequal lengths.
    let by_size = |number: &String| (number.len(), number.clone());
    let grow = numbers.len() == 4 && numbers.is_sorted_by(|a, b| by_size(a) < by_size(b));
    let (records, _) = world.read(world.oldest("sequence", FIRST).await?).await?;
    let grow = if grow { "grow".to_owned() } else { format!("{numbers:?}") };
    Ok(format!("{grow}; {}", texts(&records)))
}

async fn routing(world: &World) -> Found {
    world.create_stream("routing", 2).await?;
    // MD5 of "b" is 92eb5ffe…, that of "a" is 0cc175b9….
    let hashed = vec![keyed(b"x", "b")?, keyed(b"x", "a")?];
    let (_, hashed) = shards_of(world, "routing", hashed).await?;
    let explicit = vec![entry(b"x", 1)?, entry(b"x", u128::MAX)?];
    let (_, explicit) = shards_of(world, "routing", explicit).await?;
    Ok(format!("{hashed}; {explicit}"))
}

async fn number_of_records(world: &World) -> Found {
    world.create_stream("numbers", 1).await?;
    let mut codes = vec![];
    for count in [0, 500, 501] {
        let entries = vec![entry(b"x", 0)?; count];
        let put = world.put_records("numbers").set_records(Some(entries)).send().await;
        codes.push(said_of_bounds(&put));
    }
    Ok(codes.join(", "))
}

async fn size_of_record(world: &World) -> Found {
    world.create_stream("sizes", 1).await?;
    let mut codes = vec![];
    // The key is one letter long.
    for bytes in [RECORD_BYTES_MAX - 1, RECORD_BYTES_MAX + 1] {
        let put = world.put_records("sizes").records(entry(&vec![b'x'; bytes], 0)?).send().await;
        codes.push(said_of_bounds(&put));
    }
    Ok(codes.join(", "))
}

async fn partition_keys(world: &World) -> Found {
    world.create_stream("keys", 1).await?;
    let mut codes = vec![];
    for letters in [0, 256, 257] {
        let put = world.put_records("keys").records(keyed(b"x", &"k".repeat(letters))?);
        codes.push(said_of_bounds(&put.send().await));
    }
    Ok(codes.join(", "))
}

async fn hash_keys(world: &World) -> Found {
    world.create_stream("hash-keys", 1).await?;
    let mut codes = vec![];
    for hash_key in [u128::MAX.to_string(), "340282366920938463463374607431768211456".to_owned()] {
        let entry = PutRecordsRequestEntry::builder().data(Blob::new(b"x")).partition_key("p");
        let put =
            world.put_records("hash-keys").records(entry.explicit_hash_key(hash_key).build()?);
        codes.push(said_of_bounds(&put.send().await));
    }
    Ok(codes.join(", "))
}

async fn contents(world: &World) -> Found {
    world.create_stream("contents", 1).await?;
    let entries = vec![keyed(&[0, 255, 128], "é")?, entry(b"", 0)?];
    world.put_records("contents").set_records(Some(entries)).send().await?;
    let (records, _) = world.read(world.oldest("contents", FIRST).await?).await?;
    let shown = records.iter().map(|record| {
        let key = record.partition_key.as_deref().unwrap_or("no key");
        format!("{:?} by {key}", record.data.as_ref())
    });
    let shown: Vec<_> = shown.collect();
    (!shown.is_empty()).then(|| shown.join("; ")).wanted("record")
}
