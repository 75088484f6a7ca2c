//! Metrics Insights: `SELECT AVG(m) FROM SCHEMA("ns", Dim) WHERE … GROUP BY Dim ORDER BY AVG() ASC`.
//!
//! `WHERE` takes comparisons by `=` and `!=` joined by `AND`; tags and nested dimensions of the
//! query language are refused.

use std::collections::BTreeMap;

use super::math::Series;
use super::stat::{Stat, Summary};
use super::store::{MetricId, Store, Window};

/// Series of an answer at most, as in AWS.
const SERIES_MAX: usize = 500;
/// Metrics that are looked at, as in AWS.
const METRICS_MAX: usize = 10_000;

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Insight {
    stat: Stat,
    metric: String,
    namespace: String,
    /// Sorted; `None` takes any dimensions.
    schema: Option<Vec<String>>,
    conditions: Vec<Condition>,
    group_by: Vec<String>,
    order: Option<(Stat, bool)>,
    limit: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    dimension: String,
    value: String,
    equal: bool,
}

/// Returns whether an expression is a query and not metric math.
pub(super) fn is_query(expression: &str) -> bool {
    let word = expression.split_whitespace().next().unwrap_or_default();
    word.eq_ignore_ascii_case("SELECT")
}

impl Insight {
    /// Reads a query.
    ///
    /// # Errors
    /// Says what was expected, and where.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut words = Words { words: split(text)?, at: 0 };
        words.keyword("SELECT")?;
        let stat = words.function()?;
        words.symbol("(")?;
        let metric = words.name()?;
        words.symbol(")")?;
        words.keyword("FROM")?;
        let (namespace, schema) = words.source()?;
        let mut conditions = Vec::new();
        if words.take("WHERE") {
            conditions.push(words.condition()?);
            while words.take("AND") {
                conditions.push(words.condition()?);
            }
        }
        let mut group_by = Vec::new();
        if words.take("GROUP") {
            words.keyword("BY")?;
            group_by = words.names()?;
        }
        let mut order = None;
        if words.take("ORDER") {
            words.keyword("BY")?;
            let by = words.function()?;
            words.symbol("(")?;
            words.symbol(")")?;
            let descending = words.take("DESC");
            if !descending {
                words.take("ASC");
            }
            order = Some((by, descending));
        }
        let limit = if words.take("LIMIT") { words.limit()? } else { SERIES_MAX };
        match words.peek() {
            Some(word) => Err(format!("`{word}` is not understood in a query here")),
            None => {
                Ok(Self { stat, metric, namespace, schema, conditions, group_by, order, limit })
            }
        }
    }

    /// Returns the series of each group that has data.
    pub(super) fn series(&self, store: &Store, window: Window) -> Vec<Series> {
        let mut groups: BTreeMap<String, BTreeMap<i64, Summary>> = BTreeMap::new();
        let metrics = store.metrics().map(|(metric, _)| metric);
        for metric in metrics.filter(|metric| self.takes(metric)).take(METRICS_MAX) {
            let group = groups.entry(self.group_of(metric)).or_default();
            for (at_s, summary) in store.summaries(metric, None, window) {
                group.entry(at_s).or_default().merge(&summary);
            }
        }
        let mut ranked: Vec<(Option<f64>, Series)> = Vec::new();
        for (label, summaries) in groups.into_iter().filter(|(_, summaries)| !summaries.is_empty())
        {
            let mut all = Summary::default();
            summaries.values().for_each(|summary| all.merge(summary));
            let points = summaries
                .iter()
                .filter_map(|(at_s, summary)| Some((*at_s, summary.stat(self.stat)?)))
                .collect();
            let rank = self.order.and_then(|(stat, _)| all.stat(stat));
            ranked.push((rank, Series { label, period_s: window.period_s, points }));
        }
        if let Some((_, descending)) = self.order {
            ranked.sort_by(|(a, _), (b, _)| {
                let ascending = a.unwrap_or_default().total_cmp(&b.unwrap_or_default());
                if descending { ascending.reverse() } else { ascending }
            });
        }
        ranked.into_iter().take(self.limit).map(|(_, series)| series).collect()
    }

    fn takes(&self, metric: &MetricId) -> bool {
        let value = |name: &str| {
            let found = metric.dimensions.iter().find(|(dimension, _)| dimension == name);
            found.map(|(_, value)| value.as_str())
        };
        metric.namespace == self.namespace
            && metric.name == self.metric
            && self
                .schema
                .as_ref()
                .is_none_or(|schema| metric.dimensions.iter().map(|(name, _)| name).eq(schema))
            && self.conditions.iter().all(|condition| {
                value(&condition.dimension)
                    .is_some_and(|found| (found == condition.value) == condition.equal)
            })
            && self.group_by.iter().all(|name| value(name).is_some())
    }

    /// Returns the values of the dimensions that groups are made by, as labels have them.
    fn group_of(&self, metric: &MetricId) -> String {
        let values = self.group_by.iter().filter_map(|name| {
            let found = metric.dimensions.iter().find(|(dimension, _)| dimension == name);
            found.map(|(_, value)| value.as_str())
        });
        let label = values.collect::<Vec<_>>().join(" ");
        if label.is_empty() { self.metric.clone() } else { label }
    }
}

/// A word of a query; quoted ones are never keywords.
#[derive(Clone, Debug, PartialEq)]
enum Word {
    Plain(String),
    Quoted(String),
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(text) | Self::Quoted(text) => f.write_str(text),
        }
    }
}

fn split(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' | '\'' => {
                let inside = &rest[1..];
                let end = inside.find(first).ok_or("a quote is not closed")?;
                words.push(Word::Quoted(inside[..end].to_owned()));
                end + 2
            }
            '(' | ')' | ',' | '=' => {
                words.push(Word::Plain(first.to_string()));
                1
            }
            '!' if rest.starts_with("!=") => {
                words.push(Word::Plain("!=".to_owned()));
                2
            }
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || "(),=!\"'".contains(c))
                    .unwrap_or(rest.len());
                if end == 0 {
                    return Err(format!("`{first}` is not understood in a query here"));
                }
                words.push(Word::Plain(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

#[derive(Debug)]
struct Words {
    words: Vec<Word>,
    at: usize,
}

impl Words {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at)
    }

    /// Takes a keyword if it is next.
    fn take(&mut self, keyword: &str) -> bool {
        let is_next =
            matches!(self.peek(), Some(Word::Plain(word)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(is_next);
        is_next
    }

    fn expected<T>(&self, what: &str) -> Result<T, String> {
        match self.peek() {
            Some(word) => Err(format!("{what} is expected before `{word}`")),
            None => Err(format!("{what} is expected at the end")),
        }
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), String> {
        if self.take(keyword) { Ok(()) } else { self.expected(keyword) }
    }

    fn symbol(&mut self, symbol: &str) -> Result<(), String> {
        self.keyword(symbol)
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(Word::Plain(word)) if word.chars().any(char::is_alphanumeric) => {}
            Some(Word::Quoted(_)) => {}
            _ => return self.expected("a name"),
        }
        let name = self.words[self.at].to_string();
        self.at += 1;
        Ok(name)
    }

    fn names(&mut self) -> Result<Vec<String>, String> {
        let mut names = vec![self.name()?];
        while self.take(",") {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn function(&mut self) -> Result<Stat, String> {
        for (name, stat) in [
            ("AVG", Stat::Average),
            ("SUM", Stat::Sum),
            ("MIN", Stat::Minimum),
            ("MAX", Stat::Maximum),
            ("COUNT", Stat::SampleCount),
        ] {
            if self.take(name) {
                return Ok(stat);
            }
        }
        self.expected("AVG, SUM, MIN, MAX or COUNT")
    }

    /// `SCHEMA("namespace", Dimension, …)`, or a namespace alone.
    fn source(&mut self) -> Result<(String, Option<Vec<String>>), String> {
        if !self.take("SCHEMA") {
            return Ok((self.name()?, None));
        }
        self.symbol("(")?;
        let mut names = self.names()?;
        self.symbol(")")?;
        let namespace = names.remove(0);
        names.sort();
        Ok((namespace, Some(names)))
    }

    fn condition(&mut self) -> Result<Condition, String> {
        let dimension = self.name()?;
        let equal = self.take("=");
        if !equal {
            self.symbol("!=")?;
        }
        Ok(Condition { dimension, value: self.name()?, equal })
    }

    fn limit(&mut self) -> Result<usize, String> {
        let number = self.name()?;
        let limit: Option<usize> = number.parse().ok();
        let limit = limit.filter(|limit| (1..=SERIES_MAX).contains(limit));
        limit.ok_or_else(|| format!("LIMIT is 1 to {SERIES_MAX}, not {number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudwatch::store::{Datum, Samples, Unit};

    fn store() -> Store {
        let mut store = Store::default();
        let datum = |channel: Option<&str>, at_s, value| Datum {
            metric: MetricId {
                namespace: "AWS/IVS".to_owned(),
                name: "IngestFramerate".to_owned(),
                dimensions: channel
                    .map(|channel| ("Channel".to_owned(), channel.to_owned()))
                    .into_iter()
                    .collect(),
            },
            unit: Unit::NONE,
            at_s,
            samples: Samples::Values(vec![(value, 1.0)]),
        };
        let data = [
            datum(Some("a"), 0, 30.0),
            datum(Some("a"), 60, 20.0),
            datum(Some("b"), 0, 10.0),
            datum(None, 0, 20.0),
        ];
        store.add(&data, 0).unwrap();
        store
    }

    #[test]
    fn each_channel_is_a_series_and_the_worst_comes_first() {
        let text = "SELECT AVG(IngestFramerate) FROM SCHEMA(\"AWS/IVS\", Channel) \
                    GROUP BY Channel ORDER BY AVG() ASC";
        let window = Window { start_s: 0, end_s: 120, period_s: 120 };
        let series = Insight::parse(text).unwrap().series(&store(), window);
        let found: Vec<_> = series
            .iter()
            .map(|s| (s.label.as_str(), s.points.values().copied().collect()))
            .collect();
        assert_eq!(found, [("b", vec![10.0]), ("a", vec![25.0])]);
    }

    #[test]
    fn conditions_limits_and_all_together() {
        let window = Window { start_s: 0, end_s: 120, period_s: 60 };
        let labels = |text: &str| {
            let series = Insight::parse(text).unwrap().series(&store(), window);
            series.into_iter().map(|series| series.label).collect::<Vec<_>>()
        };
        let from = "from SCHEMA('AWS/IVS', Channel)";
        assert_eq!(labels(&format!("select max(IngestFramerate) {from}")), ["IngestFramerate"]);
        assert_eq!(
            labels(&format!(
                "select sum(IngestFramerate) {from} where Channel != 'a' group by Channel"
            )),
            ["b"]
        );
        assert_eq!(
            labels(&format!(
                "SELECT SUM(IngestFramerate) {from} GROUP BY Channel ORDER BY SUM() DESC LIMIT 1"
            )),
            ["a"]
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, part) in [
            ("SELECT P99(m) FROM \"n\"", "AVG, SUM"),
            ("SELECT AVG(m) FROM", "a name is expected at the end"),
            ("SELECT AVG(m) FROM n HAVING x", "`HAVING`"),
            ("SELECT AVG(m) FROM n LIMIT 0", "LIMIT"),
            ("SELECT AVG(m) FROM 'n", "quote"),
        ] {
            let error = Insight::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
