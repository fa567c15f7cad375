// SPDX-License-Identifier: GPL-2.0

//! Parameters of the module, as they were given when it was loaded; `helpers.c` declares them.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

use super::bindings;

/// How many referrals are kept at most (`cache_max`).
pub(crate) fn cache_max() -> usize {
    // SAFETY: Written before the module's init only.
    let most = unsafe { bindings::rsdfs_cache_max };
    most as usize
}
