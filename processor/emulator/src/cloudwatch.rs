//! CloudWatch: metrics, metric math, alarms and dashboards.
//!
//! Answers as AWS documents it, with these limits: minutes are kept for 15 days and not condensed;
//! anomaly detection is unknown, and Metrics Insights without tags; alarms are evaluated every few
//! seconds instead of every minute, over the same sliding window.

mod alarm;
mod dashboard;
mod insight;
mod math;
mod metric_data;
mod model;
mod stat;
mod statistics;
mod store;
mod time;
mod validate;
mod wire;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::Response;
use ciborium::Value as Cbor;
use serde::{Deserialize, Serialize};

use crate::cloudwatch::alarm::Alarms;
use crate::cloudwatch::alarm::decide::State;
use crate::cloudwatch::alarm::spec::AlarmSpec;
use crate::cloudwatch::dashboard::Dashboards;
use crate::cloudwatch::model::{AlarmSelection, Flag, SetAlarmState};
use crate::cloudwatch::store::{Datum, MetricId, Samples, Store, Unit};
use crate::cloudwatch::wire::{Wire, list, map, map_some, text};
use crate::error::StartError;
use crate::journal;
use crate::service::{AwsError, Call, Shared};
use crate::sns::Sns;
use crate::tags::{self, Tag, Words};

/// Between two evaluations of all alarms.
const TICK_MS: u64 = 5_000;

/// Between two looks for points that have outlived their retention.
const TRIM_MS: i64 = 3_600_000;

/// Alarms on a page of `DescribeAlarms`.
const PAGE_MAX: usize = 100;

/// The service.
#[derive(Debug)]
pub(crate) struct CloudWatch {
    shared: Arc<Shared>,
    sns: Arc<Sns>,
    /// Where alarms and dashboards are kept.
    file: Option<PathBuf>,
    inner: Mutex<Inner>,
    /// Held during a tick, so that the next one finds its messages sent.
    ticking: Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    book: Book,
    trimmed_ms: i64,
}

/// CloudWatch's codes.
const TAG_WORDS: Words = Words { invalid: "InvalidParameterValue", too_many: "LimitExceeded" };

/// Tags of an input, and whose they are.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TagInput {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tags: Vec<Tag>,
    tag_keys: Vec<String>,
}

/// The settings, which change seldom; written whole at each change.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Book {
    alarms: Alarms,
    dashboards: Dashboards,
}

impl CloudWatch {
    /// Opens the stored metrics and starts evaluating alarms.
    pub(crate) fn open(shared: Arc<Shared>, sns: Arc<Sns>) -> Result<Arc<Self>, StartError> {
        let store = Store::open(shared.state_dir.as_deref())?;
        let file = shared.state_dir.as_ref().map(|dir| dir.join("cloudwatch.json"));
        let book = journal::read_json(file.as_deref())?;
        let inner = Mutex::new(Inner { store, book, trimmed_ms: 0 });
        let this = Arc::new(Self { shared, sns, file, inner, ticking: Mutex::new(()) });
        let (clock, weak) = (this.shared.clock.clone(), Arc::downgrade(&this));
        this.shared.spawn(async move {
            loop {
                clock.sleep(TICK_MS).await;
                match weak.upgrade() {
                    Some(this) => this.tick(),
                    None => return,
                }
            }
        });
        Ok(this)
    }

    /// Evaluates all alarms and sends what they have to say.
    pub(crate) fn tick(&self) {
        let _turn = self.ticking.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        if now_ms - inner.trimmed_ms >= TRIM_MS {
            inner.store.trim(now_ms);
            inner.trimmed_ms = now_ms;
        }
        let Inner { store, book, .. } = &mut *inner;
        let changes = book.alarms.evaluate(store, now_ms);
        if changes.is_empty() {
            return;
        }
        if let Err(error) = self.save(book) {
            tracing::warn!(%error, "the alarms' states are not stored");
        }
        drop(inner);
        for (alarm, change) in changes {
            self.announce(&alarm, &change);
        }
    }

    /// Answers one call.
    pub(crate) async fn call(&self, call: Call) -> Response {
        let wire = Wire::of(&call);
        match self.answer(wire, &call) {
            Ok(output) => wire.answer(&call.operation, &output),
            Err(error) => wire.refuse(&error),
        }
    }

    fn answer(&self, wire: Wire, call: &Call) -> Result<Cbor, AwsError> {
        let body = &*call.body;
        let now_ms = self.now_ms();
        match call.operation.as_str() {
            "PutMetricData" => self.put_metric_data(wire, body),
            "GetMetricStatistics" => statistics::get(&self.lock().store, &wire.read(body)?),
            "GetMetricData" => metric_data::get(&self.lock().store, &wire.read(body)?),
            "ListMetrics" => {
                statistics::list_metrics(&self.lock().store, &wire.read(body)?, now_ms)
            }
            "PutMetricAlarm" | "PutCompositeAlarm" => self.put_alarm(wire, call, now_ms),
            "TagResource" | "UntagResource" | "ListTagsForResource" => {
                self.answer_tags(&call.operation, wire.read(body)?)
            }
            "DescribeAlarms" => Ok(self.describe_alarms(&wire.read(body)?)),
            "DescribeAlarmHistory" => Ok(self.describe_history(&wire.read(body)?)),
            "SetAlarmState" => self.set_alarm_state(&wire.read(body)?),
            "DeleteAlarms" => {
                let names = wire.read::<AlarmSelection>(body)?.alarm_names;
                self.change(|book| {
                    names.iter().for_each(|name| drop(book.alarms.alarms.remove(name)));
                    Ok(())
                })?;
                for name in &names {
                    self.shared.tags.forget(&alarm::arn(&self.shared, name))?;
                }
                Ok(map([]))
            }
            "EnableAlarmActions" => self.switch_actions(&wire.read(body)?, true),
            "DisableAlarmActions" => self.switch_actions(&wire.read(body)?, false),
            "PutDashboard" => {
                let input = wire.read(body)?;
                self.change(|book| book.dashboards.put(input, now_ms))
            }
            "GetDashboard" => {
                let input = wire.read::<dashboard::DashboardInput>(body)?;
                self.lock().book.dashboards.get(&input.dashboard_name, &self.shared)
            }
            "ListDashboards" => {
                let input = wire.read::<dashboard::DashboardInput>(body)?;
                let prefix = input.dashboard_name_prefix.unwrap_or_default();
                Ok(self.lock().book.dashboards.list(&prefix, &self.shared))
            }
            "DeleteDashboards" => {
                let input = wire.read::<dashboard::DashboardInput>(body)?;
                self.change(|book| book.dashboards.delete(&input.dashboard_names))
            }
            _ => Err(AwsError::unknown_operation(call)),
        }
    }

    fn put_metric_data(&self, wire: Wire, body: &[u8]) -> Result<Cbor, AwsError> {
        if body.len() > validate::BODY_BYTES_MAX {
            let (length, max) = (body.len(), validate::BODY_BYTES_MAX);
            let message = format!("Request size {length} exceeded {max} bytes");
            return Err(AwsError { status: 413, code: "RequestEntityTooLarge", message });
        }
        let now_ms = self.now_ms();
        let data = validate::check(&wire.read(body)?, now_ms)?;
        self.lock().store.add(&data, now_ms).map_err(|error| not_stored(&error))?;
        Ok(map([]))
    }

    /// Takes a value as AWS's own services give them, which `PutMetricData` is not open to.
    pub(crate) fn play(
        &self,
        (namespace, name): (&str, &str),
        dimensions: &[(&str, &str)],
        unit: &str,
        value: f64,
    ) -> Result<(), AwsError> {
        let mut dimensions: Vec<(String, String)> = dimensions
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        dimensions.sort();
        let now_ms = self.now_ms();
        let datum = Datum {
            metric: MetricId { namespace: namespace.to_owned(), name: name.to_owned(), dimensions },
            unit: Unit::parse(unit).unwrap_or(Unit::NONE),
            at_s: now_ms.div_euclid(60_000) * 60,
            samples: Samples::Values(vec![(value, 1.0)]),
        };
        self.lock().store.add(&[datum], now_ms).map_err(|error| not_stored(&error))
    }

    fn put_alarm(&self, wire: Wire, call: &Call, now_ms: i64) -> Result<Cbor, AwsError> {
        let mut spec: AlarmSpec = wire.read(&call.body)?;
        spec.alarm_rule = match call.operation.as_str() {
            "PutCompositeAlarm" => Some(spec.alarm_rule.unwrap_or_default()),
            _ => None,
        };
        let arn = alarm::arn(&self.shared, &spec.alarm_name);
        let given: TagInput = wire.read(&call.body)?;
        self.change(|book| book.alarms.put(spec, now_ms))?;
        self.shared.tags.add(&arn, tags::from_list(given.tags), TAG_WORDS)?;
        Ok(map([]))
    }

    /// Tags of alarms.
    fn answer_tags(&self, operation: &str, input: TagInput) -> Result<Cbor, AwsError> {
        let (arn, tags) = (&input.resource_arn, &self.shared.tags);
        let name = arn.rsplit_once(":alarm:").map_or("", |(_, name)| name);
        if !self.lock().book.alarms.alarms.contains_key(name) {
            let message = format!("The resource {arn} does not exist");
            return Err(AwsError { status: 404, code: "ResourceNotFoundException", message });
        }
        match operation {
            "TagResource" => tags.add(arn, tags::from_list(input.tags), TAG_WORDS)?,
            "UntagResource" => tags.remove(arn, &input.tag_keys)?,
            _ => {
                let tag = |(key, value)| map([("Key", text(key)), ("Value", text(value))]);
                return Ok(map([("Tags", list(tags.of(arn).into_iter().map(tag)))]));
            }
        }
        Ok(map([]))
    }

    fn describe_alarms(&self, wanted: &AlarmSelection) -> Cbor {
        let inner = self.lock();
        let skip: usize = wanted.next_token.as_deref().and_then(|at| at.parse().ok()).unwrap_or(0);
        let size = wanted.max_records.and_then(|max| usize::try_from(max.0).ok());
        let size = size.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let mut found = inner
            .book
            .alarms
            .alarms
            .values()
            .filter(|alarm| wanted.wants(alarm.spec.alarm_rule.is_some()))
            .filter(|alarm| wanted.selects(&alarm.spec.alarm_name, alarm.state))
            .skip(skip);
        let page: Vec<_> = found.by_ref().take(size).collect();
        let next = found.next().map(|_| text((skip + size).to_string()));
        let (composite, metric): (Vec<_>, Vec<_>) =
            page.into_iter().partition(|alarm| alarm.spec.alarm_rule.is_some());
        map_some([
            ("MetricAlarms", Some(alarm::describe_all(metric.into_iter(), &self.shared))),
            ("CompositeAlarms", Some(alarm::describe_all(composite.into_iter(), &self.shared))),
            ("NextToken", next),
        ])
    }

    fn describe_history(&self, wanted: &AlarmSelection) -> Cbor {
        let inner = self.lock();
        let changes = inner.book.alarms.history(wanted.alarm_name.as_deref());
        let items = changes.take(PAGE_MAX).map(alarm::describe_change);
        map([("AlarmHistoryItems", list(items))])
    }

    /// Sets the state of an alarm, which lasts until the next evaluation.
    fn set_alarm_state(&self, input: &SetAlarmState) -> Result<Cbor, AwsError> {
        let state = State::parse(&input.state_value).ok_or_else(|| {
            let message = format!("`{}` is not a state of an alarm", input.state_value);
            AwsError::bad_request("ValidationError", message)
        })?;
        let mut changed = Vec::new();
        let output = self.change(|book| {
            if !book.alarms.alarms.contains_key(&input.alarm_name) {
                let message = format!("the alarm {} does not exist", input.alarm_name);
                return Err(AwsError { status: 404, code: "ResourceNotFound", message });
            }
            let now_ms = self.now_ms();
            changed.extend(book.alarms.set(&input.alarm_name, state, &input.state_reason, now_ms));
            changed.extend(book.alarms.settle_composites(now_ms));
            Ok(map([]))
        })?;
        for (alarm, change) in &changed {
            self.announce(alarm, change);
        }
        Ok(output)
    }

    fn switch_actions(&self, wanted: &AlarmSelection, enabled: bool) -> Result<Cbor, AwsError> {
        self.change(|book| {
            for name in &wanted.alarm_names {
                if let Some(alarm) = book.alarms.alarms.get_mut(name) {
                    alarm.spec.actions_enabled = Some(Flag(enabled));
                }
            }
            Ok(map([]))
        })
    }

    fn announce(&self, alarm: &alarm::Alarm, change: &alarm::Change) {
        for notice in alarm::notice::notices(alarm, change, &self.shared) {
            let sent = self.sns.publish(&notice.topic_arn, Some(&notice.subject), &notice.message);
            if let Err(error) = sent {
                tracing::warn!(alarm = change.alarm, %error, "an alarm's action failed");
            }
        }
    }

    /// Changes alarms or dashboards and stores them.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Book) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let mut inner = self.lock();
        let output = change(&mut inner.book)?;
        self.save(&inner.book).map_err(|error| not_stored(&error))?;
        Ok(output)
    }

    fn save(&self, book: &Book) -> std::io::Result<()> {
        journal::write_json(self.file.as_deref(), book)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.shared.clock.now_ms()).unwrap_or(i64::MAX)
    }
}

fn not_stored(error: &std::io::Error) -> AwsError {
    let message = format!("the state could not be stored: {error}");
    AwsError { status: 500, code: "InternalServiceError", message }
}
