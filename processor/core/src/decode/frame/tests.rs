use std::convert::Infallible;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use kinesis_model::EpochMs;
use proptest::prelude::*;

use super::{record_end, room_of};
use crate::decode::{Context, DecodeLimits, Decoder, Event, FactKind, Reason};

/// 2025-06-01T12:00:00Z.
const ARRIVAL: EpochMs = EpochMs(1_748_779_200_000);

/// Returns a player's report with an id.
fn player(id: &str) -> String {
    format!(
        r#"{{"type":"player_telemetry","eventId":"{id}","sessionId":"s","channelId":"c","playerId":"p","timestamp":"2025-06-01T12:00:00Z","state":"PLAYING"}}"#
    )
}

/// Returns the same, printed over several lines.
fn printed(id: &str) -> String {
    player(id).replace("{\"", "{\n  \"").replace(",\"", ",\n  \"").replace('}', "\n}")
}

/// One piece of a record: the id of an event, or a reason with the bytes refused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Event(String),
    Refused(Reason, Vec<u8>),
}

fn event(id: &str) -> Said {
    Said::Event(id.to_owned())
}

fn refused(reason: Reason, bytes: &[u8]) -> Said {
    Said::Refused(reason, bytes.to_vec())
}

fn read_in(data: &[u8], context: &Context<'_>) -> Vec<Said> {
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut said = Vec::new();
    // Twice, since a decoder learns.
    for _ in 0..2 {
        said.clear();
        let read = decoder.read(data, context, |piece, decoded| {
            said.push(match decoded {
                Ok(event) => Said::Event(match event {
                    Event::Fact(fact) => format!("{:?}", fact.kind),
                    Event::Chat(chat) => format!("{} in {}", chat.messages, chat.room_id),
                    other => other.event_id().unwrap_or_default().to_owned(),
                }),
                Err(rejection) => Said::Refused(rejection.reason, piece.to_vec()),
            });
            Ok::<(), Infallible>(())
        });
        let Ok(()) = read;
    }
    said
}

fn read(data: &[u8]) -> Vec<Said> {
    read_in(data, &Context::from(ARRIVAL))
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn texts_are_found_however_they_are_printed_and_set_side_by_side() {
    let (a, b, c) = (player("a"), player("b"), player("c"));
    let (pa, pb) = (printed("a"), printed("b"));
    assert!(pa.lines().count() > 5);
    for data in [
        format!("{a}{b}{c}"),
        format!("{a}\n{b}\n{c}"),
        format!("{a}\r\n\r\n \t\r\n{b}\r\n{c}\r\n"),
        format!("\n  {a} {b}\t{c}  "),
        format!("{pa}{pb}{c}"),
        format!("{pa}\n{b}{c}\n"),
        format!("{a}\n{pb}\r\n{c}"),
        format!("\u{feff}{a}\n{b}{c}"),
        format!("\u{feff}{pa}\n\n{pb}\n\n{c}"),
    ] {
        assert_eq!(read(data.as_bytes()), ["a", "b", "c"].map(event), "{data}");
    }
}

#[test]
fn a_byte_that_is_no_text_behind_an_object_is_refused_and_not_lost() {
    for (a, end) in [(player("a"), ""), (player("a"), "\n"), (printed("a"), "")] {
        let garbage = [b"\x80", player("c").as_bytes(), end.as_bytes()].concat();
        let data = [a.as_bytes(), &garbage].concat();
        assert_eq!(read(&data), [refused(Reason::NotJson, &data)], "{}", data.escape_ascii());
        let data = [a.as_bytes(), player("b").as_bytes(), &garbage].concat();
        let rest = garbage.strip_suffix(b"\n").unwrap_or(&garbage);
        assert_eq!(read(&data), [event("a"), event("b"), refused(Reason::NotJson, rest)]);
    }
}

#[test]
fn a_record_that_is_no_text_is_refused_whole_and_once() {
    let binary = b"\x1f\x8b\x08\x00\n\n\x00\n \nAB";
    let cut = &printed("a").into_bytes()[..100];
    let junk = b"x\n".repeat(50_000);
    for data in [&binary[..], b"\x00\xff\n\x01\n", b"no json\n", b"no\njson\nat all", cut, &junk] {
        assert_eq!(read(data), [refused(Reason::NotJson, data)]);
    }
    for blank in [&b""[..], b"\n", b" \r\n\t"] {
        assert_eq!(read(blank), [refused(Reason::NotJson, blank)]);
    }
    assert_eq!(
        read(b"\x0c"),
        [refused(Reason::NotJson, b"\x0c")],
        "a form feed is not white space"
    );
}

#[test]
fn what_is_refused_takes_nothing_with_it() {
    let (a, b) = (player("a"), printed("b"));
    let json = |bytes: &[u8]| refused(Reason::NotJson, bytes);
    for (data, want) in [
        (format!("{a}\nx\ny\n{b}"), vec![event("a"), json(b"x\ny"), event("b")]),
        (format!("{{\"cut\":\n{a}\n"), vec![json(b"{\"cut\":"), event("a")]),
        (format!("{{\"cut\n{b}\n{{"), vec![json(b"{\"cut"), event("b"), json(b"{")]),
        (format!("{a}{b}tail\n{a}"), vec![event("a"), event("b"), json(b"tail"), event("a")]),
        (format!("{a}\n[1, 2]\n3\n{b}"), {
            let no_object = |bytes: &[u8]| refused(Reason::NotAnObject, bytes);
            vec![event("a"), no_object(b"[1, 2]"), no_object(b"3"), event("b")]
        }),
        (format!("{{}}\n{a}"), vec![refused(Reason::NoKind, b"{}"), event("a")]),
    ] {
        assert_eq!(read(data.as_bytes()), want, "{data}");
    }
    // Text behind a text makes its whole line none, as a line of an array does.
    let line = format!("{a},");
    assert_eq!(read(line.as_bytes()), [json(line.as_bytes())]);
    let mut latin = format!("{a}\n").into_bytes();
    latin.extend(b"{\"name\":\"Jos\xe9\"}\n");
    latin.extend(b.as_bytes());
    assert_eq!(read(&latin), [event("a"), json(b"{\"name\":\"Jos\xe9\"}"), event("b")]);
}

#[test]
fn a_refusal_says_where_the_first_fault_is() {
    let why = |data: &str| {
        let mut whys = Vec::new();
        let mut decoder = Decoder::new(DecodeLimits::default());
        let Ok(()) = decoder.read(data.as_bytes(), &Context::from(ARRIVAL), |_, decoded| {
            whys.extend(decoded.err().map(ToString::to_string));
            Ok::<(), Infallible>(())
        });
        whys
    };
    assert_eq!(
        why("{\n\"a\": 1,\n\"b\" 2\n}"),
        ["not_json: no `:` after a member name at byte 14, 4 lines in all"]
    );
    assert_eq!(why("{\"a\":1} x"), ["not_json: text after the value at byte 8"]);
    assert_eq!(why("{\"a\":"), ["not_json: the text ends where a value is due at byte 5"]);
}

#[test]
fn compressed_records_are_expanded_once_more_if_need_be_and_within_bounds() {
    let data = format!("{}\n{}", player("a"), printed("b"));
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(data.as_bytes()).unwrap();
    let zlib = zlib.finish().unwrap();
    let both =
        [gzip(player("a").as_bytes()), gzip(b"\n"), gzip(player("b").as_bytes()), vec![0; 9]];
    for compressed in [gzip(data.as_bytes()), gzip(&gzip(data.as_bytes())), zlib, both.concat()] {
        assert_eq!(read(&compressed), ["a", "b"].map(event));
    }
    let thrice = gzip(&gzip(&gzip(data.as_bytes())));
    assert!(matches!(&read(&thrice)[..], [Said::Refused(Reason::NotJson, _)]));
    let mut cut = gzip(data.as_bytes());
    cut.truncate(cut.len() - 3);
    assert_eq!(read(&cut), [refused(Reason::NotJson, &cut)], "half an expansion is none");
    let bomb = gzip(&vec![b' '; (32 << 20) + 1]);
    assert_eq!(read(&bomb), [refused(Reason::TooLarge, &bomb)]);
    assert_eq!(read(b"x^2 is text"), [refused(Reason::NotJson, b"x^2 is text")]);
}

/// Returns a batch as a subscription delivers it.
fn batch(kind: &str, stream: &str, messages: &[&str]) -> String {
    let events: Vec<_> = messages
        .iter()
        .map(|message| serde_json::json!({"id": "3", "timestamp": 5, "message": message}))
        .collect();
    serde_json::json!({
        "messageType": kind, "owner": "111122223333", "logGroup": "g", "logStream": stream,
        "subscriptionFilters": ["f"], "logEvents": events,
    })
    .to_string()
}

const CHAT: &str = r#"{"event_timestamp":"2025-06-01T12:00:00Z","type":"MESSAGE","payload":{"Id":"m","Content":"\"hi\" \u00e9"},"version":"1.0"}"#;

#[test]
fn a_batch_of_a_log_subscription_is_its_messages() {
    let stream = "aws/IVSChatLogs/1.0/room_0wgOPVl4ZRdu";
    let data = batch("DATA_MESSAGE", stream, &[CHAT, "no json", &player("a"), CHAT]);
    let want = [
        event("1 in 0wgOPVl4ZRdu"),
        refused(Reason::NotJson, b"no json"),
        event("a"),
        event("1 in 0wgOPVl4ZRdu"),
    ];
    assert_eq!(read(&gzip(data.as_bytes())), want);
    let control = batch("CONTROL_MESSAGE", stream, &["CWL CONTROL MESSAGE: Checking health"]);
    let counted = event(&format!("{:?}", FactKind::Ignored));
    // As Firehose writes them: side by side, plain.
    let firehose = format!("{control}{data}{}", batch("DATA_MESSAGE", stream, &[]));
    let counted = std::slice::from_ref(&counted);
    let all: Vec<_> = [counted, &want[..], counted].concat();
    assert_eq!(read(firehose.as_bytes()), all);
    let other = batch("OTHER", stream, &[CHAT]);
    assert_eq!(read(other.as_bytes()), [refused(Reason::NoKind, other.as_bytes())]);
    let inner = batch("DATA_MESSAGE", stream, &[&batch("DATA_MESSAGE", stream, &[CHAT])]);
    assert!(matches!(&read(inner.as_bytes())[..], [Said::Refused(Reason::NoKind, _)]));
    let nothing = data.replace("\"message\"", "\"massage\"");
    let missing = read(nothing.as_bytes());
    assert_eq!(missing.len(), 4);
    assert!(missing.iter().all(|one| matches!(one, Said::Refused(Reason::MissingField, _))));
}

/// A batch of a million numbers must not become a million copies of it.
#[test]
fn a_batch_is_refused_once_for_all_its_events_that_are_not_objects() {
    let good = batch("DATA_MESSAGE", "s", &[&player("a")]);
    let data = good.replace("[{", "[1,null,{").replace("}]", "},\"x\",[2]]");
    let want = [refused(Reason::MissingField, data.as_bytes()), event("a")];
    assert_eq!(read(data.as_bytes()), want);
}

#[test]
fn the_room_of_a_log_is_in_the_name_of_its_stream_or_object() {
    let object = "s3://b/AWSLogs/111122223333/IVSChatLogs/1.0/us-west-2/room_0wgOPVl4ZRdu/2025/06/01/12/x.log.gz";
    assert_eq!(room_of(object), Some("0wgOPVl4ZRdu"));
    assert_eq!(room_of("aws/IVSChatLogs/1.0/room_ab"), Some("ab"));
    let copied = "file:///tmp/1_IVSChatLogs_1.0_us-east-1_room_ab_202603311200_cd.log.gz";
    assert_eq!(room_of(copied), Some("ab"));
    for other in ["room_ab/x", "AWSLogs/1/IVSChatLogs/1.0/us-west-2/room_/x", "", "IVSChatLogs/ab"]
    {
        assert_eq!(room_of(other), None, "{other}");
    }
    let context = Context { arrival: ARRIVAL, room: room_of(object) };
    assert_eq!(read_in(CHAT.as_bytes(), &context), [event("1 in 0wgOPVl4ZRdu")]);
    assert!(matches!(&read(CHAT.as_bytes())[..], [Said::Refused(Reason::MissingField, _)]));
    let stated = CHAT.replace("{\"event", "{\"room_id\":\"own\",\"event");
    assert_eq!(
        read_in(stated.as_bytes(), &context),
        [event("1 in own")],
        "the record knows better"
    );
}

#[test]
fn what_a_player_of_the_qos_sample_posts_is_its_records() {
    let play = r#"{"metric_type":"PLAY","session_id":"p","channel_watched":"c"}"#;
    let posted = format!(r#"{{"Records": [{{"Data": {play}}}, {{"Data": {}}}]}}"#, player("a"));
    assert_eq!(read(posted.as_bytes()), ["", "a"].map(event));
    // What `aws kinesis get-records` prints is none of it, and neither are a function's batches.
    for other in [r#"{"Records":[{"Data":"e30="}]}"#, r#"{"Records":[]}"#, r#"{"Records":[{}]}"#] {
        assert_eq!(read(other.as_bytes()), [refused(Reason::NoKind, other.as_bytes())]);
    }
}

#[test]
fn a_text_of_ten_mebibytes_is_read_and_a_longer_one_refused() {
    let padded = |bytes: usize| {
        let event = player("a");
        format!("{}{}}}", &event[..event.len() - 1], " ".repeat(bytes - event.len()))
    };
    assert_eq!(read(padded(10 << 20).as_bytes()), [event("a")]);
    let longer = padded((10 << 20) + 1);
    assert_eq!(read(longer.as_bytes()), [refused(Reason::TooLarge, longer.as_bytes())]);
    // A long line of short texts is not a long text.
    let many = player("a").repeat((11 << 20) / player("a").len());
    assert!(read(many.as_bytes()).iter().all(|one| *one == event("a")));
}

/// Whole texts, texts that are cut, and junk.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-d]".prop_map(|id| player(&id)),
        "[a-d]".prop_map(|id| printed(&id)),
        ("[a-d]", any::<prop::sample::Index>()).prop_map(|(id, cut)| {
            let text = printed(&id);
            text[..cut.index(text.len())].to_owned()
        }),
        "[x{}\\[\\]\", 1]{0,4}",
        Just("{}".to_owned()),
    ]
}

proptest! {
    /// Every byte but white space is handed out once, in order.
    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(
        pieces in prop::collection::vec((piece(), "(|\n|\r\n| |,)"), 0..8),
    ) {
        let data: String = pieces.into_iter().flat_map(|(piece, end)| [piece, end]).collect();
        let mut decoder = Decoder::new(DecodeLimits::default());
        let mut said = String::new();
        let read = decoder.read(data.as_bytes(), &Context::from(ARRIVAL), |piece, _| {
            said.push_str(std::str::from_utf8(piece).unwrap());
            Ok::<(), Infallible>(())
        });
        prop_assert_eq!(read, Ok(()));
        let ink = |text: &str| text.split_ascii_whitespace().collect::<String>();
        prop_assert_eq!(ink(&said), ink(&data));
    }

    /// A file that is cut into records, each read by itself, tells the same events as one record of
    /// it all.
    #[test]
    fn a_file_is_read_as_a_record_is(
        pieces in prop::collection::vec((piece(), "(|\n|\r\n|\n\n)"), 0..8),
    ) {
        let data: String = pieces.into_iter().flat_map(|(piece, end)| [piece, end]).collect();
        let is_event = |said: &Said| matches!(said, Said::Event(_));
        let whole: Vec<_> = read(data.as_bytes()).into_iter().filter(is_event).collect();
        let (mut rest, mut cut) = (data.as_bytes(), Vec::new());
        while !rest.is_empty() {
            let line = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            // Given more and more of the text, the answer is the same once there is one.
            let end = record_end(rest, line, true).unwrap();
            for known in line..rest.len() {
                let early = record_end(&rest[..known], line.min(known), false);
                prop_assert!(early.is_none_or(|early| early == end), "{early:?} {end} {known}");
            }
            let stretch: Vec<_> = read(&rest[..end]).into_iter().filter(is_event).collect();
            let singly = super::pieces(&rest[..end]).flat_map(read).filter(is_event);
            prop_assert_eq!(&singly.collect::<Vec<_>>(), &stretch);
            cut.extend(stretch);
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        prop_assert_eq!(cut, whole);
    }
}
