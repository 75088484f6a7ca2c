//! Metrics as OTLP: a collector adds the points of each series and minute up, and they come to the
//! samples of the oracle, through an outage of the collector too.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric::Data};
use prost::Message as _;

use super::oracle::Samples;
use super::outage::{World, until, waiting};
use super::readback::{METRICS, Stats};
use super::same;
use crate::process::Running;

const DELTA: i32 = AggregationTemporality::Delta as i32;
const PROCESSOR: &str = "LiveStreaming/Processor";

/// Namespace, metric, channel or shard, start of the minute in seconds.
type Series = (String, String, Option<String>, i64);

/// The receiver's state.
#[derive(Default)]
struct Received {
    is_away: bool,
    refused: u64,
    points: BTreeMap<Series, Stats>,
    heads: Vec<String>,
}

/// A receiver of OTLP over HTTP, as far as a sender can tell.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Received>>);

#[tokio::test]
async fn a_collector_gets_every_sample_once_through_an_outage_of_its_own() {
    let world = World::new(0).await;
    let collector = Collector::default();
    collector.lock().is_away = true;
    let url = collector.serve();
    let settings = [
        "metrics.send_as=otlp".to_owned(),
        format!("metrics.otlp_url={url}"),
        "metrics.otlp_sign=true".to_owned(),
    ];
    let start = || world.worker(&settings).env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b");
    let workers: Vec<Running> = (0..2).map(|_| start().start()).collect();
    world.readback.wait_for_owners(2).await;
    world.send_input();
    world.until_stored(0).await;
    assert!(waiting(world.dir.path()) > 0, "what was not sent waits in the outbox");
    assert!(collector.lock().refused > 0 && collector.lock().points.is_empty());

    collector.lock().is_away = false;
    let read = || collector.total(PROCESSOR, "RecordsRead");
    until("all is sent", async || {
        read() >= world.oracle.lines as f64 && waiting(world.dir.path()) == 0
    })
    .await;
    workers.into_iter().for_each(Running::stop_in_order);
    assert_eq!(read(), world.oracle.lines as f64, "every line once");
    check(&world, &collector.lock());
    assert!(world.readback.listed(METRICS).await.is_empty(), "CloudWatch itself got none");
}

fn check(world: &World, received: &Received) {
    for ((metric, channel, minute_s), samples) in &world.oracle.points {
        let at = format!("{metric} of {channel:?} at {minute_s}");
        let series = (METRICS.to_owned(), (*metric).to_owned(), channel.clone(), *minute_s);
        let found = received.points.get(&series).unwrap_or_else(|| panic!("{at} is missing"));
        // Seconds of watch time are told in milliseconds, since OTLP counts whole samples.
        let scale = if *metric == "RebufferRatio" { 1_000.0 } else { 1.0 };
        let samples: Samples =
            samples.iter().map(|(value, weight)| (*value, weight * scale)).collect();
        same(&at, metric, found, &samples);
    }
    let told =
        received.points.keys().filter(|series| series.0 == METRICS && series.1 == "LiveLatency");
    assert!(told.count() > 0, "latencies are histograms with buckets");
    for head in &received.heads {
        let head = head.to_lowercase();
        assert!(head.starts_with("post /v1/metrics "), "{head}");
        assert!(head.contains("\ncontent-type: application/x-protobuf"), "{head}");
        assert!(head.contains("\nx-tenant: a b"), "{head}");
        assert!(head.contains("/monitoring/aws4_request"), "{head}");
    }
}

impl Collector {
    /// Starts to listen; returns the URL.
    fn serve(&self) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
        let collector = self.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let collector = collector.clone();
                std::thread::spawn(move || collector.answer_all(&connection.unwrap()));
            }
        });
        url
    }

    fn lock(&self) -> MutexGuard<'_, Received> {
        self.0.lock().unwrap()
    }

    fn total(&self, namespace: &str, metric: &str) -> f64 {
        let received = self.lock();
        let of = |((space, name, dimension, _), stats): (&Series, &Stats)| {
            (space == namespace && name == metric && dimension.is_none()).then_some(stats.sum)
        };
        received.points.iter().filter_map(of).fold(0.0, |sum, each| sum + each)
    }

    fn answer_all(&self, connection: &TcpStream) {
        let mut reader = BufReader::new(connection);
        let mut connection = connection;
        while let Some((head, body)) = read(&mut reader) {
            let mut received = self.lock();
            let answer = if received.is_away {
                received.refused += 1;
                "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
            } else {
                received.heads.push(head);
                received.take(&body);
                "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
            };
            drop(received);
            if connection.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

impl Received {
    fn take(&mut self, body: &[u8]) {
        let request = ExportMetricsServiceRequest::decode(body).unwrap();
        for scope in request.resource_metrics.into_iter().flat_map(|each| each.scope_metrics) {
            let namespace = scope.scope.unwrap().name;
            for metric in scope.metrics {
                let name = metric.name;
                match metric.data.unwrap() {
                    Data::Histogram(histogram) => {
                        assert_eq!(histogram.aggregation_temporality, DELTA);
                        for point in histogram.data_points {
                            let sum = (point.count, point.sum, point.min, point.max);
                            let time = (point.start_time_unix_nano, point.time_unix_nano);
                            self.add((&namespace, &name), &point.attributes, time, sum);
                        }
                    }
                    Data::ExponentialHistogram(histogram) => {
                        assert_eq!(histogram.aggregation_temporality, DELTA);
                        for point in histogram.data_points {
                            let buckets = point.positive.unwrap_or_default().bucket_counts;
                            let held: u64 = buckets.iter().sum::<u64>() + point.zero_count;
                            assert_eq!(held, point.count, "every sample is in a bucket");
                            let sum = (point.count, point.sum, point.min, point.max);
                            let time = (point.start_time_unix_nano, point.time_unix_nano);
                            self.add((&namespace, &name), &point.attributes, time, sum);
                        }
                    }
                    other => panic!("{name} is {other:?}"),
                }
            }
        }
    }

    /// Adds a point up with those of its series and minute.
    fn add(
        &mut self,
        (namespace, name): (&str, &str),
        attributes: &[KeyValue],
        (start_ns, end_ns): (u64, u64),
        (count, sum, min, max): (u64, Option<f64>, Option<f64>, Option<f64>),
    ) {
        let minute_s = i64::try_from(start_ns / 60_000_000_000 * 60).unwrap();
        assert_eq!(start_ns / 60_000_000_000, end_ns / 60_000_000_000, "{name} is of one minute");
        let value = |each: &KeyValue| match each.value.clone().unwrap().value.unwrap() {
            Value::StringValue(text) => text,
            other => panic!("{other:?}"),
        };
        let dimension = attributes.first().map(value);
        let series = (namespace.to_owned(), name.to_owned(), dimension, minute_s);
        let (min, max) = (min.unwrap(), max.unwrap());
        let all = self.points.entry(series).or_insert(Stats { count: 0.0, sum: 0.0, min, max });
        all.count += count as f64;
        all.sum += sum.unwrap();
        (all.min, all.max) = (all.min.min(min), all.max.max(max));
    }
}

/// Returns head and body of the next request; none once the sender has closed.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    loop {
        let before = head.len();
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
        if head[before..].trim_end().is_empty() {
            break;
        }
    }
    let length = head.to_lowercase().lines().find_map(|line| {
        line.strip_prefix("content-length:").map(|length| length.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}
