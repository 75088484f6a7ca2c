//! Buses, rules and their targets, archives and replays.

use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::{ReplayDestination, Target};

use super::super::answers::{Failed, Wanted as _, said};
use super::super::{Case, Found, World, world};
use super::{ABSENT, BUS};

const PATTERN: &str = r#"{"source":["contract"]}"#;

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "CreateEventBus",
        name: "a bus that exists is not created again",
        expected: "ResourceAlreadyExistsException",
        rule: "API_CreateEventBus: ResourceAlreadyExistsException",
        run: |world| Box::pin(bus_again(world)),
    },
    Case {
        calls: "DescribeEventBus",
        name: "a bus is described by its name and ARN, one that is not there is not",
        expected: "contract, its ARN; ResourceNotFoundException",
        rule: "API_DescribeEventBus: Name and Arn; ResourceNotFoundException",
        run: |world| Box::pin(bus(world)),
    },
    Case {
        calls: "PutRule",
        name: "a rule is put, and put again",
        expected: "the same ARN",
        rule: "API_PutRule: \"creates or updates the specified rule\"; RuleArn",
        run: |world| Box::pin(rule_again(world)),
    },
    Case {
        calls: "PutRule",
        name: "a rule has a pattern that can be read, on a bus that is there",
        expected: "InvalidEventPatternException, InvalidEventPatternException, ResourceNotFoundException",
        rule: "API_PutRule: InvalidEventPatternException, ResourceNotFoundException",
        run: |world| Box::pin(wrong_rules(world)),
    },
    Case {
        calls: "PutTargets",
        name: "a target is added to a rule that is there",
        expected: "0 failed; ResourceNotFoundException",
        rule: "API_PutTargets: FailedEntryCount; ResourceNotFoundException",
        run: |world| Box::pin(targets(world)),
    },
    Case {
        calls: "DescribeArchive CreateArchive",
        name: "an archive is described by its bus and state, one that is not there is not",
        expected: "ENABLED of its bus; ResourceNotFoundException",
        rule: "API_DescribeArchive: State and EventSourceArn; ResourceNotFoundException",
        run: |world| Box::pin(archive(world)),
    },
    Case {
        calls: "StartReplay DescribeReplay CreateArchive",
        name: "a replay starts once under its name, and is described",
        expected: "STARTING, ResourceAlreadyExistsException; started from its archive",
        rule: "API_StartReplay: State STARTING; ResourceAlreadyExistsException; API_DescribeReplay",
        run: |world| Box::pin(replay(world)),
    },
    Case {
        calls: "StartReplay DescribeReplay",
        name: "nothing is replayed from an archive that is not there",
        expected: "ResourceNotFoundException, ResourceNotFoundException",
        rule: "API_StartReplay and API_DescribeReplay: ResourceNotFoundException",
        run: |world| Box::pin(absent_replay(world)),
    },
];

async fn bus_again(world: &World) -> Found {
    Ok(said(&world.eventbridge.create_event_bus().name(BUS).send().await))
}

/// Returns the ARN of the cases' bus.
async fn arn(world: &World) -> Result<String, Failed> {
    let described = world.eventbridge.describe_event_bus().name(BUS).send().await?;
    described.arn.wanted("ARN")
}

async fn bus(world: &World) -> Found {
    let described = world.eventbridge.describe_event_bus().name(BUS).send().await?;
    let (name, arn) = (described.name.wanted("name")?, described.arn.wanted("ARN")?);
    let is_its_own = arn.starts_with("arn:aws:events:") && arn.ends_with(":event-bus/contract");
    let arn = if is_its_own { "its ARN" } else { &arn };
    let absent = world.eventbridge.describe_event_bus().name(ABSENT).send().await;
    Ok(format!("{name}, {arn}; {}", said(&absent)))
}

async fn rule_again(world: &World) -> Found {
    let put = world.eventbridge.put_rule().name("again").event_bus_name(BUS);
    let put = put.event_pattern(PATTERN);
    let first = put.clone().send().await?.rule_arn.wanted("ARN")?;
    let second = put.description("changed").send().await?.rule_arn.wanted("ARN")?;
    Ok(if first == second { "the same ARN".to_owned() } else { format!("{first}, {second}") })
}

async fn wrong_rules(world: &World) -> Found {
    let put = |bus: &str, pattern: &str| {
        let put = world.eventbridge.put_rule().name("wrong").event_bus_name(bus);
        put.event_pattern(pattern).send()
    };
    let nonsense = put(BUS, "{nonsense").await;
    // A field's values are an array.
    let no_array = put(BUS, r#"{"source":"contract"}"#).await;
    let no_bus = put(ABSENT, PATTERN).await;
    Ok(format!("{}, {}, {}", said(&nonsense), said(&no_array), said(&no_bus)))
}

async fn targets(world: &World) -> Found {
    let put = world.eventbridge.put_rule().name("targets").event_bus_name(BUS);
    put.event_pattern(PATTERN).send().await?;
    let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/contract";
    let target = Target::builder().id("stream").arn(stream).build()?;
    let put = |rule: &str| {
        let put = world.eventbridge.put_targets().rule(rule).event_bus_name(BUS);
        put.targets(target.clone()).send()
    };
    let added = put("targets").await?;
    Ok(format!("{} failed; {}", added.failed_entry_count, said(&put(ABSENT).await)))
}

/// Creates an archive of the cases' bus, and returns its ARN.
async fn create_archive(world: &World, name: &str) -> Result<String, Failed> {
    let create = world.eventbridge.create_archive().archive_name(name);
    let created = create.event_source_arn(arn(world).await?).send().await?;
    created.archive_arn.wanted("ARN of an archive")
}

async fn archive(world: &World) -> Found {
    create_archive(world, "kept").await?;
    let described = world.eventbridge.describe_archive().archive_name("kept").send().await?;
    let state = described.state().map_or("no state", |state| state.as_str());
    let is_its_own = described.event_source_arn() == Some(arn(world).await?.as_str());
    let of = if is_its_own { "of its bus" } else { "of another bus" };
    let absent = world.eventbridge.describe_archive().archive_name(ABSENT).send().await;
    Ok(format!("{state} {of}; {}", said(&absent)))
}

/// Returns a replay of the last hour, to be sent.
async fn start(
    world: &World,
    name: &str,
    archive: &str,
) -> Result<aws_sdk_eventbridge::operation::start_replay::builders::StartReplayFluentBuilder, Failed>
{
    let now_s = world::now_ms().div_euclid(1_000);
    let destination = ReplayDestination::builder().arn(arn(world).await?).build()?;
    let start = world.eventbridge.start_replay().replay_name(name).event_source_arn(archive);
    let start = start.event_start_time(DateTime::from_secs(now_s - 3_600));
    Ok(start.event_end_time(DateTime::from_secs(now_s - 60)).destination(destination))
}

async fn replay(world: &World) -> Found {
    let archive = create_archive(world, "replayed").await?;
    let started = start(world, "replay", &archive).await?.send().await?;
    let state = started.state().map_or("no state", |state| state.as_str());
    let again = start(world, "replay", &archive).await?.send().await;
    let described = world.eventbridge.describe_replay().replay_name("replay").send().await?;
    let is_known = described.event_source_arn() == Some(archive.as_str())
        && described.state().is_some_and(|state| state.as_str() != "FAILED");
    let known =
        if is_known { "started from its archive".to_owned() } else { format!("{described:?}") };
    Ok(format!("{state}, {}; {known}", said(&again)))
}

async fn absent_replay(world: &World) -> Found {
    let archive = "arn:aws:events:us-east-1:000000000000:archive/absent";
    let started = start(world, "of-nothing", archive).await?.send().await;
    let described = world.eventbridge.describe_replay().replay_name(ABSENT).send().await;
    Ok(format!("{}, {}", said(&started), said(&described)))
}
