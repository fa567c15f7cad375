// SPDX-License-Identifier: GPL-2.0
//! `lock`: a process that locks, unlocks, reads and writes as it is told, a command a line, and answers each with
//! a line. `locktorture`: many processes that lock counters, count, and look whether anybody else is there.

use crate::{errno, Outcome, Result};
use serde_json::json;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BAD: i32 = libc::EINVAL;

fn bad() -> io::Error {
    io::Error::from_raw_os_error(BAD)
}

/// `struct flock` of a range; a length of 0 reaches to the end of all files.
pub fn range(kind: &str, start: i64, len: i64) -> io::Result<libc::flock> {
    // SAFETY: All zeroes are a valid `struct flock`.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = match kind {
        "read" => libc::F_RDLCK,
        "write" => libc::F_WRLCK,
        "unlock" => libc::F_UNLCK,
        _ => return Err(bad()),
    } as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = start;
    lock.l_len = len;
    Ok(lock)
}

pub fn fcntl(file: &File, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: The descriptor is open, and `lock` is what these commands take.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, lock as *mut libc::flock) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn flock(file: &File, how: libc::c_int) -> io::Result<()> {
    // SAFETY: The descriptor is open.
    match unsafe { libc::flock(file.as_raw_fd(), how) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn number(word: &str) -> io::Result<i64> {
    word.parse().map_err(|_| bad())
}

/// What a command comes to.
fn perform(files: &mut HashMap<String, File>, words: &[&str]) -> io::Result<String> {
    if let ["open" | "openro", name, path] = *words {
        let write = words[0] == "open";
        let file = OpenOptions::new()
            .read(true)
            .write(write)
            .create(write)
            .truncate(false)
            .open(path)?;
        files.insert(name.to_string(), file);
        return Ok("OK".into());
    }
    let name = *words.get(1).ok_or_else(bad)?;
    if words[0] == "close" {
        return files.remove(name).map(|_| "OK".into()).ok_or_else(bad);
    }
    let file = files.get(name).ok_or_else(bad)?;
    match *words {
        ["set", _, kind, start, len] => {
            fcntl(
                file,
                libc::F_SETLK,
                &mut range(kind, number(start)?, number(len)?)?,
            )?;
        }
        ["wait", _, kind, start, len] => {
            fcntl(
                file,
                libc::F_SETLKW,
                &mut range(kind, number(start)?, number(len)?)?,
            )?;
        }
        ["ofd", _, kind, start, len] => {
            fcntl(
                file,
                libc::F_OFD_SETLK,
                &mut range(kind, number(start)?, number(len)?)?,
            )?;
        }
        ["get", _, kind, start, len] => {
            let mut lock = range(kind, number(start)?, number(len)?)?;
            fcntl(file, libc::F_GETLK, &mut lock)?;
            return Ok(match i32::from(lock.l_type) {
                libc::F_UNLCK => "free",
                libc::F_RDLCK => "read",
                _ => "write",
            }
            .into());
        }
        ["flock", _, how] => flock(
            file,
            match how {
                "sh" => libc::LOCK_SH | libc::LOCK_NB,
                "ex" => libc::LOCK_EX | libc::LOCK_NB,
                "sh-wait" => libc::LOCK_SH,
                "ex-wait" => libc::LOCK_EX,
                "un" => libc::LOCK_UN,
                _ => return Err(bad()),
            },
        )?,
        ["read", _, at, len] => {
            let mut bytes = vec![0; number(len)? as usize];
            let n = file.read_at(&mut bytes, number(at)? as u64)?;
            return Ok(format!("={}", String::from_utf8_lossy(&bytes[..n])));
        }
        ["write", _, at, text] => file.write_all_at(text.as_bytes(), number(at)? as u64)?,
        ["truncate", _, size] => file.set_len(number(size)? as u64)?,
        ["fsync", _] => file.sync_all()?,
        _ => return Err(bad()),
    }
    Ok("OK".into())
}

/// `lock`: see the module.
pub fn talk() -> Result<Outcome> {
    let mut files = HashMap::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let answer = perform(&mut files, &words).unwrap_or_else(|problem| errno::name_of(&problem));
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(Outcome {
        summary: json!("end"),
        good: true,
    })
}

#[derive(clap::Args)]
pub struct Args {
    /// The file, once for each way to it: the processes take turns.
    #[arg(long, required = true)]
    file: Vec<PathBuf>,
    #[arg(long, default_value_t = 8)]
    processes: usize,
    #[arg(long, default_value_t = 3)]
    counters: usize,
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

/// Bytes from one counter to the next: some share a page, some do not.
const STEP: u64 = 2600;

/// What the processes share: who is where, and what has come of it.
#[repr(C)]
struct Board {
    /// Of each counter: -1 while it is being changed, else how many look at it.
    there: [AtomicI64; 16],
    counted: [AtomicU64; 16],
    rounds: AtomicU64,
    clashes: AtomicU64,
    wrong: AtomicU64,
    errors: AtomicU64,
    /// The last errno.
    errno: AtomicU64,
}

fn board() -> Result<&'static Board> {
    // SAFETY: A new shared mapping of zeroes, which are valid atomics; it is never unmapped.
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            std::mem::size_of::<Board>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error().into());
        }
        Ok(&*at.cast::<Board>())
    }
}

/// A counter in a file: a number and the same number again, bit by bit the other way round.
fn get(file: &File, at: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; 16];
    file.read_exact_at(&mut bytes, at)?;
    let (a, b) = bytes.split_at(8);
    let (a, b) = (
        u64::from_le_bytes(a.try_into().unwrap()),
        u64::from_le_bytes(b.try_into().unwrap()),
    );
    Ok((a == !b).then_some(a))
}

fn put(file: &File, at: u64, value: u64) -> io::Result<()> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    bytes[8..].copy_from_slice(&(!value).to_le_bytes());
    file.write_all_at(&bytes, at)
}

/// One round: locks a counter and changes it, or looks at it twice.
fn round(board: &Board, file: &File, index: usize, change: bool) -> io::Result<()> {
    let at = STEP * index as u64;
    let kind = if change { "write" } else { "read" };
    fcntl(file, libc::F_SETLKW, &mut range(kind, at as i64, 16)?)?;
    let there = &board.there[index];
    let before = if change {
        there.fetch_sub(1000, Ordering::SeqCst)
    } else {
        there.fetch_add(1, Ordering::SeqCst)
    };
    if before < 0 || change && before != 0 {
        board.clashes.fetch_add(1, Ordering::SeqCst);
    }
    let done = (|| {
        let wanted = board.counted[index].load(Ordering::SeqCst);
        let found = get(file, at)?;
        if found != Some(wanted) {
            board.wrong.fetch_add(1, Ordering::SeqCst);
        }
        if !change {
            return Ok(());
        }
        put(file, at, wanted + 1)?;
        file.sync_data()?;
        board.counted[index].store(wanted + 1, Ordering::SeqCst);
        Ok(())
    })();
    there.fetch_add(if change { 1000 } else { -1 }, Ordering::SeqCst);
    fcntl(file, libc::F_SETLK, &mut range("unlock", at as i64, 16)?)?;
    board.rounds.fetch_add(1, Ordering::SeqCst);
    done
}

fn work(board: &Board, args: &Args, me: usize, until: Instant) -> io::Result<()> {
    let path = &args.file[me % args.file.len()];
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut seed = me as u64 * 7919 + 1;
    while Instant::now() < until {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let index = (seed >> 33) as usize % args.counters;
        round(board, &file, index, (seed >> 50) % 3 != 0)?;
    }
    Ok(())
}

/// `locktorture`: see the module.
pub fn torture(args: &Args) -> Result<Outcome> {
    if args.counters == 0 || args.counters > 16 {
        return Err("1 to 16 counters".into());
    }
    let board = board()?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&args.file[0])?;
    for index in 0..args.counters {
        put(&file, STEP * index as u64, 0)?;
    }
    file.sync_all()?;
    drop(file);
    let until = Instant::now() + Duration::from_secs_f64(args.seconds);
    let mut children = Vec::new();
    for me in 0..args.processes {
        // SAFETY: There is one thread.
        match unsafe { libc::fork() } {
            0 => {
                if let Err(problem) = work(board, args, me, until) {
                    board.errors.fetch_add(1, Ordering::SeqCst);
                    board
                        .errno
                        .store(problem.raw_os_error().unwrap_or(0) as u64, Ordering::SeqCst);
                }
                std::process::exit(0);
            }
            -1 => return Err(io::Error::last_os_error().into()),
            child => children.push(child),
        }
    }
    for child in children {
        // SAFETY: Waits for a child.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
    let file = File::open(&args.file[0])?;
    let mut counted = 0;
    let mut kept = true;
    for index in 0..args.counters {
        let wanted = board.counted[index].load(Ordering::SeqCst);
        counted += wanted;
        kept &= get(&file, STEP * index as u64)? == Some(wanted);
    }
    let all = |count: &AtomicU64| count.load(Ordering::SeqCst);
    let (clashes, wrong, errors) = (all(&board.clashes), all(&board.wrong), all(&board.errors));
    Ok(Outcome {
        good: clashes + wrong + errors == 0 && kept && counted > 0,
        summary: json!({
            "rounds": all(&board.rounds),
            "counted": counted,
            "clashes": clashes,
            "wrong": wrong,
            "errors": errors,
            "errno": errno::name(all(&board.errno) as i32),
            "kept": kept,
        }),
    })
}
