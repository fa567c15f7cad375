// SPDX-License-Identifier: GPL-2.0
//! Random operations on one file, each compared with a model of it in memory, as the well-known fsx does: reads,
//! writes, truncation, shared mappings, fsync, reopening. An error, or a byte that differs, ends it.

use crate::content::Mapping;
use crate::{writer, Outcome, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    file: PathBuf,
    /// End after so many operations; at SIGTERM or SIGINT anyway.
    #[arg(long)]
    ops: Option<u64>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The file's largest size.
    #[arg(long, default_value_t = 256 << 10)]
    max: usize,
}

struct Fsx {
    file: File,
    model: Vec<u8>,
    random: u64,
}

/// What ended a run before its time.
type Problem = Box<dyn std::error::Error>;

impl Fsx {
    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) as usize % limit.max(1)
    }

    fn open(args: &Args, new: bool) -> std::io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(new)
            .truncate(new)
            .open(&args.file)
    }

    /// A range within the largest size, at most 64 KiB long.
    fn range(&mut self, args: &Args) -> (usize, usize) {
        let from = self.below(args.max - 1);
        let len = 1 + self.below((args.max - from).min(64 << 10));
        (from, from + len)
    }

    /// New bytes for the model; those behind its end, too.
    fn change(&mut self, from: usize, to: usize) {
        if self.model.len() < to {
            self.model.resize(to, 0);
        }
        let with = self.random as u8;
        for (i, byte) in self.model[from..to].iter_mut().enumerate() {
            *byte = with.wrapping_add(i as u8);
        }
    }

    fn compare(&self, found: &[u8], from: usize) -> std::result::Result<(), Problem> {
        match found
            .iter()
            .zip(&self.model[from..])
            .position(|(a, b)| a != b)
        {
            Some(at) => Err(format!(
                "byte {} is {:#04x} instead of {:#04x}",
                from + at,
                found[at],
                self.model[from + at]
            )
            .into()),
            None => Ok(()),
        }
    }

    fn read(&mut self, from: usize, to: usize) -> std::result::Result<(), Problem> {
        let mut found = vec![0; to - from];
        let mut got = 0;
        while got < found.len() {
            match self.file.read_at(&mut found[got..], (from + got) as u64)? {
                0 => break,
                n => got += n,
            }
        }
        let wanted = self.model.len().clamp(from, to) - from;
        if got != wanted {
            return Err(format!("{got} bytes at {from} instead of {wanted}").into());
        }
        self.compare(&found[..got], from.min(self.model.len()))
    }

    /// One operation; its name.
    fn step(&mut self, args: &Args) -> std::result::Result<(), (String, Problem)> {
        let (from, to) = self.range(args);
        let what = self.below(100);
        let (name, done) = match what {
            0..=34 => {
                self.change(from, to);
                (
                    "write",
                    self.file
                        .write_all_at(&self.model[from..to], from as u64)
                        .map_err(Problem::from),
                )
            }
            35..=64 => ("read", self.read(from, to)),
            65..=79 if !self.model.is_empty() => {
                let (from, to) = (from.min(self.model.len() - 1), to.min(self.model.len()));
                ("map", self.map(from, to.max(from + 1), what % 2 == 0))
            }
            65..=87 => {
                self.model.resize(from, 0);
                (
                    "truncate",
                    self.file.set_len(from as u64).map_err(Problem::from),
                )
            }
            88..=95 => ("fsync", self.file.sync_all().map_err(Problem::from)),
            _ => (
                "reopen",
                Self::open(args, false)
                    .map(|file| self.file = file)
                    .map_err(Problem::from),
            ),
        };
        done.map_err(|problem| (format!("{name} {from}..{to}"), problem))
    }

    /// Through a shared mapping: bytes compared, or changed.
    fn map(&mut self, from: usize, to: usize, write: bool) -> std::result::Result<(), Problem> {
        let mut mapping = Mapping::new(&self.file, self.model.len())?;
        if write {
            self.change(from, to);
            mapping.bytes()[from..to].copy_from_slice(&self.model[from..to]);
            return Ok(());
        }
        self.compare(&mapping.bytes()[from..to], from)
    }
}

/// `fsx`: see the module.
pub fn run(args: &Args) -> Result<Outcome> {
    writer::catch_signals();
    let mut fsx = Fsx {
        file: Fsx::open(args, true)?,
        model: Vec::new(),
        random: args.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
    };
    let (mut ops, mut bad) = (0u64, None);
    while !writer::is_ended() && args.ops.is_none_or(|n| ops < n) && bad.is_none() {
        bad = fsx.step(args).err();
        ops += 1;
    }
    if bad.is_none() {
        bad = fsx
            .file
            .sync_all()
            .map_err(|e| ("last fsync".into(), e.into()))
            .err();
    }
    if bad.is_none() {
        bad = fsx
            .read(0, args.max)
            .map_err(|e| ("last read".into(), e))
            .err();
    }
    Ok(Outcome {
        good: bad.is_none(),
        summary: json!({
            "ops": ops,
            "size": fsx.model.len(),
            "sha256": format!("{:x}", Sha256::digest(&fsx.model)),
            "problem": bad.map(|(what, why)| format!("{what}: {why}")),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_file_system_passes_and_a_changed_byte_is_seen() {
        let path = std::env::temp_dir().join(format!("rsdfs-fsx-{}", std::process::id()));
        let args = Args {
            file: path.clone(),
            ops: Some(3000),
            seed: 7,
            max: 64 << 10,
        };
        let outcome = run(&args).unwrap();
        assert!(outcome.good, "{}", outcome.summary);
        let mut fsx = Fsx {
            file: Fsx::open(&args, true).unwrap(),
            model: Vec::new(),
            random: 5,
        };
        fsx.change(0, 100);
        fsx.file.write_all_at(&fsx.model, 0).unwrap();
        assert!(fsx.read(0, 200).is_ok());
        fsx.file.write_all_at(&[!fsx.model[50]], 50).unwrap();
        assert!(fsx.read(0, 200).is_err());
        fsx.file.set_len(99).unwrap();
        assert!(fsx.read(60, 200).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
