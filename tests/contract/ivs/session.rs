//! One stream, live or over, as IVS tells it.

use aws_sdk_ivs::primitives::{DateTime, DateTimeFormat};
use aws_sdk_ivs::types::StreamSession;

use super::super::answers::{Failed, Wanted as _, said};
use super::super::{Case, Found, World};
use super::{OVER, SILENT, channel, stream};

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "GetStreamSession",
        name: "a stream that is over is told with its start and its end",
        expected: "its own id, 2026-03-01T12:00:07Z, 2026-03-01T13:00:00Z",
        rule: "API_GetStreamSession, streamId: \"a live or previously live stream\"; API_StreamSession",
        run: |world| Box::pin(over(world)),
    },
    Case {
        calls: "GetStreamSession",
        name: "a stream that is live is told with its start and without an end",
        expected: "its own id, 2026-03-01T12:00:07Z, none",
        rule: "API_StreamSession, endTime: \"For live streams, this is NULL\"",
        run: |world| Box::pin(live(world)),
    },
    Case {
        calls: "GetStreamSession",
        name: "a stream is told with its encoder's settings",
        expected: "avc1.4D401F by obs, 1280 x 720; mp4a.40.2, 2 at 48000",
        rule: "API_IngestConfiguration: video and audio; API_VideoConfiguration, API_AudioConfiguration",
        run: |world| Box::pin(encoder(world)),
    },
    Case {
        calls: "GetStreamSession",
        name: "up to 500 events of a stream are told, the most recent first",
        expected: "500 newest first: Event 500 to Event 1, IVS Stream State Change",
        rule: "API_StreamSession, truncatedEvents: \"sorted by most recent events and contains up to 500 events\"",
        run: |world| Box::pin(events(world)),
    },
    Case {
        calls: "GetStreamSession",
        name: "a stream that is not there, or not of this channel, is not found",
        expected: "ResourceNotFoundException, ResourceNotFoundException, ResourceNotFoundException",
        rule: "API_GetStreamSession: streamId \"in the specified channel\"; ResourceNotFoundException",
        run: |world| Box::pin(absent(world)),
    },
    Case {
        calls: "GetStreamSession",
        name: "a channel that never had a stream has none to tell of",
        expected: "ResourceNotFoundException",
        rule: "API_GetStreamSession: \"the most recent stream session for the channel, if it exists\"; \
               ResourceNotFoundException",
        run: |world| Box::pin(silent(world)),
    },
    Case {
        calls: "GetStreamSession",
        name: "a channel is named by its ARN of up to 128 characters",
        expected: "ValidationException, ValidationException, ValidationException, ValidationException, \
                   ValidationException",
        rule: "API_GetStreamSession, channelArn: required, 1 to 128, \
               \"arn:aws:ivs:[a-z0-9-]+:[0-9]+:channel/[a-zA-Z0-9-]+\"",
        run: |world| Box::pin(wrong_channels(world)),
    },
    Case {
        calls: "GetStreamSession",
        name: "a stream's id has 26 characters",
        expected: "ValidationException, ValidationException",
        rule: "API_GetStreamSession, streamId: \"Fixed length of 26\", \"st-[a-zA-Z0-9]+\"",
        run: |world| Box::pin(wrong_streams(world)),
    },
];

async fn session(world: &World, number: u32) -> Result<StreamSession, Failed> {
    let get = world.ivs.get_stream_session().channel_arn(channel(number));
    get.stream_id(stream(number)).send().await?.stream_session.wanted("session")
}

/// Returns the id and the times of a channel's stream.
async fn times(world: &World, number: u32) -> Found {
    let told = session(world, number).await?;
    let id = told.stream_id.as_deref().wanted("id")?;
    let id = if id == stream(number) { "its own id" } else { id };
    let shown = |time: Option<&DateTime>| match time {
        Some(time) => time.fmt(DateTimeFormat::DateTime).unwrap_or_default(),
        None => "none".to_owned(),
    };
    Ok(format!("{id}, {}, {}", shown(told.start_time()), shown(told.end_time())))
}

async fn over(world: &World) -> Found {
    times(world, OVER).await
}

async fn live(world: &World) -> Found {
    times(world, 0).await
}

async fn encoder(world: &World) -> Found {
    let told = session(world, OVER).await?.ingest_configuration.wanted("encoder")?;
    let (video, audio) = (told.video.wanted("video")?, told.audio.wanted("audio")?);
    let (codec, encoder) = (video.codec.wanted("codec")?, video.encoder.wanted("encoder")?);
    let (width, height) = (video.video_width, video.video_height);
    let (sound, channels) = (audio.codec.wanted("codec of audio")?, audio.channels);
    let rate_hz = audio.sample_rate;
    Ok(format!("{codec} by {encoder}, {width} x {height}; {sound}, {channels} at {rate_hz}"))
}

async fn events(world: &World) -> Found {
    let events = session(world, OVER).await?.truncated_events.wanted("events")?;
    let is_sorted = events.is_sorted_by(|one, next| one.event_time >= next.event_time);
    let order = if is_sorted { "newest first" } else { "unsorted" };
    let (first, last) = (events.first().wanted("event")?, events.last().wanted("event")?);
    let name = |name: Option<&str>| name.map(str::to_owned).wanted("name");
    let (newest, oldest, kind) = (name(first.name())?, name(last.name())?, name(first.r#type())?);
    Ok(format!("{} {order}: {newest} to {oldest}, {kind}", events.len()))
}

async fn absent(world: &World) -> Found {
    let mut codes = vec![];
    for (of, number) in [(0, SILENT), (0, 1), (OVER, 0)] {
        let get = world.ivs.get_stream_session().channel_arn(channel(of));
        codes.push(said(&get.stream_id(stream(number)).send().await));
    }
    Ok(codes.join(", "))
}

async fn silent(world: &World) -> Found {
    let get = world.ivs.get_stream_session().channel_arn(channel(SILENT));
    Ok(said(&get.send().await))
}

async fn wrong_channels(world: &World) -> Found {
    let right = channel(0);
    let arns = [
        None,
        Some(String::new()),
        Some("c0".to_owned()),
        Some(right.replace("channel/", "stage/")),
        Some(format!("{right}{}", "c".repeat(128))),
    ];
    let mut codes = vec![];
    for arn in arns {
        let get = world.ivs.get_stream_session().set_channel_arn(arn);
        codes.push(said(&get.stream_id(stream(0)).send().await));
    }
    Ok(codes.join(", "))
}

async fn wrong_streams(world: &World) -> Found {
    let mut codes = vec![];
    for id in ["st-0".to_owned(), stream(0).replace('-', "_")] {
        let get = world.ivs.get_stream_session().channel_arn(channel(0));
        codes.push(said(&get.stream_id(id).send().await));
    }
    Ok(codes.join(", "))
}
