// SPDX-License-Identifier: GPL-2.0

//! The files that are open in a volume: entered when they are opened, found by what they are called, taken
//! along when the volume has moved, and left when they are closed.
//!
//! Locks: `Volume::handles`, then `Handle::state`.

use super::{
    handle::{
        text,
        Handle, //
    },
    lease::Lease,
    volume::Volume,
    Result, //
};
use crate::sys::{
    thread::NoFs,
    time::now_ms, //
};
use kernel::{
    prelude::*,
    rbtree::RBTreeNode,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

impl Volume {
    /// Enters an open file.
    pub(super) fn enlist(&self, handle: &Arc<Handle>) -> Result {
        let node = RBTreeNode::new(handle.id, handle.clone(), GFP_KERNEL)?;
        self.handles.lock().insert(node);
        Ok(())
    }

    /// Calls `f` with each open file.
    pub(super) fn each_handle(&self, mut f: impl FnMut(&Handle)) {
        for handle in self.handles.lock().values() {
            f(handle);
        }
    }

    /// The open files.
    pub(crate) fn handles(&self) -> kernel::error::Result<KVec<Arc<Handle>>> {
        let mut all = KVec::new();
        // Reclaim may want to close files, and for that the lock.
        let _scope = NoFs::enter();
        self.copy_handles(&mut all, |_| true)?;
        Ok(all)
    }

    /// Adds those of the open files that are `wanted` to `out`.
    pub(super) fn copy_handles(
        &self,
        out: &mut KVec<Arc<Handle>>,
        wanted: impl Fn(&Handle) -> bool,
    ) -> kernel::error::Result {
        for handle in self.handles.lock().values().filter(|handle| wanted(handle)) {
            out.push(handle.clone(), GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Has open files follow the mount from a target that it has left, as far as they are to be had.
    pub(super) fn follow(&self) {
        loop {
            let now = now_ms();
            let handles = self.handles.lock();
            let left = handles.values().find(|handle| handle.is_to_follow(now));
            let Some(handle) = left.cloned() else {
                return;
            };
            drop(handles);
            // One that stays puts all of its tree off for a while: this comes to an end.
            if self.take_along(&handle).is_err() {
                return;
            }
        }
    }

    /// Whether an open file should follow.
    pub(super) fn is_to_follow(&self) -> bool {
        let now = now_ms();
        self.handles
            .lock()
            .values()
            .any(|handle| handle.is_to_follow(now))
    }

    /// Whether no file is open.
    pub(super) fn is_idle(&self) -> bool {
        self.handles.lock().is_empty()
    }

    /// Whether this mount has the file open.
    pub(crate) fn is_open(&self, path: &str) -> bool {
        let handles = self.handles.lock();
        let found = handles.values().any(|handle| handle.is_at(path));
        found
    }

    /// Forgets an open file that is being closed; not if it is the last of a file that was removed: then false.
    pub(super) fn leave(&self, handle: &Handle) -> bool {
        // Without memory to know, the file stays under its hidden name.
        let path = handle.path().unwrap_or_default();
        let mut handles = self.handles.lock();
        let other = |other: &Arc<Handle>| other.id != handle.id && other.is_at(text(&path));
        if handle.is_nameless() && !path.is_empty() && !handles.values().any(other) {
            return false;
        }
        let gone = handles.remove(&handle.id);
        drop(handles);
        drop(gone);
        true
    }

    /// A file was removed that is there as `path` still. Whether it is open, and so goes when it is closed.
    pub(super) fn unname(&self, path: &str) -> bool {
        let mut open = false;
        self.each_handle(|handle| open |= handle.unname(path));
        open
    }

    /// Whether there is something for [`Self::bury`].
    pub(super) fn has_condemned(&self) -> bool {
        self.doomed.load(Relaxed) > 0
    }

    /// A file is to be removed now that it is closed.
    pub(super) fn condemn(&self) {
        self.doomed.fetch_add(1, Relaxed);
        self.todo.wake_all();
    }

    /// One that is to be removed.
    pub(super) fn condemned(&self) -> Option<Arc<Handle>> {
        let handles = self.handles.lock();
        let found = handles.values().find(|handle| handle.is_condemned());
        found.cloned()
    }

    /// It was removed.
    pub(super) fn buried(&self, handle: &Handle) {
        let gone = self.handles.lock().remove(&handle.id);
        // Somebody else may have removed it, too.
        if gone.is_some() {
            self.doomed.fetch_sub(1, Relaxed);
        }
    }

    /// The lease of those who have the file open here.
    pub(super) fn lease_at(&self, path: &str) -> Option<Arc<Lease>> {
        let handles = self.handles.lock();
        let found = handles.values().find(|handle| handle.is_at(path))?;
        Some(found.lease().clone())
    }

    /// Tells the open files with a number below `before` that something was renamed.
    pub(super) fn moved(&self, from: &str, to: &str, before: u64) -> Result {
        // Reclaim may want to close files, and for that the lock.
        let _scope = NoFs::enter();
        let handles = self.handles.lock();
        for handle in handles.values().filter(|handle| handle.id < before) {
            handle.moved(from, to)?;
        }
        Ok(())
    }
}
