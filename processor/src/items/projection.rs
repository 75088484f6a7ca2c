//! Projections: reading a part of an item's attributes.

use std::collections::HashMap;

/// Returns a projection of attributes, a dot leading into a map, by placeholders: many names are words of
/// DynamoDB's own.
pub(crate) fn projection(attributes: &[&str]) -> (String, HashMap<String, String>) {
    let mut names = HashMap::new();
    let mut placeholder = |name: &str| {
        let next = format!("#p{}", names.len());
        names.entry(name.to_owned()).or_insert(next).clone()
    };
    let path = |path: &&str| path.split('.').map(&mut placeholder).collect::<Vec<_>>().join(".");
    let expression = attributes.iter().map(path).collect::<Vec<_>>().join(", ");
    (expression, names.into_iter().map(|(name, placeholder)| (placeholder, name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_into_a_map_and_a_name_has_one_placeholder() {
        let (expression, names) = projection(&["at", "sketches.players", "sketches.startup"]);
        assert_eq!(expression, "#p0, #p1.#p2, #p1.#p3");
        let expected = [("#p0", "at"), ("#p1", "sketches"), ("#p2", "players"), ("#p3", "startup")];
        let expected =
            expected.map(|(placeholder, name)| (placeholder.to_owned(), name.to_owned()));
        assert_eq!(names, HashMap::from(expected));
    }
}
