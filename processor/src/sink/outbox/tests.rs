use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use ivs_core::emit::{DatumValue, Series};
use ivs_core::epoch::{Counts, Emission, Rows, StoredRows};
use ivs_schemas::catalogue::metrics::STREAMS_STARTED;
use serde_json::json;

use super::*;
use crate::cloud;
use crate::config::Config;
use crate::sink::Sinks;

/// How the services answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// 403, by its code.
    Denied(&'static str),
    /// Every datum is bad.
    Picky,
}

/// CloudWatch and EventBridge in one: counts what they were sent and took.
#[derive(Clone, Debug)]
struct Services {
    mood: Arc<Mutex<Mood>>,
    calls: Arc<Mutex<usize>>,
    taken: Arc<Mutex<usize>>,
}

impl HttpConnector for Services {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        *self.calls.lock().unwrap() += 1;
        let (status, body) = match *self.mood.lock().unwrap() {
            Mood::Well => {
                *self.taken.lock().unwrap() += 1;
                (200, json!({}))
            }
            Mood::Denied(code) => (403, json!({ "__type": code, "message": "no" })),
            Mood::Picky => (400, json!({ "__type": "InvalidParameterValue", "message": "bad" })),
        };
        // PutMetricData speaks CBOR; an empty map is the answer of success.
        let body = if status == 200 { vec![0xa0] } else { cbor_error(&body) };
        let status = StatusCode::try_from(status).unwrap();
        let mut answer = HttpResponse::new(status, SdkBody::from(body));
        answer.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

/// `{"__type": code, "message": text}` in CBOR.
fn cbor_error(body: &serde_json::Value) -> Vec<u8> {
    let text = |text: &str| {
        let mut bytes = vec![0x78, u8::try_from(text.len()).unwrap()];
        bytes.extend(text.bytes());
        bytes
    };
    let mut bytes = vec![0xa2];
    for name in ["__type", "message"] {
        bytes.extend(text(name));
        bytes.extend(text(body[name].as_str().unwrap()));
    }
    bytes
}

struct World {
    services: Services,
    sinks: Sinks,
    folder: tempfile::TempDir,
}

impl World {
    async fn new(mood: Mood) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let services = Services {
            mood: Arc::new(Mutex::new(mood)),
            calls: Arc::default(),
            taken: Arc::default(),
        };
        let sinks = Self::sinks(&services, &folder).await;
        Self { services, sinks, folder }
    }

    /// Another worker on the same store.
    async fn sinks(services: &Services, folder: &tempfile::TempDir) -> Sinks {
        let connector = SharedHttpConnector::new(services.clone());
        let http = SharedHttpClient::new(http_client_fn(move |_, _| connector.clone()));
        let mut config = Config::default();
        config.aws.endpoint_url = "http://localhost:1".to_owned();
        config.objects.rejects = format!("file://{}", folder.path().display());
        config.outbox.patience_ms = 100;
        let clients = cloud::build(&config.aws, http).await;
        Sinks::new(&config, &clients, Arc::default()).unwrap()
    }

    async fn emit(&self, to: u128) {
        let emission = Emission {
            partials: Arc::new(Rows::default()),
            stored: StoredRows::default(),
            counts: Counts::default(),
            arrival: now(),
            to: at(to),
        };
        let figure = Datum {
            metric: &STREAMS_STARTED,
            series: Series::Fleet,
            time: EpochMs(now().0 - 60_000),
            value: DatumValue::Single(1.0),
        };
        self.sinks.emit(&shard(), &emission, vec![figure]).await.unwrap();
    }

    fn taken(&self) -> usize {
        *self.services.taken.lock().unwrap()
    }

    fn become_of(&self, mood: Mood) {
        *self.services.mood.lock().unwrap() = mood;
    }

    /// Objects below the rejects whose name has this in it.
    fn objects(&self, part: &str) -> usize {
        fn walk(folder: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push(path.display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        found.into_iter().filter(|name| name.contains(part)).count()
    }

    async fn drained(&self, sinks: &Sinks) {
        let running = tokio::spawn(sinks.clone().run_outbox());
        while sinks.stats.snapshot().outbox_objects > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running.abort();
    }
}

fn shard() -> ShardId {
    ShardId::new("shardId-000000000001")
}

fn at(sequence: u128) -> Position {
    Position { sequence: sequence.into(), sub: 0 }
}

#[tokio::test]
async fn what_is_not_acknowledged_waits_and_is_sent_once_when_the_service_is_back() {
    for code in
        ["ExpiredToken", "AccessDenied", "UnrecognizedClientException", "SignatureDoesNotMatch"]
    {
        let world = World::new(Mood::Denied(code)).await;
        world.emit(10).await;
        world.emit(20).await;
        let before = world.sinks.stats.snapshot();
        assert_eq!((before.outbox_objects, before.datums_dropped), (2, 0), "{code}");
        assert_eq!(world.objects("outbox/"), 2);
        world.become_of(Mood::Well);
        world.drained(&world.sinks).await;
        assert_eq!((world.taken(), world.objects("outbox/")), (2, 0));
        assert_eq!(world.sinks.stats.snapshot().datums, 2);
        world.emit(30).await;
        assert_eq!((world.taken(), world.objects("outbox/")), (3, 0), "a calm system pays nothing");
    }
}

#[tokio::test]
async fn one_epoch_finds_out_that_a_service_is_away_and_no_other_tries_it() {
    let world = World::new(Mood::Denied("AccessDenied")).await;
    world.emit(10).await;
    let calls = *world.services.calls.lock().unwrap();
    assert!(calls > 0, "the first has tried");
    world.emit(20).await;
    assert_eq!(*world.services.calls.lock().unwrap(), calls);
    assert_eq!(world.objects("outbox/"), 2);
}

#[tokio::test]
async fn the_next_owner_of_a_shard_sends_what_it_finds_and_does_not_emit_that_epoch_again() {
    let world = World::new(Mood::Denied("AccessDenied")).await;
    world.emit(10).await;
    let heir = World::sinks(&world.services, &world.folder).await;
    heir.outbox.adopt(&shard()).await.unwrap();
    assert!(heir.outbox.has_epoch(&shard(), at(10)));
    assert!(!heir.outbox.has_epoch(&shard(), at(20)));
    world.become_of(Mood::Well);
    world.sinks.outbox.release(&shard()).await;
    let heirs = World {
        sinks: heir,
        services: world.services.clone(),
        folder: tempfile::tempdir().unwrap(),
    };
    heirs.emit(10).await;
    assert_eq!(world.taken(), 0, "it was prepared, emitted and not committed");
    world.drained(&heirs.sinks).await;
    assert_eq!((world.taken(), world.objects("outbox/")), (1, 0));
}

#[tokio::test]
async fn what_another_worker_sends_is_forgotten_here_and_found_by_its_sweep() {
    let world = World::new(Mood::Denied("AccessDenied")).await;
    world.emit(10).await;
    world.sinks.outbox.keep(|kept| *kept != shard());
    assert_eq!(world.sinks.stats.snapshot().outbox_objects, 0);
    let first = World::sinks(&world.services, &world.folder).await;
    first.outbox.sweep(|_| false).await.unwrap();
    assert_eq!(first.stats.snapshot().outbox_objects, 0);
    first.outbox.sweep(|ours| *ours == shard()).await.unwrap();
    assert_eq!(first.stats.snapshot().outbox_objects, 1);
    world.become_of(Mood::Well);
    world.drained(&first).await;
    assert_eq!((world.taken(), world.objects("outbox/")), (1, 0));
}

#[tokio::test]
async fn a_datum_that_cloudwatch_will_never_take_is_kept_with_the_rejects() {
    let world = World::new(Mood::Picky).await;
    world.emit(10).await;
    assert_eq!((world.objects("outbox/"), world.objects(".refused.ndjson")), (0, 1));
    assert_eq!(world.sinks.stats.snapshot().datums_dropped, 1);
}

#[tokio::test]
async fn what_is_beyond_the_bound_is_given_up_oldest_first_and_counted() {
    let world = World::new(Mood::Denied("AccessDenied")).await;
    let url = format!("file://{}", world.folder.path().display());
    let url = StoreUrl::open(&url, &crate::config::Aws::default()).unwrap();
    let stats = Arc::new(Stats::default());
    let small = Outbox::new(url, "s", 300, Arc::clone(&stats));
    for to in 1..=5 {
        let entries: Vec<Entry> =
            serde_json::from_value(json!([{ "detailType": "T", "detail": "x".repeat(50) }]))
                .unwrap();
        small.spill((&shard(), at(to)), vec![], entries).await.unwrap();
    }
    let found = stats.snapshot();
    assert!(found.outbox_bytes <= 300 && found.outbox_expired > 0, "{found:?}");
    assert_eq!(found.outbox_objects, world.objects("outbox/") as u64);
    assert!(small.has_epoch(&shard(), at(5)) && !small.has_epoch(&shard(), at(1)));
}

#[tokio::test]
async fn what_is_too_old_for_its_service_is_given_up_and_counted() {
    let world = World::new(Mood::Well).await;
    let old_ms = |age_ms: i64| EpochMs(now().0 - age_ms - 60_000);
    let datum = Datum {
        metric: &STREAMS_STARTED,
        series: Series::Fleet,
        time: old_ms(OLDEST_MS),
        value: DatumValue::Single(1.0),
    };
    let entries = serde_json::from_value(json!([{ "detailType": "T", "detail": "{}" }])).unwrap();
    let letters = [
        (Kind::Metrics, now(), Content::Metrics(vec![StoredDatum::from(&datum)])),
        (Kind::Events, old_ms(EVENTS_KEEP_MS), Content::Events(entries)),
    ];
    let outbox = &world.sinks.outbox;
    for (number, (kind, made, content)) in letters.into_iter().enumerate() {
        let epoch = epoch_text(at(10));
        let name = Waiting::name("ivs-events", &shard(), &epoch, (number, kind, number == 1));
        outbox.put(&name, Letter::new(made, content).to_bytes()).await.unwrap();
    }
    outbox.adopt(&shard()).await.unwrap();
    assert_eq!(world.sinks.stats.snapshot().outbox_objects, 2);
    world.drained(&world.sinks).await;
    let found = world.sinks.stats.snapshot();
    assert_eq!((found.outbox_expired, found.datums_dropped), (2, 1));
    assert_eq!((*world.services.calls.lock().unwrap(), world.objects("outbox/")), (0, 0));
}

#[tokio::test]
async fn an_object_that_cannot_be_read_stays_for_who_looks_and_holds_nothing_up() {
    let world = World::new(Mood::Denied("AccessDenied")).await;
    for to in [10, 20, 30] {
        world.emit(to).await;
    }
    let folder = world.folder.path().join(format!("outbox/ivs-events/{}", shard()));
    let path = |to: u128| {
        let name = Waiting::name("s", &shard(), &epoch_text(at(to)), (0, Kind::Metrics, true));
        folder.join(name.rsplit('/').next().unwrap())
    };
    let whole = std::fs::read_to_string(path(10)).unwrap();
    std::fs::write(path(10), &whole[..whole.len() / 2]).unwrap();
    let later = std::fs::read_to_string(path(20)).unwrap();
    std::fs::write(path(20), later.replace(r#""version":1"#, r#""version":9"#)).unwrap();
    std::fs::write(folder.join("notes.txt"), "not one of ours").unwrap();

    let heir = World::sinks(&world.services, &world.folder).await;
    heir.outbox.adopt(&shard()).await.unwrap();
    world.become_of(Mood::Well);
    world.drained(&heir).await;
    assert_eq!(world.taken(), 1, "the one that is whole");
    assert!(path(10).exists() && path(20).exists() && !path(30).exists());
    let error = heir.stats.last_error().unwrap().error;
    assert!(error.contains("later release") || error.contains("not readable"), "{error}");
}
