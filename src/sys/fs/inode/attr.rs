// SPDX-License-Identifier: GPL-2.0

//! Attributes of files: `struct kstat` and `struct iattr`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::super::{
    dentry::Dentry,
    file::File,
    Type, //
};
use crate::sys::bindings;
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A time: seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Time {
    /// Seconds since 1970.
    pub(crate) sec: i64,
    /// Nanoseconds, below 1 000 000 000.
    pub(crate) nsec: u32,
}

impl Time {
    pub(super) fn from_c(time: bindings::timespec64) -> Self {
        Self {
            sec: time.tv_sec,
            nsec: time.tv_nsec as u32,
        }
    }

    pub(super) fn into_c(self) -> bindings::timespec64 {
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
    /// # Safety
    ///
    /// `attr` must be valid for the lifetime of the result, and used by nobody else.
    pub(super) unsafe fn from_raw(attr: *mut bindings::iattr) -> Self {
        // INVARIANT: The caller's promise.
        Self {
            attr,
            _attr: PhantomData,
        }
    }

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
