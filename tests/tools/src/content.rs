// SPDX-License-Identifier: GPL-2.0
//! Pseudo-random content written, compared and hashed in a stream; shared mappings.

use crate::{clock, Outcome, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    file: PathBuf,
    #[arg(long)]
    mb: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A line to standard error for every MiB done.
    #[arg(long)]
    progress: bool,
    /// Wait so long after every MiB, so that a cut falls in the middle.
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
}

/// A stream of MiB blocks that depends on the seed only.
pub struct Stream(u64);

impl Stream {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next_block(&mut self, block: &mut [u8]) {
        for chunk in block.chunks_exact_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes());
        }
    }
}

struct Pace<'a> {
    args: &'a Args,
    start: Instant,
    longest: Duration,
}

impl<'a> Pace<'a> {
    fn new(args: &'a Args) -> Self {
        Self {
            args,
            start: Instant::now(),
            longest: Duration::ZERO,
        }
    }

    fn done(&mut self, mb: u64, began: Instant) {
        self.longest = self.longest.max(began.elapsed());
        if self.args.progress {
            eprintln!(
                "{:8.3} mb={} of {}",
                self.start.elapsed().as_secs_f64(),
                mb + 1,
                self.args.mb
            );
        }
        if self.args.pause_ms > 0 {
            std::thread::sleep(Duration::from_millis(self.args.pause_ms));
        }
    }

    fn summary(&self, sha256: String) -> serde_json::Value {
        json!({
            "mb": self.args.mb,
            "ms": clock::ms(self.start.elapsed()),
            "longest_ms": clock::ms(self.longest),
            "sha256": sha256,
        })
    }
}

/// `fill`: write the content, fsync, close.
pub fn fill(args: &Args) -> Result<Outcome> {
    let mut file = File::create(&args.file)?;
    let (mut stream, mut hash, mut block) = (Stream::new(args.seed), Sha256::new(), vec![0; MIB]);
    let mut pace = Pace::new(args);
    for mb in 0..args.mb {
        stream.next_block(&mut block);
        hash.update(&block);
        let began = Instant::now();
        file.write_all(&block)?;
        pace.done(mb, began);
    }
    let began = Instant::now();
    file.sync_all()?;
    pace.longest = pace.longest.max(began.elapsed());
    Ok(Outcome {
        good: true,
        summary: pace.summary(format!("{:x}", hash.finalize())),
    })
}

/// `check`: compare a file with the content.
pub fn check(args: &Args) -> Result<Outcome> {
    let mut file = File::open(&args.file)?;
    let (mut stream, mut hash) = (Stream::new(args.seed), Sha256::new());
    let (mut block, mut found) = (vec![0; MIB], vec![0; MIB]);
    let mut pace = Pace::new(args);
    for mb in 0..args.mb {
        stream.next_block(&mut block);
        let began = Instant::now();
        file.read_exact(&mut found)?;
        hash.update(&found);
        if let Some(at) = block.iter().zip(&found).position(|(a, b)| a != b) {
            let at = mb as usize * MIB + at;
            return Ok(Outcome {
                good: false,
                summary: json!({"differs_at": at, "ms": clock::ms(pace.start.elapsed())}),
            });
        }
        pace.done(mb, began);
    }
    let good = file.read(&mut found)? == 0;
    let mut summary = pace.summary(format!("{:x}", hash.finalize()));
    summary["longer_than_expected"] = json!(!good);
    Ok(Outcome { good, summary })
}

/// `hash`: SHA-256 in hexadecimal.
pub fn hash(path: &Path) -> Result<Outcome> {
    let mut file = File::open(path)?;
    let (mut hash, mut block) = (Sha256::new(), vec![0; MIB]);
    loop {
        let n = file.read(&mut block)?;
        if n == 0 {
            break;
        }
        hash.update(&block[..n]);
    }
    Ok(Outcome {
        good: true,
        summary: json!(format!("{:x}", hash.finalize())),
    })
}

/// A file mapped shared, for reading and writing.
pub struct Mapping {
    at: *mut libc::c_void,
    len: usize,
}

impl Mapping {
    /// The first `len` bytes of a file, which must be that long.
    pub fn new(file: &File, len: usize) -> std::io::Result<Self> {
        // SAFETY: a new mapping that replaces none.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self { at, len })
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is `len` bytes, readable and writable, and only used through here; the programs that map
        // a file do not shorten it meanwhile.
        unsafe { std::slice::from_raw_parts_mut(self.at.cast(), self.len) }
    }

    fn sync(&self) -> std::io::Result<()> {
        // SAFETY: the mapping is there, and `len` bytes.
        match unsafe { libc::msync(self.at, self.len, libc::MS_SYNC) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is there, and nobody has a reference into it any more.
        unsafe { libc::munmap(self.at, self.len) };
    }
}

/// `mmap`: write through a shared mapping, msync, read back through read().
pub fn mmap(path: &Path, mb: u64) -> Result<Outcome> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    let len = mb as usize * MIB;
    file.set_len(len as u64)?;
    let mut mapping = Mapping::new(&file, len)?;
    let (mut stream, mut hash) = (Stream::new(42), Sha256::new());
    for block in mapping.bytes().chunks_mut(MIB) {
        stream.next_block(block);
        hash.update(&*block);
    }
    mapping.sync()?;
    drop(mapping);
    let expected = format!("{:x}", hash.finalize());
    let found = self::hash(path)?.summary;
    Ok(Outcome {
        good: found == json!(expected),
        summary: json!({"mb": mb, "sha256": expected, "read_back": found}),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_depends_on_the_seed_only() {
        let block = |seed| {
            let mut block = vec![0; 64];
            Stream::new(seed).next_block(&mut block);
            block
        };
        assert_eq!(block(3), block(3));
        assert_ne!(block(3), block(4));
    }

    #[test]
    fn fill_then_check_agree_and_a_change_is_seen() {
        let path = std::env::temp_dir().join(format!("rsdfs-content-{}", std::process::id()));
        let args = Args {
            file: path.clone(),
            mb: 2,
            seed: 5,
            progress: false,
            pause_ms: 0,
        };
        let written = fill(&args).unwrap().summary["sha256"].clone();
        let checked = check(&args).unwrap();
        assert!(checked.good);
        assert_eq!(checked.summary["sha256"], written);
        std::os::unix::fs::FileExt::write_at(
            &OpenOptions::new().write(true).open(&path).unwrap(),
            &[0],
            1_500_000,
        )
        .unwrap();
        assert!(!check(&args).unwrap().good);
        std::fs::remove_file(path).unwrap();
    }
}
