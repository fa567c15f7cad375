// SPDX-License-Identifier: GPL-2.0

//! From one tree to the next: lost and found again, or left for another.

use super::{
    Phase,
    Volume,
    Why, //
};
use crate::{
    mount::{
        reconnect::{
            self,
            Attempt,
            Cached,
            Course,
            Loss,
            Race, //
        },
        tree::Tree,
        trouble::Trouble,
        Error,
        Result, //
    },
    sys::{
        time::{
            now_ms,
            now_us, //
        },
        trace::{
            Event as _,
            Reconnect,
            TargetSwitch, //
        },
        wait::Outcome, //
    },
    transport::conn::Reason, //
};
use core::mem;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    dfs::path::Path,
    failover::{
        Lost,
        Policy, //
    }, //
};

/// How long open files stay on a target that is drained, in milliseconds.
const GRACE_OPEN: u64 = 10_000;

impl Volume {
    /// The tree, as soon as there is one.
    pub(in crate::mount) fn tree(&self, deadline: Option<u64>) -> Result<Arc<Tree>> {
        let mut found = Err(Error::Timeout);
        let left = deadline.map(|at| at.saturating_sub(now_ms()));
        let outcome = self.changed.wait_killable(left, || {
            let state = self.state.lock();
            found = match (&state.tree, state.phase) {
                (_, Phase::Aborted) => Err(Error::Kernel(EIO)),
                (Some(tree), Phase::Up) => Ok(tree.clone()),
                _ => return false,
            };
            true
        });
        match outcome {
            Ok(Outcome::Ready) => found,
            Ok(Outcome::TimedOut) => Err(Error::Timeout),
            Err(_) => Err(Error::Interrupted),
        }
    }

    /// The tree, if there is one by `deadline` (milliseconds since boot); also not if an unmount begins.
    pub(in crate::mount) fn tree_until(&self, deadline: u64) -> kernel::error::Result<Arc<Tree>> {
        let mut found = Err(ETIMEDOUT);
        let left = deadline.saturating_sub(now_ms());
        self.changed.wait_killable(Some(left), || {
            let state = self.state.lock();
            found = match (&state.tree, state.phase) {
                (_, Phase::Aborted) => Err(EIO),
                _ if state.closing.is_some() => Err(EIO),
                (Some(tree), Phase::Up) => Ok(tree.clone()),
                _ => return false,
            };
            true
        })?;
        found
    }

    /// Says that `tree` is of no use any more; `reason` counts if its connection still stands.
    pub(in crate::mount) fn lost(&self, tree: &Arc<Tree>, reason: Reason) {
        let reason = tree.dead().unwrap_or(reason);
        tree.lose(reason);
        let mut state = self.state.lock();
        if !matches!(&state.tree, Some(current) if Arc::ptr_eq(current, tree)) {
            return;
        }
        let gone = state.tree.take();
        if state.phase == Phase::Up {
            state.phase = Phase::Down(now_ms(), reason);
            state.lost = now_us();
        }
        drop(state);
        self.todo.wake_all();
        if matches!(reason, Reason::Silent | Reason::Frozen) {
            self.zombie.left(tree.session_arc());
        }
        drop(gone);
    }

    /// Looks for a tree.
    pub(in crate::mount) fn seek(
        &self,
        policy: Policy,
        how: Option<Lost>,
    ) -> core::result::Result<Arc<Tree>, Trouble> {
        let attempt = Attempt::new()?;
        let mut state = self.state.lock();
        if state.phase == Phase::Aborted {
            return Err(Trouble::cancelled());
        }
        state.attempt = Some(attempt.clone());
        let last = mem::take(&mut state.last);
        let known = state.known.clone();
        drop(state);
        let path = Path::parse(self.path()).map_err(|_| EINVAL)?;
        let course = match (reconnect::course(&self.seeker, &path), known) {
            (Course::Itself, Some(known)) => Course::Targets(known),
            (course, _) => course,
        };
        let loss = how.map(|how| Loss { how, target: &last });
        let found = Race::new(&self.seeker, &path, 0, course, &attempt)
            .and_then(|race| race.run(policy, loss, &mut || self.tick(&attempt)));
        let known = match reconnect::course(&self.seeker, &path) {
            Course::Targets(known) => Some(known),
            Course::Domain(_) | Course::Itself => None,
        };
        let mut state = self.state.lock();
        state.attempt = None;
        state.last = last;
        let forgotten = match known {
            Some(known) => state.known.replace(known),
            None => None,
        };
        drop(state);
        drop(forgotten);
        found
    }

    /// Puts `tree` in the place of the one that was lost at `since`.
    pub(in crate::mount) fn publish(&self, tree: Arc<Tree>, since: Option<u64>) -> Result {
        let mut last = KVec::with_capacity(tree.path().len(), GFP_KERNEL)?;
        last.extend_from_slice(tree.path(), GFP_KERNEL)?;
        let new = tree.clone();
        let mut why = None;
        let mut state = self.state.lock();
        if state.phase == Phase::Aborted {
            return Err(Error::Kernel(EIO));
        }
        if let (Some(since), Phase::Down(_, reason)) = (since, state.phase) {
            state.stats.failovers = state.stats.failovers.saturating_add(1);
            state.stats.reason = Some(Why::Lost(reason));
            state.stats.recovered = now_ms();
            state.stats.duration = state.stats.recovered.saturating_sub(since);
            why = state.stats.reason;
        }
        state.generation = state.generation.saturating_add(1);
        tree.set_generation(state.generation);
        let old = (
            state.tree.replace(tree),
            mem::replace(&mut state.last, last),
        );
        state.phase = Phase::Up;
        let lost = state.lost;
        drop(state);
        self.locks.stir();
        self.changed.wake_all();
        if let Some(why) = why {
            self.tell(&old.1, &new, why, lost);
            self.lay_to_rest(new.session());
        }
        drop(old);
        Ok(())
    }

    /// Puts into the trace that the mount has gone from the target `old` to `new`, which began at
    /// `began` in microseconds since boot.
    fn tell(&self, old: &[u8], new: &Tree, why: Why, began: u64) {
        let (path, reason) = (self.path(), why.name());
        let us = now_us().saturating_sub(began);
        TargetSwitch::emit(|| {
            let switch = TargetSwitch {
                path,
                old,
                new: new.path(),
                reason,
                us,
            };
            Some(switch).filter(|switch| switch.old != switch.new)
        });
        if matches!(why, Why::Lost(_)) {
            let generation = new.generation();
            Reconnect::emit(|| {
                Some(Reconnect {
                    path,
                    reason,
                    generation,
                    us,
                })
            });
        }
    }

    /// Goes from `present`, which works, to `tree`; that began at `began`, in microseconds since boot.
    pub(in crate::mount) fn switch(
        &self,
        present: &Arc<Tree>,
        tree: Arc<Tree>,
        why: Why,
        began: u64,
    ) -> Result {
        let new = tree.clone();
        let mut last = KVec::with_capacity(tree.path().len(), GFP_KERNEL)?;
        last.extend_from_slice(tree.path(), GFP_KERNEL)?;
        let mut state = self.state.lock();
        let same = |current: &Arc<Tree>| Arc::ptr_eq(current, present);
        if state.phase != Phase::Up || !state.tree.as_ref().is_some_and(same) {
            return Err(Error::Kernel(EAGAIN));
        }
        // Before it is seen that the mount has gone: who finds a file open there must know why.
        let grace = if why == Why::Drain { GRACE_OPEN } else { 0 };
        present.leave(now_ms().saturating_add(grace));
        state.stats.moves = state.stats.moves.saturating_add(1);
        state.stats.reason = Some(why);
        state.stats.duration = 0;
        state.generation = state.generation.saturating_add(1);
        tree.set_generation(state.generation);
        let old = (
            state.tree.replace(tree),
            mem::replace(&mut state.last, last),
        );
        drop(state);
        self.tell(&old.1, &new, why, began);
        drop(old);
        // Files in which nothing is locked any more follow.
        self.locks.stir();
        self.wake();
        Ok(())
    }

    /// Has the keeper try all targets again now, if it is looking for one.
    pub(in crate::mount) fn hurry(&self) {
        let attempt = self.state.lock().attempt.clone();
        if let Some(attempt) = attempt {
            attempt.hurry();
        }
    }

    /// The targets it was found among last.
    pub(in crate::mount) fn known(&self) -> Option<Cached> {
        self.state.lock().known.clone()
    }
}
