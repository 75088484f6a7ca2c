//! Building aggregates, for producers and tests.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

use super::MAGIC;

/// Aggregates user records of (partition key, explicit hash key, data), as the KPL does: each
/// distinct key is stored once.
#[must_use]
pub fn aggregate(records: &[(&str, Option<u128>, &[u8])]) -> Vec<u8> {
    let (mut keys, mut explicit) = (Table::default(), Table::default());
    let mut entries = Vec::new();
    for (key, hash_key, data) in records {
        let mut entry = Vec::new();
        put_index(&mut entry, 1, keys.index(key));
        if let Some(hash_key) = hash_key {
            put_index(&mut entry, 2, explicit.index(&hash_key.to_string()));
        }
        put_bytes(&mut entry, 3, data);
        put_bytes(&mut entries, 3, &entry);
    }
    let mut out = MAGIC.to_vec();
    keys.put(&mut out, 1);
    explicit.put(&mut out, 2);
    out.extend(entries);
    let digest = Md5::digest(&out[MAGIC.len()..]);
    out.extend_from_slice(&digest);
    out
}

/// Distinct strings, numbered in order of appearance.
#[derive(Default)]
struct Table {
    list: Vec<String>,
    indices: BTreeMap<String, u64>,
}

impl Table {
    fn index(&mut self, text: &str) -> u64 {
        if let Some(index) = self.indices.get(text) {
            return *index;
        }
        let index = self.list.len() as u64;
        self.list.push(text.to_owned());
        self.indices.insert(text.to_owned(), index);
        index
    }

    fn put(&self, out: &mut Vec<u8>, field: u8) {
        for text in &self.list {
            put_bytes(out, field, text.as_bytes());
        }
    }
}

fn put_index(out: &mut Vec<u8>, field: u8, index: u64) {
    out.push(field << 3);
    put_varint(out, index);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push((field << 3) | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
