//! Reading what was put.

use aws_sdk_cloudwatch::operation::get_metric_data::builders::GetMetricDataFluentBuilder;
use aws_sdk_cloudwatch::types::{
    Dimension, DimensionFilter, Metric, MetricDataQuery, MetricStat, ScanBy, Statistic,
    StatisticSet,
};

use super::super::answers::{Wanted as _, said};
use super::super::{Case, Found, World};
use super::{MINUTE_S, NAMESPACE, at, datum, dimension, minute_s};

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "GetMetricData PutMetricData",
        name: "values with counts are summed, counted, and keep their ends",
        expected: "Sum 17 SampleCount 5 Minimum 1 Maximum 5 Average 3.4",
        rule: "API_MetricDatum, Counts: how often each value occurred; Guide, Statistics-definitions",
        run: |world| Box::pin(counted_values(world)),
    },
    Case {
        calls: "GetMetricStatistics PutMetricData",
        name: "statistic sets are merged with each other and with values",
        expected: "Sum 16 SampleCount 6 Minimum 1 Maximum 6",
        rule: "API_StatisticSet; API_GetMetricStatistics: statistics of a period over all that was put",
        run: |world| Box::pin(statistic_sets(world)),
    },
    Case {
        calls: "GetMetricData",
        name: "points are given newest first, unless asked for otherwise",
        expected: "3 2 1; 1 2 3",
        rule: "API_GetMetricData, ScanBy: \"if you omit this parameter, the default of TimestampDescending\"",
        run: |world| Box::pin(order(world)),
    },
    Case {
        calls: "GetMetricData",
        name: "a point belongs to the minute in which its period begins; the end is not included",
        expected: "1 at 0, 2 at 60",
        rule: "API_GetMetricData: StartTime is inclusive, EndTime exclusive; periods are aligned",
        run: |world| Box::pin(window(world)),
    },
    Case {
        calls: "GetMetricData",
        name: "dimensions are matched exactly",
        expected: "1; 2; nothing",
        rule: "Guide, cloudwatch_concepts: each unique combination of dimensions is a separate metric",
        run: |world| Box::pin(dimensions(world)),
    },
    Case {
        calls: "GetMetricData",
        name: "an expression is computed from metrics",
        expected: "12",
        rule: "Guide, using-metric-math: arithmetic on the ids of other queries",
        run: |world| Box::pin(expression(world)),
    },
    Case {
        calls: "GetMetricData",
        name: "SEARCH finds the metrics of a schema",
        expected: "2 series",
        rule: "Guide, using-search-expressions: {Namespace,Dimension} MetricName=\"…\"",
        run: |world| Box::pin(search(world)),
    },
    Case {
        calls: "GetMetricData",
        name: "an expression that cannot be read is refused",
        expected: "ValidationError",
        rule: "API_GetMetricData: CommonErrors, ValidationError, constraints that are not satisfied",
        run: |world| Box::pin(wrong_expression(world)),
    },
    Case {
        calls: "GetMetricData",
        name: "a metric that nobody has put has no points",
        expected: "1 result without points",
        rule: "API_GetMetricData: a result for each query, empty where there is no data",
        run: |world| Box::pin(unknown_metric(world)),
    },
    Case {
        calls: "ListMetrics",
        name: "metrics are listed by name and by a dimension of any value",
        expected: "a b",
        rule: "API_DimensionFilter: Value is optional, the name alone finds all its values",
        run: |world| Box::pin(list(world)),
    },
];

fn query(name: &str, statistic: &str, dimensions: &[Dimension]) -> MetricDataQuery {
    let metric = Metric::builder().namespace(NAMESPACE).metric_name(name);
    let metric = metric.set_dimensions(Some(dimensions.to_vec())).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat(statistic).build();
    MetricDataQuery::builder().id(statistic.to_lowercase()).metric_stat(stat).build()
}

fn expression_of(text: &str) -> MetricDataQuery {
    MetricDataQuery::builder().id("e").expression(text).build()
}

/// Asks for a quarter of an hour around the minutes of the cases.
fn get(world: &World, queries: Vec<MetricDataQuery>) -> GetMetricDataFluentBuilder {
    let get = world.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
    get.start_time(at(minute_s(10))).end_time(at(minute_s(-4)))
}

/// Returns the values of all series, a series after the other.
async fn values(get: GetMetricDataFluentBuilder) -> Found {
    let answer = get.send().await?;
    let series = answer
        .metric_data_results()
        .iter()
        .map(|series| series.values().iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    let series: Vec<_> = series.filter(|values| !values.is_empty()).collect();
    Ok(if series.is_empty() { "nothing".to_owned() } else { series.join(" | ") })
}

async fn counted_values(world: &World) -> Found {
    let datum = datum("Counted").timestamp(at(minute_s(0)));
    let datum = datum.set_values(Some(vec![1.0, 5.0])).set_counts(Some(vec![2.0, 3.0]));
    world.put_metrics(vec![datum.build()]).send().await?;
    let mut found = vec![];
    for statistic in ["Sum", "SampleCount", "Minimum", "Maximum", "Average"] {
        let value = values(get(world, vec![query("Counted", statistic, &[])])).await?;
        found.push(format!("{statistic} {value}"));
    }
    Ok(found.join(" "))
}

async fn statistic_sets(world: &World) -> Found {
    let start_s = minute_s(0);
    let set = |count: f64, sum: f64, minimum: f64, maximum: f64| {
        let set = StatisticSet::builder().sample_count(count).sum(sum);
        datum("Sets")
            .timestamp(at(start_s))
            .statistic_values(set.minimum(minimum).maximum(maximum).build())
            .build()
    };
    let value = datum("Sets").timestamp(at(start_s + 30)).value(2.0).build();
    let sets = vec![set(2.0, 3.0, 1.0, 2.0), set(3.0, 11.0, 2.0, 6.0), value];
    world.put_metrics(sets).send().await?;
    let get = world.cloudwatch.get_metric_statistics().namespace(NAMESPACE).metric_name("Sets");
    let get = get.start_time(at(start_s)).end_time(at(start_s + MINUTE_S)).period(60);
    let statistics =
        [Statistic::Sum, Statistic::SampleCount, Statistic::Minimum, Statistic::Maximum];
    let answer = get.set_statistics(Some(statistics.to_vec())).send().await?;
    let point = answer.datapoints().first().wanted("point")?;
    let parts = [
        ("Sum", point.sum()),
        ("SampleCount", point.sample_count()),
        ("Minimum", point.minimum()),
        ("Maximum", point.maximum()),
    ];
    let shown = parts.map(|(name, value)| format!("{name} {}", value.unwrap_or(f64::NAN)));
    Ok(shown.join(" "))
}

async fn order(world: &World) -> Found {
    let start_s = minute_s(3);
    let data = [(0, 1.0), (1, 2.0), (2, 3.0)].map(|(minute, value)| {
        datum("Order").timestamp(at(start_s + minute * MINUTE_S)).value(value).build()
    });
    world.put_metrics(data.to_vec()).send().await?;
    let of = || get(world, vec![query("Order", "Sum", &[])]);
    let ascending = values(of().scan_by(ScanBy::TimestampAscending)).await?;
    Ok(format!("{}; {ascending}", values(of()).await?))
}

async fn window(world: &World) -> Found {
    let start_s = minute_s(3);
    let data = [(59, 1.0), (60, 2.0), (120, 4.0)].map(|(after_s, value)| {
        datum("Window").timestamp(at(start_s + after_s)).value(value).build()
    });
    world.put_metrics(data.to_vec()).send().await?;
    let get = get(world, vec![query("Window", "Sum", &[])]).scan_by(ScanBy::TimestampAscending);
    let get = get.start_time(at(start_s)).end_time(at(start_s + 2 * MINUTE_S));
    let answer = get.send().await?;
    let series = answer.metric_data_results().first().wanted("result")?;
    let points = series.timestamps().iter().zip(series.values());
    let shown = points.map(|(time, value)| format!("{value} at {}", time.secs() - start_s));
    Ok(shown.collect::<Vec<_>>().join(", "))
}

async fn dimensions(world: &World) -> Found {
    let moment = at(minute_s(0));
    let one = datum("Exact").timestamp(moment).value(1.0).build();
    let two = datum("Exact").timestamp(moment).value(2.0).dimensions(dimension("a", "x")).build();
    world.put_metrics(vec![one, two]).send().await?;
    let mut found = vec![];
    for dimensions in [vec![], vec![dimension("a", "x")], vec![dimension("a", "y")]] {
        found.push(values(get(world, vec![query("Exact", "Sum", &dimensions)])).await?);
    }
    Ok(found.join("; "))
}

async fn expression(world: &World) -> Found {
    let datum = datum("Math").timestamp(at(minute_s(0))).value(5.0).build();
    world.put_metrics(vec![datum]).send().await?;
    let metric = MetricDataQuery::builder().return_data(false).id("m");
    let metric = metric.set_metric_stat(query("Math", "Sum", &[]).metric_stat).build();
    values(get(world, vec![metric, expression_of("m * 2 + 2")])).await
}

async fn search(world: &World) -> Found {
    let data = ["a", "b"].map(|value| {
        let datum = datum("Found").timestamp(at(minute_s(0))).value(1.0);
        datum.dimensions(dimension("Seek", value)).build()
    });
    world.put_metrics(data.to_vec()).send().await?;
    let text = format!("SEARCH('{{{NAMESPACE},Seek}} MetricName=\"Found\"', 'Sum', 60)");
    let answer = get(world, vec![expression_of(&text)]).send().await?;
    let series = answer.metric_data_results().iter().filter(|series| !series.values().is_empty());
    Ok(format!("{} series", series.count()))
}

async fn wrong_expression(world: &World) -> Found {
    let answer = get(world, vec![query("Math", "Sum", &[]), expression_of("sum +* 2")]).send();
    Ok(said(&answer.await))
}

async fn unknown_metric(world: &World) -> Found {
    let answer = get(world, vec![query("Unknown", "Sum", &[])]).send().await?;
    let results = answer.metric_data_results();
    let points: usize = results.iter().map(|series| series.values().len()).sum();
    let points = if points == 0 { "without points".to_owned() } else { format!("{points} points") };
    Ok(format!("{} result {points}", results.len()))
}

async fn list(world: &World) -> Found {
    let data = ["a", "b"]
        .map(|value| datum("Listed").value(1.0).dimensions(dimension("Place", value)).build());
    world.put_metrics(data.to_vec()).send().await?;
    let list = world.cloudwatch.list_metrics().namespace(NAMESPACE).metric_name("Listed");
    let listed = list.dimensions(DimensionFilter::builder().name("Place").build()).send().await?;
    let values = listed.metrics().iter().flat_map(Metric::dimensions);
    let mut values: Vec<_> = values.filter_map(Dimension::value).collect();
    values.sort_unstable();
    Ok(values.join(" "))
}
