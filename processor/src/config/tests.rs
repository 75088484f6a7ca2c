use super::*;

fn layers(environment: &[(&str, &str)], settings: &[&str]) -> Layers {
    Layers {
        environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        settings: settings.iter().map(|s| (*s).to_owned()).collect(),
        ..Layers::default()
    }
}

fn error(layers: &Layers) -> String {
    load(layers).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_valid() {
    assert_eq!(Config::default().problems(), Vec::<String>::new());
}

#[test]
fn later_layers_win_key_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    std::fs::write(&file, "[epoch]\ninterval_ms = 1000\nmax_rows = 7\n").unwrap();
    let mut layers = layers(
        &[("IVS_EPOCH__INTERVAL_MS", "2000"), ("IVS_STREAM__NAME", "from-env"), ("HOME", "/")],
        &["epoch.interval_ms=3000"],
    );
    layers.file = Some(file);
    let config = load(&layers).unwrap();
    assert_eq!(config.epoch.interval_ms, 3000);
    assert_eq!(config.epoch.max_rows, 7);
    assert_eq!(config.stream.name, "from-env");
}

#[test]
fn a_value_set_by_hand_wins_over_the_commands_own_even_if_it_is_the_default() {
    let default = Config::default().epoch.interval_ms;
    let mut layers = layers(&[], &[&format!("epoch.interval_ms={default}")]);
    layers.base = toml::toml! {
        epoch.interval_ms = 5_000
        tables.writes_per_s = 0
    };
    let config = load(&layers).unwrap();
    assert_eq!((config.epoch.interval_ms, config.tables.writes_per_s), (default, 0));
}

#[test]
fn unknown_keys_are_refused_and_named_with_their_origin() {
    let text = error(&layers(&[("IVS_EPOCH__INTERVALL_MS", "1")], &[]));
    assert!(text.contains("IVS_EPOCH__INTERVALL_MS") && text.contains("intervall_ms"), "{text}");
    let text = error(&layers(&[], &["epochs.interval_ms=1"]));
    assert!(text.contains("--set") && text.contains("epochs"), "{text}");
}

#[test]
fn ill_typed_values_are_refused() {
    let text = error(&layers(&[], &["epoch.interval_ms=soon"]));
    assert!(text.contains("the text \"soon\" is not a whole number"), "{text}");
}

#[test]
fn values_out_of_range_name_their_key() {
    let text = error(&layers(&[], &["cloudwatch.metrics_batch=1001"]));
    assert!(text.contains("cloudwatch.metrics_batch"), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let layers = Layers { file: Some("/no/such/file.toml".into()), ..Layers::default() };
    assert!(error(&layers).contains("/no/such/file.toml"));
}

#[test]
fn the_operations_server_listens_on_loopback_unless_told_otherwise() {
    let text = error(&layers(&[("IVS_OPS__LISTEN", "0.0.0.0:9464")], &[]));
    assert!(text.contains("0.0.0.0:9464") && text.contains("ops.allow_remote"), "{text}");
    let open = layers(&[("IVS_OPS__LISTEN", "0.0.0.0:9464")], &["ops.allow_remote=true"]);
    assert_eq!(load(&open).unwrap().ops.address(), Ok(Some("0.0.0.0:9464".parse().unwrap())));
    assert!(error(&layers(&[], &["ops.listen=9464"])).contains("ops.listen"));
    assert_eq!(load(&layers(&[], &["ops.listen="])).unwrap().ops.address(), Ok(None));
    assert!(error(&layers(&[], &["ops.lissten="])).contains("lissten"));
}

/// Returns what is said of a file with this text.
fn error_of_file(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    std::fs::write(&file, text).unwrap();
    let text = error(&Layers { file: Some(file.clone()), ..Layers::default() });
    text.replace(&file.display().to_string(), "c.toml")
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_line() {
    let text = error_of_file("[stream]\nname = \"a\"\n\n[epoch]\nintervall_ms = 1\n");
    assert!(text.starts_with("c.toml:5: unknown key `intervall_ms`; known are `"), "{text}");
    let text = error_of_file("[epoch]\ninterval_ms = \"soon\"\n");
    assert_eq!(text, "c.toml:2: the text \"soon\" is not a whole number");
    let text = error_of_file("[epoch]\ninterval_ms 5\n");
    assert!(text.starts_with("c.toml:2: "), "{text}");
}

#[test]
fn every_url_that_a_worker_would_refuse_is_found() {
    for setting in [
        "objects.archive=htp://x/y",
        "objects.rejects=data/rejects",
        "objects.archive=s3://",
        "objects.archive=file:",
        "aws.endpoint_url=127.0.0.1:4566",
        "aws.s3_endpoint_url=minio",
    ] {
        let (key, value) = setting.split_once('=').unwrap();
        let text = error(&layers(&[], &[setting]));
        assert!(text.contains(key) && text.contains(value) && text.contains("write "), "{text}");
    }
    let right = ["objects.archive=s3://b/p", "objects.rejects=file:///data/rejects"];
    load(&layers(&[], &right)).unwrap();
}

#[test]
fn metrics_that_go_as_otlp_need_to_be_told_where() {
    let text = error(&layers(&[], &["metrics.send_as=otlp"]));
    assert!(text.contains("metrics.otlp_url is empty"), "{text}");
    let text = error(&layers(&[], &["metrics.otlp_url=collector:4318"]));
    assert!(text.contains("http://HOST:PORT/v1/metrics"), "{text}");
    let url = "metrics.otlp_url=http://127.0.0.1:4318/v1/metrics";
    let config = load(&layers(&[], &["metrics.send_as=otlp", url])).unwrap();
    assert_eq!(config.metrics.send_as, SendAs::Otlp);
}

#[test]
fn how_ivs_is_asked_keeps_to_its_limits() {
    for setting in [
        "reconcile.interval_ms=999",
        "reconcile.interval_ms=3600001",
        "reconcile.grace_ms=86400001",
        "reconcile.calls_per_s=0",
        "reconcile.calls_per_s=6",
    ] {
        let (key, _) = setting.split_once('=').unwrap();
        let text = error(&layers(&[], &[setting]));
        assert!(text.contains(key), "{text}");
    }
    let config = load(&layers(&[("IVS_RECONCILE__ENABLED", "true")], &[])).unwrap();
    assert!(config.reconcile.enabled && !Config::default().reconcile.enabled);
    assert_eq!(config.reconcile.sessions_a_round(), 120);
}

/// As the CDK app writes them.
#[test]
fn dimensions_of_metrics_may_come_from_the_environment() {
    let dimensions = ("IVS_CLOUDWATCH__DIMENSIONS", r#"["device","country"]"#);
    let config = load(&layers(&[dimensions], &[])).unwrap();
    assert_eq!(config.cloudwatch.dimensions, ["device", "country"]);
    assert!(Config::default().cloudwatch.dimensions.is_empty());
}
