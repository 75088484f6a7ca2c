//! The files under `schemas/json/` and the generated ones under `infra/onprem/` say what the code says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ivs_schemas::{contract, prometheus, resources};
use serde_json::Value;

fn expected() -> BTreeMap<String, Value> {
    let schemas =
        contract::CONTRACTS.iter().map(|c| (format!("{}.schema.json", c.name), c.schema()));
    let documents = [
        ("catalogue.json".to_owned(), resources::catalogue()),
        ("resources.json".to_owned(), resources::resources()),
    ];
    schemas.chain(documents).collect()
}

/// Members sorted by name, whatever map type the features of `serde_json` select.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().collect();
            Value::Object(members.into_iter().map(|(k, v)| (k.clone(), sorted(v))).collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}

fn stored(folder: &Path) -> BTreeMap<String, Value> {
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    };
    fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
}

#[test]
fn the_checked_in_json_is_what_the_code_generates() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("json");
    let expected = expected();
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        for name in stored(&folder).keys().filter(|name| !expected.contains_key(*name)) {
            fs::remove_file(folder.join(name)).unwrap();
        }
        for (name, document) in &expected {
            let text = serde_json::to_string_pretty(&sorted(document)).unwrap() + "\n";
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let stored = stored(&folder);
    let names = expected.keys().chain(stored.keys());
    let mut stale: Vec<_> = names.filter(|n| stored.get(*n) != expected.get(*n)).collect();
    stale.dedup();
    assert!(
        stale.is_empty(),
        "schemas/json differs from the code in {stale:?}; \
         run `UPDATE_SCHEMAS=1 cargo test -p ivs-schemas` and review the change"
    );
}

/// Returns each file of the control room on premises that is generated, and its text.
fn onprem() -> [(&'static str, String); 3] {
    let dashboard = serde_json::to_string_pretty(&sorted(&prometheus::dashboard())).unwrap() + "\n";
    [
        ("prometheus/alerts.yml", prometheus::rules()),
        ("prometheus/prometheus.yml", prometheus::scrape()),
        ("grafana/dashboards/live-streaming.json", dashboard),
    ]
}

#[test]
fn the_control_room_on_premises_is_what_the_catalogue_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/onprem");
    for (name, text) in onprem() {
        let path = folder.join(name);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        assert!(
            fs::read_to_string(&path).is_ok_and(|stored| stored == text),
            "infra/onprem/{name} differs from the code; \
             run `UPDATE_SCHEMAS=1 cargo test -p ivs-schemas` and review the change"
        );
    }
}

#[test]
fn every_alarm_has_a_case_for_promtool() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/onprem/prometheus/alerts.test.yml");
    let cases = fs::read_to_string(path).unwrap();
    for alarm in ivs_schemas::catalogue::ALARMS {
        assert!(cases.contains(&format!("alertname: {}\n", alarm.name)), "{}", alarm.name);
    }
}

/// The table of costs multiplies by how many metrics there are.
#[test]
fn the_cost_table_counts_the_metrics_of_the_catalogue() {
    use ivs_schemas::catalogue::{ALARMS, CHANNEL_ID, METRICS, Namespace, SHARD};

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let text = fs::read_to_string(path).unwrap();
    let count = |is_counted: &dyn Fn(Namespace, &str) -> bool, dimensions: &[&str]| {
        let named = METRICS.iter().filter(|metric| is_counted(metric.namespace, metric.name));
        named.filter(|metric| metric.dimensions.contains(&dimensions)).count()
    };
    // Those that nobody sends by default, and those that players have to tell.
    let switched: Vec<_> = ALARMS.iter().filter(|alarm| alarm.only_with.is_some()).collect();
    let is_own = |namespace, name: &str| {
        namespace == Namespace::Processor && switched.iter().all(|alarm| alarm.metric.name != name)
    };
    let is_of_views = |_, name: &str| {
        ["View", "Exits", "Experience"].iter().any(|start| name.starts_with(start))
            && name != "ViewerDropPercent"
    };
    let is_of_streams =
        |namespace, name: &str| namespace != Namespace::Processor && !is_of_views(namespace, name);
    let [shard, fleet] = [&[SHARD][..], &[]].map(|dimensions| count(&is_own, dimensions));
    let [channel, streams] =
        [&[CHANNEL_ID][..], &[]].map(|dimensions| count(&is_of_streams, dimensions));
    let views = count(&is_of_views, &[]);
    for expected in [
        format!("| processor metrics: {shard} per shard, {fleet} for the fleet |"),
        format!("| metrics, {channel} series per channel |"),
        format!("| where players tell views: {views} more,"),
        format!("| fleet series of streams and sessions: {streams}, and {views} where"),
        "| with `-c reconcile=true` (not in the sums): a metric and an alarm |".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}");
    }
    assert_eq!(switched.len(), 1);
}
