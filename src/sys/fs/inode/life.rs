// SPDX-License-Identifier: GPL-2.0

//! The life of an inode: its allocation, the slab cache, and how it is found again.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    super::{
        FileSystem,
        Type, //
    },
    anchor::{
        Anchor,
        Slot, //
    },
    Inode, //
};
use crate::sys::bindings;
use core::{
    convert::Infallible,
    mem::{
        size_of,
        MaybeUninit, //
    },
    ptr,
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    }, //
};
use kernel::prelude::*;

/// The allocation of an inode.
///
/// # Invariants
///
/// `anchor` and `data` are initialised from `alloc_inode` to `free_inode`.
#[repr(C)]
pub(super) struct Outer<T: Type> {
    netfs: bindings::netfs_inode,
    pub(super) anchor: Slot<T>,
    pub(super) data: MaybeUninit<T::Inode>,
}

/// The slab cache of the one file system type that is registered.
static CACHE: AtomicPtr<bindings::kmem_cache> = AtomicPtr::new(ptr::null_mut());

/// Makes the slab cache. Once, before the file system is registered.
pub(in crate::sys::fs) fn cache_create<T: FileSystem>() -> Result {
    // SAFETY: The name is static, and the constructor fits the size.
    let cache = unsafe {
        bindings::rsdfs_inode_cache(
            T::INODE_CACHE.as_char_ptr(),
            size_of::<Outer<T>>(),
            Some(init_once::<T>),
        )
    };
    if cache.is_null() {
        return Err(ENOMEM);
    }
    CACHE.store(cache, Ordering::Release);
    Ok(())
}

/// Ends the slab cache, after the file system is unregistered.
pub(in crate::sys::fs) fn cache_destroy<T: FileSystem>() {
    // SAFETY: Waits for `free_inode` of the last inodes. Nothing makes new ones.
    unsafe { bindings::rcu_barrier() };
    let cache = CACHE.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: Made by `cache_create`, and all inodes are back.
    unsafe { bindings::kmem_cache_destroy(cache) };
}

/// # Safety
///
/// Called by the slab allocator with room for one `Outer<T>`.
unsafe extern "C" fn init_once<T: FileSystem>(outer: *mut c_void) {
    // SAFETY: The room begins with a `netfs_inode`, which begins with an inode.
    unsafe { bindings::inode_init_once(&raw mut (*outer.cast::<Outer<T>>()).netfs.inode) };
}

/// # Safety
///
/// Called by the VFS for a superblock of type `T`.
pub(in crate::sys::fs) unsafe extern "C" fn alloc_inode<T: FileSystem>(
    sb: *mut bindings::super_block,
) -> *mut bindings::inode {
    // SAFETY: There is a superblock, so there is a cache.
    let outer = unsafe { bindings::rsdfs_inode_alloc(sb, CACHE.load(Ordering::Acquire)) };
    let outer = outer.cast::<Outer<T>>();
    if outer.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: The room is ours, and stays where it is until `free_inode`. The initialiser cannot
    // fail.
    unsafe {
        (&raw mut (*outer).anchor).write(Slot::new());
        match init_in_place(T::alloc_inode(), (&raw mut (*outer).data).cast()) {
            Ok(()) => &raw mut (*outer).netfs.inode,
        }
    }
}

/// Initialises `slot`: the method has another name since Linux 7.3.
///
/// # Safety
///
/// `slot` is valid for writes, and stays where it is as long as the value lives.
unsafe fn init_in_place<D>(
    init: impl PinInit<D>,
    slot: *mut D,
) -> core::result::Result<(), Infallible> {
    #[cfg(RSDFS_LINUX_7_3)]
    // SAFETY: The caller's promise.
    return unsafe { init.__init(slot) };
    #[cfg(not(RSDFS_LINUX_7_3))]
    // SAFETY: The caller's promise.
    return unsafe { init.__pinned_init(slot) };
}

/// # Safety
///
/// Called by the VFS, after a grace period, with an inode of `alloc_inode` that nobody uses.
pub(in crate::sys::fs) unsafe extern "C" fn free_inode<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: The data was initialised in `alloc_inode`. There is an inode, so there is a cache.
    unsafe {
        (*inode.cast::<Outer<T>>()).data.assume_init_drop();
        bindings::kmem_cache_free(CACHE.load(Ordering::Acquire), inode.cast());
    }
}

/// # Safety
///
/// Called by the VFS with an inode whose last count is gone.
pub(in crate::sys::fs) unsafe extern "C" fn evict_inode<T: FileSystem>(
    inode: *mut bindings::inode,
) {
    // SAFETY: This is that.
    unsafe { Anchor::<T>::weigh(inode.cast()) };
    // SAFETY: Nobody looks the inode up any more, and it stays valid until `free_inode`.
    unsafe { bindings::rsdfs_inode_evict(inode) };
    // SAFETY: As above.
    T::evict(unsafe { Inode::from_raw(inode) });
}

/// # Safety
///
/// Called by `iget5_locked()` in [`SuperBlock::iget`](super::SuperBlock::iget).
pub(super) unsafe extern "C" fn test<T: FileSystem>(
    inode: *mut bindings::inode,
    seek: *mut c_void,
) -> c_int {
    // SAFETY: Inodes of this superblock are of type `T`; `seek` is what `iget` passed.
    unsafe {
        let (ino, key) = *seek.cast::<(u64, T::Key)>();
        let inode = Inode::<T>::from_raw(inode);
        (inode.ino() == ino && !inode.is_unlinked() && T::test(inode, &key)).into()
    }
}

/// # Safety
///
/// Called by `iget5_locked()` in [`SuperBlock::iget`](super::SuperBlock::iget).
pub(super) unsafe extern "C" fn set<T: FileSystem>(
    inode: *mut bindings::inode,
    seek: *mut c_void,
) -> c_int {
    // SAFETY: The inode is new and ours; `seek` is what `iget` passed.
    unsafe {
        let (ino, key) = *seek.cast::<(u64, T::Key)>();
        (*inode).i_ino = ino;
        T::set(Inode::from_raw(inode), &key);
    }
    0
}
