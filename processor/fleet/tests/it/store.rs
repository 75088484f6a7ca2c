//! Conflicts, lost answers, throttles.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use ivs_emulator::{FaultKind, FaultRule};
use kinesis_fleet::admin::{self, Changed};
use kinesis_fleet::store::expressions::Change;
use kinesis_fleet::store::{Consistency, Creation, Write};
use kinesis_fleet::{
    Checkpoint, EpochMs, Lease, LeaseStore, Position, ShardId, StoreError, WorkerId,
};

use crate::aws::{Aws, TABLE};

pub(crate) fn fault(operation: &str, kind: FaultKind, count: Option<u64>) -> FaultRule {
    FaultRule {
        service: Some("dynamodb".into()),
        operation: Some(operation.into()),
        kind,
        every_nth: None,
        probability: None,
        seed: 0,
        count,
    }
}

async fn with_lease() -> (Aws, Lease) {
    let aws = Aws::start().await;
    aws.store().ensure_table().await.unwrap();
    let lease = Lease::new(ShardId::new("s"), Checkpoint::TrimHorizon);
    aws.store().create(&lease).await.unwrap();
    (aws, lease)
}

fn take(worker: &str) -> Change {
    Change::Take(WorkerId::new(worker))
}

async fn done(aws: &Aws, lease: &Lease, change: Change) -> Lease {
    match aws.store().apply(lease, &change).await.unwrap() {
        Write::Done(lease) => *lease,
        lost @ Write::Lost(_) => panic!("{change:?}: {lost:?}"),
    }
}

fn at(n: u128) -> Position {
    Position { sequence: n.into(), sub: 0 }
}

#[tokio::test]
async fn of_two_takers_one_wins_and_the_other_sees_who() {
    let (aws, lease) = with_lease().await;
    let won = done(&aws, &lease, take("a")).await;
    let lost = aws.store().apply(&lease, &take("b")).await.unwrap();
    assert_eq!(lost, Write::Lost(Some(Box::new(won))));
}

fn prepare(to: Position, state: &'static str) -> Change {
    Change::Prepare { to, state: state.into() }
}

#[tokio::test]
async fn what_is_stored_beside_a_pending_checkpoint_goes_with_it() {
    let (aws, lease) = with_lease().await;
    let lease = done(&aws, &lease, take("a")).await;
    let noted = done(&aws, &lease, prepare(at(3), "note")).await;
    assert_eq!(noted.pending_state.as_deref(), Some(&b"note"[..]));
    let renewed = done(&aws, &noted, Change::Renew).await;
    assert_eq!(renewed.pending_state, noted.pending_state);
    let silent = done(&aws, &renewed, prepare(at(3), "")).await;
    assert_eq!((silent.pending, &silent.pending_state), (noted.pending, &None));
    let noted = done(&aws, &silent, prepare(at(4), "note")).await;
    let commit = Change::Commit { to: at(4), arrival: EpochMs(9) };
    let committed = done(&aws, &noted, commit).await;
    assert_eq!((committed.pending, committed.pending_state), (None, None));
}

#[tokio::test]
async fn a_paused_process_and_its_successor_of_the_same_worker_id_are_two() {
    let (aws, lease) = with_lease().await;
    let (paused, successor) = (aws.store(), aws.store());
    let Write::Done(old) = paused.apply(&lease, &take("static")).await.unwrap() else {
        panic!("not taken")
    };
    let Write::Done(new) = successor.apply(&old, &take("static")).await.unwrap() else {
        panic!("not taken")
    };
    // One counter ahead and the same owner: as if it were a late write of its own.
    assert_eq!((new.counter, &new.owner), (old.counter + 1, &old.owner));
    for change in [Change::Renew, Change::Finish(Vec::new()), take("static")] {
        let outcome = paused.apply(&old, &change).await.unwrap();
        assert_eq!(outcome, Write::Lost(Some(new.clone())), "{change:?}");
    }
}

#[tokio::test]
async fn failures_stay_on_the_lease_until_something_is_done() {
    let (aws, lease) = with_lease().await;
    let mut row = done(&aws, &lease, take("a")).await;
    for times in 1..=2 {
        row = done(&aws, &row, Change::Fail("table `t` is gone".into())).await;
        assert_eq!((row.failures, row.last_error.as_deref()), (times, Some("table `t` is gone")));
    }
    let idle = done(&aws, &row, Change::RenewAtTip(EpochMs(7))).await;
    assert_eq!((idle.failures, idle.last_error, idle.tip_seen), (0, None, Some(EpochMs(7))));
    let row = done(&aws, &row_of(&aws, &lease).await, Change::Fail("again".into())).await;
    let committed = done(&aws, &row, Change::Commit { to: at(3), arrival: EpochMs(1) }).await;
    assert_eq!((committed.failures, committed.last_error), (0, None));
}

async fn row_of(aws: &Aws, lease: &Lease) -> Lease {
    aws.store().get(&lease.key).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_lease_is_created_where_it_stood() {
    let (aws, lease) = with_lease().await;
    let row = done(&aws, &lease, take("a")).await;
    let row = done(&aws, &row, Change::Commit { to: at(3), arrival: EpochMs(9) }).await;
    let row = done(&aws, &row, prepare(at(8), "note")).await;
    aws.store().delete(&lease.key).await.unwrap();
    let copy = row.unowned();
    assert_eq!(aws.store().create(&copy).await.unwrap(), Creation::Created);
    let stored = row_of(&aws, &lease).await;
    assert_eq!(stored, copy);
    assert_eq!((stored.pending, stored.owner), (Some(Checkpoint::Sequence(at(8))), None));
}

#[tokio::test]
async fn another_table_is_refused_in_one_sentence() {
    let aws = Aws::start().await;
    let key = |name: &str, kind| {
        let element = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        element.build().unwrap()
    };
    let attribute = |name: &str| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        definition.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let request = aws.dynamodb.create_table().table_name(TABLE);
    let request = request
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("sessionId", KeyType::Hash))
        .key_schema(key("minute", KeyType::Range))
        .attribute_definitions(attribute("sessionId"))
        .attribute_definitions(attribute("minute"));
    request.send().await.unwrap();
    for error in [aws.store().check_table().await, aws.store().ensure_table().await] {
        let text = error.unwrap_err().to_string();
        assert!(text.contains("`sessionId` and `minute`") && text.contains("leaseKey"), "{text}");
    }
    let missing = LeaseStore::new(&aws.dynamodb, "no-table", Duration::from_secs(5));
    let text = missing.check_table().await.unwrap_err().to_string();
    assert!(text.contains("no such table"), "{text}");
}

#[tokio::test]
async fn rows_that_are_not_leases_are_named_and_cost_only_themselves() {
    let (aws, lease) = with_lease().await;
    let put = |key: &str, attributes: &[(&str, &str)]| {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let mut item = HashMap::from([("leaseKey".to_owned(), text(key))]);
        item.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
        let request = aws.dynamodb.put_item().table_name(TABLE);
        request.set_item(Some(item)).send()
    };
    put("someone", &[]).await.unwrap();
    put("Leader", &[("entityType", "LEADER")]).await.unwrap();
    let multi = "123456789012:other-stream:1700000000:shardId-000000000000";
    put(multi, &[("streamName", "123456789012:other-stream:1700000000")]).await.unwrap();
    let rows = aws.store().read(Consistency::Strong).await.unwrap();
    assert_eq!(rows.leases, [lease]);
    let mut left_out: Vec<_> = rows.left_out.iter().map(|row| row.key.as_str()).collect();
    left_out.sort_unstable();
    assert_eq!(left_out, [multi, "someone"]);
    let findings = admin::left_out(&rows.left_out);
    assert!(findings.iter().any(|finding| finding.to_string().contains("several streams")));
}

#[tokio::test]
async fn a_write_on_a_lease_that_moved_on_changes_nothing() {
    let (aws, lease) = with_lease().await;
    let old = done(&aws, &lease, take("a")).await;
    let new = done(&aws, &old, take("b")).await;
    for change in [
        Change::Renew,
        prepare(at(1), "note"),
        Change::Commit { to: at(1), arrival: EpochMs(0) },
        Change::Finish(Vec::new()),
        Change::Release(None),
    ] {
        let outcome = aws.store().apply(&old, &change).await.unwrap();
        assert_eq!(outcome, Write::Lost(Some(Box::new(new.clone()))), "{change:?}");
    }
}

#[tokio::test]
async fn a_deleted_lease_is_lost() {
    let (aws, lease) = with_lease().await;
    let lease = done(&aws, &lease, take("a")).await;
    aws.store().delete(&lease.key).await.unwrap();
    assert_eq!(aws.store().apply(&lease, &Change::Renew).await.unwrap(), Write::Lost(None));
}

#[tokio::test]
async fn a_lost_answer_is_recognized_as_our_own_write() {
    let (aws, seen) = with_lease().await;
    let mut lease = seen;
    for change in [
        take("a"),
        Change::Renew,
        prepare(at(5), "note"),
        Change::Commit { to: at(5), arrival: EpochMs(9) },
        Change::Finish(vec![ShardId::new("child")]),
        Change::Release(None),
    ] {
        let rule = fault("UpdateItem", FaultKind::DropReply, Some(1));
        aws.add_fault(&rule).await;
        let after = done(&aws, &lease, change.clone()).await;
        assert_eq!(after.counter, lease.counter + 1, "{change:?} was stored once");
        lease = after;
    }
    assert_eq!(lease.children, [ShardId::new("child")]);
}

#[tokio::test]
async fn a_late_heartbeat_of_ours_does_not_pass_for_a_checkpoint() {
    let (aws, lease) = with_lease().await;
    let seen = done(&aws, &lease, take("a")).await;
    // A heartbeat whose answer never came is stored behind our back.
    done(&aws, &seen, Change::Renew).await;
    let prepared = done(&aws, &seen, prepare(at(7), "note")).await;
    assert_eq!(prepared.pending, Some(Checkpoint::Sequence(at(7))));
    assert_eq!(prepared.pending_state.as_deref(), Some(&b"note"[..]));
    assert_eq!(prepared.counter, seen.counter + 2);
}

#[tokio::test]
async fn throttles_are_waited_out_and_then_reported() {
    let (aws, lease) = with_lease().await;
    aws.add_fault(&fault("UpdateItem", FaultKind::Throttle, Some(2))).await;
    let lease = done(&aws, &lease, take("a")).await;
    aws.add_fault(&fault("UpdateItem", FaultKind::Error500, Some(3))).await;
    let error = aws.store().apply(&lease, &Change::Renew).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { attempts: 3, .. }), "{error}");
    assert_eq!(aws.store().get(&lease.key).await.unwrap(), Some(lease));
}

#[tokio::test]
async fn a_missing_table_is_refused_without_retries() {
    let aws = Aws::start().await;
    let error = aws.store().list().await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("not found: check its name and the region"), "{error}");
}

#[tokio::test]
async fn an_existing_lease_is_not_created_again() {
    let (aws, lease) = with_lease().await;
    let taken = done(&aws, &lease, take("a")).await;
    assert_eq!(aws.store().create(&lease).await.unwrap(), Creation::Existed);
    assert_eq!(aws.store().get(&lease.key).await.unwrap(), Some(taken));
}

#[tokio::test]
async fn a_thousand_leases_are_listed_page_by_page() {
    let (aws, _) = with_lease().await;
    // Rows of about 3 KB: more than one page of 1 MB.
    let padding = |n: u32| ShardId::new(&format!("parent-{n}-{}", "x".repeat(3_000)));
    for n in 0..500 {
        let mut lease = Lease::new(ShardId::new(&format!("{n}")), Checkpoint::TrimHorizon);
        lease.parents = vec![padding(n)];
        aws.store().create(&lease).await.unwrap();
    }
    assert_eq!(aws.store().list().await.unwrap().len(), 501);
}

#[tokio::test]
async fn an_operator_moves_a_checkpoint_and_frees_a_lease() {
    let (aws, lease) = with_lease().await;
    let (store, key) = (aws.store(), lease.key.clone());
    let taken = done(&aws, &lease, take("a")).await;
    let to = Checkpoint::Sequence(at(99));
    let refused = admin::seek(&store, &key, to, None, false).await.unwrap();
    assert_eq!(refused, Changed::Owned(WorkerId::new("a")));
    let Changed::Done(row) = admin::seek(&store, &key, to, None, true).await.unwrap() else {
        panic!("not moved")
    };
    assert_eq!((row.owner, row.checkpoint), (None, to));
    assert!(matches!(store.apply(&taken, &Change::Renew).await.unwrap(), Write::Lost(Some(_))));

    let now = store.get(&key).await.unwrap().unwrap();
    let held = done(&aws, &now, take("b")).await;
    let Changed::Done(row) = admin::release(&store, &key).await.unwrap() else {
        panic!("not released")
    };
    assert_eq!((row.owner, row.checkpoint), (None, to));
    assert!(matches!(store.apply(&held, &Change::Renew).await.unwrap(), Write::Lost(Some(_))));
    let missing = admin::release(&store, &ShardId::new("none")).await.unwrap();
    assert_eq!(missing, Changed::NoLease);
}
