// SPDX-License-Identifier: GPL-2.0

//! File systems over netfslib: the C operation tables as safe traits.
//!
//! Each submodule mirrors one table of C, under C's names: a trait with a method for each operation
//! the file system fills in, and trampolines that end in one call of such a method. Operations that
//! are the same for every file system over netfslib go straight to the library. All traits are
//! implemented by one marker type, the [`Type`], which also names what hangs off the C objects:
//!
//! | object | holds | freed |
//! |---|---|---|
//! | `fs_context.fs_private` | `KBox<Type::Context>` | `free` |
//! | `super_block.s_fs_info` | `Arc<Type::Super>` | `kill_sb` |
//! | `struct inode` | embedded `Type::Inode` | `free_inode`, after a grace period |
//! | `file.private_data` of a file | `Arc<Type::File>` | `release` |
//! | `file.private_data` of a directory | `Pin<KBox<Type::Dir>>` | `release` |
//! | `netfs_io_request.netfs_priv` | `Arc<Type::File>` | `free_request` |
//! | `dentry.d_time`, `d_fsdata` | two plain numbers, [`dentry::Stamp`] | |
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

pub(crate) mod automount;
pub(crate) mod context;
pub(crate) mod dentry;
pub(crate) mod dir;
pub(crate) mod file;
pub(crate) mod inode;
pub(crate) mod lock;
pub(crate) mod netfs;
pub(crate) mod super_block;

use super::bindings;
use core::{
    marker::PhantomData,
    mem::size_of,
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// What hangs off the C objects of a file system.
pub(crate) trait Type: Sized + Send + Sync + 'static {
    /// The name for `mount -t`.
    const NAME: &'static CStr;
    /// The name of the inodes' slab cache.
    const INODE_CACHE: &'static CStr;

    /// What a mount is being set up from.
    type Context: Send + 'static;
    /// Of a superblock.
    type Super: Send + Sync + 'static;
    /// Of an inode.
    type Inode: Send + Sync + 'static;
    /// What an inode is looked up by.
    type Key: Copy;
    /// Of an open regular file, shared with the I/O under way.
    type File: Send + Sync + 'static;
    /// Of an open directory.
    type Dir: Send + Sync + 'static;
}

/// A whole file system: implemented for every type that has all the operations.
pub(crate) trait FileSystem:
    Type
    + automount::Operations
    + context::Operations
    + dentry::Operations
    + dir::Operations
    + file::Operations
    + inode::Operations
    + lock::Operations
    + netfs::Operations
    + super_block::Operations
{
}

impl<T> FileSystem for T where
    T: Type
        + automount::Operations
        + context::Operations
        + dentry::Operations
        + dir::Operations
        + file::Operations
        + inode::Operations
        + lock::Operations
        + netfs::Operations
        + super_block::Operations
{
}

/// A registered file system type; unregistered when dropped.
///
/// # Invariants
///
/// `fs` is registered, and was made by [`Registration::new`].
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: FileSystem> {
    #[pin]
    fs: Opaque<bindings::file_system_type>,
    _type: PhantomData<T>,
}

// SAFETY: Nothing can be done through a shared reference, and unregistering may happen anywhere.
unsafe impl<T: FileSystem> Send for Registration<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Registration<T> {}

impl<T: FileSystem> Registration<T> {
    /// Registers the file system.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            fs <- Opaque::try_ffi_init(|slot: *mut bindings::file_system_type| {
                layout_check()?;
                inode::cache_create::<T>()?;
                // SAFETY: `slot` is valid for writes, and zeroes are valid for the C struct.
                unsafe { ptr::write_bytes(slot, 0, 1) };
                // SAFETY: `slot` was just zeroed.
                let fs = unsafe { &mut *slot };
                fs.name = T::NAME.as_char_ptr();
                // SAFETY: Has no requirements.
                fs.owner = unsafe { bindings::rsdfs_module() };
                fs.init_fs_context = Some(context::init_fs_context::<T>);
                fs.kill_sb = Some(super_block::kill_sb::<T>);
                // SAFETY: `slot` is pinned and filled in. The functions stay: an owner is named.
                to_result(unsafe { bindings::register_filesystem(slot) })
                    .inspect_err(|_| inode::cache_destroy::<T>())
            }),
            _type: PhantomData,
        })
    }
}

#[pinned_drop]
impl<T: FileSystem> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant, it is registered. The module goes away, so by its use
        // count there is no superblock any more.
        unsafe { bindings::unregister_filesystem(self.fs.get()) };
        inode::cache_destroy::<T>();
    }
}

/// Compares the size of each C struct looked into here with what gcc says.
fn layout_check() -> Result {
    // SAFETY: A constant of `helpers.c`, never written.
    let sizes = unsafe { &bindings::rsdfs_fs_sizes };
    let mut same = true;
    macro_rules! check {
        ($($name:ident),* $(,)?) => {$(
            if size_of::<bindings::$name>() != sizes.$name {
                let (rust, c) = (size_of::<bindings::$name>(), sizes.$name);
                pr_err!("struct {} has {} bytes in Rust, {} in C\n", stringify!($name), rust, c);
                same = false;
            }
        )*};
    }
    check!(
        address_space_operations,
        dentry,
        dentry_operations,
        file,
        file_operations,
        file_system_type,
        fs_context,
        fs_context_operations,
        fs_parameter,
        iattr,
        inode,
        inode_operations,
        kstat,
        kstatfs,
        netfs_inode,
        netfs_io_request,
        netfs_io_subrequest,
        netfs_request_ops,
        super_block,
        super_operations,
        vm_operations_struct,
    );
    if same {
        Ok(())
    } else {
        Err(EINVAL)
    }
}
