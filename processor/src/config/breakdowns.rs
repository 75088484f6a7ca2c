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
