// SPDX-License-Identifier: GPL-2.0

//! Which way reads and writes of a file go: through their own handle, or through the anchor while there are locks;
//! and those that wait until these are held again.

use super::{
    Kind,
    Locks,
    Range,
    Stage, //
};
use crate::mount::{
    handle::{
        Handle,
        Seat, //
    },
    io::{
        Io,
        Parked, //
    },
    tree::Tree,
    volume::Volume, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Which way a read or write goes.
pub(in crate::mount) enum Route {
    /// Through the handle it was made for.
    Own,
    /// Through the anchor.
    Anchor(Arc<Handle>, Seat),
    /// The locks have to be held again first.
    Wait,
    /// The file was lost with its lock.
    Lost,
}

impl Locks {
    /// Which way a read or write of the file goes.
    pub(in crate::mount) fn route(&self, present: &Arc<Tree>, own: &Handle, write: bool) -> Route {
        let state = self.state.lock();
        if own.is_lost() || write && state.poisoned > 0 {
            return Route::Lost;
        }
        match (state.stage, &state.anchor) {
            (Stage::Idle, _) | (_, None) => Route::Own,
            (Stage::Held, Some(anchor)) => match state.alive(present) {
                Some(_) if !anchor.may(write) => Route::Own,
                Some(seat) => Route::Anchor(anchor.clone(), seat),
                None => Route::Wait,
            },
            (Stage::Reclaiming(_), _) => Route::Wait,
        }
    }

    /// Whether reads and writes go through another handle by now than this one.
    pub(in crate::mount) fn is_elsewhere(&self, by: &Arc<Handle>) -> bool {
        let state = self.state.lock();
        let same = |anchor: &Arc<Handle>| Arc::ptr_eq(anchor, by);
        state.stage != Stage::Idle && !state.anchor.as_ref().is_some_and(same)
    }

    /// A write through the anchor was refused, because of a shared lock of ours it seems: that one has to
    /// be exclusive for the server. Says whether there is one, so that the write may be tried again.
    pub(in crate::mount) fn is_in_the_way(&self, range: Range) -> bool {
        let mut state = self.state.lock();
        let mut found = false;
        for claim in state.claims.iter_mut() {
            if !claim.lost && claim.lock.kind == Kind::Shared && claim.lock.range.overlaps(range) {
                claim.written = true;
                found = true;
            }
        }
        if found {
            state.edits = state.edits.saturating_add(1);
        }
        found
    }

    /// Keeps a read or write until the locks are held again.
    pub(in crate::mount) fn park(&self, volume: &Volume, io: KBox<Io>) {
        self.state.lock().parked.insert(io);
        volume.locks.stir();
        volume.wake();
        // Its keeper has looked already.
        if volume.is_aborted() {
            volume.expire();
        }
    }

    /// How many reads and writes wait.
    pub(in crate::mount) fn parked(&self) -> usize {
        self.state.lock().parked.len()
    }

    /// Ends those that are `over`.
    pub(in crate::mount) fn take_parked(&self, over: impl Fn(&Io) -> bool) -> Parked {
        self.state.lock().parked.take(over)
    }
}
