//! Where expressions find what they name.

use super::search::Search;
use super::{Series, Value};
use crate::cloudwatch::store::Window;

/// Where an expression finds what it names.
pub(in crate::cloudwatch) trait Source {
    /// Returns the value of another query by its id, `None` if there is none of that id.
    fn named(&self, id: &str, depth: usize) -> Option<Result<Value, String>>;

    /// Returns the ids and series of all queries that are metrics, in order.
    fn metrics(&self) -> Vec<(String, Series)>;

    /// Returns the series that a search finds.
    fn search(&self, search: &Search) -> Result<Vec<Series>, String>;

    /// Returns the time covered, with the period of the expression.
    fn window(&self) -> Window;
}

/// Changes a value, whatever it is.
pub(super) fn each(
    value: Value,
    series: impl Fn(&Series) -> Series,
    scalar: impl Fn(f64) -> f64,
) -> Result<Value, String> {
    match value {
        Value::Scalar(number) => Ok(Value::Scalar(scalar(number))),
        Value::Series(one) => Ok(Value::Series(series(&one))),
        Value::Many(many) => Ok(Value::Many(many.iter().map(series).collect())),
        Value::Text(text) => Err(format!("`{text}` is not a number or a time series")),
    }
}
