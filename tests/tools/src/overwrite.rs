// SPDX-License-Identifier: GPL-2.0
//! Overwrites the same blocks again and again, each time with a higher number, from several threads: a write that
//! reaches the file later than one that was made after it shows.

use crate::{writer, Outcome, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const BLOCK: usize = 4096;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    file: PathBuf,
    /// Each of them writes blocks of its own.
    #[arg(long, default_value_t = 4)]
    threads: u64,
    /// For each thread.
    #[arg(long, default_value_t = 4)]
    blocks: u64,
}

/// What a block holds after `round` writes.
fn block(index: u64, round: u64) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    for word in bytes.chunks_mut(16) {
        word[..8].copy_from_slice(&round.to_le_bytes());
        word[8..].copy_from_slice(&index.to_le_bytes());
    }
    bytes
}

/// Writes its blocks until a signal comes; how often, or why not.
fn work(file: &File, blocks: std::ops::Range<u64>) -> std::io::Result<u64> {
    let mut round = 0;
    while !writer::is_ended() {
        round += 1;
        for index in blocks.clone() {
            file.write_all_at(&block(index, round), index * BLOCK as u64)?;
        }
    }
    Ok(round)
}

/// `overwrite`: until SIGTERM or SIGINT; prints how many rounds there were and the hash that the file has to have.
pub fn run(args: &Args) -> Result<Outcome> {
    writer::catch_signals();
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .custom_flags(libc::O_DSYNC)
        .open(&args.file)?;
    let rounds: Vec<_> = std::thread::scope(|scope| {
        let file = &file;
        let threads: Vec<_> = (0..args.threads)
            .map(|thread| {
                let first = thread * args.blocks;
                scope.spawn(move || work(file, first..first + args.blocks))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread of ours"))
            .collect()
    });
    let mut hash = Sha256::new();
    let (mut total, mut errors, mut last) = (0, 0, Vec::new());
    for (thread, round) in rounds.into_iter().enumerate() {
        let round = round.unwrap_or_else(|_| {
            errors += 1;
            0
        });
        total += round;
        last.push(round.to_string());
        let first = thread as u64 * args.blocks;
        for index in first..first + args.blocks {
            hash.update(block(index, round));
        }
    }
    let sha256 = format!("{:x}", hash.finalize());
    Ok(Outcome {
        good: errors == 0 && total > 0,
        summary: json!({"rounds": total, "errors": errors, "sha256": sha256, "last": last.join("-")}),
    })
}

/// `overwritten`: what of a file with the last round of each thread is what was written last, what is older, and what
/// was never written. Good if nothing is of the latter kind.
pub fn check(file: &Path, last: &str) -> Result<Outcome> {
    let last: Vec<u64> = last
        .split('-')
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    let bytes = std::fs::read(file)?;
    let blocks = (bytes.len() / BLOCK / last.len().max(1)).max(1);
    let (mut newest, mut older, mut foreign) = (0, 0, 0);
    for (index, found) in bytes.chunks(BLOCK).enumerate() {
        let round = u64::from_le_bytes(found[..8].try_into()?);
        let expected = last.get(index / blocks).copied().unwrap_or(0);
        match found == block(index as u64, round) {
            true if round == expected => newest += 1,
            true if (1..expected).contains(&round) => older += 1,
            _ => foreign += 1,
        }
    }
    Ok(Outcome {
        good: foreign == 0 && newest > 0,
        summary: json!({"newest": newest, "older": older, "foreign": foreign}),
    })
}
