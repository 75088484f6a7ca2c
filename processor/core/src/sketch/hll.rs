//! The DataSketches HLL binary: list, set and HLL_4 images.
//!
//! Fields and codes are those of `HllSketch` in Apache DataSketches, serial version 1; a test reads
//! every image with that library's Rust port. Little-endian.

use super::SketchError;
use super::distinct::{Coupon, Hll, MAX_VALUE, State};
use super::wire::Reader;

const SERIAL_VERSION: u8 = 1;
const FAMILY_HLL: u8 = 7;
/// Only occupied entries are written.
const COMPACT: u8 = 8;
/// The registers were not filled in one run, so readers estimate from them alone.
const OUT_OF_ORDER: u8 = 16;
/// Mode byte: the current mode, and target type HLL_4 (0) in the next bits.
const MODE_LIST: u8 = 0;
const MODE_SET: u8 = 1;
const MODE_HLL: u8 = 2;
/// 32-bit words before the entries.
const LIST_WORDS: u8 = 2;
const SET_WORDS: u8 = 3;
const HLL_WORDS: u8 = 10;
/// A list has eight slots and becomes a set when the eighth fills.
const LG_LIST: u8 = 3;
const MAX_LIST: usize = 7;
/// The smallest set has 32 slots; each size is used up to three quarters.
const LG_SET_MIN: u8 = 5;
/// The nibble of a register that does not fit; its value follows as a coupon.
const EXCEPTION: u8 = 15;

impl<const LG: u8> Hll<LG> {
    /// Returns the DataSketches HLL binary (lgK `LG`, target type HLL_4); `None` of an empty set.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        (!self.is_empty()).then(|| encode(self))
    }

    /// Reads what [`Self::to_bytes`] wrote, without loss.
    ///
    /// # Errors
    /// If the bytes are anything else, including sketches of other writers: those need not be in
    /// canonical form, and rows must be.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let sketch = decode(bytes)?;
        if encode(&sketch) == bytes {
            Ok(sketch)
        } else {
            Err(SketchError::Invalid("canonical form"))
        }
    }
}

fn encode<const LG: u8>(sketch: &Hll<LG>) -> Vec<u8> {
    match &sketch.0 {
        State::Coupons(coupons) => encode_coupons(coupons, LG),
        State::Registers(registers) => encode_registers(registers, LG),
    }
}

fn encode_coupons(coupons: &[Coupon], lg: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(12 + 4 * coupons.len());
    match u8::try_from(coupons.len()) {
        Ok(count) if coupons.len() <= MAX_LIST => {
            let head = [LIST_WORDS, SERIAL_VERSION, FAMILY_HLL, lg];
            bytes.extend(head);
            bytes.extend([LG_LIST, COMPACT, count, MODE_LIST]);
        }
        _ => {
            let slots = (coupons.len() * 4).div_ceil(3).next_power_of_two();
            let lg_slots = slots.ilog2().to_le_bytes()[0].max(LG_SET_MIN);
            bytes.extend([SET_WORDS, SERIAL_VERSION, FAMILY_HLL, lg]);
            bytes.extend([lg_slots, COMPACT, 0, MODE_SET]);
            put_count(&mut bytes, coupons.len());
        }
    }
    bytes.extend(coupons.iter().flat_map(|coupon| coupon.0.to_le_bytes()));
    bytes
}

fn encode_registers(registers: &[u8], lg: u8) -> Vec<u8> {
    let floor = registers.iter().copied().min().unwrap_or(0);
    let at_floor = registers.iter().filter(|&&value| value == floor).count();
    let nibble = |value: u8| (value - floor).min(EXCEPTION);
    let exceptions: Vec<Coupon> = (0..)
        .zip(registers)
        .filter(|&(_, &value)| nibble(value) == EXCEPTION)
        .map(|(slot, &value)| Coupon::of_register(slot, value))
        .collect();

    let mut bytes = Vec::with_capacity(40 + registers.len() / 2 + 4 * exceptions.len());
    bytes.extend([HLL_WORDS, SERIAL_VERSION, FAMILY_HLL, lg]);
    bytes.extend([0, COMPACT | OUT_OF_ORDER, floor, MODE_HLL]);
    // The sums of 2^-value that readers estimate from, split at 32. Each fits 46 bits: exact.
    let [near, far] = [0..32, 32..MAX_VALUE + 1].map(|values| {
        let part = registers.iter().filter(|&value| values.contains(value));
        part.map(|&value| 0.5_f64.powi(i32::from(value))).sum::<f64>()
    });
    let unused_history = 0.0_f64;
    bytes.extend([unused_history, near, far].iter().flat_map(|sum| sum.to_le_bytes()));
    put_count(&mut bytes, at_floor);
    put_count(&mut bytes, exceptions.len());
    let pairs = registers.as_chunks::<2>().0;
    bytes.extend(pairs.iter().map(|&[even, odd]| nibble(even) | nibble(odd) << 4));
    bytes.extend(exceptions.iter().flat_map(|coupon| coupon.0.to_le_bytes()));
    bytes
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("counts are at most the number of registers");
    bytes.extend(count.to_le_bytes());
}

/// Reads an image. The caller checks canonical form by encoding again; here only what could make
/// that fail or allocate without bound is checked.
fn decode<const LG: u8>(bytes: &[u8]) -> Result<Hll<LG>, SketchError> {
    let mut reader = Reader::new(bytes);
    let [_, version, family, lg_registers, _, _, count_or_floor, mode] = reader.take()?;
    if version != SERIAL_VERSION {
        return Err(SketchError::Unsupported("serial version"));
    }
    if family != FAMILY_HLL {
        return Err(SketchError::Unsupported("family"));
    }
    if lg_registers != LG {
        return Err(SketchError::Unsupported("lgK"));
    }
    let state = match mode {
        MODE_LIST => decode_coupons::<LG>(&mut reader, usize::from(count_or_floor))?,
        MODE_SET => {
            let count = reader.count()?;
            decode_coupons::<LG>(&mut reader, count)?
        }
        MODE_HLL => decode_registers::<LG>(&mut reader, count_or_floor)?,
        _ => return Err(SketchError::Unsupported("mode")),
    };
    reader.end()?;
    Ok(Hll(state))
}

fn decode_coupons<const LG: u8>(
    reader: &mut Reader<'_>,
    count: usize,
) -> Result<State, SketchError> {
    if count == 0 || count > Hll::<LG>::MAX_COUPONS {
        return Err(SketchError::Invalid("coupon count"));
    }
    let coupons = (0..count).map(|_| reader.u32().map(Coupon)).collect::<Result<Vec<_>, _>>()?;
    if coupons.iter().any(|coupon| coupon.value() == 0) {
        return Err(SketchError::Invalid("coupon"));
    }
    if !coupons.is_sorted_by(|a, b| a < b) {
        return Err(SketchError::Invalid("coupon order"));
    }
    Ok(State::Coupons(coupons))
}

fn decode_registers<const LG: u8>(
    reader: &mut Reader<'_>,
    floor: u8,
) -> Result<State, SketchError> {
    let derived_bytes = 3 * size_of::<f64>() + size_of::<u32>();
    reader.slice(derived_bytes)?;
    let exceptions = reader.count()?;
    if floor > MAX_VALUE || exceptions > Hll::<LG>::REGISTERS {
        return Err(SketchError::Invalid("register floor or exceptions"));
    }
    let nibbles = reader.slice(Hll::<LG>::REGISTERS / 2)?;
    let mut registers: Vec<u8> = nibbles
        .iter()
        .flat_map(|pair| [pair & 15, pair >> 4])
        .map(|n| (floor + n).min(MAX_VALUE))
        .collect();
    for _ in 0..exceptions {
        let coupon = Coupon(reader.u32()?);
        let register = &mut registers[coupon.register(Hll::<LG>::REGISTERS)];
        *register = coupon.value().max(*register);
    }
    Ok(State::Registers(registers))
}
