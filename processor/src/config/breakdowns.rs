//! The lists by which rows are broken down.

use std::sync::Arc;

use ivs_core::experience::{AllowLists, Dimension, Dimensions, MAX_VALUE_BYTES};

/// Returns the dimensions of these lists, shared where they are the default ones.
pub(super) fn dimensions(lists: &AllowLists) -> Arc<Dimensions> {
    let shared = Dimensions::shared();
    if shared.lists() == lists { shared } else { Arc::new(Dimensions::new(lists.clone())) }
}

/// Most values of a dimension: with six of as many a row's breakdown stays below 40 KB, a tenth of
/// what DynamoDB allows.
const MAX_VALUES: usize = 100;

/// Returns what is wrong with the lists.
pub(super) fn problems(lists: &AllowLists) -> Vec<String> {
    let mut problems = Vec::new();
    for dimension in Dimension::ALL {
        let (name, values) = (key_of(dimension), lists.values(dimension));
        if values.len() > MAX_VALUES {
            problems.push(format!(
                "breakdowns.{name} has {} values, the limit is {MAX_VALUES}: list those that you \
                 would look at, the rest is counted as other",
                values.len()
            ));
        }
        for value in values {
            if value.is_empty() || value.len() > MAX_VALUE_BYTES {
                problems.push(format!(
                    "breakdowns.{name} has `{value}`: a value is 1 to {MAX_VALUE_BYTES} bytes long"
                ));
            }
        }
    }
    problems
}

/// Returns the dimensions of these keys, each once, in the order of rows; what is none is left out.
pub(crate) fn chosen(keys: &[String]) -> Vec<Dimension> {
    let is_chosen = |dimension: &Dimension| keys.iter().any(|key| key == key_of(*dimension));
    Dimension::ALL.into_iter().filter(is_chosen).collect()
}

/// Returns what is wrong with the dimensions by which metrics are to be sent.
pub(super) fn problems_of_chosen(keys: &[String], lists: &AllowLists) -> Vec<String> {
    let known = Dimension::ALL.map(key_of);
    let unknown = keys
        .iter()
        .filter(|key| !known.contains(&key.as_str()))
        .map(|key| format!("cloudwatch.dimensions has `{key}`: choose from {}", known.join(", ")));
    let unfit = chosen(keys).into_iter().filter_map(|dimension| {
        let (name, values) = (key_of(dimension), lists.values(dimension));
        let is_fit = |value: &String| value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if values.is_empty() {
            return Some(format!(
                "cloudwatch.dimensions has `{name}`, and breakdowns.{name} is empty: list the values \
                 that are to be told apart"
            ));
        }
        let value = values.iter().find(|value| !is_fit(value))?;
        Some(format!(
            "breakdowns.{name} has `{value}`, and cloudwatch.dimensions has `{name}`: CloudWatch takes \
             printable ASCII alone"
        ))
    });
    unknown.chain(unfit).collect()
}

/// Returns the key of a dimension's list.
const fn key_of(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::PlayerVersion => "player_version",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_of_metrics_are_keys_of_lists_with_values_that_cloudwatch_takes() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let mut lists = AllowLists::default();
        assert_eq!(problems_of_chosen(&[], &lists), Vec::<String>::new());
        let good = keys(&["device", "country", "device"]);
        assert_eq!(problems_of_chosen(&good, &lists), Vec::<String>::new());
        assert_eq!(chosen(&good), [Dimension::Device, Dimension::Country]);
        lists.cdn.push("日本".to_owned());
        let bad = keys(&["city", "player_version", "playerVersion", "cdn"]);
        let found = problems_of_chosen(&bad, &lists);
        assert_eq!(found.len(), 4, "{found:?}");
        let allowed = "choose from device, os, country, player_version, cdn, rendition";
        assert_eq!(found[0], format!("cloudwatch.dimensions has `city`: {allowed}"));
        assert!(found[1].contains("`playerVersion`"), "{found:?}");
        assert!(found[2].contains("breakdowns.player_version is empty"), "{found:?}");
        assert!(found[3].contains("printable ASCII"), "{found:?}");
    }

    #[test]
    fn lists_that_cannot_be_kept_are_named() {
        let good = AllowLists::default();
        assert_eq!(problems(&good), Vec::<String>::new());
        let mut bad = good.clone();
        bad.player_version = vec!["1.0".to_owned(); MAX_VALUES + 1];
        bad.cdn = vec![String::new(), "x".repeat(MAX_VALUE_BYTES + 1)];
        let found = problems(&bad);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().any(|text| text.contains("breakdowns.player_version has 101")));
        assert!(Arc::ptr_eq(&dimensions(&good), &Dimensions::shared()));
        assert_eq!(dimensions(&bad).lists(), &bad);
    }
}
