//! IVS, the table of sessions and the stream, as AWS has them.

use aws_calls::{Pages, RetryPolicy, code, explain, persist};
use aws_sdk_ivs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ivs::primitives::DateTime;
use aws_sdk_ivs::types::{AudioConfiguration, StreamSession, StreamSummary, VideoConfiguration};
use aws_smithy_runtime_api::http::Response;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ivs_core::decode::{IngestAudio, IngestConfiguration, IngestVideo};
use ivs_core::reconcile::{IvsEvent, IvsSession, Known, LostFact};
use ivs_core::session::attribute_names;
use ivs_schemas::items::sessions;
use kinesis_model::EpochMs;

use super::seam::{Live, Surroundings, Unanswered};
use crate::cloud::Clients;
use crate::config::Config;
use crate::items::codec::{Item, Reader};
use crate::items::pages::Select;
use crate::items::summary;
use crate::producer::send::{MAX_RECORDS, Outgoing, put_records};
use crate::sink::Rate;

/// A round comes again soon, so there is no point in long waits.
const ASK: RetryPolicy = RetryPolicy { initial_ms: 500, max_ms: 2_000, attempts: 4 };
/// Streams of a page: IVS's limit.
const PAGE: i32 = 100;
/// Pages of one list: as many streams as are followed.
const PAGES_MAX: usize = 100;

/// The services themselves.
#[derive(Debug)]
pub(in crate::worker) struct Aws {
    clients: Clients,
    sessions: String,
    stream: String,
    rate: Rate,
}

impl Aws {
    pub(in crate::worker) fn new(config: &Config, clients: &Clients) -> Self {
        Self {
            clients: clients.clone(),
            sessions: config.tables.sessions.clone(),
            stream: config.stream.name.clone(),
            rate: Rate::per_second(config.reconcile.calls_per_s),
        }
    }

    async fn list(&self) -> Result<Vec<Live>, Unanswered> {
        let (ivs, rate) = (&self.clients.ivs, &self.rate);
        let mut pages = Pages::new(ASK, |from: Option<String>| {
            let page = ivs.list_streams().max_results(PAGE).set_next_token(from);
            async move {
                rate.ready().await;
                let next = |token: Option<String>| token.filter(|token| !token.is_empty());
                page.send().await.map(|page| (page.streams, next(page.next_token)))
            }
        });
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            match pages.next().await.map_err(|error| refused("ListStreams", &error))? {
                Some(streams) => found.extend(streams.into_iter().filter_map(live)),
                None => return Ok(found),
            }
        }
        Ok(found)
    }

    async fn get(&self, live: &Live) -> Result<Option<IvsSession>, Unanswered> {
        let request = self.clients.ivs.get_stream_session();
        let request = request.channel_arn(&live.channel_arn).stream_id(&live.stream_id);
        let rate = &self.rate;
        let sent = persist(ASK, || {
            let request = request.clone();
            async move {
                rate.ready().await;
                request.send().await
            }
        });
        match sent.await {
            Ok(answer) => Ok(answer.stream_session.map(|told| session(live, told))),
            // The channel was deleted, or it is more than 60 days ago.
            Err(error) if code(&error) == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(refused("GetStreamSession", &error)),
        }
    }

    /// Reads the whole timeline and the summary of a session, consistently.
    async fn read(&self, stream_id: &str) -> Result<Known, Unanswered> {
        let mut known = Known::default();
        let select =
            Select { session_id: Some(stream_id), is_consistent: true, ..Select::sessions() };
        let each = |item: &Item| learn(item, &mut known);
        let read = select.each(&self.clients.dynamodb, &self.sessions, each).await;
        read.map_err(|error| Unanswered(format!("{error:#}")))?;
        Ok(known)
    }

    async fn send(&self, lost: &[LostFact]) -> Result<(), Unanswered> {
        let outgoing = |fact: &LostFact| Outgoing {
            partition_key: fact.partition_key().to_owned(),
            explicit_hash_key: None,
            data: fact.to_json(),
        };
        for call in lost.chunks(MAX_RECORDS) {
            let records: Vec<_> = call.iter().map(outgoing).collect();
            let put = put_records(&self.clients.kinesis, &self.stream, &records).await;
            put.map_err(|error| {
                let advice = "the worker needs kinesis:PutRecords on its own stream";
                Unanswered(format!("events that never came were not put: {error}; {advice}"))
            })?;
        }
        Ok(())
    }
}

impl Surroundings for Aws {
    fn live(&self) -> BoxFuture<'_, Result<Vec<Live>, Unanswered>> {
        self.list().boxed()
    }

    fn session<'a>(
        &'a self,
        live: &'a Live,
    ) -> BoxFuture<'a, Result<Option<IvsSession>, Unanswered>> {
        self.get(live).boxed()
    }

    fn known<'a>(&'a self, stream_id: &'a str) -> BoxFuture<'a, Result<Known, Unanswered>> {
        self.read(stream_id).boxed()
    }

    fn put<'a>(&'a self, lost: &'a [LostFact]) -> BoxFuture<'a, Result<(), Unanswered>> {
        self.send(lost).boxed()
    }
}

/// Says why IVS does not answer, and what to do about it.
fn refused<E>(operation: &str, error: &SdkError<E, Response>) -> Unanswered
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let advice = match code(error) {
        Some("AccessDeniedException") => format!(
            "; allow ivs:{operation} to the worker (CDK does with `-c reconcile=true`), or set \
             reconcile.enabled = false"
        ),
        _ => String::new(),
    };
    Unanswered(format!("IVS does not answer {operation}: {}{advice}", explain(error)))
}

fn live(summary: StreamSummary) -> Option<Live> {
    let (channel_arn, stream_id) = (summary.channel_arn?, summary.stream_id?);
    Some(Live { channel_arn, stream_id })
}

fn session(live: &Live, told: StreamSession) -> IvsSession {
    let Live { channel_arn, stream_id } = live.clone();
    let events = told.truncated_events.unwrap_or_default().into_iter().filter_map(|event| {
        Some(IvsEvent { name: event.name?, time: time(&event.event_time?)?, code: event.code })
    });
    // The first track stands for all.
    let first = told.ingest_configuration.map(|first| (first.video, first.audio));
    let tracks = told.ingest_configurations.map(|all| {
        let (video, audio) = (all.video_configurations, all.audio_configurations);
        (video.into_iter().next(), audio.into_iter().next())
    });
    let ingest = first.or(tracks).map(|(video, audio)| IngestConfiguration {
        video: video.as_ref().map(pictures).unwrap_or_default(),
        audio: audio.as_ref().map(sound).unwrap_or_default(),
    });
    IvsSession {
        stream_id,
        channel_arn,
        started: told.start_time.as_ref().and_then(time),
        ended: told.end_time.as_ref().and_then(time),
        events: events.collect(),
        ingest,
    }
}

fn pictures(told: &VideoConfiguration) -> IngestVideo {
    let kept = |text: &Option<String>| text.as_deref().and_then(IngestConfiguration::kept);
    let known = IngestConfiguration::known;
    IngestVideo {
        codec: kept(&told.codec),
        encoder: kept(&told.encoder),
        profile: kept(&told.avc_profile).or_else(|| kept(&told.profile)),
        level: kept(&told.avc_level).or_else(|| kept(&told.level)),
        width: known(told.video_width),
        height: known(told.video_height),
        frame_rate: known(told.target_framerate),
        bitrate_bps: known(told.target_bitrate),
    }
}

fn sound(told: &AudioConfiguration) -> IngestAudio {
    let known = IngestConfiguration::known;
    IngestAudio {
        codec: told.codec.as_deref().and_then(IngestConfiguration::kept),
        channels: known(told.channels),
        sample_rate_hz: known(told.sample_rate),
        bitrate_bps: known(told.target_bitrate),
    }
}

fn time(time: &DateTime) -> Option<EpochMs> {
    time.to_millis().ok().map(EpochMs)
}

/// Adds what an item of a session says: a fact that IVS told, or the encoder's settings of the summary.
fn learn(item: &Item, known: &mut Known) -> anyhow::Result<()> {
    let reader = Reader(item);
    if let Some((time, settings)) = summary::ingest(item)?.0 {
        known.add_ingest(time, settings);
    }
    // The application tells of its own starts and ends.
    if reader.text(attribute_names::SOURCE)? == attribute_names::SOURCE_IVS {
        let time = reader.number(sessions::EVENT_TIME_MS)?;
        known.add_fact(reader.text(sessions::EVENT_TYPE)?, EpochMs(time));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[test]
    fn a_missing_permission_is_named_with_its_remedy() {
        let said = |code: &str, status: u16| {
            let error = ErrorMetadata::builder().code(code).message("no").build();
            let answer = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
            refused("ListStreams", &SdkError::service_error(error, answer)).to_string()
        };
        let denied = said("AccessDeniedException", 403);
        for words in ["AccessDeniedException", "allow ivs:ListStreams", "reconcile.enabled = false"]
        {
            assert!(denied.contains(words), "{denied}");
        }
        let throttled = said("ThrottlingException", 429);
        assert_eq!(throttled, "IVS does not answer ListStreams: ThrottlingException: no");
    }

    #[test]
    fn of_several_tracks_the_first_stands_for_all() {
        let video = |height| VideoConfiguration::builder().video_height(height).build();
        let tracks = aws_sdk_ivs::types::IngestConfigurations::builder()
            .video_configurations(video(1_080))
            .video_configurations(video(360))
            .set_audio_configurations(Some(Vec::new()))
            .build()
            .unwrap();
        let told = StreamSession::builder().ingest_configurations(tracks).build();
        let live = Live { channel_arn: "a".to_owned(), stream_id: "s".to_owned() };
        let ingest = session(&live, told).ingest.unwrap();
        assert_eq!(ingest.video.height, IngestConfiguration::known(1_080));
        assert_eq!((ingest.video.width, ingest.audio), (None, IngestAudio::default()));
        assert_eq!(session(&live, StreamSession::builder().build()).ingest, None);
    }
}
