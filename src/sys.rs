// SPDX-License-Identifier: GPL-2.0

//! The only part of the module that may be `unsafe`: safe wrappers over the kernel's C interfaces.
//!
//! It knows nothing of SMB and decides nothing. One C concept a file; a type that holds a pointer
//! states its `# Invariants`, and each unsafe block names the one it uses. What the `kernel` crate
//! already offers is used from there. C inlines and macros are reached through `helpers.c`.
//!
//! [`layout_check`] belongs first in the module's init: gcc builds the kernel while clang lays out
//! the bindings, and a difference must stop the module from loading.

pub(crate) mod bindings;
pub(crate) mod cred;
pub(crate) mod crypto;
pub(crate) mod dns;
pub(crate) mod errno;
pub(crate) mod file;
pub(crate) mod fmt;
pub(crate) mod fs;
pub(crate) mod global;
pub(crate) mod iter;
pub(crate) mod net;
pub(crate) mod param;
pub(crate) mod proc;
pub(crate) mod socket;
pub(crate) mod sysfs;
pub(crate) mod thread;
pub(crate) mod time;
pub(crate) mod timer;
pub(crate) mod trace;
pub(crate) mod udp;
pub(crate) mod wait;
pub(crate) mod work;

use core::mem::size_of;
use kernel::prelude::*;

/// Compares the size of each C struct that Rust embeds with what gcc says.
///
/// Fails with `EINVAL`, and a line in the log for each struct that differs.
pub(crate) fn layout_check() -> Result {
    // SAFETY: A constant of `helpers.c`, never written.
    let sizes = unsafe { &bindings::rsdfs_sizes };
    let mut same = errno::check();
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
        completion,
        delayed_work,
        iov_iter,
        wait_queue_entry,
        wait_queue_head,
        md5_ctx,
        hmac_md5_ctx,
        hmac_sha256_ctx,
        aes_cmac_key,
        aes_cmac_ctx,
        arc4_ctx,
        sha512_ctx,
        proc_ops,
        attribute,
        kobj_type,
        kobject,
        sysfs_ops,
    );
    if same {
        Ok(())
    } else {
        Err(EINVAL)
    }
}
