//! PutEvents. An entry that is refused does not keep the others out.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_eventbridge::types::builders::PutEventsRequestEntryBuilder;

use super::super::answers::said;
use super::super::{Case, Found, World};
use super::{ABSENT, entry};

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "PutEvents",
        name: "a call has 1 to 10 events",
        expected: "ValidationException, taken, ValidationException",
        rule: "API_PutEvents, Entries: \"Minimum number of 1 item. Maximum number of 10 items.\"",
        run: |world| Box::pin(number_of_entries(world)),
    },
    Case {
        calls: "PutEvents",
        name: "each event has a result, in order, with an id of its own",
        expected: "0 failed of 3, 3 ids",
        rule: "API_PutEvents: the index of a result is that of the request's entry; EventId",
        run: |world| Box::pin(results(world)),
    },
    Case {
        calls: "PutEvents",
        name: "a detail that is not JSON is refused by itself",
        expected: "1 failed: id, MalformedDetail, id",
        rule: "API_PutEventsResultEntry: MalformedDetail, \"the JSON provided is not valid\"",
        run: |world| Box::pin(malformed_detail(world)),
    },
    Case {
        calls: "PutEvents",
        name: "a detail is an object",
        expected: "1 failed: MalformedDetail",
        rule: "API_PutEventsRequestEntry, Detail: \"a valid JSON object\"",
        run: |world| Box::pin(detail_of_no_object(world)),
    },
    Case {
        calls: "PutEvents",
        name: "an event without source, type or detail is refused by itself",
        expected: "3 failed: id, InvalidArgument, InvalidArgument, InvalidArgument",
        rule: "API_PutEventsRequestEntry: Detail, DetailType and Source are required; InvalidArgument",
        run: |world| Box::pin(incomplete(world)),
    },
    Case {
        calls: "PutEvents",
        name: "events of a call stay below 1 MB",
        expected: "taken, ValidationException",
        rule: "API_PutEvents: \"the total entry size must be less than 1MB\"",
        run: |world| Box::pin(size(world)),
    },
    Case {
        calls: "PutEvents",
        name: "an event for a bus that is not there is taken, and lost",
        expected: "0 failed: id",
        rule: "API_PutEventsResultEntry has no code for it; AWS answers an id (aws/aws-sdk#186)",
        run: |world| Box::pin(absent_bus(world)),
    },
];

/// Returns the results of entries: `id` or a code for each.
async fn results_of(world: &World, entries: Vec<PutEventsRequestEntryBuilder>) -> Found {
    let entries = entries.into_iter().map(PutEventsRequestEntryBuilder::build).collect();
    let put = world.eventbridge.put_events().set_entries(Some(entries)).send().await?;
    let results = put.entries().iter().map(|result| match result.event_id() {
        Some(_) => "id",
        None => result.error_code().unwrap_or("neither id nor code"),
    });
    let results: Vec<_> = results.collect();
    Ok(format!("{} failed: {}", put.failed_entry_count(), results.join(", ")))
}

async fn number_of_entries(world: &World) -> Found {
    let mut codes = vec![];
    for count in [0, 10, 11] {
        let entries = (0..count).map(|_| entry("{}").build()).collect();
        codes.push(said(&world.eventbridge.put_events().set_entries(Some(entries)).send().await));
    }
    Ok(codes.join(", "))
}

async fn results(world: &World) -> Found {
    let entries = (0..3).map(|n| entry(&format!("{{\"n\":{n}}}")).build()).collect();
    let put = world.eventbridge.put_events().set_entries(Some(entries)).send().await?;
    let mut ids: Vec<_> = put.entries().iter().filter_map(|entry| entry.event_id()).collect();
    ids.sort_unstable();
    ids.dedup();
    let (failed, all) = (put.failed_entry_count(), put.entries().len());
    Ok(format!("{failed} failed of {all}, {} ids", ids.len()))
}

async fn malformed_detail(world: &World) -> Found {
    results_of(world, vec![entry("{}"), entry("{nonsense"), entry("{}")]).await
}

async fn detail_of_no_object(world: &World) -> Found {
    results_of(world, vec![entry("[1]")]).await
}

async fn incomplete(world: &World) -> Found {
    let entries = vec![
        entry("{}"),
        entry("{}").set_source(None),
        entry("{}").set_detail_type(None),
        entry("{}").set_detail(None),
    ];
    results_of(world, entries).await
}

async fn size(world: &World) -> Found {
    let mut codes = vec![];
    for bytes in [900_000, 1_100_000] {
        let detail = format!("{{\"note\":\"{}\"}}", "x".repeat(bytes));
        let entries: Vec<PutEventsRequestEntry> = vec![entry(&detail).build()];
        codes.push(said(&world.eventbridge.put_events().set_entries(Some(entries)).send().await));
    }
    Ok(codes.join(", "))
}

async fn absent_bus(world: &World) -> Found {
    results_of(world, vec![entry("{}").event_bus_name(ABSENT)]).await
}
