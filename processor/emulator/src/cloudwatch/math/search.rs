//! `SEARCH('{Namespace,Dimension,..} Name="value" part', 'Statistic', period)`.
//!
//! The schema in braces is required here; terms must all hold. `OR`, `NOT` and brackets are refused.

use crate::cloudwatch::stat::Stat;
use crate::cloudwatch::store::MetricId;

/// Series a search yields at most, as in AWS.
pub(in crate::cloudwatch) const FOUND_MAX: usize = 500;

/// A search for metrics.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cloudwatch) struct Search {
    namespace: String,
    /// Sorted.
    dimensions: Vec<String>,
    terms: Vec<Term>,
    pub(in crate::cloudwatch) stat: Stat,
    pub(in crate::cloudwatch) period_s: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// `MetricName`, `Namespace` or a dimension; without one the text may stand anywhere.
    property: Option<String>,
    text: String,
    /// Quoted: the whole value, not a part of it.
    whole: bool,
}

impl Search {
    /// Reads the arguments of `SEARCH`.
    pub(super) fn parse(query: &str, stat: &str, period_s: f64) -> Result<Self, String> {
        let stat = Stat::parse(stat).ok_or_else(|| format!("`{stat}` is not a statistic"))?;
        let period_s = whole_seconds(period_s)
            .ok_or_else(|| format!("`{period_s}` is not a period in seconds"))?;
        let (schema, terms) = query
            .trim_start()
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
            .ok_or_else(|| "a search needs a schema in braces here".to_owned())?;
        let mut names = schema.split(',').map(|name| name.trim().trim_matches('"').to_owned());
        let namespace = names.next().unwrap_or_default();
        let mut dimensions: Vec<String> = names.collect();
        dimensions.sort();
        Ok(Self { namespace, dimensions, terms: parse_terms(terms)?, stat, period_s })
    }

    /// Returns whether the search finds this metric.
    pub(in crate::cloudwatch) fn finds(&self, metric: &MetricId) -> bool {
        metric.namespace == self.namespace
            && metric.dimensions.iter().map(|(name, _)| name).eq(&self.dimensions)
            && self.terms.iter().all(|term| term.holds(metric))
    }
}

impl Term {
    fn holds(&self, metric: &MetricId) -> bool {
        let fits = |value: &str| {
            if self.whole {
                value == self.text
            } else {
                value.to_ascii_lowercase().contains(&self.text.to_ascii_lowercase())
            }
        };
        let mut properties = [("MetricName", &metric.name), ("Namespace", &metric.namespace)]
            .into_iter()
            .chain(metric.dimensions.iter().map(|(name, value)| (name.as_str(), value)));
        properties.any(|(name, value)| {
            self.property.as_deref().is_none_or(|wanted| wanted == name) && fits(value)
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole_seconds(seconds: f64) -> Option<i64> {
    let sound = (1.0..=86_400.0).contains(&seconds) && seconds.fract() == 0.0;
    sound.then_some(seconds as i64)
}

fn parse_terms(text: &str) -> Result<Vec<Term>, String> {
    let mut terms = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', '=', '"']).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        if ["OR", "NOT", "AND"].contains(&word) || word.contains(['(', ')']) {
            return Err(format!("`{word}` is not understood in a search here"));
        }
        let (property, value) = match tail.strip_prefix('=') {
            Some(value) => (Some(word.to_owned()), value),
            None => (None, rest),
        };
        let (text, whole, tail) = match value.strip_prefix('"') {
            Some(quoted) => {
                let (text, tail) =
                    quoted.split_once('"').ok_or_else(|| "a quote is not closed".to_owned())?;
                (text, true, tail)
            }
            None => {
                let (text, tail) = value.split_at(value.find(' ').unwrap_or(value.len()));
                (text, false, tail)
            }
        };
        terms.push(Term { property, text: text.to_owned(), whole });
        rest = tail.trim_start();
    }
    Ok(terms)
}
