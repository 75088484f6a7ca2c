//! PutMetricData and its bounds. One datum beyond them refuses the whole call.

use aws_sdk_cloudwatch::types::{MetricDatum, StatisticSet};

use super::super::answers::said_of_data;
use super::super::{Case, Found, World};
use super::{at, datum, dimension, now_s};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "PutMetricData",
        name: "a call has up to 1,000 datums",
        expected: "taken, refused",
        rule: "API_PutMetricData: \"limited to no more than 1000 different metrics\"",
        run: |world| Box::pin(number_of_data(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "a call has at least one datum",
        expected: "refused",
        rule: "API_PutMetricData: MissingRequiredParameter, \"an input parameter that is required is missing\"",
        run: |world| Box::pin(no_data(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "a datum has up to 150 values",
        expected: "taken, refused",
        rule: "API_MetricDatum, Values: \"you can include up to 150 unique values\"",
        run: |world| Box::pin(number_of_values(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "values and their counts are as many",
        expected: "refused",
        rule: "API_MetricDatum, Counts: \"must include the same amount of values as the Values array\"",
        run: |world| Box::pin(fewer_counts(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "a value is a finite number",
        expected: "refused, refused, refused, taken",
        rule: "API_MetricDatum, Value: -2^360 to 2^360; \"NaN, +Infinity, -Infinity\" are not supported",
        run: |world| Box::pin(special_values(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "a metric has up to 30 dimensions",
        expected: "taken, refused",
        rule: "API_MetricDatum, Dimensions: \"Maximum number of 30 items.\"",
        run: |world| Box::pin(number_of_dimensions(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "a dimension has a name and a value of printable ASCII",
        expected: "refused, refused, refused",
        rule: "API_Dimension: \"must contain only ASCII characters\", at least one that is not whitespace",
        run: |world| Box::pin(texts_of_dimensions(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "a datum is up to two weeks old, and up to two hours ahead",
        expected: "taken, refused, taken, refused",
        rule: "API_PutMetricData: \"two weeks before the current date, and as much as 2 hours after\" it",
        run: |world| Box::pin(times(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "a datum has a value, values or a statistic set, and only one of them",
        expected: "refused, refused, refused, taken, taken, taken",
        rule: "API_PutMetricData: either Value, Values and Counts, or StatisticValues",
        run: |world| Box::pin(kinds(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "a namespace is given and does not begin with a colon",
        expected: "refused, refused",
        rule: "API_PutMetricData, Namespace: \"Minimum length of 1\", \"[^:].*\"",
        run: |world| Box::pin(namespaces(world)),
    },
    Case {
        calls: "PutMetricData",
        name: "units are those of the list",
        expected: "taken, refused",
        rule: "API_MetricDatum, Unit: valid values",
        run: |world| Box::pin(units(world)),
    },
];

/// Returns the answers to calls of a datum each.
async fn each(world: &World, data: Vec<MetricDatum>) -> String {
    let mut codes = vec![];
    for datum in data {
        codes.push(said_of_data(&world.put_metrics(vec![datum]).send().await));
    }
    codes.join(", ")
}

async fn number_of_data(world: &World) -> Found {
    let mut codes = vec![];
    for count in [1_000, 1_001] {
        let data = (0..count)
            .map(|n| datum("Many").value(1.0).dimensions(dimension("n", &format!("{n}"))).build());
        codes.push(said_of_data(&world.put_metrics(data.collect()).send().await));
    }
    Ok(codes.join(", "))
}

async fn no_data(world: &World) -> Found {
    Ok(said_of_data(&world.put_metrics(vec![]).send().await))
}

async fn number_of_values(world: &World) -> Found {
    let of = |count: i32| {
        let values: Vec<f64> = (0..count).map(f64::from).collect();
        let counts = vec![1.0; values.len()];
        datum("Values").set_values(Some(values)).set_counts(Some(counts)).build()
    };
    Ok(each(world, vec![of(150), of(151)]).await)
}

async fn fewer_counts(world: &World) -> Found {
    let datum = datum("Counts").set_values(Some(vec![1.0, 2.0])).set_counts(Some(vec![1.0]));
    Ok(each(world, vec![datum.build()]).await)
}

async fn special_values(world: &World) -> Found {
    let values = [f64::NAN, f64::INFINITY, 1e109, -1e108];
    Ok(each(world, values.map(|value| datum("Special").value(value).build()).to_vec()).await)
}

async fn number_of_dimensions(world: &World) -> Found {
    let of = |count: u32| {
        let dimensions = (0..count).map(|n| dimension(&format!("d{n}"), "x")).collect();
        datum("Dimensions").value(1.0).set_dimensions(Some(dimensions)).build()
    };
    Ok(each(world, vec![of(30), of(31)]).await)
}

async fn texts_of_dimensions(world: &World) -> Found {
    let values = ["配信", "", "  "];
    let of = |value| datum("Texts").value(1.0).dimensions(dimension("d", value)).build();
    Ok(each(world, values.map(of).to_vec()).await)
}

async fn times(world: &World) -> Found {
    let now_s = now_s();
    let moments = [-13 * DAY_S, -15 * DAY_S, HOUR_S, 3 * HOUR_S];
    let of = |by_s| datum("Times").value(1.0).timestamp(at(now_s + by_s)).build();
    Ok(each(world, moments.map(of).to_vec()).await)
}

async fn kinds(world: &World) -> Found {
    let set = StatisticSet::builder().sample_count(2.0).sum(3.0).minimum(1.0).maximum(2.0).build();
    let kind = || datum("Kinds");
    let data = vec![
        kind().build(),
        kind().value(1.0).values(1.0).build(),
        kind().value(1.0).statistic_values(set.clone()).build(),
        kind().value(1.0).build(),
        kind().values(1.0).build(),
        kind().statistic_values(set).build(),
    ];
    Ok(each(world, data).await)
}

async fn namespaces(world: &World) -> Found {
    let mut codes = vec![];
    for namespace in ["", ":contract"] {
        let put = world.put_metrics(vec![datum("Namespaces").value(1.0).build()]);
        codes.push(said_of_data(&put.namespace(namespace).send().await));
    }
    Ok(codes.join(", "))
}

async fn units(world: &World) -> Found {
    let units = ["Kilobits/Second", "Viewers"];
    let of = |unit: &str| datum("Units").value(1.0).unit(unit.into()).build();
    Ok(each(world, units.map(of).to_vec()).await)
}
