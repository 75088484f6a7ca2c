//! The checks of the fuzz targets on their seeds, on all that is left of a seed when it is cut
//! anywhere, and on seeds with one byte changed: without a nightly compiler, in every test run.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod checks;

use std::path::{Path, PathBuf};

use ivs_core::archive::parse_line;
use ivs_core::decode::{Context, DecodeLimits, Decoder};
use ivs_core::sketch::{Distinct, Quantiles};
use ivs_processor::config::{Layers, load};
use ivs_processor::items::{metric, summary};
use kinesis_model::EpochMs;
use kinesis_model::kpl::{Aggregate, deaggregate};

/// Bytes that a changed one becomes: ends, quotes, signs, and all bits.
const CHANGES: [u8; 8] = [0, b'"', b'\\', b'}', b'9', b'-', 0x80, 0xff];

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

/// Returns the seeds of a target.
fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target))
}

/// Checks every seed of a target; `is_good` says whether one gets past the first look.
fn check(target: &str, check: impl Fn(&[u8]), is_good: impl Fn(&[u8]) -> bool) {
    let seeds = seeds(target);
    let good = seeds.iter().filter(|(_, seed)| is_good(seed)).count();
    assert!(good * 2 > seeds.len(), "{good} of {} seeds are good ones", seeds.len());
    for (path, seed) in &seeds {
        println!("{}", path.display());
        check(seed);
        for at in 0..seed.len() {
            check(&seed[..at]);
            check(&seed[at..]);
            let mut changed = seed.clone();
            for byte in CHANGES {
                changed[at] = byte;
                check(&changed);
            }
        }
    }
}

#[test]
fn records_are_decoded_or_rejected() {
    let limits = DecodeLimits { max_ahead_ms: i64::MAX, ..DecodeLimits::default() };
    let is_good = |seed: &[u8]| {
        let mut decoder = Decoder::new(limits);
        let read = decoder.read(seed, &Context::from(EpochMs(0)), |_, decoded| match decoded {
            Ok(_) => Ok(()),
            Err(rejection) => Err(rejection.clone()),
        });
        read.is_ok()
    };
    check("decode", checks::decode, is_good);
}

#[test]
fn aggregates_are_taken_apart_or_refused() {
    let is_good = |seed: &[u8]| matches!(deaggregate(&seed.to_vec().into()), Aggregate::Records(_));
    check("kpl", checks::kpl, is_good);
}

#[test]
fn lines_of_an_archive_are_read_or_refused() {
    let is_good = |seed: &[u8]| checks::lines(seed).all(|line| parse_line(line).is_ok());
    check("segment", checks::segment, is_good);
}

#[test]
fn stored_sketches_are_read_or_refused() {
    let is_good =
        |seed: &[u8]| Distinct::from_bytes(seed).is_ok() || Quantiles::from_bytes(seed).is_ok();
    check("sketch", checks::sketch, is_good);
}

#[test]
fn records_are_framed_or_refused_whole_and_once() {
    let is_good = |seed: &[u8]| {
        let mut decoder = Decoder::new(DecodeLimits::default());
        let arrival = Context::from(EpochMs(1_772_366_400_000));
        let mut events = 0;
        let read = decoder.read(seed, &arrival, |_, decoded| {
            events += usize::from(decoded.is_ok());
            Ok::<(), std::convert::Infallible>(())
        });
        read.is_ok() && events > 0
    };
    check("framing", checks::framing::framing, is_good);
}

#[test]
fn reports_of_cmcd_are_read_or_refused() {
    check("cmcd", checks::cmcd::cmcd, |seed| !checks::cmcd::views(seed).is_empty());
}

#[test]
fn stored_items_are_read_or_refused() {
    let is_good = |seed: &[u8]| {
        checks::rows::item(seed)
            .is_some_and(|item| metric::decode(&item).is_ok() || summary::decode(&item).is_ok())
    };
    check("rows", checks::rows::rows, is_good);
}

#[test]
fn a_configuration_is_read_or_refused() {
    let is_good = |seed: &[u8]| {
        let base = std::str::from_utf8(seed).unwrap().parse().unwrap();
        load(&Layers { base, ..Layers::default() }).is_ok()
    };
    check("configuration", checks::configuration::configuration, is_good);
}
