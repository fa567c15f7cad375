// SPDX-License-Identifier: GPL-2.0

//! Operations on names, which take effect once.
//!
//! When the answer to one is lost, the next tree is asked what there is now before the operation is
//! done again; [`rsdfs_proto::outcome`] judges. What cannot be known is `EIO`.

use super::{
    attempt::PATIENCE,
    chores::{
        Errand,
        Rest, //
    },
    durable::Asked,
    handle::text,
    lease::Lease,
    ops::{
        self,
        change,
        Opened, //
    },
    reopen::open_existing,
    tree::On,
    volume::Volume,
    Attr,
    Create,
    Error,
    How,
    Result, //
};
use crate::sys::crypto;
use core::cell::Cell;
use kernel::{
    prelude::*,
    str::CString,
    sync::Arc, //
};
use rsdfs_proto::{
    outcome::{
        self,
        Doubt,
        Verdict, //
    },
    smb2::{
        create::{
            access,
            options, //
        },
        set_info::Set, //
    },
    status::NtStatus, //
};

/// What became of an operation whose answer was lost.
enum Found<T> {
    /// It took effect, and would have returned this.
    Took(T),
    /// It did not.
    DidNot,
    /// That cannot be known.
    Unknown,
}

impl<T> Found<T> {
    /// `verdict`, with what the operation would have returned.
    fn new(verdict: Verdict, value: Option<T>) -> Self {
        match (verdict, value) {
            (Verdict::Took, Some(value)) => Found::Took(value),
            (Verdict::DidNot, _) => Found::DidNot,
            (Verdict::Took | Verdict::Unknown, _) => Found::Unknown,
        }
    }
}

/// Marks what one operation makes; see [`outcome::mark`].
struct Marker {
    random: u64,
    mark: Cell<u64>,
}

impl Marker {
    fn new() -> Self {
        Self {
            random: random(),
            mark: Cell::new(0),
        }
    }

    /// The mark, the same for all attempts.
    fn mark(&self, tree: &On<'_>) -> u64 {
        if self.mark.get() == 0 {
            self.mark.set(outcome::mark(tree.clock(), self.random));
        }
        self.mark.get()
    }
}

impl Volume {
    /// Makes a directory.
    pub(crate) fn mkdir(&self, path: &str) -> Result<Attr> {
        let marker = Marker::new();
        self.once(
            |tree| ops::make_directory(tree, path, marker.mark(tree)),
            |tree, doubt| {
                let there = there(tree, path)?;
                let thing = there.as_ref().map(Attr::thing);
                let verdict = outcome::made(marker.mark(tree), doubt, thing.as_ref());
                Ok(Found::new(verdict, there))
            },
        )
    }

    /// Makes a file that must not exist and opens it, for `enter` to keep it.
    pub(super) fn make_file<T>(
        &self,
        path: &str,
        how: How,
        wanted: (&Arc<Lease>, &Asked),
        enter: impl Fn(&On<'_>, Opened) -> Result<T>,
    ) -> Result<T> {
        let marker = Marker::new();
        let existing = How {
            create: Create::Open,
            ..how
        };
        self.once(
            |tree| {
                enter(
                    tree,
                    ops::open(tree, path, how, wanted, Some(marker.mark(tree)))?,
                )
            },
            |tree, doubt| {
                let thing = there(tree, path)?.as_ref().map(Attr::thing);
                let verdict = outcome::made(marker.mark(tree), doubt, thing.as_ref());
                let opened = match verdict {
                    Verdict::Took => {
                        Some(enter(tree, open_existing(tree, path, existing, wanted)?)?)
                    }
                    Verdict::DidNot | Verdict::Unknown => None,
                };
                Ok(Found::new(verdict, opened))
            },
        )
    }

    /// Removes a file, of which `victim` is known. One that this mount has open lives on under another name, until it is
    /// closed: so it can be opened again on another server.
    pub(crate) fn unlink(&self, path: &str, victim: &Attr) -> Result {
        if !self.is_open(path) {
            return self.remove(path, victim, options::NON_DIRECTORY_FILE);
        }
        let hidden = hidden(path)?;
        let hidden = text(&hidden);
        let rest = self.errand(path, hidden, victim, Rest::Remove)?;
        let gone = self.errand(path, hidden, victim, Rest::Discard)?;
        match self.rename_once(path, hidden, false, victim) {
            Ok(()) => self.unname_or(hidden, gone),
            Err(error) => {
                rest.unless_answered(error);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes an empty directory, of which `victim` is known.
    pub(crate) fn rmdir(&self, path: &str, victim: &Attr) -> Result {
        let remove = || self.remove(path, victim, options::DIRECTORY_FILE);
        match remove() {
            // It may be what was removed and is about to go.
            Err(Error::Status(NtStatus::DIRECTORY_NOT_EMPTY)) if self.has_condemned() => {
                self.bury(PATIENCE);
                remove()
            }
            result => result,
        }
    }

    fn remove(&self, path: &str, victim: &Attr, kind: u32) -> Result {
        let set = [Set::Disposition(true)];
        self.take_away(path, victim, |tree| {
            change(tree, path, (access::DELETE, kind), &set, None)
        })
    }

    /// Runs an operation that takes the name `path` from `victim`.
    fn take_away(
        &self,
        path: &str,
        victim: &Attr,
        operation: impl FnMut(&On<'_>) -> Result,
    ) -> Result {
        let victim = victim.thing();
        self.once(operation, |tree, doubt| {
            let thing = there(tree, path)?.as_ref().map(Attr::thing);
            let verdict = outcome::removed(&victim, doubt, thing.as_ref());
            Ok(Found::new(verdict, Some(())))
        })
    }

    /// Renames a file or directory, of which `moved` is known; with `replace` a file over another.
    pub(crate) fn rename(&self, from: &str, to: &str, replace: bool, moved: &Attr) -> Result {
        let rest = self.errand(from, to, moved, Rest::Learn)?;
        let renamed = self.rename_once(from, to, replace, moved);
        if let Err(error) = renamed {
            rest.unless_answered(error);
        }
        renamed
    }

    /// Renames `from`, of which `moved` is known, over the file `to`, of which `target` is known, and which is open here.
    /// Servers refuse that, so `to` gets a hidden name first, and goes when it is closed.
    pub(crate) fn rename_over(
        &self,
        (from, moved): (&str, &Attr),
        (to, target): (&str, &Attr),
    ) -> Result {
        let aside = hidden(to)?;
        let aside = text(&aside);
        let back = self.errand(to, aside, target, Rest::PutBack)?;
        let gone = self.errand(to, aside, target, Rest::Discard)?;
        if let Err(error) = self.rename_once(to, aside, false, target) {
            back.unless_answered(error);
            return Err(error);
        }
        let renamed = match self.rename(from, to, false, moved) {
            // Somebody else has made one meanwhile.
            Err(Error::Status(NtStatus::OBJECT_NAME_COLLISION)) => {
                self.rename(from, to, true, moved)
            }
            renamed => renamed,
        };
        match renamed {
            Ok(()) => self.unname_or(aside, gone),
            Err(_) if self.rename_once(aside, to, false, target).is_ok() => {}
            Err(_) => back.leave(),
        }
        renamed
    }

    /// What was given the name `hidden` is to go: when it is closed; or by the keeper, if it is not open any more.
    fn unname_or(&self, hidden: &str, gone: Errand<'_>) {
        if !self.unname(hidden) {
            gone.leave();
        }
    }

    /// As [`Self::rename`], for which there is an errand already.
    fn rename_once(&self, from: &str, to: &str, replace: bool, moved: &Attr) -> Result {
        let moved = moved.thing();
        let lease = self.lease_at(from);
        self.once(
            |tree| {
                let name = tree.name(to)?;
                let set = Set::Rename {
                    replace,
                    name: &name,
                };
                change(tree, from, (access::DELETE, 0), &[set], lease.as_deref())
            },
            |tree, _| {
                let old = there(tree, from)?.as_ref().map(Attr::thing);
                let new = there(tree, to)?.as_ref().map(Attr::thing);
                let verdict = outcome::renamed(&moved, old.as_ref(), new.as_ref());
                Ok(Found::new(verdict, Some(())))
            },
        )?;
        self.moved(from, to, u64::MAX)
    }

    /// Runs an operation that must take effect once. After its answer was lost, `look` tells what became
    /// of it.
    fn once<T>(
        &self,
        mut operation: impl FnMut(&On<'_>) -> Result<T>,
        look: impl Fn(&On<'_>, &Doubt) -> Result<Found<T>>,
    ) -> Result<T> {
        let counters = &self.seeker.counters;
        let mut doubt: Option<Doubt> = None;
        self.run(|tree| {
            if let Some(doubt) = &doubt {
                counters.probed.add();
                match look(tree, doubt)? {
                    Found::Took(value) => {
                        counters.synthesised.add();
                        return Ok(value);
                    }
                    Found::DidNot => counters.replayed.add(),
                    Found::Unknown => {
                        counters.unknown.add();
                        return Err(Error::Kernel(EIO));
                    }
                }
            }
            let sent = tree.clock();
            let result = operation(tree);
            let lost = match &result {
                Err(Error::Lost | Error::Malformed) => true,
                Err(Error::Status(status)) => tree.gone(*status).is_some(),
                _ => false,
            };
            if lost {
                let sent = doubt.map_or(sent, |doubt| doubt.sent);
                let lost = tree.clock();
                doubt = Some(Doubt { sent, lost });
            }
            result
        })
    }
}

/// What has the name `path` now, if anything.
pub(super) fn there(tree: &On<'_>, path: &str) -> Result<Option<Attr>> {
    match ops::stat(tree, path) {
        Ok(attr) => Ok(Some(attr)),
        Err(Error::Status(status)) if is_not_found(status) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is nothing of that name.
fn is_not_found(status: NtStatus) -> bool {
    matches!(
        status,
        NtStatus::OBJECT_NAME_NOT_FOUND | NtStatus::NO_SUCH_FILE | NtStatus::DELETE_PENDING
    )
}

/// A name beside `path` that nobody else uses.
fn hidden(path: &str) -> Result<KVec<u8>> {
    let directory = path
        .rfind('/')
        .and_then(|end| path.get(..=end))
        .unwrap_or("");
    let name = CString::try_from_fmt(fmt!("{directory}.rsdfs{:016x}", random()))?;
    let mut bytes = KVec::new();
    bytes.extend_from_slice(name.to_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}

fn random() -> u64 {
    let mut random = [0; 8];
    crypto::random(&mut random);
    u64::from_le_bytes(random)
}
