use super::*;

fn read(body: &str) -> Option<Answer> {
    answer(body.as_bytes())
}

fn with_record(record: &str) -> String {
    format!(r#"{{"Records":[{record}],"MillisBehindLatest":0,"NextShardIterator":"n"}}"#)
}

const RECORD: &str = r#"{"SequenceNumber":"49590338271490256608559692538361571095921575989136588898","ApproximateArrivalTimestamp":1772366407.123,"Data":"e30=","PartitionKey":"k"}"#;

#[test]
fn the_usual_answer_is_read_and_payloads_share_a_buffer() {
    let second = RECORD.replace("e30=", "W10=").replace("8898", "8899");
    let answer = read(&with_record(&format!("{RECORD},{second}"))).unwrap();
    let payloads: Vec<_> = answer.records.iter().map(|record| &record.data[..]).collect();
    assert_eq!(payloads, [b"{}", b"[]"]);
    let first = &answer.records[0];
    assert_eq!(first.data.as_ptr().wrapping_add(2), answer.records[1].data.as_ptr());
    assert_eq!((&*first.partition_key, first.sequence.to_string().len()), ("k", 56));
    assert_eq!((answer.behind_ms, answer.next_iterator.as_deref()), (Some(0), Some("n")));
}

#[test]
fn an_arrival_loses_what_the_sdk_loses() {
    for text in ["1772366407.123", "1.772366407123E9", "1772366407", "1772366407.001"] {
        let body = with_record(&RECORD.replace("1772366407.123", text));
        let arrival = read(&body).unwrap().records[0].arrival;
        let theirs = DateTime::from_secs_f64(text.parse().unwrap()).to_millis().unwrap();
        assert_eq!(arrival, EpochMs(theirs), "{text}");
    }
}

#[test]
fn white_space_other_orders_and_an_encryption_type_are_usual() {
    let body = "{ \"NextShardIterator\" : \"n\" ,\n\"Records\" : [ { \"PartitionKey\":\"ü\", \"Data\":\"\", \
                \"EncryptionType\":\"KMS\", \"ApproximateArrivalTimestamp\":1, \"SequenceNumber\":\"7\" } ] }\n";
    let answer = read(body).unwrap();
    assert_eq!(&*answer.records[0].partition_key, "ü");
    assert!(answer.records[0].data.is_empty());
    assert_eq!(read(r#"{"Records":[]}"#).unwrap().records, []);
}

#[test]
fn what_is_not_usual_is_left_to_the_sdk() {
    let usual = with_record(RECORD);
    assert!(read(&usual).is_some());
    for (from, to) in [
        (r#""PartitionKey":"k""#, r#""PartitionKey":"\u006b""#),
        (r#""PartitionKey":"k""#, "\"PartitionKey\":\"\n\""),
        (r#""PartitionKey":"k""#, r#""PartitionKey":"k","Another":1"#),
        (r#","PartitionKey":"k""#, ""),
        (r#""e30=""#, r#""e30\/""#),
        (r#""e30=""#, r#""e30""#),
        (r#""e30=""#, r#""e30*""#),
        ("1772366407.123", "\"1772366407\""),
        ("1772366407.123", ".5"),
        ("1772366407.123", "null"),
        ("588898\"", "58889x\""),
        (r#""MillisBehindLatest":0"#, r#""MillisBehindLatest":0.5"#),
        (r#""MillisBehindLatest":0"#, r#""ChildShards":[]"#),
        ("}]", "},]"),
        ("}]", "}"),
        ("\"n\"}", "\"n\""),
        ("\"n\"}", "\"n\"}}"),
        ("\"n\"}", "\"n\"} 1"),
    ] {
        let body = usual.replacen(from, to, 1);
        assert_ne!(body, usual, "{from}");
        assert_eq!(read(&body), None, "{body}");
    }
}

#[test]
fn a_body_that_was_cut_short_is_never_read() {
    let usual = with_record(RECORD);
    for end in 0..usual.len() {
        assert_eq!(read(&usual[..end]), None, "{end}");
    }
}
