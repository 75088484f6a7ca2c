//! Where reports go: one object per channel and period, whoever makes it and however often.

use ivs_schemas::report::Report;
use object_store::path::PathPart;

use super::html::{self, Lang};
use crate::cloud::store_error::in_words;
use crate::cloud::store_url::StoreUrl;
use crate::printable;

/// The longest name of a folder: file systems allow 255 bytes, and an id of 256 bytes may triple
/// when it is encoded.
const MAX_FOLDER_BYTES: usize = 200;
/// So much of a longer id is kept, for people; a hash of all of it follows.
const KEPT_BYTES: usize = 160;

/// The format of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The tutorial's JSON, with additions
    #[default]
    Json,
    /// A page with charts
    Html,
}

impl Format {
    const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

/// Returns the object's name, such as `reports/ch-1/daily_2026-03-01.json`. The folder is the
/// channel, with everything percent-encoded that a path cannot hold, `/` too: each channel has one
/// folder.
#[must_use]
pub fn key(report: &Report, format: Format) -> String {
    let (kind, name) = (report.report_type.as_str(), &report.period.name);
    format!("reports/{}/{kind}_{name}.{}", folder(&report.channel_id), format.extension())
}

/// Returns a channel as the name of a folder.
fn folder(channel_id: &str) -> String {
    let encoded = PathPart::from(channel_id);
    let encoded = encoded.as_ref();
    if encoded.len() <= MAX_FOLDER_BYTES {
        return encoded.to_owned();
    }
    // It is ASCII now; an escape is not cut into.
    let kept = &encoded[..KEPT_BYTES];
    let cut = kept.rfind('%').filter(|at| at + 3 > KEPT_BYTES).unwrap_or(KEPT_BYTES);
    format!("{}-{:016x}", &kept[..cut], fnv_1a(channel_id.as_bytes()))
}

/// Returns FNV-1a of 64 bits: the same on every machine and in every release, as names must be.
fn fnv_1a(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Returns the report as text.
///
/// # Errors
/// When a figure has no JSON form, which takes a number that is not finite.
pub fn render(report: &Report, format: Format, lang: Lang) -> anyhow::Result<String> {
    Ok(match format {
        Format::Json => printable::json(report)?,
        Format::Html => html::page(report, lang),
    })
}

/// Writes a report below a URL, over an earlier one of the same period; returns its key.
///
/// # Errors
/// When the object cannot be written.
pub async fn store(
    url: &StoreUrl,
    report: &Report,
    format: Format,
    lang: Lang,
) -> anyhow::Result<String> {
    let key = key(report, format);
    let body = render(report, format, lang)?;
    let put = url.put(&key, body, format.content_type()).await;
    put.map_err(|error| anyhow::anyhow!("cannot write {key}: {}", in_words(&error)))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_one_folder_whatever_its_id_holds() {
        for (id, wanted) in [
            ("AbCd-1_2", "AbCd-1_2"),
            ("../../evil", "..%2F..%2Fevil"),
            ("..", "%2E%2E"),
            ("a\nb\u{1b}", "a%0Ab%1B"),
            ("チ", "%E3%83%81"),
        ] {
            assert_eq!(folder(id), wanted);
        }
    }

    #[test]
    fn long_ids_are_cut_and_stay_apart() {
        let names = ["x".repeat(256), format!("{}y", "x".repeat(255)), "チ".repeat(85)]
            .map(|id| folder(&id));
        for name in &names {
            assert!(name.len() <= MAX_FOLDER_BYTES, "{name}");
            assert_eq!(PathPart::parse(name).unwrap().as_ref(), name, "a valid part as it is");
        }
        assert_ne!(names[0], names[1]);
        assert!(names[2].contains("%E3%83-"), "whole escapes: {}", names[2]);
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8, "the published vector");
    }
}
