//! The summary of a session, in `StreamingSessions` under sort key 0.

use std::borrow::Borrow;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use ivs_core::decode::IngestConfiguration;
use ivs_core::experience::ViewTotals;
use ivs_core::row::Row;
use ivs_core::session::{Latest, Lifecycle, SummaryAgg, Telemetry};
use ivs_core::sketch::Distinct;
use ivs_schemas::items::metrics::sketch::PLAYERS;
use ivs_schemas::items::sessions as names;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{Item, ItemError, Reader, Writer, error};
use super::timeline::to_dynamodb;

/// Returns the item of a summary: what readers want by name, and the state behind it.
/// `expires_at_s` sets its time to live.
#[must_use]
pub fn encode<A: Borrow<SummaryAgg>>(
    session_id: &Arc<str>,
    row: &Row<A>,
    expires_at_s: Option<i64>,
) -> Item {
    let agg = row.agg.borrow();
    let mut item = Writer::default();
    item.text(names::SESSION_ID, session_id)
        .number(names::TIMESTAMP, names::SUMMARY_TIMESTAMP)
        .text(names::CHANNEL_ID, &agg.channel_id)
        .text(names::CHANNEL_SAID_BY, agg.channel_said_by.as_str())
        .number(names::RECORDS, agg.telemetry.records)
        .number_if(names::EXPIRES_AT, expires_at_s)
        .put(names::FACTS, state(&agg.lifecycle))
        .put(names::TELEMETRY, state(&agg.telemetry))
        .blobs(names::SKETCHES, &[(PLAYERS, agg.telemetry.players.to_bytes())])
        .row(row);
    if agg.views != ViewTotals::default() {
        item.put(names::VIEWS, state(&agg.views));
    }
    if agg.ingest != Latest::default() {
        item.put(names::INGEST, state(&agg.ingest));
    }
    for (name, value) in agg.attributes() {
        item.put(name, to_dynamodb(&value));
    }
    item.finish()
}

fn state(part: &impl Serialize) -> AttributeValue {
    serde_dynamo::to_attribute_value(part).expect("plain structs of texts, numbers and lists")
}

/// Returns the summary of an item.
///
/// # Errors
/// Names the attribute that is missing or ill-typed.
pub fn decode(item: &Item) -> Result<(Arc<str>, Row<SummaryAgg>), ItemError> {
    let (session_id, agg) = decode_agg(item)?;
    Ok((session_id, Reader(item).row(agg)?))
}

/// Returns what a summary holds, without its bookkeeping.
///
/// # Errors
/// As [`decode`].
pub fn decode_agg(item: &Item) -> Result<(Arc<str>, SummaryAgg), ItemError> {
    let reader = Reader(item);
    let session_id = reader.text(names::SESSION_ID)?;
    if session_id.is_empty() {
        return Err(error(names::SESSION_ID, "is missing"));
    }
    let lifecycle: Lifecycle = part(item, names::FACTS)?;
    let mut telemetry: Telemetry = part(item, names::TELEMETRY)?;
    if let Some(bytes) = reader.blob(names::SKETCHES, PLAYERS)? {
        telemetry.players = Distinct::from_bytes(bytes)
            .map_err(|e| error(&format!("{}.{PLAYERS}", names::SKETCHES), e.to_string()))?;
    }
    let channel_id = Arc::from(reader.text(names::CHANNEL_ID)?);
    let channel_said_by = reader.said_by(names::CHANNEL_SAID_BY)?;
    // A session without any, or one that an earlier release wrote.
    let views = part_or_default(item, names::VIEWS)?;
    let ingest = ingest(item)?;
    let agg = SummaryAgg { channel_id, channel_said_by, lifecycle, telemetry, views, ingest };
    Ok((Arc::from(session_id), agg))
}

/// Returns what an item says of the encoder; nothing for one that is not a summary.
///
/// # Errors
/// When the attribute is ill-typed.
pub fn ingest(item: &Item) -> Result<Latest<IngestConfiguration>, ItemError> {
    part_or_default(item, names::INGEST)
}

fn part_or_default<T: DeserializeOwned + Default>(item: &Item, name: &str) -> Result<T, ItemError> {
    if item.contains_key(name) { part(item, name) } else { Ok(T::default()) }
}

fn part<T: DeserializeOwned>(item: &Item, name: &str) -> Result<T, ItemError> {
    let value = item.get(name).ok_or_else(|| error(name, "is missing"))?;
    serde_dynamo::from_attribute_value(value.clone()).map_err(|e| error(name, e.to_string()))
}

#[cfg(test)]
mod tests {
    use ivs_core::decode::{DecodeLimits, Event, decode as decode_line};
    use ivs_core::session::SessionFold;
    use ivs_core::window::WindowFold;
    use kinesis_model::{EpochMs, Position, ShardId};

    use super::*;
    use crate::items::own_names;

    fn fold(lines: &[String]) -> SummaryAgg {
        let (mut windows, mut sessions) = (WindowFold::default(), SessionFold::default());
        for line in lines {
            let at = EpochMs(1_772_366_500_000);
            match decode_line(line.as_bytes(), at, &DecodeLimits::default()).unwrap() {
                Event::Player(sample) => windows.add_player(&sample),
                Event::Gauge(gauge) => windows.add_gauge(&gauge),
                Event::Fact(fact) => sessions.add_fact(&fact),
                Event::Chat(message) => windows.add_chat(&message),
            }
        }
        for (key, agg) in windows.drain() {
            sessions.absorb_window(&key, &agg);
        }
        sessions.drain().summaries.remove(0).1
    }

    fn ivs(name: &str, detail_type: &str, extra: &str, second: u32) -> String {
        format!(
            r#"{{"version":"0","id":"i{second}","detail-type":"{detail_type}","source":"aws.ivs","account":"111122223333","time":"2026-03-01T12:00:{second:02}Z","region":"r","resources":["arn:aws:ivs:r:111122223333:channel/c"],"detail":{{{name}"channel_name":"n","stream_id":"st-1"{extra}}}}}"#
        )
    }

    #[test]
    fn a_summary_with_every_kind_of_fact_comes_back_exactly() {
        let named = |name: &str| format!(r#""event_name":"{name}","#);
        let state = "IVS Stream State Change";
        let health = "IVS Stream Health Change";
        let agg = fold(&[
            ivs(&named("Session Created"), state, "", 0),
            ivs(&named("Stream Start"), state, "", 1),
            ivs(&named("Starvation Start"), health, "", 2),
            ivs(&named("Starvation End"), health, "", 5),
            ivs(&named("Stream Takeover"), state, "", 6),
            ivs("", "IVS Limit Breach", r#","limit_name":"Ingest Bitrate","limit_value":8500000,"exceeded_by":120000,"limit_unit":"bits per second""#, 7),
            ivs("", "IVS Recording State Change", r#","recording_status":"Recording Start","recording_status_reason":"","recording_s3_bucket_name":"b","recording_s3_key_prefix":"p","recording_duration_ms":0,"recording_session_id":"r""#, 8),
            ivs(&named("Something New"), state, "", 9),
            ivs("", "IVS Ingest Configuration", r#","video":{"codec":"avc1.4D401F","encoder":"obs","videoHeight":720,"targetFramerate":29.97,"targetBitrate":0},"audio":{"codec":"mp4a.40.2","channels":2}"#, 9),
            ivs(&named("Stream End"), state, "", 30),
            ivs(&named("Session Ended"), state, r#","code":"MultitrackInputNotAllowed""#, 31),
            r#"{"type":"player_telemetry","schemaVersion":1,"eventId":"e","sessionId":"st-1","channelId":"c","playerId":"p1","timestamp":"2026-03-01T12:00:10.5Z","state":"PLAYING","bitrate":3000000,"frameRate":29.97,"bufferingMs":10,"playingMs":9990,"latencyMs":2100}"#.to_owned(),
            r#"{"eventType":"stream_end","sessionId":"st-1","channelId":"c","timestamp":"2026-03-01T12:00:30Z","duration":29,"peakViewers":7,"totalChatMessages":3,"avgBitrate":4000000.5}"#.to_owned(),
        ]);
        let applied = [(ShardId::new("s"), Position { sequence: 5u128.into(), sub: 0 })].into();
        let row = Row { agg, applied, version: 2 };
        let item = encode(&Arc::from("st-1"), &row, Some(1_800_000_000));
        assert_eq!(item["status"].as_s().unwrap(), "ended");
        assert_eq!(item["timestamp"].as_n().unwrap(), "0");
        let told = item["ingestConfiguration"].as_m().unwrap();
        assert_eq!(told["videoCodec"].as_s().unwrap(), "avc1.4D401F");
        assert_eq!(told["frameRate"].as_n().unwrap(), "29.97");
        assert!(!told.contains_key("width") && !told.contains_key("sampleRate"));
        let others: Vec<_> =
            item.keys().filter(|name| !own_names::SUMMARY.contains(&name.as_str())).collect();
        assert_eq!(others.len(), 2, "the key: {others:?}");
        let (session_id, back) = decode(&item).unwrap();
        assert_eq!((&*session_id, back), ("st-1", row));
    }

    #[test]
    fn a_set_beyond_its_bound_is_cut_when_it_is_read() {
        use ivs_core::session::MAX_INCIDENTS;

        let row = Row { agg: SummaryAgg::default(), applied: [].into(), version: 1 };
        let mut item = encode(&Arc::from("s"), &row, None);
        let AttributeValue::M(facts) = item.get_mut(names::FACTS).unwrap() else { panic!() };
        let AttributeValue::M(takeovers) = facts.get_mut("takeovers").unwrap() else { panic!() };
        let times = (0..MAX_INCIDENTS + 7).map(|at| AttributeValue::N(at.to_string()));
        takeovers.insert("members".to_owned(), AttributeValue::L(times.collect()));
        let takeovers = decode(&item).unwrap().1.agg.lifecycle.takeovers;
        assert_eq!((takeovers.len(), takeovers.is_truncated()), (MAX_INCIDENTS, true));
        let last = i64::try_from(MAX_INCIDENTS).unwrap() - 1;
        assert_eq!(takeovers.iter().next_back(), Some(&EpochMs(last)));
    }

    #[test]
    fn a_channel_is_named_by_who_knows_best() {
        let at = "2026-03-01T12:00:10Z";
        let lines = [
            format!(
                r#"{{"event_timestamp":"{at}","type":"MESSAGE","room_id":"0-room","sessionId":"st-1","payload":{{"Id":"m"}}}}"#
            ),
            format!(
                r#"{{"type":"player_telemetry","schemaVersion":1,"eventId":"e","sessionId":"st-1","channelId":"1-player","playerId":"p","timestamp":"{at}","state":"PLAYING"}}"#
            ),
            format!(
                r#"{{"eventType":"metrics_update","sessionId":"st-1","channelId":"2-backend","timestamp":"{at}","currentViewers":7}}"#
            ),
            ivs(r#""event_name":"Stream Start","#, "IVS Stream State Change", "", 1),
        ];
        // Who knows better comes later by name too: the smallest name would be another.
        for (known, channel) in [(1, "0-room"), (2, "1-player"), (3, "2-backend"), (4, "c")] {
            assert_eq!(&*fold(&lines[..known]).channel_id, channel);
            let last_first: Vec<String> = lines[..known].iter().rev().cloned().collect();
            assert_eq!(&*fold(&last_first).channel_id, channel, "last first");
        }
    }

    #[test]
    fn a_summary_that_an_earlier_release_wrote_has_no_encoder() {
        let told = ivs("", "IVS Ingest Configuration", r#","video":{"codec":"avc1.4D401F"}"#, 9);
        let row = Row { agg: fold(&[told]), applied: [].into(), version: 1 };
        let mut item = encode(&Arc::from("st-1"), &row, None);
        assert!(item.remove(names::INGEST).is_some());
        assert_eq!(decode(&item).unwrap().1.agg.ingest, Latest::default());
        assert!(
            !encode(&Arc::from("s"), &Row { agg: SummaryAgg::default(), ..row }, None)
                .contains_key(names::INGEST)
        );
    }

    #[test]
    fn an_empty_summary_comes_back_too() {
        let row = Row { agg: SummaryAgg::default(), applied: [].into(), version: 1 };
        let item = encode(&Arc::from("s"), &row, None);
        assert_eq!(decode(&item).unwrap().1, row);
    }
}
