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
        // No 29th of February: that there is one in some years a pattern cannot say.
        "20[1-8][0-9]-(0[1-9]|1[0-4])-([01][0-9]|2[0-8])T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9}|)(Z|z|\\+09:00|-05:30|)",
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

/// Returns an event of IVS with another member, at the top or, where `member` is not one of there, in
/// its detail.
fn event_with(kind: &Kind, member: &str, value: Option<Value>) -> Value {
    let mut record = kind.sample.clone();
    let is_on_top = kind.members.iter().any(|name| name == member);
    let object = if is_on_top { &mut record } else { &mut record["detail"] };
    match value {
        Some(value) => object[member] = value,
        None => drop(object.as_object_mut().unwrap().remove(member)),
    }
    record
}

/// Returns the members of an event and of its detail, as its schema and its sample name them.
fn event_members(kind: &Kind) -> Vec<String> {
    let schema = kind.contract.schema();
    let details = schema["$defs"].as_object().into_iter().flat_map(|all| all.values());
    let details = details.filter_map(|detail| detail["properties"].as_object());
    let named = details.flat_map(|members| members.keys().cloned());
    let sampled = kind.sample["detail"].as_object().unwrap().keys().cloned();
    kind.members.iter().cloned().chain(named).chain(sampled).collect()
}

/// Values of lists, of which events have some.
fn list() -> impl Strategy<Value = Value> {
    let arn = || "arn:aws:ivs:us-west-2:111122223333:channel/[a-z]{0,1}".prop_map(Value::String);
    proptest::collection::vec(prop_oneof![value(), arn()], 0..3).prop_map(Value::Array)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_192))]

    /// Not the other way round: the decoder does without much that EventBridge always sends.
    #[test]
    fn an_event_of_ivs_that_its_schema_takes_is_accepted(
        kind in any::<Index>(),
        member in any::<Index>(),
        value in prop::option::of(prop_oneof![value(), list()]),
    ) {
        let kind = kind.get(&ENVELOPES);
        let members = event_members(kind);
        let member: &String = member.get(&members);
        let record = event_with(kind, member, value);
        let (is_valid, accepted) = (kind.validator.is_valid(&record), is_accepted(&record));
        prop_assert!(accepted || !is_valid, "{}", record);
    }
}

/// Texts and lists by which an event is told apart and kept have a smallest and a largest size.
#[test]
fn schema_and_decoder_agree_on_the_bounds_of_what_names_an_event() {
    let (most, beyond) = (json!("\u{e9}".repeat(256)), json!("x".repeat(257)));
    let arn = "arn:aws:ivs:us-west-2:111122223333:channel/";
    let many = |count| json!(vec![format!("{arn}c"); count]);
    for (name, member, value, is_right) in [
        ("ivs-limit-breach", "limit_name", json!(""), false),
        ("ivs-limit-breach", "limit_name", json!(null), false),
        ("ivs-limit-breach", "limit_name", beyond.clone(), false),
        ("ivs-limit-breach", "limit_name", most.clone(), true),
        // The registry's spelling of the same, where both are there.
        ("ivs-limit-breach", "limit", json!(null), true),
        ("ivs-limit-breach", "resources", json!([]), true),
        ("ivs-event", "detail-type", json!(""), false),
        ("ivs-event", "detail-type", beyond.clone(), false),
        ("ivs-event", "detail-type", most.clone(), true),
        ("ivs-event", "resources", json!([]), true),
        ("ivs-event", "resources", json!([""]), false),
        ("ivs-stream-state-change", "resources", json!([]), false),
        ("ivs-stream-state-change", "resources", json!([arn]), false),
        ("ivs-stream-state-change", "resources", json!([beyond]), false),
        ("ivs-stream-state-change", "resources", many(2_000), true),
        ("ivs-stream-state-change", "resources", many(2_001), false),
        ("ivs-recording-state-change", "recording_session_stream_ids", json!([""]), false),
        ("ivs-recording-state-change", "recording_session_stream_ids", json!([beyond]), false),
        ("ivs-recording-state-change", "recording_session_stream_ids", json!([most]), true),
        ("ivs-stream-health-change", "stream_id", json!(""), false),
        ("ivs-ad-break-state-change", "duration_seconds", json!(-1e-300), false),
        ("ivs-ad-break-state-change", "duration_seconds", json!(-0.0), true),
    ] {
        let kind = ENVELOPES.iter().find(|kind| kind.contract.name == name).unwrap();
        let record = event_with(kind, member, Some(value));
        assert_eq!(kind.validator.is_valid(&record), is_right, "schema: {record}");
        assert_eq!(is_accepted(&record), is_right, "decoder: {record}");
    }
}
