// SPDX-License-Identifier: GPL-2.0
//! The verifying writer: one record every interval, pwrite and fsync, each timed.
//!
//! A record that fails is counted and written again (through a new descriptor, in case the old one is dead), so that
//! the number of errors and the completeness of the file are separate findings.

use crate::{clock, errno, record, Outcome, Result};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    file: PathBuf,
    /// From the start of one record to the start of the next.
    #[arg(long, default_value_t = 20)]
    interval_ms: u64,
    /// End after so many seconds.
    #[arg(long, conflicts_with = "until_signal")]
    seconds: Option<f64>,
    /// End at SIGTERM or SIGINT (either ends a timed run as well).
    #[arg(long)]
    until_signal: bool,
    /// End after so many records.
    #[arg(long)]
    records: Option<u64>,
    /// Append through O_APPEND: a write applied twice shows.
    #[arg(long)]
    append: bool,
    /// No fsync after each record, one at the end.
    #[arg(long)]
    no_fsync: bool,
    /// What is called a stall.
    #[arg(long, default_value_t = 100)]
    stall_ms: u64,
    /// Also write the live lines and the summary here.
    #[arg(long)]
    log: Option<PathBuf>,
}

static ENDED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    ENDED.store(true, Ordering::Relaxed);
}

/// Lets SIGTERM and SIGINT end what asks [`is_ended`].
pub fn catch_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: an all-zero sigaction is valid, and the handler only stores to an atomic.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// Whether a signal came.
pub fn is_ended() -> bool {
    ENDED.load(Ordering::Relaxed)
}

/// Where the live lines go.
struct Journal {
    start: Instant,
    log: Option<File>,
}

impl Journal {
    fn say(&mut self, text: &str) {
        let line = format!(
            "{:8.3} boot={:.3} {text}\n",
            self.start.elapsed().as_secs_f64(),
            clock::since_boot().as_secs_f64()
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
        self.write_log(&line);
    }

    fn write_log(&mut self, line: &str) {
        if let Some(log) = &mut self.log {
            let _ = log.write_all(line.as_bytes());
        }
    }
}

struct Target<'a> {
    args: &'a Args,
    file: Option<File>,
}

impl Target<'_> {
    fn put(&mut self, seq: u64, bytes: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(
                OpenOptions::new()
                    .create(true)
                    .truncate(seq == 0)
                    .write(true)
                    .custom_flags(if self.args.append { libc::O_APPEND } else { 0 })
                    .open(&self.args.file)?,
            ),
        };
        if self.args.append {
            file.write_all(bytes)?;
        } else {
            file.write_all_at(bytes, seq * record::SIZE as u64)?;
        }
        if self.args.no_fsync {
            return Ok(());
        }
        file.sync_all()
    }
}

/// `writer`: see the module.
pub fn run(args: &Args) -> Result<Outcome> {
    catch_signals();
    let log = args.log.as_ref().map(File::create).transpose()?;
    let mut journal = Journal {
        start: Instant::now(),
        log,
    };
    let start = journal.start;
    let id = clock::since_boot().as_nanos() as u64 ^ (u64::from(std::process::id()) << 40);
    let mut target = Target { args, file: None };
    let (mut seq, mut errors, mut stalls, mut longest) =
        (0u64, Vec::new(), Vec::new(), Duration::ZERO);
    let mut total = Duration::ZERO;
    let mut complete = true;
    journal.say("start");
    'records: loop {
        let over = args
            .seconds
            .is_some_and(|s| start.elapsed().as_secs_f64() >= s)
            || args.records.is_some_and(|n| seq >= n);
        if over || is_ended() {
            break;
        }
        let bytes = record::encode(seq, clock::since_boot().as_nanos() as u64, id);
        let began = Instant::now();
        while let Err(problem) = target.put(seq, &bytes) {
            let name = errno::name_of(&problem);
            journal.say(&format!(
                "error {name} record={seq} after_ms={}",
                began.elapsed().as_millis()
            ));
            errors.push(json!({"t": (began - start).as_secs_f64(), "record": seq, "errno": name}));
            target.file = None;
            if is_ended() {
                complete = false;
                break 'records;
            }
            std::thread::sleep(Duration::from_millis(args.interval_ms.max(20)));
        }
        let took = began.elapsed();
        seq += 1;
        total += took;
        longest = longest.max(took);
        if took.as_millis() as u64 >= args.stall_ms {
            journal.say(&format!("stall ms={} record={}", took.as_millis(), seq - 1));
            stalls.push(json!({"t": (began - start).as_secs_f64(), "ms": clock::ms(took), "record": seq - 1}));
        }
        let spent = began.elapsed();
        if let Some(rest) = Duration::from_millis(args.interval_ms).checked_sub(spent) {
            std::thread::sleep(rest);
        }
    }
    if let Some(file) = target.file.take() {
        if let Err(problem) = file.sync_all() {
            errors.push(json!({"t": start.elapsed().as_secs_f64(), "record": "fsync", "errno": errno::name_of(&problem)}));
        }
    }
    let count = errors.len();
    errors.truncate(50);
    let summary = json!({
        "records": seq,
        "errors": count,
        "longest_stall_ms": clock::ms(longest),
        "mean_ms": clock::ms(total / (seq.max(1) as u32)),
        "seconds": (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        "stalls": stalls,
        "first_errors": errors,
    });
    journal.say("end");
    journal.write_log(&format!("{summary}\n"));
    Ok(Outcome {
        good: count == 0 && complete && seq > 0,
        summary,
    })
}
