// SPDX-License-Identifier: GPL-2.0

//! Small files of user space, read as the current task sees them: from its root, in its mount
//! namespace, with its rights.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::bindings;
use kernel::prelude::*;

/// The first `most` bytes of the file `path`, which must be a regular one.
pub(crate) fn read(path: &CStr, most: usize) -> Result<KVVec<u8>> {
    let mut bytes = KVVec::from_elem(0u8, most, GFP_KERNEL)?;
    // SAFETY: The path is NUL-terminated, and `bytes` may be written.
    let read = unsafe {
        bindings::rsdfs_read_file(path.as_char_ptr(), bytes.as_mut_ptr().cast(), bytes.len())
    };
    let len = usize::try_from(read).map_err(|_| Error::from_errno(read as c_int))?;
    bytes.truncate(len);
    Ok(bytes)
}
