//! Creates on an emulator what CDK creates in an account, from the same definitions.

use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_calls::{code, explain};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableStatus, TimeToLiveSpecification,
};
use aws_sdk_eventbridge::types::{KinesisParameters, Target};
use ivs_schemas::names;
use ivs_schemas::resources::RULES;
use ivs_schemas::tables::{self, Index, Key, TABLES, Table};

use crate::cloud::Clients;
use crate::config::Config;

/// Waits for tables and stream: this often, this many times.
const POLL: Duration = Duration::from_millis(20);
const POLLS: u32 = 500;
/// The largest record that Kinesis can be told to take.
const MAX_RECORD_KIB: i32 = 10 << 10;

/// Creates tables, stream, bus and rules; what exists already is left as it is.
///
/// # Errors
/// Names the resource that could not be created.
pub async fn create(clients: &Clients, config: &Config, shards: u16) -> anyhow::Result<()> {
    for table in TABLES {
        let name = configured_name(table, config);
        create_table(&clients.dynamodb, table, name)
            .await
            .with_context(|| format!("table {name}"))?;
    }
    let arn = create_stream(&clients.kinesis, &config.stream.name, shards)
        .await
        .with_context(|| format!("stream {}", config.stream.name))?;
    create_bus(&clients.eventbridge, &config.events.bus)
        .await
        .with_context(|| format!("bus {}", config.events.bus))?;
    create_rules(&clients.eventbridge, &arn).await.context("rules")
}

fn configured_name<'a>(table: &'a Table, config: &'a Config) -> &'a str {
    match table.name {
        names::SESSIONS_TABLE => &config.tables.sessions,
        names::METRICS_TABLE => &config.tables.metrics,
        names::LEASE_TABLE => &config.fleet.lease_table,
        other => other,
    }
}

async fn create_table(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &Table,
    name: &str,
) -> anyhow::Result<()> {
    let mut keys = vec![table.partition_key];
    keys.extend(table.sort_key);
    let mut defined = keys.clone();
    for index in table.indexes {
        defined.extend([index.partition_key, index.sort_key]);
    }
    defined.sort_by_key(|key| key.name);
    defined.dedup_by_key(|key| key.name);
    let indexes: Vec<_> = table.indexes.iter().map(index).collect::<Result<_, _>>()?;
    let created = dynamodb
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(&keys)?))
        .set_attribute_definitions(Some(defined.iter().map(definition).collect::<Result<_, _>>()?))
        .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes))
        .send()
        .await;
    match created {
        Err(error) if code(&error) == Some("ResourceInUseException") => return Ok(()),
        Err(error) => bail!("{}", explain(&error)),
        Ok(_) => {}
    }
    for _ in 0..POLLS {
        let described = dynamodb.describe_table().table_name(name).send().await?;
        let status = described.table.and_then(|table| table.table_status);
        if status == Some(TableStatus::Active) {
            return expire(dynamodb, table, name).await;
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("is not active after {POLLS} looks")
}

async fn expire(
    dynamodb: &aws_sdk_dynamodb::Client,
    table: &Table,
    name: &str,
) -> anyhow::Result<()> {
    if let Some(attribute) = table.ttl_attribute {
        let spec =
            TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build()?;
        dynamodb
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(spec)
            .send()
            .await
            .map_err(|error| anyhow::anyhow!("time to live: {}", explain(&error)))?;
    }
    Ok(())
}

fn definition(key: &Key) -> anyhow::Result<AttributeDefinition> {
    let kind = match key.kind {
        tables::KeyType::S => ScalarAttributeType::S,
        tables::KeyType::N => ScalarAttributeType::N,
    };
    Ok(AttributeDefinition::builder().attribute_name(key.name).attribute_type(kind).build()?)
}

fn key_schema(keys: &[Key]) -> anyhow::Result<Vec<KeySchemaElement>> {
    let kinds = [KeyType::Hash, KeyType::Range];
    let element = |(key, kind): (&Key, KeyType)| {
        Ok(KeySchemaElement::builder().attribute_name(key.name).key_type(kind).build()?)
    };
    keys.iter().zip(kinds).map(element).collect()
}

fn index(index: &Index) -> anyhow::Result<GlobalSecondaryIndex> {
    let projection = match index.projection {
        tables::Projection::All => ProjectionType::All,
        tables::Projection::KeysOnly => ProjectionType::KeysOnly,
    };
    Ok(GlobalSecondaryIndex::builder()
        .index_name(index.name)
        .set_key_schema(Some(key_schema(&[index.partition_key, index.sort_key])?))
        .projection(Projection::builder().projection_type(projection).build())
        .build()?)
}

/// Creates the stream and returns its ARN.
async fn create_stream(
    kinesis: &aws_sdk_kinesis::Client,
    name: &str,
    shards: u16,
) -> anyhow::Result<String> {
    let request = kinesis.create_stream().stream_name(name).shard_count(i32::from(shards));
    match request.send().await {
        Err(error) if code(&error) == Some("ResourceInUseException") => {}
        Err(error) => bail!("{}", explain(&error)),
        Ok(_) => {}
    }
    for _ in 0..POLLS {
        let described = kinesis.describe_stream_summary().stream_name(name).send().await?;
        if let Some(summary) = described.stream_description_summary
            && summary.stream_status == aws_sdk_kinesis::types::StreamStatus::Active
        {
            return Ok(summary.stream_arn);
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("is not active after {POLLS} looks")
}

/// Has the stream take records as large as Kinesis allows, so that a file goes through here as it
/// goes through `replay`. A stream takes 1 MiB by default.
///
/// # Errors
/// When the stream is not there.
pub(super) async fn take_large_records(
    kinesis: &aws_sdk_kinesis::Client,
    name: &str,
) -> anyhow::Result<()> {
    let described = kinesis.describe_stream_summary().stream_name(name).send().await;
    let described = described.map_err(|error| anyhow::anyhow!("{}", explain(&error)))?;
    let summary = described.stream_description_summary.context("it is not described")?;
    let update = kinesis
        .update_max_record_size()
        .stream_arn(summary.stream_arn)
        .max_record_size_in_kib(MAX_RECORD_KIB);
    update.send().await.map_err(|error| anyhow::anyhow!("{}", explain(&error)))?;
    Ok(())
}

async fn create_bus(eventbridge: &aws_sdk_eventbridge::Client, name: &str) -> anyhow::Result<()> {
    match eventbridge.create_event_bus().name(name).send().await {
        Err(error) if code(&error) == Some("ResourceAlreadyExistsException") => Ok(()),
        Err(error) => bail!("{}", explain(&error)),
        Ok(_) => Ok(()),
    }
}

async fn create_rules(
    eventbridge: &aws_sdk_eventbridge::Client,
    stream_arn: &str,
) -> anyhow::Result<()> {
    for rule in RULES {
        eventbridge
            .put_rule()
            .name(rule.name)
            .description(rule.description)
            .event_bus_name(names::SERVICE_BUS)
            .event_pattern(rule.pattern().to_string())
            .send()
            .await
            .map_err(|error| anyhow::anyhow!("{}: {}", rule.name, explain(&error)))?;
        let key = rule
            .partition_key_path
            .map(|path| KinesisParameters::builder().partition_key_path(path).build())
            .transpose()?;
        let target =
            Target::builder().id("stream").arn(stream_arn).set_kinesis_parameters(key).build()?;
        eventbridge
            .put_targets()
            .rule(rule.name)
            .event_bus_name(names::SERVICE_BUS)
            .targets(target)
            .send()
            .await
            .map_err(|error| anyhow::anyhow!("{}: {}", rule.name, explain(&error)))?;
    }
    Ok(())
}
