// SPDX-License-Identifier: GPL-2.0

//! The turn to bring the server in line with the inventory: one at a time has it, and no mutex meanwhile.

use super::{
    Lock,
    Locks,
    Stage, //
};
use crate::{
    mount::{
        self,
        tree::Tree,
        volume::Volume,
        Error, //
    },
    sys::{
        time::now_ms,
        wait, //
    },
    transport::conn::Reason, //
};
use core::mem;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::status::Class;

/// The locks have to be taken again first.
pub(super) const NOT_NOW: Error = Error::Kernel(EAGAIN);

/// The turn to deal with the server; given back on drop.
pub(super) struct Turn<'a> {
    pub(super) locks: &'a Arc<Locks>,
    pub(super) volume: &'a Arc<Volume>,
    /// What the server holds, in order.
    pub(super) held: KVec<Lock>,
    /// Whoever has it looks again by itself.
    pub(super) keeper: bool,
}

impl Locks {
    /// The turn, when the locks are held.
    pub(super) fn turn<'a>(
        self: &'a Arc<Self>,
        volume: &'a Arc<Volume>,
        deadline: Option<u64>,
    ) -> Result<Turn<'a>> {
        self.wait_for_turn(volume, deadline, false)
    }

    /// The turn, even if the locks are not held.
    pub(super) fn any_turn<'a>(
        self: &'a Arc<Self>,
        volume: &'a Arc<Volume>,
        deadline: Option<u64>,
    ) -> mount::Result<Turn<'a>> {
        Ok(self.wait_for_turn(volume, deadline, true)?)
    }

    fn wait_for_turn<'a>(
        self: &'a Arc<Self>,
        volume: &'a Arc<Volume>,
        deadline: Option<u64>,
        any: bool,
    ) -> Result<Turn<'a>> {
        let left = deadline.map(|at| at.saturating_sub(now_ms()));
        let mut taken = Err(ETIMEDOUT);
        if !any && !self.is_ready(volume) {
            volume.locks.stir();
            volume.wake();
        }
        let outcome = self.changed.wait_killable(left, || {
            if volume.is_aborted() {
                taken = Err(EIO);
                return true;
            }
            match self.try_turn(volume, any) {
                Some(turn) => taken = Ok(turn),
                None => return false,
            }
            true
        })?;
        match outcome {
            wait::Outcome::Ready => taken,
            wait::Outcome::TimedOut => Err(ETIMEDOUT),
        }
    }

    /// Whether the locks are held, if there are any.
    pub(super) fn is_ready(&self, volume: &Volume) -> bool {
        let view = volume.view();
        self.state.lock().is_ready(&view)
    }

    /// The turn, if it is free and the locks are held, or `any` will do.
    pub(super) fn try_turn<'a>(
        self: &'a Arc<Self>,
        volume: &'a Arc<Volume>,
        any: bool,
    ) -> Option<Turn<'a>> {
        let view = volume.view();
        let mut state = self.state.lock();
        if state.busy {
            return None;
        }
        if !any && !state.is_ready(&view) {
            return None;
        }
        state.busy = true;
        Some(Turn {
            locks: self,
            volume,
            held: mem::take(&mut state.held),
            keeper: false,
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.locks.state.lock();
        state.busy = false;
        state.held = mem::take(&mut self.held);
        let nothing = state.held.is_empty() && state.unknown == [None; 2];
        let wanted = state.claims.iter().any(|claim| !claim.lost);
        if nothing && !wanted && state.stage == Stage::Held {
            state.stage = Stage::Idle;
            state.settled = state.edits;
            if let Some(anchor) = &state.anchor {
                anchor.set_locked(false);
            }
        }
        let (left_over, gone) = (state.left_over(), state.end());
        let rest = state.stage != Stage::Idle && state.is_unsettled() || !state.parked.is_empty();
        drop(state);
        self.locks.changed.wake_all();
        if let Some((anchor, _at)) = left_over {
            anchor.part(self.volume);
        }
        let over = gone.is_some();
        self.locks.bury(self.volume, gone);
        if !over && rest && !self.keeper {
            self.volume.locks.stir();
            self.volume.wake();
        }
    }
}

impl Turn<'_> {
    /// Whether to try again: the server is lost, and the keeper takes the locks on the next.
    pub(super) fn is_mended(&self, tree: &Arc<Tree>, error: Error) -> bool {
        let reason = match error {
            NOT_NOW => return true,
            Error::Lost => Reason::Gone,
            Error::Malformed => Reason::BadFrame,
            Error::Status(status) => match (tree.gone(status), status.class()) {
                (Some(reason), _) => reason,
                (None, Class::HandleGone) => {
                    self.locks.forget(self.volume);
                    return true;
                }
                _ => return false,
            },
            _ => return false,
        };
        // What was asked for last may have been granted.
        self.locks.state.lock().left = Some(now_ms());
        // What was lost may be a tree that the mount has left already.
        if error != Error::Lost || !self.locks.is_left_behind(tree) {
            self.volume.lost(tree, reason);
        }
        true
    }
}
