// SPDX-License-Identifier: GPL-2.0
//! `rsdfs-test`: the programs that the VM cases, the demo and the bench run on a mount.

mod clock;
mod content;
mod crowd;
mod errno;
mod files;
mod fsx;
mod locked;
mod locks;
mod mountctx;
mod names;
mod overwrite;
mod record;
mod speed;
mod tcp;
mod writer;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What a command comes to: its summary for standard output and whether all was well.
pub struct Outcome {
    pub summary: serde_json::Value,
    pub good: bool,
}

/// Any failure of a test program itself.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(about, version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write numbered, checksummed records with fsync; report every error and stall.
    Writer(writer::Args),
    /// Overwrite the same blocks until a signal; report the hash the file has to have.
    Overwrite(overwrite::Args),
    /// Compare such a file with the last round of each thread.
    Overwritten {
        #[arg(long)]
        file: PathBuf,
        /// As `overwrite` has printed it.
        #[arg(long)]
        last: String,
    },
    /// Check a writer's file: every record once, in order, none missing.
    Verify {
        #[arg(long)]
        file: PathBuf,
        /// Fail unless exactly so many records are there.
        #[arg(long)]
        records: Option<u64>,
    },
    /// Write pseudo-random content.
    Fill(content::Args),
    /// Many threads that ask for the attributes of one file at the same time.
    Crowd(crowd::Args),
    /// Compare a file with the content `fill` writes.
    Check(content::Args),
    /// SHA-256 of a file.
    Hash { file: PathBuf },
    /// Write through a shared mapping, read back through read().
    Mmap {
        #[arg(long)]
        file: PathBuf,
        #[arg(long, default_value_t = 4)]
        mb: u64,
    },
    /// Random operations on a file, compared with a model of it.
    Fsx(fsx::Args),
    /// One system call; prints the errno's name (or OK) and the milliseconds it took.
    Errno {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Lock, unlock, read and write as told on standard input.
    Lock,
    /// Many processes lock counters, count, and look whether anybody else is there.
    Locktorture(locks::Args),
    /// Time create, stat, readdir, rename, unlink of many files.
    Files(files::Args),
    /// Random operations on names and locks, each of which must take effect once.
    Names(names::Args),
    /// Random reads.
    Randread(speed::RandomArgs),
    /// Sequential read.
    Seqread(speed::SequentialArgs),
    /// Sequential write, fsync included.
    Seqwrite(speed::SequentialArgs),
    /// Raw TCP throughput, the ceiling of every other figure.
    #[command(subcommand)]
    Tcp(tcp::Command),
    /// Mount through fsopen() and print what the file system logged.
    Mountctx(mountctx::Args),
}

fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::Writer(args) => writer::run(&args),
        Command::Overwrite(args) => overwrite::run(&args),
        Command::Overwritten { file, last } => overwrite::check(&file, &last),
        Command::Verify { file, records } => record::verify_file(&file, records),
        Command::Fill(args) => content::fill(&args),
        Command::Crowd(args) => crowd::run(&args),
        Command::Check(args) => content::check(&args),
        Command::Hash { file } => content::hash(&file),
        Command::Mmap { file, mb } => content::mmap(&file, mb),
        Command::Fsx(args) => fsx::run(&args),
        Command::Errno { words } => errno::run(&words),
        Command::Lock => locks::talk(),
        Command::Locktorture(args) => locks::torture(&args),
        Command::Files(args) => files::run(&args),
        Command::Names(args) => names::run(&args),
        Command::Randread(args) => speed::random_read(&args),
        Command::Seqread(args) => speed::sequential_read(&args),
        Command::Seqwrite(args) => speed::sequential_write(&args),
        Command::Tcp(command) => tcp::run(&command),
        Command::Mountctx(args) => mountctx::run(&args),
    }
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(outcome) => {
            match outcome.summary {
                serde_json::Value::String(text) => println!("{text}"),
                other => println!("{other}"),
            }
            if outcome.good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(problem) => {
            eprintln!("rsdfs-test: {problem}");
            ExitCode::from(2)
        }
    }
}
