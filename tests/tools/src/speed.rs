// SPDX-License-Identifier: GPL-2.0
//! Sequential and random throughput.

use crate::{clock, content::Stream, Outcome, Result};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Instant;

const MIB: usize = 1 << 20;

#[derive(clap::Args)]
pub struct SequentialArgs {
    #[arg(long)]
    file: PathBuf,
    #[arg(long, default_value_t = 64)]
    mb: u64,
    /// Drop the kernel's caches first.
    #[arg(long)]
    cold: bool,
}

#[derive(clap::Args)]
pub struct RandomArgs {
    #[arg(long)]
    file: PathBuf,
    /// Bytes of one read.
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// Readers at a time.
    #[arg(long, default_value_t = 1)]
    depth: u32,
    #[arg(long, default_value_t = 5.0)]
    secs: f64,
    /// Past the page cache.
    #[arg(long)]
    direct: bool,
    #[arg(long)]
    cold: bool,
}

/// Drop page cache, dentries and inodes.
pub fn drop_caches() -> Result<()> {
    // SAFETY: sync() has no arguments.
    unsafe { libc::sync() };
    std::fs::write("/proc/sys/vm/drop_caches", "3")?;
    Ok(())
}

fn rate(mb: f64, start: Instant) -> serde_json::Value {
    let seconds = start.elapsed().as_secs_f64();
    json!({"mb": mb, "ms": clock::ms(start.elapsed()), "mb_per_s": (mb / seconds * 100.0).round() / 100.0})
}

/// `seqread`: 1 MiB at a time.
pub fn sequential_read(args: &SequentialArgs) -> Result<Outcome> {
    if args.cold {
        drop_caches()?;
    }
    let mut block = vec![0; MIB];
    let (start, mut total) = (Instant::now(), 0usize);
    let mut file = File::open(&args.file)?;
    while total < args.mb as usize * MIB {
        match file.read(&mut block)? {
            0 => break,
            n => total += n,
        }
    }
    Ok(Outcome {
        good: total == args.mb as usize * MIB,
        summary: rate(total as f64 / MIB as f64, start),
    })
}

/// `seqwrite`: 1 MiB at a time, until fsync and close returned.
pub fn sequential_write(args: &SequentialArgs) -> Result<Outcome> {
    let mut block = vec![0; MIB];
    Stream::new(7).next_block(&mut block);
    if args.cold {
        drop_caches()?;
    }
    let start = Instant::now();
    let mut file = File::create(&args.file)?;
    for _ in 0..args.mb {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    drop(file);
    Ok(Outcome {
        good: true,
        summary: rate(args.mb as f64, start),
    })
}

/// Memory as O_DIRECT wants it.
#[repr(align(4096))]
struct Aligned([u8; MIB]);

fn read_randomly(args: &RandomArgs, seed: u64) -> std::io::Result<u64> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(if args.direct { libc::O_DIRECT } else { 0 })
        .open(&args.file)?;
    let slots = (file.metadata()?.len() / args.size as u64).max(1);
    let mut block = Box::new(Aligned([0; MIB]));
    let mut state = seed;
    let (start, mut reads) = (Instant::now(), 0);
    while start.elapsed().as_secs_f64() < args.secs {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.read_exact_at(&mut block.0[..args.size], state % slots * args.size as u64)?;
        reads += 1;
    }
    Ok(reads)
}

/// `randread`: reads at random places for some seconds.
pub fn random_read(args: &RandomArgs) -> Result<Outcome> {
    if args.size == 0 || args.size > MIB {
        return Err("--size must be 1 to 1048576".into());
    }
    if args.cold {
        drop_caches()?;
    }
    let start = Instant::now();
    let results: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..args.depth)
            .map(|i| {
                scope.spawn(move || {
                    read_randomly(args, 0x1234_5678_9abc_def1 ^ (u64::from(i) << 32))
                })
            })
            .collect();
        readers
            .into_iter()
            .map(|reader| reader.join().expect("a reader panicked"))
            .collect()
    });
    let mut reads = 0;
    for result in results {
        reads += result?;
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Outcome {
        good: reads > 0,
        summary: json!({"reads": reads, "iops": (reads as f64 / seconds * 10.0).round() / 10.0}),
    })
}
