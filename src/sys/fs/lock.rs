// SPDX-License-Identifier: GPL-2.0

//! Locks on files: fcntl (of processes and of open files) and flock.
//!
//! Who of this machine is in whose way, the kernel's own lists say: a [`Request`] can be looked for
//! there, waited for, and entered. What other machines hold is the file system's business.
//!
//! C header: [`include/linux/filelock.h`](srctree/include/linux/filelock.h)

use super::{
    file::File,
    FileSystem,
    Type, //
};
use crate::sys::bindings;
use core::mem::MaybeUninit;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// What a lock keeps others from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Writing.
    Shared,
    /// Everything.
    Exclusive,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct What {
    /// By flock, so of the whole file and owned by the open file.
    pub(crate) flock: bool,
    /// Tells owners of locks of one kind apart.
    pub(crate) owner: u64,
    /// The first byte.
    pub(crate) start: u64,
    /// The last byte, included; `i64::MAX` is the end of all files.
    pub(crate) last: u64,
    /// `None` to unlock.
    pub(crate) kind: Option<Kind>,
    /// To wait for those who are in the way.
    pub(crate) wait: bool,
}

/// A lock that is asked for, given up or asked about: a `struct file_lock`.
///
/// # Invariants
///
/// Both pointers are valid, the lock is of flavour `FL_POSIX` or `FL_FLOCK`, and `file` is the open file
/// that it is asked for through.
pub(crate) struct Request {
    file: *mut bindings::file,
    lock: *mut bindings::file_lock,
}

impl Request {
    /// What is asked for.
    pub(crate) fn what(&self) -> What {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: By the type invariants. The function fills in the whole struct.
        let raw = unsafe {
            bindings::rsdfs_lock_read(self.lock, raw.as_mut_ptr());
            raw.assume_init()
        };
        What {
            flock: raw.flock,
            owner: raw.owner,
            start: raw.start,
            last: raw.last,
            kind: match raw.type_ {
                bindings::RSDFS_LOCK_NONE => None,
                bindings::RSDFS_LOCK_SHARED => Some(Kind::Shared),
                _ => Some(Kind::Exclusive),
            },
            wait: raw.sleep,
        }
    }

    /// Whether this machine lets it through: `EAGAIN` if somebody is in the way.
    pub(crate) fn probe(&self) -> Result {
        self.local(true, false)
    }

    /// Waits until this machine lets it through. Ends with `ERESTARTSYS` at any signal, and with
    /// `EDEADLK` if it would have to wait for itself.
    pub(crate) fn wait(&self) -> Result {
        self.local(true, true)
    }

    /// Enters it into, or removes it from, the lists of this machine.
    pub(crate) fn commit(&self) -> Result {
        self.local(false, false)
    }

    /// All of it, on this machine only.
    pub(crate) fn apply(&self) -> Result {
        self.local(false, self.what().wait)
    }

    /// Whether a fcntl lock of this machine is in the way; then that is the answer.
    pub(crate) fn test(&mut self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::rsdfs_lock_test(self.file, self.lock) }
    }

    /// Answers what of another machine is in the way.
    pub(crate) fn answer(&mut self, kind: Option<Kind>) {
        let kind = match kind {
            None => bindings::RSDFS_LOCK_NONE,
            Some(Kind::Shared) => bindings::RSDFS_LOCK_SHARED,
            Some(Kind::Exclusive) => bindings::RSDFS_LOCK_EXCLUSIVE,
        };
        // SAFETY: By the type invariants.
        unsafe { bindings::rsdfs_lock_answer(self.lock, kind) }
    }

    fn local(&self, look: bool, sleep: bool) -> Result {
        // SAFETY: By the type invariants. Only this task uses the lock until the call that brought it
        // ends.
        to_result(unsafe { bindings::rsdfs_lock_local(self.file, self.lock, look, sleep) })
    }
}

/// The operations on locks of regular files.
pub(crate) trait Operations: Type {
    /// Locks or unlocks.
    fn set_lock(file: &File<Self>, request: &Request) -> Result;

    /// Says what is in the way of a fcntl lock.
    fn test_lock(file: &File<Self>, request: &mut Request) -> Result;
}

/// `lock` of `struct file_operations`.
pub(super) unsafe extern "C" fn lock<T: FileSystem>(
    file: *mut bindings::file,
    command: c_int,
    lock: *mut bindings::file_lock,
) -> c_int {
    from_result(|| {
        // INVARIANT: The VFS calls with an open file and a lock of flavour `FL_POSIX`.
        let mut request = Request { file, lock };
        // SAFETY: The file is open.
        let file = unsafe { File::from_raw(file) };
        if command as u32 == bindings::F_GETLK {
            T::test_lock(file, &mut request)?;
        } else {
            T::set_lock(file, &request)?;
        }
        Ok(0)
    })
}

/// `flock` of `struct file_operations`.
pub(super) unsafe extern "C" fn flock<T: FileSystem>(
    file: *mut bindings::file,
    _command: c_int,
    lock: *mut bindings::file_lock,
) -> c_int {
    from_result(|| {
        // INVARIANT: The VFS calls with an open file and a lock of flavour `FL_FLOCK`.
        let request = Request { file, lock };
        // SAFETY: The file is open.
        T::set_lock(unsafe { File::from_raw(file) }, &request)?;
        Ok(0)
    })
}
