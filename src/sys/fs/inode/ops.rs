// SPDX-License-Identifier: GPL-2.0

//! What can be done to files and directories by name: `struct inode_operations`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    super::{
        dentry::{
            Dentry,
            Lookup, //
        },
        file,
        FileSystem,
        Type, //
    },
    Change,
    Freshness,
    Inode,
    Kind,
    Stat, //
};
use crate::sys::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_result,
    prelude::*,
    sync::aref::ARef, //
};

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
    fn lookup(
        dir: &Inode<Self>,
        dentry: &Dentry<Self>,
        lookup: Lookup,
    ) -> Result<Option<ARef<Inode<Self>>>>;

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

/// The operations of directories.
pub(super) fn dir_table<T: FileSystem>() -> *const bindings::inode_operations {
    &Table::<T>::DIR
}

/// The operations of files.
pub(super) fn file_table<T: FileSystem>() -> *const bindings::inode_operations {
    &Table::<T>::FILE
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

/// Gives a dentry its inode, which may have another already, other than [`into_c`] alone: a directory
/// has one dentry only, which is moved here and returned, or refused if it is one of those above.
///
/// # Safety
///
/// The dentry must be valid and without an inode, and in lookup unless the caller holds the directory's
/// `i_rwsem` exclusively.
unsafe fn splice<T: Type>(
    inode: Option<ARef<Inode<T>>>,
    dentry: *mut bindings::dentry,
) -> *mut bindings::dentry {
    // SAFETY: By the contract. `d_splice_alias` takes over the count; the dentry is not hashed any more,
    // and nobody else can add the same name.
    unsafe {
        bindings::d_drop(dentry);
        bindings::d_splice_alias(into_c(inode), dentry)
    }
}

unsafe extern "C" fn lookup<T: FileSystem>(
    dir: *mut bindings::inode,
    dentry: *mut bindings::dentry,
    flags: c_uint,
) -> *mut bindings::dentry {
    // SAFETY: The VFS holds both.
    let (this, name) = unsafe { args::<T>(dir, dentry) };
    match T::lookup(this, name, Lookup::from_raw(flags)) {
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
        if in_lookup || inode.is_some() {
            // SAFETY: The dentry is in lookup or negative; in the latter case it is to be created, and
            // the VFS holds the directory exclusively.
            alias = kernel::error::from_err_ptr(unsafe { splice(inode, dentry) })?;
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
        // A directory may have a dentry already, and this one must not be a second.
        if inode.kind() != Kind::File {
            return Err(EIO);
        }
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
        Ok(inode) if inode.kind() == Kind::File => EIO.to_ptr(),
        // The server says which directory it is: it may be one that is known.
        // SAFETY: The dentry is negative, and the VFS holds the directory exclusively.
        Ok(inode) => unsafe { splice(Some(inode), dentry) },
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

pub(in crate::sys::fs) unsafe extern "C" fn setattr<T: FileSystem>(
    _idmap: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    attr: *mut bindings::iattr,
) -> c_int {
    from_result(|| {
        // SAFETY: The VFS holds the dentry, which is positive.
        let (inode, name) = unsafe { args::<T>((*dentry).d_inode, dentry) };
        // SAFETY: `attr` is the VFS's, for this call.
        let change = unsafe { Change::from_raw(attr) };
        T::setattr(name, inode, change)?;
        Ok(0)
    })
}

pub(in crate::sys::fs) unsafe extern "C" fn getattr<T: FileSystem>(
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
