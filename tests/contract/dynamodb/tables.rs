//! Tables: what they are, and that they are not there.

use aws_sdk_dynamodb::types::{
    KeySchemaElement, KeysAndAttributes, TimeToLiveSpecification, TimeToLiveStatus,
};

use super::super::answers::{Wanted as _, said};
use super::super::{Case, Found, World};
use super::{ABSENT, TABLE, create_table, key};

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "DescribeTable CreateTable",
        name: "a table is described with its keys, index and state",
        expected: "ACTIVE id HASH, at RANGE; ByChannel: channel HASH, at RANGE",
        rule: "API_TableDescription: TableStatus, KeySchema and GlobalSecondaryIndexes of the table",
        run: |world| Box::pin(description(world)),
    },
    Case {
        calls: "CreateTable",
        name: "a table that exists is not created again",
        expected: "ResourceInUseException",
        rule: "API_CreateTable: ResourceInUseException, \"you attempted to recreate an existing table\"",
        run: |world| Box::pin(recreation(world)),
    },
    Case {
        calls: "DescribeTable",
        name: "a table that is not there is not described",
        expected: "ResourceNotFoundException",
        rule: "API_DescribeTable: ResourceNotFoundException, \"a nonexistent table or index\"",
        run: |world| Box::pin(absent_description(world)),
    },
    Case {
        calls: "GetItem PutItem UpdateItem DeleteItem Query Scan BatchGetItem",
        name: "no item is read or written where there is no table",
        expected: "ResourceNotFoundException of 7",
        rule: "API_GetItem and its siblings: ResourceNotFoundException, \"a nonexistent table\"",
        run: |world| Box::pin(absent_table(world)),
    },
    Case {
        calls: "UpdateTimeToLive DescribeTimeToLive",
        name: "a table expires its items by the attribute that it was told",
        expected: "none; expiresAt, on; on by expiresAt",
        rule: "API_UpdateTimeToLive: the response is the specification; API_TimeToLiveDescription",
        run: |world| Box::pin(time_to_live(world)),
    },
    Case {
        calls: "UpdateTimeToLive",
        name: "time to live that is on is not switched on again",
        expected: "taken, ValidationException",
        rule: "API_UpdateTimeToLive: further calls within the hour \"result in a ValidationException\"",
        run: |world| Box::pin(time_to_live_twice(world)),
    },
    Case {
        calls: "UpdateTimeToLive",
        name: "time to live needs a table",
        expected: "ResourceNotFoundException",
        rule: "API_UpdateTimeToLive: ResourceNotFoundException, \"a nonexistent table or index\"",
        run: |world| Box::pin(time_to_live_of_nothing(world)),
    },
];

async fn description(world: &World) -> Found {
    let described = world.dynamodb.describe_table().table_name(TABLE).send().await?;
    let table = described.table.wanted("table")?;
    let status = table.table_status().map_or("no state", |status| status.as_str()).to_owned();
    let keys = |keys: &[KeySchemaElement]| {
        let shown = keys.iter().map(|key| format!("{} {}", key.attribute_name, key.key_type));
        shown.collect::<Vec<_>>().join(", ")
    };
    let indexes = table.global_secondary_indexes().iter().map(|index| {
        format!("; {}: {}", index.index_name().unwrap_or_default(), keys(index.key_schema()))
    });
    Ok(format!("{status} {}{}", keys(table.key_schema()), indexes.collect::<String>()))
}

async fn recreation(world: &World) -> Found {
    let Err(failed) = create_table(world, TABLE).await else { return Ok("taken".to_owned()) };
    let failed = failed.to_string();
    Ok(failed.split(':').next().unwrap_or_default().to_owned())
}

async fn absent_description(world: &World) -> Found {
    Ok(said(&world.dynamodb.describe_table().table_name(ABSENT).send().await))
}

async fn absent_table(world: &World) -> Found {
    let (dynamodb, key) = (&world.dynamodb, key("a", 0));
    let keys = KeysAndAttributes::builder().keys(key.clone()).build()?;
    let get = dynamodb.get_item().table_name(ABSENT).set_key(Some(key.clone())).send().await;
    let put = dynamodb.put_item().table_name(ABSENT).set_item(Some(key.clone())).send().await;
    let update = dynamodb.update_item().table_name(ABSENT).set_key(Some(key.clone())).send().await;
    let delete = dynamodb.delete_item().table_name(ABSENT).set_key(Some(key)).send().await;
    let query = dynamodb.query().table_name(ABSENT).key_condition_expression("id = :id");
    let query = query.expression_attribute_values(":id", super::text("a")).send().await;
    let scan = dynamodb.scan().table_name(ABSENT).send().await;
    let batch = dynamodb.batch_get_item().request_items(ABSENT, keys).send().await;
    let mut codes = vec![said(&get), said(&put), said(&update), said(&delete), said(&query)];
    codes.extend([said(&scan), said(&batch)]);
    if codes.iter().all(|code| *code == codes[0]) {
        return Ok(format!("{} of {}", codes[0], codes.len()));
    }
    Ok(codes.join(", "))
}

fn expiry() -> Result<TimeToLiveSpecification, super::Failed> {
    Ok(TimeToLiveSpecification::builder().enabled(true).attribute_name("expiresAt").build()?)
}

async fn time_to_live(world: &World) -> Found {
    create_table(world, "Expiring").await?;
    let describe = || world.dynamodb.describe_time_to_live().table_name("Expiring").send();
    let before = describe().await?.time_to_live_description;
    let before = before.and_then(|one| one.attribute_name).unwrap_or("none".to_owned());
    let update = world.dynamodb.update_time_to_live().table_name("Expiring");
    let updated = update.time_to_live_specification(expiry()?).send().await?;
    let echo = updated.time_to_live_specification.wanted("specification")?;
    let is_on = if echo.enabled { "on" } else { "off" };
    let after = describe().await?.time_to_live_description.wanted("description")?;
    // AWS needs up to an hour for it.
    let state = match after.time_to_live_status().map(TimeToLiveStatus::as_str) {
        Some("ENABLED" | "ENABLING") => "on",
        other => other.unwrap_or("no state"),
    };
    let by = after.attribute_name().unwrap_or("nothing");
    Ok(format!("{before}; {}, {is_on}; {state} by {by}", echo.attribute_name))
}

async fn time_to_live_twice(world: &World) -> Found {
    create_table(world, "ExpiringTwice").await?;
    let mut codes = vec![];
    for _ in 0..2 {
        let update = world.dynamodb.update_time_to_live().table_name("ExpiringTwice");
        codes.push(said(&update.time_to_live_specification(expiry()?).send().await));
    }
    Ok(codes.join(", "))
}

async fn time_to_live_of_nothing(world: &World) -> Found {
    let update = world.dynamodb.update_time_to_live().table_name(ABSENT);
    Ok(said(&update.time_to_live_specification(expiry()?).send().await))
}
