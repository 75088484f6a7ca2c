//! The summaries of sessions, as far as the list of streams needs them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aws_calls::explain;
use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use ivs_core::session::Signs;
use ivs_schemas::items::sessions;

use super::room::Room;
use crate::items::codec::{Item, ItemError, Reader};
use crate::items::on_air;

/// Keys of one BatchGetItem: DynamoDB's limit.
pub(super) const BATCH: usize = 100;

/// A summary item, as far as it is shown or judged.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    pub(super) status: String,
    pub(super) title: Option<String>,
    pub(super) streamer: Option<String>,
    pub(super) started_s: Option<f64>,
    pub(super) peak_viewers: Option<f64>,
    /// The signs by which it is judged, if it ever began.
    pub(super) signs: Option<Signs>,
}

impl Summary {
    fn of(item: &Item) -> Result<Self, ItemError> {
        let reader = Reader(item);
        let text = |name| reader.text(name).map(|text| (!text.is_empty()).then(|| text.to_owned()));
        Ok(Self {
            status: reader.text(sessions::STATUS)?.to_owned(),
            title: text(sessions::STREAM_TITLE)?,
            streamer: text(sessions::STREAMER_USER_ID)?,
            started_s: reader.number_if(sessions::STARTED_AT)?,
            peak_viewers: reader.number_if(sessions::PEAK_VIEWERS)?,
            signs: on_air::signs(item)?,
        })
    }
}

/// Returns the summaries of at most [`BATCH`] sessions.
///
/// # Errors
/// In the user's words, when the table does not answer or an item is not ours.
pub(super) async fn read(
    room: &Room,
    ids: &[Arc<str>],
) -> Result<Vec<(Arc<str>, Summary)>, String> {
    let table = &room.config.tables.sessions;
    let refused = |error: String| format!("cannot read {table}: {error}");
    let keys = ids.iter().map(|id| {
        HashMap::from([
            (sessions::SESSION_ID.to_owned(), S(id.to_string())),
            (sessions::TIMESTAMP.to_owned(), N(sessions::SUMMARY_TIMESTAMP.to_string())),
        ])
    });
    let shown = [
        sessions::SESSION_ID,
        sessions::STREAM_TITLE,
        sessions::STREAMER_USER_ID,
        sessions::PEAK_VIEWERS,
    ];
    let wanted: BTreeSet<_> = shown.into_iter().chain(on_air::ATTRIBUTES).collect();
    let mut keys = KeysAndAttributes::builder().set_keys(Some(keys.collect()));
    let placeholders: Vec<_> = (0..wanted.len()).map(|at| format!("#p{at}")).collect();
    for (placeholder, name) in placeholders.iter().zip(wanted) {
        keys = keys.expression_attribute_names(placeholder, name);
    }
    let keys = keys.projection_expression(placeholders.join(", "));
    let keys = keys.build().map_err(|error| refused(error.to_string()))?;
    let found = room.clients.dynamodb.batch_get_item().request_items(table, keys).send().await;
    let found = found.map_err(|error| refused(explain(&error)))?;
    let items = found.responses.and_then(|mut tables| tables.remove(table)).unwrap_or_default();
    let read = items
        .iter()
        .map(|item| Ok((Arc::from(Reader(item).text(sessions::SESSION_ID)?), Summary::of(item)?)));
    read.collect::<Result<_, ItemError>>().map_err(|error| refused(error.to_string()))
}
