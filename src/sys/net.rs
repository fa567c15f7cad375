// SPDX-License-Identifier: GPL-2.0

//! Network namespaces.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use super::bindings;
use core::{fmt, ptr::NonNull};

/// A counted reference to a `struct net`.
///
/// # Invariants
///
/// The pointer is valid, and this value owns one reference to what it points at.
pub(crate) struct Net(NonNull<bindings::net>);

// SAFETY: A `struct net` is shared by all tasks; its reference count is atomic.
unsafe impl Send for Net {}
// SAFETY: As above; the methods only read what never changes.
unsafe impl Sync for Net {}

impl Net {
    /// The namespace of the current task (of a task that is exiting: the initial one).
    pub(crate) fn current() -> Net {
        // SAFETY: Takes a reference for us, from one that the current task holds.
        Self::owned(unsafe { bindings::rsdfs_net_current() })
    }

    /// Whether it is the initial namespace.
    pub(crate) fn is_first(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::rsdfs_net_is_first(self.0.as_ptr()) }
    }

    /// The inode number that names the namespace, as in `/proc/<pid>/ns/net`.
    pub(crate) fn id(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::rsdfs_net_inum(self.0.as_ptr()) }
    }

    /// For calls into C that borrow the namespace.
    pub(super) fn as_ptr(&self) -> *mut bindings::net {
        self.0.as_ptr()
    }

    /// Takes over the reference that a helper returned, which is never null.
    fn owned(net: *mut bindings::net) -> Net {
        // SAFETY: The helpers return `get_net()` of an existing namespace.
        // INVARIANT: That reference is now ours.
        Net(unsafe { NonNull::new_unchecked(net) })
    }
}

impl Clone for Net {
    fn clone(&self) -> Net {
        // SAFETY: Valid by the type invariant, so its count is not zero.
        Self::owned(unsafe { bindings::rsdfs_net_hold(self.0.as_ptr()) })
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // SAFETY: The type invariant: the reference is ours to give back.
        unsafe { bindings::rsdfs_net_put(self.0.as_ptr()) }
    }
}

impl PartialEq for Net {
    fn eq(&self, other: &Net) -> bool {
        self.0 == other.0
    }
}

impl Eq for Net {}

impl kernel::fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.id())
    }
}
