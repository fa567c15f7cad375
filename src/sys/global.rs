// SPDX-License-Identifier: GPL-2.0

//! One shared value for the whole module, from its init to its exit.
//!
//! C callbacks such as `init_fs_context` carry no data of ours; through this they find it.

use super::bindings;
use core::{
    cell::UnsafeCell,
    mem, //
};
use kernel::sync::Arc;

/// A static place for an [`Arc`], empty at first.
///
/// # Invariants
///
/// `value` is only touched under `rsdfs_global_lock()`, a spinlock for all of them.
pub(crate) struct Global<T> {
    value: UnsafeCell<Option<Arc<T>>>,
}

// SAFETY: Hands out clones of an `Arc<T>` to any thread; the lock makes the accesses exclusive.
unsafe impl<T: Send + Sync> Sync for Global<T> {}

impl<T> Global<T> {
    /// An empty place.
    pub(crate) const fn new() -> Self {
        Self {
            value: UnsafeCell::new(None),
        }
    }

    /// What is there.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.with(|value| value.clone())
    }

    /// Puts `new` there, and gives back what was.
    pub(crate) fn replace(&self, new: Option<Arc<T>>) -> Option<Arc<T>> {
        self.with(|value| mem::replace(value, new))
    }

    /// Runs `f`, which must be short and must not sleep, with the value.
    fn with<R>(&self, f: impl FnOnce(&mut Option<Arc<T>>) -> R) -> R {
        // SAFETY: A static lock, which `f` does not take: it is one of the two above.
        unsafe { bindings::rsdfs_global_lock() };
        // SAFETY: By the type invariant nobody else touches the value until the lock is free again.
        let result = f(unsafe { &mut *self.value.get() });
        // SAFETY: Taken above.
        unsafe { bindings::rsdfs_global_unlock() };
        result
    }
}
