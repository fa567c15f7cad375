// SPDX-License-Identifier: GPL-2.0

//! Who the current task acts for, as ids of the initial user namespace.
//!
//! C header: [`include/linux/cred.h`](srctree/include/linux/cred.h)

use super::bindings;

/// The real user id: `current_uid()`.
pub(crate) fn uid() -> u32 {
    // SAFETY: Reads the credentials of the current task, which it holds.
    unsafe { bindings::rsdfs_current_uid() }
}

/// The real group id: `current_gid()`.
pub(crate) fn gid() -> u32 {
    // SAFETY: As in `uid`.
    unsafe { bindings::rsdfs_current_gid() }
}

/// The user id that file access is checked against: `current_fsuid()`.
#[expect(dead_code, reason = "no user yet")]
pub(crate) fn fsuid() -> u32 {
    // SAFETY: As in `uid`.
    unsafe { bindings::rsdfs_current_fsuid() }
}

/// The group id that file access is checked against: `current_fsgid()`.
#[expect(dead_code, reason = "no user yet")]
pub(crate) fn fsgid() -> u32 {
    // SAFETY: As in `uid`.
    unsafe { bindings::rsdfs_current_fsgid() }
}
