//! The dimensions that rows are broken down by, and the values that each may have.

use std::hash::BuildHasher as _;
use std::sync::{Arc, LazyLock};

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

/// The value that stands for all that are not listed.
pub const OTHER: &str = "other";
/// The longest value, in bytes; a longer one is [`OTHER`].
pub const MAX_VALUE_BYTES: usize = 32;

/// The ways to tell viewers apart. The order is that of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// `device`: kind of device.
    Device,
    /// `os`: operating system.
    Os,
    /// `country`: country code of ISO 3166-1.
    Country,
    /// `playerVersion`.
    PlayerVersion,
    /// `cdn`: who delivered the stream.
    Cdn,
    /// `rendition` (`resolution` in a record).
    Rendition,
}

impl Dimension {
    /// How many there are.
    pub const COUNT: usize = 6;
    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Device, Self::Os, Self::Country, Self::PlayerVersion, Self::Cdn, Self::Rendition];

    /// Returns its name in rows and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Os => "os",
            Self::Country => "country",
            Self::PlayerVersion => "playerVersion",
            Self::Cdn => "cdn",
            Self::Rendition => "rendition",
        }
    }

    /// Returns the dimension of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == name)
    }
}

/// The values of each dimension that are counted apart, by any letter case. All others are counted
/// together, as [`OTHER`]. A dimension without values is not counted at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AllowLists {
    /// Kinds of device.
    pub device: Vec<String>,
    /// Operating systems.
    pub os: Vec<String>,
    /// Country codes.
    pub country: Vec<String>,
    /// Versions of the player.
    pub player_version: Vec<String>,
    /// Who delivers.
    pub cdn: Vec<String>,
    /// Renditions.
    pub rendition: Vec<String>,
}

impl Default for AllowLists {
    /// Returns what players of most services send. A part of the logic's version: an epoch that names no
    /// lists was made by these.
    fn default() -> Self {
        let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        Self {
            device: list(&[
                "android",
                "apple-tv",
                "console",
                "desktop",
                "fire-tv",
                "ios",
                "mobile",
                "roku",
                "tablet",
                "tv",
                "web-chrome",
                "web-edge",
                "web-firefox",
                "web-safari",
            ]),
            os: list(&[
                "android", "chromeos", "fire os", "ios", "linux", "macos", "roku", "tizen", "tvos",
                "webos", "windows",
            ]),
            country: list(&[
                "AR", "AU", "BR", "CA", "DE", "ES", "FR", "GB", "ID", "IN", "IT", "JP", "KR", "MX",
                "PL", "TH", "TR", "TW", "US",
            ]),
            // Versions are every service's own.
            player_version: Vec::new(),
            cdn: list(&["akamai", "cloudflare", "cloudfront", "fastly", "ivs"]),
            rendition: list(&[
                "1080p",
                "1080p60",
                "160p",
                "360p",
                "480p",
                "720p",
                "720p60",
                "audio_only",
            ]),
        }
    }
}

impl AllowLists {
    /// Returns the values of a dimension.
    #[must_use]
    pub fn values(&self, dimension: Dimension) -> &[String] {
        match dimension {
            Dimension::Device => &self.device,
            Dimension::Os => &self.os,
            Dimension::Country => &self.country,
            Dimension::PlayerVersion => &self.player_version,
            Dimension::Cdn => &self.cdn,
            Dimension::Rendition => &self.rendition,
        }
    }
}

/// [`AllowLists`] made ready to be asked for every record.
#[derive(Debug)]
pub struct Dimensions {
    lists: AllowLists,
    /// The place of a value is its slot.
    values: Vec<(Dimension, Arc<str>)>,
    /// Slots, hashed by dimension and value in small letters.
    slots: HashTable<u16>,
    /// Keyed anew for each table; no result depends on it.
    hasher: DefaultHashBuilder,
    /// The slot of [`OTHER`] in each dimension that is counted.
    others: [Option<u16>; Dimension::COUNT],
}

/// Values in small letters, so many bytes of which count.
type Lowered = ([u8; MAX_VALUE_BYTES], usize);

static DEFAULT: LazyLock<Arc<Dimensions>> =
    LazyLock::new(|| Arc::new(Dimensions::new(AllowLists::default())));

impl Dimensions {
    /// Returns the dimensions of these lists. What is too long or listed before is left out.
    #[must_use]
    pub fn new(lists: AllowLists) -> Self {
        let mut values: Vec<(Dimension, Arc<str>)> = Vec::new();
        for dimension in Dimension::ALL {
            let listed = lists.values(dimension);
            let is_own =
                |value: &&str| !value.eq_ignore_ascii_case(OTHER) && lowered(value).is_some();
            let mut own: Vec<&str> = listed.iter().map(String::as_str).filter(is_own).collect();
            own.sort_by_key(|value| value.to_ascii_lowercase());
            own.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
            if !own.is_empty() {
                own.push(OTHER);
            }
            values.extend(own.into_iter().map(|value| (dimension, Arc::from(value))));
        }
        values.truncate(usize::from(u16::MAX));
        let hasher = DefaultHashBuilder::default();
        let hash_of = |slot: &u16| {
            let (dimension, value) = &values[usize::from(*slot)];
            lowered(value).map_or(0, |lowered| hash(&hasher, *dimension, &lowered))
        };
        let (mut slots, mut others) = (HashTable::new(), [None; Dimension::COUNT]);
        for (slot, (dimension, value)) in (0_u16..).zip(&values) {
            slots.insert_unique(hash_of(&slot), slot, hash_of);
            if &**value == OTHER {
                others[*dimension as usize] = Some(slot);
            }
        }
        Self { lists, values, slots, hasher, others }
    }

    /// Returns the dimensions of the default lists, shared.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }

    /// Returns the lists behind them.
    #[must_use]
    pub fn lists(&self) -> &AllowLists {
        &self.lists
    }

    /// Returns the slot in which a value is counted; `None` where its dimension is not.
    #[inline]
    #[must_use]
    pub fn slot(&self, dimension: Dimension, value: &str) -> Option<u16> {
        let other = self.others[dimension as usize]?;
        let Some(wanted) = lowered(value) else { return Some(other) };
        let found = self.slots.find(hash(&self.hasher, dimension, &wanted), |slot| {
            let (of, known) = &self.values[usize::from(*slot)];
            *of == dimension && known.eq_ignore_ascii_case(value)
        });
        Some(found.copied().unwrap_or(other))
    }

    /// Returns what is counted in a slot.
    #[must_use]
    pub fn value(&self, slot: u16) -> Option<&(Dimension, Arc<str>)> {
        self.values.get(usize::from(slot))
    }
}

fn hash(hasher: &DefaultHashBuilder, dimension: Dimension, (bytes, length): &Lowered) -> u64 {
    hasher.hash_one((dimension, &bytes[..*length]))
}

/// Returns a value in small letters; `None` if it is too long.
#[inline]
fn lowered(value: &str) -> Option<Lowered> {
    let mut bytes = [0; MAX_VALUE_BYTES];
    bytes.get_mut(..value.len())?.copy_from_slice(value.as_bytes());
    bytes.make_ascii_lowercase();
    Some((bytes, value.len()))
}
