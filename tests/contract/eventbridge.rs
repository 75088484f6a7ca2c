//! EventBridge: the bus, its rules, events and replays.
//!
//! `API_…` is a page of <https://docs.aws.amazon.com/eventbridge/latest/APIReference/>, `Guide` one of
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/>.

mod buses;
mod events;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_eventbridge::types::builders::PutEventsRequestEntryBuilder;

use super::answers::Failed;
use super::{Case, World};

/// The bus of most cases.
const BUS: &str = "contract";
/// A bus, an archive and a replay that are not there.
const ABSENT: &str = "absent";

/// Returns the cases.
pub(super) fn cases() -> Vec<&'static Case> {
    [buses::CASES, events::CASES].into_iter().flatten().collect()
}

/// Creates the bus that the cases share.
pub(super) async fn create_bus(world: &World) -> Result<(), Failed> {
    world.eventbridge.create_event_bus().name(BUS).send().await?;
    Ok(())
}

fn entry(detail: &str) -> PutEventsRequestEntryBuilder {
    let entry = PutEventsRequestEntry::builder().event_bus_name(BUS).source("contract");
    entry.detail_type("Contract Kept").detail(detail)
}
