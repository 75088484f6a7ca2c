use super::*;

fn step(shard: &str, holder: u64, what: What) -> Step {
    Step { at_ms: 0, shard: shard.to_owned(), holder, what }
}

/// An epoch of shard `a`, by its holder, from one position to another.
fn epoch(holder: u64, from: Option<u128>, to: u128, read: u64) -> Vec<Step> {
    let to = (to, 0);
    [
        What::Prepared(to),
        What::Written(to),
        What::Stored(from.map(|from| (from, 0)), to),
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
    steps.push(step("a", 7, What::Started(Some((5, 0)))));
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
    let nine = (9, 0);
    assert_eq!(found(&without(&What::Prepared(nine))), ["E2", "E2"]);
    assert_eq!(found(&without(&What::Written(nine))), ["E2"]);
    assert_eq!(found(&without(&What::Emitted(nine, [2, 2, 0, 0]))), ["E3"]);
    assert_eq!(found(&without(&What::Stored(Some((5, 0)), nine))), ["E3", "E1"]);

    let changed = |at: usize, what: What| {
        let mut steps = course();
        steps[at].what = what;
        found(&steps)
    };
    assert_eq!(changed(4, What::Emitted((5, 0), [3, 1, 1, 0])), ["E6"]);
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
    assert_eq!(what.what, What::Committed((12, 4), 0));
    let started = line(
        r#"{"message":"started","shard":"a","holder":3,"checkpoint":"TRIM_HORIZON","pending":"7"}"#,
    );
    assert_eq!(started.unwrap().what, What::Started(None));
    let stored = line(r#"{"message":"stored","shard":"a","holder":3,"to":"7"}"#);
    assert_eq!(stored.unwrap().what, What::Stored(None, (7, 0)));
    assert_eq!(line(r#"{"message":"lease taken","shard":"a"}"#), None);
}
