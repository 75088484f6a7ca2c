use super::*;

type One = Partial<u64, &'static str>;
type Writer = RowWriter<&'static str, u64, One>;
type Effects = Vec<Effect<&'static str, u64, One, &'static str>>;

fn at(sequence: u128) -> Position {
    Position { sequence: sequence.into(), sub: 0 }
}

fn partial(shard: &str, to: u128, delta: u64, ticket: &'static str) -> One {
    Partial { shard: ShardId::new(shard), to: at(to), delta, ticket }
}

/// Effects as short texts.
fn told(effects: &mut Effects) -> Vec<String> {
    let text = |effect: Effect<_, u64, One, &str>| match effect {
        Effect::Put { row, seen, parts, .. } => {
            format!("put {} of {parts} on {seen:?} as {}", row.agg, row.version)
        }
        Effect::Read { key } => format!("read {key}"),
        Effect::Wait { refusals, .. } => format!("wait {refusals}"),
        Effect::Done { part, row, how } => format!("done {} {} {how:?}", part.ticket, row.agg),
        Effect::Failed { part, error } => format!("failed {} {error}", part.ticket),
    };
    effects.drain(..).map(text).collect()
}

fn stored_row(agg: u64, applied: &[(&str, u128)], version: u64) -> Option<(Row<u64>, usize)> {
    let applied = applied.iter().map(|(shard, to)| (ShardId::new(shard), at(*to))).collect();
    Some((Row { agg, applied, version }, 10))
}

/// Returns a writer that has been alone for long enough not to look.
fn new() -> (Writer, Effects) {
    let mut writer = RowWriter::new(100);
    writer.suspicion = 0;
    (writer, vec![])
}

#[test]
fn what_comes_while_a_put_is_in_flight_goes_together_into_the_next() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    assert_eq!(told(&mut effects), ["put 1 of 1 on None as 1"]);
    writer.submit("r", partial("b", 7, 2, "b7"));
    writer.submit("r", partial("c", 8, 4, "c8"));
    writer.flush(&mut effects);
    assert!(effects.is_empty(), "one put in flight a row");
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(
        told(&mut effects),
        ["done a10 1 Put { refusals: 0 }", "put 7 of 2 on Some(1) as 2"]
    );
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(told(&mut effects), ["done b7 7 Along", "done c8 7 Put { refusals: 0 }"]);
    assert_eq!((writer.busy(), writer.image_bytes()), (0, 10));
}

#[test]
fn what_comes_before_a_put_is_begun_goes_along() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    writer.submit("r", partial("b", 7, 2, "b7"));
    writer.submit("r", partial("a", 9, 8, "a9"));
    assert_eq!(told(&mut effects), ["put 1 of 1 on None as 1"]);
    let (row, parts) = writer.board(&"r");
    assert_eq!((row.agg, row.version, parts), (3, 1, 3));
    writer.submit("r", partial("c", 8, 4, "c8"));
    writer.flush(&mut effects);
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(
        told(&mut effects),
        [
            "done a9 3 Along",
            "done a10 3 Along",
            "done b7 3 Put { refusals: 0 }",
            "put 7 of 1 on Some(1) as 2"
        ]
    );
}

#[test]
fn a_part_that_is_tried_by_itself_is_not_boarded() {
    let (mut writer, mut effects) = new();
    for (shard, ticket) in [("a", "a1"), ("b", "b1")] {
        writer.submit("r", partial(shard, 1, 1, ticket));
    }
    writer.flush(&mut effects);
    writer.failed(&"r", &"too large", Blame::Item, &mut effects);
    assert_eq!(told(&mut effects).last().unwrap(), "put 1 of 1 on None as 1");
    assert_eq!(writer.board(&"r").1, 1);
}

#[test]
fn what_is_not_flushed_waits_even_if_the_row_gets_free() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    writer.submit("r", partial("b", 7, 2, "b7"));
    effects.clear();
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(told(&mut effects), ["done a10 1 Put { refusals: 0 }"]);
    writer.submit("r", partial("c", 8, 4, "c8"));
    writer.flush(&mut effects);
    assert_eq!(told(&mut effects), ["put 7 of 2 on Some(1) as 2"]);
}

#[test]
fn a_refused_put_starts_again_from_what_is_stored_and_waits_from_the_second_time_on() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    effects.clear();
    writer.refused(&"r", stored_row(100, &[("z", 5)], 4), &mut effects);
    assert_eq!(told(&mut effects), ["put 101 of 1 on Some(4) as 5"]);
    writer.refused(&"r", stored_row(200, &[("z", 6)], 5), &mut effects);
    assert_eq!(told(&mut effects), ["wait 2"]);
    writer.submit("r", partial("b", 3, 2, "b3"));
    writer.flush(&mut effects);
    assert!(effects.is_empty(), "it waits");
    writer.wake(&"r", &mut effects);
    assert_eq!(told(&mut effects), ["put 203 of 2 on Some(5) as 6"]);
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(told(&mut effects), ["done a10 203 Along", "done b3 203 Put { refusals: 2 }"]);
}

#[test]
fn a_row_that_is_too_large_to_be_remembered_is_still_written() {
    let mut effects = vec![];
    let mut writer: Writer = RowWriter::new(0);
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    assert_eq!(told(&mut effects), ["read r"], "it does not know yet whether it is alone");
    writer.read(&"r", None, &mut effects);
    effects.clear();
    writer.refused(&"r", stored_row(100, &[("z", 5)], 4), &mut effects);
    assert_eq!(told(&mut effects), ["put 101 of 1 on Some(4) as 5"]);
}

#[test]
fn a_put_whose_reply_was_lost_is_recognized_and_what_was_not_in_it_goes_on() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    writer.submit("r", partial("b", 3, 2, "b3"));
    writer.flush(&mut effects);
    effects.clear();
    writer.refused(&"r", stored_row(1, &[("a", 10)], 1), &mut effects);
    assert_eq!(told(&mut effects), ["done a10 1 Already", "put 3 of 1 on Some(1) as 2"]);
}

#[test]
fn one_epoch_submitted_twice_counts_once_and_both_are_answered_with_the_put() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("a", 10, 1, "first hold"));
    writer.submit("r", partial("a", 10, 1, "second hold"));
    writer.flush(&mut effects);
    assert_eq!(told(&mut effects), ["put 1 of 2 on None as 1"]);
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(
        told(&mut effects),
        ["done second hold 1 Along", "done first hold 1 Put { refusals: 0 }"]
    );
}

#[test]
fn a_put_that_fails_fails_each_of_its_partials_and_no_other() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.submit("r", partial("b", 3, 2, "b3"));
    writer.flush(&mut effects);
    writer.submit("r", partial("c", 8, 4, "c8"));
    writer.flush(&mut effects);
    effects.clear();
    writer.failed(&"r", &"away", Blame::Table, &mut effects);
    assert_eq!(
        told(&mut effects),
        ["failed a10 away", "failed b3 away", "put 4 of 1 on None as 1"]
    );
}

#[test]
fn an_item_that_is_refused_for_good_is_tried_by_each_shard_alone() {
    let (mut writer, mut effects) = new();
    for (shard, ticket) in [("a", "a"), ("b", "b"), ("c", "c")] {
        writer.submit("r", partial(shard, 10, 1, ticket));
    }
    writer.flush(&mut effects);
    assert_eq!(told(&mut effects), ["put 3 of 3 on None as 1"]);
    writer.failed(&"r", &"too large", Blame::Item, &mut effects);
    assert_eq!(told(&mut effects), ["put 1 of 1 on None as 1"]);
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(told(&mut effects), ["done a 1 Put { refusals: 0 }", "put 2 of 1 on Some(1) as 2"]);
    writer.failed(&"r", &"too large", Blame::Item, &mut effects);
    assert_eq!(told(&mut effects), ["failed b too large", "put 1 of 1 on None as 1"]);
    writer.refused(&"r", stored_row(1, &[("a", 10)], 1), &mut effects);
    assert_eq!(told(&mut effects), ["put 2 of 1 on Some(1) as 2"]);
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(told(&mut effects), ["done c 2 Put { refusals: 1 }"]);
    assert_eq!(writer.busy(), 0);
}

#[test]
#[should_panic(expected = "without a put")]
fn an_answer_that_was_not_asked_for_is_a_bug_of_the_driver() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.stored(&"r", 10, &mut effects);
}

/// Writes a part of a shard into a row from beginning to end; returns what was asked for before it
/// was stored. A reading finds what `stored` says.
fn write(
    writer: &mut Writer,
    (row, shard): (&'static str, &str),
    to: u128,
    stored: Option<(Row<u64>, usize)>,
) -> Vec<String> {
    let mut effects = vec![];
    writer.submit(row, partial(shard, to, 1, "t"));
    writer.flush(&mut effects);
    let mut asked = told(&mut effects);
    if asked.last().is_some_and(|asked| asked.starts_with("read")) {
        writer.read(&row, stored, &mut effects);
        asked.extend(told(&mut effects));
    }
    writer.stored(&row, 10, &mut effects);
    asked
}

#[test]
fn a_row_that_others_write_is_read_before_it_is_put_until_they_are_gone() {
    let (mut writer, mut effects) = new();
    assert_eq!(write(&mut writer, ("r", "a"), 10, None), ["put 1 of 1 on None as 1"]);
    assert_eq!(write(&mut writer, ("r", "a"), 20, None), ["put 2 of 1 on Some(1) as 2"], "alone");
    writer.submit("r", partial("a", 30, 1, "a30"));
    writer.flush(&mut effects);
    writer.refused(&"r", stored_row(7, &[("a", 20), ("z", 5)], 3), &mut effects);
    writer.stored(&"r", 10, &mut effects);
    let stored = stored_row(20, &[("a", 30), ("z", 6)], 5);
    assert_eq!(
        write(&mut writer, ("r", "a"), 40, stored),
        ["read r", "put 21 of 1 on Some(5) as 6"],
        "its own image has version 4"
    );
    for look in 0..LOOKS {
        let (agg, version) = (21 + u64::from(look), 6 + u64::from(look));
        let to = 50 + u128::from(look);
        let stored = stored_row(agg, &[("a", to - 1), ("z", 6)], version);
        let asked = write(&mut writer, ("r", "a"), to, stored);
        assert_eq!(asked[0], "read r", "nobody was there since, {look} times");
    }
    assert_eq!(write(&mut writer, ("r", "a"), 60, None), ["put 26 of 1 on Some(10) as 11"]);
}

#[test]
fn a_part_that_another_worker_has_written_does_not_speak_for_the_row_of_others() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("b", 3, 2, "b3"));
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    effects.clear();
    // The shard a was taken by another worker, which wrote its epoch meanwhile, and told of the row as it was.
    writer.refused(&"r", stored_row(1, &[("a", 10)], 1), &mut effects);
    assert_eq!(told(&mut effects), ["put 3 of 2 on Some(1) as 2"]);
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(told(&mut effects), ["done a10 3 Along", "done b3 3 Put { refusals: 1 }"]);
}

/// A part of a shard that was given up once it was submitted, if so it says.
struct Listened(One, bool);

impl Part<u64> for Listened {
    fn shard(&self) -> &ShardId {
        self.0.shard()
    }

    fn to(&self) -> Position {
        self.0.to()
    }

    fn alone(&self) -> u64 {
        self.0.alone()
    }

    fn add_to(&self, agg: &mut u64) {
        self.0.add_to(agg);
    }

    fn is_awaited(&self) -> bool {
        self.1
    }
}

#[test]
fn a_part_that_nobody_waits_for_does_not_speak_for_the_row() {
    for awaited in [[true, false], [false, true], [false, false]] {
        let mut writer: RowWriter<&str, u64, Listened> = RowWriter::new(100);
        writer.suspicion = 0;
        let mut effects: Vec<Effect<_, _, _, &str>> = vec![];
        writer.submit("r", Listened(partial("a", 10, 1, "a10"), awaited[0]));
        writer.submit("r", Listened(partial("b", 7, 2, "b7"), awaited[1]));
        writer.flush(&mut effects);
        effects.clear();
        writer.stored(&"r", 10, &mut effects);
        let speaks = effects
            .iter()
            .map(|effect| matches!(effect, Effect::Done { how: How::Put { .. }, .. }));
        let expected = if awaited[0] { [true, false] } else { [false, true] };
        assert_eq!(speaks.collect::<Vec<_>>(), expected, "{awaited:?}");
    }
}

#[test]
fn new_rows_are_read_first_as_long_as_others_may_have_made_them() {
    let (mut writer, mut effects) = new();
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    writer.refused(&"r", stored_row(7, &[("z", 5)], 3), &mut effects);
    writer.stored(&"r", 10, &mut effects);
    assert_eq!(write(&mut writer, ("s", "a"), 10, None), ["read s", "put 1 of 1 on None as 1"]);
    let stored = stored_row(2, &[("a", 10), ("z", 6)], 2);
    assert_eq!(
        write(&mut writer, ("s", "a"), 20, stored),
        ["read s", "put 3 of 1 on Some(2) as 3"],
        "whoever makes a row is not alone with it for long"
    );
    let (mut to, mut reads) = (100, 0);
    let rows = ["t", "u", "v", "w"];
    while write(&mut writer, (rows[to % 4], "a"), to as u128, None)[0].starts_with("read") {
        writer.images = Images::new(100);
        (to, reads) = (to + 1, reads + 1);
        assert!(reads < 1_000, "it never gets over it");
    }
    assert_eq!(reads, SUSPICIOUS_FOR);
}

#[test]
fn what_comes_while_a_row_is_read_goes_into_the_same_put_and_a_failed_reading_stops_nothing() {
    let (mut writer, mut effects) = new();
    writer.suspicion = 1;
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    writer.submit("r", partial("b", 3, 2, "b3"));
    writer.flush(&mut effects);
    assert_eq!(told(&mut effects), ["read r"]);
    writer.unread(&"r", &mut effects);
    assert_eq!(told(&mut effects), ["put 3 of 2 on None as 1"]);
}

/// Returns a writer without room for images, which has written a row and is not suspicious.
fn forgetful() -> (Writer, Effects) {
    let (mut writer, mut effects) = (RowWriter::new(0), vec![]);
    writer.suspicion = 0;
    writer.submit("r", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    writer.stored(&"r", 10, &mut effects);
    effects.clear();
    (writer, effects)
}

#[test]
fn a_row_that_was_forgotten_is_read_and_nobody_is_suspected_for_it() {
    let (mut writer, mut effects) = forgetful();
    writer.submit("r", partial("b", 3, 2, "b3"));
    writer.flush(&mut effects);
    assert_eq!(told(&mut effects), ["read r"], "a put without the version would be refused");
    writer.read(&"r", stored_row(1, &[("a", 10)], 1), &mut effects);
    assert_eq!(told(&mut effects), ["put 3 of 1 on Some(1) as 2"]);
    writer.submit("new", partial("a", 10, 1, "a10"));
    writer.flush(&mut effects);
    assert_eq!(told(&mut effects), ["put 1 of 1 on None as 1"], "a new row is still put at once");
}

#[test]
fn a_row_that_was_forgotten_and_was_written_by_others_since_makes_suspicious() {
    let (mut writer, mut effects) = forgetful();
    writer.submit("r", partial("a", 20, 2, "a20"));
    writer.flush(&mut effects);
    writer.read(&"r", stored_row(5, &[("a", 10), ("z", 1)], 2), &mut effects);
    effects.clear();
    writer.submit("new", partial("a", 20, 1, "a20"));
    writer.flush(&mut effects);
    assert_eq!(told(&mut effects), ["read new"]);
}
