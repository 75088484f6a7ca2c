//! Every sample is valid, and every schema refuses broken ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use ivs_schemas::contract::{CONTRACTS, Contract, Direction, Mark, contract_of};
use ivs_schemas::names;
use jsonschema::Validator;
use serde_json::{Value, json};

fn samples(contract: &Contract) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(contract.name);
    let mut samples: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            (path.display().to_string(), serde_json::from_str(&text).unwrap())
        })
        .collect();
    samples.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(!samples.is_empty(), "{} has no sample", contract.name);
    samples
}

fn validator(contract: &Contract) -> Validator {
    jsonschema::draft202012::new(&contract.schema()).unwrap()
}

/// `original` with one member, at the top or inside `detail` or `summary`, changed by `change`.
fn variants(original: &Value, change: impl Fn(&mut Value)) -> Vec<(String, Value)> {
    let mut variants = Vec::new();
    for (key, member) in original.as_object().unwrap() {
        let mut variant = original.clone();
        change(&mut variant[key]);
        variants.push((key.clone(), variant));
        if let ("detail" | "summary", Some(inner)) = (key.as_str(), member.as_object()) {
            for inner_key in inner.keys() {
                let mut variant = original.clone();
                change(&mut variant[key][inner_key]);
                variants.push((format!("{key}.{inner_key}"), variant));
            }
        }
    }
    variants
}

#[test]
fn every_sample_is_valid_and_recognized() {
    for contract in CONTRACTS {
        let validator = validator(contract);
        for (path, sample) in samples(contract) {
            if let Err(error) = validator.validate(&sample) {
                panic!("{path}: {error}");
            }
            if contract.direction == Direction::Input {
                assert_eq!(contract_of(&sample).map(|c| c.name), Some(contract.name), "{path}");
            }
        }
    }
}

#[test]
fn a_member_of_the_wrong_type_is_refused() {
    for contract in CONTRACTS.iter().filter(|c| c.name != "ivs-event") {
        let validator = validator(contract);
        let schema = contract.schema();
        let described = |path: &str| {
            let member = path.split('.').next().unwrap();
            schema["properties"].get(member).is_some()
        };
        for (path, sample) in samples(contract) {
            // No member anywhere is a list of lists.
            let broken = variants(&sample, |value| *value = json!([[]]));
            for (member, broken) in broken.into_iter().filter(|(member, _)| described(member)) {
                assert!(!validator.is_valid(&broken), "{path}: {member}");
            }
        }
    }
}

#[test]
fn every_schema_refuses_an_object_without_its_required_members() {
    for contract in CONTRACTS {
        let validator = validator(contract);
        let schema = contract.schema();
        let required = schema["required"].as_array().unwrap();
        let (path, sample) = samples(contract).remove(0);
        assert!(!required.is_empty(), "{}", contract.name);
        for name in required {
            let mut broken = sample.clone();
            broken.as_object_mut().unwrap().remove(name.as_str().unwrap()).unwrap();
            assert!(!validator.is_valid(&broken), "{path} without {name}");
        }
    }
}

#[test]
fn negative_and_huge_numbers_are_refused_in_input() {
    for contract in CONTRACTS.iter().filter(|c| c.direction == Direction::Input) {
        let validator = validator(contract);
        for (path, sample) in samples(contract) {
            for bad in [json!(-5), json!(1e13)] {
                let numbers = variants(&sample, |value| {
                    if value.is_number() {
                        *value = bad.clone();
                    }
                });
                for (member, broken) in numbers.into_iter().filter(|(_, v)| *v != sample) {
                    // A latency below zero is left out and costs no record.
                    let latency = ["latencyMs", "live_latency_ms", "live_latency_sec"];
                    let free = contract.name == "ivs-event"
                        || (bad == json!(-5) && latency.contains(&member.as_str()));
                    assert!(free || !validator.is_valid(&broken), "{path}: {member} = {bad}");
                }
            }
        }
    }
}

#[test]
fn unknown_members_are_allowed_and_null_means_absent() {
    for contract in CONTRACTS {
        let validator = validator(contract);
        let schema = contract.schema();
        let required = schema["required"].as_array().unwrap();
        let (path, sample) = samples(contract).remove(0);
        let mut extended = sample.clone();
        extended["aMemberOfTomorrow"] = json!({ "any": ["thing"] });
        assert!(validator.is_valid(&extended), "{path}");
        if contract.direction == Direction::Input {
            for (key, _) in sample.as_object().unwrap() {
                let mut nulled = sample.clone();
                nulled[key] = Value::Null;
                // A room is required, under one name or another.
                let optional = !required.contains(&json!(key)) && key != "room_arn";
                assert_eq!(validator.is_valid(&nulled), optional, "{path}: {key}");
            }
        }
    }
}

#[test]
fn every_detail_type_with_a_schema_is_sampled() {
    let known = names::CHANNEL_DETAIL_TYPES.iter().chain(names::STAGE_DETAIL_TYPES);
    for detail_type in known.filter(|t| **t != names::PUBLISHER_RECORDING_STATE_CHANGE) {
        let mark = Mark::Text("detail-type", detail_type);
        assert!(CONTRACTS.iter().any(|c| c.mark == mark), "{detail_type}");
    }
}

#[test]
fn every_known_event_name_is_sampled() {
    let mut count = 0;
    for contract in CONTRACTS {
        let schema = contract.schema();
        let mut known = Vec::new();
        collect_names(&schema, &mut known);
        let samples = samples(contract);
        count += known.len();
        for name in known {
            let seen = samples.iter().any(|(_, s)| {
                s["detail"]
                    .as_object()
                    .is_some_and(|detail| detail.values().any(|value| *value == name))
            });
            assert!(seen, "{}: no sample with {name}", contract.name);
        }
    }
    // 7 + 2 + 4 + 4 + 1 of channels and 6 + 7 + 4 of stages.
    assert_eq!(count, 35);
}

/// Every text that the schema lists for `event_name`, `limit_name` or `recording_status`.
fn collect_names(schema: &Value, names: &mut Vec<Value>) {
    let definitions = schema["$defs"].as_object().into_iter().flat_map(|defs| defs.values());
    for definition in definitions {
        for field in ["event_name", "limit_name", "recording_status"] {
            collect_constants(&definition["properties"][field], names);
        }
    }
}

fn collect_constants(schema: &Value, constants: &mut Vec<Value>) {
    if let Some(constant) = schema.get("const") {
        constants.push(constant.clone());
    }
    for choice in ["anyOf", "oneOf"] {
        for alternative in schema[choice].as_array().into_iter().flatten() {
            collect_constants(alternative, constants);
        }
    }
}
