// SPDX-License-Identifier: GPL-2.0
//! TREE_DISCONNECT (MS-SMB2 2.2.11, 2.2.12): lets go of a share.

use crate::smb2::{Bare, Code};

/// Lets go of the tree named in the header.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeDisconnect;

impl Bare for TreeDisconnect {
    const CODE: Code = Code::TreeDisconnect;
}
