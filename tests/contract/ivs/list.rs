//! The list of live streams and its pages.

use std::collections::BTreeMap;

use aws_sdk_ivs::operation::list_streams::ListStreamsOutput;
use aws_sdk_ivs::primitives::DateTimeFormat;
use aws_sdk_ivs::types::{StreamState, StreamSummary};

use super::super::answers::{Failed, Wanted as _, said};
use super::super::{Case, Found, World};
use super::{LIVE, OVER, channel, stream};

/// Pages that a case reads at most.
const PAGES_MAX: usize = 50;

pub(super) const CASES: &[Case] = &[
    Case {
        calls: "ListStreams",
        name: "live streams are listed, one that is over is not",
        expected: "102 live, 0 over",
        rule: "API_ListStreams: \"summary information about live streams in your account\"",
        run: |world| Box::pin(live(world)),
    },
    Case {
        calls: "ListStreams",
        name: "a stream is listed with its channel, id and start",
        expected: "LIVE of its channel since 2026-03-01T12:00:07Z",
        rule: "API_StreamSummary: channelArn, streamId, state, startTime",
        run: |world| Box::pin(summary(world)),
    },
    Case {
        calls: "ListStreams",
        name: "pages of streams are no larger than asked for, and give each stream once",
        expected: "3 pages, 0 too large; 102 streams, 0 twice",
        rule: "API_ListStreams: maxResults; nextToken \"to get the next set\"",
        run: |world| Box::pin(pages(world)),
    },
    Case {
        calls: "ListStreams",
        name: "a page has 100 streams unless asked otherwise",
        expected: "100 and a token",
        rule: "API_ListStreams, maxResults: \"Default: 100\"",
        run: |world| Box::pin(default_page(world)),
    },
    Case {
        calls: "ListStreams",
        name: "a page has 1 to 100 streams",
        expected: "ValidationException, taken, taken, ValidationException",
        rule: "API_ListStreams, maxResults: minimum value of 1, maximum value of 100",
        run: |world| Box::pin(bounds(world)),
    },
    Case {
        calls: "ListStreams",
        name: "a token of streams has up to 1,024 characters of its alphabet",
        expected: "ValidationException, ValidationException",
        rule: "API_ListStreams, nextToken: maximum length of 1024, \"[a-zA-Z0-9+/=_-]*\"",
        run: |world| Box::pin(wrong_tokens(world)),
    },
];

/// Reads the list to its end.
async fn all(world: &World, page_max: i32) -> Result<Vec<ListStreamsOutput>, Failed> {
    let mut pages = vec![];
    let mut token = None;
    while pages.len() < PAGES_MAX {
        let list = world.ivs.list_streams().max_results(page_max).set_next_token(token);
        let page = list.send().await?;
        token = page.next_token.clone().filter(|token| !token.is_empty());
        pages.push(page);
        if token.is_none() {
            return Ok(pages);
        }
    }
    None.wanted("end")
}

async fn live(world: &World) -> Found {
    let pages = all(world, 100).await?;
    let streams: Vec<_> = pages.iter().flat_map(ListStreamsOutput::streams).collect();
    let live = streams.iter().filter(|one| one.state == Some(StreamState::StreamLive)).count();
    let is_over = |one: &&&StreamSummary| one.stream_id == Some(stream(OVER));
    Ok(format!("{live} live, {} over", streams.iter().filter(is_over).count()))
}

async fn summary(world: &World) -> Found {
    let pages = all(world, 100).await?;
    let number = LIVE - 1;
    let mut streams = pages.iter().flat_map(ListStreamsOutput::streams);
    let found = streams.find(|one| one.stream_id == Some(stream(number))).wanted("stream")?;
    let state = found.state.as_ref().wanted("state")?.as_str();
    let arn = found.channel_arn.as_deref().wanted("channel")?;
    let of = if arn == channel(number) { "its channel" } else { arn };
    let start = found.start_time.wanted("start")?.fmt(DateTimeFormat::DateTime);
    Ok(format!("{state} of {of} since {}", start.unwrap_or_default()))
}

async fn pages(world: &World) -> Found {
    const PAGE_MAX: i32 = 50;
    let pages = all(world, PAGE_MAX).await?;
    let is_too_large = |page: &&ListStreamsOutput| page.streams.len() > PAGE_MAX as usize;
    let too_large = pages.iter().filter(is_too_large).count();
    let mut times = BTreeMap::<_, u32>::new();
    for summary in pages.iter().flat_map(ListStreamsOutput::streams) {
        *times.entry(summary.stream_id()).or_default() += 1;
    }
    let twice = times.values().filter(|times| **times > 1).count();
    let (pages, streams) = (pages.len(), times.len());
    Ok(format!("{pages} pages, {too_large} too large; {streams} streams, {twice} twice"))
}

async fn default_page(world: &World) -> Found {
    let page = world.ivs.list_streams().send().await?;
    let token = if page.next_token.is_some() { "a token" } else { "no token" };
    Ok(format!("{} and {token}", page.streams.len()))
}

async fn bounds(world: &World) -> Found {
    let mut codes = vec![];
    for page_max in [0, 1, 100, 101] {
        codes.push(said(&world.ivs.list_streams().max_results(page_max).send().await));
    }
    Ok(codes.join(", "))
}

async fn wrong_tokens(world: &World) -> Found {
    let mut codes = vec![];
    for token in ["?".to_owned(), "1".repeat(1_025)] {
        codes.push(said(&world.ivs.list_streams().next_token(token).send().await));
    }
    Ok(codes.join(", "))
}
