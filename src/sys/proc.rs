// SPDX-License-Identifier: GPL-2.0

//! Text files under `/proc` that are made when they are opened, and take commands, or a text in
//! pieces, when written to.
//!
//! Lock: `Opened::text`, of one open file; under it [`Show::append`] runs.
//!
//! Removing a file waits for calls in progress, so what a file shows lives as long as anyone looks.
//!
//! C headers: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h),
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

use super::bindings;
use core::{
    fmt,
    mem::MaybeUninit,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    types::Opaque,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// The longest command that can be written, in bytes.
const LONGEST: usize = 4096;

/// The longest piece of a text that is taken at once, in bytes; `write()` says how much was.
const PIECE: usize = 64 << 10;

/// What a file shows and does.
pub(crate) trait Show: Send + Sync {
    /// Writes the whole text; called for each reader, and again if it did not fit.
    fn show(&self, out: &mut SeqFile) -> Result;

    /// Takes a command: what one `write()` wrote. `EOPNOTSUPP` by default.
    fn write(&self, input: &[u8]) -> Result {
        let _ = input;
        Err(super::errno::EOPNOTSUPP)
    }

    /// Whether it takes a text in pieces instead of commands.
    fn takes_text(&self) -> bool {
        false
    }

    /// Takes the next piece of a text; `text` is kept for as long as the file is open, at first
    /// empty. By default the piece is a command.
    fn append(&self, text: &mut KVVec<u8>, piece: &[u8]) -> Result {
        let _ = text;
        self.write(piece)
    }

    /// The file that was written to is closed; `text` is what is left.
    fn closed(&self, text: &[u8]) {
        let _ = text;
    }
}

/// The text that a reader gets, written to with `write!`.
///
/// # Invariants
///
/// The struct is a valid `seq_file` that is only used through this reference.
#[repr(transparent)]
pub(crate) struct SeqFile(Opaque<bindings::seq_file>);

impl SeqFile {
    /// Appends bytes as they are: `seq_write()`.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        // SAFETY: Valid by the type invariant. If it is full, the file is shown again with more
        // room, so there is no failure to report.
        unsafe { bindings::seq_write(self.0.get(), bytes.as_ptr().cast(), bytes.len()) };
    }
}

impl SeqFile {
    /// Whether it is full, so that all is to be shown again with more room: `seq_has_overflowed()`.
    fn is_full(&self) -> bool {
        let seq = self.0.get();
        // SAFETY: Valid by the type invariant.
        unsafe { (*seq).count == (*seq).size }
    }
}

impl fmt::Write for SeqFile {
    /// Fails when it is full, to end what would be in vain; that failure does not reach the reader.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        match self.is_full() {
            true => Err(fmt::Error),
            false => Ok(()),
        }
    }
}

/// A directory. It goes when it and all that is in it are dropped.
///
/// # Invariants
///
/// `entry` is a directory that we made and have not removed.
pub(crate) struct Dir {
    entry: NonNull<bindings::proc_dir_entry>,
    /// Keeps the directory this one is in.
    _parent: Option<Arc<Dir>>,
}

// SAFETY: The entries of `/proc` are protected by a lock of their own.
unsafe impl Send for Dir {}
// SAFETY: As above.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes the directory `/proc/<path>`, whose parent exists: `proc_mkdir()`.
    pub(crate) fn new(path: &CStr) -> Result<Arc<Self>> {
        Self::make(path, None)
    }

    /// Makes a file in this directory: `proc_create_data()`.
    ///
    /// `mode` holds the permission bits, such as `0o444`, or `0o644` for one that takes commands.
    pub(crate) fn file(
        self: &Arc<Self>,
        name: &CStr,
        mode: u16,
        show: Arc<dyn Show>,
    ) -> Result<File> {
        let node = KBox::new(Node { show }, GFP_KERNEL)?;
        let data = core::ptr::from_ref(&*node).cast_mut().cast();
        let (name, dir) = (name.as_char_ptr(), self.entry.as_ptr());
        // SAFETY: The name is copied, the directory exists by the type invariant, the operations
        // are static, and `node` outlives the file.
        let entry = unsafe { bindings::proc_create_data(name, mode, dir, &OPS, data) };
        // INVARIANT: Made just now, with `node` for its data.
        Ok(File {
            entry: NonNull::new(entry).ok_or(ENOMEM)?,
            _node: node,
            _dir: self.clone(),
        })
    }

    fn make(path: &CStr, parent: Option<Arc<Dir>>) -> Result<Arc<Self>> {
        let within = parent.as_ref().map_or(null_mut(), |dir| dir.entry.as_ptr());
        // SAFETY: The path is copied; the parent exists, or null stands for the root of `/proc`.
        let entry = unsafe { bindings::proc_mkdir(path.as_char_ptr(), within) };
        // INVARIANT: Made just now.
        let dir = Dir {
            entry: NonNull::new(entry).ok_or(ENOMEM)?,
            _parent: parent,
        };
        Ok(Arc::new(dir, GFP_KERNEL)?)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: Ours by the type invariant, and empty: what is in it holds it.
        unsafe { bindings::proc_remove(self.entry.as_ptr()) }
    }
}

/// A file. Dropping it removes it, and waits for calls in progress; not from within [`Show`].
///
/// # Invariants
///
/// `entry` is a file that we made and have not removed, and its data is `_node`.
pub(crate) struct File {
    entry: NonNull<bindings::proc_dir_entry>,
    _node: KBox<Node>,
    _dir: Arc<Dir>,
}

// SAFETY: The entries of `/proc` are protected by a lock of their own; `Node` is `Send`.
unsafe impl Send for File {}
// SAFETY: As above; `Node` is `Sync`.
unsafe impl Sync for File {}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: Ours by the type invariant. Open files are closed, so that nobody refers to the
        // node when the fields are dropped, after this.
        unsafe { bindings::proc_remove(self.entry.as_ptr()) }
    }
}

/// What the data of a file's `proc_dir_entry` points to.
struct Node {
    show: Arc<dyn Show>,
}

/// What the `private` of an open file's `seq_file` points to.
#[pin_data]
struct Opened {
    show: Arc<dyn Show>,
    #[pin]
    text: Mutex<KVVec<u8>>,
}

/// The operations of all files.
static OPS: bindings::proc_ops = bindings::proc_ops {
    proc_open: Some(open),
    proc_read: Some(bindings::seq_read),
    proc_write: Some(write),
    proc_lseek: Some(bindings::seq_lseek),
    proc_release: Some(release),
    // SAFETY: All zeros are a valid `proc_ops` in which no operation is defined.
    ..unsafe { MaybeUninit::zeroed().assume_init() }
};

unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: The data of our files is a node, which lives until all calls have returned.
    let node = unsafe { &*bindings::rsdfs_file_pde_data(file).cast::<Node>() };
    from_result(|| {
        let opened = KBox::pin_init(
            pin_init!(Opened {
                show: node.show.clone(),
                text <- new_mutex!(KVVec::new()),
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: Pinned contents are not moved by turning the box into a pointer.
        let opened = KBox::into_raw(unsafe { Pin::into_inner_unchecked(opened) });
        // SAFETY: The file is one of ours, so `show` gets the `Opened` that it expects.
        let done = to_result(unsafe { bindings::single_open(file, Some(show), opened.cast()) });
        if done.is_err() {
            // SAFETY: The file was not opened, so the box is still ours.
            drop(unsafe { KBox::from_raw(opened) });
        }
        done.map(|()| 0)
    })
}

unsafe extern "C" fn release(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: `open` has put a `seq_file` there.
    let seq = unsafe { (*file).private_data.cast::<bindings::seq_file>() };
    // SAFETY: And an `Opened` into that, from a box that nobody frees but we here, once.
    let opened = unsafe { KBox::from_raw((*seq).private.cast::<Opened>()) };
    // SAFETY: As `open` has called `single_open`.
    let result = unsafe { bindings::single_release(inode, file) };
    opened.show.closed(&opened.text.lock());
    result
}

unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
    // SAFETY: `single_open` was given the `Opened`, which lives until the file is released.
    let opened = unsafe { &*(*seq).private.cast::<Opened>() };
    // SAFETY: The `seq_file` is locked for us until we return, and `SeqFile` is transparent.
    let out = unsafe { &mut *seq.cast::<SeqFile>() };
    from_result(|| {
        let done = opened.show.show(out);
        match out.is_full() {
            true => Ok(0),
            false => done.map(|()| 0),
        }
    })
}

unsafe extern "C" fn write(
    file: *mut bindings::file,
    from: *const c_char,
    len: usize,
    _pos: *mut bindings::loff_t,
) -> isize {
    // SAFETY: `open` has put a `seq_file` there.
    let seq = unsafe { (*file).private_data.cast::<bindings::seq_file>() };
    // SAFETY: And an `Opened` into that, which lives until the file is released.
    let opened = unsafe { &*(*seq).private.cast::<Opened>() };
    from_result(|| {
        let text = opened.show.takes_text();
        if len > LONGEST && !text {
            return Err(E2BIG);
        }
        let len = len.min(PIECE);
        let mut input = KVec::new();
        UserSlice::new(UserPtr::from_addr(from as usize), len).read_all(&mut input, GFP_KERNEL)?;
        opened.show.append(&mut opened.text.lock(), &input)?;
        Ok(isize::try_from(len)?)
    })
}
