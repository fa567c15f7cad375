// SPDX-License-Identifier: GPL-2.0

//! Mounts that are made by walking over a directory, and go when nobody uses them.
//!
//! A directory of [`Kind::Link`](super::inode::Kind::Link) is only a place: the VFS calls
//! `d_automount()` before it goes on behind the name, and what that mounts is found there until it
//! expires. The file system's own operations are reached only if nothing could be mounted.
//!
//! C headers: [`include/linux/dcache.h`](srctree/include/linux/dcache.h),
//! [`include/linux/mount.h`](srctree/include/linux/mount.h)

use super::{
    context,
    dentry::Dentry,
    inode,
    FileSystem,
    Type, //
};
use crate::sys::{
    bindings,
    errno::{
        EREMOTE,
        ESTALE, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    str::CString, //
};

/// What `d_automount()` needs.
pub(crate) trait Operations: Type {
    /// Prepares the context of the mount on `dentry`, and says what its device is called.
    fn automount(dentry: &Dentry<Self>, context: &mut Self::Context) -> Result<CString>;

    /// A mount was made that goes with [`expire`].
    fn automounted();
}

/// Ends the automatic mounts that nobody used since the last call: `mark_mounts_for_expiry()`.
pub(crate) fn expire() {
    // SAFETY: Has no requirements.
    unsafe { bindings::rsdfs_automount_expire() };
}

/// Whether there are automatic mounts.
pub(crate) fn any() -> bool {
    // SAFETY: Has no requirements.
    unsafe { bindings::rsdfs_automount_any() }
}

/// After how many seconds an unused one goes; 0 for never. The module's parameter.
pub(crate) fn expiry() -> u64 {
    // SAFETY: Has no requirements.
    u64::from(unsafe { bindings::rsdfs_automount_expiry() })
}

/// A context that is put when it is dropped.
///
/// # Invariants
///
/// The pointer is valid, and its count is ours.
struct Submount(*mut bindings::fs_context);

impl Drop for Submount {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::put_fs_context(self.0.cast()) };
    }
}

/// # Safety
///
/// Called by the VFS with the path of a directory that it is about to walk over.
pub(super) unsafe extern "C" fn d_automount<T: FileSystem>(
    path: *mut bindings::path,
) -> *mut bindings::vfsmount {
    // SAFETY: The VFS holds the path.
    match automount::<T>(unsafe { Dentry::from_raw((*path).dentry) }) {
        Ok(mount) => mount,
        Err(error) => error.to_ptr(),
    }
}

fn automount<T: FileSystem>(dentry: &Dentry<T>) -> Result<*mut bindings::vfsmount> {
    let raw = dentry.as_ptr();
    // SAFETY: The dentry is valid; the root is its own parent.
    if ptr::eq(unsafe { (*raw).d_parent }, raw) {
        return Err(ESTALE);
    }
    // SAFETY: The dentry and its superblock, which has a type, are valid.
    let (fc, sb) = unsafe {
        let sb = (*raw).d_sb;
        (bindings::fs_context_for_submount((*sb).s_type, raw), sb)
    };
    // INVARIANT: The context is new.
    let fc = Submount(from_err_ptr(fc.cast())?);
    // SAFETY: `fs_context_for_submount` has called `init_fs_context`; nobody else has the context.
    let source = T::automount(dentry, unsafe { context::private::<T>(fc.0) })?;
    let source = source.to_bytes();
    // SAFETY: The context and the superblock are valid, and the text for the length given.
    to_result(unsafe {
        bindings::rsdfs_fc_submount(fc.0, sb, source.as_ptr().cast(), source.len())
    })?;
    // SAFETY: The context is complete.
    let mount = from_err_ptr(unsafe { bindings::rsdfs_fc_mount(fc.0) })?;
    // SAFETY: The mount is new and on no list.
    unsafe { bindings::rsdfs_automount_add(mount) };
    T::automounted();
    Ok(mount)
}

/// The operations of links.
struct Table<T>(PhantomData<T>);

impl<T: FileSystem> Table<T> {
    const INODE: bindings::inode_operations = bindings::inode_operations {
        lookup: Some(lookup),
        setattr: Some(inode::setattr::<T>),
        getattr: Some(inode::getattr::<T>),
        ..pin_init::zeroed()
    };
}

/// The operations of an open link.
const FILE: bindings::file_operations = bindings::file_operations {
    open: Some(open),
    llseek: Some(bindings::noop_llseek),
    ..pin_init::zeroed()
};

/// The inode operations of links.
pub(super) fn inode_table<T: FileSystem>() -> *const bindings::inode_operations {
    &Table::<T>::INODE
}

/// The file operations of links.
pub(super) fn file_table() -> *const bindings::file_operations {
    &FILE
}

unsafe extern "C" fn lookup(
    _dir: *mut bindings::inode,
    _dentry: *mut bindings::dentry,
    _flags: c_uint,
) -> *mut bindings::dentry {
    EREMOTE.to_ptr()
}

unsafe extern "C" fn open(_inode: *mut bindings::inode, _file: *mut bindings::file) -> c_int {
    EREMOTE.to_errno()
}
