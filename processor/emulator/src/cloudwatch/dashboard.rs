//! Dashboards: kept as they are put, after a look at their outline.

use std::collections::BTreeMap;

use ciborium::Value as Cbor;
use serde::{Deserialize, Serialize};

use super::wire::{list, map, text, time_ms};
use crate::service::{AwsError, Shared};

const WIDGETS_MAX: usize = 500;

/// A bound on memory: AWS has none for dashboards.
const DASHBOARDS_MAX: usize = 1_000;

/// `PutDashboard`, and the key of the other operations.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct DashboardInput {
    pub(super) dashboard_name: String,
    pub(super) dashboard_body: String,
    pub(super) dashboard_names: Vec<String>,
    pub(super) dashboard_name_prefix: Option<String>,
}

/// One dashboard.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Dashboard {
    body: String,
    modified_ms: i64,
}

/// All dashboards by name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Dashboards(BTreeMap<String, Dashboard>);

fn arn(shared: &Shared, name: &str) -> String {
    // Dashboards belong to no region.
    format!("arn:aws:cloudwatch::{}:dashboard/{name}", shared.account)
}

fn not_found(name: &str) -> AwsError {
    AwsError {
        status: 404,
        code: "ResourceNotFound",
        message: format!("Dashboard {name} does not exist"),
    }
}

/// Returns what is wrong with a dashboard, if anything.
fn fault(name: &str, body: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 255 || !name.bytes().all(allowed) {
        return Some("the name has characters other than letters, digits, - and _".to_owned());
    }
    let document: serde_json::Value = match serde_json::from_str(body) {
        Ok(document) => document,
        Err(error) => return Some(format!("the body is not JSON: {error}")),
    };
    let Some(widgets) = document.get("widgets").and_then(|widgets| widgets.as_array()) else {
        return Some("the body has no array `widgets`".to_owned());
    };
    if widgets.len() > WIDGETS_MAX {
        return Some(format!("the body has more than {WIDGETS_MAX} widgets"));
    }
    let sound =
        |widget: &serde_json::Value| widget["type"].is_string() && widget["properties"].is_object();
    let bad = widgets.iter().position(|widget| !sound(widget))?;
    Some(format!("widget {bad} has no type or no properties"))
}

impl Dashboards {
    pub(super) fn put(&mut self, input: DashboardInput, now_ms: i64) -> Result<Cbor, AwsError> {
        if let Some(fault) = fault(&input.dashboard_name, &input.dashboard_body) {
            return Err(AwsError::bad_request("InvalidParameterInput", fault));
        }
        if self.0.len() >= DASHBOARDS_MAX && !self.0.contains_key(&input.dashboard_name) {
            let message = format!("there are {DASHBOARDS_MAX} dashboards already");
            return Err(AwsError::bad_request("InvalidParameterInput", message));
        }
        let dashboard = Dashboard { body: input.dashboard_body, modified_ms: now_ms };
        self.0.insert(input.dashboard_name, dashboard);
        Ok(map([("DashboardValidationMessages", list([]))]))
    }

    pub(super) fn get(&self, name: &str, shared: &Shared) -> Result<Cbor, AwsError> {
        let dashboard = self.0.get(name).ok_or_else(|| not_found(name))?;
        Ok(map([
            ("DashboardArn", text(arn(shared, name))),
            ("DashboardBody", text(&dashboard.body)),
            ("DashboardName", text(name)),
        ]))
    }

    pub(super) fn list(&self, prefix: &str, shared: &Shared) -> Cbor {
        let entries = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        let entries = entries.map(|(name, dashboard)| {
            let size = i64::try_from(dashboard.body.len()).unwrap_or(i64::MAX);
            map([
                ("DashboardName", text(name)),
                ("DashboardArn", text(arn(shared, name))),
                ("LastModified", time_ms(dashboard.modified_ms)),
                ("Size", Cbor::Integer(size.into())),
            ])
        });
        map([("DashboardEntries", list(entries))])
    }

    /// Deletes all that are named, or none if one does not exist.
    pub(super) fn delete(&mut self, names: &[String]) -> Result<Cbor, AwsError> {
        if let Some(absent) = names.iter().find(|name| !self.0.contains_key(*name)) {
            return Err(not_found(absent));
        }
        for name in names {
            self.0.remove(name);
        }
        Ok(map([]))
    }
}
