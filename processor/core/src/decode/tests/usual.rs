//! A decoder that learns says what reading each line by itself says.

use std::convert::Infallible;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::{ARRIVAL, Decoder, decode};
use crate::decode::{Context, DecodeLimits};

/// Members as producers write them, and others that are unusual in some way.
const MEMBERS: [(&str, &str); 36] = [
    ("type", "\"player_telemetry\""),
    ("eventType", "\"metrics_update\""),
    ("schemaVersion", "1"),
    ("eventId", "\"65745e0d-6be2-4200-af31-28f1a217b73c\""),
    ("sessionId", "\"st-rzyDN88qS9lqL5DJ9RTcXk\""),
    ("sessionId", "\"st-é\""),
    ("channelId", "\"arn:aws:ivs:us-west-2:123456789012:channel/44QKej8lDd7x\""),
    ("channelId", "\"44QKej8lDd7x\""),
    ("playerId", "\"p-b0e7e83468\""),
    ("playerId", "\"\\u0070\\\"\""),
    ("timestamp", "\"2025-06-01T12:00:00.072Z\""),
    ("timestamp", "\"2025-06-01T12:00:00+00:00\""),
    ("timestamp", "1748779200072"),
    ("state", "\"PLAYING\""),
    ("state", "\"buffering\""),
    ("bitrate", "2961985"),
    ("bitrate", "12345678"),
    ("bitrate", "123456789"),
    ("frameRate", "59.79"),
    ("frameRate", "29.97002997"),
    ("frameRate", "5.994e1"),
    ("droppedFrames", "0"),
    ("droppedFrames", "null"),
    ("bufferingMs", "-1"),
    ("bufferingMs", "-0.0"),
    ("playingMs", "-1e-9"),
    ("bufferingMs", "00"),
    ("latencyMs", "3433.25"),
    ("latencyMs", "true"),
    ("rebufferCount", "1."),
    ("errorCode", "\"ErrorNetwork: this one is longer than the sixty-four bytes of one block\""),
    ("errorCode", "7"),
    ("currentViewers", "49"),
    ("chatMessagesPerMinute", "1"),
    ("aNameThatIsLongerThanThirtyTwoBytes", "0"),
    ("device", "{\"name\":[\"fire-tv\"]}"),
];

/// Returns a line of some of the members in some order.
fn line() -> impl Strategy<Value = String> {
    let members = subsequence(MEMBERS.to_vec(), 0..MEMBERS.len()).prop_shuffle();
    let comma = select(vec![",", ", ", " ,", ",  ", ",,"]);
    let colon = select(vec![":", ": ", " :"]);
    (members, comma, colon, select(vec!["}", "}\r", ",}", "", "}}"])).prop_map(
        |(members, comma, colon, end)| {
            let member = |(name, value)| format!("\"{name}\"{colon}{value}");
            let members: Vec<String> = members.into_iter().map(member).collect();
            format!("{{{}{end}", members.join(comma))
        },
    )
}

/// Returns a line in which single bytes were overwritten, or the end cut off.
fn spoiled() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![select(b"\"\\{}[],:. -+eE019tfn\n\x1f\x7f\x80\xc3".to_vec()), any::<u8>()];
    (line(), vec((any::<Index>(), byte), 0..3), proptest::option::of(any::<Index>())).prop_map(
        |(line, changes, cut)| {
            let mut line = line.into_bytes();
            for (at, byte) in changes {
                let at = at.index(line.len());
                line[at] = byte;
            }
            if let Some(cut) = cut {
                line.truncate(cut.index(line.len() + 1));
            }
            line
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_was_learned_changes_no_result(lines in vec(spoiled(), 1..12)) {
        let limits = DecodeLimits::default();
        let mut decoder = Decoder::new(limits);
        // The second time all names are known.
        for line in lines.iter().chain(&lines) {
            let alone = decode(line, ARRIVAL, &limits);
            let text = String::from_utf8_lossy(line);
            prop_assert_eq!(decoder.decode(line, ARRIVAL), alone, "{}", text);
        }
    }
}

proptest! {
    #[test]
    fn usual_lines_of_a_text_say_what_each_says_by_itself(
        lines in vec(prop_oneof![3 => usual(), 1 => line()], 0..40),
        ends in any::<bool>(),
    ) {
        let text = lines.join("\n") + if ends { "\n" } else { "" };
        let limits = DecodeLimits::default();
        let mut decoder = Decoder::new(limits);
        let mut at = 0;
        for _ in 0..lines.len() + 1 {
            let from = at;
            at += decoder.read_usual_lines(&text[from..], &Context::from(ARRIVAL), |begin, line, decoded| {
                prop_assert_eq!(&text.as_bytes()[from + begin..][..line.len()], line);
                prop_assert_eq!(text.as_bytes()[from + begin + line.len()], b'\n');
                prop_assert_eq!(decoded.cloned().map_err(Clone::clone), decode(line, ARRIVAL, &limits));
                Ok::<(), TestCaseError>(())
            })?;
            // The line at which it stops is passed over here.
            let Some(length) = text[at..].find('\n') else { break };
            at += length + 1;
        }
    }
}

#[test]
fn all_usual_lines_are_read_together_up_to_the_first_that_is_not() {
    let line = r#"{"eventType":"metrics_update","sessionId":"s","channelId":"c","bitrate":7}"#;
    let whole = format!("{line}\n").repeat(100);
    let mut decoder = Decoder::new(DecodeLimits::default());
    for rest in ["", line, "{\n", "{}\n", "{\"sessionId\":\"\u{e9}\"}\n", "\n\n"] {
        let text = format!("{whole}{rest}");
        let mut told = 0;
        let read = decoder.read_usual_lines(&text, &Context::from(ARRIVAL), |_, _, decoded| {
            told += i32::from(decoded.is_ok());
            Ok::<(), Infallible>(())
        });
        assert_eq!((read, told), (Ok(whole.len()), 100), "{rest}");
    }
}

/// Returns a line that no decoder has to look at twice.
fn usual() -> impl Strategy<Value = String> {
    any::<u16>().prop_map(|n| format!(
        r#"{{"type":"player_telemetry","sessionId":"st-{n}","channelId":"c","playerId":"p","timestamp":1748779200072,"bitrate":{n},"state":"PLAYING"}}"#
    ))
}

/// More names than are remembered, and lines longer than usual.
#[test]
fn names_without_end_and_long_lines_are_read_all_the_same() {
    let limits = DecodeLimits::default();
    let mut decoder = Decoder::new(limits);
    for number in 0..400 {
        let line = format!(
            r#"{{"eventType":"metrics_update","name{number}":1,"sessionId":"s","channelId":"c","x":"{}","bitrate":{number}}}"#,
            "y".repeat(number * 7)
        );
        let event = decoder.decode(line.as_bytes(), ARRIVAL);
        assert!(event.is_ok());
        assert_eq!(event, decode(line.as_bytes(), ARRIVAL, &limits));
    }
}
