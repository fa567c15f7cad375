// SPDX-License-Identifier: GPL-2.0

//! Showing things in the kernel's log that only implement what `core` knows.
//!
//! `pr_info!` and its like want `kernel::fmt::Display`; addresses, and all of the protocol core,
//! have `core::fmt::Display`.

use kernel::fmt;

/// What is shown as `core::fmt::Display` shows it: `pr_info!("{}\n", Plain(&address))`.
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: core::fmt::Display> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
