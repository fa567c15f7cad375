// SPDX-License-Identifier: GPL-2.0

//! Files and directories: `struct inode`.
//!
//! An inode is one allocation: `struct netfs_inode`, which begins with `struct inode`, followed by
//! the file system's own data. It comes from a slab cache of its own; see [`life`].
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

mod anchor;
mod attr;
mod life;
mod ops;

use super::{
    automount,
    dir,
    file,
    netfs,
    super_block::{
        self,
        SuperBlock, //
    },
    FileSystem,
    Type, //
};
use crate::sys::bindings;
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};
use life::Outer;

pub(crate) use anchor::Anchor;
pub(crate) use attr::{
    Attr,
    Change,
    Freshness,
    Stat,
    Time,
    Times, //
};
pub(super) use life::{
    alloc_inode,
    cache_create,
    cache_destroy,
    evict_inode,
    free_inode, //
};
pub(super) use ops::{
    getattr,
    setattr, //
};
pub(crate) use ops::{
    Opened,
    Operations,
    RenameFlags, //
};

/// A `struct inode`.
///
/// # Invariants
///
/// The C struct is valid, is the one in an [`Outer<T>`], and is counted for as long as the
/// reference lives.
#[repr(transparent)]
pub(crate) struct Inode<T>(Opaque<bindings::inode>, PhantomData<T>);

// SAFETY: The VFS uses inodes from any thread; `T::Inode` is `Send + Sync`.
unsafe impl<T: Type> Send for Inode<T> {}
// SAFETY: As above.
unsafe impl<T: Type> Sync for Inode<T> {}

// SAFETY: `ihold` and `iput` count.
unsafe impl<T: Type> AlwaysRefCounted for Inode<T> {
    fn inc_ref(&self) {
        // SAFETY: By the type invariant, there is a count already.
        unsafe { bindings::rsdfs_inode_hold(self.as_ptr()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up one count.
        unsafe { bindings::iput(obj.as_ptr().cast()) };
    }
}

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A directory that is elsewhere: what it leads to is mounted when it is walked over.
    Link,
}

/// The outcome of [`SuperBlock::iget`].
pub(crate) enum Found<T: Type> {
    /// The inode was in memory.
    Cached(ARef<Inode<T>>),
    /// The inode is new and locked; others that look it up wait.
    New(New<T>),
}

/// An inode that is being set up; failed when dropped.
///
/// # Invariants
///
/// The inode is `I_NEW`, and this task made it so.
pub(crate) struct New<T: Type>(ARef<Inode<T>>);

impl<T: FileSystem> New<T> {
    /// The inode.
    pub(crate) fn inode(&self) -> &Inode<T> {
        &self.0
    }

    /// Completes the inode. Regular files go around the page cache if `unbuffered`.
    pub(crate) fn init(
        self,
        kind: Kind,
        size: u64,
        attr: &Attr,
        unbuffered: bool,
    ) -> ARef<Inode<T>> {
        let inode = self.0.clone();
        core::mem::forget(self);
        let raw = inode.as_ptr();
        // SAFETY: By the type invariant, the inode is still ours alone.
        unsafe {
            (*raw).i_mode = kind.bits();
            match kind {
                Kind::Dir => {
                    (*raw).i_op = ops::dir_table::<T>();
                    (*raw).__bindgen_anon_3.i_fop = dir::table::<T>();
                }
                Kind::Link => {
                    (*raw).i_op = automount::inode_table::<T>();
                    (*raw).__bindgen_anon_3.i_fop = automount::file_table();
                    (*raw).i_flags |= bindings::rsdfs_fs_RSDFS_S_AUTOMOUNT;
                }
                Kind::File => {
                    (*raw).i_op = ops::file_table::<T>();
                    (*raw).__bindgen_anon_3.i_fop = file::table::<T>();
                }
            }
            (*raw).i_blkbits = 12;
            (*(*raw).i_mapping).a_ops = netfs::address_space::<T>();
            bindings::rsdfs_inode_netfs(raw, netfs::table::<T>(), unbuffered);
            bindings::rsdfs_inode_set_size(raw, size);
        }
        inode.set_attr(attr);
        // SAFETY: As above. The count that `forget` left is the one dropped here.
        unsafe {
            bindings::unlock_new_inode(raw);
            bindings::iput(raw);
        }
        inode
    }
}

impl<T: Type> Drop for New<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. `iget_failed()` drops a count; `ARef` drops its own.
        unsafe {
            bindings::rsdfs_inode_hold(self.0.as_ptr());
            bindings::iget_failed(self.0.as_ptr());
        }
    }
}

impl Kind {
    fn bits(self) -> u16 {
        match self {
            Self::File => bindings::S_IFREG as u16,
            Self::Dir | Self::Link => bindings::S_IFDIR as u16,
        }
    }
}

impl<T: FileSystem> SuperBlock<T> {
    /// Finds the inode for `key`, or makes one with the number `ino`: `iget5_locked()`.
    pub(crate) fn iget(&self, ino: u64, key: T::Key) -> Result<Found<T>> {
        let mut seek = (ino, key);
        // SAFETY: The functions fit the type that `seek` has, which lives during the call.
        let raw = unsafe {
            bindings::iget5_locked(
                self.as_ptr(),
                ino,
                Some(life::test::<T>),
                Some(life::set::<T>),
                ptr::from_mut(&mut seek).cast(),
            )
        };
        let raw = NonNull::new(raw).ok_or(ENOMEM)?;
        // SAFETY: The count is ours.
        let inode = unsafe { ARef::from_raw(raw.cast::<Inode<T>>()) };
        // SAFETY: If the inode is new, then it is locked for us.
        if unsafe { bindings::rsdfs_inode_is_new(raw.as_ptr()) } {
            Ok(Found::New(New(inode)))
        } else {
            Ok(Found::Cached(inode))
        }
    }
}

impl<T: Type> Inode<T> {
    /// # Safety
    ///
    /// `inode` must be valid for `'a`, with the type invariant.
    pub(super) unsafe fn from_raw<'a>(inode: *mut bindings::inode) -> &'a Self {
        // SAFETY: `Inode` is transparent over it; the rest is the caller's promise.
        unsafe { &*inode.cast() }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::inode {
        self.0.get()
    }

    /// The file system's own data.
    pub(crate) fn data(&self) -> &T::Inode {
        // SAFETY: By the type invariant of `Inode`, it is in an `Outer`, whose data is initialised
        // as long as the inode exists.
        unsafe { (*self.as_ptr().cast::<Outer<T>>()).data.assume_init_ref() }
    }

    /// The superblock.
    pub(crate) fn super_block(&self) -> &SuperBlock<T> {
        super_block::of_inode(self)
    }

    /// The inode number.
    pub(crate) fn ino(&self) -> u64 {
        // SAFETY: By the type invariant; it never changes.
        unsafe { (*self.as_ptr()).i_ino }
    }

    /// The kind of file.
    pub(crate) fn kind(&self) -> Kind {
        // SAFETY: By the type invariant; neither the type nor this flag ever changes.
        let (mode, flags) = unsafe { ((*self.as_ptr()).i_mode, (*self.as_ptr()).i_flags) };
        match u32::from(mode) & bindings::S_IFMT {
            bindings::S_IFDIR if flags & bindings::rsdfs_fs_RSDFS_S_AUTOMOUNT != 0 => Kind::Link,
            bindings::S_IFDIR => Kind::Dir,
            _ => Kind::File,
        }
    }

    /// The owner and the group, in the initial user namespace.
    pub(crate) fn owner(&self) -> (u32, u32) {
        // SAFETY: By the type invariant; racy reads are fine.
        unsafe { ((*self.as_ptr()).i_uid.val, (*self.as_ptr()).i_gid.val) }
    }

    /// Whether all names are gone.
    pub(crate) fn is_unlinked(&self) -> bool {
        // SAFETY: By the type invariant; racy reads are fine.
        unsafe { (*self.as_ptr()).__bindgen_anon_1.i_nlink == 0 }
    }

    /// The size, with what has not been written back yet.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_inode_size(self.as_ptr()) }
    }

    /// Takes over what the server told of the size, if it is still `old`; there is nothing dirty.
    pub(crate) fn replace_size(&self, old: u64, new: u64) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_inode_replace_size(self.as_ptr(), old, new) }
    }

    /// The server gave the file this size at our request. For `setattr`, which holds `i_rwsem`.
    pub(crate) fn resize(&self, size: u64) {
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_inode_resize(self.as_ptr(), size) };
    }

    /// Sets the attributes.
    pub(crate) fn set_attr(&self, attr: &Attr) {
        let times = attr.times.unwrap_or_default();
        let c = bindings::rsdfs_attr {
            mode: self.kind().bits() | attr.mode,
            uid: attr.uid,
            gid: attr.gid,
            nlink: attr.nlink,
            blocks: attr.blocks,
            atime: times.atime.sec,
            mtime: times.mtime.sec,
            ctime: times.ctime.sec,
            atime_nsec: times.atime.nsec,
            mtime_nsec: times.mtime.nsec,
            ctime_nsec: times.ctime.nsec,
            times: attr.times.is_some(),
        };
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_inode_attr(self.as_ptr(), &c) };
    }

    /// One name less, or none at all.
    pub(crate) fn drop_link(&self, all: bool) {
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_inode_drop_link(self.as_ptr(), all) };
    }

    /// Whether pages wait to be written or are being written.
    pub(crate) fn is_dirty(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_inode_dirty(self.as_ptr()) }
    }

    /// Writes everything back and waits for it. Ends early, with an error, when the task is killed.
    pub(crate) fn sync(&self) -> Result {
        self.sync_range(0, i64::MAX)
    }

    /// As [`sync`](Self::sync), of a range of bytes whose end is included.
    pub(crate) fn sync_range(&self, start: i64, end: i64) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::rsdfs_inode_sync(self.as_ptr(), start, end) })
    }

    /// Starts to write everything back and does not wait.
    pub(crate) fn start_writeback(&self) {
        // SAFETY: By the type invariant; an inode has a mapping. Errors are kept in the mapping.
        unsafe { bindings::filemap_flush((*self.as_ptr()).i_mapping) };
    }

    /// Whether what is read and written goes around the page cache, mappings excepted.
    pub(crate) fn go_around_cache(&self, around: bool) {
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_inode_go_around(self.as_ptr(), around) };
    }

    /// Whether it does.
    pub(super) fn goes_around_cache(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_inode_goes_around(self.as_ptr()) }
    }

    /// Drops the pages that are not dirty, also where they are mapped.
    pub(crate) fn invalidate(&self) {
        // SAFETY: By the type invariant. Pages that could not be dropped are dirty: they are ours.
        unsafe { bindings::invalidate_inode_pages2((*self.as_ptr()).i_mapping) };
    }
}
