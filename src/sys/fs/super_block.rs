// SPDX-License-Identifier: GPL-2.0

//! A mounted file system: `struct super_block` and its operations.
//!
//! C header: [`include/linux/fs/super_types.h`](srctree/include/linux/fs/super_types.h)

use super::{
    dentry,
    inode::{
        self,
        Inode, //
    },
    FileSystem,
    Type, //
};
use crate::sys::bindings;
use core::{
    fmt,
    marker::PhantomData, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

/// `MINORBITS`: of how many bits the minor number is made.
const MINOR_BITS: u32 = 20;

/// A `struct super_block`.
///
/// # Invariants
///
/// The C struct is valid and of type `T`; its `s_fs_info` came from `Arc<T::Super>::into_foreign`.
#[repr(transparent)]
pub(crate) struct SuperBlock<T>(Opaque<bindings::super_block>, PhantomData<T>);

impl<T: Type> SuperBlock<T> {
    /// # Safety
    ///
    /// `sb` must be valid for `'a`, with the type invariant.
    pub(super) unsafe fn from_raw<'a>(sb: *mut bindings::super_block) -> &'a Self {
        // SAFETY: `SuperBlock` is transparent over it; the rest is the caller's promise.
        unsafe { &*sb.cast() }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::super_block {
        self.0.get()
    }

    /// The major and minor number of its device, as `stat()` shows them.
    pub(crate) fn device(&self) -> (u32, u32) {
        // SAFETY: By the type invariant; it is set before anything else and never changes.
        let device = unsafe { (*self.as_ptr()).s_dev };
        (device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1))
    }

    /// The inode of its root directory, from [`Operations::ready`] to [`Operations::closing`].
    pub(crate) fn root_inode(&self) -> Option<ARef<Inode<T>>> {
        // SAFETY: By the type invariant; the root keeps its inode, and stays as long as the superblock is in use.
        unsafe {
            let root = (*self.as_ptr()).s_root;
            (!root.is_null()).then(|| Inode::from_raw((*root).d_inode).into())
        }
    }

    /// Starts to write back all that is dirty, unless it is being unmounted.
    pub(crate) fn start_writeback(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::rsdfs_start_writeback(self.as_ptr()) };
    }

    /// The file system's own data.
    pub(crate) fn data(&self) -> ArcBorrow<'_, T::Super> {
        // SAFETY: By the type invariant; the count that `s_fs_info` holds lasts as long as `self`.
        unsafe { <Arc<T::Super> as ForeignOwnable>::borrow((*self.as_ptr()).s_fs_info) }
    }
}

/// What a new superblock is set up with.
pub(crate) struct Params {
    /// What `statfs` reports as `f_type`.
    pub(crate) magic: usize,
    /// The largest file.
    pub(crate) max_bytes: i64,
    /// The granularity of times, in nanoseconds.
    pub(crate) time_gran: u32,
    /// The earliest and latest second since 1970.
    pub(crate) time_range: (i64, i64),
    /// How far to read ahead, in bytes.
    pub(crate) read_ahead: usize,
}

/// What `statfs` reports: `struct kstatfs`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Statfs {
    /// Bytes in a block.
    pub(crate) block_size: u32,
    /// Blocks in all, free, and free for this user.
    pub(crate) blocks: u64,
    /// Free blocks.
    pub(crate) free: u64,
    /// Free blocks for this user.
    pub(crate) avail: u64,
    /// The longest name, in bytes.
    pub(crate) name_len: u32,
}

/// `struct super_operations`, and what `fill_super` and `kill_sb` need.
pub(crate) trait Operations: Type {
    /// How to set up a new superblock.
    fn params(data: &Self::Super) -> Params;

    /// The root directory's inode, looked up with [`SuperBlock::iget`].
    fn root(sb: &SuperBlock<Self>) -> Result<ARef<Inode<Self>>>;

    /// All is there: the last chance to fail.
    fn ready(sb: &SuperBlock<Self>) -> Result;

    /// The size of the file system and what is free.
    fn statfs(sb: &SuperBlock<Self>) -> Result<Statfs>;

    /// Writes the options as `,key=value`.
    fn show_options(data: &Self::Super, out: &mut OptionWriter<'_>);

    /// `umount -f`.
    fn umount_begin(data: &Self::Super);

    /// First of all in `kill_sb`: files may still be dirty.
    fn closing(data: &Self::Super);

    /// Last of all in `kill_sb`: no inode is left.
    fn kill_sb(data: &Self::Super);
}

/// Writes mount options for `/proc/mounts`.
pub(crate) struct OptionWriter<'a> {
    seq: *mut bindings::seq_file,
    _seq: PhantomData<&'a mut bindings::seq_file>,
}

impl OptionWriter<'_> {
    fn puts(&mut self, text: &str) {
        // SAFETY: By construction, `seq` is valid; the text is for the length given.
        unsafe { bindings::seq_write(self.seq, text.as_ptr().cast(), text.len()) };
    }

    /// An option without a value.
    pub(crate) fn flag(&mut self, key: &str) {
        self.puts(",");
        self.puts(key);
    }

    /// An option with a value, which is escaped so that it can be told from the next one.
    pub(crate) fn value(&mut self, key: &str, value: impl fmt::Display) {
        self.flag(key);
        self.puts("=");
        // Writing to the file never fails: what does not fit is written again to a larger buffer.
        let _ = fmt::write(&mut Escape(self), format_args!("{value}"));
    }
}

/// Escapes as `seq_escape()` does, with what separates options and the fields of `/proc/mounts`.
struct Escape<'a, 'b>(&'a mut OptionWriter<'b>);

impl fmt::Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive([',', ' ', '\t', '\n', '\\', '#']) {
            let (plain, special) = match part.as_bytes().last() {
                Some(last @ (b',' | b' ' | b'\t' | b'\n' | b'\\' | b'#')) => {
                    (part.get(..part.len() - 1), Some(*last))
                }
                _ => (Some(part), None),
            };
            self.0.puts(plain.unwrap_or_default());
            if let Some(c) = special {
                let octal = [b'\\', b'0' + (c >> 6), b'0' + (c >> 3 & 7), b'0' + (c & 7)];
                self.0
                    .puts(core::str::from_utf8(&octal).unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// The operations of `T`.
struct Table<T>(PhantomData<T>);

impl<T: FileSystem> Table<T> {
    const OPS: bindings::super_operations = bindings::super_operations {
        alloc_inode: Some(inode::alloc_inode::<T>),
        free_inode: Some(inode::free_inode::<T>),
        evict_inode: Some(inode::evict_inode::<T>),
        write_inode: Some(bindings::netfs_unpin_writeback),
        statfs: Some(statfs::<T>),
        umount_begin: Some(umount_begin::<T>),
        show_options: Some(show_options::<T>),
        ..pin_init::zeroed()
    };
}

/// # Safety
///
/// Called by `get_tree_nodev()` with a new superblock that took `s_fs_info` over from the context.
pub(super) unsafe extern "C" fn fill_super<T: FileSystem>(
    sb: *mut bindings::super_block,
    _fc: *mut bindings::fs_context,
) -> c_int {
    from_result(|| {
        // SAFETY: `s_fs_info` was set in `get_tree` from an `Arc<T::Super>`.
        let this = unsafe { SuperBlock::<T>::from_raw(sb) };
        let params = T::params(&this.data());
        // SAFETY: The superblock is new; nobody else uses it.
        unsafe {
            (*sb).s_magic = params.magic;
            (*sb).s_maxbytes = params.max_bytes;
            (*sb).s_blocksize = 4096;
            (*sb).s_blocksize_bits = 12;
            (*sb).s_time_gran = params.time_gran;
            (*sb).s_time_min = params.time_range.0;
            (*sb).s_time_max = params.time_range.1;
            (*sb).s_op = &Table::<T>::OPS;
            (*sb).s_flags |= bindings::rsdfs_fs_RSDFS_SB_NOATIME as c_ulong;
            bindings::set_default_d_op(sb, dentry::table::<T>());
        }
        // SAFETY: As above.
        to_result(unsafe { bindings::rsdfs_super_setup(sb, params.read_ahead) })?;
        let root = T::root(this)?;
        // SAFETY: `d_make_root` takes over the reference, also when it fails.
        let root = unsafe { bindings::d_make_root(ARef::into_raw(root).as_ptr().cast()) };
        if root.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: The superblock is new.
        unsafe { (*sb).s_root = root };
        T::ready(this)?;
        Ok(0)
    })
}

/// # Safety
///
/// Called by the VFS when the last user of the superblock is gone.
pub(super) unsafe extern "C" fn kill_sb<T: FileSystem>(sb: *mut bindings::super_block) {
    // SAFETY: `sget_fc()` sets `s_fs_info` before anything can fail; `sb` is valid.
    let info = unsafe { (*sb).s_fs_info };
    {
        // SAFETY: As above; the count is ours until the end of the function.
        let data = unsafe { <Arc<T::Super> as ForeignOwnable>::borrow(info) };
        T::closing(&data);
        // SAFETY: Called once, last, on a superblock of `get_tree_nodev()`.
        unsafe { bindings::kill_anon_super(sb) };
        T::kill_sb(&data);
    }
    // SAFETY: Taken over from `s_fs_info`, which nobody reads any more.
    drop(unsafe { <Arc<T::Super> as ForeignOwnable>::from_foreign(info) });
}

unsafe extern "C" fn statfs<T: FileSystem>(
    dentry: *mut bindings::dentry,
    out: *mut kernel::bindings::kstatfs,
) -> c_int {
    from_result(|| {
        // The kernel crate sees the struct as opaque.
        let out: *mut bindings::kstatfs = out.cast();
        // SAFETY: The dentry is valid, and so is its superblock.
        let found = T::statfs(unsafe { SuperBlock::from_raw((*dentry).d_sb) })?;
        // SAFETY: `out` is valid for writes, zeroed by the caller.
        unsafe {
            (*out).f_type = (*(*dentry).d_sb).s_magic as isize;
            (*out).f_bsize = found.block_size as isize;
            (*out).f_frsize = found.block_size as isize;
            (*out).f_blocks = found.blocks;
            (*out).f_bfree = found.free;
            (*out).f_bavail = found.avail;
            (*out).f_namelen = found.name_len as isize;
        }
        Ok(0)
    })
}

unsafe extern "C" fn umount_begin<T: FileSystem>(sb: *mut bindings::super_block) {
    // SAFETY: The VFS holds the superblock.
    T::umount_begin(&unsafe { SuperBlock::<T>::from_raw(sb) }.data());
}

unsafe extern "C" fn show_options<T: FileSystem>(
    seq: *mut bindings::seq_file,
    root: *mut bindings::dentry,
) -> c_int {
    // SAFETY: The VFS holds the superblock.
    let sb = unsafe { SuperBlock::<T>::from_raw((*root).d_sb) };
    let mut out = OptionWriter {
        seq,
        _seq: PhantomData,
    };
    T::show_options(&sb.data(), &mut out);
    0
}

/// A superblock that is pinned by an inode of it.
pub(super) fn of_inode<T: Type>(inode: &Inode<T>) -> &SuperBlock<T> {
    // SAFETY: An inode's superblock is valid as long as the inode, and of the same type.
    unsafe { SuperBlock::from_raw((*inode.as_ptr()).i_sb) }
}
