// SPDX-License-Identifier: GPL-2.0
//! `names`: random operations on names, each of which must succeed, and have its effect, once.
//!
//! What there must be is kept here as well. An operation that fails is counted, and what there is then is
//! taken over from the directory.

use crate::{clock, errno, Outcome, Result};
use serde_json::json;
use std::collections::BTreeMap;
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

const OPERATIONS: [&str; 8] = [
    "create", "mkdir", "rename", "replace", "unlink", "rmdir", "truncate", "utimes",
];

struct Names {
    dir: PathBuf,
    there: BTreeMap<String, Thing>,
    next: u32,
    random: u64,
}

impl Names {
    fn number(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below.max(1) as u64) as usize
    }

    fn new_name(&mut self) -> String {
        self.next += 1;
        format!("n{:05}", self.next)
    }

    /// A name of something of this kind; made if there is none. Making it is no part of the test.
    fn some(&mut self, dir: bool, but: Option<&str>) -> io::Result<String> {
        let fits = |(name, thing): &(&String, &Thing)| {
            (**thing == Thing::Dir) == dir && Some(name.as_str()) != but
        };
        let count = self.there.iter().filter(fits).count();
        if count > 0 {
            let index = self.number(count);
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
            _ => {
                let name = self.some(false, None)?;
                let file = OpenOptions::new().write(true).open(self.dir.join(&name))?;
                let time = SystemTime::UNIX_EPOCH
                    + Duration::from_secs(1_000_000_000 + self.number(1 << 20) as u64);
                file.set_modified(time)?;
                drop(file);
                if fs::metadata(self.dir.join(&name))?.modified()? != time {
                    return Err(io::Error::other("another time"));
                }
            }
        }
        Ok(())
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
        there: list(&args.dir)?,
        next: 0,
        random: args.seed | (1 << 40),
    };
    let mut left: Vec<&str> = (0..args.rounds).flat_map(|_| OPERATIONS).collect();
    let (mut errors, mut wrong, mut longest) = (BTreeMap::<String, u32>::new(), 0, 0.0_f64);
    while !left.is_empty() {
        let index = names.number(left.len());
        let operation = left.swap_remove(index);
        let start = Instant::now();
        let done = names.act(operation);
        longest = longest.max(clock::ms(start.elapsed()));
        match done {
            Ok(()) => {}
            Err(error) => {
                let errno = errno::name_of(&error);
                *errors.entry(format!("{operation} {errno}")).or_default() += 1;
                names.there = list(&args.dir)?;
            }
        }
    }
    let there = list(&args.dir)?;
    for name in names.there.keys().chain(there.keys()) {
        wrong += u32::from(names.there.get(name) != there.get(name));
    }
    let failed: u32 = errors.values().sum();
    Ok(Outcome {
        good: failed == 0 && wrong == 0,
        summary: json!({
            "operations": args.rounds as usize * OPERATIONS.len(),
            "failed": failed,
            "errors": errors,
            "wrong": wrong,
            "names": there.len(),
            "longest_ms": longest,
        }),
    })
}
