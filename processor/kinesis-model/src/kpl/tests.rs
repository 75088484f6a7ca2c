use bytes::Bytes;
use md5::{Digest, Md5};
use proptest::prelude::*;

use super::{
    Aggregate, BrokenAggregate, ForeignRecord, MAGIC, UserRecord, aggregate, check_range,
    deaggregate, hash_key,
};
use crate::HashRange;

/// MD5 of `p-1`.
const HASH_P1: u128 = 150_200_237_298_977_638_440_930_538_722_021_485_553;

/// The aggregate that the Python package `aws-kinesis-agg` 1.2.3 makes of ("p-1", none, `{"a":1}`),
/// ("p-2", 2^128 - 1, `{"a":2}`) and ("p-1", 0, `{"a":3}`).
const FOREIGN: &str = "f3899ac20a03702d310a03702d3212273334303238323336363932303933383436333436333337\
    343630373433313736383231313435351201301a0b08001a077b2261223a317d1a0d080110001a077b2261223a327d\
    1a0d080010011a077b2261223a337d740fa046c33531fbd1e5d716fa903b13";

fn from_hex(text: &str) -> Bytes {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// Returns an aggregate of any message, with the right checksum.
fn sealed(message: &[u8]) -> Bytes {
    [&MAGIC, message, &Md5::digest(message)[..]].concat().into()
}

fn records(data: &Bytes) -> Vec<UserRecord> {
    match deaggregate(data) {
        Aggregate::Records(records) => records,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_aggregate_of_another_producer() {
    let record = |sub, key: &str, explicit, hash_key, data: &'static str| UserRecord {
        sub,
        partition_key: key.into(),
        explicit_hash_key: explicit,
        hash_key,
        data: data.into(),
    };
    let expected = [
        record(0, "p-1", None, HASH_P1, r#"{"a":1}"#),
        record(1, "p-2", Some(u128::MAX), u128::MAX, r#"{"a":2}"#),
        record(2, "p-1", Some(0), 0, r#"{"a":3}"#),
    ];
    assert_eq!(records(&from_hex(FOREIGN)), expected);
}

#[test]
fn our_aggregates_are_byte_for_byte_theirs() {
    let ours = aggregate(&[
        ("p-1", None, br#"{"a":1}"#),
        ("p-2", Some(u128::MAX), br#"{"a":2}"#),
        ("p-1", Some(0), br#"{"a":3}"#),
    ]);
    assert_eq!(Bytes::from(ours), from_hex(FOREIGN));
}

#[test]
fn payloads_are_shared_with_the_aggregate() {
    let data = from_hex(FOREIGN);
    let bounds = data.as_ptr_range();
    for record in records(&data) {
        assert!(bounds.contains(&record.data.as_ptr()));
    }
}

#[test]
fn what_is_no_aggregate_is_plain() {
    let good = from_hex(FOREIGN);
    let mut flipped = good.to_vec();
    flipped[10] ^= 1;
    for data in [
        Bytes::new(),
        Bytes::from_static(&MAGIC[..3]),
        Bytes::from_static(&MAGIC),
        Bytes::from_static(b"{\"a\":1}"),
        good.slice(..good.len() - 1),
        good.slice(1..),
        flipped.into(),
    ] {
        assert_eq!(deaggregate(&data), Aggregate::Plain, "{data:?}");
    }
}

#[test]
fn a_sealed_message_with_wrong_content_is_broken() {
    for (message, detail) in [
        (
            &b"\x1a\x04\x08\x00\x1a\x00"[..],
            "user record 0 refers to a partition key that does not exist",
        ),
        (
            b"\x0a\x01k\x1a\x06\x08\x00\x10\x00\x1a\x00",
            "user record 0 refers to a hash key that does not exist",
        ),
        (b"\x0a\x01k\x1a\x02\x1a\x00", "user record 0 has no partition key"),
        (b"\x0a\x01k\x1a\x02\x08\x00", "user record 0 has no data"),
        (b"\x0a\x01\xff", "a partition key is not UTF-8"),
        (b"\x12\x02-1", "an explicit hash key is no 128-bit number"),
        (b"\x12\x00", "an explicit hash key is no 128-bit number"),
        (
            b"\x12\x27340282366920938463463374607431768211456",
            "an explicit hash key is no 128-bit number",
        ),
        (b"\x08\x01", "field 1 has the wrong wire type"),
        (b"\x1a\x03\x0a\x01k", "record field 1 has the wrong wire type"),
        (b"\x0a\x05k", "the message ends inside a field"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01k", "the message ends inside a field"),
        (b"\x21\x00", "the message ends inside a field"),
        (b"\x23", "the message has a wire type that proto2 records do not use"),
        (b"\x02\x00", "the message has a field number 0"),
        (b"\x80", "the message has a malformed varint"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "the message has a malformed varint"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", "the message has a malformed varint"),
    ] {
        let expected = BrokenAggregate(detail.into());
        assert_eq!(deaggregate(&sealed(message)), Aggregate::Broken(expected), "{message:?}");
    }
}

#[test]
fn an_aggregate_without_user_records_is_broken() {
    let empty = Aggregate::Broken(BrokenAggregate("no user records".into()));
    // Nothing at all, keys alone, an unknown field alone.
    for message in [&b""[..], b"\x0a\x01k\x12\x017", b"\x28\x05"] {
        assert_eq!(deaggregate(&sealed(message)), empty, "{message:?}");
    }
}

#[test]
fn unknown_fields_and_late_tables_are_fine() {
    // Record first, with a tag (field 4), then its key, then fields of every wire type.
    let message =
        b"\x1a\x08\x08\x00\x1a\x01x\x22\x01t\x0a\x01k\x28\x05\x31abcdefgh\x3dabcd\x42\x00";
    let [record] = &records(&sealed(message))[..] else {
        panic!("one record is expected");
    };
    assert_eq!((&*record.partition_key, &record.data[..]), ("k", &b"x"[..]));
}

#[test]
fn the_number_of_user_records_is_bounded() {
    let message =
        |count: usize| [b"\x0a\x01k".to_vec(), b"\x1a\x04\x08\x00\x1a\x00".repeat(count)].concat();
    assert_eq!(records(&sealed(&message(1 << 18))).len(), 1 << 18);
    let Aggregate::Broken(broken) = deaggregate(&sealed(&message((1 << 18) + 1))) else {
        panic!("it has too many");
    };
    assert_eq!(broken.to_string(), "more than 262144 user records");
}

#[test]
fn one_record_out_of_range_condemns_the_aggregate() {
    let records = records(&from_hex(FOREIGN));
    assert_eq!(check_range(&records, &HashRange::ALL), Ok(()));
    assert_eq!(check_range(&records[..1], &HashRange { start: HASH_P1, end: HASH_P1 }), Ok(()));
    let below = HashRange { start: 0, end: HASH_P1 };
    assert_eq!(check_range(&records, &below), Err(ForeignRecord { sub: 1 }));
}

/// Keys, explicit hash keys and payloads.
fn any_records() -> impl Strategy<Value = Vec<(String, Option<u128>, Vec<u8>)>> {
    let record = ("[a-c]{1,2}|\\PC{1,300}", any::<Option<u128>>(), any::<Vec<u8>>());
    prop::collection::vec(record, 0..20)
}

proptest! {
    #[test]
    fn aggregates_round_trip(records in any_records()) {
        let input: Vec<_> = records.iter().map(|(k, e, d)| (k.as_str(), *e, &d[..])).collect();
        let output = match deaggregate(&aggregate(&input).into()) {
            Aggregate::Records(output) => output,
            other => {
                let empty = Aggregate::Broken(BrokenAggregate("no user records".into()));
                prop_assert_eq!((other, input.len()), (empty, 0));
                return Ok(());
            }
        };
        prop_assert_eq!(output.len(), records.len());
        for (at, (record, (key, explicit, data))) in output.iter().zip(&records).enumerate() {
            prop_assert_eq!(record.sub, at as u64);
            prop_assert_eq!(&*record.partition_key, key.as_str());
            prop_assert_eq!(record.explicit_hash_key, *explicit);
            prop_assert_eq!(record.hash_key, explicit.unwrap_or_else(|| hash_key(key)));
            prop_assert_eq!(&record.data[..], &data[..]);
        }
    }

    #[test]
    fn no_message_makes_it_panic(message in any::<Vec<u8>>()) {
        prop_assert_ne!(deaggregate(&sealed(&message)), Aggregate::Plain);
    }
}
