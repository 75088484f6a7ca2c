//! Messages of a topic for the program that runs the endpoint, by a subscription like any other:
//! an HTTP endpoint on loopback, which is this one.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use tokio::sync::mpsc;

use crate::service::AwsError;

/// Where the subscription delivers to.
pub(crate) const PATH: &str = "notices";
/// Messages that may wait; SNS tries again when there is no room.
const WAITING_MAX: usize = 100;

/// A message that a topic sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Notice {
    /// Its subject; empty if it has none.
    #[serde(default, deserialize_with = "or_empty")]
    pub subject: String,
    /// Its text; that of an alarm is JSON.
    pub message: String,
}

fn or_empty<'de, D: serde::Deserializer<'de>>(text: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(text).map(Option::unwrap_or_default)
}

/// The messages of a watched topic, as they come.
pub type Notices = mpsc::Receiver<Notice>;

/// The box that takes deliveries for whoever watches.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Option<mpsc::Sender<Notice>>>);

impl Mailbox {
    /// Begins to watch, instead of whoever did before.
    pub(crate) fn open(&self) -> Notices {
        let (sender, notices) = mpsc::channel(WAITING_MAX);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        notices
    }

    /// Takes SNS's envelope. Nobody who watches is not a fault: the message is kept with its topic.
    pub(crate) fn deliver(&self, envelope: &[u8]) -> Result<(), AwsError> {
        let notice: Notice = serde_json::from_slice(envelope)
            .map_err(|error| AwsError::bad_request("InvalidRequest", error.to_string()))?;
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match sender.map(|sender| sender.try_send(notice)) {
            Some(Err(mpsc::error::TrySendError::Full(_))) => Err(AwsError {
                status: 503,
                code: "ServiceUnavailable",
                message: "too many notices wait".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}
