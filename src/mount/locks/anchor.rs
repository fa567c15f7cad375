// SPDX-License-Identifier: GPL-2.0

//! The anchor: the handle that all locks of a file are taken with.

use super::{
    turn::{
        Turn,
        NOT_NOW, //
    },
    Locks,
    Stage, //
};
use crate::mount::{
    handle::{
        Handle,
        Seat, //
    },
    tree::{
        On,
        Tree, //
    },
    volume::Volume,
    Create,
    Error,
    How,
    Result, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::status::Class;

impl Turn<'_> {
    /// Where the anchor is open; opens it if need be. From here on reads and writes go through it.
    pub(super) fn sit(&mut self, on: &On<'_>, own: &Arc<Handle>) -> Result<Seat> {
        let (stage, anchor, at) = {
            let state = self.locks.state.lock();
            (state.stage, state.anchor.clone(), state.alive(on))
        };
        match stage {
            Stage::Held => return at.ok_or(NOT_NOW),
            Stage::Reclaiming(_) => return Err(NOT_NOW),
            Stage::Idle => {}
        }
        let anchor = match anchor {
            Some(anchor) if !anchor.is_lost() && !anchor.is_closed() => anchor,
            _ => {
                self.locks.part_with_anchor(self.volume);
                self.anchor(on, own)?
            }
        };
        let seat = self.volume.seat(on, &anchor)?;
        self.volume.locks.enlist(self.locks)?;
        anchor.set_locked(true);
        self.held.clear();
        let mut state = self.locks.state.lock();
        let former = state.at.replace(seat.clone());
        state.stacks = true;
        state.unknown = [None; 2];
        state.stage = Stage::Held;
        state.listed = true;
        drop(state);
        drop(former);
        Ok(seat)
    }

    /// Opens the anchor: for reading and writing, if the server lets us. A file without a name any more
    /// cannot be opened again: then it is the handle it is open with.
    #[inline(never)]
    fn anchor(&mut self, on: &On<'_>, own: &Arc<Handle>) -> Result<Arc<Handle>> {
        let ways = [(true, true), (true, false), (false, true)];
        let mut opened = Err(Error::Kernel(EIO));
        for (read, write) in ways {
            let how = How {
                read,
                write,
                create: Create::Open,
                readonly_attr: false,
                // Its locks would be in our own way until it is claimed again.
                durable: false,
            };
            opened = self.volume.open_anchor(on, own, how);
            match opened {
                Err(Error::Status(status)) if status.class() == Class::Fatal => {}
                _ => break,
            }
        }
        let anchor = match opened {
            Err(Error::Status(_)) => own.clone(),
            opened => opened?,
        };
        anchor.set_anchored(true);
        self.locks.state.lock().anchor = Some(anchor.clone());
        Ok(anchor)
    }
}

impl Handle {
    /// It is the anchor no longer; see [`Locks::part_with_anchor`].
    pub(super) fn part(self: &Arc<Self>, volume: &Volume) {
        self.set_anchored(false);
        if !self.how.durable {
            volume.close(self);
        }
    }
}

impl Locks {
    /// Forgets an anchor that was given up, and closes it, unless it is an open file of somebody, who does that.
    pub(super) fn part_with_anchor(&self, volume: &Volume) {
        let anchor = self.state.lock().anchor.take();
        if let Some(anchor) = anchor {
            anchor.part(volume);
        }
    }

    /// Whether the anchor was open on another tree than the `present` one, and that is dead.
    pub(super) fn is_left_behind(&self, present: &Arc<Tree>) -> bool {
        let state = self.state.lock();
        (state.at.as_ref())
            .is_some_and(|(tree, _)| !Arc::ptr_eq(tree, present) && tree.dead().is_some())
    }

    /// The server has closed the anchor.
    pub(super) fn forget(&self, volume: &Volume) {
        let (anchor, at) = {
            let mut state = self.state.lock();
            (state.anchor.clone(), state.at.take())
        };
        if let (Some(anchor), Some(seat)) = (anchor, at) {
            volume.forget(&anchor, &seat);
        }
    }
}
