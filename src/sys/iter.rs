// SPDX-License-Identifier: GPL-2.0

//! Where data comes from or goes to, be it a buffer or the pages of a file: `struct iov_iter`.
//!
//! Only over kernel memory (buffers, page vectors, folio queues, xarrays), which any thread may
//! use. Each is a cursor: what is read or written moves it on.
//!
//! C header: [`include/linux/uio.h`](srctree/include/linux/uio.h)

use super::bindings;
use core::{
    marker::PhantomData,
    mem::take,
    slice, //
};
use kernel::prelude::*;

/// A `struct iov_iter` of our own.
///
/// # Invariants
///
/// The iterator is initialised, of a kind that `rsdfs_iter_is_kernel()` accepts, and what it
/// iterates over is valid for `'a`.
struct Pages<'a> {
    iter: bindings::iov_iter,
    _memory: PhantomData<&'a [u8]>,
}

// SAFETY: Kernel memory is mapped for all threads, or mapped when the iterator is used.
unsafe impl Send for Pages<'_> {}
// SAFETY: Shared references only read the fields of the iterator.
unsafe impl Sync for Pages<'_> {}

/// Data to be read. A clone is a second cursor over the same data.
#[derive(Clone)]
pub(crate) struct Source<'a>(From<'a>);

/// What a [`Source`] reads.
///
/// # Invariants
///
/// The direction of the pages is `ITER_SOURCE`, and they may be read.
#[derive(Clone)]
enum From<'a> {
    Buffer(&'a [u8]),
    Pages(Pages<'a>),
}

/// Room for data.
pub(crate) struct Dest<'a>(Into<'a>);

/// What a [`Dest`] writes.
///
/// # Invariants
///
/// The direction of the pages is `ITER_DEST`, they may be written, and nobody else does.
enum Into<'a> {
    Buffer { done: usize, all: &'a mut [u8] },
    Pages(Pages<'a>),
}

impl<'a> Source<'a> {
    /// Reads a buffer.
    pub(crate) fn buffer(buffer: &'a [u8]) -> Self {
        Source(From::Buffer(buffer))
    }

    /// Reads what `iter` iterates over, through an iterator of our own.
    ///
    /// Fails with `EINVAL` for user memory, or if `iter` is meant to be written to.
    ///
    /// # Safety
    ///
    /// `iter` is initialised, and the memory that it iterates over stays valid for `'a`. It may
    /// change meanwhile; then what is read is either.
    pub(crate) unsafe fn pages(iter: *const bindings::iov_iter) -> Result<Self> {
        // SAFETY: The caller's promise.
        unsafe { Pages::copy(iter, true) }.map(|pages| Source(From::Pages(pages)))
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            From::Buffer(buffer) => buffer.len(),
            From::Pages(pages) => pages.len(),
        }
    }

    /// Whether none is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets it end after `len` bytes, if it is longer.
    pub(crate) fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            From::Buffer(buffer) => *buffer = buffer.get(..len).unwrap_or(buffer),
            From::Pages(pages) => pages.truncate(len),
        }
    }

    /// Passes over `len` bytes, or over all that is left.
    pub(crate) fn advance(&mut self, len: usize) {
        match &mut self.0 {
            From::Buffer(buffer) => *buffer = buffer.get(len..).unwrap_or(&[]),
            From::Pages(pages) => pages.advance(len),
        }
    }

    /// Hands all that is left to `f`, piece by piece, in order, and passes over it.
    ///
    /// The pages of a file may change while they are looked at: `f` must not look twice.
    pub(crate) fn for_each_chunk(&mut self, mut f: impl FnMut(&[u8])) {
        match &mut self.0 {
            From::Buffer(buffer) => f(take(buffer)),
            From::Pages(pages) => pages.walk(&mut f),
        }
    }

    /// For calls into C: the iterator, unless this is a buffer.
    pub(super) fn parts(&mut self) -> core::result::Result<*mut bindings::iov_iter, &'a [u8]> {
        match &mut self.0 {
            From::Buffer(buffer) => Err(buffer),
            From::Pages(pages) => Ok(pages.raw()),
        }
    }

    /// Whether the data is in pages that can be given away by reference: `MSG_SPLICE_PAGES`.
    pub(crate) fn has_pages(&self) -> bool {
        match &self.0 {
            From::Buffer(_) => false,
            // SAFETY: Initialised, by the type invariant.
            From::Pages(pages) => unsafe { bindings::rsdfs_iter_has_pages(&pages.iter) },
        }
    }
}

impl<'a> Dest<'a> {
    /// Writes to a buffer.
    pub(crate) fn buffer(buffer: &'a mut [u8]) -> Self {
        Dest(Into::Buffer {
            done: 0,
            all: buffer,
        })
    }

    /// Writes to what `iter` iterates over, through an iterator of our own.
    ///
    /// Fails with `EINVAL` for user memory, or if `iter` is meant to be read.
    ///
    /// # Safety
    ///
    /// `iter` is initialised, the memory that it iterates over stays valid for `'a`, and meanwhile
    /// nobody else writes to it.
    pub(crate) unsafe fn pages(iter: *const bindings::iov_iter) -> Result<Self> {
        // SAFETY: The caller's promise.
        let now = unsafe { Pages::copy(iter, false) }?;
        // INVARIANT: The direction was checked, the rest is promised.
        Ok(Dest(Into::Pages(now)))
    }

    /// How much room is left, in bytes.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Into::Buffer { done, all } => all.len().saturating_sub(*done),
            Into::Pages(now) => now.len(),
        }
    }

    /// Copies from `data`; says how many bytes, fewer only at the end of the room.
    pub(crate) fn write(&mut self, data: &[u8]) -> usize {
        match &mut self.0 {
            Into::Buffer { done, all } => {
                let len = copy(rest(all, *done), data);
                *done = done.saturating_add(len);
                len
            }
            // SAFETY: `data` is valid for reading; the iterator may be written to.
            Into::Pages(now) => unsafe {
                bindings::rsdfs_iter_copy_to(data.as_ptr().cast(), data.len(), now.raw())
            },
        }
    }

    /// For calls into C: the iterator, unless this is a buffer.
    pub(super) fn parts(&mut self) -> core::result::Result<*mut bindings::iov_iter, &mut [u8]> {
        match &mut self.0 {
            Into::Buffer { done, all } => Err(rest(all, *done)),
            Into::Pages(now) => Ok(now.raw()),
        }
    }

    /// Says that C has written `len` bytes to the buffer of [`Self::parts`].
    pub(super) fn advance_buffer(&mut self, len: usize) {
        if let Into::Buffer { done, all } = &mut self.0 {
            *done = all.len().min(done.saturating_add(len));
        }
    }
}

impl Clone for Pages<'_> {
    fn clone(&self) -> Self {
        // INVARIANT: As that of `self`.
        Pages {
            // SAFETY: Initialised; an iterator may be copied, it owns nothing.
            iter: unsafe { (&raw const self.iter).read() },
            _memory: PhantomData,
        }
    }
}

impl Pages<'_> {
    /// # Safety
    ///
    /// `iter` is initialised, and the memory that it iterates over stays valid for the lifetime.
    unsafe fn copy(iter: *const bindings::iov_iter, source: bool) -> Result<Self> {
        // SAFETY: Initialised, by the contract.
        let fits = unsafe {
            bindings::rsdfs_iter_is_kernel(iter) && bindings::rsdfs_iter_is_source(iter) == source
        };
        if !fits {
            return Err(EINVAL);
        }
        // INVARIANT: Checked above and promised by the caller.
        Ok(Pages {
            // SAFETY: Initialised; an iterator may be copied, it owns nothing.
            iter: unsafe { iter.read() },
            _memory: PhantomData,
        })
    }

    fn len(&self) -> usize {
        // SAFETY: Initialised, by the type invariant.
        unsafe { bindings::rsdfs_iter_count(&self.iter) }
    }

    fn truncate(&mut self, len: usize) {
        // SAFETY: Initialised, by the type invariant.
        unsafe { bindings::rsdfs_iter_truncate(&mut self.iter, len) }
    }

    fn advance(&mut self, len: usize) {
        let len = len.min(self.len());
        // SAFETY: Initialised, by the type invariant, and at least that long.
        unsafe { bindings::iov_iter_advance(&mut self.iter, len) }
    }

    fn walk<F: FnMut(&[u8])>(&mut self, f: &mut F) {
        let (len, context) = (self.len(), core::ptr::from_mut(f).cast());
        // SAFETY: Of a kernel kind, by the type invariant; `step::<F>` gets the context it expects,
        // which outlives the call.
        unsafe { bindings::rsdfs_iter_walk(&mut self.iter, len, context, Some(step::<F>)) };
    }

    fn raw(&mut self) -> *mut bindings::iov_iter {
        &mut self.iter
    }
}

/// What is left of a buffer.
fn rest(all: &mut [u8], done: usize) -> &mut [u8] {
    all.get_mut(done..).unwrap_or(&mut [])
}

/// Copies as much as both have; says how much.
fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let len = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
        to.copy_from_slice(from);
    }
    len
}

/// Called for each mapped piece; says how much of it was *not* dealt with.
unsafe extern "C" fn step<F: FnMut(&[u8])>(
    base: *mut c_void,
    _progress: usize,
    len: usize,
    context: *mut c_void,
    _unused: *mut c_void,
) -> usize {
    // SAFETY: The context is the closure that `walk` borrowed mutably.
    let f = unsafe { &mut *context.cast::<F>() };
    // SAFETY: The piece is mapped until we return. Whoever shares the pages may write to them; the
    // closure looks at each byte once, so it cannot be led to assume something that changes.
    f(unsafe { slice::from_raw_parts(base.cast::<u8>(), len) });
    0
}
