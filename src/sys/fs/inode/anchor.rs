// SPDX-License-Identifier: GPL-2.0

//! The way back to an inode for those who do not keep it.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    super::Type,
    life::Outer,
    Inode, //
};
use crate::sys::bindings;
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    }, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        SpinLock, //
    }, //
};

/// Leads to an inode for as long as that is in use. Whoever follows it must be done before the superblock
/// ends.
///
/// # Invariants
///
/// The pointer is null, or that of an inode of type `T` whose `evict_inode` has not come past
/// [`Anchor::weigh`].
#[pin_data]
pub(crate) struct Anchor<T> {
    #[pin]
    inode: SpinLock<Place>,
    _type: PhantomData<fn() -> T>,
}

/// A pointer to an inode.
struct Place(*mut bindings::inode);

// SAFETY: It is only followed under the lock of an [`Anchor`], by any thread.
unsafe impl Send for Place {}

/// The anchor of an inode, if there is one: in its [`Outer`].
///
/// # Invariants
///
/// Null, or from [`Arc::into_raw`] of an [`Anchor`], with one reference.
pub(super) struct Slot<T>(AtomicPtr<Anchor<T>>);

impl<T: Type> Slot<T> {
    /// There is none.
    pub(super) const fn new() -> Self {
        // INVARIANT: Null.
        Slot(AtomicPtr::new(ptr::null_mut()))
    }

    /// What is there, if `anchor` is not put there.
    fn put(&self, anchor: Arc<Anchor<T>>) -> Arc<Anchor<T>> {
        let new = Arc::into_raw(anchor.clone()).cast_mut();
        let order = Ordering::AcqRel;
        // INVARIANT: If it gets there, the reference goes with it.
        match (self.0).compare_exchange(ptr::null_mut(), new, order, Ordering::Acquire) {
            Ok(_) => anchor,
            Err(other) => {
                // SAFETY: It did not get there, so the reference is still ours.
                drop(unsafe { Arc::from_raw(new.cast_const()) });
                // SAFETY: By the type invariant; it is only taken out in `evict_inode`, which does not
                // run while the caller has the inode.
                unsafe { another(other) }
            }
        }
    }
}

/// One more reference to an anchor.
///
/// # Safety
///
/// `anchor` must be from [`Arc::into_raw`], and its reference must stay during the call.
unsafe fn another<T>(anchor: *const Anchor<T>) -> Arc<Anchor<T>> {
    // SAFETY: The caller's promise; the reference is given back at once.
    let kept = core::mem::ManuallyDrop::new(unsafe { Arc::from_raw(anchor) });
    Arc::clone(&kept)
}

impl<T: Type> Inode<T> {
    /// The way back to it.
    pub(crate) fn anchor(&self) -> Result<Arc<Anchor<T>>> {
        // SAFETY: By the type invariant of `Inode` it is in an `Outer`, which has a slot.
        let slot = unsafe { &(*self.as_ptr().cast::<Outer<T>>()).anchor };
        let known = slot.0.load(Ordering::Acquire);
        if !known.is_null() {
            // SAFETY: As in `put`.
            return Ok(unsafe { another(known) });
        }
        // INVARIANT: The caller has the inode, so it is not evicted yet.
        let new = Arc::pin_init(
            pin_init!(Anchor {
                inode <- new_spinlock!(Place(self.as_ptr())),
                _type: PhantomData,
            }),
            GFP_KERNEL,
        )?;
        Ok(slot.put(new))
    }
}

impl<T: Type> Anchor<T> {
    /// The inode, unless it is about to go.
    pub(crate) fn inode(&self) -> Option<ARef<Inode<T>>> {
        let place = self.inode.lock();
        if place.0.is_null() {
            return None;
        }
        // SAFETY: By the type invariant, as long as the lock is held.
        let raw = NonNull::new(unsafe { bindings::igrab(place.0) })?;
        drop(place);
        // SAFETY: `igrab()` has taken a reference for us.
        Some(unsafe { ARef::from_raw(raw.cast::<Inode<T>>()) })
    }

    /// Ends it for the inode in `outer`, which is about to go.
    ///
    /// # Safety
    ///
    /// Only in `evict_inode` of the inode in `outer`.
    pub(super) unsafe fn weigh(outer: *mut Outer<T>) {
        // SAFETY: The inode and with it the slot exist until `free_inode`.
        let slot = unsafe { &(*outer).anchor };
        let raw = slot.0.swap(ptr::null_mut(), Ordering::AcqRel);
        if raw.is_null() {
            return;
        }
        // SAFETY: By the type invariant of `Slot`; the reference is ours now.
        let anchor = unsafe { Arc::from_raw(raw.cast_const()) };
        // INVARIANT: Null.
        anchor.inode.lock().0 = ptr::null_mut();
    }
}
