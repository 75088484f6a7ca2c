//! Identifiers of the shapes AWS hands out.

/// Returns a new identifier: a random UUID.
pub(crate) fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}
