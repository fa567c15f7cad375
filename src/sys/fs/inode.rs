// SPDX-License-Identifier: GPL-2.0

//! Files and directories: `struct inode` and its operations.
//!
//! An inode is one allocation: `struct netfs_inode`, which begins with `struct inode`, followed by
//! the file system's own data. It comes from a slab cache of its own.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    dentry::Dentry,
    dir,
    file::{
        self,
        File, //
    },
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
    convert::Infallible,
    marker::PhantomData,
    mem::{
        size_of,
        MaybeUninit, //
    },
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
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
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

/// The allocation of an inode.
///
/// # Invariants
///
/// `data` is initialised from `alloc_inode` to `free_inode`.
#[repr(C)]
struct Outer<T: Type> {
    netfs: bindings::netfs_inode,
    data: MaybeUninit<T::Inode>,
}

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
}

/// A time: seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Time {
    /// Seconds since 1970.
    pub(crate) sec: i64,
    /// Nanoseconds, below 1 000 000 000.
    pub(crate) nsec: u32,
}

impl Time {
    fn from_c(time: bindings::timespec64) -> Self {
        Self {
            sec: time.tv_sec,
            nsec: time.tv_nsec as u32,
        }
    }

    fn into_c(self) -> bindings::timespec64 {
        bindings::timespec64 {
            tv_sec: self.sec,
            tv_nsec: self.nsec as c_long,
        }
    }
}

/// The times of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// Last read.
    pub(crate) atime: Time,
    /// Last written.
    pub(crate) mtime: Time,
    /// Last changed.
    pub(crate) ctime: Time,
}

/// Attributes as they are kept in the inode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attr {
    /// Permission bits.
    pub(crate) mode: u16,
    /// Owner, in the initial user namespace.
    pub(crate) uid: u32,
    /// Group, in the initial user namespace.
    pub(crate) gid: u32,
    /// Number of names.
    pub(crate) nlink: u32,
    /// Blocks of 512 bytes.
    pub(crate) blocks: u64,
    /// Times, unless those in the inode are to stay.
    pub(crate) times: Option<Times>,
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
                    (*raw).i_op = &Table::<T>::DIR;
                    (*raw).__bindgen_anon_3.i_fop = dir::table::<T>();
                }
                Kind::File => {
                    (*raw).i_op = &Table::<T>::FILE;
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
            Self::Dir => bindings::S_IFDIR as u16,
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
                Some(test::<T>),
                Some(set::<T>),
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
        // SAFETY: By the type invariant; the type never changes.
        match u32::from(unsafe { (*self.as_ptr()).i_mode }) & bindings::S_IFMT {
            bindings::S_IFDIR => Kind::Dir,
            _ => Kind::File,
        }
    }

    /// The permission bits.
    pub(crate) fn mode(&self) -> u16 {
        // SAFETY: By the type invariant; racy reads are fine.
        unsafe { (*self.as_ptr()).i_mode & 0o7777 }
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

    /// Drops the pages that are not dirty, also where they are mapped.
    pub(crate) fn invalidate(&self) {
        // SAFETY: By the type invariant. Pages that could not be dropped are dirty: they are ours.
        unsafe { bindings::invalidate_inode_pages2((*self.as_ptr()).i_mapping) };
    }
}

/// What `setattr` is to change: `struct iattr`.
///
/// # Invariants
///
/// The pointer is valid for `'a`, and nobody else uses what it points to.
pub(crate) struct Change<'a, T> {
    attr: *mut bindings::iattr,
    _attr: PhantomData<(&'a mut bindings::iattr, T)>,
}

impl<T: Type> Change<'_, T> {
    fn has(&self, bit: u32) -> bool {
        // SAFETY: By the type invariant.
        unsafe { (*self.attr).ia_valid & bit != 0 }
    }

    /// The new size.
    pub(crate) fn size(&self) -> Option<u64> {
        // SAFETY: By the type invariant.
        let size = unsafe { (*self.attr).ia_size };
        self.has(bindings::ATTR_SIZE).then_some(size as u64)
    }

    /// The new permission bits, unless they only lose set-id bits.
    pub(crate) fn mode(&self) -> Option<u16> {
        let killed = self.has(bindings::ATTR_KILL_SUID | bindings::ATTR_KILL_SGID);
        // SAFETY: By the type invariant.
        let mode = unsafe { (*self.attr).ia_mode };
        (self.has(bindings::ATTR_MODE) && !killed).then_some(mode & 0o7777)
    }

    /// The new owner and group, in the initial user namespace.
    pub(crate) fn owner(&self) -> (Option<u32>, Option<u32>) {
        // SAFETY: By the type invariant; without id mapping both members of the unions are the
        // same.
        let (uid, gid) = unsafe {
            (
                (*self.attr).__bindgen_anon_1.ia_uid.val,
                (*self.attr).__bindgen_anon_2.ia_gid.val,
            )
        };
        (
            self.has(bindings::ATTR_UID).then_some(uid),
            self.has(bindings::ATTR_GID).then_some(gid),
        )
    }

    /// The new time of the last read.
    pub(crate) fn atime(&self) -> Option<Time> {
        // SAFETY: By the type invariant. `notify_change()` fills in the current time.
        let time = unsafe { (*self.attr).ia_atime };
        self.has(bindings::ATTR_ATIME).then_some(Time::from_c(time))
    }

    /// The new time of the last write, if a caller asked for one: not for a change of size, which
    /// the server stamps.
    pub(crate) fn mtime(&self) -> Option<Time> {
        let asked = self.has(bindings::ATTR_MTIME) && !self.has(bindings::ATTR_SIZE);
        // SAFETY: By the type invariant.
        let time = unsafe { (*self.attr).ia_mtime };
        asked.then_some(Time::from_c(time))
    }

    /// The open file that the change is made through.
    pub(crate) fn file(&self) -> Option<&File<T>> {
        if !self.has(bindings::ATTR_FILE) {
            return None;
        }
        // SAFETY: By the type invariant, and the file is held by the caller of `setattr`.
        Some(unsafe { File::from_raw((*self.attr).ia_file) })
    }

    /// Whether the caller may do this, by the inode's mode: `setattr_prepare()`.
    pub(crate) fn prepare(&mut self, dentry: &Dentry<T>) -> Result {
        // SAFETY: By the type invariants; the kernel has this map.
        to_result(unsafe {
            bindings::setattr_prepare(&raw mut bindings::nop_mnt_idmap, dentry.as_ptr(), self.attr)
        })
    }
}

/// What `statx` reports beyond what is in the inode.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stat {
    /// When the file was made.
    pub(crate) btime: Option<Time>,
    /// The preferred size of reads and writes.
    pub(crate) block_size: Option<u32>,
}

/// How fresh `statx` wants the attributes: `AT_STATX_SYNC_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// As `stat` does.
    AsStat,
    /// Ask the server.
    Force,
    /// Do not ask the server.
    DontAsk,
}

/// The flags of `rename`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RenameFlags(u32);

impl RenameFlags {
    /// Fail if the new name exists.
    pub(crate) fn no_replace(self) -> bool {
        self.0 & bindings::RENAME_NOREPLACE != 0
    }

    /// Anything else than [`no_replace`](Self::no_replace).
    pub(crate) fn others(self) -> bool {
        self.0 & !bindings::RENAME_NOREPLACE != 0
    }
}

/// What `atomic_open` did.
pub(crate) enum Opened<T: FileSystem> {
    /// The file is open, and was made if the flag says so.
    Open {
        /// The inode.
        inode: ARef<Inode<T>>,
        /// What the open file holds.
        file: kernel::sync::Arc<T::File>,
        /// It did not exist before.
        created: bool,
    },
    /// Only looked up, as `lookup` does.
    Looked(Option<ARef<Inode<T>>>),
}

/// `struct inode_operations` of directories and files, and the life of an inode.
///
/// In all that change a directory, the VFS holds the directory's `i_rwsem` exclusively.
pub(crate) trait Operations: Type {
    /// What a new inode holds.
    fn alloc_inode() -> impl PinInit<Self::Inode>;

    /// Whether the inode is what `key` means. Must not sleep.
    fn test(inode: &Inode<Self>, key: &Self::Key) -> bool;

    /// Makes a new inode what `key` means. Must not sleep.
    fn set(inode: &Inode<Self>, key: &Self::Key);

    /// The inode goes away; its pages are gone already. May sleep.
    fn evict(inode: &Inode<Self>);

    /// Looks a name up; `None` if there is none. The result goes through `d_splice_alias()`.
    fn lookup(dir: &Inode<Self>, dentry: &Dentry<Self>) -> Result<Option<ARef<Inode<Self>>>>;

    /// Looks up, or makes, and opens a file, in one go.
    fn atomic_open(
        dir: &Inode<Self>,
        dentry: &Dentry<Self>,
        flags: file::Flags,
        mode: u16,
    ) -> Result<Opened<Self>>
    where
        Self: FileSystem;

    /// Makes a file that does not exist.
    fn create(dir: &Inode<Self>, dentry: &Dentry<Self>, mode: u16) -> Result<ARef<Inode<Self>>>;

    /// Makes a directory.
    fn mkdir(dir: &Inode<Self>, dentry: &Dentry<Self>, mode: u16) -> Result<ARef<Inode<Self>>>;

    /// Removes the name of a file.
    fn unlink(dir: &Inode<Self>, dentry: &Dentry<Self>) -> Result;

    /// Removes a directory.
    fn rmdir(dir: &Inode<Self>, dentry: &Dentry<Self>) -> Result;

    /// Gives a file or directory another name.
    fn rename(
        from_dir: &Inode<Self>,
        from: &Dentry<Self>,
        to_dir: &Inode<Self>,
        to: &Dentry<Self>,
        flags: RenameFlags,
    ) -> Result;

    /// Changes attributes.
    fn setattr(dentry: &Dentry<Self>, inode: &Inode<Self>, change: Change<'_, Self>) -> Result;

    /// Brings the attributes in the inode up to date.
    fn getattr(dentry: &Dentry<Self>, inode: &Inode<Self>, fresh: Freshness) -> Result<Stat>;
}

/// The operations of `T`.
struct Table<T>(PhantomData<T>);

impl<T: FileSystem> Table<T> {
    const DIR: bindings::inode_operations = bindings::inode_operations {
        lookup: Some(lookup::<T>),
        atomic_open: Some(atomic_open::<T>),
        create: Some(create::<T>),
        link: Some(link),
        unlink: Some(unlink::<T>),
        symlink: Some(symlink),
        mkdir: Some(mkdir::<T>),
        rmdir: Some(rmdir::<T>),
        mknod: Some(mknod),
        rename: Some(rename::<T>),
        setattr: Some(setattr::<T>),
        getattr: Some(getattr::<T>),
        ..pin_init::zeroed()
    };

    const FILE: bindings::inode_operations = bindings::inode_operations {
        setattr: Some(setattr::<T>),
        getattr: Some(getattr::<T>),
        ..pin_init::zeroed()
    };
}

/// The slab cache of the one file system type that is registered.
static CACHE: AtomicPtr<bindings::kmem_cache> = AtomicPtr::new(ptr::null_mut());

/// Makes the slab cache. Once, before the file system is registered.
pub(super) fn cache_create<T: FileSystem>() -> Result {
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
pub(super) fn cache_destroy<T: FileSystem>() {
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
pub(super) unsafe extern "C" fn alloc_inode<T: FileSystem>(
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
pub(super) unsafe extern "C" fn free_inode<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: The data was initialised in `alloc_inode`. There is an inode, so there is a cache.
    unsafe {
        (*inode.cast::<Outer<T>>()).data.assume_init_drop();
        bindings::kmem_cache_free(CACHE.load(Ordering::Acquire), inode.cast());
    }
}

/// # Safety
///
/// Called by the VFS with an inode whose last count is gone.
pub(super) unsafe extern "C" fn evict_inode<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: Nobody looks the inode up any more, and it stays valid until `free_inode`.
    unsafe { bindings::rsdfs_inode_evict(inode) };
    // SAFETY: As above.
    T::evict(unsafe { Inode::from_raw(inode) });
}

/// # Safety
///
/// Called by `iget5_locked()` in [`SuperBlock::iget`].
unsafe extern "C" fn test<T: FileSystem>(inode: *mut bindings::inode, seek: *mut c_void) -> c_int {
    // SAFETY: Inodes of this superblock are of type `T`; `seek` is what `iget` passed.
    unsafe {
        let (ino, key) = *seek.cast::<(u64, T::Key)>();
        let inode = Inode::<T>::from_raw(inode);
        (inode.ino() == ino && !inode.is_unlinked() && T::test(inode, &key)).into()
    }
}

/// # Safety
///
/// Called by `iget5_locked()` in [`SuperBlock::iget`].
unsafe extern "C" fn set<T: FileSystem>(inode: *mut bindings::inode, seek: *mut c_void) -> c_int {
    // SAFETY: The inode is new and ours; `seek` is what `iget` passed.
    unsafe {
        let (ino, key) = *seek.cast::<(u64, T::Key)>();
        (*inode).i_ino = ino;
        T::set(Inode::from_raw(inode), &key);
    }
    0
}

/// The inode and the dentry that the VFS calls an operation with.
///
/// # Safety
///
/// Both must be valid for `'a` and of type `T`.
unsafe fn args<'a, T: Type>(
    inode: *mut bindings::inode,
    dentry: *mut bindings::dentry,
) -> (&'a Inode<T>, &'a Dentry<T>) {
    // SAFETY: The caller's promise.
    unsafe { (Inode::from_raw(inode), Dentry::from_raw(dentry)) }
}

/// Hands an inode's count over to C.
fn into_c<T: Type>(inode: Option<ARef<Inode<T>>>) -> *mut bindings::inode {
    inode.map_or(ptr::null_mut(), |i| ARef::into_raw(i).as_ptr().cast())
}

unsafe extern "C" fn lookup<T: FileSystem>(
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    _flags: c_uint,
) -> *mut bindings::dentry {
    // SAFETY: The VFS holds both.
    let (this, name) = unsafe { args::<T>(dir, dentry) };
    match T::lookup(this, name) {
        // SAFETY: `d_splice_alias` takes over the count; the dentry is not hashed yet.
        Ok(inode) => unsafe { bindings::d_splice_alias(into_c(inode), dentry) },
        Err(error) => error.to_ptr(),
    }
}

unsafe extern "C" fn atomic_open<T: FileSystem>(
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    file: *mut bindings::file,
    flags: c_uint,
    mode: bindings::umode_t,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds both.
        let (this, name) = unsafe { args::<T>(dir, dentry) };
        // A dentry that is hashed was found to be negative just before.
        // SAFETY: The dentry is valid.
        let in_lookup = unsafe { bindings::rsdfs_dentry_in_lookup(dentry) };
        let flags = file::Flags::from_raw(flags);
        if !in_lookup && !flags.create() {
            return Err(ENOENT);
        }
        let (inode, open) = match T::atomic_open(this, name, flags, mode)? {
            Opened::Open {
                inode,
                file,
                created,
            } => {
                // What `release` finds in `private_data` depends on the kind.
                if inode.kind() != Kind::File {
                    return Err(EIO);
                }
                (Some(inode), Some((file, created)))
            }
            Opened::Looked(inode) => (inode, None),
        };
        let mut alias = ptr::null_mut();
        if in_lookup {
            // SAFETY: `d_splice_alias` takes over the count; the dentry is not hashed yet.
            alias = unsafe { bindings::d_splice_alias(into_c(inode), dentry) };
            kernel::error::from_err_ptr(alias)?;
        } else if inode.is_some() {
            // SAFETY: The dentry is negative, and takes over the count.
            unsafe { bindings::d_instantiate(dentry, into_c(inode)) };
        }
        let target = if alias.is_null() { dentry } else { alias };
        let result = match open {
            // SAFETY: `file` is being opened; it takes over the count on `alias`.
            None => return Ok(unsafe { bindings::finish_no_open(file, alias) }),
            // SAFETY: As above; `target` is positive. `file::adopt` takes over the count in
            // `private_data`, also when the opening fails after it.
            Some((data, created)) => unsafe {
                if created {
                    (*file).f_mode |= bindings::rsdfs_fs_RSDFS_FMODE_CREATED;
                }
                file::adopt::<T>(file, target, data)
            },
        };
        if !alias.is_null() {
            // SAFETY: `finish_open` took its own count.
            unsafe { bindings::dput(alias) };
        }
        result.map(|()| 0)
    })
}

unsafe extern "C" fn create<T: FileSystem>(
    _idmap: *mut bindings::mnt_idmap,
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    mode: bindings::umode_t,
    #[cfg(not(RSDFS_LINUX_7_3))] _excl: bool,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds both.
        let (this, name) = unsafe { args::<T>(dir, dentry) };
        let inode = T::create(this, name, mode & 0o7777)?;
        // SAFETY: The dentry is negative, and takes over the count.
        unsafe { bindings::d_instantiate(dentry, into_c(Some(inode))) };
        Ok(0)
    })
}

unsafe extern "C" fn mkdir<T: FileSystem>(
    _idmap: *mut bindings::mnt_idmap,
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    mode: bindings::umode_t,
) -> *mut bindings::dentry {
    // SAFETY: The VFS holds both.
    let (this, name) = unsafe { args::<T>(dir, dentry) };
    match T::mkdir(this, name, mode & 0o7777) {
        Ok(inode) => {
            // SAFETY: The dentry is negative, and takes over the count.
            unsafe { bindings::d_instantiate(dentry, into_c(Some(inode))) };
            ptr::null_mut()
        }
        Err(error) => error.to_ptr(),
    }
}

unsafe extern "C" fn unlink<T: FileSystem>(
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds both.
        let (this, name) = unsafe { args::<T>(dir, dentry) };
        T::unlink(this, name)?;
        Ok(0)
    })
}

unsafe extern "C" fn rmdir<T: FileSystem>(
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds both.
        let (this, name) = unsafe { args::<T>(dir, dentry) };
        T::rmdir(this, name)?;
        Ok(0)
    })
}

unsafe extern "C" fn rename<T: FileSystem>(
    _idmap: *mut bindings::mnt_idmap,
    from_dir: *mut bindings::inode,
    from: *mut bindings::dentry,
    to_dir: *mut bindings::inode,
    to: *mut bindings::dentry,
    flags: c_uint,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds all four.
        let ((from_dir, from), (to_dir, to)) =
            unsafe { (args::<T>(from_dir, from), args::<T>(to_dir, to)) };
        T::rename(from_dir, from, to_dir, to, RenameFlags(flags))?;
        Ok(0)
    })
}

unsafe extern "C" fn setattr<T: FileSystem>(
    _idmap: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    attr: *mut bindings::iattr,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds the dentry, which is positive.
        let (inode, name) = unsafe { args::<T>((*dentry).d_inode, dentry) };
        let change = Change {
            attr,
            _attr: PhantomData,
        };
        T::setattr(name, inode, change)?;
        Ok(0)
    })
}

unsafe extern "C" fn getattr<T: FileSystem>(
    idmap: *mut bindings::mnt_idmap,
    path: *const bindings::path,
    out: *mut bindings::kstat,
    mask: u32,
    flags: c_uint,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds the path, which is positive.
        let (inode, name) = unsafe {
            let dentry = (*path).dentry;
            args::<T>((*dentry).d_inode, dentry)
        };
        let fresh = match flags & bindings::AT_STATX_SYNC_TYPE {
            bindings::AT_STATX_FORCE_SYNC => Freshness::Force,
            bindings::AT_STATX_DONT_SYNC => Freshness::DontAsk,
            _ => Freshness::AsStat,
        };
        let stat = T::getattr(name, inode, fresh)?;
        // SAFETY: `out` is valid for writes.
        unsafe {
            bindings::generic_fillattr(idmap, mask, inode.as_ptr(), out);
            if let Some(btime) = stat.btime {
                (*out).btime = btime.into_c();
                (*out).result_mask |= bindings::STATX_BTIME;
            }
            if let Some(size) = stat.block_size {
                (*out).blksize = size;
            }
        }
        Ok(0)
    })
}

/// What is not there yet says so, other than with the `EPERM` of an operation that is missing.
const UNSUPPORTED: c_int = -(bindings::EOPNOTSUPP as c_int);

unsafe extern "C" fn link(
    _old: *mut bindings::dentry,
    _dir: *mut bindings::inode,
    _new: *mut bindings::dentry,
) -> c_int {
    UNSUPPORTED
}

unsafe extern "C" fn symlink(
    _idmap: *mut bindings::mnt_idmap,
    _dir: *mut bindings::inode,
    _dentry: *mut bindings::dentry,
    _target: *const c_char,
) -> c_int {
    UNSUPPORTED
}

unsafe extern "C" fn mknod(
    _idmap: *mut bindings::mnt_idmap,
    _dir: *mut bindings::inode,
    _dentry: *mut bindings::dentry,
    _mode: bindings::umode_t,
    _dev: bindings::dev_t,
) -> c_int {
    UNSUPPORTED
}
