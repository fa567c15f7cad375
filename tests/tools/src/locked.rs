// SPDX-License-Identifier: GPL-2.0
//! Files that are kept open for a while with ranges of them locked, and what a second way to them says about that:
//! what is locked is refused there, what is not is free.

use crate::locks::{fcntl, range};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Parts of a file; each has one lock in it, or none.
const PARTS: usize = 8;
/// Bytes of each.
const PART: usize = 1000;
/// Bytes of a file, at least: there is something to read.
pub const SIZE: usize = PARTS * PART;
/// How long something may be locked still: until the server notices that a connection is over, and the client has
/// told it of what was unlocked meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
struct Lock {
    kind: &'static str,
    start: usize,
    len: usize,
}

/// A file in which something is locked.
struct Kept {
    name: String,
    file: File,
    /// The same file by the second way.
    other: Rc<File>,
    locks: [Option<Lock>; PARTS],
}

/// See the module.
pub struct Locked {
    dir: PathBuf,
    other: PathBuf,
    kept: Vec<Kept>,
    given_up: Vec<(String, Rc<File>, Lock)>,
}

fn set(file: &File, kind: &str, lock: Lock) -> io::Result<()> {
    let mut range = range(kind, lock.start as i64, lock.len as i64)?;
    fcntl(file, libc::F_OFD_SETLK, &mut range)
}

/// Whether a range can be locked; it is not kept.
fn is_free(file: &File, kind: &str, lock: Lock) -> io::Result<bool> {
    match set(file, kind, lock) {
        Ok(()) => set(file, "unlock", lock).map(|()| true),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether something of a range of the file `name` is locked by now.
fn is_taken(kept: &[Kept], name: &str, range: Lock) -> bool {
    let same = kept.iter().filter(|kept| kept.name == name);
    same.flat_map(|kept| kept.locks.iter().flatten())
        .any(|lock| lock.start < range.start + range.len && range.start < lock.start + lock.len)
}

fn open(dir: &Path, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(dir.join(name))
}

impl Kept {
    fn is_unlocked(&self) -> bool {
        self.locks.iter().all(Option::is_none)
    }

    /// What is wrong with its locks.
    fn judge(&self) -> io::Result<Option<&'static str>> {
        let until = Instant::now() + PATIENCE;
        for lock in self.locks.iter().flatten() {
            // Whoever reads waits until the locks are held again; whether they are, the other says. The connection may
            // be lost in this very moment, so it is asked more than once.
            let _ = self.file.read_at(&mut [0], lock.start as u64);
            while is_free(&self.other, "write", *lock)? {
                if Instant::now() > until {
                    return Ok(Some("lost"));
                }
                sleep(Duration::from_millis(20));
            }
            if lock.kind == "read" && !is_free(&self.other, "read", *lock)? {
                return Ok(Some("not shared"));
            }
        }
        Ok(None)
    }
}

impl Locked {
    pub fn new(dir: &Path, other: &Path) -> Self {
        Self {
            dir: dir.into(),
            other: other.into(),
            kept: Vec::new(),
            given_up: Vec::new(),
        }
    }

    /// How many locks there are, whether there are none, and whether they are in a file of this name.
    pub fn count(&self) -> usize {
        let locks = self.kept.iter().flat_map(|kept| &kept.locks);
        locks.flatten().count()
    }
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
    pub fn has(&self, name: &str) -> bool {
        self.kept.iter().any(|kept| kept.name == name)
    }

    /// Locks a range of a file that is kept open, or, with a `name`, of one that is from now on.
    pub fn lock(
        &mut self,
        name: Option<String>,
        mut number: impl FnMut(usize) -> usize,
    ) -> io::Result<()> {
        if let Some(name) = name {
            let (file, other) = (open(&self.dir, &name)?, open(&self.other, &name)?);
            file.write_all_at(&[b'x'; SIZE], 0)?;
            file.sync_all()?;
            self.kept.push(Kept {
                name,
                file,
                other: other.into(),
                locks: [None; PARTS],
            });
        } else {
            let at = number(self.kept.len());
            let last = self.kept.len() - 1;
            self.kept.swap(at, last);
        }
        let mut kept = self.kept.pop().expect("one was chosen");
        let part = number(PARTS);
        let lock = Lock {
            kind: ["read", "write"][number(2)],
            start: part * PART + number(PART / 2),
            len: 1 + number(PART / 2),
        };
        // If it fails, the file is not kept any longer.
        if let Some(before) = kept.locks[part].take() {
            let given_up = (kept.name.clone(), kept.other.clone(), before);
            self.given_up.push(given_up);
            set(&kept.file, "unlock", before)?;
        }
        set(&kept.file, lock.kind, lock)?;
        kept.locks[part] = Some(lock);
        self.kept.push(kept);
        Ok(())
    }

    /// Unlocks a range of a file, or closes it.
    pub fn unlock(&mut self, mut number: impl FnMut(usize) -> usize) -> io::Result<()> {
        let at = number(self.kept.len());
        let mut kept = self.kept.swap_remove(at);
        let close = number(3) == 0;
        let first = number(PARTS);
        for part in (first..PARTS).chain(0..first) {
            let Some(lock) = kept.locks[part].take() else {
                continue;
            };
            let given_up = (kept.name.clone(), kept.other.clone(), lock);
            self.given_up.push(given_up);
            if !close {
                set(&kept.file, "unlock", lock)?;
                break;
            }
        }
        if !kept.is_unlocked() {
            self.kept.push(kept);
        }
        Ok(())
    }

    /// What is wrong with what was unlocked, and with the locks of the file that was dealt with last.
    pub fn judge(&mut self) -> Option<String> {
        match self.look() {
            Ok(problem) => problem.map(str::to_string),
            Err(error) => Some(format!("not known: {error}")),
        }
    }

    /// What is wrong with the locks of each file.
    pub fn judge_all(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        for _ in 0..self.kept.len() {
            self.kept.rotate_left(1);
            all.extend(self.judge());
        }
        all
    }

    fn look(&mut self) -> io::Result<Option<&'static str>> {
        let until = Instant::now() + PATIENCE;
        for (name, other, lock) in self.given_up.drain(..) {
            if is_taken(&self.kept, &name, lock) {
                continue;
            }
            while !is_free(&other, "write", lock)? {
                if Instant::now() > until {
                    return Ok(Some("left over"));
                }
                sleep(Duration::from_millis(20));
            }
        }
        self.kept.last().map_or(Ok(None), Kept::judge)
    }
}
