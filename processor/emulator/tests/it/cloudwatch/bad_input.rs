//! CloudWatch refuses bad data, and the whole request with it.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::builders::MetricDatumBuilder;
use aws_sdk_cloudwatch::types::{
    ComparisonOperator, Metric, MetricDataQuery, MetricDatum, MetricStat, StandardUnit, Statistic,
    StatisticSet,
};

use super::{Local, NAMESPACE, START_S, at, datum, dimension};
use crate::clients::code;

fn set(count: f64, sum: f64, minimum: f64, maximum: f64) -> StatisticSet {
    let set = StatisticSet::builder().sample_count(count).sum(sum);
    set.minimum(minimum).maximum(maximum).build()
}

fn n() -> MetricDatumBuilder {
    datum("n")
}

/// Returns what is wrong with the second datum, and the code of the refusal.
fn wrong_data() -> Vec<(&'static str, MetricDatumBuilder, &'static str)> {
    const VALUE: &str = "InvalidParameterValue";
    let many_dimensions = (0..31).map(|i| dimension(&format!("d{i}"), "x")).collect();
    vec![
        ("nothing", n(), "MissingParameter"),
        ("value and values", n().value(1.0).values(1.0), "InvalidParameterCombination"),
        (
            "value and set",
            n().value(1.0).statistic_values(set(1.0, 1.0, 1.0, 1.0)),
            "InvalidParameterCombination",
        ),
        ("nan", n().value(f64::NAN), VALUE),
        ("infinity", n().value(f64::INFINITY), VALUE),
        ("minus infinity among values", n().values(1.0).values(f64::NEG_INFINITY), VALUE),
        ("too large", n().value(1e109), VALUE),
        ("151 values", n().set_values(Some(vec![1.0; 151])), VALUE),
        ("fewer counts", n().values(1.0).values(2.0).counts(1.0), VALUE),
        ("a count of zero", n().values(1.0).counts(0.0), VALUE),
        ("31 dimensions", n().value(1.0).set_dimensions(Some(many_dimensions)), VALUE),
        (
            "a dimension twice",
            n().value(1.0).dimensions(dimension("d", "a")).dimensions(dimension("d", "b")),
            VALUE,
        ),
        ("a foreign letter", n().value(1.0).dimensions(dimension("d", "配信")), VALUE),
        ("a blank value", n().value(1.0).dimensions(dimension("d", "  ")), VALUE),
        ("an empty value", n().value(1.0).dimensions(dimension("d", "")), VALUE),
        ("a long value", n().value(1.0).dimensions(dimension("d", &"x".repeat(1_025))), VALUE),
        ("a long name", datum(&"x".repeat(256)).value(1.0), VALUE),
        ("no name", datum("").value(1.0), "MissingParameter"),
        ("an unknown unit", n().value(1.0).unit(StandardUnit::from("Count/Minute")), VALUE),
        ("a resolution of 30", n().value(1.0).storage_resolution(30), VALUE),
        (
            "two weeks and a second ago",
            n().value(1.0).timestamp(DateTime::from_secs(START_S - 14 * 86_400 - 1)),
            VALUE,
        ),
        (
            "two hours and a second ahead",
            n().value(1.0).timestamp(DateTime::from_secs(START_S + 7_201)),
            VALUE,
        ),
        ("a set of no samples", n().statistic_values(set(0.0, 0.0, 0.0, 0.0)), VALUE),
        ("a set upside down", n().statistic_values(set(2.0, 3.0, 2.0, 1.0)), VALUE),
        ("a set with a wrong sum", n().statistic_values(set(2.0, 9.0, 1.0, 4.0)), VALUE),
        ("a set with nan", n().statistic_values(set(2.0, f64::NAN, 1.0, 4.0)), VALUE),
    ]
}

#[tokio::test]
async fn one_wrong_datum_refuses_the_whole_request_and_is_named() {
    let local = Local::start().await;
    for (what, wrong, expected) in wrong_data() {
        let data: Vec<MetricDatum> =
            vec![n().value(1.0).build(), wrong.build(), n().value(1.0).build()];
        let request = local.client.put_metric_data().namespace(NAMESPACE);
        let error = request.set_metric_data(Some(data)).send().await.expect_err(what);
        let error = error.into_service_error();
        assert_eq!(error.meta().code(), Some(expected), "{what}");
        let message = error.meta().message().unwrap();
        assert!(message.contains("MetricData.member.2"), "{what}: {message}");
    }
    let list = local.client.list_metrics().send().await.unwrap();
    assert!(list.metrics().is_empty(), "something of a refused request was kept");
}

#[tokio::test]
async fn the_bounds_themselves_are_admitted() {
    let local = Local::start().await;
    let dimensions = (0..30).map(|i| dimension(&format!("d{i}"), "x")).collect();
    let behind = DateTime::from_secs(START_S - 14 * 86_400);
    let ahead = DateTime::from_secs(START_S + 7_200);
    local
        .put(vec![
            n().value(1.0).set_dimensions(Some(dimensions)).build(),
            n().set_values(Some((0..150).map(f64::from).collect())).build(),
            n().value(1.0).timestamp(behind).build(),
            n().value(1.0).timestamp(ahead).build(),
            n().value(-1e108).storage_resolution(1).build(),
            n().statistic_values(set(3.0, 0.3, 0.1, 0.1)).build(),
        ])
        .await;
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let local = Local::start().await;
    let put = |namespace: &str, data: Vec<MetricDatum>| {
        local.client.put_metric_data().namespace(namespace).set_metric_data(Some(data)).send()
    };
    let one = || vec![n().value(1.0).build()];
    assert_eq!(code(put("AWS/IVS", one()).await), "InvalidParameterValue");
    assert_eq!(code(put(":x", one()).await), "InvalidParameterValue");
    assert_eq!(code(put("配信", one()).await), "InvalidParameterValue");
    assert_eq!(code(put("", one()).await), "MissingParameter");
    assert_eq!(code(put(NAMESPACE, Vec::new()).await), "MissingParameter");
    let many = vec![n().value(1.0).build(); 1_001];
    assert_eq!(code(put(NAMESPACE, many).await), "InvalidParameterValue");
    let large: Vec<MetricDatum> = (0..1_000)
        .map(|i| n().value(1.0).dimensions(dimension("d", &format!("{i:01000}"))).build())
        .collect();
    assert_eq!(code(put(NAMESPACE, large).await), "RequestEntityTooLarge");
}

#[tokio::test]
async fn wrong_reads_are_refused() {
    let local = Local::start().await;
    let statistics = |period: i32, minutes: i64| {
        let request = local.client.get_metric_statistics().namespace(NAMESPACE).metric_name("n");
        let request = request.start_time(at(0)).end_time(at(minutes)).period(period);
        request.statistics(Statistic::Sum).send()
    };
    assert!(statistics(60, 1_440).await.is_ok());
    assert_eq!(code(statistics(60, 1_441).await), "InvalidParameterCombination");
    assert_eq!(code(statistics(61, 10).await), "InvalidParameterValue");
    assert_eq!(code(statistics(60, 0).await), "ValidationError");
    for (id, expression) in
        [("e", "m9 + 1"), ("e", "1 + 1"), ("E", "1"), ("e", "SELECT x"), ("e", "e + 1")]
    {
        let request = local.client.get_metric_data().start_time(at(0)).end_time(at(5));
        let query = MetricDataQuery::builder().id(id).expression(expression).build();
        let answer = request.metric_data_queries(query).send().await;
        assert_eq!(code(answer), "ValidationError", "{expression}");
    }
}

#[tokio::test]
async fn wrong_alarms_are_refused() {
    let local = Local::start().await;
    let alarm = || {
        let alarm = local.client.put_metric_alarm().alarm_name("a").namespace(NAMESPACE);
        let alarm = alarm.metric_name("n").statistic(Statistic::Sum).period(60).threshold(1.0);
        alarm.evaluation_periods(3).comparison_operator(ComparisonOperator::GreaterThanThreshold)
    };
    assert!(alarm().send().await.is_ok());
    let query = |id: &str, text: &str| MetricDataQuery::builder().id(id).expression(text).build();
    let metric = Metric::builder().namespace(NAMESPACE).metric_name("n").build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
    let hidden = MetricDataQuery::builder().id("m").metric_stat(stat).return_data(false).build();
    let math = |text: &str| {
        alarm().set_metric_name(None).metrics(hidden.clone()).metrics(query("e", text))
    };
    assert!(math("m * 2").send().await.is_ok());
    let wrong = [
        ("m above n", alarm().datapoints_to_alarm(4)),
        ("no periods", alarm().evaluation_periods(0)),
        ("more than a day", alarm().evaluation_periods(1_441)),
        ("more than a week", alarm().period(7_200).evaluation_periods(85)),
        ("an odd period", alarm().period(90)),
        ("a threshold that is none", alarm().threshold(f64::NAN)),
        ("an unknown treatment", alarm().treat_missing_data("sometimes")),
        ("an action that is not an arn", alarm().alarm_actions("topic")),
        ("metric and metrics", alarm().metrics(query("e", "1"))),
        ("two statistics", alarm().extended_statistic("p50")),
        ("no metric at all", alarm().set_metric_name(None)),
        ("a search", math("m + SUM(SEARCH('{N}', 'Sum', 60))")),
        ("an unknown id", math("m + n")),
        ("two results", math("m").metrics(query("f", "m"))),
    ];
    for (what, request) in wrong {
        assert_eq!(code(request.send().await), "ValidationError", "{what}");
    }
}
