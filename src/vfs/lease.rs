// SPDX-License-Identifier: GPL-2.0

//! What is kept of a file because its server promised to tell when somebody else wants it.
//!
//! A mount asks for the file's inode to be written back, or to be forgotten, at any time. It is found by its
//! [`Anchor`], which does not keep it; and a superblock that ends waits for those who are at it, behind its
//! [`Gate`].

use super::{
    file::Opened,
    Fs,
    Inode, //
};
use crate::{
    mount::lease::{
        Holder,
        Lease, //
    },
    sys::{
        fs::inode::Anchor,
        wait::WaitQueue, //
    }, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};

/// Lets work use the inodes of a superblock until it ends.
#[pin_data]
pub(super) struct Gate {
    #[pin]
    state: SpinLock<State>,
    #[pin]
    left: WaitQueue,
}

struct State {
    inside: usize,
    closed: bool,
}

/// Leave to use inodes; ends when it is dropped.
struct Pass<'a>(&'a Gate);

impl Gate {
    /// An open one.
    pub(super) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                state <- new_spinlock!(State {
                    inside: 0,
                    closed: false,
                }),
                left <- WaitQueue::new(),
            }),
            GFP_KERNEL,
        )
    }

    fn enter(&self) -> Option<Pass<'_>> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        state.inside = state.inside.saturating_add(1);
        Some(Pass(self))
    }

    /// Lets nobody in any more, and waits until all are out.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        (self.left).wait_idle(None, || self.state.lock().inside == 0);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.inside = state.inside.saturating_sub(1);
        drop(state);
        self.0.left.wake_all();
    }
}

/// The pages and attributes of an inode.
struct Shelf {
    anchor: Arc<Anchor<Fs>>,
    gate: Arc<Gate>,
}

impl Shelf {
    fn with(&self, f: impl FnOnce(&Inode)) {
        let Some(pass) = self.gate.enter() else {
            return;
        };
        if let Some(inode) = self.anchor.inode() {
            f(&inode);
        }
        // After the inode.
        drop(pass);
    }
}

impl Holder for Shelf {
    fn write_back(&self) {
        // Who writes learns of an error by fsync or close.
        self.with(|inode| {
            let _ = inode.sync();
        });
    }

    fn forget(&self) {
        self.with(|inode| {
            inode.data().expire();
            inode.invalidate();
        });
    }
}

/// Enters an open file into its inode, which is told from now on what others do to the file.
pub(super) fn enter(inode: &Inode, open: &Arc<Opened>) -> Result {
    let node = inode.data();
    node.enter(open)?;
    // What fails to be opened is not to stay in the list.
    guard(inode, open.handle().lease()).inspect_err(|_| node.leave(open))
}

/// Has the inode told what others do to a file that goes by `lease`.
fn guard(inode: &Inode, lease: &Lease) -> Result {
    if !lease.is_guarded() {
        let gate = inode.super_block().data().gate().clone();
        let anchor = inode.anchor()?;
        lease.guard(Arc::new(Shelf { anchor, gate }, GFP_KERNEL)?);
    }
    Ok(())
}
