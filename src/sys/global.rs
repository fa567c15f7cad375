// SPDX-License-Identifier: GPL-2.0

//! One shared value for the whole module, from its init to its exit.
//!
//! C callbacks such as `init_fs_context` carry no data of ours; through this they find it.

use core::{
    cell::UnsafeCell,
    hint,
    mem, //
};
use kernel::sync::{
    atomic::{
        AtomicFlag,
        Full,
        Release, //
    },
    Arc, //
};

/// A static place for an [`Arc`], empty at first.
///
/// # Invariants
///
/// `value` is only touched by the one who turned `busy` from false to true.
pub(crate) struct Global<T> {
    busy: AtomicFlag,
    value: UnsafeCell<Option<Arc<T>>>,
}

// SAFETY: Hands out clones of an `Arc<T>` to any thread; `busy` makes the accesses exclusive.
unsafe impl<T: Send + Sync> Sync for Global<T> {}

impl<T> Global<T> {
    /// An empty place.
    pub(crate) const fn new() -> Self {
        Self {
            busy: AtomicFlag::new(false),
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
        while self.busy.xchg(true, Full) {
            hint::spin_loop();
        }
        // SAFETY: By the type invariant nobody else touches the value until `busy` is false again.
        let result = f(unsafe { &mut *self.value.get() });
        self.busy.store(false, Release);
        result
    }
}
