// SPDX-License-Identifier: GPL-2.0

//! I/O of the page cache, and around it: `struct netfs_request_ops`.
//!
//! netfslib cuts what is to be read or written into subrequests. Each is owned here, by a
//! [`Subreq`], from the moment it is issued until it is ended, and ends exactly once: with its
//! result, or with `EIO` when it is dropped. This may happen in any context that can take a
//! spinlock, and on any thread.
//!
//! C header: [`include/linux/netfs.h`](srctree/include/linux/netfs.h)

use super::{
    file::File,
    inode::Inode,
    FileSystem,
    Type, //
};
use crate::sys::{
    bindings,
    iter::{
        Dest,
        Source, //
    }, //
};
use core::{
    marker::PhantomData,
    mem,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    error::from_result,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::ForeignOwnable, //
};

/// The kinds of [`Subreq`].
pub(crate) trait Direction: sealed::End {}

/// From the server.
pub(crate) enum Read {}
/// To the server.
pub(crate) enum Write {}

impl Direction for Read {}
impl Direction for Write {}

mod sealed {
    use super::*;

    pub(crate) trait End {
        /// # Safety
        ///
        /// `raw` must be owned by the caller, who gives it up.
        unsafe fn end(raw: NonNull<bindings::netfs_io_subrequest>, result: Result<usize>);
    }

    impl End for Read {
        unsafe fn end(raw: NonNull<bindings::netfs_io_subrequest>, result: Result<usize>) {
            let (len, error) = match result {
                Ok(len) => (len, 0),
                Err(error) => (0, error.to_errno()),
            };
            // SAFETY: The caller's promise.
            unsafe { bindings::rsdfs_netfs_read_done(raw.as_ptr(), len, error) };
        }
    }

    impl End for Write {
        unsafe fn end(raw: NonNull<bindings::netfs_io_subrequest>, result: Result<usize>) {
            let result = match result {
                Ok(len) => len as isize,
                Err(error) => error.to_errno() as isize,
            };
            // SAFETY: The caller's promise.
            unsafe { bindings::rsdfs_netfs_write_done(raw.as_ptr(), result) };
        }
    }
}

/// A subrequest that was issued and has not ended: a `struct netfs_io_subrequest`.
///
/// # Invariants
///
/// `raw` is valid and was handed over to us by netfslib, together with a count; what its iterator
/// points to stays valid until it is ended.
pub(crate) struct Subreq<T: Type, D: Direction> {
    raw: NonNull<bindings::netfs_io_subrequest>,
    _type: PhantomData<(T, D)>,
}

// SAFETY: netfslib lets any thread work on a subrequest and end it.
unsafe impl<T: Type, D: Direction> Send for Subreq<T, D> {}
// SAFETY: Through a shared reference, only what does not change is read.
unsafe impl<T: Type, D: Direction> Sync for Subreq<T, D> {}

impl<T: Type, D: Direction> Subreq<T, D> {
    /// Where in the file.
    pub(crate) fn pos(&self) -> u64 {
        // SAFETY: By the type invariant; nobody else changes it before the end.
        let (start, done) =
            unsafe { ((*self.raw.as_ptr()).start, (*self.raw.as_ptr()).transferred) };
        start.saturating_add(done as u64)
    }

    /// How many bytes.
    pub(crate) fn len(&self) -> usize {
        // SAFETY: As above.
        let (len, done) = unsafe { ((*self.raw.as_ptr()).len, (*self.raw.as_ptr()).transferred) };
        len.saturating_sub(done)
    }

    /// The open file that the request was given.
    pub(crate) fn file(&self) -> Option<ArcBorrow<'_, T::File>> {
        // SAFETY: By the type invariant; the request keeps the count until it is freed.
        unsafe { borrow_private::<T>((*self.raw.as_ptr()).rreq) }
    }

    /// Ends the subrequest: how many bytes were read or written. To have read less than was asked
    /// for means that the file ends there.
    pub(crate) fn done(self, result: Result<usize>) {
        let raw = self.raw;
        mem::forget(self);
        // SAFETY: By the type invariant; `self` is gone.
        unsafe { D::end(raw, result) };
    }
}

impl<T: Type> Subreq<T, Read> {
    /// Where the bytes go, from the start, each time.
    pub(crate) fn dest(&self) -> Result<Dest<'_>> {
        // SAFETY: By the type invariant; the iterator is copied, not moved on.
        unsafe { Dest::pages(&raw const (*self.raw.as_ptr()).io_iter) }
    }
}

impl<T: Type> Subreq<T, Write> {
    /// Where the bytes come from, from the start, each time.
    pub(crate) fn source(&self) -> Result<Source<'_>> {
        // SAFETY: By the type invariant; the iterator is copied, not moved on.
        unsafe { Source::pages(&raw const (*self.raw.as_ptr()).io_iter) }
    }
}

impl<T: Type> Subreq<T, Write> {
    /// What is not written now stays dirty, if it is of the page cache: pages of which all is there, that is.
    pub(crate) fn keep_dirty(&self) {
        // SAFETY: By the type invariant; the pages are under writeback until it is ended.
        unsafe { bindings::rsdfs_netfs_keep_dirty(self.raw.as_ptr()) };
    }
}

impl<T: Type, D: Direction> Drop for Subreq<T, D> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; nobody uses `self` after this.
        unsafe { D::end(self.raw, Err(EIO)) };
    }
}

/// `struct netfs_request_ops`.
pub(crate) trait Operations: Type {
    /// Chooses the open file for a request; `file` is the one it is made through, if any.
    fn init_request(
        inode: &Inode<Self>,
        file: Option<&File<Self>>,
        write: bool,
    ) -> Result<Arc<Self::File>>;

    /// Pages are about to be written back. If that fails, they stay dirty.
    fn before_writeback(inode: &Inode<Self>) -> Result;

    /// Chooses the open file for the writing back of pages. Without one the pages are lost, and the
    /// next to sync or close the file gets `EIO`.
    fn begin_writeback(inode: &Inode<Self>) -> Option<Arc<Self::File>>;

    /// The most bytes in one read.
    fn read_max(inode: &Inode<Self>) -> usize;

    /// The most bytes in one write.
    fn write_max(inode: &Inode<Self>) -> usize;

    /// Reads.
    fn issue_read(subreq: Subreq<Self, Read>);

    /// Writes.
    fn issue_write(subreq: Subreq<Self, Write>);

    /// The file was changed locally, in size or content.
    fn post_modify(inode: &Inode<Self>);
}

/// The operations of `T`.
struct Table<T>(PhantomData<T>);

impl<T: FileSystem> Table<T> {
    const OPS: bindings::netfs_request_ops = bindings::netfs_request_ops {
        init_request: Some(init_request::<T>),
        free_request: Some(free_request::<T>),
        prepare_read: Some(prepare_read::<T>),
        issue_read: Some(issue_read::<T>),
        begin_writeback: Some(begin_writeback::<T>),
        issue_write: Some(issue_write::<T>),
        post_modify: Some(post_modify::<T>),
        request_pool: ptr::null_mut(),
        subrequest_pool: ptr::null_mut(),
        free_subrequest: None,
        expand_readahead: None,
        is_still_valid: None,
        check_write_begin: None,
        done: None,
        update_i_size: None,
        prepare_write: None,
        retry_request: None,
        invalidate_cache: None,
    };

    const ADDRESS_SPACE: bindings::address_space_operations = bindings::address_space_operations {
        read_folio: Some(bindings::netfs_read_folio),
        readahead: Some(bindings::netfs_readahead),
        dirty_folio: Some(bindings::netfs_dirty_folio),
        release_folio: Some(bindings::netfs_release_folio),
        invalidate_folio: Some(bindings::netfs_invalidate_folio),
        direct_IO: Some(bindings::noop_direct_IO),
        writepages: Some(writepages::<T>),
        migrate_folio: Some(bindings::filemap_migrate_folio),
        ..pin_init::zeroed()
    };
}

/// The operations of all requests.
pub(super) fn table<T: FileSystem>() -> *const bindings::netfs_request_ops {
    &Table::<T>::OPS
}

/// The operations of all address spaces.
pub(super) fn address_space<T: FileSystem>() -> *const bindings::address_space_operations {
    &Table::<T>::ADDRESS_SPACE
}

/// The open file of a request.
///
/// # Safety
///
/// `rreq` must be a request of type `T` that is not freed during `'a`.
unsafe fn borrow_private<'a, T: Type>(
    rreq: *mut bindings::netfs_io_request,
) -> Option<ArcBorrow<'a, T::File>> {
    // SAFETY: The caller's promise. `netfs_priv` is null or came from `into_foreign`.
    unsafe {
        let private = (*rreq).netfs_priv;
        (!private.is_null()).then(|| <Arc<T::File> as ForeignOwnable>::borrow(private))
    }
}

unsafe extern "C" fn init_request<T: FileSystem>(
    rreq: *mut bindings::netfs_io_request,
    file: *mut bindings::file,
) -> c_int {
    from_result(|| {
        // SAFETY: The request is new, and netfslib holds the inode and the file.
        let (origin, inode) = unsafe { ((*rreq).origin, Inode::<T>::from_raw((*rreq).inode)) };
        let write = match origin {
            // Which file, is asked once there is something to write.
            bindings::netfs_io_origin_NETFS_WRITEBACK
            | bindings::netfs_io_origin_NETFS_WRITEBACK_SINGLE => return Ok(0),
            bindings::netfs_io_origin_NETFS_WRITETHROUGH
            | bindings::netfs_io_origin_NETFS_UNBUFFERED_WRITE
            | bindings::netfs_io_origin_NETFS_DIO_WRITE => true,
            _ => false,
        };
        // SAFETY: As above.
        let file = (!file.is_null()).then(|| unsafe { File::from_raw(file) });
        let chosen = T::init_request(inode, file, write)?;
        // SAFETY: As above.
        unsafe {
            (*rreq).wsize = T::write_max(inode) as c_uint;
            (*rreq).netfs_priv = chosen.into_foreign();
        }
        Ok(0)
    })
}

unsafe extern "C" fn free_request<T: FileSystem>(rreq: *mut bindings::netfs_io_request) {
    // SAFETY: The request is going away, so nobody borrows from `netfs_priv` any more.
    unsafe {
        let private = mem::replace(&mut (*rreq).netfs_priv, ptr::null_mut());
        if !private.is_null() {
            drop(<Arc<T::File> as ForeignOwnable>::from_foreign(private));
        }
    }
}

unsafe extern "C" fn writepages<T: FileSystem>(
    mapping: *mut bindings::address_space,
    control: *mut bindings::writeback_control,
) -> c_int {
    from_result(|| {
        // SAFETY: The caller holds the inode, and its mapping with it.
        T::before_writeback(unsafe { Inode::<T>::from_raw((*mapping).host) })?;
        // SAFETY: Passed on as they came.
        Ok(unsafe { bindings::netfs_writepages(mapping, control) })
    })
}

unsafe extern "C" fn begin_writeback<T: FileSystem>(rreq: *mut bindings::netfs_io_request) {
    // SAFETY: netfslib holds the inode.
    let inode = unsafe { Inode::<T>::from_raw((*rreq).inode) };
    if let Some(chosen) = T::begin_writeback(inode) {
        // SAFETY: The request is not shared yet, and is given its file only here.
        unsafe {
            (*rreq).wsize = T::write_max(inode) as c_uint;
            (*rreq).netfs_priv = chosen.into_foreign();
            (*rreq).io_streams[0].avail = true;
        }
        return;
    }
    // What is not sent counts as clean from now on: those who sync or close must be told.
    // SAFETY: The inode is held, and its mapping with it.
    unsafe { bindings::rsdfs_mapping_error((*rreq).mapping, EIO.to_errno()) };
}

unsafe extern "C" fn prepare_read<T: FileSystem>(
    subreq: *mut bindings::netfs_io_subrequest,
) -> c_int {
    // SAFETY: The subrequest is being made by this task, and netfslib holds the inode.
    unsafe {
        let rreq = (*subreq).rreq;
        (*rreq).io_streams[0].sreq_max_len = T::read_max(Inode::from_raw((*rreq).inode));
    }
    0
}

/// Takes over a subrequest.
///
/// # Safety
///
/// `raw` must have been issued by netfslib to a file system of type `T`, in direction `D`.
unsafe fn take<T: Type, D: Direction>(raw: *mut bindings::netfs_io_subrequest) -> Subreq<T, D> {
    Subreq {
        // SAFETY: The caller's promise: it is not null.
        raw: unsafe { NonNull::new_unchecked(raw) },
        _type: PhantomData,
    }
}

unsafe extern "C" fn issue_read<T: FileSystem>(subreq: *mut bindings::netfs_io_subrequest) {
    // SAFETY: Just issued to us.
    T::issue_read(unsafe { take(subreq) });
}

unsafe extern "C" fn issue_write<T: FileSystem>(subreq: *mut bindings::netfs_io_subrequest) {
    // SAFETY: Just issued to us.
    T::issue_write(unsafe { take(subreq) });
}

unsafe extern "C" fn post_modify<T: FileSystem>(inode: *mut bindings::inode) {
    // SAFETY: netfslib holds the inode.
    T::post_modify(unsafe { Inode::from_raw(inode) });
}
