// SPDX-License-Identifier: GPL-2.0

//! Open directories: the operations of `struct file` for those.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    dentry::Dentry,
    inode::{
        Inode,
        Kind, //
    },
    FileSystem,
    Type, //
};
use crate::sys::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_result,
    prelude::*,
    types::ForeignOwnable, //
};

/// Where `iterate_shared` puts what it finds: `struct dir_context`.
///
/// # Invariants
///
/// Both are valid, and belong to the running `iterate_shared`.
pub(crate) struct Emitter<'a> {
    file: *mut bindings::file,
    context: *mut bindings::dir_context,
    _context: PhantomData<&'a mut bindings::dir_context>,
}

impl Emitter<'_> {
    /// The position: 0 and 1 are `.` and `..`.
    pub(crate) fn pos(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { (*self.context).pos as u64 }
    }

    /// Moves to a position.
    pub(crate) fn set_pos(&mut self, pos: u64) {
        // SAFETY: By the type invariant.
        unsafe { (*self.context).pos = pos as i64 };
    }

    /// Emits `.` and `..`, as far as the position says; `false` when there is no more room.
    pub(crate) fn dots(&mut self) -> bool {
        // SAFETY: By the type invariant; the file is open, so it has a dentry.
        unsafe { bindings::rsdfs_dir_emit_dots(self.file, self.context) }
    }

    /// Emits a name; `false` when there is no more room, and then the name was not emitted.
    pub(crate) fn emit(&mut self, name: &str, ino: u64, kind: Kind) -> bool {
        let kind = match kind {
            Kind::File => bindings::DT_REG,
            Kind::Dir | Kind::Link => bindings::DT_DIR,
        };
        // SAFETY: By the type invariant; the name is valid for the length given.
        unsafe {
            bindings::rsdfs_dir_emit(
                self.context,
                name.as_ptr().cast(),
                name.len() as u32,
                ino,
                kind,
            )
        }
    }
}

/// `struct file_operations` of directories.
pub(crate) trait Operations: Type {
    /// Opens the directory.
    fn open_dir(inode: &Inode<Self>) -> Result<Pin<KBox<Self::Dir>>>;

    /// Emits names from the position on.
    fn iterate_shared(dentry: &Dentry<Self>, dir: Pin<&Self::Dir>, out: &mut Emitter<'_>)
        -> Result;
}

/// The operations of `T`.
struct Table<T>(PhantomData<T>);

impl<T: FileSystem> Table<T> {
    const OPS: bindings::file_operations = bindings::file_operations {
        llseek: Some(bindings::generic_file_llseek),
        read: Some(bindings::generic_read_dir),
        iterate_shared: Some(iterate_shared::<T>),
        open: Some(open::<T>),
        release: Some(release::<T>),
        fsync: Some(bindings::noop_fsync),
        ..pin_init::zeroed()
    };
}

/// The operations of directories.
pub(super) fn table<T: FileSystem>() -> *const bindings::file_operations {
    &Table::<T>::OPS
}

unsafe extern "C" fn open<T: FileSystem>(
    inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds the inode.
        let data = T::open_dir(unsafe { Inode::from_raw(inode) })?;
        // SAFETY: The file is not open yet.
        unsafe { (*file).private_data = data.into_foreign() };
        Ok(0)
    })
}

unsafe extern "C" fn release<T: FileSystem>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: Called once, after the last use of the file.
    unsafe {
        let data = (*file).private_data;
        (*file).private_data = ptr::null_mut();
        drop(<Pin<KBox<T::Dir>> as ForeignOwnable>::from_foreign(data));
    }
    0
}

unsafe extern "C" fn iterate_shared<T: FileSystem>(
    file: *mut bindings::file,
    context: *mut bindings::dir_context,
) -> c_int {
    from_result(|| {
        // SAFETY: The directory is open; `private_data` changes only in `release`.
        let (dentry, dir) = unsafe {
            (
                Dentry::from_raw((*file).__bindgen_anon_1.f_path.dentry),
                <Pin<KBox<T::Dir>> as ForeignOwnable>::borrow((*file).private_data),
            )
        };
        let mut out = Emitter {
            file,
            context,
            _context: PhantomData,
        };
        T::iterate_shared(dentry, dir, &mut out)?;
        Ok(0)
    })
}
