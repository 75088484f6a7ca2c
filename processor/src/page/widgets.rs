//! The tutorial's five widgets, drawn from what CloudWatch holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_calls::{Pages, explain};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy,
};
use ivs_schemas::catalogue::{self, CHANNEL_ID, IVS_CHANNEL, metrics};
use serde_json::{Value, json};

use super::room::{Room, WHILE_THEY_LOOK};
use crate::clock::now;

/// How long drawn widgets are shown, on AWS and on this machine.
const PACES: [Duration; 2] = [Duration::from_secs(15), Duration::from_millis(1_900)];
/// Channels whose widgets are kept.
const MAX_KEPT: usize = 50;
/// Pages of an answer: the longest, a day of five-minute points, has one.
const MAX_PAGES: usize = 5;
const HOUR_S: i64 = 3_600;

/// The figures of the last widget: how hours make a day.
#[derive(Clone, Copy)]
enum Over {
    Sum,
    Maximum,
    /// Of the values behind the hours' means.
    Mean,
}

const SESSIONS: [(&str, catalogue::Metric, Over); 6] = [
    ("Streams started", metrics::STREAMS_STARTED, Over::Sum),
    ("Streams ended", metrics::STREAMS_ENDED, Over::Sum),
    ("Streams failed", metrics::STREAMS_FAILED, Over::Sum),
    ("Mean length", metrics::STREAM_DURATION, Over::Mean),
    ("Peak viewers", metrics::PEAK_VIEWERS, Over::Maximum),
    ("Limit breaches", metrics::LIMIT_BREACHES, Over::Sum),
];

/// Returns the widgets with one channel chosen, as JSON. Whoever asks again within the pace gets
/// the same.
///
/// # Errors
/// When CloudWatch does not answer.
pub(super) async fn draw(room: &Room, channel: &str) -> anyhow::Result<Option<String>> {
    let pace = PACES[usize::from(room.is_local())];
    // Held while CloudWatch is asked, so that it is asked once for all who look.
    let mut drawn = room.widgets.lock().await;
    if let Some((at, json)) = drawn.0.get(channel)
        && at.elapsed() < pace
    {
        return Ok(Some(json.to_string()));
    }
    let to_s = now().0.div_euclid(1_000);
    let json: Arc<str> = Arc::from(ask(room, channel, to_s, pace).await?.to_string());
    drawn.0.retain(|_, (at, _)| at.elapsed() < pace);
    if drawn.0.len() < MAX_KEPT {
        drawn.0.insert(channel.to_owned(), (crate::clock::instant(), Arc::clone(&json)));
    }
    Ok(Some(json.to_string()))
}

async fn ask(room: &Room, channel: &str, to_s: i64, pace: Duration) -> anyhow::Result<Value> {
    let own =
        |id, metric| stat(id, metric, &[(CHANNEL_ID, channel)], 60, metric.statistic.as_str());
    let hour = vec![
        viewers_of_all("all", 60),
        own("channel", metrics::CURRENT_VIEWERS),
        own("bitrate", metrics::STREAM_BITRATE),
        own("frameRate", metrics::FRAME_RATE),
        stat("ingest", metrics::INGEST_FRAMERATE, &[(IVS_CHANNEL, channel)], 60, "Average"),
    ];
    let day = vec![
        viewers_of_all("all", 300),
        stat("channel", metrics::CURRENT_VIEWERS, &[(CHANNEL_ID, channel)], 300, "Average"),
    ];
    let chat = vec![
        own("channel", metrics::CHAT_ACTIVITY),
        stat("busiest", metrics::CHAT_ACTIVITY, &[], 60, "Maximum"),
    ];
    let sessions = SESSIONS.iter().enumerate().flat_map(|(at, (_, metric, over))| {
        let of = |id: String, statistic| stat(&id, *metric, &[], 3_600, statistic);
        match over {
            Over::Sum => vec![of(format!("s{at}"), "Sum")],
            Over::Maximum => vec![of(format!("s{at}"), "Maximum")],
            Over::Mean => vec![of(format!("s{at}"), "Sum"), of(format!("n{at}"), "SampleCount")],
        }
    });
    let (hour, day, chat, sessions) = tokio::try_join!(
        data(room, hour, to_s - HOUR_S, to_s),
        data(room, day, to_s - 24 * HOUR_S, to_s),
        data(room, chat, to_s - 6 * HOUR_S, to_s),
        data(room, sessions.collect(), to_s - 24 * HOUR_S, to_s),
    )?;
    Ok(json!({
        "refreshMs": u64::try_from(pace.as_millis()).unwrap_or(u64::MAX),
        "toMs": to_s * 1_000,
        "now": { "all": hour.whole("all", 60, to_s), "channel": hour.whole("channel", 60, to_s) },
        "day": { "all": day.whole("all", 300, to_s), "channel": day.whole("channel", 300, to_s) },
        "quality": {
            "bitrate": hour.points("bitrate", 60),
            "frameRate": hour.points("frameRate", 60),
            "ingestFrameRate": hour.points("ingest", 60),
        },
        "chat": { "channel": chat.points("channel", 60), "busiest": chat.points("busiest", 60) },
        "sessions": session_figures(&sessions),
    }))
}

fn session_figures(answer: &Answer) -> Vec<Value> {
    let figure = |(at, (label, metric, over)): (usize, &(&str, catalogue::Metric, Over))| {
        let of = |prefix: &str| answer.values(&format!("{prefix}{at}"));
        let sum = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>());
        let value = match over {
            Over::Sum => sum(of("s")),
            Over::Maximum => of("s").iter().copied().reduce(f64::max),
            Over::Mean => sum(of("s")).zip(sum(of("n"))).map(|(sum, count)| sum / count.max(1.0)),
        };
        json!({ "label": label, "value": value, "unit": metric.unit.as_str() })
    };
    SESSIONS.iter().enumerate().map(figure).collect()
}

/// A gauge without dimensions holds samples of every channel, so its mean is the mean
/// channel: the audience of the service is the sum of the channels' own series.
fn viewers_of_all(id: &str, period_s: i32) -> MetricDataQuery {
    let metric = metrics::CURRENT_VIEWERS;
    let expression = format!(
        "SUM(SEARCH('{{{},{CHANNEL_ID}}} MetricName=\"{}\"', 'Average', {period_s}))",
        metric.namespace.as_str(),
        metric.name
    );
    MetricDataQuery::builder().id(id).expression(expression).period(period_s).build()
}

fn stat(
    id: &str,
    metric: catalogue::Metric,
    dimensions: &[(&str, &str)],
    period_s: i32,
    statistic: &str,
) -> MetricDataQuery {
    let dimensions = dimensions
        .iter()
        .map(|(name, value)| Dimension::builder().name(*name).value(*value).build())
        .collect();
    let metric = Metric::builder()
        .namespace(metric.namespace.as_str())
        .metric_name(metric.name)
        .set_dimensions(Some(dimensions))
        .build();
    let stat = MetricStat::builder().metric(metric).period(period_s).stat(statistic).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

/// Series by the id of their query.
#[derive(Debug, Default)]
struct Answer(HashMap<String, (Vec<i64>, Vec<f64>)>);

impl Answer {
    fn add(&mut self, result: MetricDataResult) {
        let series = self.0.entry(result.id.unwrap_or_default()).or_default();
        let times = result.timestamps.unwrap_or_default();
        series.0.extend(times.iter().filter_map(|time| time.to_millis().ok()));
        series.1.extend(result.values.unwrap_or_default());
    }

    fn values(&self, id: &str) -> &[f64] {
        self.0.get(id).map_or(&[], |(_, values)| values)
    }

    /// As [`Self::points`], without the period that still runs: a sum over channels grows until the last
    /// of them has told its figure, and would look like a loss of viewers. Without any other it is shown.
    fn whole(&self, id: &str, period_s: i64, now_s: i64) -> Vec<(i64, Option<f64>)> {
        let mut points = self.points(id, period_s);
        let runs = |(start_ms, _): &(i64, Option<f64>)| start_ms / 1_000 + period_s > now_s;
        if points.len() > 1 && points.last().is_some_and(runs) {
            points.pop();
        }
        points
    }

    /// Time in epoch milliseconds and value; where periods are missing, one without a value.
    fn points(&self, id: &str, period_s: i64) -> Vec<(i64, Option<f64>)> {
        let Some((times, values)) = self.0.get(id) else { return Vec::new() };
        let mut points = Vec::new();
        let mut last: Option<i64> = None;
        for (time_ms, value) in times.iter().zip(values) {
            if let Some(last) = last
                && time_ms - last > period_s * 1_000
            {
                points.push((last + period_s * 1_000, None));
            }
            points.push((*time_ms, Some(*value)));
            last = Some(*time_ms);
        }
        points
    }
}

async fn data(
    room: &Room,
    queries: Vec<MetricDataQuery>,
    from_s: i64,
    to_s: i64,
) -> anyhow::Result<Answer> {
    let request = room
        .clients
        .cloudwatch
        .get_metric_data()
        .set_metric_data_queries(Some(queries))
        .start_time(DateTime::from_secs(from_s))
        .end_time(DateTime::from_secs(to_s))
        .scan_by(ScanBy::TimestampAscending);
    let mut pages = Pages::new(WHILE_THEY_LOOK, |token| {
        let page = request.clone().set_next_token(token).send();
        async { page.await.map(|page| (page.metric_data_results, page.next_token)) }
    });
    let mut answer = Answer::default();
    for _ in 0..MAX_PAGES {
        let page = pages.next().await;
        let page = page
            .map_err(|error| anyhow::anyhow!("CloudWatch does not answer: {}", explain(&error)))?;
        let Some(results) = page else { break };
        results.into_iter().flatten().for_each(|result| answer.add(result));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_minute_breaks_the_line() {
        let minute = |at: i64| DateTime::from_secs(at * 60);
        let mut answer = Answer::default();
        answer.add(
            MetricDataResult::builder()
                .id("m")
                .set_timestamps(Some(vec![minute(1), minute(2), minute(5)]))
                .set_values(Some(vec![1.0, 2.0, 5.0]))
                .build(),
        );
        let at = |minute: i64, value| (minute * 60_000, value);
        assert_eq!(
            answer.points("m", 60),
            [at(1, Some(1.0)), at(2, Some(2.0)), at(3, None), at(5, Some(5.0))]
        );
        assert!(answer.points("other", 60).is_empty());
        let last = |now_s: i64| answer.whole("m", 60, now_s).last().copied();
        assert_eq!([last(359), last(360)], [Some(at(3, None)), Some(at(5, Some(5.0)))]);
        answer.0.insert("one".to_owned(), (vec![300_000], vec![7.0]));
        assert_eq!(answer.whole("one", 60, 301), [at(5, Some(7.0))]);
    }

    #[test]
    fn hours_make_a_day_by_what_they_are() {
        let mut answer = Answer::default();
        for (id, values) in
            [("s0", [1.0, 2.0]), ("s3", [100.0, 300.0]), ("n3", [1.0, 3.0]), ("s4", [7.0, 9.0])]
        {
            answer.0.insert(id.to_owned(), (vec![0, 1], values.to_vec()));
        }
        let figures = session_figures(&answer);
        let value = |at: usize| figures[at]["value"].as_f64();
        assert_eq!(
            (value(0), value(3), value(4), value(5)),
            (Some(3.0), Some(100.0), Some(9.0), None)
        );
    }
}
