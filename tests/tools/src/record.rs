// SPDX-License-Identifier: GPL-2.0
//! The writer's record, and the check that a file holds every record once, in order, none missing.
//!
//! A record is 512 bytes: magic, sequence number, time, the run's id, filler made from the sequence number, CRC-32.

use crate::{Outcome, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Bytes of one record.
pub const SIZE: usize = 512;
const MAGIC: &[u8; 8] = b"RSDFSREC";
const CRC_AT: usize = SIZE - 4;

/// The bytes of a record.
pub fn encode(seq: u64, nanos: u64, run: u64) -> [u8; SIZE] {
    let mut bytes = [0u8; SIZE];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&seq.to_le_bytes());
    bytes[16..24].copy_from_slice(&nanos.to_le_bytes());
    bytes[24..32].copy_from_slice(&run.to_le_bytes());
    let mut state = seq ^ 0x9e37_79b9_7f4a_7c15;
    for chunk in bytes[32..CRC_AT].chunks_mut(8) {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        let word = state.to_le_bytes();
        let n = chunk.len();
        chunk.copy_from_slice(&word[..n]);
    }
    let crc = crc32fast::hash(&bytes[..CRC_AT]);
    bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What a record says of itself: sequence number and run, or why it is none.
pub fn decode(bytes: &[u8]) -> std::result::Result<(u64, u64), &'static str> {
    if bytes.len() != SIZE {
        return Err("short");
    }
    if bytes.iter().all(|b| *b == 0) {
        return Err("zeroes");
    }
    if &bytes[..8] != MAGIC {
        return Err("no magic");
    }
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let crc = u32::from_le_bytes(bytes[CRC_AT..].try_into().expect("four bytes"));
    if crc32fast::hash(&bytes[..CRC_AT]) != crc {
        return Err("bad checksum");
    }
    Ok((word(8), word(24)))
}

/// The running check over a stream of records.
#[derive(Default)]
pub struct Verifier {
    pub records: u64,
    run: Option<u64>,
    next: u64,
    pub missing: u64,
    pub duplicates: u64,
    pub damaged: u64,
    pub foreign: u64,
    /// The first few problems in words.
    pub problems: Vec<String>,
}

impl Verifier {
    /// Take the next slot of the file.
    pub fn take(&mut self, bytes: &[u8]) {
        let slot = self.records;
        self.records += 1;
        match decode(bytes) {
            Err(why) => {
                self.damaged += 1;
                self.next += 1;
                self.note(format!("slot {slot}: {why}"));
            }
            Ok((seq, run)) => {
                if *self.run.get_or_insert(run) != run {
                    self.foreign += 1;
                    self.note(format!("slot {slot}: of another run"));
                }
                match seq.cmp(&self.next) {
                    Ordering::Less => {
                        self.duplicates += 1;
                        self.note(format!("slot {slot}: {seq} again"));
                    }
                    Ordering::Equal => self.next = seq + 1,
                    Ordering::Greater => {
                        self.missing += seq - self.next;
                        self.note(format!("slot {slot}: found {seq}, expected {}", self.next));
                        self.next = seq + 1;
                    }
                }
            }
        }
    }

    fn note(&mut self, text: String) {
        if self.problems.len() < 10 {
            self.problems.push(text);
        }
    }

    /// Nothing missing, doubled or damaged.
    pub fn is_clean(&self) -> bool {
        self.missing + self.duplicates + self.damaged + self.foreign == 0
    }
}

/// `verify`: check a whole file.
pub fn verify_file(path: &Path, expected: Option<u64>) -> Result<Outcome> {
    let mut input = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut verifier = Verifier::default();
    let mut hash = Sha256::new();
    let mut slot = Vec::with_capacity(SIZE);
    loop {
        slot.clear();
        if input.by_ref().take(SIZE as u64).read_to_end(&mut slot)? == 0 {
            break;
        }
        hash.update(&slot);
        verifier.take(&slot);
    }
    let complete = expected.is_none_or(|n| n == verifier.records);
    Ok(Outcome {
        good: verifier.is_clean() && verifier.records > 0 && complete,
        summary: json!({
            "records": verifier.records,
            "missing": verifier.missing,
            "duplicates": verifier.duplicates,
            "damaged": verifier.damaged,
            "foreign": verifier.foreign,
            "complete": complete,
            "problems": verifier.problems,
            "sha256": format!("{:x}", hash.finalize()),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(records: &[[u8; SIZE]]) -> Verifier {
        let mut verifier = Verifier::default();
        for record in records {
            verifier.take(record);
        }
        verifier
    }

    fn run_of(sequence: &[u64]) -> Vec<[u8; SIZE]> {
        sequence.iter().map(|seq| encode(*seq, 5, 7)).collect()
    }

    #[test]
    fn a_record_says_what_it_was_made_of() {
        assert_eq!(decode(&encode(3, 4, 5)), Ok((3, 5)));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let good = encode(9, 1, 2);
        for at in 0..SIZE {
            let mut bad = good;
            bad[at] ^= 0x10;
            assert!(decode(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_hole_is_told_from_garbage() {
        assert_eq!(decode(&[0; SIZE]), Err("zeroes"));
        assert_eq!(decode(&[1; SIZE]), Err("no magic"));
        assert_eq!(decode(&[1; 10]), Err("short"));
    }

    #[test]
    fn a_run_in_order_is_clean() {
        assert!(verified(&run_of(&[0, 1, 2, 3])).is_clean());
    }

    #[test]
    fn a_gap_counts_what_is_missing() {
        let verifier = verified(&run_of(&[0, 1, 4]));
        assert_eq!((verifier.missing, verifier.duplicates), (2, 0));
    }

    #[test]
    fn a_record_applied_twice_is_a_duplicate() {
        let verifier = verified(&run_of(&[0, 1, 1, 2]));
        assert_eq!((verifier.missing, verifier.duplicates), (0, 1));
    }

    #[test]
    fn a_damaged_slot_does_not_shift_the_rest() {
        let mut records = run_of(&[0, 1, 2]);
        records[1][100] ^= 1;
        let verifier = verified(&records);
        assert_eq!(
            (verifier.damaged, verifier.missing, verifier.duplicates),
            (1, 0, 0)
        );
    }

    #[test]
    fn another_runs_record_is_foreign() {
        let verifier = verified(&[encode(0, 1, 7), encode(1, 1, 8)]);
        assert_eq!(verifier.foreign, 1);
    }
}
