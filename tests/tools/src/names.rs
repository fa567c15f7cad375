// SPDX-License-Identifier: GPL-2.0
//! `names`: random operations on names, each of which must succeed, and have its effect, once.
//!
//! What there must be is kept here as well, and held against what a second way to the directory shows. An operation
//! that fails is counted, and what there is then is taken over from the directory.

use crate::locked::{Locked, SIZE};
use crate::{clock, errno, Outcome, Result};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

#[derive(clap::Args)]
pub struct Args {
    /// A directory that is empty.
    #[arg(long)]
    dir: PathBuf,
    /// The same directory by a second way, as another client sees it.
    #[arg(long)]
    other: PathBuf,
    /// How often each operation is done.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    File(u64),
    Dir,
}

const OPERATIONS: [&str; 10] = [
    "create", "mkdir", "rename", "replace", "unlink", "rmdir", "truncate", "utimes", "lock",
    "unlock",
];

/// How many locks there are at most.
const LOCKS: usize = 2;

struct Names {
    dir: PathBuf,
    other: PathBuf,
    there: BTreeMap<String, Thing>,
    locked: Locked,
    next: u32,
    random: Random,
}

struct Random(u64);

impl Random {
    fn number(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

impl Names {
    fn number(&mut self, below: usize) -> usize {
        self.random.number(below)
    }

    fn new_name(&mut self) -> String {
        self.next += 1;
        format!("n{:05}", self.next)
    }

    /// A name of something of this kind, that is not kept open; made if there is none. Making it is no part of the
    /// test.
    fn some(&mut self, dir: bool, but: Option<&str>) -> io::Result<String> {
        let fits = |(name, thing): &(&String, &Thing)| {
            (**thing == Thing::Dir) == dir && Some(name.as_str()) != but && !self.locked.has(name)
        };
        let count = self.there.iter().filter(fits).count();
        if count > 0 {
            let index = self.random.number(count);
            let mut all = self.there.iter().filter(fits);
            return Ok(all
                .nth(index)
                .map(|(name, _)| name.clone())
                .unwrap_or_default());
        }
        let name = self.new_name();
        let path = self.dir.join(&name);
        if dir {
            fs::create_dir(path)?;
            self.there.insert(name.clone(), Thing::Dir);
        } else {
            File::create(path)?;
            self.there.insert(name.clone(), Thing::File(0));
        }
        Ok(name)
    }

    /// Does one operation; what is there is noted if it succeeds.
    fn act(&mut self, operation: &str) -> io::Result<()> {
        match operation {
            "create" | "mkdir" => {
                let name = self.new_name();
                let path = self.dir.join(&name);
                if operation == "mkdir" {
                    fs::create_dir(path)?;
                    self.there.insert(name, Thing::Dir);
                } else {
                    OpenOptions::new().write(true).create_new(true).open(path)?;
                    self.there.insert(name, Thing::File(0));
                }
            }
            "rename" => {
                let dir = self.number(2) == 1;
                let (from, to) = (self.some(dir, None)?, self.new_name());
                fs::rename(self.dir.join(&from), self.dir.join(&to))?;
                self.move_to(&from, to);
            }
            "replace" => {
                let from = self.some(false, None)?;
                let to = self.some(false, Some(&from))?;
                fs::rename(self.dir.join(&from), self.dir.join(&to))?;
                self.move_to(&from, to);
            }
            "unlink" => {
                let name = self.some(false, None)?;
                fs::remove_file(self.dir.join(&name))?;
                self.there.remove(&name);
            }
            "rmdir" => {
                let name = self.some(true, None)?;
                fs::remove_dir(self.dir.join(&name))?;
                self.there.remove(&name);
            }
            "truncate" => {
                let name = self.some(false, None)?;
                let size = self.number(100_000) as u64;
                let file = OpenOptions::new().write(true).open(self.dir.join(&name))?;
                file.set_len(size)?;
                self.there.insert(name, Thing::File(size));
            }
            "lock" => self.lock()?,
            "unlock" => {
                if self.locked.is_empty() {
                    self.lock()?;
                }
                self.locked.unlock(|below| self.random.number(below))?;
            }
            _ => {
                let name = self.some(false, None)?;
                let file = OpenOptions::new().write(true).open(self.dir.join(&name))?;
                let time = SystemTime::UNIX_EPOCH
                    + Duration::from_secs(1_000_000_000 + self.number(1 << 20) as u64);
                file.set_modified(time)?;
                drop(file);
                // As the other client sees it: Samba remembers times of files that it has open, or keeps for us, and
                // servers of one storage that are no cluster do not tell each other of new ones.
                if fs::metadata(self.other.join(&name))?.modified()? != time {
                    return Err(io::Error::other("another time"));
                }
            }
        }
        Ok(())
    }

    fn lock(&mut self) -> io::Result<()> {
        if self.locked.count() == LOCKS {
            self.locked.unlock(|below| self.random.number(below))?;
        }
        let fresh = match self.locked.is_empty() || self.number(2) == 0 {
            true => Some(self.some(false, None)?),
            false => None,
        };
        if let Some(Thing::File(size)) = fresh.as_ref().and_then(|name| self.there.get_mut(name)) {
            *size = (*size).max(SIZE as u64);
        }
        self.locked.lock(fresh, |below| self.random.number(below))
    }

    fn move_to(&mut self, from: &str, to: String) {
        if let Some(thing) = self.there.remove(from) {
            self.there.insert(to, thing);
        }
    }
}

/// What there is in a directory.
fn list(dir: &Path) -> io::Result<BTreeMap<String, Thing>> {
    let mut there = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        let thing = if about.is_dir() {
            Thing::Dir
        } else {
            Thing::File(about.size())
        };
        there.insert(entry.file_name().to_string_lossy().into_owned(), thing);
    }
    Ok(there)
}

/// `names`: see the module.
pub fn run(args: &Args) -> Result<Outcome> {
    let mut names = Names {
        dir: args.dir.clone(),
        other: args.other.clone(),
        there: list(&args.dir)?,
        locked: Locked::new(&args.dir, &args.other),
        next: 0,
        random: Random(args.seed | (1 << 40)),
    };
    let mut left: Vec<&str> = (0..args.rounds).flat_map(|_| OPERATIONS).collect();
    let (mut failed, mut longest) = (0, 0.0_f64);
    let mut errors = BTreeMap::<String, u32>::new();
    let mut wrong = BTreeMap::<String, u32>::new();
    let mut good = BTreeMap::<&str, u32>::new();
    while !left.is_empty() {
        let index = names.number(left.len());
        let operation = left.swap_remove(index);
        let start = Instant::now();
        let done = names.act(operation);
        longest = longest.max(clock::ms(start.elapsed()));
        if let Err(error) = done {
            let errno = errno::name_of(&error);
            *errors.entry(format!("{operation} {errno}")).or_default() += 1;
            failed += 1;
            names.there = list(&args.dir)?;
            continue;
        }
        let locks = matches!(operation, "lock" | "unlock");
        if let Some(problem) = locks.then(|| names.locked.judge()).flatten() {
            *wrong.entry(format!("{operation} {problem}")).or_default() += 1;
        } else {
            *good.entry(operation).or_default() += 1;
        }
    }
    for problem in names.locked.judge_all() {
        let what = format!("lock {problem} in the end");
        *wrong.entry(what).or_default() += 1;
    }
    let there = list(&args.other)?;
    let all: BTreeSet<_> = names.there.keys().chain(there.keys()).collect();
    for name in all {
        if names.there.get(name) != there.get(name) {
            let what = (names.there.get(name), there.get(name));
            *wrong.entry(format!("{name} {what:?}")).or_default() += 1;
        }
    }
    let by_kind: BTreeMap<_, _> = OPERATIONS
        .map(|kind| (kind, good.get(kind).unwrap_or(&0)))
        .map(|(kind, good)| (kind, format!("{good}/{}", args.rounds)))
        .into();
    Ok(Outcome {
        good: failed == 0 && wrong.is_empty(),
        summary: json!({
            "good": by_kind,
            "failed": failed,
            "errors": errors,
            "wrong": wrong.values().sum::<u32>(),
            "what_is_wrong": wrong,
            "names": there.len(),
            "longest_ms": longest,
        }),
    })
}
