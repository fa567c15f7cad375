// SPDX-License-Identifier: GPL-2.0
//! `crowd`: many threads, each of which asks the server for the attributes of one file, at the same time.

use crate::{clock, errno, Outcome, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    file: PathBuf,
    #[arg(long, default_value_t = 1000)]
    count: usize,
}

/// When a thread's question was answered, and how often it slept meanwhile.
struct Answer {
    at: Instant,
    sleeps: u64,
    result: io::Result<()>,
}

/// Asks past all that is cached.
fn ask(path: &CString) -> io::Result<()> {
    let mut about = std::mem::MaybeUninit::<libc::statx>::uninit();
    // SAFETY: The path ends with a zero, and there is room for the answer.
    let done = unsafe {
        libc::statx(
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_STATX_FORCE_SYNC,
            libc::STATX_BASIC_STATS,
            about.as_mut_ptr(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How often this thread went to sleep so far.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

fn one(path: &Path) -> Result<Answer> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let before = sleeps();
    let result = ask(&path);
    let at = Instant::now();
    Ok(Answer {
        at,
        sleeps: sleeps() - before,
        result,
    })
}

/// `crowd`: see the module.
pub fn run(args: &Args) -> Result<Outcome> {
    let start = Instant::now();
    let threads: Vec<_> = (0..args.count)
        .map(|_| {
            let path = args.file.clone();
            let small = std::thread::Builder::new().stack_size(64 << 10);
            small.spawn(move || one(&path).map_err(|problem| problem.to_string()))
        })
        .collect::<io::Result<_>>()?;
    let mut answers = Vec::new();
    for thread in threads {
        answers.push(thread.join().expect("a thread panicked")?);
    }
    let mut errors = BTreeMap::<String, u32>::new();
    for error in answers
        .iter()
        .filter_map(|answer| answer.result.as_ref().err())
    {
        *errors.entry(errno::name_of(error)).or_default() += 1;
    }
    let first = answers
        .iter()
        .map(|answer| answer.at)
        .min()
        .unwrap_or(start);
    let last = answers
        .iter()
        .map(|answer| answer.at)
        .max()
        .unwrap_or(start);
    Ok(Outcome {
        good: errors.is_empty(),
        summary: json!({
            "answered": answers.len(),
            "errors": errors,
            "first_ms": clock::ms(first - start),
            "spread_ms": clock::ms(last - first),
            "most_sleeps": answers.iter().map(|answer| answer.sleeps).max(),
            "all_sleeps": answers.iter().map(|answer| answer.sleeps).sum::<u64>(),
        }),
    })
}
