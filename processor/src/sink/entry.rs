//! A domain event on its way.

use ivs_schemas::names::DOMAIN_SOURCE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::patience::Refused;

/// A domain event as the bus takes it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub(super) detail_type: String,
    pub(super) detail: String,
}

impl Entry {
    /// Returns the name of the event's kind.
    #[must_use]
    pub fn detail_type(&self) -> &str {
        &self.detail_type
    }

    /// Returns the event as JSON.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the size as EventBridge counts it.
    pub(super) fn bytes(&self) -> usize {
        DOMAIN_SOURCE.len() + self.detail_type.len() + self.detail.len()
    }

    pub(super) fn refused(self, reason: &str) -> Refused {
        tracing::error!(detail_type = self.detail_type, reason, "domain event refused");
        let detail = serde_json::from_str(&self.detail).unwrap_or(Value::String(self.detail));
        let what = json!({ "detailType": self.detail_type, "detail": detail });
        Refused { what, reason: reason.to_owned() }
    }
}
