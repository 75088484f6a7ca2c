//! How fast a shard may be written and read.

/// Records and bytes a second into a shard; GetRecords and GetShardIterator calls a second and
/// bytes a second out of it.
const WRITE_RECORDS: u32 = 1_000;
const WRITE_BYTES: usize = 1 << 20;
const READS: u32 = 5;
const ITERATORS: u32 = 5;
const READ_BYTES: u64 = 2 << 20;

/// The traffic of a shard in the current second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    write_second: u64,
    records: u32,
    bytes: usize,
    read_second: u64,
    reads: u32,
    iterator_second: u64,
    iterators: u32,
    /// When the bytes read so far would have flowed out at the permitted rate.
    read_until_ms: u64,
}

impl Pace {
    /// Returns whether a record of `bytes` is admitted; if so it is counted.
    pub(super) fn write(&mut self, now_ms: u64, bytes: usize) -> bool {
        let second = now_ms / 1_000;
        if self.write_second != second {
            (self.write_second, self.records, self.bytes) = (second, 0, 0);
        }
        // The first record of a second is admitted whatever its size: records may exceed 1 MiB.
        let fits = self.records < WRITE_RECORDS
            && (self.records == 0 || self.bytes + bytes <= WRITE_BYTES);
        if fits {
            self.records += 1;
            self.bytes += bytes;
        }
        fits
    }

    /// Returns whether a read is admitted; if so it is counted. A read of many bytes holds up the
    /// next ones until they would have flowed out, a second apart: 10 MiB bar reading for 4 s more.
    pub(super) fn read(&mut self, now_ms: u64) -> bool {
        let second = now_ms / 1_000;
        if self.read_second != second {
            (self.read_second, self.reads) = (second, 0);
        }
        let fits = self.reads < READS && self.read_until_ms <= now_ms + 1_000;
        if fits {
            self.reads += 1;
        }
        fits
    }

    /// Returns whether a GetShardIterator is admitted; if so it is counted.
    pub(super) fn read_iterator(&mut self, now_ms: u64) -> bool {
        let second = now_ms / 1_000;
        if self.iterator_second != second {
            (self.iterator_second, self.iterators) = (second, 0);
        }
        self.iterators += 1;
        self.iterators <= ITERATORS
    }

    /// Counts the bytes that a read gave.
    pub(super) fn gave(&mut self, now_ms: u64, bytes: usize) {
        self.read_until_ms = self.read_until_ms.max(now_ms) + drain_ms(bytes);
    }
}

/// Returns how long bytes take to flow out of a shard at the permitted rate.
pub(super) fn drain_ms(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1_000) / READ_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_takes_a_thousand_records_or_a_mebibyte() {
        let mut pace = Pace::default();
        assert_eq!((0..1_500).filter(|_| pace.write(5_000, 1)).count(), 1_000);
        assert!(pace.write(6_000, 900_000));
        assert!(!pace.write(6_500, 200_000));
        assert!(pace.write(6_500, 100_000));
    }

    #[test]
    fn a_second_takes_five_reads_and_a_large_one_delays_the_next() {
        let mut pace = Pace::default();
        assert_eq!((0..9).filter(|_| pace.read(5_000)).count(), 5);
        assert!(pace.read(6_000));
        pace.gave(6_000, 10 << 20);
        assert!(!pace.read(9_999));
        assert!(pace.read(10_000));
    }
}
