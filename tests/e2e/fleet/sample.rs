//! The sample in slices that can be sent one after the other.

use std::collections::HashMap;
use std::io::{BufRead as _, Write};
use std::path::{Path, PathBuf};

use crate::golden::SAMPLE;

/// Writes the first `share` per cent of the sample as `slices` files and returns their paths and
/// the number of lines.
///
/// No event id occurs in two slices. The filter of duplicates is the shard's own, so a repeat
/// whose original went to a shard that was split meanwhile would count, and how far apart slices
/// arrive depends on the machine: neither may decide what this test expects.
pub(crate) fn write(dir: &Path, share: usize, slices: usize) -> (Vec<PathBuf>, usize) {
    let lines = read();
    let cuts = clean_cuts(&lines);
    let wanted = lines.len() * share / 100;
    let cut_near = |target: usize| {
        let at = cuts.partition_point(|cut| *cut < target);
        cuts[at.min(cuts.len() - 1)]
    };
    let ends: Vec<usize> = (1..=slices).map(|n| cut_near(wanted * n / slices)).collect();
    let mut from = 0;
    let mut paths = vec![];
    for (number, end) in ends.iter().enumerate() {
        let path = dir.join(format!("slice-{number}.ndjson"));
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        for line in &lines[from..*end] {
            file.write_all(line).unwrap();
            file.write_all(b"\n").unwrap();
        }
        file.flush().unwrap();
        paths.push(path);
        from = *end;
    }
    (paths, from)
}

fn read() -> Vec<Vec<u8>> {
    let mut all = vec![];
    for path in SAMPLE {
        let text = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
        all.extend(std::io::BufReader::new(text).split(b'\n').map(Result::unwrap));
    }
    all
}

/// Returns every place between two lines that no event id spans; the end is one.
fn clean_cuts(lines: &[Vec<u8>]) -> Vec<usize> {
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    // Event ids that span a place, as changes from place to place.
    let mut change = vec![0_i32; lines.len() + 2];
    for (at, line) in lines.iter().enumerate() {
        let Some(id) = event_id(line) else { continue };
        if let Some(before) = seen.insert(id, at) {
            change[before + 1] += 1;
            change[at + 1] -= 1;
        }
    }
    let mut spans = 0;
    let places = (0..=lines.len()).filter(|at| {
        spans += change[*at];
        spans == 0
    });
    places.collect()
}

fn event_id(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = br#""eventId":""#;
    let start = line.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let length = line[start..].iter().position(|byte| *byte == b'"')?;
    Some(&line[start..start + length])
}
