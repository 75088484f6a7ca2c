use super::*;

fn step(shard: &str, holder: u64, what: What) -> Step {
    Step { at_ms: 0, shard: shard.to_owned(), holder, what }
}

fn at(sequence: u128, sub: u64) -> Position {
    Position { sequence: sequence.into(), sub }
}

/// An epoch of shard `a`, by its holder, from one position to another.
fn epoch(holder: u64, from: Option<u128>, to: u128, read: u64) -> Vec<Step> {
    let to = at(to, 0);
    [
        What::Prepared(to),
        What::Written(to),
        What::Stored(from.map(|from| at(from, 0)), to),
        What::Emitted(to, [read, read, 0, 0]),
        What::Committed(to, 0),
    ]
    .map(|what| step("a", holder, what))
    .to_vec()
}

/// Two owners, the second of which recovers the epoch that the first has emitted.
fn course() -> Vec<Step> {
    let mut steps = vec![step("a", 1, What::Started(None))];
    steps.extend(epoch(1, None, 5, 3));
    steps.extend(epoch(1, Some(5), 9, 2).into_iter().take(4));
    steps.push(step("a", 7, What::Started(Some(at(5, 0)))));
    steps.extend(epoch(7, Some(5), 9, 2));
    steps.push(step("a", 7, What::Finished(vec!["b".to_owned()])));
    steps.push(step("b", 1, What::Started(None)));
    steps
}

fn found(steps: &[Step]) -> Vec<&'static str> {
    judge(steps).iter().map(|finding| finding.invariant).collect()
}

fn without(what: &What) -> Vec<Step> {
    course().into_iter().filter(|step| step.holder != 7 || step.what != *what).collect()
}

#[test]
fn an_ordinary_course_with_a_recovery_is_right() {
    assert_eq!(judge(&course()), []);
}

#[test]
fn every_broken_promise_is_named() {
    let nine = at(9, 0);
    assert_eq!(found(&without(&What::Prepared(nine))), ["E2", "E2"]);
    assert_eq!(found(&without(&What::Written(nine))), ["E2"]);
    assert_eq!(found(&without(&What::Emitted(nine, [2, 2, 0, 0]))), ["E3"]);
    assert_eq!(found(&without(&What::Stored(Some(at(5, 0)), nine))), ["E3", "E1"]);

    let changed = |at: usize, what: What| {
        let mut steps = course();
        steps[at].what = what;
        found(&steps)
    };
    assert_eq!(changed(4, What::Emitted(at(5, 0), [3, 1, 1, 0])), ["E6"]);
    assert_eq!(changed(9, What::Emitted(nine, [3, 3, 0, 0])), ["E9"]);
    assert_eq!(changed(10, What::Started(None)), ["E1", "E1"], "it reads again what was counted");
    let mut steps = course();
    steps.insert(5, steps[4].clone());
    assert_eq!(found(&steps), ["E7"]);
    let mut steps = course();
    steps.extend(epoch(7, Some(9), 8, 1));
    assert_eq!(found(&steps), ["E3"]);
    let mut steps = course();
    steps.last_mut().unwrap().at_ms = -5_000;
    assert_eq!(found(&steps), ["E5"]);
}

#[test]
fn lines_are_read_as_the_program_writes_them() {
    let line = |fields: &str| {
        let text = format!(
            r#"{{"timestamp":"1970-01-01T00:00:01.500Z","level":"DEBUG","fields":{fields}}}"#
        );
        Step::of_line(&serde_json::from_str(&text).unwrap())
    };
    let what = line(r#"{"message":"committed","shard":"a","holder":3,"to":"12/4","gaps":0}"#);
    let what = what.unwrap();
    assert_eq!((what.at_ms, what.shard.as_str(), what.holder), (1_500, "a", 3));
    assert_eq!(what.what, What::Committed(at(12, 4), 0));
    let started = line(
        r#"{"message":"started","shard":"a","holder":3,"checkpoint":"TRIM_HORIZON","pending":"7"}"#,
    );
    assert_eq!(started.unwrap().what, What::Started(None));
    let stored = line(r#"{"message":"stored","shard":"a","holder":3,"to":"7"}"#);
    assert_eq!(stored.unwrap().what, What::Stored(None, at(7, 0)));
    assert_eq!(line(r#"{"message":"lease taken","shard":"a"}"#), None);
}

/// Kinesis writes 56 digits.
#[test]
fn a_position_of_kinesis_is_judged_as_any_other() {
    let to = "49590338271490256608559692538361571095921575989136588898";
    let line = serde_json::json!({
        "timestamp": "1970-01-01T00:00:01.500Z",
        "fields": { "message": "written", "shard": "a", "holder": 3, "to": to },
    });
    let step = Step::of_line(&line).unwrap();
    assert_eq!(step.what, What::Written(to.parse().unwrap()));
    let says = format!("a held by 3: {to} was written unprepared");
    assert_eq!(judge(&[step]), [Finding { invariant: "E2", says }]);
}
