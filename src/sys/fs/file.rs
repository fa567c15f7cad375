// SPDX-License-Identifier: GPL-2.0

//! Open files: `struct file` and the operations of regular ones.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    dentry::Dentry,
    inode::Inode,
    lock,
    FileSystem,
    Type, //
};
use crate::sys::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

/// A `struct file` of a regular file.
///
/// # Invariants
///
/// The C struct is valid and was opened by [`Operations::open`] or `atomic_open`, so its
/// `private_data` came from `Arc<T::File>::into_foreign`.
#[repr(transparent)]
pub(crate) struct File<T>(Opaque<bindings::file>, PhantomData<T>);

impl<T: Type> File<T> {
    /// # Safety
    ///
    /// `file` must be valid for `'a`, with the type invariant.
    pub(super) unsafe fn from_raw<'a>(file: *mut bindings::file) -> &'a Self {
        // SAFETY: `File` is transparent over it; the rest is the caller's promise.
        unsafe { &*file.cast() }
    }

    fn as_ptr(&self) -> *mut bindings::file {
        self.0.get()
    }

    /// What the open file holds.
    pub(crate) fn data(&self) -> ArcBorrow<'_, T::File> {
        // SAFETY: By the type invariant; `private_data` changes only in `release`.
        unsafe { <Arc<T::File> as ForeignOwnable>::borrow((*self.as_ptr()).private_data) }
    }

    /// The inode.
    pub(crate) fn inode(&self) -> &Inode<T> {
        // SAFETY: An open file holds its inode.
        unsafe { Inode::from_raw((*self.as_ptr()).f_inode) }
    }

    /// How it was opened.
    pub(crate) fn flags(&self) -> Flags {
        // SAFETY: By the type invariant; a racy read is fine.
        Flags(unsafe { (*self.as_ptr()).f_flags })
    }

    /// The first error of writeback that this file has not been told yet.
    pub(crate) fn take_error(&self) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::rsdfs_file_error(self.as_ptr()) })
    }
}

/// How a file is opened: `O_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(super) fn from_raw(flags: u32) -> Self {
        Self(flags)
    }

    /// For reading.
    pub(crate) fn read(self) -> bool {
        matches!(
            self.0 & bindings::O_ACCMODE,
            bindings::O_RDONLY | bindings::O_RDWR
        )
    }

    /// For writing.
    pub(crate) fn write(self) -> bool {
        matches!(
            self.0 & bindings::O_ACCMODE,
            bindings::O_WRONLY | bindings::O_RDWR
        )
    }

    /// Made, if there is none.
    pub(crate) fn create(self) -> bool {
        self.0 & bindings::O_CREAT != 0
    }

    /// Made, and an error if there is one.
    pub(crate) fn exclusive(self) -> bool {
        self.0 & bindings::O_EXCL != 0
    }

    /// Only if it is a directory.
    pub(crate) fn directory(self) -> bool {
        self.0 & bindings::O_DIRECTORY != 0
    }

    /// Each write goes to the end.
    pub(crate) fn append(self) -> bool {
        self.0 & bindings::O_APPEND != 0
    }
}

/// Whether the current task was killed: true also while it exits because of that, when killable
/// waits do not end any more.
pub(crate) fn task_killed() -> bool {
    // SAFETY: Looks at the current task only.
    unsafe { bindings::rsdfs_killed() }
}

/// `struct file_operations` of regular files.
pub(crate) trait Operations: Type {
    /// Opens the file.
    fn open(dentry: &Dentry<Self>, inode: &Inode<Self>, flags: Flags) -> Result<Arc<Self::File>>;

    /// A descriptor is closed: the last chance to report an error of writeback.
    fn flush(file: &File<Self>) -> Result;

    /// The last descriptor and mapping are gone.
    fn release(inode: &Inode<Self>, file: Arc<Self::File>);

    /// Makes sure that a range of bytes, whose end is included, is safe at the server.
    fn fsync(file: &File<Self>, start: i64, end: i64) -> Result;

    /// The inode's size and pages are about to be used; `at_end` if just the size is.
    fn before_use(file: &File<Self>, at_end: bool) -> Result;

    /// Something is about to be written through the file, at any place.
    fn before_write(file: &File<Self>) -> Result;

    /// Whether I/O goes around the page cache: no shared writable mappings then.
    fn unbuffered(inode: &Inode<Self>) -> bool;
}

/// The operations of `T`.
struct Table<T>(PhantomData<T>);

impl<T: FileSystem> Table<T> {
    const OPS: bindings::file_operations = bindings::file_operations {
        llseek: Some(llseek::<T>),
        read_iter: Some(read_iter::<T>),
        write_iter: Some(write_iter::<T>),
        mmap_prepare: Some(mmap_prepare::<T>),
        open: Some(open::<T>),
        flush: Some(flush::<T>),
        release: Some(release::<T>),
        fsync: Some(fsync::<T>),
        lock: Some(lock::lock::<T>),
        flock: Some(lock::flock::<T>),
        splice_read: Some(splice_read::<T>),
        splice_write: Some(bindings::iter_file_splice_write),
        ..pin_init::zeroed()
    };

    const VM: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(bindings::filemap_fault),
        map_pages: Some(bindings::filemap_map_pages),
        page_mkwrite: Some(page_mkwrite),
        ..pin_init::zeroed()
    };
}

/// The operations of regular files.
pub(super) fn table<T: FileSystem>() -> *const bindings::file_operations {
    &Table::<T>::OPS
}

/// Completes an `atomic_open`: the file is open already and holds `data`.
///
/// # Safety
///
/// `file` must be one that `atomic_open` was called with, and `dentry` positive and held.
pub(super) unsafe fn adopt<T: FileSystem>(
    file: *mut bindings::file,
    dentry: *mut bindings::dentry,
    data: Arc<T::File>,
) -> Result {
    // SAFETY: `file` is not open, so nobody looks at `private_data`.
    unsafe { (*file).private_data = data.into_foreign() };
    // SAFETY: As the caller promises.
    let result = to_result(unsafe { bindings::finish_open(file, dentry, Some(adopted)) });
    // SAFETY: `file` is valid. Without the flag `release` is never called, so the count is still
    // ours, and nobody else has it.
    unsafe {
        if (*file).f_mode & bindings::rsdfs_fs_RSDFS_FMODE_OPENED == 0 {
            let data = (*file).private_data;
            (*file).private_data = ptr::null_mut();
            let inode = Inode::from_raw((*dentry).d_inode);
            T::release(inode, <Arc<T::File> as ForeignOwnable>::from_foreign(data));
        }
    }
    result
}

/// In place of `open`, for what `atomic_open` opened.
unsafe extern "C" fn adopted(_inode: *mut bindings::inode, _file: *mut bindings::file) -> c_int {
    0
}

unsafe extern "C" fn open<T: FileSystem>(
    inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds the inode and the path.
        let (this, dentry, flags) = unsafe {
            let dentry = (*file).__bindgen_anon_1.f_path.dentry;
            (
                Inode::from_raw(inode),
                Dentry::from_raw(dentry),
                Flags((*file).f_flags),
            )
        };
        let data = T::open(dentry, this, flags)?;
        // SAFETY: The file is not open yet.
        unsafe { (*file).private_data = data.into_foreign() };
        Ok(0)
    })
}

unsafe extern "C" fn flush<T: FileSystem>(
    file: *mut bindings::file,
    _id: bindings::fl_owner_t,
) -> c_int {
    from_result(|| {
        // SAFETY: The file is open.
        T::flush(unsafe { File::from_raw(file) })?;
        Ok(0)
    })
}

unsafe extern "C" fn release<T: FileSystem>(
    inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: Called once, after the last use of the file.
    unsafe {
        let data = (*file).private_data;
        (*file).private_data = ptr::null_mut();
        let data = <Arc<T::File> as ForeignOwnable>::from_foreign(data);
        T::release(Inode::from_raw(inode), data);
    }
    0
}

unsafe extern "C" fn fsync<T: FileSystem>(
    file: *mut bindings::file,
    start: bindings::loff_t,
    end: bindings::loff_t,
    _datasync: c_int,
) -> c_int {
    from_result(|| {
        // SAFETY: The file is open.
        T::fsync(unsafe { File::from_raw(file) }, start, end)?;
        Ok(0)
    })
}

unsafe extern "C" fn llseek<T: FileSystem>(
    file: *mut bindings::file,
    offset: bindings::loff_t,
    whence: c_int,
) -> bindings::loff_t {
    let from_start = matches!(whence as u32, bindings::SEEK_SET | bindings::SEEK_CUR);
    if !from_start {
        // SAFETY: The file is open.
        if let Err(error) = T::before_use(unsafe { File::from_raw(file) }, true) {
            return error.to_errno().into();
        }
    }
    // SAFETY: The file is open.
    unsafe { bindings::generic_file_llseek(file, offset, whence) }
}

unsafe extern "C" fn read_iter<T: FileSystem>(
    iocb: *mut bindings::kiocb,
    to: *mut bindings::iov_iter,
) -> isize {
    // SAFETY: The VFS holds the file during the call.
    if let Err(error) = T::before_use(unsafe { File::from_raw((*iocb).ki_filp) }, false) {
        return error.to_errno() as isize;
    }
    // SAFETY: Passed on as it came.
    unsafe { bindings::netfs_file_read_iter(iocb, to) }
}

unsafe extern "C" fn write_iter<T: FileSystem>(
    iocb: *mut bindings::kiocb,
    from: *mut bindings::iov_iter,
) -> isize {
    const SYNC: i32 =
        (bindings::rsdfs_fs_RSDFS_IOCB_DSYNC | bindings::rsdfs_fs_RSDFS_IOCB_SYNC) as i32;
    // SAFETY: The VFS holds the file during the call.
    let file = unsafe { File::<T>::from_raw((*iocb).ki_filp) };
    if let Err(error) = T::before_write(file) {
        return error.to_errno() as isize;
    }
    if file.flags().append() {
        if let Err(error) = T::before_use(file, true) {
            return error.to_errno() as isize;
        }
    }
    // A synchronous write is a write and an fsync: netfslib's own way, writing through, waits
    // where no signal ends it.
    // SAFETY: The iocb is ours during the call.
    let sync = unsafe {
        let sync = (*iocb).ki_flags & SYNC != 0;
        (*iocb).ki_flags &= !SYNC;
        sync
    };
    // The fsync has to come after the write, so this one is waited for, also where the caller would
    // be told later.
    // SAFETY: As above. Without the callback netfslib does not keep the iocb.
    let callback = unsafe { (*iocb).ki_complete };
    if sync {
        // SAFETY: As above.
        unsafe { (*iocb).ki_complete = None };
    }
    // SAFETY: Passed on as it came, or as a synchronous one.
    let written = unsafe { bindings::netfs_file_write_iter(iocb, from) };
    if sync {
        // SAFETY: The write was synchronous, so the iocb is still ours.
        unsafe { (*iocb).ki_complete = callback };
    }
    if sync && written > 0 {
        // SAFETY: As above.
        let end = unsafe { (*iocb).ki_pos };
        let start = end.saturating_sub(written as i64);
        if let Err(error) = T::fsync(file, start, end.saturating_sub(1)) {
            return error.to_errno() as isize;
        }
    }
    written
}

unsafe extern "C" fn splice_read<T: FileSystem>(
    file: *mut bindings::file,
    pos: *mut bindings::loff_t,
    pipe: *mut bindings::pipe_inode_info,
    len: usize,
    flags: c_uint,
) -> isize {
    // SAFETY: The file is open.
    let this = unsafe { File::<T>::from_raw(file) };
    if let Err(error) = T::before_use(this, false) {
        return error.to_errno() as isize;
    }
    // SAFETY: Passed on as they came.
    unsafe {
        if this.inode().goes_around_cache() {
            bindings::copy_splice_read(file, pos, pipe, len, flags)
        } else {
            bindings::filemap_splice_read(file, pos, pipe, len, flags)
        }
    }
}

unsafe extern "C" fn mmap_prepare<T: FileSystem>(desc: *mut bindings::vm_area_desc) -> c_int {
    from_result(|| {
        // SAFETY: The descriptor is ours during the call, and its file is open.
        let file = unsafe { File::<T>::from_raw((*desc).file) };
        T::before_use(file, false)?;
        if T::unbuffered(file.inode()) {
            // SAFETY: As above.
            to_result(unsafe { bindings::generic_file_readonly_mmap_prepare(desc) })?;
        } else {
            // SAFETY: As above.
            unsafe {
                to_result(bindings::generic_file_mmap_prepare(desc))?;
                (*desc).vm_ops = &Table::<T>::VM;
            }
        }
        Ok(0)
    })
}

unsafe extern "C" fn page_mkwrite(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
    // SAFETY: Passed on as it came.
    unsafe { bindings::netfs_page_mkwrite(vmf, ptr::null_mut()) }
}
