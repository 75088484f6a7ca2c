//! The parts that threads share out among them: objects, and stretches of large plain files.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use super::object::Object;

/// A file is cut into stretches no shorter than this, which takes longer to read than what threads
/// read twice around a cut.
const MIN_STRETCH_BYTES: u64 = 16 << 20;
/// Where no line ends within this of the place for a cut, there is none.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// An object, or a stretch of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its index among the objects.
    pub(crate) object: usize,
    /// The bytes of a stretch: whole lines, or the end of the file.
    pub(crate) span: Option<Range<u64>>,
}

/// Returns all objects in their order, plain files cut so that `threads` threads have work.
pub(crate) fn of(objects: &[Object], threads: usize) -> Vec<Part> {
    let total: u64 = objects.iter().map(|object| object.size_bytes).sum();
    let share = (total / threads.max(1) as u64).max(MIN_STRETCH_BYTES);
    let stretches = |(index, object): (usize, &Object)| {
        let count = object.size_bytes / share;
        let file = if count > 1 { object.plain_file() } else { None };
        // A file that cannot be read is reported by who reads it.
        let cuts = file.and_then(|mut file| cuts(&mut file, object.size_bytes, count).ok());
        let part = move |span| Part { object: index, span };
        match cuts {
            Some(cuts) if !cuts.is_empty() => {
                let starts = std::iter::once(0).chain(cuts.clone());
                let ends = cuts.into_iter().chain([object.size_bytes]);
                starts.zip(ends).map(|(start, end)| part(Some(start..end))).collect()
            }
            _ => vec![part(None)],
        }
    };
    objects.iter().enumerate().flat_map(stretches).collect()
}

/// Returns the line ends next after the places that cut a file into `count` stretches, each with an
/// object behind it: other lines may be the middle of a text of several.
fn cuts(file: &mut File, size_bytes: u64, count: u64) -> io::Result<Vec<u64>> {
    let mut cuts = Vec::new();
    let mut text = Vec::new();
    for place in (1..count).map(|nth| size_bytes / count * nth) {
        file.seek(SeekFrom::Start(place))?;
        text.clear();
        file.take(MAX_LINE_BYTES).read_to_end(&mut text)?;
        if let Some(end) = memchr::memmem::find(&text, b"\n{") {
            cuts.push(place + end as u64 + 1);
        }
    }
    cuts.dedup();
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_is_cut_where_lines_end_before_an_object() {
        let mut file = tempfile::tempfile().unwrap();
        let lines: Vec<String> = (0..100).map(|n| format!("{{{}\n", " \n".repeat(n))).collect();
        let text = lines.concat();
        file.write_all(text.as_bytes()).unwrap();
        for count in 1..20 {
            let cuts = cuts(&mut file, text.len() as u64, count).unwrap();
            assert!(cuts.len() as u64 == count - 1 && cuts.is_sorted(), "{cuts:?}");
            for cut in cuts {
                let cut = usize::try_from(cut).unwrap();
                assert_eq!(&text.as_bytes()[cut - 1..=cut], b"\n{");
            }
        }
    }

    #[test]
    fn a_file_without_lines_is_not_cut() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; 5 << 20]).unwrap();
        assert!(cuts(&mut file, 5 << 20, 3).unwrap().is_empty());
    }
}
