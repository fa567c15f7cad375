// SPDX-License-Identifier: GPL-2.0

//! Bringing the server in line with the inventory, step by step.

use super::{
    turn::Turn,
    Claim,
    Lock,
    Locks,
    Range,
    Wish, //
};
use crate::mount::{
    self,
    tree::On,
    Error, //
};
use core::mem;
use kernel::prelude::*;
use rsdfs_proto::{
    locks::{
        next_step,
        Step, //
    },
    smb2::FileId, //
};

/// What has come of an attempt to bring the server in line.
pub(super) enum Settled {
    /// It is, as of this edit. `fresh` if something was locked.
    Done { fresh: bool, edit: u64 },
    /// Somebody elsewhere has some of this range.
    Refused(Range),
}

impl Turn<'_> {
    /// Brings the server in line; what cannot be had again is lost.
    pub(super) fn settle_or_lose(&mut self, on: &On<'_>, file: FileId) -> mount::Result {
        loop {
            let Settled::Refused(range) = self.settle(on, file, None)? else {
                return Ok(());
            };
            if self.locks.weaken(range) {
                continue;
            }
            self.sift(on, file, range)?;
        }
    }

    /// Finds out which of the locks in a range, that cannot be had as a whole, are lost.
    fn sift(&mut self, on: &On<'_>, file: FileId, range: Range) -> mount::Result {
        let mut lost = 0usize;
        for lock in self.locks.claims_in(range)? {
            if !self.cover(on, file, lock)? {
                let is_it = |claim: &Claim| claim.lock == lock;
                lost = lost.saturating_add(self.locks.lose(self.volume, is_it));
            }
        }
        if lost > 0 {
            return Ok(());
        }
        // It may be had by now. If not, there is no telling whose fault it is.
        match self.settle(on, file, None)? {
            Settled::Done { .. } => Ok(()),
            Settled::Refused(range) => {
                let in_it = |claim: &Claim| claim.lock.range.overlaps(range);
                match self.locks.lose(self.volume, in_it) {
                    0 => Err(Error::Kernel(EIO)),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Locks what is not locked for us of a range. Says whether all of it is.
    pub(super) fn cover(&mut self, on: &On<'_>, file: FileId, wanted: Lock) -> mount::Result<bool> {
        while let Some(Step::Lock(lock)) = next_step(&self.held, &[wanted], false) {
            self.held.reserve(1, GFP_KERNEL)?;
            if !self.lock(on, file, lock)? {
                return Ok(false);
            }
            self.note(lock)?;
        }
        Ok(true)
    }

    /// Brings the server in line with the inventory, as it will be if `wish` comes true.
    pub(super) fn settle(
        &mut self,
        on: &On<'_>,
        file: FileId,
        wish: Option<&Wish<'_>>,
    ) -> mount::Result<Settled> {
        self.make_known(on, file)?;
        let (wanted, edit) = self.locks.wanted(wish)?;
        let mut fresh = false;
        loop {
            let stacks = self.locks.state.lock().stacks;
            let lock = match next_step(&self.held, &wanted, stacks) {
                None => {
                    if wish.is_none() {
                        self.locks.settle(edit, 0);
                    }
                    return Ok(Settled::Done { fresh, edit });
                }
                Some(Step::Lock(lock)) => {
                    self.held.reserve(1, GFP_KERNEL)?;
                    (lock, self.lock(on, file, lock)?)
                }
                Some(Step::Unlock(range)) => match self.unlock(on, file, range, &wanted)? {
                    Some(done) => done,
                    None => continue,
                },
            };
            match lock {
                (lock, true) => {
                    self.note(lock)?;
                    fresh = true;
                }
                // The server does not let it lie over our own.
                (lock, false) if self.held.iter().any(|own| own.range.overlaps(lock.range)) => {
                    self.locks.state.lock().stacks = false;
                }
                (lock, false) => return Ok(Settled::Refused(lock.range)),
            }
        }
    }
}

impl Locks {
    /// What the server holds may not be what it should.
    pub(super) fn unsettle(&self) {
        let mut state = self.state.lock();
        state.edits = state.edits.saturating_add(1);
    }

    /// The server is in line as of `edit`, and `more` edits after it.
    pub(super) fn settle(&self, edit: u64, more: u64) {
        let mut state = self.state.lock();
        state.settled = edit.saturating_add(more);
    }

    /// The locks in a range, as what they are wanted.
    fn claims_in(&self, range: Range) -> mount::Result<KVec<Lock>> {
        let state = self.state.lock();
        let mut found = KVec::with_capacity(state.claims.len(), GFP_KERNEL)?;
        for claim in state.claims.iter() {
            if !claim.lost && claim.lock.range.overlaps(range) {
                found.push(claim.lock, GFP_KERNEL)?;
            }
        }
        Ok(found)
    }

    /// Shared locks in this range need not be exclusive for the server; says whether one was.
    fn weaken(&self, range: Range) -> bool {
        let mut state = self.state.lock();
        let mut found = false;
        for claim in state.claims.iter_mut() {
            if claim.lock.range.overlaps(range) {
                found |= mem::take(&mut claim.written);
            }
        }
        found
    }
}
