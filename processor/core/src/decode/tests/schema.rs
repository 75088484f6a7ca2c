//! The decoder and the schemas of what comes in agree, both ways: whatever one member of a sample is
//! changed to, a record that its schema takes is accepted, and of a member that the decoder reads
//! nothing is accepted that the schema does not take.

use std::sync::LazyLock;

use ivs_schemas::contract::{CONTRACTS, Contract, Direction};
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::decode::{DecodeLimits, decode};
use kinesis_model::EpochMs;

/// The end of 2099: no event is ahead of it.
const ARRIVAL: EpochMs = EpochMs(4_102_444_799_999);

/// A kind with a sample of it.
struct Kind {
    contract: &'static Contract,
    validator: Validator,
    sample: Value,
    /// The members that its schema names.
    members: Vec<String>,
}

/// The kinds that are one flat object.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| kinds(false));
/// IVS's own, in the envelope of EventBridge. What one must hold depends on its detail, which its schema
/// does not tell.
static ENVELOPES: LazyLock<Vec<Kind>> = LazyLock::new(|| kinds(true));

fn kinds(in_envelope: bool) -> Vec<Kind> {
    let input = CONTRACTS.iter().filter(|contract| contract.direction == Direction::Input);
    input.filter(|one| one.name.starts_with("ivs-") == in_envelope).map(kind).collect()
}

fn kind(contract: &'static Contract) -> Kind {
    let schema = contract.schema();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/samples");
    let folder = std::path::Path::new(folder).join(contract.name);
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let sample: Value = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
    let members = schema["properties"].as_object().unwrap().keys().cloned().collect();
    Kind { contract, validator: jsonschema::validator_for(&schema).unwrap(), sample, members }
}

fn is_accepted(record: &Value) -> bool {
    decode(record.to_string().as_bytes(), ARRIVAL, &DecodeLimits::default()).is_ok()
}

fn number() -> impl Strategy<Value = Value> {
    let edges = [
        0_i64,
        1,
        -1,
        4_294_967,
        4_294_967_295,
        4_294_967_296,
        946_684_799_999,
        946_684_800_000,
        1_000_000_000_000,
        1_000_000_000_001,
        -1_000_000_000_000,
        4_102_444_799_999,
        4_102_444_800_000,
    ];
    prop_oneof![
        select(edges.to_vec()).prop_map(Value::from),
        (-20_000_000_i64..20_000_000).prop_map(|thousandths| json!(thousandths as f64 / 1_000.0)),
        (946_000_000_000_i64..4_103_000_000_000).prop_map(Value::from),
        select(vec![1e300, -1e-9, -1e-300, -0.0, 1e-9]).prop_map(|edge| json!(edge)),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let words =
        ["", "x", "PLAYING", "stalled", "MESSAGE", "EVENT", "NaN", "-Infinity", "1e3", "007"];
    let zeros = ["0", "-0", "-0.0", "-00", "-0.0000001", "-0.0000010", "0.0000001"];
    prop_oneof![
        select([&words[..], &zeros].concat()).prop_map(str::to_owned),
        "(-|)[1-9][0-9]{0,4}(\\.[0-9]{1,6}|)",
        (946_000_000_000_i64..4_103_000_000_000).prop_map(|ms| ms.to_string()),
        "20[1-8][0-9]-(0[1-9]|1[0-4])-[0-2][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9}|)(Z|z|\\+09:00|-05:30|)",
        "[a-z\u{e9}\u{65e5}]{250,260}",
        Just("y".repeat(5_000)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => select(vec![json!(null), json!(true), json!([]), json!({}), json!([1])]),
        4 => number(),
        4 => text().prop_map(Value::String),
    ]
}

/// Returns a sample of each kind.
pub(super) fn samples() -> Vec<Value> {
    KINDS.iter().chain(ENVELOPES.iter()).map(|kind| kind.sample.clone()).collect()
}

/// Samples of all kinds with one member changed: some are accepted, some are not.
pub(super) fn records() -> impl Strategy<Value = Value> {
    (select(samples()), any::<Index>(), prop::option::of(value())).prop_map(
        |(mut record, member, value)| {
            let object = record.as_object_mut().unwrap();
            let names: Vec<String> = object.keys().cloned().collect();
            let name = member.get(&names);
            match value {
                Some(value) => object.insert(name.clone(), value),
                None => object.remove(name),
            };
            record
        },
    )
}

#[test]
fn the_samples_are_accepted() {
    for Kind { contract, sample, members, .. } in KINDS.iter().chain(ENVELOPES.iter()) {
        assert!(is_accepted(sample), "{}", contract.name);
        assert!(members.len() > 3, "{}", contract.name);
    }
    assert!(ENVELOPES.len() > 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_192))]

    #[test]
    fn a_record_is_accepted_if_its_schema_takes_it_and_only_then(
        kind in any::<Index>(),
        member in any::<Index>(),
        value in prop::option::of(value()),
    ) {
        let kind = kind.get(&KINDS);
        let member = member.get(&kind.members);
        let changed = |value: Option<Value>| {
            let mut record = kind.sample.clone();
            let members = record.as_object_mut().unwrap();
            match value {
                Some(value) => members.insert(member.clone(), value),
                None => members.remove(member),
            };
            record
        };
        let is_read = !is_accepted(&changed(Some(json!([[]]))));
        let record = changed(value);
        // Another type is another kind.
        prop_assume!(!matches!(member.as_str(), "type" | "eventType" | "metric_type"));
        let (is_valid, accepted) = (kind.validator.is_valid(&record), is_accepted(&record));
        if is_read {
            prop_assert_eq!(accepted, is_valid, "{}", record);
        } else {
            prop_assert!(accepted || !is_valid, "{}", record);
        }
    }
}
