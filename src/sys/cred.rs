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
