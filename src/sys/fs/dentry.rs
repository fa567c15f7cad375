// SPDX-License-Identifier: GPL-2.0

//! Names: `struct dentry` and its operations.
//!
//! C header: [`include/linux/dcache.h`](srctree/include/linux/dcache.h)

use super::{
    automount,
    inode::Inode,
    super_block::SuperBlock,
    FileSystem,
    Type, //
};
use crate::sys::{
    bindings,
    errno::{
        EILSEQ,
        ENAMETOOLONG, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr,
    str, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*,
    sync::aref::ARef,
    types::Opaque, //
};

/// A `struct dentry`.
///
/// # Invariants
///
/// The C struct is valid, counted for as long as the reference lives, and of type `T`.
#[repr(transparent)]
pub(crate) struct Dentry<T>(Opaque<bindings::dentry>, PhantomData<T>);

/// Two numbers that the file system keeps with a name, in `d_time` and `d_fsdata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    /// When the name was last looked up, by a clock of the file system's choice.
    pub(crate) time: u64,
    /// What else must be the same for the name to count as looked up.
    pub(crate) version: u64,
}

/// The path of a name, from the root of the superblock, without a leading slash.
pub(crate) struct Path {
    buffer: KVec<u8>,
    start: usize,
}

impl Path {
    /// The path; empty for the root itself.
    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.buffer.get(self.start..).unwrap_or_default();
        str::from_utf8(bytes).unwrap_or_default()
    }
}

impl<T: Type> Dentry<T> {
    /// # Safety
    ///
    /// `dentry` must be valid for `'a`, with the type invariant.
    pub(super) unsafe fn from_raw<'a>(dentry: *mut bindings::dentry) -> &'a Self {
        // SAFETY: `Dentry` is transparent over it; the rest is the caller's promise.
        unsafe { &*dentry.cast() }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::dentry {
        self.0.get()
    }

    /// The superblock.
    pub(crate) fn super_block(&self) -> &SuperBlock<T> {
        // SAFETY: By the type invariant; a dentry keeps its superblock.
        unsafe { SuperBlock::from_raw((*self.as_ptr()).d_sb) }
    }

    /// What the name stands for; `None` if it is known not to exist.
    pub(crate) fn inode(&self) -> Option<ARef<Inode<T>>> {
        // SAFETY: By the type invariant. The inode of a counted dentry stays, once it has one,
        // except in the hands of whoever removes the name, who holds the directory's lock.
        let inode = unsafe { (*self.as_ptr()).d_inode };
        // SAFETY: As above, and inodes of this superblock are of type `T`.
        (!inode.is_null()).then(|| unsafe { ARef::from(Inode::from_raw(inode)) })
    }

    /// Whether something is mounted here, in any namespace.
    pub(crate) fn is_mountpoint(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_dentry_mounted(self.as_ptr()) }
    }

    /// The path, in UTF-8: `dentry_path_raw()`. Not changed by a rename that is under way.
    pub(crate) fn path(&self) -> Result<Path> {
        const SIZE: usize = bindings::PATH_MAX as usize;
        let mut buffer = KVec::<u8>::with_capacity(SIZE, GFP_KERNEL | __GFP_ZERO)?;
        // SAFETY: There is room for `SIZE` bytes, and all of them are 0.
        unsafe { buffer.inc_len(SIZE) };
        let base: *mut u8 = buffer.as_mut_ptr();
        // SAFETY: By the type invariant; the buffer has `SIZE` bytes.
        let path = unsafe { bindings::dentry_path_raw(self.as_ptr(), base.cast(), SIZE as c_int) };
        let path = from_err_ptr(path).map_err(|_| ENAMETOOLONG)?;
        // The path lies at the end of the buffer and ends with a NUL; skip its leading slash.
        let start = path.addr().saturating_sub(base.addr()).saturating_add(1);
        buffer.truncate(SIZE - 1);
        str::from_utf8(buffer.get(start..).ok_or(ENAMETOOLONG)?).map_err(|_| EILSEQ)?;
        Ok(Path { buffer, start })
    }

    /// The stamp; of a new dentry the version is 0, and the time is anything.
    pub(crate) fn stamp(&self) -> Stamp {
        // SAFETY: By the type invariant. The two are read one by one: a torn stamp makes for one
        // lookup too many.
        unsafe {
            Stamp {
                time: ptr::read_volatile(&raw const (*self.as_ptr()).d_time) as u64,
                version: ptr::read_volatile(&raw const (*self.as_ptr()).d_fsdata).addr() as u64,
            }
        }
    }

    /// Changes the stamp.
    pub(crate) fn set_stamp(&self, stamp: Stamp) {
        // SAFETY: As in `stamp`. `d_fsdata` is the file system's own; it is never followed.
        unsafe {
            ptr::write_volatile(&raw mut (*self.as_ptr()).d_time, stamp.time as c_ulong);
            ptr::write_volatile(
                &raw mut (*self.as_ptr()).d_fsdata,
                ptr::without_provenance_mut(stamp.version as usize),
            );
        }
    }
}

/// Why a name is looked at: `LOOKUP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lookup(u32);

impl Lookup {
    /// From the VFS.
    pub(super) fn from_raw(flags: c_uint) -> Self {
        Self(flags)
    }

    /// Trust no cache.
    pub(crate) fn force(self) -> bool {
        self.0 & bindings::rsdfs_fs_RSDFS_LOOKUP_REVAL != 0
    }

    /// The name is to be opened.
    pub(crate) fn to_open(self) -> bool {
        self.0 & bindings::rsdfs_fs_RSDFS_LOOKUP_OPEN != 0
    }

    /// Something is to be renamed to the name.
    pub(crate) fn rename_target(self) -> bool {
        self.0 & bindings::rsdfs_fs_RSDFS_LOOKUP_RENAME_TARGET != 0
    }

    /// The name is to be made, or to be replaced.
    pub(crate) fn to_create(self) -> bool {
        self.0
            & (bindings::rsdfs_fs_RSDFS_LOOKUP_CREATE
                | bindings::rsdfs_fs_RSDFS_LOOKUP_RENAME_TARGET)
            != 0
    }
}

/// `struct dentry_operations`.
pub(crate) trait Operations: Type {
    /// Whether what is known about a name still holds. May sleep.
    fn d_revalidate(dir: &Inode<Self>, dentry: &Dentry<Self>, lookup: Lookup) -> Result<bool>;
}

/// The operations of `T`.
struct Table<T>(PhantomData<T>);

impl<T: FileSystem> Table<T> {
    const OPS: bindings::dentry_operations = bindings::dentry_operations {
        d_revalidate: Some(d_revalidate::<T>),
        d_automount: Some(automount::d_automount::<T>),
        ..pin_init::zeroed()
    };
}

/// The operations of all dentries.
pub(super) fn table<T: FileSystem>() -> *const bindings::dentry_operations {
    &Table::<T>::OPS
}

unsafe extern "C" fn d_revalidate<T: FileSystem>(
    dir: *mut bindings::inode,
    _name: *const bindings::qstr,
    dentry: *mut bindings::dentry,
    flags: c_uint,
) -> c_int {
    if flags & bindings::rsdfs_fs_RSDFS_LOOKUP_RCU != 0 {
        return -(bindings::ECHILD as c_int);
    }
    // SAFETY: Not in RCU mode, so the VFS holds the directory and the dentry.
    let (dir, dentry) = unsafe { (Inode::from_raw(dir), Dentry::from_raw(dentry)) };
    match T::d_revalidate(dir, dentry, Lookup(flags)) {
        Ok(valid) => valid.into(),
        Err(error) => error.to_errno(),
    }
}
