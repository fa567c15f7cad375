// SPDX-License-Identifier: GPL-2.0

//! Open files that were left behind at a server which fell silent: by now they are open elsewhere, or closed, but
//! the server may still have them, with all that they keep from others, until it ends the session they are of.
//!
//! Locks: `LeftBehind::list`, then `Servers::state`.

use super::{
    handle::{
        Condition,
        Handle,
        Look,
        Seat, //
    },
    ops,
    tree::On,
    volume::Volume,
    Result, //
};
use crate::{
    sys::thread::NoFs,
    transport::conn::Reason, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};

/// The most that are remembered of a mount; the oldest gives way.
const MOST: usize = 1024;

/// Those of a mount.
#[pin_data]
pub(super) struct LeftBehind {
    #[pin]
    list: Mutex<KVec<Left>>,
}

/// One of them. Only numbers and names are kept, as of [`super::former`].
struct Left {
    look: Look,
    /// The guid of the server, and the number of the session there.
    session: ([u8; 16], u64),
}

impl LeftBehind {
    /// None.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self { list <- new_mutex!(KVec::new()) })
    }
}

impl Volume {
    /// Closes what a handle was open as.
    pub(super) fn release(&self, handle: &Handle, seat: Seat) {
        if seat.0.dead().is_none() {
            return ops::close(&On::new(&seat.0, None), seat.1);
        }
        // Without memory it is not shown.
        let _ = self.leave_behind(handle, &seat);
    }

    /// A file is not open any more where it was.
    pub(super) fn forget(&self, handle: &Handle, seat: &Seat) {
        if handle.forget(seat) {
            let _ = self.leave_behind(handle, seat);
        }
    }

    /// Remembers what a server may still have, since it does not know that it was left.
    fn leave_behind(&self, handle: &Handle, seat: &Seat) -> Result {
        let silent = matches!(seat.0.dead(), Some(Reason::Silent | Reason::Frozen));
        let session = seat.0.session();
        if !silent || !session.may_linger() {
            return Ok(());
        }
        // Reclaim may want to close files, and for that the lock.
        let _scope = NoFs::enter();
        let left = Left {
            look: Look::new(handle, handle.path()?, Some(seat), Condition::Leaked)?,
            session: (session.server().guid(), session.id()),
        };
        let mut list = self.left.list.lock();
        list.retain(|left| self.may_be_kept(left));
        if list.len() >= MOST {
            let _ = list.remove(0);
        }
        Ok(list.push(left, GFP_KERNEL)?)
    }

    /// Calls `f` with each open file that a server may still have though nobody here uses it.
    pub(crate) fn each_left(
        &self,
        mut f: impl FnMut(&Look) -> kernel::error::Result,
    ) -> kernel::error::Result {
        let _scope = NoFs::enter();
        let mut list = self.left.list.lock();
        list.retain(|left| self.may_be_kept(left));
        list.iter().try_for_each(|left| f(&left.look))
    }

    fn may_be_kept(&self, left: &Left) -> bool {
        let (server, session) = &left.session;
        self.seeker.world.servers.may_keep(server, *session)
    }
}
