// SPDX-License-Identifier: GPL-2.0

//! Reads and writes that wait for a tree.

use super::{
    Phase,
    Volume, //
};
use crate::{
    mount::{
        io::{
            Io,
            Parked, //
        },
        Error, //
    },
    sys::time::now_ms, //
};
use core::mem;
use kernel::prelude::*;

impl Volume {
    /// Keeps a read or write until there is a tree again.
    pub(in crate::mount) fn park(&self, io: KBox<Io>) {
        self.parked.lock().insert(io);
        self.todo.wake_all();
    }

    /// How many reads and writes wait for a tree.
    pub(in crate::mount) fn parked(&self) -> usize {
        let mut count = self.parked.lock().len();
        self.locks
            .each(|locks| count = count.saturating_add(locks.parked()));
        count
    }

    /// Sends what is parked, in order; or ends it, on an aborted mount.
    pub(in crate::mount) fn resume(&self) {
        self.expire();
        let mut parked = mem::take(&mut *self.parked.lock());
        while let Some(io) = parked.pop() {
            Io::start(io);
        }
    }

    /// Ends parked requests whose time is up, or all of an aborted mount.
    pub(in crate::mount) fn expire(&self) {
        let aborted = self.state.lock().phase == Phase::Aborted;
        let now = now_ms();
        let fail = |mut late: Parked| {
            while let Some(io) = late.pop() {
                io.fail(if aborted {
                    Error::Kernel(EIO)
                } else {
                    Error::Timeout
                });
            }
        };
        let over = |io: &Io| aborted || io.is_late(now);
        let late = self.parked.lock().take(over);
        fail(late);
        self.locks.each(|locks| fail(locks.take_parked(over)));
    }
}
