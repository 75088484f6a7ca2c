//! Putting and reading metrics, metric math over the wire, dashboards.

use aws_sdk_cloudwatch::types::{
    DimensionFilter, Metric, MetricDataQuery, MetricStat, ScanBy, StandardUnit, Statistic,
    StatisticSet,
};
use ivs_emulator::{Config, State};

use super::{Local, NAMESPACE, at, datum, dimension};

const ALL: [Statistic; 5] = [
    Statistic::Sum,
    Statistic::SampleCount,
    Statistic::Minimum,
    Statistic::Maximum,
    Statistic::Average,
];

fn query(id: &str, name: &str) -> MetricDataQuery {
    let metric = Metric::builder().namespace(NAMESPACE).metric_name(name).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
    MetricDataQuery::builder().id(id).metric_stat(stat).return_data(false).build()
}

fn expression(id: &str, text: &str) -> MetricDataQuery {
    MetricDataQuery::builder().id(id).expression(text).build()
}

#[tokio::test]
async fn values_counts_and_statistic_sets_add_up_by_period() {
    let local = Local::start().await;
    let set = StatisticSet::builder().sample_count(2.0).sum(7.0).minimum(1.0).maximum(6.0).build();
    local
        .put(vec![
            datum("n").value(10.0).unit(StandardUnit::Count).build(),
            datum("n")
                .values(2.0)
                .values(4.0)
                .counts(3.0)
                .counts(1.0)
                .unit(StandardUnit::Count)
                .build(),
            datum("n").statistic_values(set).timestamp(at(1)).unit(StandardUnit::Count).build(),
            datum("n").value(100.0).timestamp(at(5)).unit(StandardUnit::Count).build(),
        ])
        .await;
    let request = local.client.get_metric_statistics().namespace(NAMESPACE).metric_name("n");
    let request = request.start_time(at(0)).end_time(at(10)).period(300);
    let request = request.set_statistics(Some(ALL.to_vec())).extended_statistics("p50");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.label(), Some("n"));
    let points = answer.datapoints();
    assert_eq!(points.len(), 2);
    assert_eq!(points[0].timestamp(), Some(&at(0)));
    assert_eq!(points[0].unit(), Some(&StandardUnit::Count));
    assert_eq!(
        (points[0].sum(), points[0].sample_count(), points[0].minimum(), points[0].maximum()),
        (Some(27.0), Some(7.0), Some(1.0), Some(10.0))
    );
    assert_eq!(points[0].average(), Some(27.0 / 7.0));
    // The statistic set hides the values of its period, not those of the next.
    assert!(points[0].extended_statistics().is_none());
    assert_eq!(points[1].extended_statistics().unwrap()["p50"], 100.0);
}

#[tokio::test]
async fn dimensions_are_matched_exactly_and_units_kept_apart() {
    let local = Local::start().await;
    let of = |channel: &str, value: f64| {
        datum("v").value(value).dimensions(dimension("ChannelId", channel)).build()
    };
    let two = datum("v")
        .value(8.0)
        .dimensions(dimension("Stage", "x"))
        .dimensions(dimension("ChannelId", "a"))
        .build();
    let unit = datum("v").value(16.0).unit(StandardUnit::Percent).build();
    local.put(vec![of("a", 1.0), of("b", 2.0), datum("v").value(4.0).build(), two, unit]).await;
    let sum = async |dimensions: &[(&str, &str)]| -> Vec<f64> {
        let dimensions = dimensions.iter().map(|(name, value)| dimension(name, value)).collect();
        let request = local.client.get_metric_statistics().namespace(NAMESPACE).metric_name("v");
        let request = request.start_time(at(0)).end_time(at(1)).period(60);
        let request = request.set_dimensions(Some(dimensions)).statistics(Statistic::Sum);
        let answer = request.send().await.unwrap();
        answer.datapoints().iter().filter_map(aws_sdk_cloudwatch::types::Datapoint::sum).collect()
    };
    assert_eq!(sum(&[("ChannelId", "a")]).await, [1.0]);
    assert_eq!(sum(&[("ChannelId", "b")]).await, [2.0]);
    assert_eq!(sum(&[("ChannelId", "a"), ("Stage", "x")]).await, [8.0]);
    assert_eq!(sum(&[("ChannelId", "c")]).await, [0.0; 0]);
    assert_eq!(sum(&[("Stage", "x")]).await, [0.0; 0]);
    assert_eq!(sum(&[]).await, [4.0, 16.0]);
}

#[tokio::test]
async fn a_large_gzipped_request_arrives_whole() {
    let local = Local::start().await;
    let data = (0..1_000).map(|i| {
        let channel = format!("channel-{i:04}");
        datum("big").value(f64::from(i)).dimensions(dimension("ChannelId", &channel)).build()
    });
    local.put(data.collect()).await;
    let mut found = 0;
    let mut token = None;
    loop {
        let request = local.client.list_metrics().namespace(NAMESPACE).metric_name("big");
        let page = request.set_next_token(token).send().await.unwrap();
        found += page.metrics().len();
        assert!(page.metrics().len() <= 500);
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(found, 1_000);
    let filter = DimensionFilter::builder().name("ChannelId").value("channel-0042").build();
    let one = local.client.list_metrics().dimensions(filter).send().await.unwrap();
    assert_eq!(one.metrics().len(), 1);
    assert_eq!(one.metrics()[0].dimensions()[0].value(), Some("channel-0042"));
}

#[tokio::test]
async fn metric_math_is_computed_newest_first_and_in_pages() {
    let local = Local::start().await;
    for (minute, value) in [10.0, 20.0, 50.0, 25.0].into_iter().enumerate() {
        let minute = i64::try_from(minute).unwrap();
        local.put_at("m", minute, value).await;
        local.put_at("o", minute, 1.0).await;
    }
    let request = local.client.get_metric_data().start_time(at(0)).end_time(at(4));
    let request = request.set_metric_data_queries(Some(vec![
        query("m1", "m"),
        query("m2", "o"),
        expression("diff", "DIFF(m1)"),
        expression("total", "SUM(METRICS())"),
        expression("big", "IF(m1 >= 25, 1, 0)"),
    ]));
    let answer = request.send().await.unwrap();
    let results = answer.metric_data_results();
    let values = |id: &str| {
        let found = results.iter().find(|result| result.id() == Some(id)).unwrap();
        (found.timestamps().len(), found.values().to_vec())
    };
    assert_eq!(results.len(), 3, "queries without ReturnData are not shown");
    assert_eq!(values("diff"), (3, vec![-25.0, 30.0, 10.0]));
    assert_eq!(values("total"), (4, vec![26.0, 51.0, 21.0, 11.0]));
    assert_eq!(values("big").1, [1.0, 1.0, 0.0, 0.0]);
    assert_eq!(results[0].timestamps()[0], at(3));

    let mut read = Vec::new();
    let mut token = None;
    loop {
        let request = local.client.get_metric_data().start_time(at(0)).end_time(at(4));
        let request = request.scan_by(ScanBy::TimestampAscending).max_datapoints(3);
        let request = request.metric_data_queries(query("m1", "m"));
        let request = request.metric_data_queries(expression("e", "m1 * 2"));
        let page = request.set_next_token(token).send().await.unwrap();
        read.extend(page.metric_data_results()[0].values().to_vec());
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(read, [20.0, 40.0, 100.0, 50.0]);
}

#[tokio::test]
async fn a_search_yields_a_series_for_every_channel() {
    let local = Local::start().await;
    let of = |channel: &str, value: f64| {
        datum("CurrentViewers").value(value).dimensions(dimension("ChannelId", channel)).build()
    };
    local.put(vec![of("a", 1.0), of("b", 2.0), datum("CurrentViewers").value(3.0).build()]).await;
    let search =
        "SEARCH('{LiveStreaming/Metrics,ChannelId} MetricName=\"CurrentViewers\"', 'Maximum', 60)";
    let request = local.client.get_metric_data().start_time(at(0)).end_time(at(5));
    let answer = request.metric_data_queries(expression("s", search)).send().await.unwrap();
    let shown: Vec<(&str, f64)> = answer
        .metric_data_results()
        .iter()
        .map(|result| (result.label().unwrap(), result.values()[0]))
        .collect();
    assert_eq!(shown, [("a", 1.0), ("b", 2.0)]);
}

#[tokio::test]
async fn dashboards_are_kept_as_put() {
    let local = Local::start().await;
    let body = r#"{"widgets":[{"type":"metric","properties":{"region":"us-east-1"}}]}"#;
    let put = local.client.put_dashboard().dashboard_name("D").dashboard_body(body);
    assert!(put.send().await.unwrap().dashboard_validation_messages().is_empty());
    let got = local.client.get_dashboard().dashboard_name("D").send().await.unwrap();
    assert_eq!(got.dashboard_body(), Some(body));
    let list = local.client.list_dashboards().send().await.unwrap();
    assert_eq!(list.dashboard_entries()[0].size(), Some(i64::try_from(body.len()).unwrap()));
    local.client.delete_dashboards().dashboard_names("D").send().await.unwrap();
    let gone = local.client.get_dashboard().dashboard_name("D").send().await;
    assert!(gone.unwrap_err().into_service_error().is_dashboard_not_found_error());
}

#[tokio::test]
async fn an_abrupt_end_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { state: State::Dir(folder.path().to_owned()), ..Config::default() };
    let local = Local::start_with(config()).await;
    local.put_at("kept", 0, 41.0).await;
    let body = r#"{"widgets":[]}"#;
    local.client.put_dashboard().dashboard_name("D").dashboard_body(body).send().await.unwrap();
    drop(local);
    let local = Local::start_with(config()).await;
    local.put_at("kept", 0, 1.0).await;
    let request = local.client.get_metric_statistics().namespace(NAMESPACE).metric_name("kept");
    let request = request.start_time(at(0)).end_time(at(1)).period(60).statistics(Statistic::Sum);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.datapoints()[0].sum(), Some(42.0));
    let got = local.client.get_dashboard().dashboard_name("D").send().await.unwrap();
    assert_eq!(got.dashboard_body(), Some(body));
}
